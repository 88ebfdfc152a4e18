//! Links the unwinder of the C compiler into the shipped agent, so that it needs no library but libc: minimal
//! systems have no `libgcc_s.so.1`. Only in profiles for release, and only where the linker's compiler has the
//! archive; else the shared library is linked, as the standard library asks for it.

#![expect(
    clippy::disallowed_methods,
    reason = "a build script is told by its environment, and asks the linker's compiler"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|found| found == value);
    let wanted = is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu") && is("PROFILE", "release");
    if wanted && let Some(folder) = archive().as_deref().and_then(Path::parent) {
        println!("cargo:rustc-link-search=native={}", folder.display());
        println!("cargo:rustc-link-lib=static:-bundle=gcc_eh");
    }
}

/// Where the linker's compiler keeps `libgcc_eh.a`; it prints the bare name if it has none.
fn archive() -> Option<PathBuf> {
    let compiler = std::env::var_os("RUSTC_LINKER").unwrap_or_else(|| "cc".into());
    let printed = Command::new(compiler).arg("-print-file-name=libgcc_eh.a").output().ok()?;
    let path = PathBuf::from(String::from_utf8(printed.stdout).ok()?.trim());
    path.is_absolute().then_some(path)
}
