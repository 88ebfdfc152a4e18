//! `muster links`: what belongs together.

use super::output::{self, Column, Format};
use super::{Session, exit::Failure};
use clap::Subcommand;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Links between assets, tickets and other tools.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Link two things.
    #[command(
        after_help = "An end is asset:NAME (or its id, tag, serial), a ticket's key (INC-17), another tool's ticket (jira:OPS-12) or a URL.\n\nExamples:\n  muster links add CHG-3 affects asset:laptop-17\n  muster links add INC-17 caused_by CHG-3\n  muster links add INC-17 tracked_by jira:OPS-12"
    )]
    Add {
        /// The first end.
        from: String,
        /// affects, caused_by, duplicates, resolves, implements, fulfils, depends_on, attached_to, recurs, relates, tracked_by.
        rel: String,
        /// The second end.
        to: String,
    },
    /// List the links of one thing.
    #[command(
        after_help = "Examples:\n  muster links list INC-17\n  muster links list asset:laptop-17\n  muster links list jira:OPS-12"
    )]
    List {
        /// Which: a ticket's key, asset:NAME, another tool's ticket or a URL.
        end: String,
    },
    /// Take a link away.
    #[command(after_help = "Example:\n  muster links remove 0197c0de-7f3a-7c11-9d2e-5a6b7c8d9e0f")]
    Remove {
        /// Its id, from `muster links list`.
        link: String,
    },
}

/// Columns of a list of links.
pub const LIST: &[Column] = &[("FROM", "from"), ("REL", "rel"), ("TO", "to"), ("SOURCE", "source"), ("ID", "id")];

const REMOVED: &[Column] = &[("ID", "id")];

/// Runs the verb.
///
/// # Errors
/// What the collector answered.
pub async fn run(session: &Session, verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::Add { from, rel, to } => {
            let (from, to) = (end(session, &from).await?, end(session, &to).await?);
            let answer = session.client.post("/v1/links", &json!({"from": from, "rel": rel, "to": to})).await?;
            let mut rows = [answer.body];
            call_by_name(session, &mut rows).await;
            output::one(session.format, LIST, &rows[0])
        }
        Verb::List { end: of } => {
            let of = end(session, &of).await?;
            let mut rows = super::pages(session, "/v1/links", &[("end", of)], None).await?;
            call_by_name(session, &mut rows).await;
            output::list(session.format, LIST, &rows)
        }
        Verb::Remove { link } => {
            let link = super::only_id("link", &link, "muster links list END")?;
            session.client.delete(&format!("/v1/links/{link}")).await?;
            output::done(session.format, "link removed", REMOVED, &json!({"id": link}))
        }
    }
}

/// An end of a link as the API takes it: a ticket's key becomes its id, and so does what a person calls an asset.
async fn end(session: &Session, text: &str) -> Result<String, Failure> {
    if super::tickets::is_key(text) {
        return Ok(format!("ticket:{}", super::tickets::id(session, text).await?));
    }
    match text.strip_prefix("asset:") {
        Some(asset) => Ok(format!("asset:{}", super::assets::id(session, asset).await?)),
        None => Ok(text.to_owned()),
    }
}

/// Things that are looked up for one list at most; the others are shown by their ids.
const NAMES: usize = 100;

/// Calls the ends of links as people do, in a table: a ticket by its key, an asset by its name. What cannot be
/// looked up stays as it is.
pub async fn call_by_name(session: &Session, rows: &mut [Value]) {
    if session.format != Format::Table {
        return;
    }
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    for row in rows {
        for end in ["from", "to"] {
            let Some(text) = row.get(end).and_then(Value::as_str).map(str::to_owned) else { continue };
            if !names.contains_key(&text) && names.len() < NAMES {
                let name = name(session, &text).await.unwrap_or_else(|| text.clone());
                names.insert(text.clone(), name);
            }
            if let Some(name) = names.get(&text) {
                row[end] = json!(name);
            }
        }
    }
}

async fn name(session: &Session, end: &str) -> Option<String> {
    let (path, field) = match end.split_once(':')? {
        ("ticket", id) => (format!("/v1/tickets/{id}"), "key"),
        ("asset", id) => (format!("/v1/assets/{id}"), "name"),
        _ => return None,
    };
    let thing = session.client.get(&path, &[]).await.ok()?.body;
    thing.get(field)?.as_str().map(|name| if field == "name" { format!("asset:{name}") } else { name.to_owned() })
}
