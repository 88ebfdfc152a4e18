//! The packages of two versions: given, or made of debug builds. Does not know what becomes of them.

use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// What is made for the upgrade when no packages are given.
const VERSIONS: [&str; 2] = ["0.1.0", "0.1.1"];

/// Files by the name that they have in a container: `muster-agent.deb`, `muster.rpm`.
pub(in crate::check) type Files = BTreeMap<String, PathBuf>;

/// Packages of a version and of a higher one.
pub(in crate::check) struct Packages {
    pub(in crate::check) first: Files,
    pub(in crate::check) second: Files,
    _made: Option<TempDir>,
}

impl Packages {
    /// Finds or makes them.
    ///
    /// # Errors
    /// There are none, or they cannot be made.
    pub(in crate::check) fn find(given: Option<&Path>) -> Result<Packages> {
        let made = match given {
            Some(_) => None,
            None => Some(make()?),
        };
        let folder = given.or(made.as_ref().map(TempDir::path)).context("a folder")?;
        let mut versions: BTreeMap<(Vec<u64>, String), Files> = BTreeMap::new();
        for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
            let file = entry?.path();
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if let Some((package, version)) = parse(&name) {
                versions.entry((numbers(&version), version)).or_default().insert(package, file);
            }
        }
        let ours: Vec<Files> = versions.into_values().filter(|files| files.contains_key("muster-agent.deb")).collect();
        ensure!(!ours.is_empty(), "{}: no packages; `cargo run -p packaging -- package --out DIR`", folder.display());
        let first = ours.first().cloned().unwrap_or_default();
        let second = ours.last().cloned().unwrap_or_default();
        Ok(Packages { first, second, _made: made })
    }
}

/// `muster-agent_0.1.0_amd64.deb` or `muster-agent-0.1.0-1.x86_64.rpm` -> (`muster-agent.deb`, `0.1.0`), of this
/// processor alone.
fn parse(name: &str) -> Option<(String, String)> {
    if let Some(rest) = name.strip_suffix("_amd64.deb") {
        let (package, version) = rest.split_once('_')?;
        return Some((format!("{package}.deb"), version.to_owned()));
    }
    let rest = name.strip_suffix(".x86_64.rpm")?;
    let (rest, _release) = rest.rsplit_once('-')?;
    let (package, version) = rest.rsplit_once('-')?;
    Some((format!("{package}.rpm"), version.to_owned()))
}

fn numbers(version: &str) -> Vec<u64> {
    version.split(['.', '-', '+', '~']).filter_map(|part| part.parse().ok()).collect()
}

fn make() -> Result<TempDir> {
    let target = crate::check::build(&["agent", "collector"])?;
    let folder = tempfile::tempdir().context("a folder")?;
    for version in VERSIONS {
        let mut command = Command::new(std::env::current_exe().context("own path")?);
        command.args(["package", "--version", version, "--out"]).arg(folder.path());
        command.arg("--agent").arg(target.join("muster-agent")).arg("--collector").arg(target.join("muster"));
        super::container::success(&mut command).context("packages")?;
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_packages() {
        let parsed = |name| parse(name).map(|(package, version)| format!("{package} {version}"));
        assert_eq!(parsed("muster-agent_0.1.0_amd64.deb").as_deref(), Some("muster-agent.deb 0.1.0"));
        assert_eq!(parsed("muster-agent-0.1.0-1.x86_64.rpm").as_deref(), Some("muster-agent.rpm 0.1.0"));
        assert_eq!(parsed("muster_0.1.0_arm64.deb"), None);
        assert!(numbers("0.10.0") > numbers("0.9.1"));
    }
}
