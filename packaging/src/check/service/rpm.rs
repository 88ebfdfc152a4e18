//! The rpm packages: their own scripts with their own arguments, called by rpm itself. The machine is Debian, whose rpm is
//! told to use the container as its root; what an rpm distribution does otherwise is not seen here.

use super::container::{self, Container};
use super::packages::Packages;
use super::said;
use anyhow::{Result, ensure};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// Installs, upgrades and removes them; how many promises do not hold.
pub(super) fn run(root: &Path, packages: &Packages) -> Result<usize> {
    if Command::new("rpm").arg("--version").output().is_err() {
        println!("SKIP rpm: rpm is not installed");
        return Ok(0);
    }
    if !packages.first.contains_key("muster-agent.rpm") {
        println!("SKIP rpm: there are no rpm packages in --deb-dir");
        return Ok(0);
    }
    let container = container::copy(root, packages)?.boot()?;
    let steps: [(&str, Step); 3] =
        [("rpm: installed", installed), ("rpm: upgraded", upgraded), ("rpm: erased", erased)];
    let mut failed = 0;
    for (name, step) in steps {
        let began = Instant::now();
        failed += usize::from(!said(name, step(&container), began));
    }
    container.end()?;
    Ok(failed)
}

/// What is done in the container, and what is to be said of it.
type Step = fn(&Container) -> Result<String>;

/// rpm, which is the host's, on the container's root and in its namespaces.
fn rpm(container: &Container, args: &[&str]) -> Result<String> {
    let leader = container.leader().to_string();
    let root = format!("/proc/{leader}/root");
    let mut command = Command::new("nsenter");
    // Not the mount namespace: rpm and its files are the host's. It changes its root before it runs a script.
    command.args(["-t", &leader, "-u", "-i", "-n", "-p", "rpm", "--root", &root, "--nodeps"]).args(args);
    container::success(command.env("LC_ALL", "C.UTF-8"))
}

fn files(container: &Container, number: u32) -> [String; 2] {
    // Read before the root is changed.
    let folder = format!("/proc/{}/root/root/{number}", container.leader());
    [format!("{folder}/muster.rpm"), format!("{folder}/muster-agent.rpm")]
}

fn installed(container: &Container) -> Result<String> {
    let [collector, agent] = files(container, 1);
    rpm(container, &["--install", &collector, &agent])?;
    container.until(60, "systemctl is-active --quiet muster muster.socket muster-agent muster-agent-enroll.path")?;
    container.run("systemctl is-enabled muster muster-agent muster-agent-probe.timer")?;
    container.run("muster join create --file /etc/muster/join.json")?;
    container.until(60, "muster-agent check && test ! -e /etc/muster/join.json")?;
    Ok("active, enabled, joined by a join file".into())
}

fn upgraded(container: &Container) -> Result<String> {
    let who = "muster-agent status --output json | grep '\"agent\"'; cat /etc/muster/muster.toml | md5sum";
    container.run("echo '# mine' >> /etc/muster/muster.toml")?;
    let before = container.run(who)?;
    let process = container.property("muster-agent", "MainPID");
    let [collector, agent] = files(container, 2);
    rpm(container, &["--upgrade", &collector, &agent])?;
    container.until(60, "systemctl is-active --quiet muster muster-agent")?;
    container.run("systemctl is-enabled muster muster-agent")?;
    ensure!(container.property("muster-agent", "MainPID") != process, "the agent was not restarted");
    let after = container.run(who)?;
    ensure!(before == after, "{before} became {after}");
    Ok("restarted, enabled as before, same agent, edited settings kept".into())
}

fn erased(container: &Container) -> Result<String> {
    rpm(container, &["--erase", "muster", "muster-agent"])?;
    ensure!(container.says("systemctl is-active muster-agent") != "active", "the agent runs on");
    container.run("test -s /var/lib/muster/muster.db && test -s /var/lib/muster-agent/identity.json")?;
    let units = container.says("find /etc/systemd -name 'muster*'");
    ensure!(units.is_empty(), "{units}");
    Ok("stopped, disabled; register and identity are there".into())
}
