//! Events in words: one line each, for timelines, feeds and logs.
//!
//! Pure, and never read back: programs use the event itself. People read keys and names, as they were when it
//! happened, never ids. Not escaped here: whoever shows a line does that.

use crate::desk::model::{End, Link};
use crate::event::{Brief, Changed, Entry, Event, Told, Upgrade};
use shared::fact::Value;

/// Names that a line lists before it only counts.
const NAMES: usize = 5;
/// Characters of what people wrote, or of a value, that a line shows.
const EXCERPT_CHARS: usize = 120;
/// Characters of a line.
const LINE_CHARS: usize = 500;

/// What happened, in one line.
pub fn told(entry: &Entry) -> String {
    let text = match &entry.event {
        Told::Known(event) => line(event, entry),
        Told::Other(Value::Map(map)) => map.get("kind").map_or_else(|| "something".to_owned(), Value::to_string),
        Told::Other(other) => other.to_string(),
    };
    excerpt(&text, LINE_CHARS)
}

fn line(event: &Event, entry: &Entry) -> String {
    authority(event)
        .or_else(|| agents(event, entry))
        .or_else(|| assets(event, entry))
        .or_else(|| desk(event, entry))
        .unwrap_or_default()
}

/// The name of the first subject of this kind (`agent`, `asset` …).
fn name<'a>(entry: &'a Entry, kind: &str) -> Option<&'a str> {
    let of_kind = |(subject, _): &(&String, &String)| subject.split_once(':').is_some_and(|(held, _)| held == kind);
    entry.subjects.iter().zip(&entry.about).find(of_kind).map(|(_, name)| name.as_str())
}

/// The name of this subject.
fn called<'a>(entry: &'a Entry, subject: &str) -> Option<&'a str> {
    entry.subjects.iter().zip(&entry.about).find(|(held, _)| *held == subject).map(|(_, name)| name.as_str())
}

fn authority(event: &Event) -> Option<String> {
    let roots = |server: &str, agents: &str| format!("server CA {}, agent CA {}", mark(server), mark(agents));
    Some(match event {
        Event::CaPrepared { server, agents, .. } => format!("next roots prepared: {}", roots(server, agents)),
        Event::CaAbandoned { server, agents, .. } => {
            format!("next roots abandoned; those that stay: {}", roots(server, agents))
        }
        Event::CaActivated { server, agents, locked_out, names, .. } => {
            format!("next roots activated: {}{}", roots(server, agents), shut_out(*locked_out, names))
        }
        Event::CaRetired { server, agents, locked_out, names, .. } => {
            format!("old roots retired: {}{}", roots(server, agents), shut_out(*locked_out, names))
        }
        _ => return None,
    })
}

/// As much of a fingerprint as people compare.
fn mark(fingerprint: &str) -> String {
    fingerprint.chars().take(16).collect()
}

fn shut_out(count: u64, names: &[String]) -> String {
    if count == 0 {
        return String::new();
    }
    let named = names.iter().take(NAMES).cloned().collect::<Vec<_>>().join(", ");
    let more = if count > u64::try_from(names.len().min(NAMES)).unwrap_or(count) { " …" } else { "" };
    format!("; {count} {} locked out: {named}{more}", plural(count, "agent"))
}

fn agents(event: &Event, entry: &Entry) -> Option<String> {
    let agent = || format!("agent of {}", name(entry, "agent").unwrap_or("a machine"));
    Some(match event {
        Event::JoinTokenCreated { uses, approve, .. } => {
            format!(
                "join token created for {uses} {}{}",
                plural(*uses, "agent"),
                if *approve { ", to be approved" } else { "" }
            )
        }
        Event::JoinTokenRevoked {} => "join token revoked".to_owned(),
        Event::EnrollRefused { why, source, name, count } => match count {
            1 => format!("enrollment of {name} from {source} refused: {why}"),
            _ => format!("{count} more enrollments from {source} refused: {why}; the last of {name}"),
        },
        Event::ApiTokenCreated { name, scopes, .. } => format!("API token {name} created: {}", scopes.join(", ")),
        Event::ApiTokenRevoked { name } => format!("API token {name} revoked"),
        Event::Restored { head, agents, api_tokens, join_tokens } => format!(
            "register restored from a backup of event {head}: {agents} agents and {api_tokens} API tokens revoked again, \
             {join_tokens} join tokens ended"
        ),
        Event::AgentEnrolled { name, version, source, pending, .. } => {
            format!(
                "agent {version} enrolled on {name} from {source}{}",
                if *pending { ", waits for approval" } else { "" }
            )
        }
        Event::AgentApproved {} => format!("{} approved", agent()),
        Event::AgentRenewed { generation, .. } => format!("{} got certificate {generation}", agent()),
        Event::AgentRecovered { generation, .. } => {
            format!("{} came back after its certificate had ended, got certificate {generation}", agent())
        }
        Event::AgentRecoveryPending { recoveries, .. } => {
            format!("{} recovered {recoveries} times in a row, waits for approval", agent())
        }
        Event::AgentCertificateAdopted { generation, .. } => {
            format!("{} showed certificate {generation}, later than the register knew: adopted", agent())
        }
        Event::AgentUpgraded { from, to } => format!("{}: version {from} → {to}", agent()),
        Event::AgentRevoked { reason } => format!("{} revoked{}", agent(), because(reason)),
        Event::AgentQuarantined { reason, detail } => format!("{} quarantined: {reason}: {detail}", agent()),
        Event::AgentResolved { how, reason } => {
            format!("quarantine of the {} ended ({how}){}", agent(), because(reason))
        }
        Event::AgentSuperseded { .. } => format!("{} superseded: another agent took its place", agent()),
        Event::AgentGoodbye { why } => format!("{} said goodbye: {why}", agent()),
        Event::ReportsLost { gap } => {
            format!("{} {} lost before they were sent: {}", gap.records, plural(gap.records, "record"), gap.reason)
        }
        _ => return None,
    })
}

fn assets(event: &Event, entry: &Entry) -> Option<String> {
    Some(match event {
        Event::AssetCreated { name, class, why } => format!("{class} {name} came into the register: {why}"),
        Event::AgentBound { why, .. } => {
            format!("an agent speaks for {}: {why}", name(entry, "asset").unwrap_or("this asset"))
        }
        Event::AssetReimaged { why, .. } => format!("reimaged: {why}"),
        Event::MainboardReplaced { changed, why } => format!("main board replaced: {} ({why})", changes(changed)),
        Event::IdentityConflict { evidence, why, other, .. } => {
            let other = called(entry, &format!("asset:{other}")).unwrap_or("another asset");
            format!("identity conflict with {other}: {evidence}: {why}")
        }
        Event::Baseline { sections } => {
            let rows: u64 = sections.values().sum();
            let names = sections.keys().map(String::as_str).collect::<Vec<_>>();
            if names.len() > NAMES {
                format!("first report: {rows} {} in {} sections", plural(rows, "fact"), names.len())
            } else {
                format!("told for the first time: {} ({rows} {})", names.join(", "), plural(rows, "fact"))
            }
        }
        Event::AssetChanged { changed } => changes(changed),
        Event::AssetEdited { changed } => format!("edited: {}", changes(changed)),
        Event::AssetMoved { from, to, reason } => format!("{from} → {to}{}", because(reason)),
        Event::ItemAdded { item, .. } => format!("{} added", named(item)),
        Event::ItemRemoved { item, .. } => format!("{} removed", named(item)),
        Event::ItemReplaced { removed, added, .. } => format!("{} replaced by {}", named(removed), added.title),
        Event::ItemChanged { item, changed, .. } => format!("{}: {}", named(item), changes(changed)),
        Event::ItemsChanged { section, added, removed, changed } => {
            format!("{section}: {} added, {} removed, {} changed", added.len(), removed.len(), changed.len())
        }
        Event::SoftwareChanged { installed, removed, upgraded, .. } => software(installed, removed, upgraded),
        Event::SectionFailed { section, problems } => {
            let why = problems.first().map_or_else(String::new, |p| format!(": {} {}", p.what, p.why.name()));
            format!("{section} can no longer be read{why}")
        }
        Event::SectionRestored { section } => format!("{section} can be read again"),
        Event::DropHeld { section, rows, left } => {
            format!("{section}: {left} of {rows} rows left; waiting for the next report to confirm it")
        }
        Event::FaultRaised { fault } => format!("{} fault: {}", fault.severity, fault.detail),
        Event::FaultCleared { fault } => format!("{} has passed", named_fault(&fault.check, &fault.resource)),
        _ => return None,
    })
}

fn desk(event: &Event, entry: &Entry) -> Option<String> {
    let key = name(entry, "ticket").unwrap_or("ticket");
    Some(match event {
        Event::TicketOpened { ticket } => format!("{} opened: {}", ticket.key(), ticket.title),
        Event::TicketMoved { from, to, reason } => format!("{key}: {from} → {to}{}", because(reason)),
        Event::TicketEdited { changed } => format!("{key}: {}", changes(changed)),
        Event::TicketCommented { text, .. } => format!("{key}: comment: {}", excerpt(text, EXCERPT_CHARS)),
        Event::LinkAdded { link } => format!("linked: {}", pair(link, entry)),
        Event::LinkRemoved { link } => format!("no longer linked: {}", pair(link, entry)),
        _ => return None,
    })
}

fn pair(link: &Link, entry: &Entry) -> String {
    let end = |end: &End| match end {
        End::External(text) => text.clone(),
        End::Asset(_) => called(entry, &end.to_string()).unwrap_or("an asset").to_owned(),
        End::Ticket(_) => called(entry, &end.to_string()).unwrap_or("a ticket").to_owned(),
    };
    format!("{} {} {}", end(&link.from), link.rel.name().replace('_', " "), end(&link.to))
}

fn named(item: &Brief) -> String {
    if item.title.is_empty() { format!("{} {}", item.kind, item.key) } else { format!("{} {}", item.kind, item.title) }
}

fn named_fault(check: &str, resource: &str) -> String {
    let title = shared::health::check(check).map_or(check, |check| check.title);
    if resource.is_empty() { title.to_owned() } else { format!("{title} {resource}") }
}

fn changes(changed: &[Changed]) -> String {
    let side = |value: &Option<Value>| match value {
        Some(value) => excerpt(&value.to_string(), EXCERPT_CHARS),
        None => "nothing".to_owned(),
    };
    let told = changed.iter().take(NAMES);
    let told = told.map(|change| format!("{} {} → {}", change.field, side(&change.from), side(&change.to)));
    let mut text = told.collect::<Vec<_>>().join(", ");
    if changed.len() > NAMES {
        text.push_str(&format!(" and {} more", changed.len() - NAMES));
    }
    text
}

fn software(installed: &[String], removed: &[String], upgraded: &[Upgrade]) -> String {
    let upgraded: Vec<String> = upgraded.iter().map(|u| format!("{} {} → {}", u.name, u.from, u.to)).collect();
    [("installed", installed), ("removed", removed), ("upgraded", &upgraded)]
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(verb, names)| {
            let more = names.len().saturating_sub(NAMES);
            let listed = names.iter().take(NAMES).cloned().collect::<Vec<_>>().join(", ");
            if more > 0 { format!("{verb} {listed} and {more} more") } else { format!("{verb} {listed}") }
        })
        .collect::<Vec<_>>()
        .join("; ")
}

fn because(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(": {}", excerpt(reason, EXCERPT_CHARS)) }
}

/// The start of a text, on one line.
fn excerpt(text: &str, chars: usize) -> String {
    let mut out = String::new();
    for (at, word) in text.split_whitespace().enumerate() {
        if at > 0 {
            out.push(' ');
        }
        out.push_str(word);
        // A text may be long; what is cut off anyway need not be looked at.
        if out.len() > chars.saturating_mul(4) {
            break;
        }
    }
    match out.char_indices().nth(chars) {
        Some((end, _)) => format!("{}…", out[..end].trim_end()),
        None => out,
    }
}

fn plural<N: TryInto<u64>>(count: N, noun: &str) -> String {
    if count.try_into().is_ok_and(|n| n == 1) { noun.to_owned() } else { format!("{noun}s") }
}

#[cfg(test)]
mod tests;
