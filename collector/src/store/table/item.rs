//! Table `item`: the rows of every section but those of software.

use crate::store::cells::{Cells, all, json, one};
use crate::store::engine::{Cell, Engine, Error, Sql};
use crate::store::sum;
use shared::fact::Item;
use shared::id::AssetId;
use std::collections::BTreeSet;

/// The columns that [`read`] reads, in its order.
macro_rules! columns {
    () => {
        "i.sum, i.asset, i.section, i.kind, i.item_key, i.label, i.maker, i.model, i.serial, i.size, i.attrs, i.volatile"
    };
}
pub(crate) use columns;

const PUT: Sql = Sql("insert into item (asset, section, kind, item_key, label, maker, model, serial, size, attrs, \
     volatile, sum) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) \
     on conflict (asset, section, item_key) do update set kind = excluded.kind, label = excluded.label, \
     maker = excluded.maker, model = excluded.model, serial = excluded.serial, size = excluded.size, \
     attrs = excluded.attrs, volatile = excluded.volatile, \
     sum = excluded.sum");

/// Puts and deletes rows of a section; `whole` deletes all that are not put.
///
/// # Errors
/// [`Error`].
pub fn put(
    engine: &mut dyn Engine,
    asset: AssetId,
    section: &str,
    put: &[Item],
    del: &[String],
    whole: bool,
) -> Result<(), Error> {
    if whole {
        let sql = Sql("select item_key from item where asset = ?1 and section = ?2");
        let held = all(engine, sql, &[asset.into(), section.into()], |cells| Cells::new("item", cells).string())?;
        let kept: BTreeSet<&str> = put.iter().map(|item| item.key.as_str()).collect();
        for key in held.iter().filter(|key| !kept.contains(key.as_str())) {
            delete(engine, asset, section, key)?;
        }
    }
    for key in del {
        delete(engine, asset, section, key)?;
    }
    for item in put {
        let params = sum::with([
            asset.into(),
            section.into(),
            item.kind.as_ref().into(),
            (&item.key).into(),
            item.label.as_ref().into(),
            item.maker.as_ref().into(),
            item.model.as_ref().into(),
            item.serial.as_ref().into(),
            item.size.into(),
            json(&item.attrs)?,
            json(&item.now)?,
        ]);
        engine.run(PUT, &params)?;
    }
    Ok(())
}

fn delete(engine: &mut dyn Engine, asset: AssetId, section: &str, key: &str) -> Result<(), Error> {
    let sql = Sql("delete from item where asset = ?1 and section = ?2 and item_key = ?3");
    engine.run(sql, &[asset.into(), section.into(), key.into()]).map(|_| ())
}

/// Reads an item from [`columns`].
pub fn read(cells: &[Cell]) -> Result<Item, Error> {
    read_from(&mut Cells::new("item", cells))
}

/// Reads an item where its columns are the next of a longer row.
pub fn read_from(c: &mut Cells<'_>) -> Result<Item, Error> {
    c.sum(11)?;
    let (_asset, _section) = (c.text()?, c.text()?);
    Ok(Item {
        kind: c.string()?.into(),
        key: c.string()?,
        label: c.opt_string()?,
        maker: c.opt_string()?,
        model: c.opt_string()?,
        serial: c.opt_string()?,
        size: c.opt_int()?,
        attrs: c.json()?,
        now: c.json()?,
    })
}

/// All rows of a section, by key.
///
/// # Errors
/// [`Error`].
pub fn of(engine: &mut dyn Engine, asset: AssetId, section: &str) -> Result<Vec<Item>, Error> {
    let sql =
        Sql(concat!("select ", columns!(), " from item i where i.asset = ?1 and i.section = ?2 order by i.item_key"));
    all(engine, sql, &[asset.into(), section.into()], read)
}

/// One row of a section.
///
/// # Errors
/// [`Error`].
pub fn by_key(engine: &mut dyn Engine, asset: AssetId, section: &str, key: &str) -> Result<Option<Item>, Error> {
    let sql =
        Sql(concat!("select ", columns!(), " from item i where i.asset = ?1 and i.section = ?2 and i.item_key = ?3"));
    one(engine, sql, &[asset.into(), section.into(), key.into()], read)
}
