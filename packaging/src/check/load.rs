//! How many one-package deltas a second a real `muster serve` makes durable for a fleet over mutual TLS, what each
//! costs, and how far from the limit that is: bare SQLite on the same disk in the same run.
//!
//! Each machine keeps one connection and tells one delta after the other, each as soon as the one before is
//! acknowledged; then the same with beats. Every answer is checked: 200, and the root that the machine has.
//! Collector and machines share the processors here, so the rate is what is left for both; CPU for each delta
//! is the figure to keep.

mod bare;
pub(super) mod proc;

use super::fleet::{self, Collector, Machine};
use anyhow::{Context, Result, ensure};
use clap::Args;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Before the clock runs, in each part.
const WARM: Duration = Duration::from_secs(2);
/// After the collector was busy or away.
const AGAIN: Duration = Duration::from_millis(20);
/// Rows in one commit of bare SQLite; the last is as many as the collector's writer takes at most.
const GROUPS: [u32; 4] = [1, 16, 64, 128];
/// The group that the ratio is made with, as the writer's benchmark does.
const GROUP: u32 = 64;

/// How long and how wide.
#[derive(Args)]
pub struct Load {
    /// How many machines talk at once.
    #[arg(long, default_value_t = 200)]
    agents: usize,
    /// How long each part is measured, in seconds.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// A collector to load instead of one that is built now with the release profile.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// On the disk to be measured, instead of the system's temporary directory.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// What machines say.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// What was not said yet, once.
    First,
    /// One package in a new version, again and again.
    Delta,
    /// Nothing new, again and again.
    Beat,
}

/// What was measured of one part.
struct Part {
    /// Of each answer that came while the clock ran, ascending.
    latencies: Vec<Duration>,
    /// Times that the collector was busy or away.
    later: u64,
    wall: Duration,
    collector: Duration,
    machines: Duration,
}

/// Measures and prints.
///
/// # Errors
/// A wrong answer, or a step that could not be run.
pub fn run(load: &Load) -> Result<()> {
    if cfg!(debug_assertions) {
        return super::as_released();
    }
    let binary = match &load.binary {
        Some(binary) => binary.clone(),
        None => super::build(&["collector"])?.join("muster"),
    };
    let place = match &load.dir {
        Some(dir) => tempfile::tempdir_in(dir),
        None => tempfile::tempdir(),
    };
    let place = place.context("a temporary directory")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (delta, good) = runtime.block_on(talk(load, &binary, place.path()))?;
    limit(place.path(), Duration::from_secs(load.seconds.min(4)), &delta)?;
    ensure!(good, "a figure was missed");
    Ok(())
}

async fn talk(load: &Load, binary: &Path, dir: &Path) -> Result<(Part, bool)> {
    let (collector, start) = Collector::start(binary, dir)?;
    println!("     start on an empty directory: {:.3} s", start.as_secs_f64());
    let began = Instant::now();
    let machines = fleet::enroll(&collector, load.agents, dir).await?;
    println!("     {} machines enrolled one after another: {:.2} s", load.agents, began.elapsed().as_secs_f64());
    let began = Instant::now();
    let (machines, first) = part(&collector, machines, Kind::First, Duration::MAX).await?;
    println!("     their first reports, all at once: {:.2} s", began.elapsed().as_secs_f64());
    let measured = Duration::from_secs(load.seconds);
    let (machines, delta) = part(&collector, machines, Kind::Delta, measured).await?;
    show("durable one-package deltas", load.agents, &delta);
    memory(&collector)?;
    let (machines, beat) = part(&collector, machines, Kind::Beat, measured).await?;
    show("beats", load.agents, &beat);
    memory(&collector)?;
    let acknowledged: u64 = machines.iter().map(Machine::acknowledged).sum();
    let later = first.later + delta.later + beat.later;
    println!("     records acknowledged in all, the first reports and the warm-up included: {acknowledged}");
    // Any other answer ended the check.
    println!(
        "{} answers other than 200 with an equal root: {later} (at most 0)",
        if later == 0 { "PASS" } else { "FAIL" }
    );
    collector.kill()?;
    Ok((delta, later == 0))
}

/// All machines at once, each on its own connection; measured for so long, after a warm-up.
async fn part(
    collector: &Collector,
    machines: Vec<Machine>,
    kind: Kind,
    measured: Duration,
) -> Result<(Vec<Machine>, Part)> {
    let from = Instant::now() + if kind == Kind::First { Duration::ZERO } else { WARM };
    let until = from.checked_add(measured);
    let mut tasks = JoinSet::new();
    for machine in machines {
        tasks.spawn(tell(machine, collector.agents_url(), kind, from, until));
    }
    tokio::time::sleep_until(from.into()).await;
    let before = (proc::cpu(collector.pid())?, proc::cpu(std::process::id())?);
    let mut part =
        Part { latencies: Vec::new(), later: 0, wall: measured, collector: Duration::ZERO, machines: Duration::ZERO };
    if let Some(until) = until {
        tokio::time::sleep_until(until.into()).await;
        part.collector = proc::cpu(collector.pid())?.saturating_sub(before.0);
        part.machines = proc::cpu(std::process::id())?.saturating_sub(before.1);
    }
    let mut machines = Vec::new();
    while let Some(told) = tasks.join_next().await {
        let (machine, mut latencies, later) = told.context("a machine")??;
        machines.push(machine);
        part.latencies.append(&mut latencies);
        part.later += later;
    }
    part.latencies.sort_unstable();
    Ok((machines, part))
}

/// One machine's part: itself, the latencies of answers within the time, and how often it had to ask again.
async fn tell(
    mut machine: Machine,
    url: String,
    kind: Kind,
    from: Instant,
    until: Option<Instant>,
) -> Result<(Machine, Vec<Duration>, u64)> {
    let (mut latencies, mut later) = (Vec::new(), 0);
    loop {
        if kind == Kind::Delta && machine.is_settled() {
            machine.install();
        }
        let asked = Instant::now();
        if until.is_some_and(|until| asked >= until) {
            return Ok((machine, latencies, later));
        }
        if !machine.say(&url).await? {
            later += 1;
            tokio::time::sleep(AGAIN).await;
            continue;
        }
        let answered = Instant::now();
        if answered >= from && until.is_none_or(|until| answered < until) {
            latencies.push(answered - asked);
        }
        if kind == Kind::First {
            return Ok((machine, latencies, later));
        }
    }
}

fn show(what: &str, agents: usize, part: &Part) {
    let ms = |percent: usize| {
        let at = (part.latencies.len() * percent / 100).min(part.latencies.len().saturating_sub(1));
        part.latencies.get(at).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1000.0)
    };
    println!("     {what} over mTLS, {agents} machines at once: {:.0}/s", part.rate());
    println!("     {what}, from question to answer: p50 {:.1} ms, p99 {:.1} ms", ms(50), ms(99));
    let (collector, machines) = (part.each_us(part.collector), part.each_us(part.machines));
    println!(
        "     {what}, CPU of the collector for each: {collector:.0} us (of the machines beside it: {machines:.0} us)"
    );
    println!(
        "     {what}, processors in use: {:.2} collector, {:.2} machines",
        part.busy(part.collector),
        part.busy(part.machines)
    );
}

fn memory(collector: &Collector) -> Result<()> {
    let (now, peak) = proc::resident_kib(collector.pid())?;
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let mib = |kib: u64| kib as f64 / 1024.0;
    println!("     RSS of the collector: {:.1} MiB, at most {:.1} MiB so far", mib(now), mib(peak));
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
impl Part {
    fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.wall.as_secs_f64()
    }

    fn each_us(&self, cpu: Duration) -> f64 {
        cpu.as_secs_f64() * 1e6 / self.latencies.len() as f64
    }

    fn busy(&self, cpu: Duration) -> f64 {
        cpu.as_secs_f64() / self.wall.as_secs_f64()
    }
}

/// Bare SQLite beside it: nothing but the rows.
fn limit(dir: &Path, each: Duration, delta: &Part) -> Result<()> {
    let file = dir.join("bare.db");
    for rows in GROUPS {
        let bare = bare::rows(&file, rows, each)?;
        println!(
            "     bare SQLite, synchronous FULL, {rows} one-row updates a commit: {:.0} rows/s, {:.0} us CPU",
            bare.rate, bare.cpu_us
        );
        if rows == GROUP {
            let cpu = bare.cpu_us / delta.each_us(delta.collector);
            println!(
                "     deltas over mTLS / bare rows, {rows} a commit: {:.3} in rate, {cpu:.3} in CPU",
                delta.rate() / bare.rate
            );
        }
    }
    Ok(())
}
