//! Table `idempotency_key`: what was answered under which key, for a day.

use super::put_rev;
use crate::event::Actor;
use crate::store::cells::{Cells, json, one};
use crate::store::engine::{Cell, Engine, Error, Sql};
use crate::store::sum;
use crate::work::once::{KEPT_S, Kept, Memory, Told};
use shared::unit::At;

/// Keys that one tick forgets at most.
const FORGET_ROWS: i64 = 4_096;

/// A key that is still kept is not written over: somebody else was faster.
const PUT: Sql = Sql("insert into idempotency_key (actor, name, hash, at, told, sum) values (?1, ?2, ?3, ?4, ?5, ?6) \
     on conflict (actor, name) do update set hash = excluded.hash, at = excluded.at, told = excluded.told, \
     sum = excluded.sum \
     where idempotency_key.at <= ?7");

/// Keeps a key with its answer.
///
/// # Errors
/// [`Error`]; [`Error::Raced`].
pub fn put(engine: &mut dyn Engine, kept: &Kept) -> Result<(), Error> {
    let mut params = sum::with([
        kept.actor.to_string().into(),
        (&kept.once.key).into(),
        (&kept.once.hash).into(),
        kept.at.into(),
        json(&kept.told)?,
    ]);
    params.push(kept.at.plus_secs(-KEPT_S).into());
    put_rev(engine, PUT, &params)
}

/// What is kept of an actor's keys, and under this one.
///
/// # Errors
/// [`Error`].
pub fn memory(engine: &mut dyn Engine, actor: &Actor, key: &str) -> Result<Memory, Error> {
    let actor: Cell = actor.to_string().into();
    let sql = Sql("select sum, actor, name, hash, at, told from idempotency_key where actor = ?1 and name = ?2");
    let held = one(engine, sql, &[actor.clone(), key.into()], |cells| {
        let mut c = Cells::new("idempotency_key", cells);
        c.sum(5)?;
        let (_actor, _name) = (c.text()?, c.text()?);
        Ok((c.array()?, c.at()?, serde_json::from_str(c.text()?).unwrap_or(Told::Lost)))
    })?;
    let sql = Sql("select count(*), min(at) from idempotency_key where actor = ?1");
    let counted = one(engine, sql, &[actor], |cells| {
        let mut c = Cells::new("idempotency_key", cells);
        Ok((c.u64()?, c.opt_at()?))
    })?;
    let (keys, oldest) = counted.unwrap_or_default();
    Ok(Memory { held, keys, oldest })
}

/// Forgets keys that were used before this time: the oldest, a bounded number of them.
///
/// # Errors
/// [`Error`].
pub fn forget(engine: &mut dyn Engine, before: At) -> Result<(), Error> {
    let sql = Sql("delete from idempotency_key where (actor, name) in \
         (select k.actor, k.name from idempotency_key k where k.at <= ?1 order by k.at limit ?2)");
    engine.run(sql, &[before.into(), FORGET_ROWS.into()]).map(drop)
}
