//! `muster links`: what belongs together.

use super::output::{self, Column};
use super::{Session, exit::Failure};
use clap::Subcommand;
use serde_json::json;

/// Links between assets, tickets and other tools.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Link two things.
    #[command(
        after_help = "An end is asset:ID, ticket:ID, a ticket's key (INC-17), another tool's ticket (jira:OPS-12) or a URL.\n\nExamples:\n  muster links add CHG-3 affects asset:0197c0de-…\n  muster links add INC-17 caused_by CHG-3\n  muster links add INC-17 tracked_by jira:OPS-12"
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
    List {
        /// The end.
        end: String,
    },
    /// Take a link away.
    Remove {
        /// Its id.
        link: String,
    },
}

/// Columns of a list of links.
pub const LIST: &[Column] = &[("FROM", "from"), ("REL", "rel"), ("TO", "to"), ("SOURCE", "source"), ("ID", "id")];

/// Runs the verb.
///
/// # Errors
/// What the collector answered.
pub async fn run(session: &Session, verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::Add { from, rel, to } => {
            let (from, to) = (end(session, &from).await?, end(session, &to).await?);
            let answer = session.client.post("/v1/links", &json!({"from": from, "rel": rel, "to": to})).await?;
            Ok(output::one(session.format, LIST, &answer.body)?)
        }
        Verb::List { end: of } => {
            let of = end(session, &of).await?;
            let rows = super::pages(session, "/v1/links", &[("end", of)], None).await?;
            Ok(output::list(session.format, LIST, &rows)?)
        }
        Verb::Remove { link } => {
            session.client.delete(&format!("/v1/links/{link}")).await?;
            output::say(session.format, "link removed");
            Ok(())
        }
    }
}

/// An end of a link as the API takes it: a ticket's key becomes its id.
async fn end(session: &Session, text: &str) -> Result<String, Failure> {
    if super::tickets::is_key(text) {
        return Ok(format!("ticket:{}", super::tickets::id(session, text).await?));
    }
    Ok(text.to_owned())
}
