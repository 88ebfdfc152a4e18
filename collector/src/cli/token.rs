//! `muster token`: tokens for the API. The secret is shown once.

use super::Session;
use super::exit::{Code, Failure};
use super::new_file::NewFile;
use super::output::{self, Column};
use clap::Subcommand;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Tokens for the API.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Make a token for a tool or a person.
    #[command(
        after_help = "Scopes: assets:read assets:write software:read tickets:read tickets:write audit:read agents:read agents:enroll agents:approve agents:revoke users:admin\n\nExamples:\n  muster token create cmdb-sync --scope assets:read --scope tickets:read --file token\n  muster token create desk --scope tickets:write --ttl 90d --cidr 192.0.2.0/24 > token"
    )]
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
    List,
    /// End a token.
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
