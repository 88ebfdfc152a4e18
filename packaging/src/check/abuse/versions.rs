//! What agents of other versions say: recorded payloads of each version so far, in which nothing is unknown, and fields,
//! words, sections and states of the next one. What is not known is counted, and whoever asks is told which agents say
//! it. No version was released before this one: of N-1 and N-2 there are no payloads yet.

use super::{Abuse, crowd};
use crate::check::fleet::Collector;
use crate::check::fleet::line::{self, Line};
use crate::check::promise::Seen;
use crate::check::security::report::{check_in, evidence};
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use shared::evidence::Kind;
use shared::fact::Item;

/// Versions whose payloads are kept with the tests, and what is kept of each.
const RECORDED: &[(&str, &[&str])] = &[("0.1.0", &["first", "delta", "beat"])];
/// The next agent's version.
const NEXT: &str = "99.0.0";

/// What is put into a check-in that is well understood: where, and what.
const NEW: &[(&str, &str)] = &[
    ("", r#"{"transport": "quic", "nested": {"deep": [1, {"x": null}]}}"#),
    ("/records/0", r#"{"boot": "b-1"}"#),
    ("/records/0/sections/0", r#"{"took_ms": 4}"#),
    ("/records/0/sections/0/put/0", r#"{"confidence": 0.5}"#),
    ("/records/0/sections/0", r#"{"problems": [{"why": "timed_out", "what": "x", "hint": "y"}]}"#),
    ("/records/0/sections/0", r#"{"state": "partial"}"#),
    ("", r#"{"goodbye": "hibernate"}"#),
];

/// Of these, what has no place in this version: two fields at the top, one each in a record, a section and an item, a
/// field and a word in a problem, a state and a goodbye. The check-ins that follow repeat none of it.
const UNKNOWN: u64 = 9;

/// 74: what a version says is taken as far as it is understood.
pub(super) fn next(abuse: &Abuse) -> Result<Seen> {
    let place = tempfile::tempdir()?;
    let settings = "agents.checkin_s = 5\nlimits.checkin_every_ms = 0\n";
    let (collector, _) = Collector::start_with(&abuse.binary("muster")?, place.path(), "127.0.0.1", settings)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (recorded, taken) = runtime.block_on(all(&collector))?;
    let listed = collector.ask("GET", "/v1/agents?unknown=true", "")?;
    let rows = listed["items"].as_array().context("agents")?;
    let unknown: Vec<Option<u64>> = rows.iter().map(|row| row["unknown"].as_u64()).collect();
    ensure!(unknown == [Some(UNKNOWN)], "{UNKNOWN} fields and words were unknown, and it says {listed}");
    Ok(Seen::Pass(format!(
        "{recorded} of {recorded} recorded payloads of {} are taken, nothing in them is unknown (no version was released \
         before this one: none of N-1, N-2); {taken} of {taken} check-ins of N+1 with unknown fields, words, states, \
         sections and kinds are taken, {UNKNOWN} unknown fields and words counted",
        RECORDED.iter().map(|(version, _)| *version).collect::<Vec<_>>().join(", ")
    )))
}

/// How many recorded and how many new check-ins were taken.
async fn all(collector: &Collector) -> Result<(usize, usize)> {
    let members = crowd::enroll(collector, 2).await?;
    let [old, new] = members.as_slice() else { bail!("{} members", members.len()) };
    let mut recorded = 0;
    let mut line = Line::open(collector.agents(), line::address(1), &old.tls).await?;
    for (version, names) in RECORDED {
        for name in *names {
            let path = format!("{}/../tests/fixtures/payloads/{version}-{name}.json", env!("CARGO_MANIFEST_DIR"));
            take(&mut line, &std::fs::read_to_string(&path).context(path)?).await?;
            recorded += 1;
        }
    }
    let mut line = Line::open(collector.agents(), line::address(2), &new.tls).await?;
    for (seq, (place, new)) in (1_u64..).zip(NEW) {
        let item = Item::new("hologram", "h").with("value", Some(seq.to_string()));
        let said = check_in("n+1", seq, vec![("holograms", vec![item]), evidence(&[(Kind::Hostname, "n")])]);
        let mut said = serde_json::to_value(said)?;
        let target = said.pointer_mut(place).and_then(Value::as_object_mut).context("a place")?;
        target.extend(serde_json::from_str::<serde_json::Map<String, Value>>(new)?);
        take(&mut line, &said.to_string()).await?;
    }
    Ok((recorded, NEW.len()))
}

/// Always as another version than the collector's: what its own says is not looked at.
async fn take(line: &mut Line, said: &str) -> Result<()> {
    let agent = format!("User-Agent: muster-agent/{NEXT}\r\n");
    let answer = line.post("/v1/checkin", &agent, said.as_bytes()).await?;
    let why = String::from_utf8_lossy(&answer.body);
    ensure!(answer.status == 200, "{said} is answered {}: {why}", answer.status);
    Ok(())
}
