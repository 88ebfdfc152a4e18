//! `muster-agent status`: who we are, whether the collector hears us, and what waits. Reads files only, and
//! changes none.

use super::output::{self, Format};
use crate::clock;
use crate::config::Config;
use crate::exit::{Code, Fail};
use crate::state::identity::{Stored, Vault};
use crate::state::position::{Position, PositionFile};
use crate::state::status::Status;
use shared::unit::At;

/// For `--help`.
pub const HELP: &str = "\
Examples:
  muster-agent status
  muster-agent status --output json | jq .trouble

Reads files only: the last contact is the service's. Ends with 4 when not enrolled, with 5 when the collector
takes nothing, with 8 when the state directory cannot be read, else with 0.";

#[derive(serde::Serialize)]
struct Shown {
    agent: String,
    generation: u64,
    agent_url: String,
    certificate_until: String,
    renew_at: String,
    last_contact: Option<String>,
    last_try: Option<String>,
    trouble: Option<String>,
    stopped: bool,
    failures: u32,
    every_s: u32,
    moved: bool,
    clock_ahead_s: Option<i64>,
    records_made: u64,
    records_acknowledged: u64,
    spool_bytes: u64,
    refused: u64,
    untold: u64,
}

pub fn status(config: &Config, format: Format) -> Result<(), Fail> {
    let vault = Vault::open(&config.state_dir).map_err(|error| Fail::new(Code::State, error.to_string()))?;
    let Some(current) = vault.current()? else {
        return Err(Fail::new(Code::NotEnrolled, "not enrolled; run `muster-agent enroll --join FILE`"));
    };
    let status = Status::load(&config.state_dir);
    let position = PositionFile::peek(&config.state_dir.join("position")).unwrap_or_default();
    let spool = std::fs::metadata(config.state_dir.join("spool")).map_or(0, |spool| spool.len());
    let shown = gather(current.stored, &status, position, spool);
    let lines = lines(&shown, &status);
    output::print(|out| match format {
        Format::Json => output::json(out, &shown),
        Format::Csv => output::csv(out, ["name", "value"], lines.iter().map(|(name, value)| [*name, value.as_str()])),
        Format::Table => output::pairs(out, &lines),
    })?;
    match status.trouble.filter(|_| status.stopped) {
        Some(why) => Err(Fail::new(Code::Refused, format!("{why}; see `muster agents show` at the collector"))),
        None => Ok(()),
    }
}

fn gather(stored: Stored, status: &Status, position: Position, spool_bytes: u64) -> Shown {
    let granted = stored.granted;
    Shown {
        agent: granted.agent.to_string(),
        generation: granted.generation,
        agent_url: granted.agent_url,
        certificate_until: time(granted.expires),
        renew_at: time(stored.renew_at),
        last_contact: status.last_contact.map(time),
        last_try: status.last_try.map(time),
        trouble: status.trouble.clone(),
        stopped: status.stopped,
        failures: status.failures,
        every_s: status.every_s,
        moved: status.moved,
        clock_ahead_s: status.clock_ahead_s,
        records_made: position.made,
        records_acknowledged: position.acknowledged,
        spool_bytes,
        refused: status.refused,
        untold: status.untold.as_ref().map_or(0, |gap| gap.records),
    }
}

fn lines(shown: &Shown, status: &Status) -> Vec<(&'static str, String)> {
    let ago = |at: Option<At>| match at {
        Some(at) => format!("{} ({} s ago)", time(at), clock::now().secs_since(at).max(0)),
        None => "never".to_owned(),
    };
    let waiting = match shown.records_made.saturating_sub(shown.records_acknowledged) {
        0 => "nothing".to_owned(),
        _ => {
            format!("records {} to {}, {} bytes", shown.records_acknowledged + 1, shown.records_made, shown.spool_bytes)
        }
    };
    let mut lines = vec![
        ("agent", format!("{}, generation {}", shown.agent, shown.generation)),
        ("collector", shown.agent_url.clone()),
        ("certificate", format!("until {}, renewed from {}", shown.certificate_until, shown.renew_at)),
        ("last contact", ago(status.last_contact)),
        ("waiting", waiting),
    ];
    let mut also = |name, value: Option<String>| lines.extend(value.map(|value| (name, value)));
    also("trouble", shown.trouble.clone());
    also("last try", shown.trouble.as_ref().map(|_| ago(status.last_try)));
    also("moved", shown.moved.then(|| "this is not the machine that the key was made on".to_owned()));
    also("refused", (shown.refused > 0).then(|| format!("{} records, the last ones in refused/", shown.refused)));
    also("lost", (shown.untold > 0).then(|| format!("{} records, told in the next one", shown.untold)));
    also("clock", shown.clock_ahead_s.filter(|ahead| ahead.abs() > 1).map(|ahead| format!("{ahead} s ahead")));
    lines
}

/// A time as people and programs read it: RFC 3339, whole seconds, UTC.
fn time(at: At) -> String {
    jiff::Timestamp::from_second(at.secs()).map_or_else(|_| at.secs().to_string(), |time| time.to_string())
}
