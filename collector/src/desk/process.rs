//! The one engine that moves tickets. A process is a const table: states, moves between them, and what
//! each move needs; this file alone reads those tables. It knows no kind of ticket by name, and nothing
//! of who may call it: scopes are the API's.
//!
//! To add a kind of ticket: one file with a table, one line in [`PROCESSES`].

mod table;

use super::bounds;
use super::model::{End, Kind, Link, Rel, Ticket};
use super::{change, incident, problem, request};
use crate::event::Changed;
use crate::work::Refusal;
use shared::fact::Value;
use shared::id::TicketId;
use shared::unit::At;
use std::collections::{BTreeMap, BTreeSet};
pub use table::{By, Entry, Field, Move, Need, Phase, Process, Rest, Shape, State};

/// Every process.
pub const PROCESSES: &[&Process] = &[&incident::PROCESS, &request::PROCESS, &problem::PROCESS, &change::PROCESS];

/// The field in which the engine keeps when a ticket was done (microseconds since 1970); nobody sets it.
pub const DONE_AT: &str = "done_at";

impl Move {
    fn fits(&self, ticket: &Ticket, by: By) -> bool {
        self.by == by
            && self.from.contains(&ticket.state.as_str())
            && self.when.is_none_or(|(field, values)| {
                ticket.fields.get(field).is_some_and(|value| values.contains(&value.as_str()))
            })
    }
}

impl Need {
    fn check(self, old: &Ticket, new: &Ticket, ask: &Ask) -> Result<(), Refusal> {
        let missing = |field: &str| Err(Refusal::invalid(field, format!("needed to move to {}", ask.to)));
        match self {
            Need::Reason if ask.reason.trim().is_empty() => missing("reason"),
            Need::Assignee if new.assignee.is_none() => missing("assignee"),
            Need::Code(codes) => match new.resolution_code.as_deref() {
                Some(code) if codes.contains(&code) => Ok(()),
                _ => Err(Refusal::invalid(
                    "resolution_code",
                    format!("needed to move to {}: one of {}", ask.to, codes.join(", ")),
                )),
            },
            Need::Text if new.resolution_text.is_none() => missing("resolution_text"),
            Need::Field(name) if !new.fields.contains_key(name) => missing(name),
            Need::Window => window(new, ask.to),
            Need::LinkTo(rel) => linked(ask, rel, |link| &link.from, new),
            Need::LinkFrom(rel) => linked(ask, rel, |link| &link.to, new),
            Need::ClosedFrom(rel, code) => closed_from(ask, rel, code, new),
            Need::DoneWithin { days } => match done_at(old) {
                Some(at) if ask.now.secs_since(at) > days * 86_400 => Err(Refusal::Conflict(format!(
                    "{} was done more than {days} days ago; open a new ticket and link it to this one",
                    old.key()
                ))),
                _ => Ok(()),
            },
            Need::Reason | Need::Assignee | Need::Text | Need::Field(_) => Ok(()),
        }
    }
}

/// A move that somebody wants.
pub struct Ask<'a> {
    /// Where to.
    pub to: &'a str,
    /// Why.
    pub reason: &'a str,
    /// Fields, and the columns `assignee`, `resolution_code` and `resolution_text`; empty takes away.
    pub fields: &'a BTreeMap<String, String>,
    /// Who wants it.
    pub by: By,
    /// When.
    pub now: At,
    /// Links that the ticket is an end of.
    pub links: &'a [Link],
    /// Tickets at the other ends of those.
    pub tickets: &'a BTreeMap<TicketId, Ticket>,
}

impl Process {
    /// The process of that kind. Every kind has one (a test holds that), so the fallback is never taken.
    pub fn of(kind: Kind) -> &'static Process {
        PROCESSES.iter().find(|process| process.kind == kind).unwrap_or(&&incident::PROCESS)
    }

    /// Where a ticket with these fields starts.
    pub fn start(&self, fields: &BTreeMap<String, String>) -> &'static str {
        let fits = |entry: &&Entry| fields.get(entry.field).is_some_and(|value| value == entry.value);
        self.entries.iter().find(fits).map_or(self.initial, |entry| entry.state)
    }

    /// What a state means; states of a later version count as open.
    pub fn phase(&self, state: &str) -> Phase {
        self.states.iter().find(|known| known.name == state).map_or(Phase::Open, |state| state.phase)
    }

    /// The ticket after the move: state, fields, resolution. Revision and times are the caller's.
    ///
    /// # Errors
    /// [`Refusal::Conflict`] names the moves that there are; [`Refusal::Invalid`] the field that is missing.
    pub fn take(&self, ticket: &Ticket, ask: &Ask) -> Result<Ticket, Refusal> {
        bounds::prose("reason", ask.reason, bounds::REASON_BYTES)?;
        let step = self
            .moves
            .iter()
            .find(|step| step.to == ask.to && step.fits(ticket, ask.by))
            .ok_or_else(|| self.no_such_move(ticket, ask.to))?;
        let mut next = ticket.clone();
        self.fill(&mut next, step, ask.fields)?;
        if !step.fits(&next, ask.by) {
            // What came with the move takes its condition away.
            return Err(self.no_such_move(&next, ask.to));
        }
        for need in step.needs {
            need.check(ticket, &next, ask)?;
        }
        let (was, is) = (self.phase(&ticket.state), self.phase(step.to));
        if is == Phase::Open {
            next.resolution_code = None;
            next.resolution_text = None;
            next.fields.remove(DONE_AT);
        } else if was == Phase::Open {
            next.fields.insert(DONE_AT.to_owned(), ask.now.0.to_string());
        }
        next.state = step.to.to_owned();
        for field in self.fields {
            if field.only_in.is_some_and(|state| state != step.to) {
                next.fields.remove(field.name);
            }
        }
        Ok(next)
    }

    /// Sets fields of the process; an empty value takes one away, or back to its default.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] naming the field.
    pub fn set(&self, ticket: &mut Ticket, fields: &BTreeMap<String, String>) -> Result<(), Refusal> {
        bounds::fields(fields)?;
        for (name, value) in fields {
            let field = self.fields.iter().find(|field| field.name == name).ok_or_else(|| self.no_such_field(name))?;
            if value.trim().is_empty() {
                ticket.fields.remove(name);
            } else {
                field.check(value)?;
                ticket.fields.insert(name.clone(), value.clone());
            }
        }
        for (name, value) in self.defaults {
            ticket.fields.entry((*name).to_owned()).or_insert_with(|| (*value).to_owned());
        }
        Ok(())
    }

    /// Sets fields of a ticket that is there: each only in the states in which it may be edited. One that stays as
    /// it is may be told in any.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] naming the field.
    pub fn edit(&self, ticket: &mut Ticket, fields: &BTreeMap<String, String>) -> Result<(), Refusal> {
        let before = ticket.fields.clone();
        self.set(ticket, fields)?;
        for field in self.fields.iter().filter(|field| before.get(field.name) != ticket.fields.get(field.name)) {
            if let Some(states) = field.edited_in.filter(|states| !states.contains(&ticket.state.as_str())) {
                let why = format!("{} is {}; this is edited in {} only", ticket.key(), ticket.state, states.join(", "));
                return Err(Refusal::invalid(field.name, why));
            }
        }
        Ok(())
    }

    /// Whether somebody works on tickets in this state: people cannot enter it without an assignee.
    pub fn is_assigned(&self, state: &str) -> bool {
        self.moves.iter().any(|step| step.to == state && step.by == By::Person && step.needs.contains(&Need::Assignee))
    }

    /// Sets what came with a move. A resolution is taken only by a move that ends the work.
    fn fill(&self, ticket: &mut Ticket, step: &Move, fields: &BTreeMap<String, String>) -> Result<(), Refusal> {
        let resolves = step.needs.iter().any(|need| matches!(need, Need::Code(_) | Need::Text));
        let mut rest = BTreeMap::new();
        for (name, value) in fields {
            let given = Some(value.clone()).filter(|text| !text.trim().is_empty());
            match name.as_str() {
                "assignee" => {
                    bounds::line_or_none(name, given.as_deref(), bounds::PERSON_BYTES)?;
                    ticket.assignee = given;
                }
                "resolution_code" if resolves => ticket.resolution_code = given,
                "resolution_text" if resolves => {
                    bounds::prose(name, value, bounds::FIELD_BYTES)?;
                    ticket.resolution_text = given;
                }
                "resolution_code" | "resolution_text" => {
                    return Err(Refusal::invalid(name, format!("not taken by a move to {}", step.to)));
                }
                _ => {
                    rest.insert(name.clone(), value.clone());
                }
            }
        }
        self.edit(ticket, &rest)
    }

    fn no_such_move(&self, ticket: &Ticket, to: &str) -> Refusal {
        if !self.states.iter().any(|state| state.name == to) {
            let names: Vec<&str> = self.states.iter().map(|state| state.name).collect();
            let to: String = to.chars().take(64).collect();
            return Refusal::invalid("to", format!("{} has no state {to:?}; it has {}", self.kind, names.join(", ")));
        }
        let allowed: Vec<&str> = allowed(ticket).iter().map(|step| step.to).collect();
        let there = if allowed.is_empty() { "nothing: it ends here".to_owned() } else { allowed.join(", ") };
        Refusal::Conflict(format!(
            "{} is {}; from there it can move to {there}; not to {to}",
            ticket.key(),
            ticket.state
        ))
    }

    fn no_such_field(&self, name: &str) -> Refusal {
        let names: Vec<&str> = self.fields.iter().map(|field| field.name).collect();
        let name: String = name.chars().take(64).collect();
        let all = if names.is_empty() { "no fields".to_owned() } else { names.join(", ") };
        Refusal::invalid(name, format!("no field of a ticket of kind {}; it has {all}", self.kind))
    }
}

impl Field {
    fn check(&self, value: &str) -> Result<(), Refusal> {
        bounds::lines(self.name, value, bounds::FIELD_BYTES)?;
        match self.shape {
            Shape::Text => Ok(()),
            Shape::OneOf(values) if values.contains(&value) => Ok(()),
            Shape::OneOf(values) => Err(Refusal::invalid(self.name, format!("expected one of {}", values.join(", ")))),
            Shape::Time => moment(value).map(|_| ()).ok_or_else(|| {
                Refusal::invalid(self.name, "expected a moment with its offset, such as 2026-07-01T22:00:00Z")
            }),
        }
    }
}

/// The moves that people can make with the ticket now.
pub fn allowed(ticket: &Ticket) -> Vec<&'static Move> {
    Process::of(ticket.kind).moves.iter().filter(|step| step.fits(ticket, By::Person)).collect()
}

/// When the ticket was done, if it is.
pub fn done_at(ticket: &Ticket) -> Option<At> {
    ticket.fields.get(DONE_AT)?.parse().ok().map(At)
}

/// Whether there is something to do.
pub fn is_open(ticket: &Ticket) -> bool {
    Process::of(ticket.kind).phase(&ticket.state) == Phase::Open
}

/// The states of all kinds of ticket in which there is something to do.
pub fn open_states() -> Vec<&'static str> {
    let states = PROCESSES.iter().flat_map(|process| process.states);
    let open: BTreeSet<&str> = states.filter(|state| state.phase == Phase::Open).map(|state| state.name).collect();
    open.into_iter().collect()
}

/// Columns and fields that differ, but for the state, which has an event of its own and with it when it was done.
pub fn changes(old: &Ticket, new: &Ticket) -> Vec<Changed> {
    let columns = |ticket: &Ticket| -> BTreeMap<String, Value> {
        let text = |name: &str, value: &Option<String>| value.clone().map(|value| (name.to_owned(), value.into()));
        let mut all: BTreeMap<String, Value> = ticket
            .fields
            .iter()
            .filter(|(name, _)| *name != DONE_AT)
            .map(|(name, value)| (name.clone(), value.clone().into()))
            .collect();
        all.insert("title".to_owned(), ticket.title.clone().into());
        all.insert("description".to_owned(), ticket.description.clone().into());
        all.insert("impact".to_owned(), i64::from(ticket.impact).into());
        all.insert("urgency".to_owned(), i64::from(ticket.urgency).into());
        all.insert("priority".to_owned(), i64::from(ticket.priority).into());
        all.extend(text("assignee", &ticket.assignee));
        all.extend(text("requester", &ticket.requester));
        all.extend(text("resolution_code", &ticket.resolution_code));
        all.extend(text("resolution_text", &ticket.resolution_text));
        all
    };
    let (mut before, after) = (columns(old), columns(new));
    let mut changed = Vec::new();
    for (field, to) in after {
        let from = before.remove(&field);
        if from.as_ref() != Some(&to) {
            changed.push(Changed { field, from, to: Some(to) });
        }
    }
    changed.extend(before.into_iter().map(|(field, from)| Changed { field, from: Some(from), to: None }));
    changed
}

fn moment(text: &str) -> Option<jiff::Timestamp> {
    text.parse().ok()
}

fn window(ticket: &Ticket, to: &str) -> Result<(), Refusal> {
    let edge = |name: &str| {
        let text = ticket.fields.get(name);
        text.and_then(|text| moment(text)).ok_or_else(|| Refusal::invalid(name, format!("needed to move to {to}")))
    };
    let (start, end) = (edge("window_start")?, edge("window_end")?);
    if end <= start {
        return Err(Refusal::invalid("window_end", "must be later than window_start"));
    }
    Ok(())
}

fn linked(ask: &Ask, rel: Rel, end: fn(&Link) -> &End, ticket: &Ticket) -> Result<(), Refusal> {
    let this = End::Ticket(ticket.id);
    if ask.links.iter().any(|link| link.rel == rel && *end(link) == this) {
        return Ok(());
    }
    Err(Refusal::invalid("links", format!("needed to move to {}: link it with {rel} first", ask.to)))
}

fn closed_from(ask: &Ask, rel: Rel, code: &str, ticket: &Ticket) -> Result<(), Refusal> {
    let this = End::Ticket(ticket.id);
    let closed = |link: &&Link| {
        let End::Ticket(from) = &link.from else { return false };
        let other = ask.tickets.get(from).filter(|other| Process::of(other.kind).phase(&other.state) == Phase::Closed);
        link.rel == rel && link.to == this && other.is_some_and(|other| other.resolution_code.as_deref() == Some(code))
    };
    match ask.links.iter().find(closed) {
        Some(_) => Ok(()),
        None => {
            let why = format!("needed to move to {}: a ticket that {rel} it must be closed as {code} first", ask.to);
            Err(Refusal::invalid("links", why))
        }
    }
}

#[cfg(test)]
mod tests;
