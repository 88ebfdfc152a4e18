//! `muster events`: the journal, as it is or as it comes.

use super::Session;
use super::exit::Failure;
use super::output::{self, Column};
use clap::Subcommand;
use serde_json::Value;

/// What happened.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List events, oldest first.
    #[command(
        after_help = "Examples:\n  muster events list --after 1200\n  muster events list --follow\n  muster events list --subject asset:0197c0de-7f3a-7c11-9d2e-5a6b7c8d9e0f\n  muster events list --kind fault_raised --output json\n  muster events list --follow --output json | jq --unbuffered .text\n\nJSON is one document; with --follow it is NDJSON, one event a line. --follow stays until Ctrl-C, until --limit\nor until nobody reads; it ends with 4 where the collector goes away: go on with --after SEQ."
    )]
    List {
        /// Only those after this number.
        #[arg(long, default_value_t = 0)]
        after: u64,
        /// Only those about this: `asset:ID`, `ticket:ID`, `agent:ID`.
        #[arg(long)]
        subject: Option<String>,
        /// Only those by this actor: `local:0`, `token:ID`, `agent:ID`, `rule:NAME`.
        #[arg(long)]
        actor: Option<String>,
        /// Only of this kind.
        #[arg(long)]
        kind: Option<String>,
        /// Stay, and print events as they come.
        #[arg(long)]
        follow: bool,
        /// At most this many; all by default.
        #[arg(long)]
        limit: Option<usize>,
    },
}

const LIST: &[Column] =
    &[("SEQ", "seq"), ("AT", "at"), ("WHO", "by"), ("WHAT", "event.kind"), ("TOLD", "text"), ("ABOUT", "about")];

const FOLLOW: &[Column] = &[("SEQ", "seq"), ("AT", "at"), ("WHO", "by"), ("TOLD", "text")];

/// Seconds that one question may wait for an event; the collector allows no more.
const WAIT_S: u64 = 15;

const TIMELINE: &[Column] = &[("AT", "at"), ("WHO", "by"), ("TOLD", "text")];

/// Runs the verb.
///
/// # Errors
/// What the collector answered.
pub async fn run(session: &Session, verb: Verb) -> Result<(), Failure> {
    let Verb::List { after, subject, actor, kind, follow, limit } = verb;
    let mut params: Vec<(&str, String)> = [("subject", subject), ("actor", actor), ("kind", kind)]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
    if follow {
        return keep_up(session, after, params, limit.unwrap_or(usize::MAX)).await;
    }
    params.push(("after", after.to_string()));
    let rows = super::pages(session, "/v1/events", &params, limit).await?;
    output::list(session.format, LIST, &rows)
}

/// Prints the timeline of one thing: its latest events, the newest last.
///
/// # Errors
/// What the collector answered.
pub async fn timeline(session: &Session, path: &str, limit: usize) -> Result<(), Failure> {
    let mut rows = super::pages(session, path, &[("newest_first", "true".to_owned())], Some(limit)).await?;
    rows.reverse();
    output::list(session.format, TIMELINE, &rows)
}

/// Prints events as they come, up to a limit.
async fn keep_up(
    session: &Session,
    mut after: u64,
    params: Vec<(&str, String)>,
    mut left: usize,
) -> Result<(), Failure> {
    let mut first = true;
    while left > 0 && !output::is_unread() {
        let mut asked = params.clone();
        asked.push(("after", after.to_string()));
        asked.push(("wait_s", WAIT_S.to_string()));
        let answer = session.client.get("/v1/events", &asked).await?;
        let mut rows = answer.body.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
        rows.truncate(left);
        left -= rows.len();
        after = rows.last().and_then(|row| row.get("seq")?.as_u64()).unwrap_or(after).max(after);
        output::follow(session.format, FOLLOW, &rows, first)?;
        first = false;
    }
    Ok(())
}
