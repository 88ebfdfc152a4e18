//! `muster events`: the journal, as it is or as it comes.

use super::Session;
use super::exit::Failure;
use super::output::{self, Column, Format};
use clap::Subcommand;
use serde_json::Value;
use std::io::Write;

/// What happened.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List events, oldest first.
    #[command(
        after_help = "Examples:\n  muster events list --after 1200\n  muster events list --follow\n  muster events list --kind fault_raised --output json"
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
        /// Stay, and print events as they come; JSON is then one event a line.
        #[arg(long)]
        follow: bool,
        /// At most this many; all by default.
        #[arg(long)]
        limit: Option<usize>,
    },
}

const LIST: &[Column] =
    &[("SEQ", "seq"), ("AT", "at"), ("WHO", "by"), ("WHAT", "event.kind"), ("TOLD", "text"), ("ABOUT", "about")];

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
        return follow_from(session, after, params).await;
    }
    params.push(("after", after.to_string()));
    let rows = super::pages(session, "/v1/events", &params, limit).await?;
    Ok(output::list(session.format, LIST, &rows)?)
}

/// Prints the timeline of one thing, oldest first.
///
/// # Errors
/// What the collector answered.
pub async fn timeline(session: &Session, path: &str, limit: u32) -> Result<(), Failure> {
    let rows = super::pages(session, path, &[], Some(limit as usize)).await?;
    Ok(output::list(session.format, TIMELINE, &rows)?)
}

async fn follow_from(session: &Session, mut after: u64, params: Vec<(&str, String)>) -> Result<(), Failure> {
    loop {
        let mut asked = params.clone();
        asked.push(("after", after.to_string()));
        asked.push(("wait_s", "15".to_owned()));
        let answer = session.client.get("/v1/events", &asked).await?;
        let rows = answer.body.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
        for row in &rows {
            after = row.get("seq").and_then(Value::as_u64).unwrap_or(after).max(after);
            match session.format {
                Format::Table => {
                    let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default();
                    let at = row.get("at").and_then(Value::as_i64).map_or_else(String::new, output::time);
                    println!("{after} {at} {} {}", shared::show::line(text("by")), shared::show::line(text("text")));
                }
                Format::Json | Format::Csv => println!("{row}"),
            }
        }
        std::io::stdout().flush()?;
    }
}
