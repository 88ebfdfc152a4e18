//! What an incident freezes when it is opened: the asset as it was, what is the matter, what had just happened
//! to it, and which changes were under way. Kept as text and never changed after.

use super::model::{End, Kind, Ticket};
use super::process::is_open;
use crate::register::model::{Agent, Asset, Fault};
use crate::work::Known;
use serde_json::{Value, json};
use shared::id::AssetId;
use shared::unit::At;

/// The whole snapshot. Beyond it events are left out, those first that are too large for what is left.
pub const SNAPSHOT_BYTES: usize = 32 * 1024;
/// Events that are taken along.
pub const SNAPSHOT_EVENTS: usize = 20;
/// Changes that are taken along.
const CHANGES: usize = 20;

/// The snapshot of a fault.
pub fn of_fault(asset: &Asset, fault: &Fault, known: &Known, now: At) -> String {
    let changes: Vec<Value> = open_changes(asset, known)
        .take(CHANGES)
        .map(|change| json!({ "id": change.id, "key": change.key(), "state": change.state, "title": change.title }))
        .collect();
    sealed(json!({ "at": now, "asset": of_asset(asset), "fault": fault, "changes": changes }), Some(asset.id), known)
}

/// The snapshot of a quarantine: the agent and its asset, the conflict as it was explained, and the other asset
/// that the evidence points to.
pub fn of_quarantine(
    agent: &Agent,
    (reason, detail): (&str, &str),
    other: Option<&Asset>,
    known: &Known,
    now: At,
) -> String {
    let own = known.own.as_ref().map(|own| &own.asset).filter(|asset| Some(asset.id) == agent.asset);
    let head = json!({
        "at": now,
        "agent": {
            "id": agent.id, "name": agent.name, "version": agent.version, "source": agent.source,
            "enrolled": agent.enrolled, "stream": agent.stream, "seq": agent.seq,
        },
        "asset": own.map(of_asset),
        "conflict": { "reason": reason, "explanation": detail, "other": other.map(of_asset) },
    });
    sealed(head, agent.asset, known)
}

fn of_asset(asset: &Asset) -> Value {
    json!({
        "id": asset.id, "rev": asset.rev, "class": asset.class, "lifecycle": asset.lifecycle,
        "observed": asset.observed, "declared": asset.declared,
    })
}

/// The snapshot as JSON, with as many recent events as there is room for.
fn sealed(mut head: Value, asset: Option<AssetId>, known: &Known) -> String {
    let mut left = SNAPSHOT_BYTES.saturating_sub(head.to_string().len());
    let mut events = Vec::new();
    let recent = asset.and_then(|asset| known.recent_events.get(&asset));
    for text in recent.into_iter().flatten().take(SNAPSHOT_EVENTS) {
        let Some(rest) = left.checked_sub(text.len() + 1) else { continue };
        if let Ok(event) = serde_json::from_str::<Value>(text) {
            left = rest;
            events.push(event);
        }
    }
    head["events"] = Value::Array(events);
    head.to_string()
}

/// Changes linked with the asset that are not closed.
pub fn open_changes<'a>(asset: &Asset, known: &'a Known) -> impl Iterator<Item = &'a Ticket> {
    let this = End::Asset(asset.id);
    known.links.iter().filter_map(move |link| {
        let other = match (&link.from, &link.to) {
            (from, to) if *to == this => from,
            (from, to) if *from == this => to,
            _ => return None,
        };
        let End::Ticket(id) = other else { return None };
        known.tickets.get(id).filter(|ticket| ticket.kind == Kind::Change && is_open(ticket))
    })
}
