//! Agents.

use super::{Query, any_of, filter};
use crate::register::model::Agent;
use crate::store::cells::{Cells, all, one, select};
use crate::store::engine::{Cell, Engine, Error, Sql};
use crate::store::page::{Page, Rows};
use crate::store::table::agent::{columns, read_from, read_seen, seen_columns, unknown};
use shared::id::AgentId;
use shared::unit::At;

macro_rules! first {
    () => {
        concat!("select ", columns!(), ", ", seen_columns!(), " from agent a left join seen n on n.agent = a.id where ")
    };
}
macro_rules! speaks {
    () => {
        "a.state in ('active', 'quarantined')"
    };
}
macro_rules! behind {
    () => {
        " and a.roots < ?1 and a.current_expires > ?2"
    };
}
macro_rules! ended {
    () => {
        " and a.roots < ?1 and a.current_expires <= ?2"
    };
}

/// An agent and when it was last heard, as far as that was flushed.
pub type Heard = (Agent, Option<At>);

/// Which agents.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// In one of these states; all if there is none.
    pub states: Vec<String>,
    /// That enrolled under this name.
    pub name: Option<String>,
    /// Only these, in the order of ids; goes with no other filter.
    pub among: Option<Vec<AgentId>>,
}

/// Agents, the oldest first.
///
/// # Errors
/// [`Error`].
pub fn list(engine: &mut dyn Engine, filter_by: &Filter, page: &Page) -> Result<Rows<Heard>, Error> {
    let mut query = Query::new(concat!(
        "select ",
        columns!(),
        ", ",
        seen_columns!(),
        " from agent a left join seen n on n.agent = a.id where a.rev > 0"
    ));
    any_of(&mut query, &filter_by.states, " and a.state in (");
    filter(&mut query, filter_by.name.as_ref(), " and a.name = ?");
    let key = page.key::<1>()?;
    if let Some(among) = &filter_by.among {
        let follows = |id: &String| !matches!(&key, Some([Cell::Text(last)]) if id <= last);
        let of_page = among.iter().map(AgentId::to_string).filter(follows).take(page.rows() + 1);
        let of_page: Vec<String> = of_page.collect();
        if of_page.is_empty() {
            return Ok(Rows { rows: Vec::new(), next: None });
        }
        any_of(&mut query, &of_page, " and a.id in (");
    }
    if let Some(key) = key {
        query.push(" and a.id > ?", key);
    }
    query.push(" order by a.id limit ?", [page.bound()]);
    let rows = select(engine, &query, read)?;
    Ok(Rows::cut(rows, page, |(agent, _)| [agent.id.into()]))
}

/// Every agent, for the memory of the collector when it starts.
///
/// # Errors
/// [`Error`].
pub fn fleet(engine: &mut dyn Engine) -> Result<Vec<Heard>, Error> {
    let sql = Sql(concat!(
        "select ",
        columns!(),
        ", ",
        seen_columns!(),
        " from agent a left join seen n on n.agent = a.id order by a.id"
    ));
    all(engine, sql, &[], read)
}

/// One agent.
///
/// # Errors
/// [`Error`].
pub fn by_id(engine: &mut dyn Engine, id: AgentId) -> Result<Option<Heard>, Error> {
    let sql = Sql(concat!(
        "select ",
        columns!(),
        ", ",
        seen_columns!(),
        " from agent a left join seen n on n.agent = a.id where a.id = ?1"
    ));
    let found = one(engine, sql, &[id.into()], read)?;
    if found.is_none() {
        unknown(engine, id)?;
    }
    Ok(found)
}

/// Who has the roots of a revision of the certificate authority, among the agents that may speak.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// That have them.
    pub ready: u64,
    /// That have not, and whose certificate is good.
    pub behind: u64,
    /// The first of those.
    pub behind_first: Vec<Heard>,
    /// That have not, and whose certificate has ended.
    pub ended: u64,
    /// The first of those.
    pub ended_first: Vec<Heard>,
    /// That wait for approval, with a join file of some time ago.
    pub pending: u64,
}

/// Who has the roots of this revision, with the first `most` of those that have not.
///
/// # Errors
/// [`Error`].
pub fn standing(engine: &mut dyn Engine, revision: u16, now: At, most: u32) -> Result<Standing, Error> {
    let revision = u32::from(revision);
    let mut count = |sql, params: &[Cell]| one(engine, sql, params, |cells| Cells::new("agent", cells).u64());
    let at = [revision.into(), now.into()];
    let ready = count(Sql(concat!("select count(*) from agent a where ", speaks!(), " and a.roots >= ?1")), &at[..1])?;
    let behind = count(Sql(concat!("select count(*) from agent a where ", speaks!(), behind!())), &at)?;
    let ended = count(Sql(concat!("select count(*) from agent a where ", speaks!(), ended!())), &at)?;
    let pending = count(Sql("select count(*) from agent where state = 'pending'"), &[])?;
    let first = [revision.into(), now.into(), most.into()];
    let behind_first = Sql(concat!(first!(), speaks!(), behind!(), " order by a.id limit ?3"));
    let ended_first = Sql(concat!(first!(), speaks!(), ended!(), " order by a.id limit ?3"));
    Ok(Standing {
        ready: ready.unwrap_or(0),
        behind: behind.unwrap_or(0),
        behind_first: all(engine, behind_first, &first, read)?,
        ended: ended.unwrap_or(0),
        ended_first: all(engine, ended_first, &first, read)?,
        pending: pending.unwrap_or(0),
    })
}

fn read(cells: &[Cell]) -> Result<Heard, Error> {
    let mut c = Cells::new("agent", cells);
    let agent = read_from(&mut c)?;
    let heard = read_seen(&mut c, Some(agent.id))?;
    Ok((agent, heard))
}

/// What is held back for a quarantined agent: records as JSON, the latest first.
///
/// # Errors
/// [`Error`].
pub fn held(engine: &mut dyn Engine, id: AgentId) -> Result<Vec<String>, Error> {
    let sql = Sql("select sum, agent, stream, at, record from held where agent = ?1 order by at desc, stream");
    all(engine, sql, &[id.into()], |cells| {
        let mut c = Cells::new("held", cells);
        c.sum(4)?;
        c.text()?;
        c.digest()?;
        c.at()?;
        c.string()
    })
}
