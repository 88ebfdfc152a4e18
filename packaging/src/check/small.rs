//! Whether an agent lives through a machine that gives it too little: a full disk, files that may not grow, few
//! descriptors, little memory. It must stay up, keep to its quota, and report as soon as it may.
//!
//! A limit is put on the running process and taken from it again (prlimit), the full disk is a small tmpfs in a mount
//! namespace. Does not know what the agent writes.

use super::figure;
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tests::{Agent, World};

/// How long a limit stands.
const LIMITED: Duration = Duration::from_secs(5);
/// Until everything is held once it is gone.
const SETTLE: Duration = Duration::from_secs(40);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);
/// The disk, in MiB, and the agent's quota on it.
const DISK_MIB: u64 = 8;
const QUOTA_BYTES: u64 = 1024 * 1024;
/// What else the state directory may hold, in KiB: keys, reserve, sections that were told.
const REST_KIB: u64 = 1024;

/// What is checked.
#[derive(Debug, Clone, Args)]
pub struct Small {
    /// A folder with `muster` and `muster-agent` to check instead of those that are built now.
    #[arg(long, value_name = "FOLDER")]
    binaries: Option<PathBuf>,
}

/// A limit and a name for it.
const LIMITS: &[(&str, &str)] = &[
    ("files of 0 bytes (RLIMIT_FSIZE)", "--fsize=0:"),
    ("files of 16 KiB (RLIMIT_FSIZE)", "--fsize=16384:"),
    ("12 descriptors (RLIMIT_NOFILE)", "--nofile=12:"),
    ("3 descriptors (RLIMIT_NOFILE)", "--nofile=3:"),
];

/// Memory from the start on: more than it needs, less than a leak would take.
const ADDRESS_SPACE: &str = "--as=134217728";

/// Checks each.
///
/// # Errors
/// A limit that it did not live through, or a step that could not be run.
pub fn run(small: &Small) -> Result<()> {
    let folder = match &small.binaries {
        Some(folder) => folder.clone(),
        None => super::build(&["agent", "collector"])?,
    };
    tests::take_binaries_from(folder);
    let world = World::start();
    let mut good = true;
    for (number, (name, limit)) in LIMITS.iter().enumerate() {
        good &= tell(name, limited(&world, &format!("limited-{number}"), limit));
    }
    good &= tell("128 MiB of address space (RLIMIT_AS)", address_space(&world));
    if !tests::is_root("a full disk of 8 MiB") {
        ensure!(good, "a limit was not lived through");
        return Ok(());
    }
    good &= tell("a full disk of 8 MiB (tmpfs)", full_disk(&world));
    ensure!(good, "a limit was not lived through");
    Ok(())
}

fn tell(name: &str, seen: Result<String>) -> bool {
    match &seen {
        Ok(seen) => println!("PASS {name}: {seen}"),
        Err(error) => println!("FAIL {name}: {error:#}"),
    }
    seen.is_ok()
}

/// An agent that ends with its check.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended, which is what was found.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(world: &World, agent: &Agent, before: &[&str]) -> Result<Running> {
    let binary = tests::binary("muster-agent");
    let log = fs::File::create(world.path("small.log"))?;
    let mut command = match before {
        [program, rest @ ..] => {
            let mut command = Command::new(program);
            command.args(rest).arg(binary);
            command
        }
        [] => Command::new(binary),
    };
    command.arg("--config").arg(&agent.config).arg("run");
    Ok(Running(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().context("muster-agent run")?))
}

/// The limit is there before the first report if it can be, and goes after a while.
fn limited(world: &World, name: &str, limit: &str) -> Result<String> {
    let agent = world.join(name);
    let mut running = start(world, &agent, &[])?;
    if limit.starts_with("--nofile") {
        // Without descriptors nothing can start; what runs must go on.
        settled(world, &mut running, &agent.state)?;
    }
    prlimit(&running, limit)?;
    super::pause(LIMITED);
    alive(world, &mut running)?;
    let free = limit.split('=').next().context("a limit")?.to_owned();
    // Back to the hard limit, which stood.
    let to = if free == "--nofile" { "--nofile=1024:" } else { "--fsize=unlimited:" };
    prlimit(&running, to)?;
    let after = settled(world, &mut running, &agent.state)?;
    Ok(format!("alive for {} s, everything held {:.1} s after it went", LIMITED.as_secs(), after.as_secs_f64()))
}

fn address_space(world: &World) -> Result<String> {
    let agent = world.join("memory");
    let mut running = start(world, &agent, &["prlimit", ADDRESS_SPACE])?;
    let after = settled(world, &mut running, &agent.state)?;
    Ok(format!("everything held after {:.1} s", after.as_secs_f64()))
}

fn prlimit(running: &Running, limit: &str) -> Result<()> {
    let mut prlimit = Command::new("prlimit");
    prlimit.args(["--pid", &running.0.id().to_string(), limit]);
    ensure!(prlimit.status().context("prlimit")?.success(), "prlimit {limit}");
    Ok(())
}

fn alive(world: &World, running: &mut Running) -> Result<()> {
    if let Some(status) = running.0.try_wait().context("the agent")? {
        bail!("it ended with {status}: {}", world.read("small.log"));
    }
    Ok(())
}

/// How long until the collector holds everything.
fn settled(world: &World, running: &mut Running, state: &Path) -> Result<Duration> {
    let began = Instant::now();
    loop {
        alive(world, running)?;
        let position = agent::state::position::PositionFile::peek(&state.join("position"));
        let status = agent::state::status::Status::load(state);
        if position.is_some_and(|position| position.made > 0 && position.made == position.acknowledged)
            && status.trouble.is_none()
            && status.last_contact.is_some()
        {
            return Ok(began.elapsed());
        }
        ensure!(began.elapsed() < SETTLE, "{position:?}, {:?}: {}", status.trouble, world.read("small.log"));
        super::pause(LOOK);
    }
}

/// A disk of its own in a mount namespace, filled to the last block while the agent runs.
fn full_disk(world: &World) -> Result<String> {
    let agent = world.stranger("disk");
    let text = fs::read_to_string(&agent.config)? + &format!("spool_bytes = {QUOTA_BYTES}\n");
    fs::write(&agent.config, text)?;
    let join = world.path("disk.json");
    world.muster(&["join", "create", "--file", &join.display().to_string()]);
    let script = format!(
        "set -e; mount -t tmpfs -o size={DISK_MIB}m,mode=700 tmpfs \"$1\"\n\
         \"$2\" --config \"$3\" enroll --join \"$4\" >&2\n\
         dd if=/dev/zero of=\"$1/filler\" bs=4096 2>/dev/null || true\n\
         \"$2\" --config \"$3\" run & agent=$!\n\
         sleep {}; kill -0 $agent; rm \"$1/filler\"; sleep {}; kill -0 $agent\n\
         du -sk \"$1\" | cut -f1; cat \"$1/status.json\"; kill -9 $agent\n",
        LIMITED.as_secs(),
        SETTLE.as_secs() / 2,
    );
    let mut unshare = Command::new("unshare");
    unshare.args(["-m", "sh", "-c", &script, "sh"]);
    unshare.args([&agent.state, &tests::binary("muster-agent"), &agent.config, &join]);
    let out = unshare.output().context("unshare")?;
    let (said, log) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    let (used, status) = said.split_once('\n').with_context(|| format!("it did not live: {log}"))?;
    let status: serde_json::Value = serde_json::from_str(status).with_context(|| format!("{said}: {log}"))?;
    ensure!(status["trouble"].is_null() && !status["last_contact"].is_null(), "{status}: {log}");
    let used: u64 = used.trim().parse().context("du")?;
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let kept = figure("state directory on the small disk", used as f64, "KiB", (QUOTA_BYTES / 1024 + REST_KIB) as f64);
    ensure!(kept, "more than its quota");
    Ok(format!("alive, reports again, {used} KiB"))
}
