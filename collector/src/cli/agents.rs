//! `muster agents`: who reports, and whether it may.

use super::output::{self, Column};
use super::{Session, exit::Failure};
use clap::{Subcommand, ValueEnum};
use serde_json::json;

/// The agents that report.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List agents.
    List {
        /// pending, active, quarantined, superseded, revoked.
        #[arg(long)]
        state: Option<String>,
    },
    /// Show one agent.
    Show {
        /// Its id.
        agent: String,
    },
    /// Let a waiting agent in, if its key has the fingerprint that the machine shows.
    Approve {
        /// Its id.
        agent: String,
        /// The fingerprint that `muster-agent status` shows on the machine.
        #[arg(long)]
        fingerprint: String,
    },
    /// Refuse everything from an agent, from its next request on.
    Revoke {
        /// Its id.
        agent: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Decide on a quarantined agent.
    Resolve {
        /// Its id.
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
];

/// Runs the verb.
///
/// # Errors
/// What the collector answered.
pub async fn run(session: &Session, verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::List { state } => {
            let params: Vec<(&str, String)> = state.into_iter().map(|state| ("state", state)).collect();
            let rows = super::pages(session, "/v1/agents", &params, None).await?;
            Ok(output::list(session.format, LIST, &rows)?)
        }
        Verb::Show { agent } => {
            let answer = session.client.get(&format!("/v1/agents/{agent}"), &[]).await?;
            Ok(output::one(session.format, SHOW, &answer.body)?)
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

async fn act(session: &Session, agent: &str, verb: &str, body: &serde_json::Value, done: &str) -> Result<(), Failure> {
    session.client.post(&format!("/v1/agents/{agent}/{verb}"), body).await?;
    output::say(session.format, done);
    Ok(())
}
