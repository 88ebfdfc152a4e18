//! `muster ca`: the roots that agents and collector trust each other by, and their rotation.

use super::Session;
use super::exit::Failure;
use super::output::{self, Column, Format};
use clap::Subcommand;
use serde_json::{Value, json};

/// Agents that are named in one line.
const NAMED: usize = 10;
/// After every step.
const KEEP: &str = "copy the folder `pki` of the state directory again: a copy from before this step locks agents out";

/// For `--help` of the noun.
const AFTER: &str = "\
A rotation is three steps; the collector runs all the while, and a step that would lock agents out waits:
  muster ca prepare     makes the next roots; agents learn them at their next check-ins
  muster ca activate    the next roots sign from now on; agents renew at their next check-ins
  muster ca retire      the old roots are trusted no more, their keys are destroyed
Until it is activated a rotation can be taken back:
  muster ca abandon     the next roots are forgotten, their keys are destroyed

Join files hold the roots: those from before `prepare` no longer enroll after `activate`. So it is with copies that
tools were given for --ca. After each step copy the folder `pki` again: a copy from before it locks agents out.
Needs the scope ca:admin.";

/// The certificate authority.
#[derive(Debug, Subcommand)]
#[command(after_help = AFTER)]
pub enum Verb {
    /// Show the roots, the step that follows, and the agents that hinder it.
    #[command(
        after_help = "Examples:\n  muster ca show\n  muster ca show --output json | jq -r '.behind_first[].name'"
    )]
    Show,
    /// Make the next roots and hand them out.
    #[command(
        after_help = "Example:\n  muster ca prepare\n\nNothing is signed by them yet. Ends with 7 where a rotation is under way."
    )]
    Prepare,
    /// Take the next roots back before they sign.
    #[command(
        after_help = "Example:\n  muster ca abandon\n\nNothing was signed by them, so nobody is locked out. Agents that learned them forget them within two check-ins.\nEnds with 7 where nothing is prepared, and once the next roots are activated."
    )]
    Abandon,
    /// Have the next roots sign.
    #[command(
        after_help = "Examples:\n  muster ca activate\n  muster ca activate --force\n\nEnds with 7 while agents do not know the next roots, with their number and how long it takes."
    )]
    Activate {
        /// Also where agents are locked out by it until they enroll again.
        #[arg(long)]
        force: bool,
    },
    /// Trust the old roots no more, and destroy their keys.
    #[command(
        after_help = "Examples:\n  muster ca retire\n  muster ca retire --force\n\nEnds with 7 while agents have certificates by the old roots, with their number and how long it takes.\nIt cannot be undone."
    )]
    Retire {
        /// Also where agents are locked out by it until they enroll again.
        #[arg(long)]
        force: bool,
    },
}

const SHOW: &[Column] = &[
    ("phase", "phase"),
    ("changed", "changed"),
    ("next step", "following"),
    ("waits for", "too_early"),
    ("agents that have the roots", "ready"),
    ("that have not", "behind"),
    ("that have not, and are silent", "ended"),
    ("agents to be approved", "pending"),
    ("join files from before", "join_tokens"),
];

const ROOTS: &[Column] =
    &[("SIGNS", "signs"), ("PLACE", "place"), ("EXPIRES", "expires"), ("FINGERPRINT (SHA-256)", "fingerprint")];

const LAGGING: &[Column] = &[("NAME", "name"), ("LAST SEEN", "last_seen"), ("EXPIRES", "expires"), ("ID", "id")];

/// Runs the verb.
///
/// # Errors
/// What the collector answered.
pub async fn run(session: &Session, verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::Show => show(session, &ca(session).await?),
        Verb::Prepare => {
            session.client.post("/v1/ca/prepare", &json!({})).await?;
            let next =
                "agents learn the next roots at their next check-ins: `muster ca show`, then `muster ca activate`";
            done(session, &format!("next roots prepared; {next}"), &[]).await
        }
        Verb::Abandon => {
            session.client.post("/v1/ca/abandon", &json!({})).await?;
            let forget = "agents that learned them forget them within two check-ins";
            done(session, &format!("next roots abandoned, their keys destroyed; {forget}"), &[]).await
        }
        Verb::Activate { force } => {
            let out = step(session, "activate", force).await?;
            let next = "agents renew at their next check-ins: `muster ca show`, then `muster ca retire`";
            done(session, &format!("next roots activated; {next}"), &out).await
        }
        Verb::Retire { force } => {
            let out = step(session, "retire", force).await?;
            done(session, "old roots retired, their keys destroyed", &out).await
        }
    }
}

async fn ca(session: &Session) -> Result<Value, Failure> {
    Ok(session.client.get("/v1/ca", &[]).await?.body)
}

/// Takes a step; gives the names of those whom it locks out.
async fn step(session: &Session, name: &str, force: bool) -> Result<Vec<String>, Failure> {
    let before = ca(session).await?;
    session.client.post(&format!("/v1/ca/{name}"), &json!({"force": force})).await?;
    let lagging = ["behind_first", "ended_first"].into_iter().filter_map(|list| before.get(list)?.as_array());
    let name = |row: &Value| row.get("name").and_then(Value::as_str).unwrap_or("(no name)").to_owned();
    Ok(lagging.flatten().map(name).collect())
}

async fn done(session: &Session, text: &str, out: &[String]) -> Result<(), Failure> {
    let mut after = ca(session).await?;
    if let (Some(map), false) = (after.as_object_mut(), out.is_empty()) {
        map.insert("locked_out".to_owned(), json!(out));
    }
    output::done(session.format, text, SHOW, &after)?;
    if session.format == Format::Table {
        if !out.is_empty() {
            let more = if out.len() > NAMED { ", …" } else { "" };
            let named = out.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
            output::say(&format!("locked out until they enroll again: {named}{more}"))?;
        }
        output::say(KEEP)?;
    }
    Ok(())
}

fn show(session: &Session, ca: &Value) -> Result<(), Failure> {
    let rows = |name: &str| ca.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let mut told = ca.clone();
    if let Some(map) = told.as_object_mut() {
        let since = map.get("since").cloned().unwrap_or_default();
        map.insert("changed".to_owned(), since);
    }
    output::one(session.format, SHOW, if session.format == Format::Table { &told } else { ca })?;
    if session.format == Format::Table {
        output::part("Roots", ROOTS, &rows("roots"))?;
        output::part("Agents that have not the roots", LAGGING, &rows("behind_first"))?;
        output::part("Silent ones: they enroll again when they come back", LAGGING, &rows("ended_first"))?;
    }
    Ok(())
}
