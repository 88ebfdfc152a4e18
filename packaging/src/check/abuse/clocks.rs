//! Agents whose clock is wrong, by an hour or ten years: real ones under libfaketime, which moves the wall clock of one
//! process and leaves its clock since boot alone. Does not know how TLS is judged.

use super::Abuse;
use super::agents::{Agent, Running, until};
use crate::check::fleet::Collector;
use crate::check::promise::Seen;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;

/// The clocks: how libfaketime writes them, by how many seconds they are ahead, and whether such an agent reports.
const CLOCKS: &[(&str, &str, i64, bool)] = &[
    ("minus-10y", "-3650d", -3650 * 86_400, true),
    ("minus-1h", "-3600", -3600, true),
    ("plus-1h", "+3600", 3600, true),
    ("plus-10y", "+3650d", 3650 * 86_400, false),
];
/// Until all have reported, tried or raised what they should.
const WAIT: Duration = Duration::from_secs(60);
/// By how much last-seen may be off, in microseconds.
const SEEN_US: i64 = 60_000_000;

/// 67: a wrong clock breaks nothing but what TLS needs it for, and is told.
pub(super) fn skewed(abuse: &Abuse) -> Result<Seen> {
    let Some(library) = library() else {
        return Ok(Seen::Skip("libfaketime is not installed".into(), "agents with wrong clocks".into()));
    };
    let place = tempfile::tempdir()?;
    let settings = "agents.checkin_s = 2\nlimits.checkin_every_ms = 0\nfaults.reports = 1\nfaults.hold_s = 1\n";
    let (collector, _) = Collector::start_with(&abuse.binary("muster")?, place.path(), "127.0.0.1", settings)?;
    let library = library.to_string_lossy().into_owned();
    let mut agents: Vec<(Agent, Running)> = Vec::new();
    for (name, shift, ..) in CLOCKS {
        let binary = abuse.binary("muster-agent")?;
        let agent = Agent::enroll(&binary, &collector, place.path(), name, "checkin_s = 2\nhealth_s = 2\n")?;
        let environment =
            [("LD_PRELOAD", library.as_str()), ("FAKETIME", *shift), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")];
        let running = agent.run(&[], &environment)?;
        agents.push((agent, running));
    }
    let mut seen = Vec::new();
    for ((agent, _), (name, _, ahead_s, reports)) in agents.iter().zip(CLOCKS) {
        seen.push(match reports {
            true => reported(&collector, agent, *ahead_s).with_context(|| format!("{name}: {}", agent.log()))?,
            false => silent(agent).with_context(|| format!("{name}: {}", agent.log()))?,
        });
    }
    let events = collector.pages("/v1/events")?;
    let times: Vec<i64> = events.iter().filter_map(|event| event["at"].as_i64()).collect();
    ensure!(times.len() == events.len() && times.is_sorted(), "the journal's times are not in its order");
    let named = CLOCKS.iter().zip(&seen).map(|((name, ..), seen)| format!("{name}: {seen}"));
    Ok(Seen::Pass(format!("{}; {} events in order", named.collect::<Vec<_>>().join("; "), events.len())))
}

/// It is heard by the collector's clock, and what is wrong is a fault.
fn reported(collector: &Collector, agent: &Agent, ahead_s: i64) -> Result<String> {
    let id = agent.id()?;
    let mut told = Value::Null;
    let raised = until(WAIT, || {
        told = collector.ask("GET", &format!("/v1/agents/{id}"), "")?;
        let Some(asset) = told["asset"].as_str() else { return Ok(false) };
        let tickets = collector.ask("GET", &format!("/v1/tickets?asset={asset}"), "")?;
        let titles = tickets["items"].as_array().into_iter().flatten();
        Ok(titles.filter_map(|ticket| ticket["title"].as_str()).any(|title| title.contains("Clock skew")))
    })?;
    ensure!(raised, "no incident of clock_skew; the agent: {told}");
    let off_us = agent::clock::now().0 - told["last_seen"].as_i64().context("last_seen")?;
    ensure!(off_us.abs() < SEEN_US, "last seen {off_us} us ago");
    let said_s = agent.status()["clock_ahead_s"].as_i64().context("clock_ahead_s")?;
    ensure!(said_s.abs_diff(ahead_s) < 5, "it says that its clock is ahead by {said_s} s");
    Ok(format!("reports, seen {:.1} s ago, incident of its clock ({said_s} s)", off_us as f64 / 1e6))
}

/// It cannot trust a certificate that has ended by its clock; it says so and tries again, ever later.
fn silent(agent: &Agent) -> Result<String> {
    let tries = || agent.status()["failures"].as_u64().unwrap_or(0);
    ensure!(until(WAIT, || Ok(tries() >= 3))?, "only {} tries", tries());
    let log = agent.log();
    let cause = log.lines().find(|line| line.to_lowercase().contains("expired")).context("the log names no cause")?;
    ensure!(cause.contains("clock"), "the log does not name the clock: {cause}");
    Ok(format!("{} tries with growing waits, log: {cause}", tries()))
}

fn library() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?;
    let mut found = folders.flatten().map(|folder| folder.path().join("faketime/libfaketime.so.1"));
    found.find(|path| path.exists())
}
