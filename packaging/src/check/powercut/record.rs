//! A real collector under load, recorded: every write, sync and name in its state directory, and when each machine
//! was told that something is held. Does not know what a power cut does with it.

use super::ended::{self, Ended};
use super::strace;
use super::trace::{self, Trace};
use crate::check::fleet::{self, Collector, Machine};
use anyhow::{Context, Result, ensure};
use shared::digest::Digest;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::task::JoinSet;

/// Join tokens that are used up, agents and API tokens that are revoked meanwhile, of each.
const ENDED: usize = 12;
/// Before the same call is made again.
const AGAIN: Duration = Duration::from_millis(20);

/// A machine was told that this record of it is held; 0 is its enrollment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ack {
    pub(super) machine: usize,
    pub(super) seq: u64,
    /// The first line of the trace that was written after the answer came.
    pub(super) line: usize,
}

/// A machine, and what it told.
#[derive(Debug, Clone)]
pub(in crate::check) struct Told {
    pub(in crate::check) id: String,
    /// The root that its record n + 1 led to.
    pub(in crate::check) roots: Vec<Digest>,
}

/// What was recorded.
pub(super) struct Recording {
    pub(super) trace: Trace,
    pub(super) acks: Vec<Ack>,
    /// What was told to have ended, and by which line.
    pub(super) ended: Vec<(Ended, usize)>,
    pub(super) machines: Vec<Told>,
    /// The state directory while it ran.
    pub(super) state: PathBuf,
}

/// Runs a collector with `machines` that tell `records` each, all at once, then kills it.
///
/// # Errors
/// A wrong answer, or a trace that cannot be read.
pub(super) async fn record(binary: &Path, dir: &Path, machines: usize, records: u64) -> Result<Recording> {
    let (log, state) = (dir.join("trace"), dir.join("state"));
    fs::create_dir(&state).context("the state directory")?;
    let options = ["--seccomp-bpf", "-y", "-xx", "-ttt", "-s", trace::STRING_BYTES, "-e", trace::CALLS, "-o"];
    let options: Vec<_> = options.iter().map(Into::into).chain([log.clone().into_os_string()]).collect();
    let script = strace::wrap(binary, dir, &options)?;
    let (collector, _) = Collector::start(&script, dir)?;
    let mut told = Vec::new();
    let (mut tasks, mut acked) = (JoinSet::new(), Vec::new());
    for (number, machine) in fleet::enroll(&collector, machines, dir).await?.into_iter().enumerate() {
        // A little late is never too strict.
        acked.push((number, 0, now()?));
        told.push(Told { id: machine.id(), roots: Vec::new() });
        tasks.spawn(tell(number, machine, collector.agents_url(), records));
    }
    let mut over = Vec::new();
    for number in machines..machines + ENDED {
        ended::end(&collector, number, dir, |what| {
            over.push((what, now()?));
            Ok(())
        })
        .await?;
    }
    while let Some(done) = tasks.join_next().await {
        let (number, roots, acks) = done.context("a machine")??;
        told.get_mut(number).context("a machine")?.roots = roots;
        acked.extend(acks.into_iter().map(|(seq, at)| (number, seq, at)));
    }
    collector.kill()?;
    strace::finished(&log)?;
    let lines = BufReader::new(File::open(&log).context("the trace")?).lines().map(|line| line.context("the trace"));
    let root = fs::canonicalize(&state).context("the state directory")?;
    let trace = trace::parse(lines, &root, is_nothing)?;
    fs::remove_file(&log).context("the trace")?;
    ensure!(!trace.calls.is_empty(), "nothing was traced");
    let line = |at: u64| trace.times.partition_point(|&time| time <= at);
    let acks = acked.into_iter().map(|(machine, seq, at)| Ack { machine, seq, line: line(at) }).collect();
    let ended = over.into_iter().map(|(what, at)| (what, line(at))).collect();
    Ok(Recording { trace, acks, ended, machines: told, state: root })
}

/// The index of the log is memory that is made anew at every start; the ballast holds nothing.
fn is_nothing(path: &Path) -> bool {
    path.to_string_lossy().ends_with("-shm") || path.ends_with("ballast")
}

fn now() -> Result<u64> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock")?;
    Ok(u64::try_from(since.as_micros())?)
}

/// Tells one record after the other; which roots they led to, and when each was acknowledged.
async fn tell(
    number: usize,
    mut machine: Machine,
    url: String,
    records: u64,
) -> Result<(usize, Vec<Digest>, Vec<(u64, u64)>)> {
    let (mut roots, mut acks) = (vec![machine.root_told()], Vec::new());
    while machine.acknowledged() < records {
        if machine.is_settled() {
            machine.install();
            roots.push(machine.root_told());
        }
        if machine.say(&url).await? {
            acks.push((machine.acknowledged(), now()?));
        } else {
            tokio::time::sleep(AGAIN).await;
        }
    }
    Ok((number, roots, acks))
}
