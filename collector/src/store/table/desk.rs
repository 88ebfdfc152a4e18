//! Tables `ticket`, `comment` and `link`.

use super::put_rev;
use crate::desk::model::{Comment, Kind, Link, Rel, Ticket};
use crate::event::Subject;
use crate::store::cells::{Cells, json, one};
use crate::store::engine::{Cell, Engine, Error, Sql};
use crate::store::sum;
use shared::id::{LinkId, TicketId};
use shared::unit::At;

/// The columns that [`read_ticket`] reads, in its order, without the snapshot: for rules, which never read it.
/// [`put_ticket`] keeps the one that is held.
macro_rules! ticket_head {
    () => {
        concat!(crate::store::table::desk::ticket_fields!(), ", null, null")
    };
}
pub(crate) use ticket_head;

/// All columns of a ticket but its snapshot.
macro_rules! ticket_fields {
    () => {
        "t.sum, t.id, t.number, t.rev, t.kind, t.state, t.title, t.description, t.impact, t.urgency, t.priority, \
         t.assignee, t.requester, t.opened, t.updated, t.resolution_code, t.resolution_text, t.fields, t.rule, \
         t.fingerprint, t.touched, t.count_sum, t.count, t.last_seen"
    };
}
pub(crate) use ticket_fields;

/// The columns that [`read_ticket`] reads, in its order.
macro_rules! ticket_columns {
    () => {
        concat!(crate::store::table::desk::ticket_fields!(), ", t.snapshot_sum, t.snapshot")
    };
}
pub(crate) use ticket_columns;

/// The columns that [`read_link`] reads, in its order.
macro_rules! link_columns {
    () => {
        "l.sum, l.id, l.from_end, l.rel, l.to_end, l.source, l.created"
    };
}
pub(crate) use link_columns;

const PUT_TICKET: Sql = Sql("insert into ticket (id, number, rev, kind, state, title, description, impact, urgency, \
     priority, assignee, requester, opened, updated, resolution_code, resolution_text, fields, rule, fingerprint, \
     touched, sum, count, last_seen, count_sum, snapshot, snapshot_sum) \
     values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, \
     ?23, ?24, ?25, ?26) \
     on conflict (id) do update set rev = excluded.rev, state = excluded.state, title = excluded.title, \
     description = excluded.description, impact = excluded.impact, urgency = excluded.urgency, \
     priority = excluded.priority, assignee = excluded.assignee, requester = excluded.requester, \
     updated = excluded.updated, resolution_code = excluded.resolution_code, \
     resolution_text = excluded.resolution_text, fields = excluded.fields, rule = excluded.rule, \
     fingerprint = excluded.fingerprint, \
     touched = excluded.touched, sum = excluded.sum, \
     count = case when ticket.count > excluded.count then ticket.count else excluded.count end, \
     last_seen = case when ticket.count > excluded.count then ticket.last_seen else excluded.last_seen end, \
     count_sum = case when ticket.count > excluded.count then ticket.count_sum else excluded.count_sum end \
     where ticket.rev = excluded.rev - 1");

/// Writes a ticket. Its snapshot is written once and never changed; what was counted meanwhile stays counted.
///
/// # Errors
/// [`Error`]; [`Error::Raced`].
pub fn put_ticket(engine: &mut dyn Engine, ticket: &Ticket) -> Result<(), Error> {
    let mut params = sum::with([
        ticket.id.into(),
        ticket.number.into(),
        ticket.rev.into(),
        ticket.kind.name().into(),
        (&ticket.state).into(),
        (&ticket.title).into(),
        (&ticket.description).into(),
        ticket.impact.into(),
        ticket.urgency.into(),
        ticket.priority.into(),
        ticket.assignee.as_ref().into(),
        ticket.requester.as_ref().into(),
        ticket.opened.into(),
        ticket.updated.into(),
        ticket.resolution_code.as_ref().into(),
        ticket.resolution_text.as_ref().into(),
        json(&ticket.fields)?,
        ticket.rule.as_ref().into(),
        ticket.fingerprint.as_ref().into(),
        ticket.touched.into(),
    ]);
    params.extend(sum::with([ticket.count.into(), ticket.last_seen.into()]));
    params.extend(sum::with([ticket.snapshot.as_ref().into()]));
    put_rev(engine, PUT_TICKET, &params)
}

/// Counts a ticket that was told again. It stays at its revision: nobody who edits it meanwhile is in the way.
///
/// # Errors
/// [`Error`]; [`Error::Raced`] if somebody else counted as far already.
pub fn count_ticket(engine: &mut dyn Engine, id: TicketId, count: u64, last_seen: At) -> Result<(), Error> {
    let sql = Sql("update ticket set count = ?2, last_seen = ?3, count_sum = ?4 where id = ?1 and count < ?2");
    let counted = [count.into(), last_seen.into()];
    let sum = sum::of(&counted);
    let [count, last_seen] = counted;
    put_rev(engine, sql, &[id.into(), count, last_seen, sum.into()])
}

/// Reads a ticket from [`ticket_columns`].
pub fn read_ticket(cells: &[Cell]) -> Result<Ticket, Error> {
    let mut c = Cells::new("ticket", cells);
    c.sum(20)?;
    let mut ticket = Ticket {
        id: c.parse()?,
        number: c.u64()?,
        rev: c.u64()?,
        kind: c.name(Kind::of)?,
        state: c.string()?,
        title: c.string()?,
        description: c.string()?,
        impact: c.small()?,
        urgency: c.small()?,
        priority: c.small()?,
        assignee: c.opt_string()?,
        requester: c.opt_string()?,
        opened: c.at()?,
        updated: c.at()?,
        resolution_code: c.opt_string()?,
        resolution_text: c.opt_string()?,
        fields: c.json()?,
        rule: c.opt_string()?,
        fingerprint: c.opt_string()?,
        touched: c.bool()?,
        count: 0,
        last_seen: None,
        snapshot: None,
    };
    c.sum(2)?;
    (ticket.count, ticket.last_seen) = (c.u64()?, c.opt_at()?);
    ticket.snapshot = c.opt_summed()?;
    Ok(ticket)
}

/// A ticket.
///
/// # Errors
/// [`Error`].
pub fn ticket(engine: &mut dyn Engine, id: TicketId) -> Result<Option<Ticket>, Error> {
    let sql = Sql(concat!("select ", ticket_columns!(), " from ticket t where t.id = ?1"));
    let found = one(engine, sql, &[id.into()], read_ticket)?;
    if found.is_none() {
        super::unknown(engine, "ticket", &Subject::Ticket(id))?;
    }
    Ok(found)
}

/// A ticket as rules read it, by [`ticket_head`].
///
/// # Errors
/// [`Error`].
pub fn ticket_for_rules(engine: &mut dyn Engine, id: TicketId) -> Result<Option<Ticket>, Error> {
    let sql = Sql(concat!("select ", ticket_head!(), " from ticket t where t.id = ?1"));
    one(engine, sql, &[id.into()], read_ticket)
}

/// Writes a comment; comments are never changed.
///
/// # Errors
/// [`Error`].
pub fn put_comment(engine: &mut dyn Engine, comment: &Comment) -> Result<(), Error> {
    let sql = Sql("insert into comment (id, ticket, at, actor, text, sum) values (?1, ?2, ?3, ?4, ?5, ?6)");
    let params = sum::with([
        comment.id.into(),
        comment.ticket.into(),
        comment.at.into(),
        (&comment.actor).into(),
        (&comment.text).into(),
    ]);
    engine.run(sql, &params).map(|_| ())
}

/// Reads a comment from sum, id, ticket, at, actor, text.
pub fn read_comment(cells: &[Cell]) -> Result<Comment, Error> {
    let mut c = Cells::new("comment", cells);
    c.sum(5)?;
    Ok(Comment { id: c.parse()?, ticket: c.parse()?, at: c.at()?, actor: c.string()?, text: c.string()? })
}

/// Writes a link. A pair is linked once in one way.
///
/// # Errors
/// [`Error`]; [`Error::Raced`] if the pair is linked already: the rules look before.
pub fn put_link(engine: &mut dyn Engine, link: &Link) -> Result<(), Error> {
    let sql = Sql("insert into link (id, from_end, rel, to_end, source, created, sum) \
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
         on conflict do nothing");
    let params = sum::with([
        link.id.into(),
        link.from.to_string().into(),
        link.rel.name().into(),
        link.to.to_string().into(),
        (&link.source).into(),
        link.created.into(),
    ]);
    put_rev(engine, sql, &params)
}

/// Takes a link away.
///
/// # Errors
/// [`Error`]; [`Error::Raced`] if it is gone already.
pub fn unlink(engine: &mut dyn Engine, id: LinkId) -> Result<(), Error> {
    put_rev(engine, Sql("delete from link where id = ?1"), &[id.into()])
}

/// Reads a link from [`link_columns`].
pub fn read_link(cells: &[Cell]) -> Result<Link, Error> {
    let mut c = Cells::new("link", cells);
    c.sum(6)?;
    Ok(Link {
        id: c.parse()?,
        from: c.parse()?,
        rel: c.name(Rel::of)?,
        to: c.parse()?,
        source: c.string()?,
        created: c.at()?,
    })
}
