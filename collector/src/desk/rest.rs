//! Tickets whose work is done and that nobody came back to: they go on by themselves, as their process says.

use super::automatic::moved;
use super::model::{End, Kind, Ticket};
use super::process::{PROCESSES, Process, Rest, done_at};
use super::tickets;
use crate::event::Actor;
use crate::work::{Context, Decision, Known, Resting, Row};
use shared::unit::At;
use std::collections::BTreeMap;

const CLOSES: Actor = Actor::Rule("auto_close");

/// Which tickets may have rested for long enough.
pub fn needs() -> Vec<Resting> {
    let rests = |process: &&Process| {
        let kind = process.kind;
        process.rests.iter().map(move |rest| Resting { kind, state: rest.state, seconds: rest.days * 86_400 })
    };
    PROCESSES.iter().flat_map(rests).collect()
}

/// Moves those that have, unless something else already became of them in this decision.
pub fn tick(known: &Known, context: &Context, decision: &mut Decision) {
    for ticket in known.tickets.values() {
        let Some((rest, done)) = rested(ticket, context.now) else { continue };
        if decision.rows.iter().any(|row| matches!(row, Row::Ticket(kept) if kept.id == ticket.id)) {
            continue;
        }
        let since = rest.recurred.and_then(|to| Some((to, since(ticket, done, known)?)));
        let (to, reason) = match since {
            Some((to, incident)) => (to, format!("{} was opened since", incident.key())),
            None => (rest.to, rest.reason.to_owned()),
        };
        if let Some(new) = moved(ticket, to, &reason, &BTreeMap::new(), context.now) {
            let about = tickets::affected(ticket.id, &known.links);
            tickets::write(&CLOSES, (ticket, new), (&reason, &about), context, decision);
        }
    }
}

/// The rest of a ticket that is over, and when the ticket was done.
fn rested(ticket: &Ticket, now: At) -> Option<(&'static Rest, At)> {
    let done = done_at(ticket).unwrap_or(ticket.updated);
    let over = |rest: &&Rest| rest.state == ticket.state && now.secs_since(done) >= rest.days * 86_400;
    Process::of(ticket.kind).rests.iter().find(over).map(|rest| (rest, done))
}

/// An incident that is linked with the ticket and was opened after it was done.
fn since<'a>(ticket: &Ticket, done: At, known: &'a Known) -> Option<&'a Ticket> {
    let this = End::Ticket(ticket.id);
    let others = known.links.iter().filter_map(|link| match (&link.from, &link.to) {
        (End::Ticket(from), to) if *to == this => Some(from),
        (from, End::Ticket(to)) if *from == this => Some(to),
        _ => None,
    });
    let mut others = others.filter_map(|id| known.tickets.get(id));
    others.find(|other| other.kind == Kind::Incident && other.opened > done)
}

#[cfg(test)]
mod tests;
