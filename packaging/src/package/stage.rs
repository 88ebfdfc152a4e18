//! What a package contains that is not in the checkout: man pages, completions and the configuration, which the
//! program prints of itself; and the maintainer scripts, put together from their parts.

use super::binaries::runner;
use super::contents::What;
use super::{Arch, Format, contents, linux};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// The names of the man pages in a filled folder, in order.
pub(super) fn pages(stage: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(stage.join("man"))?;
    let mut pages =
        entries.map(|page| Ok(page?.file_name().to_string_lossy().into_owned())).collect::<Result<Vec<_>>>()?;
    pages.sort_unstable();
    Ok(pages)
}

/// The scripts of a package, as nfpm calls them.
pub(super) const SCRIPTS: &[(&str, &str)] =
    &[("postinstall", "postinst"), ("preremove", "prerm"), ("postremove", "postrm")];

/// Fills a folder: `man/`, `completions/SHELL`, `config.toml`, `changelog.gz`, `copyright`, and each script.
pub(super) fn fill(what: &What, binary: &Path, arch: Arch) -> Result<TempDir> {
    let folder = tempfile::tempdir().context("a temporary directory")?;
    let at = |name: &str| folder.path().join(name);
    let print = |args: &[&str]| -> Result<Vec<u8>> { output(runner(binary, arch).arg("docs").args(args)) };
    output(runner(binary, arch).args(["docs", "man"]).arg(at("man")))?;
    for page in fs::read_dir(at("man"))? {
        zip(&page?.path())?;
    }
    fs::create_dir(at("completions"))?;
    for (shell, _) in contents::completions(Format::Deb, what.name) {
        fs::write(at("completions").join(shell), print(&["completions", shell])?)?;
    }
    fs::write(at("config.toml"), print(&["config"])?)?;
    fs::copy(linux().join("../../CHANGELOG.md"), at("changelog")).context("CHANGELOG.md")?;
    zip(&at("changelog"))?;
    fs::copy(linux().join("copyright"), at("copyright")).context("copyright")?;
    for (_, script) in SCRIPTS {
        fs::write(at(script), self::script(what, script)?)?;
    }
    Ok(folder)
}

/// A maintainer script: what all have in common, then its own lines.
pub(super) fn script(what: &What, script: &str) -> Result<String> {
    let read = |name: &str| {
        let path = linux().join("scripts").join(name);
        fs::read_to_string(&path).with_context(|| path.display().to_string())
    };
    Ok(read("functions.sh")? + "\n" + &read(&format!("{}.{script}.sh", what.name))?)
}

/// Without name and time, which differ between two runs.
fn zip(file: &Path) -> Result<()> {
    output(Command::new("gzip").args(["--best", "--no-name"]).arg(file)).map(|_| ())
}

fn output(command: &mut Command) -> Result<Vec<u8>> {
    let out = command.output().with_context(|| format!("{command:?}: is it installed?"))?;
    ensure!(out.status.success(), "{command:?}: {}", String::from_utf8_lossy(&out.stderr).trim());
    Ok(out.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_is_one_that_the_shell_takes() {
        for what in contents::PACKAGES {
            for (_, name) in SCRIPTS {
                let text = script(what, name).expect("both parts");
                assert!(text.starts_with("#!/bin/sh\n"), "{name}");
                assert_eq!(text.matches("#!").count(), 1, "{name}");
                let checked = Command::new("sh").args(["-n", "-c", &text]).output().expect("sh");
                assert!(checked.status.success(), "{name}: {}", String::from_utf8_lossy(&checked.stderr));
            }
        }
    }
}
