//! Tickets and their comments.

use super::{Query, Text, any_of, filter, text_filter};
use crate::desk::model::{Comment, End, Kind, Ticket};
use crate::event::Subject;
use crate::store::cells::{Cells, one, select};
use crate::store::engine::{Engine, Error, Sql};
use crate::store::page::{Page, Rows};
use crate::store::table::desk::{read_comment, read_ticket, ticket, ticket_columns};
use shared::id::{AssetId, TicketId};

/// Which tickets. All that are said must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TicketFilter {
    /// Of this kind.
    pub kind: Option<Kind>,
    /// In one of these states; all if there is none. Which states are open, the desk knows.
    pub states: Vec<String>,
    /// In none of these states.
    pub not_states: Vec<String>,
    /// Worked on by.
    pub assignee: Option<String>,
    /// Asked for by.
    pub requester: Option<String>,
    /// Of this priority or higher: 1 is the highest.
    pub priority: Option<u8>,
    /// Linked to this asset, in any way.
    pub asset: Option<AssetId>,
    /// Somewhere in the title.
    pub title: Option<Text>,
}

/// Tickets, the newest first.
///
/// # Errors
/// [`Error`].
pub fn list(engine: &mut dyn Engine, f: &TicketFilter, page: &Page) -> Result<Rows<Ticket>, Error> {
    let mut query = Query::new(concat!("select ", ticket_columns!(), " from ticket t where true"));
    filter(&mut query, f.kind.map(Kind::name), " and t.kind = ?");
    any_of(&mut query, &f.states, " and t.state in (");
    any_of(&mut query, &f.not_states, " and t.state not in (");
    filter(&mut query, f.assignee.as_ref(), " and t.assignee = ?");
    filter(&mut query, f.requester.as_ref(), " and t.requester = ?");
    filter(&mut query, f.priority, " and t.priority <= ?");
    text_filter(&mut query, f.title.as_ref(), " and lower(t.title) like ? escape '\\'");
    if let Some(asset) = f.asset {
        let end = End::Asset(asset).to_string();
        query.push(
            // `ticket:` has seven characters.
            " and t.id in (select substr(l.from_end, 8) from link l where l.to_end = ? and l.from_end like 'ticket:%' \
             union select substr(l.to_end, 8) from link l where l.from_end = ? and l.to_end like 'ticket:%')",
            [(&end).into(), (&end).into()],
        );
    }
    if let Some(key) = page.key::<1>()? {
        query.push(" and t.id < ?", key);
    }
    query.push(" order by t.id desc limit ?", [page.bound()]);
    Ok(Rows::cut(select(engine, &query, read_ticket)?, page, |ticket| [ticket.id.into()]))
}

/// One ticket.
///
/// # Errors
/// [`Error`].
pub fn by_id(engine: &mut dyn Engine, id: TicketId) -> Result<Option<Ticket>, Error> {
    ticket(engine, id)
}

/// The ticket that people call `INC-17`.
///
/// # Errors
/// [`Error`].
pub fn by_number(engine: &mut dyn Engine, kind: Kind, number: u64) -> Result<Option<Ticket>, Error> {
    let sql = Sql(concat!("select ", ticket_columns!(), " from ticket t where t.kind = ?1 and t.number = ?2"));
    one(engine, sql, &[kind.name().into(), number.into()], read_ticket)
}

/// Comments of a ticket, the oldest first. Each stands in the ticket's timeline, too: one that is missing in either
/// has lost its key.
///
/// # Errors
/// [`Error`].
pub fn comments(engine: &mut dyn Engine, id: TicketId, page: &Page) -> Result<Rows<Comment>, Error> {
    let sql = Sql("select (select count(*) from comment c where c.ticket = ?1), count(*) \
         from journal_subject x join journal e on e.seq = x.seq where x.subject = ?2 and e.kind = 'ticket_commented'");
    let counted = one(engine, sql, &[id.into(), Subject::Ticket(id).to_string().into()], |cells| {
        let mut c = Cells::new("comment", cells);
        Ok((c.int()?, c.int()?))
    })?;
    if let Some((held, told)) = counted.filter(|(held, told)| held != told) {
        let what = format!("{held} comments of ticket {id}, but {told} are in its timeline");
        return Err(Error::Damaged { table: "comment", what });
    }
    let mut query = Query::new("select c.sum, c.id, c.ticket, c.at, c.actor, c.text from comment c")
        .and(" where c.ticket = ?", [id.into()]);
    if let Some(key) = page.key::<1>()? {
        query.push(" and c.id > ?", key);
    }
    query.push(" order by c.id limit ?", [page.bound()]);
    Ok(Rows::cut(select(engine, &query, read_comment)?, page, |comment| [comment.id.into()]))
}
