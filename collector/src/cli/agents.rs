//! `muster agents`: who reports, and whether it may.

use super::Session;
use super::exit::{Code, Failure};
use super::output::{self, Column};
use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

/// The agents that report.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List agents.
    #[command(
        after_help = "Examples:\n  muster agents list --state pending\n  muster agents list --output csv > agents.csv"
    )]
    List {
        /// pending, active, quarantined, superseded, revoked.
        #[arg(long)]
        state: Option<String>,
        /// What the machine called itself when it enrolled.
        #[arg(long)]
        name: Option<String>,
        /// Only those of another version that said what the collector, since it started, did not know: time to
        /// upgrade it.
        #[arg(long, conflicts_with_all = ["state", "name"])]
        unknown: bool,
    },
    /// Show one agent.
    #[command(
        after_help = "Example:\n  muster agents show laptop-17\n\nEnds with 6 where there is no such agent, with 7 where several have the name."
    )]
    Show {
        /// Its id or name.
        agent: String,
    },
    /// Let a waiting agent in, if its key has the fingerprint that the machine shows.
    #[command(
        after_help = "Example:\n  muster agents approve laptop-17 --fingerprint 4f1c…\n\nEnds with 2 where the key is another one: then it is not that machine, and nobody was let in."
    )]
    Approve {
        /// Its id or name.
        agent: String,
        /// The fingerprint that `muster-agent enroll` shows on the machine while it waits.
        #[arg(long)]
        fingerprint: String,
    },
    /// Refuse everything from an agent, from its next request on.
    #[command(
        after_help = "Example:\n  muster agents revoke laptop-17 --reason 'stolen'\n\nThe asset and its history stay; the machine joins again with a new join token."
    )]
    Revoke {
        /// Its id or name.
        agent: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Decide on a quarantined agent.
    #[command(
        after_help = "Examples:\n  muster agents resolve laptop-17 keep --reason 'new mainboard, ticket INC-17'\n  muster agents resolve laptop-17 reenroll --reason 'the disk was cloned'\n\nWhat contradicts: muster assets explain ASSET."
    )]
    Resolve {
        /// Its id or name.
        agent: String,
        /// What it is.
        #[arg(value_enum)]
        how: How,
        /// Why.
        #[arg(long)]
        reason: String,
    },
}

/// What a quarantined agent is.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum How {
    /// The machine it always was: it keeps its asset.
    Keep,
    /// Another machine: it gets an asset of its own.
    Split,
    /// A copy: it is revoked, and both machines enroll again.
    Reenroll,
}

impl How {
    fn name(self) -> &'static str {
        match self {
            How::Keep => "keep",
            How::Split => "split",
            How::Reenroll => "reenroll",
        }
    }
}

const LIST: &[Column] = &[
    ("NAME", "name"),
    ("STATE", "state"),
    ("VERSION", "version"),
    ("LAST SEEN", "last_seen"),
    ("ASSET", "asset"),
    ("ID", "id"),
];

const SHOW: &[Column] = &[
    ("id", "id"),
    ("name", "name"),
    ("state", "state"),
    ("reason", "reason"),
    ("version", "version"),
    ("asset", "asset"),
    ("last seen", "last_seen"),
    ("enrolled", "enrolled"),
    ("from", "source"),
    ("labels", "labels"),
    ("fingerprint", "fingerprint"),
    ("certificate until", "expires"),
    ("generation", "generation"),
    ("goodbye", "goodbye"),
    ("unknown words", "unknown"),
];

/// Runs the verb.
///
/// # Errors
/// What the collector answered.
pub async fn run(session: &Session, verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::List { state, name, unknown } => {
            let unknown = unknown.then(|| "true".to_owned());
            let params = [("state", state), ("name", name), ("unknown", unknown)];
            let params: Vec<(&str, String)> =
                params.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
            let rows = super::pages(session, "/v1/agents", &params, None).await?;
            output::list(session.format, LIST, &rows)
        }
        Verb::Show { agent } => {
            let agent = id(session, &agent).await?;
            let answer = session.client.get(&format!("/v1/agents/{agent}"), &[]).await?;
            output::one(session.format, SHOW, &answer.body)
        }
        Verb::Approve { agent, fingerprint } => {
            act(session, &agent, "approve", &json!({"fingerprint": fingerprint}), "agent approved").await
        }
        Verb::Revoke { agent, reason } => {
            act(session, &agent, "revoke", &json!({"reason": reason}), "agent revoked").await
        }
        Verb::Resolve { agent, how, reason } => {
            act(session, &agent, "resolve", &json!({"how": how.name(), "reason": reason}), "agent resolved").await
        }
    }
}

/// The id of what a person called it: an id, or the one agent that is called so and is not at an end.
async fn id(session: &Session, agent: &str) -> Result<String, Failure> {
    if super::is_id(agent) {
        return Ok(agent.to_owned());
    }
    let rows = super::pages(session, "/v1/agents", &[("name", agent.to_owned())], None).await?;
    let text = |row: &Value, name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let at_end = |row: &Value| ["revoked", "superseded"].contains(&text(row, "state").as_str());
    let (ended, speaking): (Vec<&Value>, Vec<&Value>) = rows.iter().partition(|row| at_end(row));
    match (speaking.as_slice(), ended.as_slice()) {
        ([row], _) | ([], [row]) => Ok(text(row, "id")),
        ([], []) => {
            Err(Failure::new(Code::NotFound, format!("no agent {agent:?}: by id or name (muster agents list)")))
        }
        _ => {
            let text = format!("several agents are called {agent:?}: use an id (muster agents list --name {agent})");
            Err(Failure::new(Code::Conflict, text))
        }
    }
}

async fn act(session: &Session, agent: &str, verb: &str, body: &serde_json::Value, done: &str) -> Result<(), Failure> {
    let agent = id(session, agent).await?;
    session.client.post(&format!("/v1/agents/{agent}/{verb}"), body).await?;
    let answer = session.client.get(&format!("/v1/agents/{agent}"), &[]).await?;
    output::done(session.format, done, SHOW, &answer.body)
}
