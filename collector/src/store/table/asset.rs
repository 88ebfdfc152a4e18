//! Tables `asset`, `evidence` and `address`.

use super::put_rev;
use crate::event::Subject;
use crate::register::model::{Asset, Class, Declared, Lifecycle, Observed};
use crate::store::cells::{Cells, all, one};
use crate::store::engine::{Cell, Engine, Error, Sql};
use crate::store::sum;
use shared::evidence::{Evidence, Kind};
use shared::id::AssetId;
use std::collections::BTreeSet;

/// The columns that [`read`] reads, in its order.
macro_rules! columns {
    () => {
        "s.sum, s.id, s.rev, s.created, s.updated, s.class, s.lifecycle, s.agent, s.name, s.maker, s.model, s.serial, \
         s.os_name, s.os_version, s.kernel, s.arch, s.memory_bytes, s.cpu, s.tag, s.owner, s.location, s.criticality"
    };
}
pub(crate) use columns;

const PUT: Sql = Sql("insert into asset (id, rev, created, updated, class, lifecycle, agent, name, maker, model, \
     serial, os_name, os_version, kernel, arch, memory_bytes, cpu, tag, owner, location, criticality, sum) \
     values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22) \
     on conflict (id) do update set rev = excluded.rev, updated = excluded.updated, class = excluded.class, \
     lifecycle = excluded.lifecycle, agent = excluded.agent, name = excluded.name, maker = excluded.maker, \
     model = excluded.model, serial = excluded.serial, os_name = excluded.os_name, \
     os_version = excluded.os_version, kernel = excluded.kernel, arch = excluded.arch, \
     memory_bytes = excluded.memory_bytes, cpu = excluded.cpu, tag = excluded.tag, owner = excluded.owner, \
     location = excluded.location, criticality = excluded.criticality, sum = excluded.sum \
     where asset.rev = excluded.rev - 1");

/// Writes an asset.
///
/// # Errors
/// [`Error`]; [`Error::Raced`].
pub fn put(engine: &mut dyn Engine, asset: &Asset) -> Result<(), Error> {
    let Observed { name, maker, model, serial, os_name, os_version, kernel, arch, memory_bytes, cpu } = &asset.observed;
    let Declared { tag, owner, location, criticality } = &asset.declared;
    put_rev(
        engine,
        PUT,
        &sum::with([
            asset.id.into(),
            asset.rev.into(),
            asset.created.into(),
            asset.updated.into(),
            asset.class.name().into(),
            asset.lifecycle.name().into(),
            asset.agent.into(),
            name.as_ref().into(),
            maker.as_ref().into(),
            model.as_ref().into(),
            serial.as_ref().into(),
            os_name.as_ref().into(),
            os_version.as_ref().into(),
            kernel.as_ref().into(),
            arch.as_ref().into(),
            (*memory_bytes).into(),
            cpu.as_ref().into(),
            tag.as_ref().into(),
            owner.as_ref().into(),
            location.as_ref().into(),
            (*criticality).into(),
        ]),
    )
}

/// Reads an asset from [`columns`].
pub fn read(cells: &[Cell]) -> Result<Asset, Error> {
    read_from(&mut Cells::new("asset", cells))
}

/// Reads an asset where its columns are the next of a longer row.
pub fn read_from(c: &mut Cells<'_>) -> Result<Asset, Error> {
    c.sum(21)?;
    Ok(Asset {
        id: c.parse()?,
        rev: c.u64()?,
        created: c.at()?,
        updated: c.at()?,
        class: c.name(Class::of)?,
        lifecycle: c.name(Lifecycle::of)?,
        agent: c.opt_parse()?,
        observed: Observed {
            name: c.opt_string()?,
            maker: c.opt_string()?,
            model: c.opt_string()?,
            serial: c.opt_string()?,
            os_name: c.opt_string()?,
            os_version: c.opt_string()?,
            kernel: c.opt_string()?,
            arch: c.opt_string()?,
            memory_bytes: c.opt_int()?,
            cpu: c.opt_string()?,
        },
        declared: Declared {
            tag: c.opt_string()?,
            owner: c.opt_string()?,
            location: c.opt_string()?,
            criticality: c.opt_small()?,
        },
    })
}

/// All evidence of an asset, in the order of kind and value.
///
/// # Errors
/// [`Error`].
pub fn evidence(engine: &mut dyn Engine, asset: AssetId) -> Result<Vec<Evidence>, Error> {
    let sql = Sql("select sum, kind, value, asset from evidence where asset = ?1 order by kind, value");
    all(engine, sql, &[asset.into()], |cells| {
        let mut c = Cells::new("evidence", cells);
        c.sum(3)?;
        Ok(Evidence { kind: c.name(Kind::of)?, value: c.string()? })
    })
}

/// Makes this the evidence of an asset; only what differs is written.
///
/// # Errors
/// [`Error`].
pub fn put_evidence(engine: &mut dyn Engine, asset: AssetId, evidence: &[Evidence]) -> Result<(), Error> {
    let held: BTreeSet<Evidence> = self::evidence(engine, asset)?.into_iter().collect();
    let wanted: BTreeSet<Evidence> = evidence.iter().cloned().collect();
    for gone in held.difference(&wanted) {
        let sql = Sql("delete from evidence where kind = ?1 and value = ?2 and asset = ?3");
        engine.run(sql, &[gone.kind.name().into(), (&gone.value).into(), asset.into()])?;
    }
    for new in wanted.difference(&held) {
        let sql = Sql("insert into evidence (kind, value, asset, sum) values (?1, ?2, ?3, ?4)");
        engine.run(sql, &sum::with([new.kind.name().into(), (&new.value).into(), asset.into()]))?;
    }
    Ok(())
}

/// All addresses of an asset, in their order as text.
///
/// # Errors
/// [`Error`].
pub fn addresses(engine: &mut dyn Engine, asset: AssetId) -> Result<Vec<String>, Error> {
    let sql = Sql("select sum, address, asset from address where asset = ?1 order by address");
    all(engine, sql, &[asset.into()], |cells| {
        let mut c = Cells::new("address", cells);
        c.sum(2)?;
        c.string()
    })
}

/// Makes these the addresses of an asset; only what differs is written.
///
/// # Errors
/// [`Error`].
pub fn put_addresses(engine: &mut dyn Engine, asset: AssetId, addresses: &[String]) -> Result<(), Error> {
    let held: BTreeSet<String> = self::addresses(engine, asset)?.into_iter().collect();
    let wanted: BTreeSet<String> = addresses.iter().cloned().collect();
    for gone in held.difference(&wanted) {
        engine.run(Sql("delete from address where address = ?1 and asset = ?2"), &[gone.into(), asset.into()])?;
    }
    for new in wanted.difference(&held) {
        let sql = Sql("insert into address (address, asset, sum) values (?1, ?2, ?3)");
        engine.run(sql, &sum::with([new.into(), asset.into()]))?;
    }
    Ok(())
}

/// An asset.
///
/// # Errors
/// [`Error`].
pub fn by_id(engine: &mut dyn Engine, id: AssetId) -> Result<Option<Asset>, Error> {
    let sql = Sql(concat!("select ", columns!(), " from asset s where s.id = ?1"));
    let found = one(engine, sql, &[id.into()], read)?;
    if found.is_none() {
        unknown(engine, id)?;
    }
    Ok(found)
}

/// That an asset that was not found never was.
///
/// # Errors
/// [`Error::Damaged`] where something happened to it.
pub fn unknown(engine: &mut dyn Engine, id: AssetId) -> Result<(), Error> {
    super::unknown(engine, "asset", &Subject::Asset(id))
}
