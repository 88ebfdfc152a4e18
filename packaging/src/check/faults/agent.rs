//! One cycle of an agent whose disk fails once: it enrolls, reports and renews, and after a clean restart the collector
//! holds everything and calls nothing a fork.

use super::{Came, Fault, injected, options};
use crate::check::powercut::strace;
use agent::state::position::PositionFile;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tests::World;

/// Long enough for a report and a renewal of certificates that live [`CERTIFICATES`].
const RUN: Duration = Duration::from_millis(4_500);
const CERTIFICATES: &str = "agents.certificate_s = 6";
/// Until everything is held after a clean restart.
const SETTLE: Duration = Duration::from_secs(20);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);
/// What is slow to look at is left out: this is about the disk.
const SETTINGS: &str =
    "disabled = [\"dpkg\", \"services\", \"ports\", \"disks\", \"health_services\", \"health_disks\"]\n";

/// A collector that all agents of the sweep report to.
pub(super) struct House {
    world: World,
    agent: PathBuf,
}

/// A process that ends with the cycle.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl House {
    pub(super) fn open(folder: &Path) -> Result<House> {
        tests::take_binaries_from(folder.to_owned());
        Ok(House { world: World::with(CERTIFICATES), agent: folder.join("muster-agent") })
    }

    pub(super) fn cycle(&self, fault: Fault, dir: &Path) -> Result<Came> {
        let name = format!("{}-{}-{}", fault.call, fault.error, fault.number);
        let agent = self.world.stranger(&name);
        let text = fs::read_to_string(&agent.config)? + SETTINGS;
        fs::write(&agent.config, text)?;
        let join = self.world.path(&format!("{name}.json"));
        self.world.muster(&["join", "create", "--file", &join.display().to_string()]);
        let mut first = Vec::new();
        let log = dir.join("enroll");
        let script = strace::wrap(&self.agent, dir, &options(fault, &files(fault, &agent.state), &log))?;
        let enroll = |program: &Path| {
            let mut command = Command::new(program);
            command.arg("--config").arg(&agent.config).args(["enroll", "--join"]).arg(&join).output()
        };
        let enrolled = enroll(&script).context("enroll")?;
        strace::finished(&log)?;
        first.extend(injected(&log));
        if !enrolled.status.success() {
            let again = enroll(&self.agent).context("enroll")?;
            let said = String::from_utf8_lossy(&again.stderr).into_owned();
            // It may have got so far that the next start finishes it.
            let holds = again.status.success() || said.contains("already enrolled");
            ensure!(holds, "after {first:?} it does not enroll: {said}");
        }
        let log = dir.join("run");
        let script = strace::wrap(&self.agent, dir, &options(fault, &files(fault, &agent.state), &log))?;
        let mut running = self.run(&script, &agent.config)?;
        crate::check::pause(RUN);
        let ended = running.0.try_wait().context("the agent")?;
        drop(running);
        strace::finished(&log)?;
        first.extend(injected(&log));
        let Some(first) = first.first() else { return Ok(Came::Never) };
        let _again = self.run(&self.agent, &agent.config)?;
        self.settles(&agent.state).with_context(|| format!("after {first}"))?;
        Ok(Came::Well(match ended {
            Some(_) => "ended and restarted cleanly",
            None => "kept running, everything held after a restart",
        }))
    }

    fn run(&self, program: &Path, config: &Path) -> Result<Running> {
        let mut command = Command::new(program);
        command.arg("--config").arg(config).arg("run");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Running(command.spawn().context("muster-agent run")?))
    }

    /// Waits until the collector holds all that was made and takes this agent for what it is.
    fn settles(&self, state: &Path) -> Result<()> {
        let until = Instant::now() + SETTLE;
        let id = fs::read_to_string(state.join("identity.json")).context("the identity")?;
        let id: serde_json::Value = serde_json::from_str(&id)?;
        let id = id["agent"].as_str().context("its id")?.to_owned();
        loop {
            let position = PositionFile::peek(&state.join("position"));
            let held = position.is_some_and(|position| position.made > 0 && position.made == position.acknowledged);
            let agent = self.world.get(&format!("/v1/agents/{id}"))?;
            let active = agent["state"] == "active";
            let trouble = agent::state::status::Status::load(state).trouble;
            if held && active && trouble.is_none() {
                return Ok(());
            }
            ensure!(Instant::now() < until, "{position:?}, {}, {trouble:?}", agent["state"]);
            crate::check::pause(LOOK);
        }
    }
}

/// Where opening fails: what must not be lost, and what is replaced whole. Any other call may fail anywhere, because
/// temporary files have names that nobody can guess, and nothing else is written.
fn files(fault: Fault, state: &Path) -> Vec<PathBuf> {
    if fault.call != "openat" {
        return Vec::new();
    }
    let names = [
        "identity.json",
        "key.pem",
        "cert.pem",
        "next-key.pem",
        "next-cert.pem",
        "next.json",
        "position",
        "spool",
        "lock",
        "reserve",
        "status.json",
        "told",
    ];
    names.iter().map(|name| state.join(name)).chain([state.to_owned()]).collect()
}
