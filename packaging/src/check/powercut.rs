//! Whether what was acknowledged survives a power cut: a real collector under load, recorded call by call; then its
//! state directory as a disk may have kept it, cut at many points of the recording, with three patterns of what was
//! not synced, and each opened again as a start does.
//!
//! Half of the points are those at which somebody has just been told that something is held; the others lie anywhere.
//! The same with the agent's state directory (see [`agent`]). What a disk does that lies about syncs is not known
//! here.

mod agent;
pub(in crate::check) mod dice;
mod disk;
mod ended;
mod record;
pub(in crate::check) mod strace;
mod trace;
mod verify;

use super::fleet::Collector;
use anyhow::{Context, Result, ensure};
use clap::Args;
use dice::Dice;
use disk::{Disk, Pattern};
use ended::Ended;
use record::Recording;
pub(in crate::check) use record::Told;
use std::path::{Path, PathBuf};
use std::time::Duration;
use trace::Trace;

/// A start after a power cut may take this long, in seconds.
const START_S_MAX: f64 = 5.0;
/// Points that the real binary starts on too.
const REAL_STARTS: usize = 10;
/// Faults that are told in full.
const SHOWN: usize = 5;

/// How many, and of what.
#[derive(Debug, Clone, Args)]
pub struct Powercut {
    /// Points at which the recording is cut.
    #[arg(long, default_value_t = 300)]
    points: usize,
    /// Patterns of what survives at each: nothing, a subset, torn writes.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=3))]
    patterns: u8,
    /// Machines that report at once.
    #[arg(long, default_value_t = 64)]
    agents: usize,
    /// Records that each of them tells.
    #[arg(long, default_value_t = 30)]
    records: u64,
    /// What chance is made of; the same number cuts the same recording at the same points.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A folder with `muster` and `muster-agent` to check instead of those that are built now.
    #[arg(long, value_name = "FOLDER")]
    binaries: Option<PathBuf>,
    /// Only the collector.
    #[arg(long, conflicts_with = "only_agent")]
    only_collector: bool,
    /// Only the agent.
    #[arg(long)]
    only_agent: bool,
    /// The part that is recorded when the agent's state directory is checked.
    #[arg(long, hide = true, value_name = "DIR")]
    agent_in: Option<PathBuf>,
}

/// What all points together show.
#[derive(Debug, Default)]
struct Sum {
    points: u64,
    lost: u64,
    twice: u64,
    corrupt: u64,
    slowest: Duration,
    said: usize,
}

/// Records, cuts and compares.
///
/// # Errors
/// A figure that was missed, or a step that could not be run.
pub fn run(powercut: &Powercut) -> Result<()> {
    if let Some(dir) = &powercut.agent_in {
        return agent::work(dir, powercut.seed);
    }
    if !strace::is_here() {
        println!("SKIP(strace is not installed, or may not trace) power cuts");
        return Ok(());
    }
    let mut good = true;
    if !powercut.only_agent {
        good &= of_collector(powercut)?;
    }
    if !powercut.only_collector {
        good &= agent::check(powercut)?;
    }
    ensure!(good, "a figure was missed");
    Ok(())
}

fn of_collector(powercut: &Powercut) -> Result<bool> {
    let binary = match &powercut.binaries {
        Some(folder) => folder.join("muster"),
        None => super::build(&["collector"])?.join("muster"),
    };
    let place = tempfile::tempdir().context("a temporary directory")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let recording =
        runtime.block_on(record::record(&binary, place.path(), powercut.agents, powercut.records.max(1)))?;
    let told = recording.acks.len();
    println!(
        "     {} calls on the collector's files recorded, {told} enrollments and records acknowledged to {} machines, \
         {} revocations and used tokens",
        recording.trace.calls.len(),
        powercut.agents,
        recording.ended.len()
    );
    let mut dice = Dice::new(powercut.seed);
    let cuts = points(&recording.trace, recording.told(), powercut.points, &mut dice);
    let mut sum = Sum::default();
    let (shm, laid) = memory()?;
    let real_every = (powercut.points * usize::from(powercut.patterns) / REAL_STARTS).max(1);
    let (mut at, mut real) = (0, 0);
    replay(&recording.trace, &[&recording.state], &cuts, |cut, disk| {
        let (acknowledged, over) = (recording.acknowledged(cut), recording.over(cut));
        for pattern in Pattern::ALL.iter().take(powercut.patterns.into()) {
            let files = disk.cut(*pattern, &mut dice);
            verify::lay(&files, &recording.state, &laid)?;
            sum.add(verify::collector(&laid, &recording.machines, &acknowledged, &over), || {
                format!("cut before line {cut}, {pattern:?}, seed {}", powercut.seed)
            });
            at += 1;
            if at % real_every == 0 {
                verify::lay(&files, &recording.state, &laid)?;
                sum.add(start(&binary, shm.path(), &recording, (&acknowledged, &over)), || {
                    format!("the binary itself, cut before line {cut}, {pattern:?}, seed {}", powercut.seed)
                });
                real += 1;
            }
        }
        Ok(())
    })?;
    println!("     {real} of them started with the real binary as well");
    Ok(sum.verdict("collector: ", powercut.seed, told > 0))
}

/// How many acknowledged records of one machine are lost in this state directory, or told twice.
///
/// # Errors
/// What is corrupt.
pub(in crate::check) fn held(state: &Path, machine: Told, acknowledged: u64) -> Result<u64> {
    let found = verify::collector(state, &[machine], &[Some(acknowledged)], &[])?;
    Ok(found.lost + found.twice)
}

/// The real binary on what lies there: it starts, and tells each agent that was told it has joined.
fn start(
    binary: &Path,
    dir: &Path,
    recording: &Recording,
    (acknowledged, over): (&[Option<u64>], &[&Ended]),
) -> Result<verify::Found> {
    let (collector, took) = Collector::start(binary, dir)?;
    let agents = collector.pages("/v1/agents")?;
    for (machine, _) in recording.machines.iter().zip(acknowledged).filter(|(_, seq)| seq.is_some()) {
        ensure!(agents.iter().any(|agent| agent["id"] == machine.id.as_str()), "agent {} is lost", machine.id);
    }
    ended::told_by(&collector, &dir.join("state"), over)?;
    collector.kill()?;
    Ok(verify::Found { start: took, ..verify::Found::default() })
}

/// A directory in memory if there is one, because what is laid there is thrown away; and the state directory in it.
fn memory() -> Result<(tempfile::TempDir, PathBuf)> {
    let place = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).context("a temporary directory")?;
    let state = place.path().join("state");
    Ok((place, state))
}

impl Recording {
    /// The lines at which somebody was told something; as many of endings as of all else, which are far more.
    fn told(&self) -> impl Iterator<Item = usize> {
        let times = self.acks.len() / self.ended.len().max(1);
        let ended = self.ended.iter().flat_map(move |(_, line)| std::iter::repeat_n(*line, times));
        self.acks.iter().map(|ack| ack.line).chain(ended)
    }

    /// What was told to have ended before this line.
    fn over(&self, cut: usize) -> Vec<&Ended> {
        self.ended.iter().filter(|(_, line)| *line <= cut).map(|(what, _)| what).collect()
    }

    /// The last record of each machine that was acknowledged before this line; 0 is its enrollment.
    fn acknowledged(&self, cut: usize) -> Vec<Option<u64>> {
        let mut last = vec![None; self.machines.len()];
        for ack in self.acks.iter().filter(|ack| ack.line <= cut) {
            if let Some(held) = last.get_mut(ack.machine) {
                *held = (*held).max(Some(ack.seq));
            }
        }
        last
    }
}

/// Where to cut: half of them right behind what was told, half anywhere. Ascending; a cut is the number of lines
/// that happened before it.
fn points(trace: &Trace, told: impl Iterator<Item = usize>, points: usize, dice: &mut Dice) -> Vec<usize> {
    let told: Vec<usize> = told.collect();
    let mut changes: Vec<usize> =
        trace.calls.iter().flat_map(|call| [Some(call.began), call.ended]).flatten().map(|line| line + 1).collect();
    changes.sort_unstable();
    let mut pick = |from: &[usize]| from.get(dice.below(from.len())).copied().unwrap_or_default();
    let half = if told.is_empty() { 0 } else { points / 2 };
    let mut cuts: Vec<usize> = (0..points).map(|at| pick(if at < half { &told } else { &changes })).collect();
    cuts.sort_unstable();
    cuts
}

/// Lets everything happen again, and stops at each cut.
fn replay(
    trace: &Trace,
    directories: &[&Path],
    cuts: &[usize],
    mut each: impl FnMut(usize, &Disk) -> Result<()>,
) -> Result<()> {
    let mut disk = Disk::new(directories);
    let mut ends: Vec<(usize, usize)> =
        trace.calls.iter().enumerate().filter_map(|(number, call)| Some((call.ended?, number))).collect();
    ends.sort_unstable();
    let mut ends = ends.into_iter().peekable();
    let mut begins = trace.calls.iter().enumerate().peekable();
    let mut cuts = cuts.iter().copied().peekable();
    for line in 0..=trace.times.len() {
        while let Some(cut) = cuts.next_if_eq(&line) {
            each(cut, &disk)?;
        }
        while let Some((number, call)) = begins.next_if(|(_, call)| call.began == line) {
            disk.begin(number, call).with_context(|| format!("line {}", line + 1))?;
        }
        while let Some((_, number)) = ends.next_if(|(ended, _)| *ended == line) {
            let call = trace.calls.get(number).context("a call")?;
            disk.end(number, call, line).with_context(|| format!("line {}", line + 1))?;
        }
    }
    Ok(())
}

impl Sum {
    fn add(&mut self, found: Result<verify::Found>, place: impl Fn() -> String) {
        self.points += 1;
        let fault = match found {
            Ok(found) => {
                self.lost += found.lost;
                self.twice += found.twice;
                self.slowest = self.slowest.max(found.start);
                (found.lost + found.twice > 0).then(|| format!("{} lost, {} twice", found.lost, found.twice))
            }
            Err(error) => {
                self.corrupt += 1;
                Some(format!("{error:#}"))
            }
        };
        if let Some(fault) = fault.filter(|_| self.said < SHOWN) {
            self.said += 1;
            println!("     {}: {fault}", place());
        }
    }

    fn verdict(&self, whose: &str, seed: u64, any: bool) -> bool {
        println!("     {whose}{} states of the disk, seed {seed}", self.points);
        let mut good = any && self.points > 0;
        for (name, value) in [
            ("acknowledged and lost", self.lost),
            ("told twice", self.twice),
            ("states that are corrupt", self.corrupt),
        ] {
            println!("{} {whose}{name}: {value} (at most 0)", if value == 0 { "PASS" } else { "FAIL" });
            good &= value == 0;
        }
        good & super::figure(&format!("{whose}slowest start"), self.slowest.as_secs_f64(), "s", START_S_MAX)
    }
}
