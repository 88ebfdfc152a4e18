//! Takes versions away that no machine has, and titles that have no version.
//!
//! By walking, a little with each tick: first every packed list marks what it uses, then every version that was
//! there when the walk began and is not marked goes. A list that is written meanwhile marks what it uses too
//! ([`Sweep::used`]), so what is used is never taken. Lives in the writer's memory and begins anew with it, and
//! when a transaction was rolled back: then lists may be again as they were before they were looked at.
//!
//! Right for one writer only: what another process writes marks nothing here. With several writers the marks must
//! lie in the database (a generation per version, set in the transaction that writes a list), or one of them must
//! sweep under a lock that the others take when they write lists.

use super::software::{Dictionary, install_columns, packed};
use crate::store::cells::{Cells, all, one};
use crate::store::codec;
use crate::store::engine::{Engine, Error, Sql};
use std::collections::BTreeSet;

/// Lists that one step reads.
const LISTS: i64 = 500;
/// Versions that one step looks at.
const VERSIONS: i64 = 2_000;

/// Where the walk is.
#[derive(Debug, Default)]
pub struct Sweep {
    /// Numbers in use, as far as is known; by number. Empty while no walk is under way.
    marked: Vec<bool>,
    walk: Walk,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
enum Walk {
    /// None is under way.
    #[default]
    Rests,
    /// Lists up to this asset and section were read.
    Marks(String, String),
    /// Versions up to this number were looked at.
    Takes(i64),
}

impl Sweep {
    /// These versions are used from now on.
    pub fn used(&mut self, ids: &[i64]) {
        for id in ids {
            if let Some(mark) = usize::try_from(*id).ok().and_then(|id| self.marked.get_mut(id)) {
                *mark = true;
            }
        }
    }

    fn is_marked(&self, id: i64) -> bool {
        usize::try_from(id).ok().and_then(|id| self.marked.get(id)).copied().unwrap_or(true)
    }
}

/// The next step of the walk.
///
/// # Errors
/// [`Error`].
pub fn step(engine: &mut dyn Engine, dictionary: &mut Dictionary) -> Result<(), Error> {
    match dictionary.sweep.walk.clone() {
        Walk::Rests => {
            let sql = Sql("select max(id) from version");
            let last = one(engine, sql, &[], |cells| Cells::new("version", cells).opt_int())?.flatten().unwrap_or(0);
            let marked = vec![false; usize::try_from(last).unwrap_or(0) + 1];
            dictionary.sweep = Sweep { marked, walk: Walk::Marks(String::new(), String::new()) };
        }
        Walk::Marks(asset, section) => dictionary.sweep.walk = mark(engine, &mut dictionary.sweep, (asset, section))?,
        Walk::Takes(last) => {
            take(engine, dictionary, last)?;
            let next = last + VERSIONS;
            let done = usize::try_from(next).is_ok_and(|next| next >= dictionary.sweep.marked.len());
            dictionary.sweep.walk = Walk::Takes(next);
            if done {
                dictionary.sweep = Sweep::default();
            }
        }
    }
    Ok(())
}

fn mark(engine: &mut dyn Engine, sweep: &mut Sweep, after: (String, String)) -> Result<Walk, Error> {
    let sql = Sql(concat!(
        "select k.asset, k.section, ",
        install_columns!(),
        " from install k where (k.asset, k.section) > (?1, ?2) order by k.asset, k.section limit ?3"
    ));
    let (asset, section) = after;
    let lists = all(engine, sql, &[asset.into(), section.into(), LISTS.into()], |cells| {
        let mut c = Cells::new("install", cells);
        let place = (c.string()?, c.string()?);
        let ids =
            codec::unpack(packed(&mut c)?).ok_or_else(|| c.damaged("the packed list of a section cannot be read"))?;
        Ok((place, ids))
    })?;
    for (_, ids) in &lists {
        sweep.used(ids);
    }
    Ok(lists.into_iter().next_back().map_or(Walk::Takes(0), |((asset, section), _)| Walk::Marks(asset, section)))
}

fn take(engine: &mut dyn Engine, dictionary: &mut Dictionary, last: i64) -> Result<(), Error> {
    let sql = Sql("select id, title from version where id > ?1 and id <= ?2 order by id");
    let found = all(engine, sql, &[last.into(), (last + VERSIONS).into()], |cells| {
        let mut c = Cells::new("version", cells);
        Ok((c.int()?, c.int()?))
    })?;
    let unused: Vec<(i64, i64)> = found.into_iter().filter(|(id, _)| !dictionary.sweep.is_marked(*id)).collect();
    for (id, _) in &unused {
        engine.run(Sql("delete from version where id = ?1"), &[(*id).into()])?;
    }
    for title in unused.iter().map(|(_, title)| *title).collect::<BTreeSet<i64>>() {
        let sql = Sql("delete from title where id = ?1 and not exists (select 1 from version v where v.title = ?1)");
        engine.run(sql, &[title.into()])?;
    }
    if !unused.is_empty() {
        dictionary.look_again();
    }
    Ok(())
}
