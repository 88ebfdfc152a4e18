//! The agent as its package installs it: in a container with its own systemd, in its sandbox, with root's tape, joined
//! to the collector of the package beside it, every setting as it is shipped. Does not know what is measured.

use crate::check::service::container::{self, Container};
use crate::check::service::packages::Packages;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// A machine whose agent has told its first report.
pub(super) struct Packaged {
    /// The agent, as this side of the container numbers it.
    pub(super) pid: u32,
    _container: Container,
}

/// Boots a copy of `root`, installs both packages and joins.
///
/// # Errors
/// What is missing here, or a step that did not work.
pub(super) fn start(root: &Path, packages: Option<&Path>) -> Result<Packaged> {
    if let Some(why) = container::lacks(root) {
        bail!("{why}");
    }
    let container = container::copy(root, &Packages::find(packages)?)?.boot()?;
    container.run("dpkg --install /root/1/muster.deb /root/1/muster-agent.deb 2>&1")?;
    container.until(30, "systemctl is-active --quiet muster muster.socket muster-agent")?;
    container.run("muster join create --file /root/join.json && muster-agent enroll --join /root/join.json")?;
    container.run("systemctl start muster-agent-probe && systemctl restart muster-agent")?;
    container.until(60, "muster assets list --output csv | sed 1d | grep .")?;
    container.until(60, "grep -q '\"last_contact\":[0-9]' /var/lib/muster-agent/status.json")?;
    let inside = container.property("muster-agent", "MainPID");
    let pid = outside(container.leader(), &inside)?;
    Ok(Packaged { pid, _container: container })
}

/// The number of a process here that has the number `inside` in the namespace of process `leader` (`NSpid` of
/// proc(5): from the outermost to the innermost).
fn outside(leader: u32, inside: &str) -> Result<u32> {
    let namespace = |process: &Path| std::fs::read_link(process.join("ns/pid")).ok();
    let own = namespace(&PathBuf::from(format!("/proc/{leader}"))).context("the container's namespace")?;
    for entry in std::fs::read_dir("/proc").context("/proc")? {
        let process = entry?.path();
        let status = std::fs::read_to_string(process.join("status")).unwrap_or_default();
        let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
        let is_it = numbers.and_then(|numbers| numbers.split_whitespace().last()) == Some(inside);
        if is_it && namespace(&process).as_ref() == Some(&own) {
            let name = process.file_name().unwrap_or_default().to_string_lossy();
            return name.parse().context("a process");
        }
    }
    bail!("muster-agent has no process {inside}: it does not run")
}
