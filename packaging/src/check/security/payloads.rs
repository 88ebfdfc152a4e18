//! Hostile text wherever text goes in: injection in the sqlmap manner at both ports, and every string of a real report
//! in turn. Does not know what is behind it; it looks whether the database is as it was, or holds exactly what was said.

use super::house::{House, Member, each_row, tables};
use super::report::seal;
use super::wire::{Answer, Caller, Line};
use super::{Security, Seen};
use agent::key::Key;
use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rusqlite::Connection;
use serde_json::{Value, json};
use shared::checkin::CheckIn;
use shared::limit;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Payloads of the first check.
const PAYLOADS: usize = 1000;
/// What a statement may be left by.
const BREAKS: &[&str] = &["'", "\"", "')", "\")", "'))", "';", "\";", "`", "%'", "1", "-1'", "x' "];
/// What is tried then.
const TRIES: &[&str] = &[
    " OR 1=1",
    " OR 'a'='a",
    " AND 1=2 UNION SELECT NULL,NULL,NULL",
    " UNION ALL SELECT sql,2,3 FROM sqlite_master",
    " UNION SELECT hash FROM api_token",
    "; DROP TABLE agent",
    "; DELETE FROM journal WHERE 1=1",
    "; UPDATE join_token SET uses=9999",
    "; ATTACH DATABASE '/tmp/x.db' AS x",
    "; PRAGMA writable_schema=1",
    " AND (SELECT COUNT(*) FROM sqlite_master)>0",
    " AND 1=randomblob(100000000)",
    " AND load_extension('x.so')",
    " AND SLEEP(5)",
    " AND pg_sleep(5)",
    " ORDER BY 99",
    " GROUP BY 1 HAVING 1=1",
    " AND CASE WHEN (1=1) THEN 1 ELSE 1/0 END",
];
/// What makes the rest of it void.
const ENDS: &[&str] = &["-- -", "--", "#", "/*", " AND '1'='1"];
/// Before something that was put off is said again.
const PUT_OFF: Duration = Duration::from_millis(50);
/// Items of a section that are kept of the real report.
const ITEMS: usize = 2;
/// Jobs that look at what was told come every 30 s; this is two rounds.
const TWO_ROUNDS: Duration = Duration::from_secs(62);
/// Until a real agent has made its first report.
const REPORT: Duration = Duration::from_secs(30);

/// 20: injection gets nowhere at either port.
pub(super) fn injection(_: &Security) -> Result<Seen> {
    let house = House::open("")?;
    let payloads: Vec<String> = ENDS
        .iter()
        .flat_map(|end| TRIES.iter().flat_map(move |tried| BREAKS.iter().map(move |out| format!("{out}{tried}{end}"))))
        .take(PAYLOADS)
        .collect();
    ensure!(payloads.len() == PAYLOADS, "only {} payloads", payloads.len());
    let (_, token) = house.join_token(&json!({"uses": 100}))?;
    let before = house.content()?;
    let stranger = house.stranger()?;
    for payload in &payloads {
        let answer = Line::open(house.agents(), &stranger)
            .and_then(|mut line| line.ask("POST", "/v1/checkin", &[("X-Payload", payload)], payload.as_bytes()));
        ensure!(answer.is_err(), "{payload} without a certificate is answered {answer:?}");
    }
    let csr = STANDARD.encode(Key::generate()?.request()?);
    let mut seen = BTreeMap::new();
    let mut line = Caller::new(house.web(), &stranger);
    for payload in &payloads {
        let shaped = format!("mjt_{:0>32}_{payload:_<43.43}_00000000", 7);
        let bodies = [
            json!({"token": payload, "csr": csr, "name": "m", "version": "1"}),
            json!({"token": shaped, "csr": csr, "name": payload, "version": "1"}),
            json!({"token": token, "csr": payload, "name": payload, "version": "1"}),
            json!({"token": token, "csr": STANDARD.encode(payload), "name": "m", "version": "1"}),
        ];
        for body in &bodies {
            count(&mut seen, &mut line, payload, &[], body)?;
        }
        let body = json!({"token": "mjt_x", "csr": csr, "name": "m", "version": "1"});
        let fields: Vec<(&str, &str)> =
            ["User-Agent", "X-Forwarded-For", "Referer", "Cookie", "Authorization", "X-Request-Id"]
                .into_iter()
                .map(|name| (name, payload.as_str()))
                .collect();
        count(&mut seen, &mut line, payload, &fields, &body)?;
    }
    ensure!(before == house.content()?, "the database changed");
    let honest = house.enroll(&token, &Key::generate()?.request()?, "machine")?;
    ensure!(honest.status == 201 && before != house.content()?, "the token lets nobody in: {}", honest.text());
    Ok(Seen::Pass(format!(
        "{PAYLOADS} payloads: 0 of {PAYLOADS} past the handshake of the agents' port; at enrollment as token, name, CSR and \
         headers {seen:?} (status: count; 429 was said again), the database's content is unchanged"
    )))
}

/// Enrolls with a payload and counts the status, which must be one of a refusal.
fn count(
    seen: &mut BTreeMap<u16, usize>,
    line: &mut Caller,
    payload: &str,
    fields: &[(&str, &str)],
    body: &Value,
) -> Result<()> {
    let mut all = vec![("Content-Type", "application/json")];
    all.extend(fields);
    let body = body.to_string();
    let mut answer = line.ask("POST", "/v1/enroll", &all, body.as_bytes())?;
    // What was only put off was not looked at: it is said again until it is.
    while answer.status == 429 {
        *seen.entry(429).or_default() += 1;
        crate::check::pause(PUT_OFF);
        answer = line.ask("POST", "/v1/enroll", &all, body.as_bytes())?;
    }
    ensure!(matches!(answer.status, 400 | 403), "{payload} is answered {}: {}", answer.status, answer.text());
    *seen.entry(answer.status).or_default() += 1;
    Ok(())
}

/// 21: whatever a string of a report holds is stored as it is, or refused.
pub(super) fn fields(_: &Security) -> Result<Seen> {
    let mut base = real_report()?;
    shorten(&mut base);
    let spots = spots(&base);
    let house = House::open("")?;
    let schema = house.schema()?;
    let (mut stored, mut refused, mut lost) = (0, BTreeMap::<u16, usize>::new(), Vec::new());
    let mut speaker = Speaker::new(&house, 0)?;
    let plain = speaker.say(&base, None)?;
    ensure!(plain.status == 200, "the report as it was is answered {}: {}", plain.status, plain.text());
    for (number, spot) in spots.iter().enumerate() {
        for payload in payloads_of(number) {
            // Under another name a section stays behind, and the digests never fit again.
            if spot.ends_with("/section") || speaker.barred(&house)? {
                speaker = Speaker::new(&house, number)?;
            }
            let answer = speaker.say(&base, Some((spot, &payload)))?;
            match answer.status {
                200 if held(&house.database()?, &payload)? => stored += 1,
                200 => lost.push(format!("{spot}={}", payload.chars().take(12).collect::<String>())),
                status @ (400 | 413 | 422) => *refused.entry(status).or_default() += 1,
                status => anyhow::bail!("{spot} with {payload:.40} is answered {status}: {}", answer.text()),
            }
        }
    }
    crate::check::pause(TWO_ROUNDS);
    ensure!(house.schema()? == schema, "sqlite_master changed");
    let log = house.world.read("collector.log");
    ensure!(!log.contains("ERROR") && !log.contains("a job failed"), "the collector's log: {log}");
    let (places, all) = (spots.len(), spots.len() * payloads_of(0).len());
    ensure!(lost.is_empty(), "{} of {all} neither stored as they are nor refused: {lost:?}", lost.len());
    Ok(Seen::Pass(format!(
        "{places} string fields of a real report, {all} posts: {stored} stored verbatim, refused {refused:?} (status: \
         count), 0 answers of 5xx; after {} s of jobs sqlite_master is unchanged",
        TWO_ROUNDS.as_secs()
    )))
}

/// The payloads, each made different by a number, so that one that is found is this one.
fn payloads_of(number: usize) -> [String; 5] {
    let long = format!("{number}-{}", "x".repeat(limit::TEXT_BYTES));
    [
        format!("'\"); DROP TABLE assets;--{number}"),
        format!("%{number}%"),
        format!("_{number}_"),
        format!("a\0{number}"),
        long.chars().take(limit::TEXT_BYTES).collect(),
    ]
}

/// What a real agent on this machine tells first.
fn real_report() -> Result<Value> {
    let house = House::open("")?;
    let mut agent = house.world.join("machine");
    agent.start(&[]);
    let end = Instant::now() + REPORT;
    while Instant::now() < end {
        let sent = std::fs::read(agent.state.join("sent.json")).unwrap_or_default();
        let sent: Value = serde_json::from_slice(&sent).unwrap_or_default();
        if sent["records"][0]["sections"].as_array().is_some_and(|sections| sections.len() > 5) {
            return Ok(sent);
        }
        crate::check::pause(Duration::from_millis(2));
    }
    anyhow::bail!("the agent made no report in {} s", REPORT.as_secs())
}

/// Keeps one record and of every section a few items: of each kind of field there is one left.
fn shorten(report: &mut Value) {
    if let Some(records) = report["records"].as_array_mut() {
        records.truncate(1);
    }
    for part in report["records"][0]["sections"].as_array_mut().into_iter().flatten() {
        if let Some(items) = part.get_mut("put").and_then(Value::as_array_mut) {
            // Those that say the most.
            items.sort_by_key(|item| std::cmp::Reverse(item.to_string().len()));
            items.truncate(ITEMS);
        }
        if let Some(problems) = part.get_mut("problems").and_then(Value::as_array_mut) {
            problems.truncate(ITEMS);
        }
    }
}

/// One pointer (RFC 6901) for every string field: for each section, each name within an item once.
fn spots(report: &Value) -> Vec<String> {
    let mut all = Vec::new();
    walk(report, &mut String::new(), &mut all);
    let mut seen = BTreeSet::new();
    all.retain(|pointer| {
        let steps = pointer.split('/').enumerate();
        // The section's place stays, every other place in a list is as good as its first.
        let general: Vec<&str> = steps
            .map(|(at, step)| if at != 4 && step.bytes().all(|b| b.is_ascii_digit()) { "*" } else { step })
            .collect();
        let general = if pointer.ends_with("/section") { "section".to_owned() } else { general.join("/") };
        seen.insert(general)
    });
    all
}

fn walk(value: &Value, pointer: &mut String, found: &mut Vec<String>) {
    let length = pointer.len();
    match value {
        Value::String(_) => found.push(pointer.clone()),
        Value::Array(list) => {
            for (at, value) in list.iter().enumerate() {
                pointer.push_str(&format!("/{at}"));
                walk(value, pointer, found);
                pointer.truncate(length);
            }
        }
        Value::Object(map) => {
            for (name, value) in map {
                pointer.push_str(&format!("/{}", name.replace('~', "~0").replace('/', "~1")));
                walk(value, pointer, found);
                pointer.truncate(length);
            }
        }
        _ => {}
    }
}

/// An agent that tells one report after the other.
struct Speaker {
    member: Member,
    line: Caller,
    seq: u64,
}

impl Speaker {
    fn new(house: &House, number: usize) -> Result<Speaker> {
        let member = house.member(&format!("machine-{number}"))?;
        let line = Caller::new(house.agents(), &member.tls);
        Ok(Speaker { member, line, seq: 0 })
    }

    /// Whether what it says is put aside.
    fn barred(&self, house: &House) -> Result<bool> {
        Ok(house.agent(&self.member.id)?["state"] != "active")
    }

    /// Tells the report, with a text in a place of it if so wanted, its digests made to fit where they can be.
    fn say(&mut self, base: &Value, changed: Option<(&str, &str)>) -> Result<Answer> {
        let mut said = base.clone();
        said["seq"] = json!(self.seq + 1);
        said["records"][0]["seq"] = json!(self.seq + 1);
        if let Some((spot, text)) = changed {
            *said.pointer_mut(spot).context("a spot of the report")? = json!(text);
        }
        if let Ok(mut typed) = serde_json::from_value::<CheckIn>(said.clone()) {
            seal(&mut typed);
            said = serde_json::to_value(&typed)?;
        }
        let answer = self.line.post("/v1/checkin", &said)?;
        self.seq += u64::from(answer.status == 200);
        Ok(answer)
    }
}

/// Whether some cell of the register, or some string of the JSON in one, is exactly this text. The journal tells of
/// it in words, which does not count.
fn held(database: &Connection, text: &str) -> Result<bool> {
    let mut there = false;
    for table in tables(database)?.iter().filter(|table| !table.starts_with("journal")) {
        each_row(database, table, |row| {
            there |= row
                .iter()
                .any(|cell| cell == text || serde_json::from_str(cell).is_ok_and(|json: Value| says(&json, text)));
        })?;
    }
    Ok(there)
}

fn says(value: &Value, text: &str) -> bool {
    match value {
        Value::String(other) => other == text,
        Value::Array(list) => list.iter().any(|value| says(value, text)),
        Value::Object(map) => map.values().any(|value| says(value, text)),
        _ => false,
    }
}
