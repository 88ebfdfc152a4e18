//! One cycle of an agent whose disk fails once: it enrolls, reports and renews, and after a clean restart the collector
//! holds everything and calls nothing a fork.
//!
//! Two processes, `enroll` and `run`, and the call fails in each that comes so far; the first ends by itself and the
//! second is killed as soon as it has reported and renewed. What counts is a call that failed below the state
//! directory. One that failed elsewhere (a socket, the standard output) must not harm either, and is counted apart.

use super::{Came, Fault, injected, options};
use crate::check::powercut::strace;
use agent::state::position::PositionFile;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};
use tests::World;

/// Certificates live so short that one is renewed at once.
const CERTIFICATES: &str = "agents.certificate_s = 4";
/// Until a report is held and the identity renewed, where no fault hinders it.
const RUN: Duration = Duration::from_secs(8);
/// Until everything is held after a clean restart.
const SETTLE: Duration = Duration::from_secs(30);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);
/// The exit code of a state directory that cannot be used.
const STATE: i32 = 8;
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

/// Calls that failed, as strace wrote them.
#[derive(Default)]
struct Failed {
    /// Below the state directory.
    here: Vec<String>,
    /// Elsewhere.
    there: usize,
}

impl Failed {
    fn add(&mut self, log: &Path, state: &Path) {
        let state = format!("{}", state.display());
        let (here, there): (Vec<_>, Vec<_>) = injected(log).into_iter().partition(|line| line.contains(&state));
        self.here.extend(here);
        self.there += there.len();
    }

    fn first(&self) -> &str {
        self.here.first().map_or("a call elsewhere", String::as_str)
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
        let mut failed = Failed::default();
        let refused = self.enroll(fault, dir, (&agent.config, &agent.state), &mut failed)?;
        let log = dir.join("run");
        let script = strace::wrap(&self.agent, dir, &options(fault, &files(fault, &agent.state), &log))?;
        let mut running = self.run(&script, &agent.config, &dir.join("first"))?;
        let ended = until_renewed(&mut running, &agent.state)?;
        drop(running);
        strace::finished(&log)?;
        failed.add(&log, &agent.state);
        if failed.here.is_empty() && failed.there == 0 {
            ensure!(ended.is_none() && !refused, "nothing failed, yet it ended: {}", said(&dir.join("first")));
            return Ok(Came::Never);
        }
        let mut again = self.run(&self.agent, &agent.config, &dir.join("second"))?;
        let settled = self.settles(&mut again, &agent.state);
        settled.with_context(|| format!("after {}: {}", failed.first(), said(&dir.join("second"))))?;
        Ok(match ended {
            _ if failed.here.is_empty() => Came::Well("failed elsewhere and did no harm"),
            Some(status) if status.code() == Some(STATE) => Came::Well("ended with code 8 and restarted cleanly"),
            Some(status) => {
                Came::Ill(format!("it ended with {status} after {}: {}", failed.first(), said(&dir.join("first"))))
            }
            None if refused => Came::Well("enrolled at the second try"),
            None => Came::Well("kept running, everything held after a restart"),
        })
    }

    /// Enrolls with the fault, and once more without it where that did not work; whether it took that.
    fn enroll(&self, fault: Fault, dir: &Path, (config, state): (&Path, &Path), failed: &mut Failed) -> Result<bool> {
        let (join, log) = (state.with_extension("json"), dir.join("enroll"));
        self.world.muster(&["join", "create", "--file", &join.display().to_string()]);
        let script = strace::wrap(&self.agent, dir, &options(fault, &files(fault, state), &log))?;
        let enroll = |program: &Path| {
            let mut command = Command::new(program);
            command.arg("--config").arg(config).args(["enroll", "--join"]).arg(&join).output().context("enroll")
        };
        let enrolled = enroll(&script)?;
        strace::finished(&log)?;
        failed.add(&log, state);
        if enrolled.status.success() {
            ensure!(failed.here.is_empty() || is_tolerable(fault), "it enrolled in spite of {}", failed.first());
            return Ok(false);
        }
        let right = failed.here.is_empty() || enrolled.status.code() == Some(STATE);
        ensure!(right, "after {} enroll ended with {}: {}", failed.first(), enrolled.status, error_of(&enrolled));
        let again = enroll(&self.agent)?;
        // It may have got so far that it had done all its work, or that the next start finishes it.
        let holds = again.status.success() || error_of(&again).contains("already enrolled");
        ensure!(holds, "after {} it does not enroll: {}", failed.first(), error_of(&again));
        Ok(true)
    }

    fn run(&self, program: &Path, config: &Path, log: &Path) -> Result<Running> {
        let mut command = Command::new(program);
        command.arg("--config").arg(config).arg("run");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(fs::File::create(log).context("a log")?);
        Ok(Running(command.spawn().context("muster-agent run")?))
    }

    /// Waits until the collector holds all that was made and takes this agent for what it is.
    fn settles(&self, again: &mut Running, state: &Path) -> Result<()> {
        let until = Instant::now() + SETTLE;
        let id = identity(state)?["agent"].as_str().context("its id")?.to_owned();
        loop {
            let agent = self.world.get(&format!("/v1/agents/{id}"))?;
            let trouble = agent::state::status::Status::load(state).trouble;
            if is_held(state) && agent["state"] == "active" && trouble.is_none() {
                return Ok(());
            }
            if let Some(status) = again.0.try_wait().context("the agent")? {
                bail!("the restart ended with {status}");
            }
            let position = PositionFile::peek(&state.join("position"));
            ensure!(Instant::now() < until, "{position:?}, {}, {trouble:?}", agent["state"]);
            crate::check::pause(LOOK);
        }
    }
}

/// Waits until it has reported and renewed, or for as long as that takes; how it ended, if it did by itself.
fn until_renewed(running: &mut Running, state: &Path) -> Result<Option<ExitStatus>> {
    let until = Instant::now() + RUN;
    let generation = |state: &Path| identity(state).ok().and_then(|identity| identity["generation"].as_u64());
    while Instant::now() < until && !(is_held(state) && generation(state).is_some_and(|renewed| renewed > 1)) {
        if let Some(status) = running.0.try_wait().context("the agent")? {
            return Ok(Some(status));
        }
        crate::check::pause(LOOK);
    }
    running.0.try_wait().context("the agent")
}

fn is_held(state: &Path) -> bool {
    let position = PositionFile::peek(&state.join("position"));
    position.is_some_and(|position| position.made > 0 && position.made == position.acknowledged)
}

fn identity(state: &Path) -> Result<Value> {
    let text = fs::read_to_string(state.join("identity.json")).context("the identity")?;
    serde_json::from_str(&text).context("the identity")
}

fn error_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn said(log: &Path) -> String {
    fs::read_to_string(log).unwrap_or_default()
}

/// Whether a verb may do its work in spite of this fault: for an identity that finds no room a reserve is given up,
/// and a folder that is there already need not be made.
fn is_tolerable(fault: Fault) -> bool {
    fault.error == "ENOSPC" || fault.call == "mkdir"
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
