//! What people do with tickets: open, edit, move, comment. The tables of [`process`] say which moves there
//! are; this file says what else an act changes and which events tell it.

use super::bounds;
use super::links;
use super::model::{Comment, End, Link, Rel, Ticket};
use super::priority::{level, priority};
use super::process::{self, Ask, By, Phase, Process};
use crate::event::{Actor, Event, Subject};
use crate::work::{Context, Decision, Known, NewTicket, Refusal, Reply, Row, TicketEdit};
use shared::id::{CommentId, TicketId};
use std::collections::{BTreeMap, BTreeSet};

/// Opens a ticket and links it with its assets.
///
/// # Errors
/// [`Refusal::Invalid`], [`Refusal::NotFound`].
pub fn open(actor: &Actor, new: &NewTicket, known: &Known, context: &mut Context) -> Result<Decision, Refusal> {
    let process = Process::of(new.kind);
    bounds::line("title", &new.title, bounds::TITLE_BYTES)?;
    bounds::prose("description", &new.description, bounds::DESCRIPTION_BYTES)?;
    bounds::line_or_none("assignee", new.assignee.as_deref(), bounds::PERSON_BYTES)?;
    bounds::line_or_none("requester", new.requester.as_deref(), bounds::PERSON_BYTES)?;
    if new.assets.len() > bounds::ASSETS {
        return Err(Refusal::invalid("assets", format!("at most {} are taken", bounds::ASSETS)));
    }
    let impact = level("impact", new.impact.unwrap_or(process.levels.0))?;
    let urgency = level("urgency", new.urgency.unwrap_or(process.levels.1))?;
    let mut ticket = Ticket {
        id: TicketId(context.fresh.uuid()),
        number: known.numbers.get(&new.kind).copied().unwrap_or(1),
        rev: 1,
        kind: new.kind,
        state: process.start(&new.fields).to_owned(),
        title: new.title.trim().to_owned(),
        description: new.description.clone(),
        impact,
        urgency,
        priority: priority(impact, urgency),
        assignee: new.assignee.clone(),
        requester: new.requester.clone(),
        opened: context.now,
        updated: context.now,
        resolution_code: None,
        resolution_text: None,
        fields: BTreeMap::new(),
        rule: None,
        fingerprint: None,
        count: 1,
        last_seen: None,
        touched: actor.is_person(),
        snapshot: None,
    };
    process.set(&mut ticket, &new.fields)?;
    let mut decision = Decision::new(Reply::Ticket(Box::new(ticket.clone())));
    decision.tell(actor, [Subject::Ticket(ticket.id)], Event::opened(&ticket));
    let id = ticket.id;
    decision.keep(Row::Ticket(Box::new(ticket)));
    for asset in new.assets.iter().collect::<BTreeSet<_>>() {
        if !known.assets.contains_key(asset) {
            return Err(Refusal::NotFound(format!("asset {asset}")));
        }
        links::tie(actor, (End::Ticket(id), Rel::Affects, End::Asset(*asset)), context, &mut decision);
    }
    Ok(decision)
}

/// Edits columns of a ticket. An edit that changes nothing is no event.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::Stale`], [`Refusal::Conflict`] for a closed ticket, [`Refusal::Invalid`] also
/// for what may not be edited in the ticket's state.
pub fn edit(
    actor: &Actor,
    which: (TicketId, Option<u64>),
    edit: &TicketEdit,
    known: &Known,
    context: &Context,
) -> Result<Decision, Refusal> {
    let old = held(which, known)?;
    let process = Process::of(old.kind);
    if process.phase(&old.state) == Phase::Closed {
        let why = format!("{} is {}: it is no longer edited; open a new ticket and link it", old.key(), old.state);
        return Err(Refusal::Conflict(why));
    }
    let mut new = old.clone();
    if let Some(title) = &edit.title {
        bounds::line("title", title, bounds::TITLE_BYTES)?;
        title.trim().clone_into(&mut new.title);
    }
    if let Some(description) = &edit.description {
        bounds::prose("description", description, bounds::DESCRIPTION_BYTES)?;
        new.description.clone_from(description);
    }
    if let Some(assignee) = &edit.assignee {
        bounds::line_or_none("assignee", assignee.as_deref(), bounds::PERSON_BYTES)?;
        new.assignee.clone_from(assignee);
    }
    if let Some(requester) = &edit.requester {
        bounds::line_or_none("requester", requester.as_deref(), bounds::PERSON_BYTES)?;
        new.requester.clone_from(requester);
    }
    new.impact = level("impact", edit.impact.unwrap_or(old.impact))?;
    new.urgency = level("urgency", edit.urgency.unwrap_or(old.urgency))?;
    new.priority = priority(new.impact, new.urgency);
    process.edit(&mut new, &edit.fields)?;
    if new.assignee.is_none() && old.assignee.is_some() && process.is_assigned(&old.state) {
        let why = format!("{} is {}: name somebody else who works on it", old.key(), old.state);
        return Err(Refusal::invalid("assignee", why));
    }
    // Whoever assigns takes the ticket on, and what a person says of its weight stands. Other edits only say more
    // clearly what is the matter.
    let judged = |ticket: &Ticket| (ticket.assignee.clone(), ticket.impact, ticket.urgency);
    new.touched |= actor.is_person() && judged(&new) != judged(old);
    let mut decision = Decision::new(Reply::Done);
    let ticket = write(actor, (old, new), ("", &[]), context, &mut decision);
    decision.reply = Reply::Ticket(Box::new(ticket));
    Ok(decision)
}

/// Moves a ticket along its process.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::Stale`], [`Refusal::Conflict`] with the moves that there are,
/// [`Refusal::Invalid`] naming what is missing.
pub fn go(
    actor: &Actor,
    which: (TicketId, Option<u64>),
    (to, reason, fields): (&str, &str, &BTreeMap<String, String>),
    known: &Known,
    context: &Context,
) -> Result<Decision, Refusal> {
    let old = held(which, known)?;
    let ask =
        Ask { to, reason, fields, by: By::Person, now: context.now, links: &known.links, tickets: &known.tickets };
    let mut new = Process::of(old.kind).take(old, &ask)?;
    new.touched |= actor.is_person();
    let mut decision = Decision::new(Reply::Done);
    let about = affected(old.id, &known.links);
    let ticket = write(actor, (old, new), (reason, &about), context, &mut decision);
    decision.reply = Reply::Ticket(Box::new(ticket));
    Ok(decision)
}

/// Writes a comment on a ticket, in whatever state it is.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::Invalid`].
pub fn comment(
    actor: &Actor,
    id: TicketId,
    text: &str,
    known: &Known,
    context: &mut Context,
) -> Result<Decision, Refusal> {
    let old = held((id, None), known)?;
    bounds::lines("text", text, bounds::COMMENT_BYTES)?;
    let mut decision = Decision::new(Reply::Done);
    let comment = say(actor, id, text, context, &mut decision);
    let touched = old.touched || actor.is_person();
    let new = Ticket { rev: old.rev + 1, updated: context.now, touched, ..old.clone() };
    decision.keep(Row::Ticket(Box::new(new)));
    decision.reply = Reply::Comment(comment);
    Ok(decision)
}

/// Adds a comment to a decision.
pub(super) fn say(
    actor: &Actor,
    ticket: TicketId,
    text: &str,
    context: &mut Context,
    decision: &mut Decision,
) -> Comment {
    let id = CommentId(context.fresh.uuid());
    let comment = Comment { id, ticket, at: context.now, actor: actor.to_string(), text: text.to_owned() };
    decision.keep(Row::Comment(comment.clone()));
    let event = Event::TicketCommented { comment: id, text: text.to_owned() };
    decision.tell(actor, [Subject::Ticket(ticket)], event);
    comment
}

/// Adds what changed of a ticket to a decision: what its columns are first, then where it moved, which
/// the timelines of what it is `about` tell too. The ticket as it is from now on comes back; nothing is
/// written where nothing changed.
pub(super) fn write(
    actor: &Actor,
    (old, mut new): (&Ticket, Ticket),
    (reason, about): (&str, &[Subject]),
    context: &Context,
    decision: &mut Decision,
) -> Ticket {
    if *old == new {
        return new;
    }
    new.rev = old.rev + 1;
    new.updated = context.now;
    let changed = process::changes(old, &new);
    if !changed.is_empty() {
        decision.tell(actor, [Subject::Ticket(old.id)], Event::TicketEdited { changed });
    }
    if old.state != new.state {
        let event =
            Event::TicketMoved { from: old.state.clone(), to: new.state.clone(), reason: reason.trim().to_owned() };
        let subjects = std::iter::once(Subject::Ticket(old.id)).chain(about.iter().copied());
        decision.tell(actor, subjects, event);
    }
    decision.keep(Row::Ticket(Box::new(new.clone())));
    new
}

/// The assets that a ticket affects; of very many only some.
pub(super) fn affected(ticket: TicketId, links: &[Link]) -> Vec<Subject> {
    let this = End::Ticket(ticket);
    let assets = links
        .iter()
        .filter(|link| link.rel == Rel::Affects && link.from == this)
        .filter_map(|link| if let End::Asset(id) = link.to { Some(Subject::Asset(id)) } else { None });
    assets.take(bounds::ASSETS).collect()
}

fn held((id, rev): (TicketId, Option<u64>), known: &Known) -> Result<&Ticket, Refusal> {
    let ticket = known.tickets.get(&id).ok_or_else(|| Refusal::NotFound(format!("ticket {id}")))?;
    match rev {
        Some(rev) if rev != ticket.rev => Err(Refusal::Stale { what: ticket.key(), rev: ticket.rev }),
        _ => Ok(ticket),
    }
}
