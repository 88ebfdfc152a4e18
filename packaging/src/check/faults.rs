//! Whether an error of the disk is ever turned into a lie: one cycle of enrolling, reporting and renewing, in which one
//! system call fails, for each call in turn, first with EIO, then with ENOSPC; on the collector, then on the agent.
//!
//! strace makes the call fail; calls are counted thread by thread. A sweep of a call ends with the first cycle that was
//! over before that call: one that did its work and met no fault is no fault. Does not know what is right after a
//! fault: see `collector` and `agent`.

mod agent;
mod collector;

use super::powercut::strace;
use anyhow::{Context, Result, anyhow, ensure};
use clap::Args;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// The calls that fail.
const CALLS: [&str; 9] =
    ["openat", "pwrite64", "write", "fdatasync", "fsync", "ftruncate", "rename", "mkdir", "unlink"];
/// The ways in which they do.
const ERRORS: [&str; 2] = ["EIO", "ENOSPC"];
/// Cycles at the same time; most of each is waiting.
const AT_ONCE: usize = 6;
/// Faults that are told in full.
const SHOWN: usize = 12;

/// How far, and of what.
#[derive(Debug, Clone, Args)]
pub struct Faults {
    /// Each call fails from its first time up to this one, or as often as there is one.
    #[arg(long, default_value_t = 200)]
    calls: u32,
    /// Only the collector, or only the agent.
    #[arg(long, value_parser = ["collector", "agent"])]
    only: Option<String>,
    /// Only this system call.
    #[arg(long, value_name = "NAME")]
    call: Option<String>,
    /// A folder with `muster` and `muster-agent` to check instead of those that are built now.
    #[arg(long, value_name = "FOLDER")]
    binaries: Option<PathBuf>,
}

/// One call that fails.
#[derive(Debug, Clone, Copy)]
struct Fault {
    call: &'static str,
    error: &'static str,
    number: u32,
}

/// What one cycle with a fault came to.
#[derive(Debug, PartialEq, Eq)]
enum Came {
    /// There is no such call any more: the cycle is over before.
    Never,
    /// As it should be, and how.
    Well(&'static str),
    /// Not as it should be.
    Ill(String),
}

/// Sweeps.
///
/// # Errors
/// A promise that does not hold, or a step that could not be run.
pub fn run(faults: &Faults) -> Result<()> {
    if !strace::is_here() {
        println!("SKIP(strace is not installed, or may not trace) system calls that fail");
        return Ok(());
    }
    let folder = match &faults.binaries {
        Some(folder) => folder.clone(),
        None => super::build(&["agent", "collector"])?,
    };
    let mut good = true;
    if faults.only.as_deref() != Some("agent") {
        let muster = folder.join("muster");
        good &= sweep("collector", faults, &|fault, dir| collector::cycle(&muster, fault, dir))?;
    }
    if faults.only.as_deref() != Some("collector") {
        let house = agent::House::open(&folder)?;
        good &= sweep("agent", faults, &|fault, dir| house.cycle(fault, dir))?;
    }
    ensure!(good, "a fault was not answered as it should be");
    Ok(())
}

/// A call that fails in one way, and how far the sweep of it is.
struct Job {
    fault: Fault,
    /// There is no such call any more at its number.
    over: bool,
}

/// The next one to be tried; calls take turns, so that none is left to the end alone.
fn next(jobs: &Mutex<Vec<Job>>, calls: u32) -> Result<Option<Fault>> {
    let mut jobs = jobs.lock().map_err(|_| anyhow!("a cycle panicked"))?;
    let open = jobs.iter_mut().filter(|job| !job.over && job.fault.number < calls);
    Ok(open.min_by_key(|job| job.fault.number).map(|job| {
        job.fault.number += 1;
        job.fault
    }))
}

/// Every call and error, several at once.
fn sweep(whose: &str, faults: &Faults, cycle: &(dyn Fn(Fault, &Path) -> Result<Came> + Sync)) -> Result<bool> {
    let wanted = |call: &str| faults.call.as_ref().is_none_or(|only| only == call);
    let jobs: Vec<Job> = CALLS
        .iter()
        .filter(|call| wanted(call))
        .flat_map(|&call| ERRORS.map(|error| Job { fault: Fault { call, error, number: 0 }, over: false }))
        .collect();
    let (jobs, seen) = (Mutex::new(jobs), Mutex::new(BTreeMap::new()));
    let work = || -> Result<()> {
        while let Some(fault) = next(&jobs, faults.calls)? {
            let place = tempfile::tempdir().context("a temporary directory")?;
            let came = cycle(fault, place.path()).unwrap_or_else(|error| Came::Ill(format!("{error:#}")));
            if came == Came::Never {
                let mut jobs = jobs.lock().map_err(|_| anyhow!("a cycle panicked"))?;
                let same = |job: &&mut Job| job.fault.call == fault.call && job.fault.error == fault.error;
                jobs.iter_mut().filter(same).for_each(|job| job.over = true);
                continue;
            }
            let mut seen = seen.lock().map_err(|_| anyhow!("a cycle panicked"))?;
            let all: &mut Vec<(Fault, Came)> = seen.entry(fault.error).or_default();
            all.push((fault, came));
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| anyhow!("a cycle panicked"))?)
    })?;
    let mut seen = seen.into_inner().map_err(|_| anyhow!("a cycle panicked"))?;
    ensure!(!seen.is_empty(), "no call failed: strace put nothing in");
    seen.values_mut().for_each(|all| all.sort_by_key(|(fault, _)| (fault.call, fault.number)));
    Ok(seen.iter().fold(true, |good, (error, all)| good & tell(whose, error, all)))
}

/// One line for an error; whether all is well.
fn tell(whose: &str, error: &str, all: &[(Fault, Came)]) -> bool {
    let mut ways: BTreeMap<&str, u32> = BTreeMap::new();
    let mut ill = 0;
    for (fault, came) in all {
        match came {
            Came::Well(how) => *ways.entry(how).or_default() += 1,
            Came::Ill(what) => {
                ill += 1;
                if ill <= SHOWN {
                    let what = what.split_whitespace().collect::<Vec<_>>().join(" ");
                    println!("     {whose}, {} number {} with {error}: {what}", fault.call, fault.number);
                }
            }
            Came::Never => {}
        }
    }
    let ways: Vec<String> = ways.iter().map(|(how, times)| format!("{times} {how}")).collect();
    let verdict = if ill == 0 { "PASS" } else { "FAIL" };
    println!("{verdict} {whose}, {error}: {} calls failed, {}; {ill} ill (at most 0)", all.len(), ways.join(", "));
    ill == 0
}

/// The options of strace that make this fault, on these files alone.
fn options(fault: Fault, files: &[PathBuf], log: &Path) -> Vec<OsString> {
    let Fault { call, error, number } = fault;
    let mut options: Vec<OsString> = ["--seccomp-bpf", "-y", "-s", "0", "-o"].map(Into::into).into();
    options.push(log.into());
    options.extend(["-e".into(), format!("trace={call}").into()]);
    options.extend(["-e".into(), format!("inject={call}:error={error}:when={number}").into()]);
    for file in files {
        options.extend(["-P".into(), file.into()]);
    }
    options
}

/// The calls that were made to fail, as strace wrote them.
fn injected(log: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines().filter(|line| line.ends_with("(INJECTED)")).map(str::to_owned).collect()
}
