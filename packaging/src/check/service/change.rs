//! An upgrade, a removal, a purge, and the same packages again.

use super::Promise;
use super::container::Container;
use anyhow::{Result, ensure};

/// In this order.
pub(super) const PROMISES: &[Promise] = &[
    ("upgrade", upgrade),
    ("removed, the agent keeps its identity", remove),
    ("purged, its keys are gone", purge),
    ("purged, the collector's data are there", purge_collector),
    ("installed again", again),
];

/// Who the agent is to itself.
const AGENT: &str = "muster-agent status --output json | grep -E '\"(agent|generation)\"'";
/// Which assets there are.
const ASSETS: &str = "muster assets list --output json | grep -E '\"id\"' | head -1";
const MADE: &str = "muster-agent status --output json | sed -n 's/.*\"records_made\": *\\([0-9]*\\).*/\\1/p'";

fn upgrade(container: &Container) -> Result<String> {
    let config = "md5sum /etc/muster/agent.toml /etc/muster/muster.toml";
    let before = [container.run(AGENT)?, container.run(ASSETS)?, container.run(config)?];
    let made: u64 = container.run(MADE)?.parse()?;
    let processes = |unit: &str| container.property(unit, "MainPID");
    let old = [processes("muster"), processes("muster-agent")];
    container.run("dpkg --install /root/2/muster.deb /root/2/muster-agent.deb 2>&1")?;
    container.until(60, "systemctl is-active --quiet muster muster-agent")?;
    ensure!(old != [processes("muster"), processes("muster-agent")], "nothing was restarted");
    container.until(60, "muster-agent check")?;
    let after = [container.run(AGENT)?, container.run(ASSETS)?, container.run(config)?];
    ensure!(before == after, "{before:?} became {after:?}");
    let later: u64 = container.run(MADE)?.parse()?;
    ensure!(later >= made, "records made: {made}, then {later}");
    let version = container.run("dpkg-query -W -f '${Package} ${Version} ' muster muster-agent")?;
    Ok(format!("{version}: same agent, asset and configuration; records {made} -> {later}"))
}

fn remove(container: &Container) -> Result<String> {
    container.run("dpkg --remove muster-agent 2>&1")?;
    let active = container.says("systemctl is-active muster-agent");
    ensure!(active != "active", "it runs on");
    container.run("test -s /var/lib/muster-agent/identity.json && test -s /etc/muster/agent.toml")?;
    let left = container.says("systemctl list-units --no-legend --all 'muster-agent*'");
    ensure!(!left.contains("running"), "{left}");
    Ok("stopped; identity and configuration are there".into())
}

fn purge(container: &Container) -> Result<String> {
    container.run("dpkg --purge muster-agent 2>&1")?;
    let left = container
        .says("ls -d /var/lib/muster-agent /run/muster-agent /etc/muster/agent.toml /etc/muster/join.json 2>/dev/null");
    ensure!(left.is_empty(), "{left}");
    let units = container.says("find /etc/systemd /var/lib/systemd/deb-systemd-helper-enabled -name 'muster-agent*'");
    ensure!(units.is_empty(), "{units}");
    Ok("state, tape, configuration, enabled units: all gone".into())
}

fn purge_collector(container: &Container) -> Result<String> {
    let said = container.run("dpkg --purge muster 2>&1")?;
    ensure!(said.contains("rm -r /var/lib/muster"), "it does not say where the register is: {said}");
    container.run("test -s /var/lib/muster/muster.db && test -d /var/lib/muster/pki")?;
    Ok("register and keys are there, and it says how to remove them".into())
}

fn again(container: &Container) -> Result<String> {
    container.run("dpkg --install /root/2/muster.deb /root/2/muster-agent.deb 2>&1")?;
    container.until(60, "systemctl is-active --quiet muster muster-agent muster.socket")?;
    container.run("muster join create --file /root/join.json && muster-agent enroll --join /root/join.json")?;
    container.until(60, "muster-agent check")?;
    let assets = container.run("muster assets list --output csv | sed 1d | wc -l")?;
    Ok(format!("enrolled anew at the same register, assets: {assets}"))
}
