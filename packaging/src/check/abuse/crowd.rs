//! Thousands of connections that do nothing or next to nothing, and agents that want to report beside them. Does not
//! know what a report holds.

use super::Abuse;
use crate::check::fleet::line::{self, Line, Member};
use crate::check::fleet::{self, Collector, Machine};
use crate::check::load::proc;
use crate::check::promise::Seen;
use anyhow::{Context, Result, ensure};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::json;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Connections that are kept alive.
const IDLE: usize = 10_000;
/// Connections that send a byte a second.
const SLOW: usize = 1_000;
/// Machines that report.
const REPORTERS: usize = 100;
/// Files that this process has open besides.
const FILES: u64 = 500;
/// A connection is kept for 10 s without a question.
const BEAT: Duration = Duration::from_secs(8);
/// One report of one machine after the other: what its quota allows for the time measured.
const REPORT: Duration = Duration::from_secs(5);
/// How long it is measured.
const MEASURED: Duration = Duration::from_secs(60);
/// How many shake hands at once.
const AT_ONCE: usize = 64;
/// A slow one is closed within this time.
const CLOSED: Duration = Duration::from_secs(15);
/// p99 of a report.
const P99_MS: f64 = 500.0;
/// The collector's resident memory, in MiB.
const RSS_MIB: f64 = 512.0;

/// 44: agents report as ever beside 10,000 idle and 1,000 slow connections.
pub(super) fn idle_and_slow(abuse: &Abuse) -> Result<Seen> {
    let wanted = (IDLE + SLOW + REPORTERS) as u64 + FILES;
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if most < wanted {
        let why = format!("{wanted} open files are needed, and the hard limit is {most}");
        return Ok(Seen::Skip(why, "idle and slow connections".into()));
    }
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    let place = tempfile::tempdir()?;
    // Of the shortest interval, or the collector would close what is idle; all limits are the default ones.
    let (collector, _) =
        Collector::start_with(&abuse.binary("muster")?, place.path(), "127.0.0.1", "agents.checkin_s = 5\n")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(crowd(&collector, place.path()))
}

/// What the crowd saw.
#[derive(Default)]
struct Tally {
    idle: AtomicUsize,
    reopened: AtomicUsize,
    slow_closed: AtomicUsize,
    slowest_ms: AtomicUsize,
    late: AtomicUsize,
}

async fn crowd(collector: &Collector, dir: &Path) -> Result<Seen> {
    let began = Instant::now();
    let members = Arc::new(enroll(collector, IDLE).await?);
    let machines = fleet::enroll(collector, REPORTERS, dir).await?;
    println!("     {} enrolled in {:.0} s", IDLE + REPORTERS, began.elapsed().as_secs_f64());
    let tally = Arc::new(Tally::default());
    let mut background = JoinSet::new();
    let (began, doors) = (Instant::now(), Arc::new(Semaphore::new(AT_ONCE)));
    for number in 0..IDLE {
        background.spawn(idle(collector.agents(), members.clone(), number, tally.clone(), doors.clone()));
    }
    let opened = until(Duration::from_secs(180), || tally.idle.load(Ordering::Relaxed) >= IDLE).await;
    ensure!(opened, "only {} of {IDLE} connections stand", tally.idle.load(Ordering::Relaxed));
    println!("     {IDLE} connections opened in {:.0} s", began.elapsed().as_secs_f64());
    for number in 0..SLOW {
        background.spawn(slow(collector.agents(), members.clone(), number, tally.clone()));
    }
    let (mut latencies, files, rss_mib) = measure(collector, machines).await?;
    drop(background);
    latencies.sort_unstable();
    let at = |percent: usize| latencies.get(latencies.len().saturating_sub(1) * percent / 100).copied();
    let (p50, p99) = at(50).zip(at(99)).context("no report was answered")?;
    let count = |number: &AtomicUsize| number.load(Ordering::Relaxed);
    let seen = format!(
        "{} reports of {REPORTERS} agents beside {files} connections: p50 {:.0} ms, p99 {:.0} ms (at most {P99_MS}); RSS at \
         most {rss_mib:.0} MiB (at most {RSS_MIB}); {} slow ones closed, the last after {:.1} s (at most {}), {} late; {} idle \
         ones had to come again",
        latencies.len(),
        p50.as_secs_f64() * 1e3,
        p99.as_secs_f64() * 1e3,
        count(&tally.slow_closed),
        Duration::from_millis(count(&tally.slowest_ms) as u64).as_secs_f64(),
        CLOSED.as_secs(),
        count(&tally.late),
        count(&tally.reopened)
    );
    let held = files >= IDLE && count(&tally.slow_closed) >= SLOW && count(&tally.late) == 0;
    ensure!(held && p99.as_secs_f64() * 1e3 < P99_MS && rss_mib <= RSS_MIB, "{seen}");
    Ok(Seen::Pass(seen))
}

/// Identities, enrolled from many addresses as fast as the collector takes them.
pub(super) async fn enroll(collector: &Collector, members: usize) -> Result<Vec<Member>> {
    let join = Arc::new(fleet::join(collector, members)?);
    let doors = Arc::new(Semaphore::new(AT_ONCE));
    let mut tasks = JoinSet::new();
    for number in 0..members {
        let (join, doors, web) = (join.clone(), doors.clone(), collector.web());
        tasks.spawn(async move {
            let _place = doors.acquire_owned().await?;
            line::enroll(web, &join, number).await
        });
    }
    let mut enrolled = Vec::with_capacity(members);
    while let Some(member) = tasks.join_next().await {
        enrolled.push(member.context("a member")??);
    }
    Ok(enrolled)
}

/// Keeps a connection alive with a beat now and then; opens it again where it was closed.
async fn idle(
    to: SocketAddr,
    members: Arc<Vec<Member>>,
    number: usize,
    tally: Arc<Tally>,
    doors: Arc<Semaphore>,
) -> Result<()> {
    let member = members.get(number).context("a member")?;
    let zero = "0".repeat(32);
    let beat = json!({"stream": zero, "seq": 0, "root": zero}).to_string();
    loop {
        let place = doors.acquire().await?;
        let opened = Line::open(to, line::address(number), &member.tls).await;
        let Ok(mut line) = opened else { continue };
        let mut good = line.post("/v1/checkin", "", beat.as_bytes()).await.is_ok();
        drop(place);
        if good {
            tally.idle.fetch_add(1, Ordering::Relaxed);
        }
        // They came together; they must not stay so.
        let mut wait = BEAT.mul_f64(number as f64 / IDLE as f64);
        while good {
            tokio::time::sleep(wait).await;
            wait = BEAT;
            good = line.post("/v1/checkin", "", beat.as_bytes()).await.is_ok();
        }
        tally.idle.fetch_sub(1, Ordering::Relaxed);
        tally.reopened.fetch_add(1, Ordering::Relaxed);
    }
}

/// A byte a second, of a head or of a body; notes how long it took until it was closed, and begins anew.
async fn slow(to: SocketAddr, members: Arc<Vec<Member>>, number: usize, tally: Arc<Tally>) -> Result<()> {
    let member = members.get(number).context("a member")?;
    // They came together; they must not stay so.
    tokio::time::sleep(Duration::from_millis(10 * number as u64)).await;
    loop {
        let Ok(mut line) = Line::open(to, line::address(number), &member.tls).await else { continue };
        let since = Instant::now();
        let mut head = "POST /v1/checkin HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n".to_owned();
        let mut sent = 0;
        if number.is_multiple_of(2) {
            head.push_str("Content-Length: 4096\r\n\r\n");
            let _ = line.send(head.as_bytes()).await;
            sent = head.len();
        }
        while since.elapsed() < 2 * CLOSED {
            let byte = head.as_bytes().get(sent).copied().unwrap_or(b' ');
            sent += 1;
            if line.send(&[byte]).await.is_err()
                || tokio::time::timeout(Duration::from_secs(1), line.closed()).await.is_ok()
            {
                break;
            }
        }
        let took = since.elapsed();
        tally.slow_closed.fetch_add(1, Ordering::Relaxed);
        tally.slowest_ms.fetch_max(usize::try_from(took.as_millis())?, Ordering::Relaxed);
        tally.late.fetch_add(usize::from(took > CLOSED), Ordering::Relaxed);
    }
}

/// Latencies of reports, connections of the collector at the least, and its memory at the most.
async fn measure(collector: &Collector, machines: Vec<Machine>) -> Result<(Vec<Duration>, usize, f64)> {
    let end = Instant::now() + MEASURED;
    let mut tasks = JoinSet::new();
    let count = machines.len();
    for (number, machine) in machines.into_iter().enumerate() {
        let after = REPORT.mul_f64(number as f64 / count as f64);
        tasks.spawn(report(machine, collector.agents_url(), after, end));
    }
    let (mut files, mut rss_mib) = (usize::MAX, 0_f64);
    while Instant::now() < end {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let open = std::fs::read_dir(format!("/proc/{}/fd", collector.pid()))?.count();
        files = files.min(open);
        rss_mib = rss_mib.max(proc::resident_kib(collector.pid())?.0 as f64 / 1024.0);
    }
    let mut latencies = Vec::new();
    while let Some(told) = tasks.join_next().await {
        latencies.append(&mut told.context("a machine")??);
    }
    Ok((latencies, files, rss_mib))
}

/// Tells one package after the other until `end`.
async fn report(mut machine: Machine, url: String, after: Duration, end: Instant) -> Result<Vec<Duration>> {
    tokio::time::sleep(after).await;
    let mut latencies = Vec::new();
    while Instant::now() < end {
        if machine.is_settled() {
            machine.install();
        }
        let asked = Instant::now();
        ensure!(machine.say(&url).await?, "a report was put off");
        latencies.push(asked.elapsed());
        tokio::time::sleep(REPORT).await;
    }
    Ok(latencies)
}

/// Looks until it is so, or time is up; says whether it was.
pub(super) async fn until(time: Duration, so: impl Fn() -> bool) -> bool {
    let end = Instant::now() + time;
    while !so() {
        if Instant::now() > end {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    true
}
