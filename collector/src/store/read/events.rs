//! The journal as timeline, audit and feed: one query, by subject, by actor, by kind, by number.

use super::{Query, any_of, filter};
use crate::event::Entry;
use crate::store::cells::select;
use crate::store::engine::{Cell, Engine, Error};
use crate::store::journal::{about, columns, read};
use crate::store::page::LIMIT_ROWS_MAX;
use shared::unit::At;

/// Which events.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventFilter {
    /// Those after this number.
    pub after: Option<u64>,
    /// Those before this number.
    pub before: Option<u64>,
    /// About this subject, in the form of `Subject`.
    pub subject: Option<String>,
    /// By this actor, in the form of `Actor`.
    pub actor: Option<String>,
    /// Of one of these kinds; all if there is none.
    pub kinds: Vec<String>,
    /// Told at this time or later.
    pub since: Option<At>,
    /// Told before this time.
    pub until: Option<At>,
    /// The newest first.
    pub newest_first: bool,
}

/// Events, at most `limit` of them.
///
/// # Errors
/// [`Error`].
pub fn list(engine: &mut dyn Engine, f: &EventFilter, limit: usize) -> Result<Vec<Entry>, Error> {
    let mut query = Query::new(concat!("select ", columns!()));
    match &f.subject {
        Some(subject) => {
            query.push(" from journal_subject x join journal e on e.seq = x.seq where x.subject = ?", [subject.into()])
        }
        None => query.push(" from journal e where true", []),
    }
    let (after, before, order) = match (&f.subject, f.newest_first) {
        (Some(_), false) => (" and x.seq > ?", " and x.seq < ?", " order by x.seq limit ?"),
        (Some(_), true) => (" and x.seq > ?", " and x.seq < ?", " order by x.seq desc limit ?"),
        (None, false) => (" and e.seq > ?", " and e.seq < ?", " order by e.seq limit ?"),
        (None, true) => (" and e.seq > ?", " and e.seq < ?", " order by e.seq desc limit ?"),
    };
    let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    filter(&mut query, f.after.map(number), after);
    filter(&mut query, f.before.map(number), before);
    filter(&mut query, f.actor.as_ref(), " and e.actor = ?");
    any_of(&mut query, &f.kinds, " and e.kind in (");
    filter(&mut query, f.since, " and e.at >= ?");
    filter(&mut query, f.until, " and e.at < ?");
    let limit = i64::try_from(limit.clamp(1, LIMIT_ROWS_MAX)).unwrap_or(1);
    query.push(order, [Cell::Int(limit)]);
    let entries = select(engine, &query, read)?;
    match &f.subject {
        Some(subject) => entries.into_iter().map(|entry| about(entry, subject)).collect(),
        None => Ok(entries),
    }
}
