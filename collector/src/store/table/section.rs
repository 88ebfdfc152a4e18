//! Table `section`: what is held of a section, its rows apart.

use crate::register::model::Section;
use crate::store::cells::{Cells, all, json};
use crate::store::engine::{Cell, Engine, Error, Sql};
use crate::store::sum;
use shared::checkin::State;
use shared::id::AssetId;

const PUT: Sql =
    Sql("insert into section (asset, name, state, digest, row_count, problems, truncated, held, changed, \
     sum) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) \
     on conflict (asset, name) do update set state = excluded.state, digest = excluded.digest, \
     row_count = excluded.row_count, problems = excluded.problems, truncated = excluded.truncated, \
     held = excluded.held, changed = excluded.changed, sum = excluded.sum");

/// Writes the head of a section.
///
/// # Errors
/// [`Error`].
pub fn put(engine: &mut dyn Engine, asset: AssetId, section: &Section) -> Result<(), Error> {
    let params = sum::with([
        asset.into(),
        (&section.name).into(),
        section.state.name().into(),
        section.digest.into(),
        section.rows.into(),
        json(&section.problems)?,
        section.truncated.into(),
        section.held.into(),
        section.changed.into(),
    ]);
    engine.run(PUT, &params).map(|_| ())
}

/// The heads of all sections of an asset, by name.
///
/// # Errors
/// [`Error`].
pub fn of(engine: &mut dyn Engine, asset: AssetId) -> Result<Vec<Section>, Error> {
    let sql =
        Sql("select sum, asset, name, state, digest, row_count, problems, truncated, held, changed from section \
         where asset = ?1 order by name");
    all(engine, sql, &[asset.into()], read)
}

fn read(cells: &[Cell]) -> Result<Section, Error> {
    let mut c = Cells::new("section", cells);
    c.sum(9)?;
    c.text()?;
    Ok(Section {
        name: c.string()?,
        state: c.name(|name| match name {
            "seen" => Some(State::Seen),
            "failed" => Some(State::Failed),
            _ => None,
        })?,
        digest: c.digest()?,
        rows: c.u64()?,
        problems: c.json()?,
        truncated: c.bool()?,
        held: c.opt_digest()?,
        changed: c.at()?,
    })
}

/// That a section has as many rows as its head says: one whose key is damaged is not found, and would be missing
/// without a word.
///
/// # Errors
/// [`Error::Damaged`].
pub fn holds(asset: AssetId, head: &Section, rows: u64) -> Result<(), Error> {
    if rows == head.rows {
        return Ok(());
    }
    let what = format!("{} of {asset} has {rows} rows, its head says {}", head.name, head.rows);
    Err(Error::Damaged { table: "section", what })
}

/// Takes a section away: its head and all its rows.
///
/// # Errors
/// [`Error`].
pub fn drop(engine: &mut dyn Engine, asset: AssetId, section: &str) -> Result<(), Error> {
    let params = [asset.into(), section.into()];
    for sql in [
        Sql("delete from section where asset = ?1 and name = ?2"),
        Sql("delete from item where asset = ?1 and section = ?2"),
        Sql("delete from install where asset = ?1 and section = ?2"),
    ] {
        engine.run(sql, &params)?;
    }
    Ok(())
}
