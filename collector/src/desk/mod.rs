//! What we promise: pure rules about tickets, their processes, links, and incidents from faults.
//!
//! [`process`] is the one engine; `incident`, `request`, `problem` and `change` are its tables. Nothing
//! here knows who may call it (the API's scopes do), how anything is stored, or what time it is.

mod automatic;
mod bounds;
mod change;
mod incident;
pub mod links;
pub mod model;
pub mod priority;
mod problem;
pub mod process;
pub mod quarantine;
mod request;
pub mod rest;
mod snapshot;
pub mod tickets;
pub mod triage;

use crate::event::Actor;
use crate::work::{Act, Context, Decision, Known, Needs, Refusal};

/// What must be known to decide an act of the desk.
pub fn needs(act: &Act) -> Needs {
    match act {
        Act::OpenTicket(new) => Needs { assets: new.assets.clone(), numbers: true, ..Needs::default() },
        Act::MoveTicket { ticket, .. } => Needs { tickets: vec![*ticket], links: true, ..Needs::default() },
        Act::EditTicket { ticket, .. } | Act::CommentTicket { ticket, .. } => {
            Needs { tickets: vec![*ticket], ..Needs::default() }
        }
        Act::AddLink { from, rel, to } => links::needs(from, *rel, to),
        Act::RemoveLink { link } => Needs { link: Some(*link), ..Needs::default() },
        _ => Needs::default(),
    }
}

/// Decides an act of the desk.
///
/// # Errors
/// A [`Refusal`]: nothing is done.
pub fn decide(actor: &Actor, act: &Act, known: &Known, context: &mut Context) -> Result<Decision, Refusal> {
    match act {
        Act::OpenTicket(new) => tickets::open(actor, new, known, context),
        Act::EditTicket { ticket, rev, edit } => tickets::edit(actor, (*ticket, *rev), edit, known, context),
        Act::MoveTicket { ticket, rev, to, reason, fields } => {
            tickets::go(actor, (*ticket, *rev), (to, reason, fields), known, context)
        }
        Act::CommentTicket { ticket, text } => tickets::comment(actor, *ticket, text, known, context),
        Act::AddLink { from, rel, to } => links::add(actor, (from, *rel, to), known, context),
        Act::RemoveLink { link } => links::remove(actor, *link, known),
        _ => Err(Refusal::Conflict("not an act of the desk".to_owned())),
    }
}

#[cfg(test)]
mod tests;
