//! Tables `title`, `version` and `install`: software, for volume.
//!
//! A version is one exact row, as agents report it, kept once and never changed; what an asset has is a packed
//! list of numbers. The dictionary remembers what it looked up: numbers and digests of versions never change.

use crate::register::model::{Installed, Software};
use crate::store::cells::{Cells, json, one};
use crate::store::engine::{Cell, Engine, Error, Next, Sql};
use crate::store::sum;
use crate::store::table::lost;
use crate::store::table::sweep::Sweep;
use crate::store::{codec, sortkey};
use shared::digest::{self, Digest};
use shared::fact::Item;
use shared::id::{AgentId, AssetId};
use shared::unit::At;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The columns of a version that its sum is of, behind it.
macro_rules! columns {
    () => {
        "v.sum, v.id, v.title, v.version, v.sort_key, v.item_key, v.publisher, v.size"
    };
}
pub(crate) use columns;

/// The columns that [`packed`] reads, in its order.
macro_rules! install_columns {
    () => {
        "k.sum, k.asset, k.section, k.ids"
    };
}
pub(crate) use install_columns;

/// Reads the packed list of a section from [`install_columns`].
pub fn packed<'a>(c: &mut Cells<'a>) -> Result<&'a [u8], Error> {
    c.sum(3)?;
    let (_asset, _section) = (c.text()?, c.text()?);
    c.bytes()
}

/// Versions that are remembered at most; then all are forgotten and looked up again.
const REMEMBERED: usize = 1_000_000;

/// Versions that one agent may make in one hour: several first inventories. An agent beyond it is asked for its
/// software again later.
pub const NEW_ROWS_HOUR: usize = 50_000;
const HOUR_S: i64 = 3_600;

/// Numbers and digests of versions that were looked up before. Belongs to the writer.
#[derive(Debug, Default)]
pub struct Dictionary {
    /// What is no longer used.
    pub sweep: Sweep,
    /// How many versions agents made since a moment.
    made: HashMap<AgentId, (At, usize)>,
    numbers: HashMap<Digest, i64>,
    /// By number: numbers are given from 1 on, without holes.
    digests: Vec<Option<Digest>>,
    /// Made by the work that is not kept yet.
    fresh: Vec<(i64, Digest)>,
}

impl Dictionary {
    /// The work's savepoint was released; it was this agent's.
    pub fn keep(&mut self, agent: Option<AgentId>, now: At) {
        let rows = self.fresh.len();
        self.fresh.clear();
        let Some(agent) = agent.filter(|_| rows > 0) else { return };
        self.made.retain(|_, (since, _)| now.secs_since(*since) < HOUR_S);
        self.made.entry(agent).or_insert((now, 0)).1 += rows;
    }

    /// Whether this agent made as many versions as it may for now.
    pub fn is_full(&self, agent: AgentId, now: At) -> bool {
        let made = self.made.get(&agent).filter(|(since, _)| now.secs_since(*since) < HOUR_S);
        made.is_some_and(|(_, rows)| *rows >= NEW_ROWS_HOUR)
    }

    /// Forgets what was looked up: some of it is gone.
    pub fn look_again(&mut self) {
        self.numbers.clear();
        self.digests.clear();
    }

    /// The work's savepoint was rolled back: what it made is gone.
    pub fn roll_back(&mut self) {
        for (id, row) in self.fresh.drain(..) {
            self.numbers.remove(&row);
            if let Some(place) = place(id).and_then(|place| self.digests.get_mut(place)) {
                *place = None;
            }
        }
    }

    /// Forgets everything: the whole transaction was rolled back. What agents made stays counted.
    pub fn forget(&mut self) {
        *self = Dictionary { made: std::mem::take(&mut self.made), ..Dictionary::default() };
    }

    fn remember(&mut self, id: i64, row: Digest) {
        if self.numbers.len() >= REMEMBERED {
            self.digests.clear();
            self.numbers.clear();
        }
        let Some(place) = place(id) else { return };
        if self.digests.len() <= place {
            self.digests.resize(place + 1, None);
        }
        self.digests[place] = Some(row);
        self.numbers.insert(row, id);
    }

    /// The digest of a version.
    fn digest(&mut self, engine: &mut dyn Engine, id: i64) -> Result<Digest, Error> {
        if let Some(Some(row)) = place(id).and_then(|place| self.digests.get(place)) {
            return Ok(*row);
        }
        let sql = Sql("select row_digest from version where id = ?1");
        let row = one(engine, sql, &[id.into()], |cells| Cells::new("version", cells).digest())?;
        let row = row.ok_or_else(|| lost("version", id))?;
        self.remember(id, row);
        Ok(row)
    }

    /// The number of a version, made if it is new.
    fn number(&mut self, engine: &mut dyn Engine, item: &Item) -> Result<i64, Error> {
        let row = digest::row(item);
        if let Some(id) = self.numbers.get(&row) {
            return Ok(*id);
        }
        let sql = Sql("select id from version where row_digest = ?1");
        let held = one(engine, sql, &[row.into()], |cells| Cells::new("version", cells).int())?;
        let id = match held {
            Some(id) => id,
            None => {
                let id = insert(engine, item, row)?;
                self.fresh.push((id, row));
                id
            }
        };
        self.remember(id, row);
        Ok(id)
    }
}

/// Where the digest of a version is remembered; numbers beyond the bound are looked up each time.
fn place(id: i64) -> Option<usize> {
    usize::try_from(id).ok().filter(|place| *place < 4 * REMEMBERED)
}

fn next_id(engine: &mut dyn Engine, sql: Sql) -> Result<i64, Error> {
    let last = one(engine, sql, &[], |cells| Cells::new("version", cells).opt_int())?;
    Ok(last.flatten().unwrap_or(0) + 1)
}

fn insert(engine: &mut dyn Engine, item: &Item, row: Digest) -> Result<i64, Error> {
    let manager = item.key.split('/').next().unwrap_or_default();
    let name = item.label.as_deref().unwrap_or(&item.key);
    let version = item.text("version").unwrap_or_default();
    let title = title(engine, manager, name, item.text("arch").unwrap_or_default())?;
    let id = next_id(engine, Sql("select max(id) from version"))?;
    let body = Item { now: BTreeMap::new(), ..item.clone() };
    let sql =
        Sql("insert into version (id, title, version, sort_key, item_key, publisher, size, sum, row_digest, body) \
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)");
    let mut params = sum::with([
        id.into(),
        title.into(),
        version.into(),
        sortkey::of(manager, version).into(),
        (&item.key).into(),
        item.maker.as_ref().into(),
        item.size.into(),
    ]);
    params.extend([row.into(), json(&body)?]);
    engine.run(sql, &params)?;
    Ok(id)
}

fn title(engine: &mut dyn Engine, manager: &str, name: &str, arch: &str) -> Result<i64, Error> {
    let key: [Cell; 3] = [name.into(), manager.into(), arch.into()];
    let sql = Sql("select id from title where name = ?1 and manager = ?2 and arch = ?3");
    if let Some(id) = one(engine, sql, &key, |cells| Cells::new("title", cells).int())? {
        return Ok(id);
    }
    let id = next_id(engine, Sql("select max(id) from title"))?;
    let [name, manager, arch] = key;
    let sql = Sql("insert into title (id, name, manager, arch, sum) values (?1, ?2, ?3, ?4, ?5)");
    engine.run(sql, &sum::with([id.into(), name, manager, arch]))?;
    Ok(id)
}

/// The numbers of what a section of an asset holds, in their order.
///
/// # Errors
/// [`Error`].
pub fn ids(engine: &mut dyn Engine, asset: AssetId, section: &str) -> Result<Vec<i64>, Error> {
    let sql = Sql(concat!("select ", install_columns!(), " from install k where k.asset = ?1 and k.section = ?2"));
    let ids = one(engine, sql, &[asset.into(), section.into()], |cells| {
        let mut c = Cells::new("install", cells);
        codec::unpack(packed(&mut c)?).ok_or_else(|| c.damaged("the packed list of a section cannot be read"))
    })?;
    Ok(ids.unwrap_or_default())
}

/// Makes this the software of a section: numbers kept, and rows added.
///
/// # Errors
/// [`Error`].
pub fn put(
    engine: &mut dyn Engine,
    dictionary: &mut Dictionary,
    asset: AssetId,
    section: &str,
    keep: &[i64],
    add: &[Item],
) -> Result<(), Error> {
    let mut ids = keep.to_vec();
    for item in add {
        ids.push(dictionary.number(engine, item)?);
    }
    dictionary.sweep.used(&ids);
    let sql = Sql("insert into install (asset, section, ids, sum) values (?1, ?2, ?3, ?4) \
         on conflict (asset, section) do update set ids = excluded.ids, sum = excluded.sum");
    let params = sum::with([asset.into(), section.into(), codec::pack(&mut ids).into()]);
    engine.run(sql, &params).map(|_| ())
}

/// What rules need of a section: the rows with these keys, or all of them; number and digest of the others.
///
/// # Errors
/// [`Error`].
pub fn load(
    engine: &mut dyn Engine,
    dictionary: &mut Dictionary,
    asset: AssetId,
    section: &str,
    keys: Option<&[String]>,
) -> Result<Software, Error> {
    let ids = ids(engine, asset, section)?;
    let mut software = Software::default();
    let Some(keys) = keys else {
        for id in ids {
            let (key, installed) = installed(engine, id)?;
            software.touched.insert(key, installed);
        }
        return Ok(software);
    };
    let mut taken = BTreeSet::new();
    for key in keys {
        // The index alone says which there are: only the one that is installed is read.
        let sql = Sql("select id from version where item_key = ?1");
        let mut held = None;
        engine.query(sql, &[key.into()], &mut |cells| {
            held = Some(Cells::new("version", cells).int()?).filter(|id| ids.binary_search(id).is_ok());
            Ok(if held.is_some() { Next::Enough } else { Next::More })
        })?;
        if let Some(id) = held {
            taken.insert(id);
            let (key, installed) = installed(engine, id)?;
            software.touched.insert(key, installed);
        }
    }
    software.others.reserve(ids.len());
    for id in ids.into_iter().filter(|id| !taken.contains(id)) {
        software.others.push((id, dictionary.digest(engine, id)?));
    }
    Ok(software)
}

fn installed(engine: &mut dyn Engine, id: i64) -> Result<(String, Installed), Error> {
    let sql = Sql(concat!("select ", columns!(), ", v.row_digest from version v where v.id = ?1"));
    let found = one(engine, sql, &[id.into()], |cells| {
        let mut c = Cells::new("version", cells);
        c.sum(7)?;
        let (id, _title, version, _sort) = (c.int()?, c.int()?, c.string()?, c.bytes()?);
        let (key, _publisher, _size) = (c.string()?, c.opt_text()?, c.opt_int()?);
        Ok((key, Installed { id, version, row: c.digest()? }))
    })?;
    found.ok_or_else(|| lost("version", id))
}

/// Reads a version's digest and body; the one is the sum of the other.
pub fn body(c: &mut Cells<'_>) -> Result<Item, Error> {
    let (row, item) = (c.digest()?, c.json::<Item>()?);
    match digest::row(&item) == row {
        true => Ok(item),
        false => Err(c.damaged(format!("the row {:?} is not what was written (its digest differs)", item.key))),
    }
}

/// The rows of a section, whole, by key.
///
/// # Errors
/// [`Error`].
pub fn items(engine: &mut dyn Engine, asset: AssetId, section: &str) -> Result<Vec<Item>, Error> {
    let mut items = Vec::new();
    for id in ids(engine, asset, section)? {
        let sql = Sql("select row_digest, body from version where id = ?1");
        let found = one(engine, sql, &[id.into()], |cells| body(&mut Cells::new("version", cells)))?;
        items.push(found.ok_or_else(|| lost("version", id))?);
    }
    items.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn an_agent_makes_so_many_versions_in_an_hour() {
        let (agent, other) = (AgentId(Uuid::from_u128(1)), AgentId(Uuid::from_u128(2)));
        let (start, mut dictionary) = (At::from_secs(1_800_000_000), Dictionary::default());
        let mut make = |rows: usize, now: At| {
            dictionary.fresh = vec![(1, Digest::default()); rows];
            dictionary.keep(Some(agent), now);
            dictionary.forget();
            (dictionary.is_full(agent, now), dictionary.is_full(other, now))
        };
        assert_eq!(make(2 * 20_000, start), (false, false), "a first inventory, even twice");
        assert_eq!(make(NEW_ROWS_HOUR - 2 * 20_000, start.plus_secs(60)), (true, false));
        assert_eq!(make(0, start.plus_secs(HOUR_S)), (false, false));
        assert_eq!(make(NEW_ROWS_HOUR, start.plus_secs(HOUR_S)), (true, false));
    }
}
