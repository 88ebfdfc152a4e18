//! `muster tickets`: incidents, requests, problems and changes.

use super::exit::{Code, Failure};
use super::output::{self, Column, Format};
use super::{Session, assets};
use clap::Subcommand;
use serde_json::{Value, json};

/// Incidents, requests, problems and changes.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List tickets, the newest first.
    #[command(
        after_help = "Examples:\n  muster tickets list --open --kind incident\n  muster tickets list --asset laptop-17 --output json"
    )]
    List {
        /// incident, request, problem, change.
        #[arg(long)]
        kind: Option<String>,
        /// A state of its process.
        #[arg(long)]
        state: Option<String>,
        /// Only those that are not at an end.
        #[arg(long)]
        open: bool,
        /// Who works on it.
        #[arg(long)]
        assignee: Option<String>,
        /// About this asset: id, name, tag or serial.
        #[arg(long)]
        asset: Option<String>,
        /// At most this many; all by default.
        #[arg(long)]
        limit: Option<usize>,
    },
    /// Show one ticket: its facts, comments, links, the moves it may make, and its frozen evidence.
    #[command(
        after_help = "Examples:\n  muster tickets show INC-17\n  muster tickets show INC-17 --output json | jq .snapshot"
    )]
    Show {
        /// Its key (INC-17) or id.
        ticket: String,
    },
    /// Open a ticket.
    #[command(
        name = "open",
        after_help = "Examples:\n  muster tickets open incident 'Mail is down' --impact 1 --urgency 1\n  muster tickets open change 'Grow /srv' --asset files-1 --field type=standard"
    )]
    Open {
        /// incident, request, problem, change.
        kind: String,
        /// What it is about, in one line.
        title: String,
        /// What happened or what is wanted, at length.
        #[arg(long, default_value = "", hide_default_value = true)]
        description: String,
        /// 1 service or site, 2 group, 3 one person.
        #[arg(long)]
        impact: Option<u8>,
        /// 1 work stopped, 2 degraded, 3 can wait.
        #[arg(long)]
        urgency: Option<u8>,
        /// Who works on it.
        #[arg(long)]
        assignee: Option<String>,
        /// Who asked for it.
        #[arg(long)]
        requester: Option<String>,
        /// An asset that it concerns: id, name, tag or serial; may be given several times.
        #[arg(long)]
        asset: Vec<String>,
        /// What only its kind has: `name=value`; may be given several times.
        #[arg(long, value_name = "NAME=VALUE")]
        field: Vec<String>,
    },
    /// Write on a ticket.
    #[command(after_help = "Example:\n  muster tickets comment INC-17 'Disk ordered, arrives on Friday'")]
    Comment {
        /// Its key or id.
        ticket: String,
        /// What to write.
        text: String,
    },
    /// Move a ticket along its process; `show` tells which moves it may make.
    #[command(
        name = "move",
        after_help = "Examples:\n  muster tickets move INC-17 assigned --field assignee=ada\n  muster tickets move INC-17 resolved --field resolution_code=fixed --field resolution_text='Log rotation mended'\n\nEnds with 7 where that move is not to be made from its state, with 2 where a field is missing."
    )]
    Move {
        /// Its key or id.
        ticket: String,
        /// The state to move to.
        to: String,
        /// Why, in words; some moves need it.
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
        /// What the move needs: `name=value`; may be given several times.
        #[arg(long, value_name = "NAME=VALUE")]
        field: Vec<String>,
    },
}

const LIST: &[Column] = &[
    ("KEY", "key"),
    ("P", "priority"),
    ("STATE", "state"),
    ("TITLE", "title"),
    ("COUNT", "count"),
    ("ASSIGNEE", "assignee"),
    ("OPENED", "opened"),
    ("UPDATED", "updated"),
];

const SHOW: &[Column] = &[
    ("key", "key"),
    ("id", "id"),
    ("kind", "kind"),
    ("state", "state"),
    ("title", "title"),
    ("description", "description"),
    ("priority", "priority"),
    ("impact", "impact"),
    ("urgency", "urgency"),
    ("assignee", "assignee"),
    ("requester", "requester"),
    ("opened", "opened"),
    ("updated", "updated"),
    ("rule", "rule"),
    ("count", "count"),
    ("last seen", "last_seen"),
    ("resolution", "resolution_code"),
    ("resolved how", "resolution_text"),
    ("fields", "fields"),
    ("may move to", "moves"),
];

const COMMENTS: &[Column] = &[("AT", "at"), ("WHO", "actor"), ("TEXT", "text")];

/// Columns of a list of faults.
pub const FAULTS: &[Column] = &[
    ("CHECK", "check"),
    ("RESOURCE", "resource"),
    ("STATE", "state"),
    ("SEVERITY", "severity"),
    ("VALUE", "value"),
    ("DETAIL", "detail"),
    ("SINCE", "first"),
];

/// Runs the verb.
///
/// # Errors
/// What the collector answered.
pub async fn run(session: &Session, verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::List { kind, state, open, assignee, asset, limit } => {
            let asset = match asset {
                Some(asset) => Some(assets::id(session, &asset).await?),
                None => None,
            };
            let open = open.then(|| "true".to_owned());
            let params: Vec<(&str, String)> =
                [("kind", kind), ("state", state), ("open", open), ("assignee", assignee), ("asset", asset)]
                    .into_iter()
                    .filter_map(|(name, value)| Some((name, value?)))
                    .collect();
            let rows = super::pages(session, "/v1/tickets", &params, limit).await?;
            output::list(session.format, LIST, &rows)
        }
        Verb::Show { ticket } => show(session, &ticket).await,
        Verb::Open { kind, title, description, impact, urgency, assignee, requester, asset, field } => {
            let mut ids = Vec::new();
            for asset in &asset {
                ids.push(assets::id(session, asset).await?);
            }
            let mut body = json!({"kind": kind, "title": title, "description": description, "assets": ids, "fields": fields(&field)?});
            for (name, value) in [("impact", impact.map(|n| json!(n))), ("urgency", urgency.map(|n| json!(n)))] {
                if let Some(value) = value {
                    body[name] = value;
                }
            }
            for (name, value) in [("assignee", assignee), ("requester", requester)] {
                if let Some(value) = value {
                    body[name] = Value::String(value);
                }
            }
            let answer = session.client.post("/v1/tickets", &body).await?;
            output::one(session.format, SHOW, &answer.body)
        }
        Verb::Comment { ticket, text } => {
            let id = id(session, &ticket).await?;
            let path = format!("/v1/tickets/{id}/comments");
            let answer = session.client.post(&path, &json!({"text": text})).await?;
            output::done(session.format, "comment added", COMMENTS, &answer.body)
        }
        Verb::Move { ticket, to, reason, field } => {
            let id = id(session, &ticket).await?;
            let body = json!({"to": to, "reason": reason, "fields": fields(&field)?});
            let answer = session.client.post(&format!("/v1/tickets/{id}/moves"), &body).await?;
            output::one(session.format, SHOW, &answer.body)
        }
    }
}

async fn show(session: &Session, ticket: &str) -> Result<(), Failure> {
    let id = id(session, ticket).await?;
    let answer = session.client.get(&format!("/v1/tickets/{id}"), &[]).await?;
    output::one(session.format, SHOW, &answer.body)?;
    if session.format == Format::Table {
        for (title, name, columns) in [("Links", "links", super::links::LIST), ("Comments", "comments", COMMENTS)] {
            let mut rows = answer.body.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
            super::links::call_by_name(session, &mut rows).await;
            output::part(title, columns, &rows)?;
        }
    }
    Ok(())
}

fn fields(given: &[String]) -> Result<Value, Failure> {
    let mut map = serde_json::Map::new();
    for text in given {
        let (name, value) = text
            .split_once('=')
            .ok_or_else(|| Failure::new(Code::Usage, format!("--field {text}: expected NAME=VALUE")))?;
        map.insert(name.to_owned(), Value::String(value.to_owned()));
    }
    Ok(Value::Object(map))
}

/// Whether a text is a ticket's key: `INC-17`.
pub fn is_key(text: &str) -> bool {
    text.split_once('-').is_some_and(|(prefix, number)| {
        ["INC", "REQ", "PRB", "CHG"].iter().any(|kind| prefix.eq_ignore_ascii_case(kind))
            && !number.is_empty()
            && number.bytes().all(|b| b.is_ascii_digit())
    })
}

/// The id of a ticket, from its key or id.
///
/// # Errors
/// No such ticket.
pub async fn id(session: &Session, ticket: &str) -> Result<String, Failure> {
    if super::is_id(ticket) {
        return Ok(ticket.to_owned());
    }
    let key = ticket.to_ascii_uppercase();
    let rows = match is_key(&key) {
        true => super::pages(session, "/v1/tickets", &[("key", key)], Some(1)).await?,
        false => Vec::new(),
    };
    let id = rows.first().and_then(|row| row.get("id")).and_then(Value::as_str);
    id.map(str::to_owned).ok_or_else(|| {
        Failure::new(Code::NotFound, format!("no ticket {ticket:?}: by key (INC-17) or id (muster tickets list)"))
    })
}
