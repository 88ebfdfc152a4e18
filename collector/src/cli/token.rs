//! `muster token`: tokens for the API. The secret is shown once.

use super::Session;
use super::exit::{Code, Failure};
use super::new_file::NewFile;
use super::output::{self, Column};
use clap::Subcommand;
use serde_json::{Value, json};
use std::path::PathBuf;

/// For `--help` of `create`; a test holds the scopes against those that there are.
const CREATE: &str = "\
Scopes:
  assets:read      assets, their items and timelines
  assets:write     what people declare of an asset
  software:read    what is installed where
  agents:read      agents, their state and labels
  agents:enroll    join tokens
  agents:approve   let agents in, decide on quarantined ones
  agents:revoke    shut agents out
  tickets:read     tickets, comments, links
  tickets:write    open, move and comment tickets, link them
  audit:read       the journal
  users:admin      tokens; nobody gives more than they have
  ca:admin         rotate the certificate authority

Examples:
  muster token create cmdb --scope assets:read --scope tickets:read --file token
  muster token create desk --scope tickets:write --ttl 30d --cidr 192.0.2.0/24 > token
  muster assets list --url https://collector:8444 --token-file token --ca ca.pem

Ends with 7 where the file is there: it is never replaced.";

/// Tokens for the API.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Make a token for a tool or a person.
    #[command(after_help = CREATE)]
    Create {
        /// What it is for.
        name: String,
        /// What it may do; may be given several times.
        #[arg(long, required = true)]
        scope: Vec<String>,
        /// How long it lives: at most 365d.
        #[arg(long, default_value = "90d")]
        ttl: String,
        /// From where it may be used.
        #[arg(long)]
        cidr: Option<String>,
        /// Write the token here, readable by you alone; standard output otherwise.
        #[arg(long)]
        file: Option<PathBuf>,
    },
    /// List tokens (never their secrets).
    #[command(after_help = "Example:\n  muster token list --output csv")]
    List,
    /// End a token.
    #[command(
        after_help = "Example:\n  muster token revoke 0197c0de-7f3a-7c11-9d2e-5a6b7c8d9e0f\n\nBites on the next request."
    )]
    Revoke {
        /// Its id.
        token: String,
    },
}

const LIST: &[Column] = &[
    ("ID", "id"),
    ("NAME", "name"),
    ("SCOPES", "scopes"),
    ("CREATED", "created"),
    ("BY", "creator"),
    ("EXPIRES", "expires"),
    ("REVOKED", "revoked"),
];

const CREATED: &[Column] =
    &[("ID", "id"), ("NAME", "name"), ("SCOPES", "scopes"), ("EXPIRES", "expires"), ("TOKEN", "token")];

/// Runs the verb.
///
/// # Errors
/// What the collector answered, or a file that cannot be written.
pub async fn run(session: &Session, verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::Create { name, scope, ttl, cidr, file } => {
            let mut body = json!({"name": name, "scopes": scope, "ttl_s": super::seconds(&ttl)?});
            if let Some(cidr) = cidr {
                body["cidr"] = json!(cidr);
            }
            let file = file.as_deref().map(NewFile::create).transpose()?;
            let answer = session.client.post("/v1/tokens", &body).await?;
            let token = answer.body.get("token").and_then(Value::as_str);
            let token = token.ok_or_else(|| Failure::new(Code::Failed, "the collector answered without a token"))?;
            match file {
                Some(file) => {
                    let path = file.keep(&format!("{token}\n"))?;
                    let said = format!("token written: {}", path.display());
                    output::done(session.format, &said, LIST, &super::without(answer.body, "token"))
                }
                None => output::done(session.format, token, CREATED, &answer.body),
            }
        }
        Verb::List => {
            let rows = super::pages(session, "/v1/tokens", &[], None).await?;
            output::list(session.format, LIST, &rows)
        }
        Verb::Revoke { token } => {
            let token = super::only_id("token", &token, "muster token list")?;
            session.client.delete(&format!("/v1/tokens/{token}")).await?;
            output::done(session.format, "token revoked", super::join::REVOKED, &json!({"id": token}))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::CREATE;
    use crate::api::auth::Scope;

    #[test]
    fn every_scope_is_told_and_no_other() {
        let told = CREATE.lines().skip(1).take_while(|line| !line.is_empty());
        let told: Vec<&str> = told.filter_map(|line| line.split_whitespace().next()).collect();
        let there: Vec<&str> = Scope::ALL.iter().map(|scope| scope.name()).collect();
        assert_eq!(told, there);
    }
}
