//! Bodies that are small on the wire and large behind it, many at once. Does not know how they are refused.

use super::certificates::feed;
use super::house::{House, rss_kib};
use super::wire::Line;
use super::{Security, Seen};
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

/// How many are posted at once.
const AT_ONCE: usize = 100;
/// Connections of each agent among them: one has only a few.
const OF_EACH: usize = 5;
/// How fast each is refused.
const WITHIN: Duration = Duration::from_secs(2);
/// What the collector's memory may grow by, in KiB.
const RSS_KIB: u64 = 64 * 1024;
/// What is behind the first bomb.
const ZEROS: u64 = 1 << 30;
/// A frame whose window is 2 GiB (RFC 8878, 3.1.1.1.2: exponent 21), with one block of zeros by run length.
const WINDOW: &[u8] = &[0x28, 0xB5, 0x2F, 0xFD, 0x00, 21 << 3, 0x03, 0x00, 0x08, 0x00];

/// 40: bombs are refused fast, by their size or their kind, and cost no memory.
pub(super) fn bombs(_: &Security) -> Result<Seen> {
    let house = House::open("")?;
    let Some(once) = gzip(&["-c", "head -c 1073741824 /dev/zero | gzip -c"], &[])? else {
        return Ok(Seen::Skip("gzip is not installed".into(), "bodies that grow".into()));
    };
    let twice = gzip(&["-c", "gzip -c"], &once)?.context("gzip")?;
    let mut packed = Vec::new();
    zstd::stream::copy_encode(std::io::Read::take(std::io::repeat(0), ZEROS), &mut packed, 1)?;
    let bombs = Arc::new([
        ("gzip of 1 GiB", "gzip", once),
        ("gzip of it again", "gzip", twice.clone()),
        ("both encodings", "gzip, gzip", twice),
        ("zstd with a window of 2 GiB", "zstd", WINDOW.to_vec()),
        ("zstd of 1 GiB", "zstd", packed),
    ]);
    let (start, stop, peak) =
        (Arc::new(Barrier::new(AT_ONCE + 1)), Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut posts = Vec::new();
    for (number, mut line) in lines(&house)?.into_iter().enumerate() {
        let (bombs, start) = (bombs.clone(), start.clone());
        posts.push(std::thread::spawn(move || -> Result<(String, Duration)> {
            let (name, encoding, body) = &bombs[number % bombs.len()];
            start.wait();
            let began = Instant::now();
            let fields = [("Content-Type", "application/json"), ("Content-Encoding", *encoding)];
            let answer = line.ask("POST", "/v1/checkin", &fields, body).with_context(|| (*name).to_owned())?;
            ensure!(matches!(answer.status, 413 | 415), "{name} is answered {}: {}", answer.status, answer.text());
            Ok((format!("{name}: {} {}", answer.status, answer.field()), began.elapsed()))
        }));
    }
    let before = house.rss_kib()?;
    let pid = house.world.collector_pid().context("a collector")?;
    let watcher = {
        let (stop, peak) = (stop.clone(), peak.clone());
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                peak.fetch_max(rss_kib(pid).unwrap_or(0), Ordering::Relaxed);
                crate::check::pause(Duration::from_millis(2));
            }
        })
    };
    start.wait();
    let (mut seen, mut slowest) = (BTreeMap::<String, usize>::new(), Duration::ZERO);
    let answers: Vec<_> = posts.into_iter().map(std::thread::JoinHandle::join).collect();
    stop.store(true, Ordering::Relaxed);
    watcher.join().map_err(|_| anyhow::anyhow!("the watcher panicked"))?;
    for answer in answers {
        let (name, after) = answer.map_err(|_| anyhow::anyhow!("a post panicked"))??;
        *seen.entry(name).or_default() += 1;
        slowest = slowest.max(after);
    }
    let rise = peak.load(Ordering::Relaxed).saturating_sub(before);
    ensure!(slowest < WITHIN, "the slowest answer took {} ms", slowest.as_millis());
    ensure!(rise < RSS_KIB, "the collector grew by {rise} KiB");
    Ok(Seen::Pass(format!(
        "{AT_ONCE} at once: {seen:?}; slowest answer {} ms, collector + {} MiB from {} MiB",
        slowest.as_millis(),
        rise / 1024,
        before / 1024
    )))
}

/// Connections of agents, each of which was answered once: so the handshake is over on both sides.
fn lines(house: &House) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for number in 0..AT_ONCE / OF_EACH {
        let member = house.member(&format!("machine-{number}"))?;
        for _ in 0..OF_EACH {
            let mut line = Line::open(house.agents(), &member.tls)?;
            let answer = line.get("/v1/settings").with_context(|| format!("connection {}", lines.len()))?;
            ensure!(answer.status == 200, "an agent is not let in: {}", answer.text());
            lines.push(line);
        }
    }
    Ok(lines)
}

/// What a shell makes with gzip; `None` where there is none.
fn gzip(script: &[&str], input: &[u8]) -> Result<Option<Vec<u8>>> {
    if !Command::new("gzip").arg("--version").output().is_ok_and(|out| out.status.success()) {
        return Ok(None);
    }
    let out = feed(Command::new("sh").args(script), input)?;
    ensure!(out.status.success() && !out.stdout.is_empty(), "gzip: {}", String::from_utf8_lossy(&out.stderr));
    Ok(Some(out.stdout))
}
