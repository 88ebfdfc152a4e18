//! One who does far too much: reports and faults by the thousand, tokens that are none; and others beside it who do
//! nothing wrong. Does not know how the collector tells them apart.

use super::{Abuse, crowd};
use crate::check::fleet::Collector;
use crate::check::fleet::line::{self, Answer, Line, Member, Tls};
use crate::check::load::proc;
use crate::check::promise::Seen;
use crate::check::security::report::{check_in, evidence};
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use shared::checkin::CheckIn;
use shared::evidence::Kind;
use shared::fact::Item;
use shared::health::Reading;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// How long the flood lasts.
const FLOOD: Duration = Duration::from_secs(15);
/// Reports a second, over as many connections as an agent may have.
const REPORTS: u32 = 1_000;
const LINES: u32 = 8;
/// Sections with faults, and faults of each.
const SECTIONS: usize = 10;
const FAULTS: usize = 1_000;
/// They are told so often, and hold after this time.
const FAULT_REPORTS: u64 = 2;
const HOLD: Duration = Duration::from_millis(1_500);
/// Reports of the one who does nothing wrong: as many as may come at once.
const NORMAL: u32 = 10;
/// Incidents that one asset may have open.
const INCIDENTS: usize = 10;
/// How the title of the incident begins that counts the faults without one.
const OVERFLOW: &str = "More faults than incidents";
/// Wrong tokens a second, and over how many connections.
const TOKENS: u32 = 200;
const TOKEN_LINES: u32 = 4;
/// Until the others are answered.
const ANSWER: Duration = Duration::from_secs(3);
/// By which the collector may grow, in MiB.
const GROWTH_MIB: f64 = 100.0;

/// 45: an agent that sends far too much is told so and harms nobody else.
pub(super) fn reports(abuse: &Abuse) -> Result<Seen> {
    let place = tempfile::tempdir()?;
    // All limits are the default ones; faults hold at once, so that there is time to see them.
    let settings = "agents.checkin_s = 5\nfaults.reports = 1\nfaults.hold_s = 1\n";
    let (collector, _) = Collector::start_with(&abuse.binary("muster")?, place.path(), "127.0.0.1", settings)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(flood(&collector))
}

#[derive(Default)]
struct Tally {
    taken: u64,
    often: u64,
    told: u64,
    other: Vec<String>,
}

impl Tally {
    fn count(&mut self, answer: &Answer) {
        match answer.status {
            200 => self.taken += 1,
            429 => {
                self.often += 1;
                let seconds = answer.retry_after.as_ref().and_then(|text| text.parse::<u32>().ok());
                self.told += u64::from(seconds.is_some_and(|seconds| seconds > 0));
            }
            status => self.other.push(format!("{status}: {}", String::from_utf8_lossy(&answer.body))),
        }
    }

    fn add(&mut self, other: Tally) {
        self.taken += other.taken;
        self.often += other.often;
        self.told += other.told;
        self.other.extend(other.other);
    }
}

async fn flood(collector: &Collector) -> Result<Seen> {
    let mut members = crowd::enroll(collector, 2).await?;
    let (a, b) = members.pop().zip(members.pop()).context("two members")?;
    let (a, rss_before) = (Arc::new(a), rss_mib(collector)?);
    let mut line = Line::open(collector.agents(), line::address(1), &a.tls).await?;
    for seq in 1..=FAULT_REPORTS {
        let answer = line.post("/v1/checkin", "", &serde_json::to_vec(&faults(seq))?).await?;
        ensure!(answer.status == 200, "10,000 faults: {}: {}", answer.status, String::from_utf8_lossy(&answer.body));
        tokio::time::sleep(HOLD).await;
    }
    let open = incidents(collector)?;
    // One agent has no more connections than are poured into below.
    drop(line);
    let end = Instant::now() + FLOOD;
    let mut lines = JoinSet::new();
    for number in 0..LINES {
        lines.spawn(pour(collector.agents(), a.clone(), number, end));
    }
    let (normal, mut latencies) = normal(collector.agents(), &b).await?;
    let mut tally = Tally::default();
    while let Some(told) = lines.join_next().await {
        tally.add(told.context("a line")??);
    }
    latencies.sort_unstable();
    let slowest = latencies.last().copied().unwrap_or_default();
    let sent = tally.taken + tally.often + tally.other.len() as u64;
    let open = open.max(incidents(collector)?);
    let growth = rss_mib(collector)? - rss_before;
    let seen = format!(
        "A sent {sent} reports in {} s ({:.0}/s) and {} faults: {} taken, {} times 429, {} of them with Retry-After; \
         {open} incidents open (at most {INCIDENTS}, and one that counts the rest); B: {} of {NORMAL} taken, {} times 429, the slowest {:.0} ms; RSS grew by {growth:.0} MiB",
        FLOOD.as_secs(),
        sent as f64 / FLOOD.as_secs_f64(),
        SECTIONS * FAULTS,
        tally.taken,
        tally.often,
        tally.told,
        normal.taken,
        normal.often,
        slowest.as_secs_f64() * 1e3
    );
    let a_told = tally.often > 0 && tally.told == tally.often && tally.other.is_empty();
    let b_served = normal.taken == u64::from(NORMAL) && normal.often == 0;
    ensure!(a_told && b_served && (1..=INCIDENTS).contains(&open), "{seen}; {:?}", tally.other.first());
    Ok(Seen::Pass(seen))
}

/// Incidents that are open, but for the one that counts the rest.
fn incidents(collector: &Collector) -> Result<usize> {
    let tickets = collector.pages("/v1/tickets")?;
    let open = tickets.iter().filter(|ticket| ticket["kind"] == "incident" && ticket["open"] == true);
    // One more counts the faults that got none.
    Ok(open.filter(|ticket| ticket["title"].as_str().is_none_or(|title| !title.starts_with(OVERFLOW))).count())
}

/// Failed units of which nobody has heard, as many as a report may hold.
fn faults(seq: u64) -> CheckIn {
    let unit = |section: usize, number: usize| -> Item {
        let resource = format!("unit-{section}-{number}.service");
        Reading { check: "failed_unit".into(), resource, value: 1, total: None, identity: None, detail: None }.into()
    };
    let names: Vec<String> = (0..SECTIONS)
        .map(|section| if section == 0 { "health_services".to_owned() } else { format!("health_s{section}") })
        .collect();
    let mut sections: Vec<(&str, Vec<Item>)> = names
        .iter()
        .enumerate()
        .map(|(section, name)| (name.as_str(), (0..FAULTS).map(|number| unit(section, number)).collect()))
        .collect();
    sections.push(evidence(&[(Kind::Hostname, "a")]));
    check_in("a", seq, sections)
}

/// Reports on one connection, as often as its share of the flood says.
async fn pour(to: SocketAddr, member: Arc<Member>, number: u32, end: Instant) -> Result<Tally> {
    let mut line = Line::open(to, line::address(2), &member.tls).await?;
    let mut every = tokio::time::interval(Duration::from_secs(1) * LINES / REPORTS);
    let (mut tally, mut seq) = (Tally::default(), FAULT_REPORTS + 1 + u64::from(number));
    while Instant::now() < end {
        every.tick().await;
        let said = serde_json::to_vec(&small("a", seq))?;
        seq += u64::from(LINES);
        tally.count(&line.post("/v1/checkin", "", &said).await?);
    }
    Ok(tally)
}

/// One report after the other, no more than a quota allows.
async fn normal(to: SocketAddr, member: &Member) -> Result<(Tally, Vec<Duration>)> {
    let mut line = Line::open(to, line::address(3), &member.tls).await?;
    let mut every = tokio::time::interval(FLOOD / NORMAL);
    let (mut tally, mut latencies) = (Tally::default(), Vec::new());
    for seq in 1..=u64::from(NORMAL) {
        every.tick().await;
        let (said, asked) = (serde_json::to_vec(&small("b", seq))?, Instant::now());
        tally.count(&line.post("/v1/checkin", "", &said).await?);
        latencies.push(asked.elapsed());
    }
    Ok((tally, latencies))
}

fn small(who: &str, seq: u64) -> CheckIn {
    let item = Item::new("thing", "thing").with("value", Some(seq.to_string()));
    check_in(who, seq, vec![("things", vec![item]), evidence(&[(Kind::Hostname, who)])])
}

fn rss_mib(collector: &Collector) -> Result<f64> {
    Ok(proc::resident_kib(collector.pid())?.0 as f64 / 1024.0)
}

/// 46: there are no accounts to log in to yet; what is nearest: wrong tokens by the hundred, and good ones beside.
pub(super) fn logins(abuse: &Abuse) -> Result<Seen> {
    let place = tempfile::tempdir()?;
    let (collector, _) = Collector::start_with(&abuse.binary("muster")?, place.path(), "127.0.0.1", "")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let seen = runtime.block_on(guesses(&collector))?;
    Ok(Seen::Skip("there is no console to log in to yet".into(), seen))
}

async fn guesses(collector: &Collector) -> Result<String> {
    let body = r#"{"name": "good", "scopes": ["assets:read"]}"#;
    let good = collector.ask("POST", "/v1/tokens", body)?["token"].as_str().context("a token")?.to_owned();
    let trust = collector.ask("POST", "/v1/join-tokens", "{}")?["join"]["server_ca"].clone();
    let tls = Tls::new(&serde_json::from_value::<Vec<String>>(trust)?, None)?;
    let (end, before) = (Instant::now() + FLOOD, rss_mib(collector)?);
    let mut lines = JoinSet::new();
    for number in 0..TOKEN_LINES {
        lines.spawn(guess(collector.web(), tls.clone(), good.clone(), number, end));
    }
    let (mut slowest, mut rss) = (Duration::ZERO, 0_f64);
    while Instant::now() < end {
        let asked = Instant::now();
        let mut line = Line::open(collector.web(), line::address(9_000), &tls).await?;
        let answer = line.get("/v1/assets", &format!("Authorization: Bearer {good}\r\n")).await?;
        ensure!(answer.status == 200, "the good token is answered {}", answer.status);
        slowest = slowest.max(asked.elapsed());
        let asked = Instant::now();
        collector.ask("GET", "/v1/assets", "").map(|_: Value| ())?;
        slowest = slowest.max(asked.elapsed());
        rss = rss.max(rss_mib(collector)?);
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let mut refused = 0;
    while let Some(told) = lines.join_next().await {
        refused += told.context("a line")??;
    }
    let seen = format!(
        "{refused} wrong API tokens from one address in {} s ({:.0}/s), each on a connection of its own: a good token from another and \
         the admin socket were answered after {:.0} ms at most (at most {}), RSS grew by {:.0} MiB (at most {GROWTH_MIB})",
        FLOOD.as_secs(),
        f64::from(refused) / FLOOD.as_secs_f64(),
        slowest.as_secs_f64() * 1e3,
        ANSWER.as_millis(),
        rss - before
    );
    ensure!(slowest <= ANSWER && rss - before < GROWTH_MIB, "{seen}");
    ensure!(f64::from(refused) >= 0.9 * f64::from(TOKENS) * FLOOD.as_secs_f64(), "too few were tried: {seen}");
    Ok(seen)
}

/// The good token with another end, again and again.
async fn guess(to: SocketAddr, tls: Tls, good: String, number: u32, end: Instant) -> Result<u32> {
    let mut every = tokio::time::interval(Duration::from_secs(1) * TOKEN_LINES / TOKENS);
    let mut refused = 0;
    while Instant::now() < end {
        every.tick().await;
        let mut wrong = good.clone();
        wrong.truncate(good.len().saturating_sub(6));
        wrong.push_str(&format!("{:06}", refused * TOKEN_LINES + number));
        let mut line = Line::open(to, line::address(8_000), &tls).await?;
        let answer = line.get("/v1/assets", &format!("Authorization: Bearer {wrong}\r\n")).await?;
        match answer.status {
            401 | 429 => refused += 1,
            status => bail!("a wrong token is answered {status}"),
        }
    }
    Ok(refused)
}
