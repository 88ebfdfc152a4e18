//! What a command costs: CPU and peak memory of the finished process and its children, as the kernel
//! accounts them. Knows nothing of what is measured.

use anyhow::{Context, Result, bail};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use std::process::{Command, Stdio};

/// The cost of one run.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// User and system time, in microseconds.
    pub cpu_us: i64,
    /// Largest resident set of any process of the run, in KiB.
    pub peak_kib: i64,
}

/// Runs `argv` once and prints its cost; called in a process of its own, because the kernel sums up over all
/// children that ever were.
///
/// # Errors
/// The command does not start or fails.
pub fn child(argv: &[String]) -> Result<()> {
    let (program, args) = argv.split_first().context("a command to measure")?;
    let status =
        Command::new(program).args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let status = status.with_context(|| format!("{program} does not start"))?;
    if !status.success() {
        bail!("{program}: {status}");
    }
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).context("getrusage")?;
    println!("{} {}", usage.user_time().num_microseconds() + usage.system_time().num_microseconds(), usage.max_rss());
    Ok(())
}

/// Runs `argv` several times, after one run that does not count, and gives the medians.
///
/// # Errors
/// As [`child`].
pub fn median(runs: usize, argv: &[&str]) -> Result<Cost> {
    let own = std::env::current_exe().context("own path")?;
    let mut costs = Vec::new();
    for run in 0..=runs {
        let out = Command::new(&own).arg("measure").arg("--").args(argv).output().context("measure")?;
        if !out.status.success() {
            bail!("{}: {}", argv.join(" "), String::from_utf8_lossy(&out.stderr).trim());
        }
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        let mut numbers = text.split_whitespace().filter_map(|n| n.parse::<i64>().ok());
        let (Some(cpu_us), Some(peak_kib)) = (numbers.next(), numbers.next()) else {
            bail!("measure printed {text:?}")
        };
        if run > 0 {
            costs.push(Cost { cpu_us, peak_kib });
        }
    }
    let middle = |mut values: Vec<i64>| {
        values.sort_unstable();
        values[values.len() / 2]
    };
    Ok(Cost {
        cpu_us: middle(costs.iter().map(|c| c.cpu_us).collect()),
        peak_kib: middle(costs.iter().map(|c| c.peak_kib).collect()),
    })
}
