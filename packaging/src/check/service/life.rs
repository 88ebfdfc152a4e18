//! What happens to a running service: it hangs, is killed, its collector is away, a unit of the machine fails.

use super::Promise;
use super::container::Container;
use anyhow::{Context, Result, ensure};
use std::time::{Duration, Instant};

/// In this order. The sockets are looked at while all the others run.
pub(super) const PROMISES: &[Promise] = &[
    ("a hanging agent is killed and begun anew", hang),
    ("a hanging collector is killed and begun anew", hang_collector),
    ("kill -9 of the agent", kill_agent),
    ("kill -9 of the collector", kill_collector),
    ("a failed unit becomes an incident, and its repair resolves it", unit),
    ("a collector that is away for 30 s", away),
    ("the agent never listens", listens),
];

/// A watchdog that bites while somebody waits for it.
fn bites(container: &Container, unit: &str) -> Result<String> {
    container.run(&format!(
        "mkdir -p /run/systemd/system/{unit}.service.d && printf '[Service]\\nWatchdogSec=4\\nRestartSec=1\\n' \
         > /run/systemd/system/{unit}.service.d/check.conf && systemctl daemon-reload && systemctl restart {unit}"
    ))?;
    container.until(30, &format!("systemctl is-active --quiet {unit}"))?;
    let restarts = restarts(container, unit)?;
    let before = container.property(unit, "MainPID");
    let began = Instant::now();
    container.run(&format!("kill -STOP {before}"))?;
    container.until(40, &format!("test $(systemctl show --property=NRestarts --value {unit}) -gt {restarts}"))?;
    let killed = began.elapsed().as_secs_f64();
    container.until(40, &format!("systemctl is-active --quiet {unit}"))?;
    container.run(&format!("journalctl --no-pager -u {unit} | grep -q 'Watchdog timeout'"))?;
    container.run(&format!("rm -r /run/systemd/system/{unit}.service.d && systemctl daemon-reload"))?;
    Ok(format!("with WatchdogSec=4 anew after {killed:.1} s"))
}

fn hang(container: &Container) -> Result<String> {
    bites(container, "muster-agent")
}

fn hang_collector(container: &Container) -> Result<String> {
    bites(container, "muster")
}

fn restarts(container: &Container, unit: &str) -> Result<u32> {
    container.property(unit, "NRestarts").parse().context("a number of restarts")
}

fn killed(container: &Container, unit: &str) -> Result<String> {
    let before = restarts(container, unit)?;
    let began = Instant::now();
    container.run(&format!("systemctl kill --signal=KILL {unit}"))?;
    container.until(60, &format!("test $(systemctl show --property=NRestarts --value {unit}) -gt {before}"))?;
    container.until(60, &format!("systemctl is-active --quiet {unit}"))?;
    Ok(format!("active again after {:.1} s (RestartSec=5)", began.elapsed().as_secs_f64()))
}

fn kill_agent(container: &Container) -> Result<String> {
    killed(container, "muster-agent")
}

fn kill_collector(container: &Container) -> Result<String> {
    let said = killed(container, "muster")?;
    let listed = container.run("muster assets list --output csv | sed 1d")?;
    ensure!(listed.lines().count() == 1, "the register has {listed:?}");
    Ok(format!("{said}, its register as before"))
}

const FAILING: &str = "printf '[Service]\\nType=oneshot\\nExecStart=/bin/false\\n' > /etc/systemd/system/nightly.service \
                       && systemctl daemon-reload && ! systemctl start nightly";

fn unit(container: &Container) -> Result<String> {
    container.run(FAILING)?;
    let began = Instant::now();
    let opened = container.until(120, "muster tickets list --open --output csv | grep -i nightly")?;
    let open_s = began.elapsed().as_secs_f64();
    container.run(
        "printf '[Service]\\nType=oneshot\\nExecStart=/bin/true\\n' > /etc/systemd/system/nightly.service \
                   && systemctl daemon-reload && systemctl start nightly",
    )?;
    let began = Instant::now();
    container.until(180, "muster tickets list --output csv | grep -i nightly | grep -q resolved")?;
    Ok(format!("open after {open_s:.1} s, resolved {:.1} s after the repair: {opened}", began.elapsed().as_secs_f64()))
}

fn away(container: &Container) -> Result<String> {
    container.run("systemctl stop muster")?;
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(30) {
        crate::check::pause(Duration::from_secs(1));
    }
    ensure!(container.says("systemctl is-active muster-agent") == "active", "the agent ended");
    container.run("systemctl start muster")?;
    let contact = "muster-agent status --output json";
    let then = container.says("date -u +%Y-%m-%dT%H:%M:%S");
    let began = Instant::now();
    let heard = "date -u -d \"$(muster-agent status --output json | sed -n 's/.*\"last_contact\": *\"\\([^\"]*\\)\".*/\\1/p')\" +%Y-%m-%dT%H:%M:%S";
    container
        .until(180, &format!("h=$({heard}); test -n \"$h\" && expr \"$h\" '>' {then} >/dev/null"))
        .with_context(|| container.says(contact))?;
    Ok(format!("heard again {:.1} s after it was back", began.elapsed().as_secs_f64()))
}

/// Sampled each second since the boot, by [`sample`].
fn listens(container: &Container) -> Result<String> {
    let samples = container.run("systemctl stop sampler; grep -c '^sample' /run/sampled")?;
    let seen = container.says("grep muster-agent /run/sampled | head -3");
    ensure!(seen.is_empty(), "{seen}");
    container
        .run("grep -q '\"muster\"' /run/sampled")
        .context("not even the collector was seen: the samples are no good")?;
    Ok(format!("not once in {samples} samples of ss -lntup and ss -lxp, a second apart"))
}

/// Begins to sample.
pub(super) fn sample(container: &Container) -> Result<String> {
    container.run(
        "systemd-run --quiet --unit=sampler sh -c 'while :; do echo sample; ss -Hlntup; ss -Hlxp; sleep 1; done > /run/sampled'",
    )
}
