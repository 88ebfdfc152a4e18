//! What an agent of the next version may say: fields, words, sections and states that this version does not know. No
//! version was released before this one; payloads of today's are kept with the tests, for the next ones to replay.
//! What is not known is counted, and whoever asks is told which agents say it.

use super::{Abuse, crowd};
use crate::check::fleet::Collector;
use crate::check::fleet::line::{self, Line};
use crate::check::promise::Seen;
use crate::check::security::report::{check_in, evidence};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use shared::evidence::Kind;
use shared::fact::Item;

/// The agent's version.
const NEXT: &str = "User-Agent: muster-agent/99.0.0\r\n";

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

/// 74: what a later version says is taken as far as it is understood.
pub(super) fn next(abuse: &Abuse) -> Result<Seen> {
    let place = tempfile::tempdir()?;
    let settings = "agents.checkin_s = 5\nlimits.checkin_every_ms = 0\n";
    let (collector, _) = Collector::start_with(&abuse.binary("muster")?, place.path(), "127.0.0.1", settings)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let taken = runtime.block_on(all(&collector))?;
    let listed = collector.ask("GET", "/v1/agents?unknown=true", "")?;
    let rows = listed["items"].as_array().context("agents")?;
    let unknown: Vec<Option<u64>> = rows.iter().map(|row| row["unknown"].as_u64()).collect();
    ensure!(unknown == [Some(UNKNOWN)], "{UNKNOWN} fields and words were unknown, and it says {listed}");
    Ok(Seen::Pass(format!(
        "{taken} of {taken} check-ins with unknown fields, words, states, sections and kinds are taken, {UNKNOWN} \
         unknown fields and words counted; no version was released before this one (N-1, N-2: none)"
    )))
}

async fn all(collector: &Collector) -> Result<usize> {
    let members = crowd::enroll(collector, 1).await?;
    let mut line = Line::open(collector.agents(), line::address(1), &members.first().context("a member")?.tls).await?;
    for (seq, (place, new)) in (1_u64..).zip(NEW) {
        let item = Item::new("hologram", "h").with("value", Some(seq.to_string()));
        let said = check_in("n+1", seq, vec![("holograms", vec![item]), evidence(&[(Kind::Hostname, "n")])]);
        let mut said = serde_json::to_value(said)?;
        let target = said.pointer_mut(place).and_then(Value::as_object_mut).context("a place")?;
        let new: serde_json::Map<String, Value> = serde_json::from_str(new)?;
        target.extend(new.clone());
        let answer = line.post("/v1/checkin", NEXT, said.to_string().as_bytes()).await?;
        ensure!(
            answer.status == 200,
            "{} at {place:?} is answered {}: {}",
            json!(new),
            answer.status,
            String::from_utf8_lossy(&answer.body)
        );
    }
    Ok(NEW.len())
}
