//! The collector that runs: whether there is one, and what its agents do.

use super::found::Found;
use crate::cli::client::{Client, Target};
use crate::cli::exit::Failure;
use crate::cli::output::Format;
use crate::cli::{Session, pages};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Machines that are named in one line.
const NAMED: usize = 3;
/// Versions that are named; agents say their own.
const VERSIONS: usize = 5;
/// Rows that are counted of each kind; more are "or more".
const COUNTED: usize = 500;

/// What a person should know of: what to call it, the list, its filter, the verb that shows it.
type Watched = (&'static str, &'static str, (&'static str, &'static str), &'static str);

const WATCHED: &[Watched] = &[
    ("silent", "/v1/assets", ("presence", "silent"), "muster assets list --presence silent"),
    ("stale", "/v1/assets", ("presence", "stale"), "muster assets list --presence stale"),
    ("missing", "/v1/assets", ("presence", "missing"), "muster assets list --presence missing"),
    ("waiting for approval", "/v1/agents", ("state", "pending"), "muster agents list --state pending"),
    ("quarantined", "/v1/agents", ("state", "quarantined"), "muster agents list --state quarantined"),
];

/// Whether a collector answers at its socket; `None` where this user may not know.
pub(super) fn collector(socket: &Path) -> (Found, Option<bool>) {
    match UnixStream::connect(socket) {
        Ok(_) => (Found::pass(format!("answers at {}", socket.display())), Some(true)),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            let advice = "run this as root or as a member of the group muster-admin";
            (Found::warn(format!("{}: {error}", socket.display()), advice), None)
        }
        Err(_) => {
            let advice = "start it: `systemctl start muster`, or `muster serve`";
            (Found::warn(format!("does not run: nobody answers at {}", socket.display()), advice), Some(false))
        }
    }
}

/// Machines and agents that a person should look at, and agents that say more than this collector knows.
pub(super) fn agents(socket: &Path) -> Vec<(&'static str, Found)> {
    match ask(socket) {
        Ok((agents, versions)) => vec![("agents", agents), ("versions", versions)],
        Err(failure) => vec![("agents", Found::fail(failure.message, "look at the collector's log"))],
    }
}

fn ask(socket: &Path) -> Result<(Found, Found), Failure> {
    let target = Target { socket: socket.to_owned(), url: None, token_file: None, ca: None };
    let session = Session { client: Client::new(&target)?, format: Format::Json };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut seen = Vec::new();
        for (what, path, (field, value), verb) in WATCHED {
            let rows = pages(&session, path, &[(*field, (*value).to_owned())], Some(COUNTED)).await?;
            seen.push((*what, *verb, rows));
        }
        let unknown = [("unknown", "true".to_owned())];
        let puzzling = pages(&session, "/v1/agents", &unknown, Some(COUNTED)).await?;
        Ok((told(&seen), versions(&puzzling)))
    })
}

pub(super) fn told(seen: &[(&str, &str, Vec<Value>)]) -> Found {
    let seen: Vec<_> = seen.iter().filter(|(_, _, rows)| !rows.is_empty()).collect();
    if seen.is_empty() {
        return Found::pass("none is silent, waits or is quarantined");
    }
    let each = seen.iter().map(|(what, _, rows)| {
        let name = |row: &Value| row.get("name").and_then(Value::as_str).unwrap_or("(no name)").to_owned();
        let mut names: Vec<String> = rows.iter().take(NAMED).map(name).collect();
        if rows.len() > NAMED {
            names.push("…".to_owned());
        }
        let more = if rows.len() == COUNTED { " or more" } else { "" };
        format!("{}{more} {what} ({})", rows.len(), names.join(", "))
    });
    let verbs: Vec<String> = seen.iter().map(|(_, verb, _)| format!("`{verb}`")).collect();
    Found::warn(each.collect::<Vec<_>>().join("; "), format!("see {}", verbs.join(", ")))
}

/// Agents, by their version, that say what this collector does not know: it is the older one.
pub(super) fn versions(agents: &[Value]) -> Found {
    if agents.is_empty() {
        return Found::pass("nothing that agents said since the collector started is unknown to it");
    }
    let mut counted: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for agent in agents {
        let version = agent.get("version").and_then(Value::as_str).unwrap_or("?");
        let (agents, words) = counted.entry(version).or_default();
        *agents += 1;
        *words += agent.get("unknown").and_then(Value::as_u64).unwrap_or_default();
    }
    let more = if counted.len() > VERSIONS || agents.len() == COUNTED { "; and more" } else { "" };
    let each = counted.iter().take(VERSIONS).map(|(version, (agents, words))| {
        let (agent, word) = (if *agents == 1 { "agent" } else { "agents" }, if *words == 1 { "word" } else { "words" });
        format!("{agents} {agent} of version {version} said {words} {word} unknown here")
    });
    let found = each.collect::<Vec<_>>().join("; ") + more;
    Found::warn(found, "upgrade the collector; see `muster agents list --unknown`")
}
