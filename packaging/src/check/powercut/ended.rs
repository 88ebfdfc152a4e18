//! What must stay ended: join tokens that were used up, agents and API tokens that were revoked. Ended on a collector
//! under load, and looked for in a state directory after a power cut: in the register, and what was revoked in the
//! ledger beside it too, which a restore of an older backup replays.
//!
//! The ledger is read here by its documented form, not by the collector's own code. Does not know what a restore does.

use crate::check::fleet::{Collector, Machine, Shape};
use anyhow::{Context, Result, ensure};
use rusqlite::{Connection, OpenFlags, OptionalExtension as _};
use std::path::Path;

/// Something that somebody was told has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ended {
    /// A join token for one machine, which came.
    JoinToken(String),
    /// An agent that was revoked.
    Agent(String),
    /// An API token that was revoked.
    ApiToken(String),
}

impl Ended {
    /// Whether the register says so.
    fn is_in(&self, register: &Connection) -> Result<bool> {
        let (sql, id) = match self {
            Ended::JoinToken(id) => ("select used >= uses from join_token where id = ?1", id),
            Ended::Agent(id) => ("select state = 'revoked' from agent where id = ?1", id),
            Ended::ApiToken(id) => ("select revoked from api_token where id = ?1", id),
        };
        Ok(register.query_row(sql, [id], |row| row.get(0)).optional()?.unwrap_or(false))
    }

    /// Whether this line of the ledger says so; all but used tokens must have one.
    fn is_line(&self, line: &[&str]) -> bool {
        match (self, line) {
            (Ended::Agent(id), [_, "agent", said, _]) | (Ended::ApiToken(id), [_, "api_token", said, _]) => said == id,
            _ => false,
        }
    }

    /// Whether a collector says so.
    fn is_told_by(&self, collector: &Collector) -> Result<bool> {
        let (path, id) = match self {
            Ended::JoinToken(id) => ("/v1/join-tokens", id),
            Ended::Agent(id) => ("/v1/agents", id),
            Ended::ApiToken(id) => ("/v1/tokens", id),
        };
        let rows = collector.pages(path)?;
        let row = rows.iter().find(|row| row["id"] == id.as_str());
        Ok(row.is_some_and(|row| match self {
            Ended::JoinToken(_) => row["used"] == row["uses"],
            Ended::Agent(_) => row["state"] == "revoked",
            Ended::ApiToken(_) => row["revoked"] == true,
        }))
    }
}

/// Ends one of each; `told` is called as soon as the collector has said so.
///
/// # Errors
/// The collector refuses.
pub(super) async fn end(
    collector: &Collector,
    number: usize,
    dir: &Path,
    mut told: impl FnMut(Ended) -> Result<()>,
) -> Result<()> {
    let made = collector.ask("POST", "/v1/join-tokens", r#"{"uses": 1, "ttl_s": 3600}"#)?;
    let join = serde_json::from_value(made["join"].clone()).context("a join file")?;
    let machine = Machine::enroll(number, Shape::default(), &join, &dir.join(format!("ended-{number}"))).await?;
    told(Ended::JoinToken(made["id"].as_str().context("an id")?.to_owned()))?;
    let made = collector.ask("POST", "/v1/tokens", r#"{"name": "ended", "scopes": ["audit:read"]}"#)?;
    let token = made["id"].as_str().context("an id")?.to_owned();
    collector.ask("POST", &format!("/v1/agents/{}/revoke", machine.id()), r#"{"reason": "stolen"}"#)?;
    told(Ended::Agent(machine.id()))?;
    collector.ask("DELETE", &format!("/v1/tokens/{token}"), "")?;
    told(Ended::ApiToken(token))
}

/// The whole lines of a ledger, as words; one that was cut short counts for nothing.
pub(super) fn ledger(state: &Path) -> Result<Vec<String>> {
    let text = match std::fs::read(state.join(collector::store::REVOCATIONS)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.context("the ledger")?,
    };
    let text = String::from_utf8_lossy(&text);
    let is_whole = |line: &&str| {
        let sum = line.rsplit(' ').next().unwrap_or_default();
        line.split(' ').count() == 4 && sum.len() == 16 && sum.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    Ok(text.lines().filter(is_whole).map(str::to_owned).collect())
}

/// How many of these the register does not know as ended, or the ledger not as revoked.
///
/// # Errors
/// The ledger tells of something that the register takes for good.
pub(super) fn lost(file: &Path, ledger: &[String], ended: &[&Ended]) -> Result<u64> {
    let register = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let lines: Vec<Vec<&str>> = ledger.iter().map(|line| line.split(' ').collect()).collect();
    for line in &lines {
        let said = match line.as_slice() {
            [_, "agent", id, _] => Ended::Agent((*id).to_owned()),
            [_, "api_token", id, _] => Ended::ApiToken((*id).to_owned()),
            _ => continue,
        };
        ensure!(said.is_in(&register)?, "{said:?} is in the ledger, and not ended in the register");
    }
    let mut lost = 0;
    for one in ended {
        let noted = matches!(one, Ended::JoinToken(_)) || lines.iter().any(|line| one.is_line(line));
        lost += u64::from(!noted || !one.is_in(&register)?);
    }
    Ok(lost)
}

/// That a collector which started there lets none of these in again, and noted again what it lacked.
///
/// # Errors
/// One that it does not take for ended.
pub(super) fn told_by(collector: &Collector, state: &Path, ended: &[&Ended]) -> Result<()> {
    let ledger = ledger(state)?;
    for one in ended {
        ensure!(one.is_told_by(collector)?, "{one:?} is good again");
        let noted = ledger.iter().any(|line| one.is_line(&line.split(' ').collect::<Vec<_>>()));
        ensure!(noted || matches!(one, Ended::JoinToken(_)), "{one:?} is not in the ledger");
    }
    Ok(())
}
