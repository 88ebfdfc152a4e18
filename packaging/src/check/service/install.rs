//! Installed, enrolled, first report.

use super::Promise;
use super::container::Container;
use anyhow::{Result, ensure};

/// In this order.
pub(super) const PROMISES: &[Promise] = &[
    ("agent before enrollment waits", waits),
    ("collector installed", collector),
    ("doctor", doctor),
    ("one line enrolls, as root", enroll),
    ("first report", report),
    ("units come up at boot", enabled),
];

/// Short times, as edits of the configurations that an upgrade must keep.
const SETTINGS: &str = r#"
sed -i 's/^# short_times = false/short_times = true/; s/^# checkin_s = 300/checkin_s = 5/; s/^# health_s = 15/health_s = 2/;
        s/^# reports = 2/reports = 1/; s/^# clear_s = 900/clear_s = 5/; s/^# checkin_every_ms = 10000/checkin_every_ms = 100/' /etc/muster/muster.toml
"#;
/// The same for the agent.
const AGENT_SETTINGS: &str =
    "sed -i 's/^# checkin_s = 300/checkin_s = 5/; s/^# health_s = 15/health_s = 2/' /etc/muster/agent.toml";

fn waits(container: &Container) -> Result<String> {
    container.run("dpkg --install /root/1/muster-agent.deb 2>&1")?;
    container.until(20, "systemctl is-active --quiet muster-agent")?;
    let began = std::time::Instant::now();
    while began.elapsed().as_secs() < 30 {
        crate::check::pause(std::time::Duration::from_secs(1));
        ensure!(container.says("systemctl is-active muster-agent") == "active", "it does not stay");
    }
    let restarts = container.property("muster-agent", "NRestarts");
    ensure!(restarts == "0", "{restarts} restarts");
    let user = container.says("stat -c %U /proc/$(systemctl show --property=MainPID --value muster-agent)");
    ensure!(user == "muster-agent", "it runs as {user}");
    Ok(format!("30 s, 0 restarts, {}", container.property("muster-agent", "StatusText")))
}

fn collector(container: &Container) -> Result<String> {
    container.run("dpkg --install /root/1/muster.deb 2>&1")?;
    container.run(SETTINGS)?;
    container.run("systemctl restart muster")?;
    container.until(30, "systemctl is-active --quiet muster muster.socket")?;
    let socket = container.run("stat -c '%U:%G %a' /run/muster/admin.sock")?;
    ensure!(socket == "root:muster-admin 660", "the admin socket is {socket}");
    let config = container.run("stat -c '%U:%G %a' /etc/muster/muster.toml")?;
    ensure!(config == "root:muster 640", "muster.toml is {config}");
    Ok(format!("active; admin socket {socket}, muster.toml {config}"))
}

fn doctor(container: &Container) -> Result<String> {
    let said = container.run("muster doctor --output csv")?;
    ensure!(!said.contains("FAIL"), "{said}");
    let backup = "rm -rf /var/backups/m && mkdir -p /var/backups/m && muster backup create /var/backups/m/db >/dev/null \
                  && find /var/lib/muster ! -user muster";
    let foreign = container.run(backup)?;
    ensure!(foreign.is_empty(), "after a backup by root these are not the collector's: {foreign}");
    Ok(format!("{} checks, none failed; a backup by root left all to muster", said.lines().count() - 1))
}

fn enroll(container: &Container) -> Result<String> {
    container.run(AGENT_SETTINGS)?;
    container.run("systemctl restart muster-agent")?;
    container.run("muster join create --file /root/join.json && muster-agent enroll --join /root/join.json")?;
    container.run("test ! -e /root/join.json")?;
    let foreign = container.run("find /var/lib/muster-agent ! -user muster-agent")?;
    ensure!(foreign.is_empty(), "not the agent's: {foreign}");
    let mode = container.run("stat -c '%U:%G %a' /var/lib/muster-agent")?;
    Ok(format!("join file gone; /var/lib/muster-agent {mode}, all in it muster-agent's"))
}

fn report(container: &Container) -> Result<String> {
    let listed = container.until(60, "muster assets list --output csv | sed 1d | grep .")?;
    ensure!(listed.lines().count() == 1, "{listed}");
    let tape = container.run("stat -c '%U:%G %a' /run/muster-agent /run/muster-agent/root.tape | paste -sd' '")?;
    ensure!(tape == "root:muster-agent 750 root:muster-agent 640", "/run/muster-agent and its tape: {tape}");
    Ok(format!("one asset; root's tape {tape}"))
}

fn enabled(container: &Container) -> Result<String> {
    let units = "muster.service muster.socket muster-agent.service muster-agent-probe.timer muster-agent-enroll.path \
                 muster-agent-enroll.service";
    container.run(&format!("systemctl is-enabled {units}"))?;
    Ok(format!("enabled: {units}"))
}
