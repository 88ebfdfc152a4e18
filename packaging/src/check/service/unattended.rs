//! Without hands: packages installed into a root that is not booted, a boot, and a join file that was there before.

use super::Promise;
use super::container::{Container, Copy};
use anyhow::{Result, ensure};

/// In this order, after [`offline`] and a boot.
pub(super) const PROMISES: &[Promise] = &[
    ("booted: collector and agent run, nothing failed", booted),
    ("a join file that appears makes the machine join", appears),
    ("a join file that was there before the package", preseeded),
    ("a join file that is refused is kept and not tried again", refused),
];

/// The packages, in a root where nothing runs.
pub(super) fn offline(copy: &Copy) -> Result<String> {
    let said = copy.run("dpkg --install /root/1/muster.deb /root/1/muster-agent.deb")?;
    for word in ["error", "warning", "Failed", "not found"] {
        ensure!(!said.contains(word), "{said}");
    }
    for unit in ["muster.service", "muster-agent.service"] {
        copy.run(&format!("test -L /etc/systemd/system/multi-user.target.wants/{unit}"))?;
    }
    // By hand, as in a container without a service manager: as the user, in the foreground.
    let once = copy.run(
        "setpriv --reuid=muster-agent --regid=muster-agent --clear-groups muster-agent once 2>/dev/null | grep -c .",
    )?;
    let users = copy.run("getent passwd muster muster-agent | cut -d: -f1 | paste -sd' '; id -nG muster")?;
    ensure!(users.contains("muster-admin"), "{users}");
    Ok(format!("no complaint, units enabled, users {users}; once by hand: {once} lines"))
}

fn booted(container: &Container) -> Result<String> {
    container.until(60, "systemctl is-active --quiet muster muster-agent muster.socket muster-agent-enroll.path")?;
    let failed = container.says("systemctl --failed --no-legend --plain");
    ensure!(failed.is_empty(), "{failed}");
    let restarts = container.property("muster-agent", "NRestarts");
    ensure!(restarts == "0", "{restarts} restarts");
    Ok("active, 0 restarts".into())
}

fn appears(container: &Container) -> Result<String> {
    container.run("muster join create --file /etc/muster/join.json")?;
    joined(container)
}

/// Waits until it joined, and looks that the secret is gone.
fn joined(container: &Container) -> Result<String> {
    container.until(60, "muster-agent status >/dev/null && test ! -e /etc/muster/join.json")?;
    let foreign = container.run("find /var/lib/muster-agent ! -user muster-agent")?;
    ensure!(foreign.is_empty(), "not the agent's: {foreign}");
    container.until(60, "muster-agent check")?;
    Ok(format!(
        "joined, the file is gone; {}",
        container.says("muster agents list --output csv | sed 1d | wc -l") + " agents known"
    ))
}

fn preseeded(container: &Container) -> Result<String> {
    container.run("dpkg --purge muster-agent 2>&1")?;
    container.run("muster join create --file /etc/muster/join.json && chmod 600 /etc/muster/join.json")?;
    container.run("dpkg --install /root/1/muster-agent.deb 2>&1")?;
    joined(container)
}

fn refused(container: &Container) -> Result<String> {
    container.run("dpkg --purge muster-agent 2>&1 && muster join create --file /root/spent.json")?;
    container.run("cp /root/spent.json /etc/muster/join.json && dpkg --install /root/1/muster-agent.deb 2>&1")?;
    joined(container)?;
    container.run("dpkg --purge muster-agent 2>&1 && dpkg --install /root/1/muster-agent.deb 2>&1")?;
    container.run("cp /root/spent.json /etc/muster/join.json")?;
    container.until(30, "systemctl is-failed --quiet muster-agent-enroll")?;
    crate::check::pause(std::time::Duration::from_secs(5));
    container.run("systemctl is-failed --quiet muster-agent-enroll && test -e /etc/muster/join.json")?;
    let tries =
        container.says("journalctl --no-pager -o cat -u muster-agent-enroll | grep -c 'exited, code=exited, status=5'");
    ensure!(tries == "1", "{tries} tries");
    Ok("one try, the unit says failed, the file is kept".into())
}
