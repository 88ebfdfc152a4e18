//! Events in words: one line each, for timelines, feeds and logs.
//!
//! Pure, and never read back: programs use the event itself. Not escaped here: whoever shows a line does that.

use crate::event::{Brief, Changed, Event, Told, Upgrade};
use shared::fact::Value;

/// Names that a line lists before it only counts.
const NAMES: usize = 5;

/// What happened, in one line.
pub fn told(told: &Told) -> String {
    match told {
        Told::Known(event) => line(event),
        Told::Other(value) => match value {
            Value::Map(map) => map.get("kind").map_or_else(|| "something".to_owned(), Value::to_string),
            other => other.to_string(),
        },
    }
}

/// What happened, in one line.
pub fn line(event: &Event) -> String {
    agents(event).or_else(|| assets(event)).or_else(|| desk(event)).unwrap_or_default()
}

fn agents(event: &Event) -> Option<String> {
    Some(match event {
        Event::JoinTokenCreated { uses, approve, .. } => {
            format!(
                "join token created for {uses} {}{}",
                plural(*uses, "agent"),
                if *approve { ", to be approved" } else { "" }
            )
        }
        Event::JoinTokenRevoked {} => "join token revoked".to_owned(),
        Event::EnrollRefused { why, source, name } => format!("enrollment of {name} from {source} refused: {why}"),
        Event::ApiTokenCreated { name, scopes, .. } => format!("API token {name} created: {}", scopes.join(", ")),
        Event::ApiTokenRevoked { name } => format!("API token {name} revoked"),
        Event::AgentEnrolled { name, version, source, pending, .. } => {
            format!(
                "agent {version} enrolled on {name} from {source}{}",
                if *pending { ", waits for approval" } else { "" }
            )
        }
        Event::AgentApproved {} => "agent approved".to_owned(),
        Event::AgentRenewed { generation, .. } => format!("agent got certificate {generation}"),
        Event::AgentRecovered { generation, .. } => {
            format!("agent came back after its certificate had ended, got certificate {generation}")
        }
        Event::AgentRevoked { reason } => format!("agent revoked: {reason}"),
        Event::AgentQuarantined { reason, detail } => format!("agent quarantined: {reason}: {detail}"),
        Event::AgentResolved { how, reason } => format!("quarantine ended ({how}): {reason}"),
        Event::AgentSuperseded { by } => format!("agent superseded by {by}"),
        Event::AgentGoodbye { why } => format!("agent said goodbye: {why}"),
        Event::ReportsLost { gap } => {
            format!("{} {} lost before they were sent: {}", gap.records, plural(gap.records, "record"), gap.reason)
        }
        _ => return None,
    })
}

fn assets(event: &Event) -> Option<String> {
    Some(match event {
        Event::AssetCreated { name, class, why } => format!("{class} {name} came into the register: {why}"),
        Event::AgentBound { why, .. } => format!("agent speaks for this asset: {why}"),
        Event::AssetReimaged { why, .. } => format!("reimaged: {why}"),
        Event::MainboardReplaced { changed, why } => format!("main board replaced: {} ({why})", changes(changed)),
        Event::IdentityConflict { evidence, why, other, .. } => {
            format!("identity conflict with asset {other}: {evidence}: {why}")
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
        Event::FaultRaised { fault } => {
            format!("{} fault: {}", fault.severity, fault.detail)
        }
        Event::FaultCleared { fault } => format!("{} has passed", named_fault(&fault.check, &fault.resource)),
        _ => return None,
    })
}

fn desk(event: &Event) -> Option<String> {
    Some(match event {
        Event::TicketOpened { ticket } => format!("{} opened: {}", ticket.key(), ticket.title),
        Event::TicketMoved { from, to, reason } => format!("{from} → {to}{}", because(reason)),
        Event::TicketEdited { changed } => changes(changed),
        Event::TicketCommented { text, .. } => format!("comment: {text}"),
        Event::LinkAdded { link } => format!("linked: {} {} {}", link.from, link.rel, link.to),
        Event::LinkRemoved { link } => format!("link removed: {} {} {}", link.from, link.rel, link.to),
        _ => return None,
    })
}

fn named(item: &Brief) -> String {
    if item.title.is_empty() { format!("{} {}", item.kind, item.key) } else { format!("{} {}", item.kind, item.title) }
}

fn named_fault(check: &str, resource: &str) -> String {
    let title = shared::health::check(check).map_or(check, |check| check.title);
    if resource.is_empty() { title.to_owned() } else { format!("{title} {resource}") }
}

fn changes(changed: &[Changed]) -> String {
    let told = changed.iter().take(NAMES).map(|change| {
        let side = |value: &Option<Value>| value.as_ref().map_or_else(|| "nothing".to_owned(), Value::to_string);
        format!("{} {} → {}", change.field, side(&change.from), side(&change.to))
    });
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
    if reason.is_empty() { String::new() } else { format!(": {reason}") }
}

fn plural<N: TryInto<u64>>(count: N, noun: &str) -> String {
    if count.try_into().is_ok_and(|n| n == 1) { noun.to_owned() } else { format!("{noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upgrade_run_is_one_line() {
        let upgraded: Vec<Upgrade> =
            (0..2000).map(|n| Upgrade { name: format!("p{n}"), from: "1".into(), to: "2".into() }).collect();
        let event = Event::SoftwareChanged {
            section: "dpkg".into(),
            installed: vec!["hello 2.10".into()],
            removed: vec![],
            upgraded,
        };
        assert_eq!(
            line(&event),
            "installed hello 2.10; upgraded p0 1 → 2, p1 1 → 2, p2 1 → 2, p3 1 → 2, p4 1 → 2 and 1995 more"
        );
    }

    #[test]
    fn a_change_says_from_and_to() {
        let changed = vec![Changed { field: "owner".into(), from: None, to: Some("Ada".into()) }];
        assert_eq!(line(&Event::AssetEdited { changed }), "edited: owner nothing → Ada");
    }

    #[test]
    fn what_a_later_version_tells_is_named() {
        let other: Told = serde_json::from_str(r#"{"kind":"asset_teleported"}"#).expect("told");
        assert_eq!(told(&other), "asset_teleported");
    }
}
