//! How an agent renews its certificate: with a new key each time, and without being locked out by an answer that was
//! lost. Does not know what the certificate says.

use super::house::{House, until};
use super::server::proxy;
use super::{Security, Seen};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};
use tests::Agent;

/// Lifetimes that are watched.
const LIVES: u64 = 10;
/// New keys in that time, at least.
const KEYS: usize = 10;
/// Between two looks at the key.
const LOOK: Duration = Duration::from_millis(20);
/// Between two changes of the machine, so that there is something to report.
const CHANGE: Duration = Duration::from_secs(2);

/// 7: new keys all the time, and no report is refused for it.
pub(super) fn keys(security: &Security) -> Result<Seen> {
    let life_s = if security.long { 60 } else { 6 };
    let house = House::open(&format!("agents.certificate_s = {life_s}"))?;
    let mut agent = house.world.join("machine");
    agent.start(&[]);
    house.world.event("baseline", 0);
    let watched = Duration::from_secs(life_s * LIVES);
    let seen = watch(&agent.state.join("key.pem"), watched)?;
    let status = status(&agent)?;
    agent.stop();
    let changes = seen.len() - 1;
    ensure!(changes >= KEYS, "{changes} new keys in {} s", watched.as_secs());
    let mut distinct: Vec<&Vec<u8>> = seen.iter().map(|(key, _)| key).collect();
    distinct.sort_unstable();
    distinct.dedup();
    ensure!(distinct.len() == seen.len(), "a key came back");
    let same = seen.windows(2).filter(|pair| pair[0].1 == pair[1].1).count();
    ensure!(same == 0, "{same} of {changes} times the inode stayed");
    let log = house.world.read("machine.log");
    let bad: Vec<&str> = log.lines().filter(|line| line.contains("error") || line.contains("warning")).collect();
    ensure!(bad.is_empty(), "the agent says {bad:?}");
    ensure!(
        status["refused"] == 0 && status["records_acknowledged"] == status["records_made"],
        "its status is {status}"
    );
    for kind in ["agent_recovered", "agent_quarantined", "enroll_refused"] {
        ensure!(house.events(kind)?.is_empty(), "the journal has {kind}");
    }
    Ok(Seen::Pass(format!(
        "{changes} new keys in {} s of certificates that live {life_s} s (at least {KEYS}), {changes} new inodes, {} reports \
         made, all acknowledged, 0 refused",
        watched.as_secs(),
        status["records_made"]
    )))
}

/// Every key that the file held in that time, with its inode, while the machine changes.
fn watch(key: &Path, time: Duration) -> Result<Vec<(Vec<u8>, u64)>> {
    let mut seen: Vec<(Vec<u8>, u64)> = Vec::new();
    let (began, mut changed, mut port) = (Instant::now(), Instant::now(), None);
    while began.elapsed() < time {
        let inode = std::fs::metadata(key).context("the key")?.ino();
        let bytes = std::fs::read(key).context("the key")?;
        let still = std::fs::metadata(key).context("the key")?.ino() == inode;
        if still && seen.last().is_none_or(|(last, _)| *last != bytes) {
            seen.push((bytes, inode));
        }
        if changed.elapsed() > CHANGE {
            changed = Instant::now();
            port = if port.is_none() { Some(TcpListener::bind("127.0.0.1:0")?) } else { None };
        }
        crate::check::pause(LOOK);
    }
    Ok(seen)
}

fn status(agent: &Agent) -> Result<Value> {
    let mut status = Value::Null;
    // A record that was made a moment ago is not acknowledged yet.
    until(Duration::from_secs(10), || {
        let out = agent.run(&["status", "--output", "json"]);
        status = serde_json::from_slice(&out.stdout).context("the agent's status")?;
        Ok(status["records_made"] == status["records_acknowledged"])
    })?;
    Ok(status)
}

/// 8: the answer to a renewal is lost after it was signed; the agent goes on as before, and renews at its next try.
pub(super) fn lost_answer(_: &Security) -> Result<Seen> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("agent_url = \"https://{}\"\nagents.certificate_s = 20", listener.local_addr()?);
    let house = House::open(&url)?;
    let (socket, cut_at) = (house.world.path("admin.sock"), Arc::new(AtomicI64::new(0)));
    let noted = cut_at.clone();
    // What is answered after the renewal stands in the journal is the renewal's answer, signed.
    proxy(listener, house.agents(), move || {
        let renewed = tests::ask(&socket, "GET", "/v1/events?kind=agent_renewed", &Value::Null);
        let there = renewed.is_ok_and(|page| page["items"].as_array().is_some_and(|items| !items.is_empty()));
        let now = jiff::Timestamp::now().as_microsecond();
        there && noted.compare_exchange(0, now, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    })?;
    let mut agent = house.world.join("machine");
    agent.start(&[]);
    let baseline = house.world.event("baseline", 0);
    let id = baseline["actor"].as_str().and_then(|actor| actor.strip_prefix("agent:")).map(str::to_owned);
    let id = id.or_else(|| house.world.rows("/v1/agents").ok()?.first()?["id"].as_str().map(str::to_owned));
    let id = id.context("an agent")?;
    ensure!(until(Duration::from_secs(30), || Ok(cut_at.load(Ordering::SeqCst) > 0))?, "no renewal came");
    let cut = cut_at.load(Ordering::SeqCst);
    let old = until(Duration::from_secs(10), || {
        let shown = house.agent(&id)?;
        Ok(shown["generation"] == 1 && shown["last_seen"].as_i64().is_some_and(|seen| seen > cut))
    })?;
    ensure!(old, "after the cut nothing was told with the old certificate: {}", house.agent(&id)?);
    let new = until(Duration::from_secs(10), || Ok(house.agent(&id)?["generation"] == 2))?;
    ensure!(new, "the next try did not renew: {}", house.agent(&id)?);
    let log = house.world.read("machine.log");
    let failed = log.lines().filter(|line| line.contains("could not be renewed")).count();
    ensure!(failed == 1, "the agent's log: {log}");
    let granted = house.events("agent_renewed")?.len();
    let state = house.agent(&id)?["state"].clone();
    ensure!(state == "active" && house.events("agent_recovered")?.is_empty(), "A is {state}");
    Ok(Seen::Pass(format!(
        "1 answer cut after signing: reported with generation 1, renewed on the next try to generation 2 ({granted} grant, \
         the same key), A is active"
    )))
}
