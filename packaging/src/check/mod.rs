//! Long checks: run by hand or for a release, never by CI. Each prints its figures, one a line, with PASS, FAIL
//! or SKIP and the reason.

pub mod abuse;
pub mod agent;
pub mod backup;
mod content;
pub mod crash;
pub mod enroll;
pub mod faults;
mod fleet;
pub mod flips;
pub mod here;
pub mod load;
pub mod planted;
pub mod powercut;
mod promise;
mod recordings;
mod resident;
mod scene;
pub mod security;
pub mod service;
pub mod small;
pub mod spool;
pub mod stranger;
mod wire;

use anyhow::{Context, Result, ensure};
use clap::Subcommand;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The long checks.
#[derive(Subcommand)]
pub enum Check {
    /// Floods, slow connections, herds, bad links, wrong clocks, hostile files: promise by promise.
    Abuse(abuse::Abuse),
    /// The agent's cost: CPU, memory, children, size, bytes sent, beside fusioninventory-agent where it is installed.
    Agent,
    /// What a backup costs while agents report, and that a bad one is refused.
    Backup(backup::Backup),
    /// What was acknowledged survives kill -9 of the collector, once.
    Crash(crash::Crash),
    /// A fleet that enrolls and reports for the first time, all at once, is in the register, whole.
    Enroll(enroll::Enroll),
    /// An error of the disk at any system call loses nothing that was acknowledged.
    Faults(faults::Faults),
    /// Single bits that flip on the disk: found, and never told as good.
    Flips(flips::Flips),
    /// What the agent tells of this machine, against what the machine's own tools say.
    Here(here::Here),
    /// What a fleet over mutual TLS gets from one collector, beside bare SQLite in the same run.
    Load(load::Load),
    /// The agent as a resident service: memory, CPU, wake-ups and disk writes, beside node_exporter and zabbix_agentd.
    Resident(resident::Resident),
    /// The checks turn red when a bug is planted: a copy is built for each.
    Planted(planted::Planted),
    /// What was acknowledged survives a power cut at any point, of the collector and of the agent.
    Powercut(powercut::Powercut),
    /// One table of what the agent reads from recordings of other machines, against what others read from them.
    Recordings,
    /// The agent lives through a full disk, files that may not grow, few descriptors and little memory.
    Small(small::Small),
    /// What an agent spools while the collector is away arrives once, through any number of kills.
    Spool(spool::Spool),
    /// The README's `## Run it` as a stranger runs it, in a bare root of Debian: timed, twice.
    Stranger(stranger::Stranger),
    /// The README's two commands on a fresh clone on this machine, timed.
    Commands(stranger::Commands),
    /// What the security page promises, promise by promise, on the real binaries.
    Security(security::Security),
    /// The packages in a container with a real systemd: installed, enrolled, killed, upgraded, purged.
    Service(service::Service),
}

/// Runs one.
///
/// # Errors
/// A figure that was missed, or a step that could not be run.
pub fn run(check: &Check) -> Result<()> {
    match check {
        Check::Abuse(abuse) => abuse::run(abuse),
        Check::Agent => agent::run(),
        Check::Backup(backup) => backup::run(backup),
        Check::Crash(crash) => crash::run(crash),
        Check::Enroll(enroll) => enroll::run(enroll),
        Check::Faults(faults) => faults::run(faults),
        Check::Flips(flips) => flips::run(flips),
        Check::Here(here) => here::run(here),
        Check::Load(load) => load::run(load),
        Check::Resident(resident) => resident::run(resident),
        Check::Planted(planted) => planted::run(planted),
        Check::Powercut(powercut) => powercut::run(powercut),
        Check::Recordings => recordings::run(),
        Check::Small(small) => small::run(small),
        Check::Spool(spool) => spool::run(spool),
        Check::Stranger(stranger) => stranger::run(stranger),
        Check::Commands(commands) => stranger::commands(commands),
        Check::Security(security) => security::run(security),
        Check::Service(service) => service::run(service),
    }
}

/// Builds these packages with the profile that this program was built with, and says where their binaries are.
///
/// # Errors
/// One does not build.
fn build(packages: &[&str]) -> Result<PathBuf> {
    let mut command = Command::new("cargo");
    command.args(["build", "--quiet"]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    packages.iter().for_each(|package| {
        command.args(["-p", package]);
    });
    ensure!(command.status().context("cargo")?.success(), "{} does not build", packages.join(", "));
    let own = std::env::current_exe().context("own path")?;
    Ok(own.parent().context("target folder")?.to_owned())
}

/// What is measured beside machines that were not optimised is not what a fleet would see: runs the same check again,
/// built for release, in one build with the binaries that it looks at.
///
/// # Errors
/// It does not build, or fails there.
fn as_released() -> Result<()> {
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--quiet", "--release", "-p", "packaging", "-p", "collector", "-p", "agent"]);
    ensure!(cargo.status().context("cargo")?.success(), "it does not build");
    let own = std::env::current_exe().context("own path")?;
    let release = own.parent().and_then(Path::parent).context("target folder")?.join("release");
    let mut check = Command::new(release.join("packaging"));
    check.args(std::env::args_os().skip(1));
    ensure!(
        check.status().context("the check as built for release")?.success(),
        "the check as built for release failed"
    );
    Ok(())
}

/// Waits before something is looked at again.
#[expect(clippy::disallowed_methods, reason = "another process is watched, which tells nobody when it is so far")]
pub fn pause(span: Duration) {
    std::thread::sleep(span);
}

/// Prints one figure and says whether it holds.
pub fn figure(name: &str, value: f64, unit: &str, at_most: f64) -> bool {
    let holds = value <= at_most;
    println!("{} {name}: {value:.2} {unit} (at most {at_most} {unit})", if holds { "PASS" } else { "FAIL" });
    holds
}
