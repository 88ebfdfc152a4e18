//! `muster join`: tokens by which agents join. The secret is shown once, in the join file.

use super::Session;
use super::exit::{Code, Failure};
use super::new_file::NewFile;
use super::output::{self, Column};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Tokens by which agents join.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Make a token and write the join file that `muster-agent enroll --join FILE` reads.
    #[command(
        after_help = "Examples:\n  muster join create --file join.json\n  muster join create --ttl 7d --uses 200 --cidr 192.0.2.0/24 --label site=hq > join.json\n  ssh host muster-agent enroll --join - < join.json\n\nThe join file is JSON whatever --output says. Ends with 7 where the file is there: it is never replaced."
    )]
    Create(Create),
    /// List tokens (never their secrets).
    #[command(after_help = "Example:\n  muster join list")]
    List,
    /// End a token. Agents that came with it stay.
    #[command(after_help = "Example:\n  muster join revoke 0197c0de-7f3a-7c11-9d2e-5a6b7c8d9e0f")]
    Revoke {
        /// Its id.
        token: String,
    },
}

/// What a token is worth.
#[derive(Debug, Args)]
pub struct Create {
    /// How long it may be used: `24h`, `7d`; at most 30 days.
    #[arg(long, default_value = "24h")]
    ttl: String,
    /// How many agents may come with it.
    #[arg(long, default_value_t = 1)]
    uses: u32,
    /// From where: `192.0.2.0/24`.
    #[arg(long)]
    cidr: Option<String>,
    /// A label for agents that come with it: `name=value`; may be given several times.
    #[arg(long, value_name = "NAME=VALUE")]
    label: Vec<String>,
    /// Agents wait until an admin approves them.
    #[arg(long)]
    approve: bool,
    /// Write the join file here, readable by you alone; standard output otherwise.
    #[arg(long)]
    file: Option<PathBuf>,
}

const LIST: &[Column] = &[
    ("ID", "id"),
    ("CREATED", "created"),
    ("BY", "creator"),
    ("EXPIRES", "expires"),
    ("USED", "used"),
    ("OF", "uses"),
    ("CIDR", "cidr"),
    ("APPROVE", "approve"),
    ("REVOKED", "revoked"),
    ("LABELS", "labels"),
];

/// Columns of a token that was just revoked.
pub const REVOKED: &[Column] = &[("ID", "id")];

/// Runs the verb.
///
/// # Errors
/// What the collector answered, or a file that cannot be written.
pub async fn run(session: &Session, verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::Create(create) => {
            let file = create.file.as_deref().map(NewFile::create).transpose()?;
            let answer = session.client.post("/v1/join-tokens", &body(&create)?).await?;
            let join = answer
                .body
                .get("join")
                .ok_or_else(|| Failure::new(Code::Failed, "the collector answered without a join file"))?;
            let text = serde_json::to_string_pretty(join).unwrap_or_default() + "\n";
            match file {
                Some(file) => {
                    let path = file.keep(&text)?;
                    let said =
                        format!("join file written: {} (it contains a secret; the agent deletes it)", path.display());
                    output::done(session.format, &said, LIST, &super::without(answer.body, "join"))
                }
                None => output::print(|out| out.write_all(text.as_bytes())),
            }
        }
        Verb::List => {
            let rows = super::pages(session, "/v1/join-tokens", &[], None).await?;
            output::list(session.format, LIST, &rows)
        }
        Verb::Revoke { token } => {
            let token = super::only_id("join token", &token, "muster join list")?;
            session.client.delete(&format!("/v1/join-tokens/{token}")).await?;
            output::done(session.format, "join token revoked", REVOKED, &json!({"id": token}))
        }
    }
}

fn body(create: &Create) -> Result<Value, Failure> {
    let mut labels = serde_json::Map::new();
    for text in &create.label {
        let (name, value) = text
            .split_once('=')
            .ok_or_else(|| Failure::new(Code::Usage, format!("--label {text}: expected NAME=VALUE")))?;
        labels.insert(name.to_owned(), Value::String(value.to_owned()));
    }
    let mut body = json!({"ttl_s": super::seconds(&create.ttl)?, "uses": create.uses, "approve": create.approve, "labels": labels});
    if let Some(cidr) = &create.cidr {
        body["cidr"] = json!(cidr);
    }
    Ok(body)
}
