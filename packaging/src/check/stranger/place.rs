//! Where a stranger is: a clone of the checkout, a home that is empty, and how a line of shell is run there.

use super::checkout;
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Before the line: Ctrl-C is for what it starts; the shell stays, and ends as that ends.
const HEARS: &str = "trap : INT";

/// A place with a clone.
pub(super) trait Place {
    /// The clone, as this program sees it.
    fn checkout(&self) -> PathBuf;
    /// Runs a line of shell in the clone.
    fn command(&self, line: &str) -> Command;
}

/// The line of the first fenced block under a heading of the clone's README.
pub(super) fn line(checkout: &Path, heading: &str) -> Result<String> {
    let readme = fs::read_to_string(checkout.join("README.md")).context("README.md")?;
    parse_line(&readme, heading).with_context(|| format!("README.md has no command under {heading}"))
}

fn parse_line(readme: &str, heading: &str) -> Option<String> {
    let below = readme.lines().skip_while(|line| *line != heading);
    below.skip_while(|line| !line.starts_with("```")).nth(1).map(str::to_owned)
}

fn clone(into: &Path) -> Result<()> {
    let git = Command::new("git").args(["clone", "--quiet", "--no-hardlinks"]).arg(checkout()?).arg(into).status();
    ensure!(git.context("git")?.success(), "the checkout is not cloned");
    Ok(())
}

/// A home on this machine, with this machine's cargo.
pub(super) struct Home(TempDir);

impl Home {
    pub(super) fn new() -> Result<Home> {
        let home = tempfile::tempdir().context("a temporary directory")?;
        clone(&home.path().join("muster"))?;
        Ok(Home(home))
    }
}

impl Place for Home {
    fn checkout(&self) -> PathBuf {
        self.0.path().join("muster")
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("exec 2>&1\n{HEARS}\n{line}")]).current_dir(self.checkout());
        // Cargo's and rustup's own homes, which they look for below HOME.
        for (name, folder) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
            if let (None, Some(home)) = (std::env::var_os(name), std::env::home_dir()) {
                command.env(name, home.join(folder));
            }
        }
        // What `cargo run` tells its child is not what a stranger has.
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_cargos(&name.to_string_lossy())) {
            command.env_remove(name);
        }
        command.env("HOME", self.0.path()).env_remove("XDG_DATA_HOME");
        command
    }
}

fn is_cargos(name: &str) -> bool {
    name == "CARGO_TARGET_DIR"
        || name == "RUSTUP_TOOLCHAIN"
        || name == "CARGO"
        || name.starts_with("CARGO_PKG_")
        || name.starts_with("CARGO_MANIFEST")
}

/// Below the root: the clone and the home.
const HOME: &str = "home/stranger";
/// Below the root: Rust.
const RUST: &str = "opt/rust";

/// A bare root, which becomes bare again.
pub(super) struct Root {
    root: PathBuf,
    toolchain: PathBuf,
    registry: PathBuf,
}

impl Root {
    pub(super) fn new(root: &Path, toolchain: Option<&Path>, cargo_home: Option<&Path>) -> Result<Root> {
        let root = root.canonicalize().with_context(|| root.display().to_string())?;
        ensure!(
            root.parent().is_some() && root.join("usr/bin/cc").exists(),
            "{}: no root with cc; see --help",
            root.display()
        );
        let toolchain = match toolchain {
            Some(toolchain) => toolchain.to_owned(),
            None => sysroot()?,
        };
        let cargo_home = cargo_home.map(Path::to_owned).or_else(|| std::env::var_os("CARGO_HOME").map(PathBuf::from));
        let cargo_home = cargo_home.or_else(|| Some(std::env::home_dir()?.join(".cargo")));
        let registry = cargo_home.context("a home")?.join("registry");
        for (name, folder) in [("Rust", &toolchain.join("bin")), ("downloaded crates", &registry)] {
            ensure!(folder.is_dir(), "{name}: {} is no folder", folder.display());
        }
        for folder in [HOME, RUST] {
            if root.join(folder).exists() {
                bail!("{}: a stranger was here before; remove it", root.join(folder).display());
            }
        }
        let place = Root { root, toolchain, registry };
        fs::create_dir_all(place.root.join(RUST))?;
        fs::create_dir_all(place.root.join(HOME).join(".cargo/registry"))?;
        clone(&place.checkout())?;
        Ok(place)
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        // The mounts were in namespaces that ended with their processes.
        for folder in [HOME, RUST] {
            if let Err(error) = fs::remove_dir_all(self.root.join(folder)) {
                eprintln!("{}: {error}", self.root.join(folder).display());
            }
        }
    }
}

fn sysroot() -> Result<PathBuf> {
    let out = Command::new("rustc").args(["--print", "sysroot"]).output().context("rustc")?;
    Ok(PathBuf::from(String::from_utf8(out.stdout).context("a path")?.trim()))
}

/// Mounts, then the line in the clone. Arguments: root, toolchain, registry, line, what comes before it.
const SCRIPT: &str = r#"set -e
mount --bind "$2" "$1/opt/rust"
mount -o remount,bind,ro "$1/opt/rust"
mount --bind "$3" "$1/home/stranger/.cargo/registry"
mount -o remount,bind,ro "$1/home/stranger/.cargo/registry"
mount -t proc proc "$1/proc"
mount --rbind /sys "$1/sys"
mount --rbind /dev "$1/dev"
exec chroot "$1" /usr/bin/env -i HOME=/home/stranger PATH=/opt/rust/bin:/usr/sbin:/usr/bin LANG=C.UTF-8 \
    CARGO_NET_OFFLINE=true sh -c "cd /home/stranger/muster; exec 2>&1; $5; $4"
"#;

impl Place for Root {
    fn checkout(&self) -> PathBuf {
        self.root.join(HOME).join("muster")
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", SCRIPT, "stranger"]);
        command.args([&self.root, &self.toolchain, &self.registry]).args([line, HEARS]);
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_the_first_of_the_block_under_its_heading() {
        let readme = "# A\n```sh\nno\n```\n## Run it\n\nSo:\n\n```sh\ncargo run\nmore\n```\n## Test it\n```sh\ncargo test\n```\n";
        assert_eq!(parse_line(readme, "## Run it").as_deref(), Some("cargo run"));
        assert_eq!(parse_line(readme, "## Test it").as_deref(), Some("cargo test"));
        assert_eq!(parse_line(readme, "## Else"), None);
    }
}
