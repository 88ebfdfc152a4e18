//! The programs: building them as they are shipped, and what they need of the system. Does not know packages.

use super::Arch;
use super::contents::What;
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

const MUSL: &str = "aarch64-unknown-linux-musl";
/// Debian's compiler (rustc-web), whose library source (rust-web-src) is of the same version.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";

/// Builds a program and says where it is.
pub(super) fn build(what: &What, arch: Arch) -> Result<PathBuf> {
    let own = std::env::current_exe().context("own path")?;
    let target = own.ancestors().nth(2).context("target folder")?;
    let (mut command, folder) = match arch {
        Arch::X86_64 => (Command::new("cargo"), target.to_owned()),
        Arch::Aarch64 => (zig(), target.join(MUSL)),
    };
    match arch {
        Arch::X86_64 => command.arg("build"),
        Arch::Aarch64 => command.args(["zigbuild", "-Zbuild-std=std,panic_unwind,panic_abort", "--target", MUSL]),
    };
    command.args(["--quiet", "--locked", "--profile", what.profile, "-p", what.krate, "--bin", what.name]);
    command.arg("--target-dir").arg(target);
    println!("building {} with profile {} …", what.name, what.profile);
    let status = command.status().with_context(|| format!("{command:?}: is it installed?"))?;
    ensure!(status.success(), "{} does not build", what.name);
    Ok(folder.join(what.profile).join(what.name))
}

/// cargo-zigbuild with Debian's compiler: the standard library is built along, for a target that has no ready one.
fn zig() -> Command {
    let mut command = Command::new("cargo-zigbuild");
    command.env("RUSTC", DEBIAN_RUSTC).env("CARGO", DEBIAN_CARGO).env("RUSTC_BOOTSTRAP", "1");
    // rustup's wrapper would put its own compiler before Debian's.
    command.env_remove("RUSTUP_TOOLCHAIN");
    // musl's start files are zig's; Rust's own are not installed.
    command.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_RUSTFLAGS", "-C link-self-contained=no");
    command
}

/// How a program is started here that may be for another processor.
pub(super) fn runner(binary: &Path, arch: Arch) -> Command {
    if arch == Arch::Aarch64 && cfg!(not(target_arch = "aarch64")) {
        let mut command = Command::new("qemu-aarch64-static");
        command.arg(binary);
        return command;
    }
    Command::new(binary)
}

/// What a program needs of the system's libraries.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Needs {
    /// The least glibc: (major, minor); none for a static program.
    pub(super) glibc: Option<(u32, u32)>,
    /// Whether it needs libgcc_s.
    pub(super) libgcc: bool,
}

/// Reads it from the names in a program: symbols' versions (`GLIBC_2.34`) and libraries.
pub(super) fn needs(program: &[u8]) -> Needs {
    const MARK: &[u8] = b"GLIBC_";
    let versions = program.windows(MARK.len()).enumerate().filter(|(_, bytes)| *bytes == MARK);
    let glibc = versions.filter_map(|(at, _)| version(program.get(at + MARK.len()..)?)).max();
    const LIBGCC: &[u8] = b"libgcc_s.so.1\0";
    Needs { glibc, libgcc: program.windows(LIBGCC.len()).any(|bytes| bytes == LIBGCC) }
}

/// `2.34` or `2.3.4` at the start of a text, up to its NUL.
fn version(text: &[u8]) -> Option<(u32, u32)> {
    let text = text.get(..16).unwrap_or(text).split(|&byte| byte == 0).next()?;
    let mut parts = std::str::from_utf8(text).ok()?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_symbol_says_which_libc() {
        let program = b"\0libc.so.6\0GLIBC_2.2.5\0GLIBC_2.34\0GLIBC_2.9\0GLIBC_PRIVATE\0libgcc_s.so.1\0GLIBC_";
        assert_eq!(needs(program), Needs { glibc: Some((2, 34)), libgcc: true });
        assert_eq!(needs(b"static"), Needs { glibc: None, libgcc: false });
    }

    #[test]
    fn this_program_says_the_same_as_its_loader() {
        let own = std::fs::read(std::env::current_exe().expect("own path")).expect("own bytes");
        let glibc = needs(&own).glibc.expect("a glibc program");
        assert!(((2, 17)..(3, 0)).contains(&glibc), "{glibc:?}");
    }
}
