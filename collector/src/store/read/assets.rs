//! Assets: the list with its filters, one asset, what it holds.

use super::software::{SoftwareFilter, versions};
use super::{Query, Text, any_of, filter, text_filter};
use crate::register::model::{Asset, Section};
use crate::store::cells::{Cells, one};
use crate::store::codec;
use crate::store::engine::{Cell, Engine, Error, Next, Sql};
use crate::store::page::{Page, Rows};
use crate::store::table::agent::{read_seen, seen_columns};
use crate::store::table::asset::{columns, read_from};
use crate::store::table::software::{install_columns, packed};
use crate::store::table::{asset as table, item, lost, section};
use shared::checkin::Goodbye;
use shared::fact::Item;
use shared::id::AssetId;
use shared::software::SECTIONS;
use shared::unit::At;
use std::collections::BTreeMap;

/// An asset and how its agent was last heard, as far as that was flushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssetRow {
    /// The asset.
    pub asset: Asset,
    /// When its agent was last heard.
    pub heard: Option<At>,
    /// The agent's last goodbye, until it was heard again.
    pub goodbye: Option<Goodbye>,
}

/// Which assets. All that are said must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AssetFilter {
    /// In one of these classes; all if there is none.
    pub classes: Vec<String>,
    /// In one of these lifecycle states; all if there is none.
    pub lifecycles: Vec<String>,
    /// Host name.
    pub name: Option<Text>,
    /// Maker.
    pub maker: Option<Text>,
    /// Model.
    pub model: Option<Text>,
    /// Serial of the system.
    pub serial: Option<Text>,
    /// Serial of the system or of a part, all of it and in this case.
    pub part_serial: Option<String>,
    /// Operating system.
    pub os: Option<Text>,
    /// Version of the operating system.
    pub os_version: Option<Text>,
    /// An address of an interface, without prefix.
    pub address: Option<String>,
    /// Inventory tag.
    pub tag: Option<Text>,
    /// Owner.
    pub owner: Option<Text>,
    /// Location.
    pub location: Option<Text>,
    /// Somewhere in name, tag or serial.
    pub q: Option<String>,
    /// Has this software.
    pub software: Option<SoftwareFilter>,
    /// Heard at this time or later.
    pub heard_since: Option<At>,
    /// Heard before this time.
    pub heard_before: Option<At>,
    /// Was ever heard, or never.
    pub heard: Option<bool>,
    /// Said goodbye last, or did not.
    pub goodbye: Option<bool>,
}

impl AssetFilter {
    /// Whether it asks when agents were last heard, which memory knows before the database.
    pub fn asks_when_heard(&self) -> bool {
        self.heard_since.is_some() || self.heard_before.is_some() || self.heard.is_some()
    }
}

/// In which order; always by id last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sort {
    /// As they came into the register.
    #[default]
    Id,
    /// By host name; those without one first.
    Name,
}

/// Assets that match.
///
/// # Errors
/// [`Error`].
pub fn list(engine: &mut dyn Engine, filter: &AssetFilter, sort: Sort, page: &Page) -> Result<Rows<AssetRow>, Error> {
    let Some(software) = &filter.software else {
        let mut query = Query::new(concat!("select ", columns!(), ", ", seen_columns!(), ", a.sum, a.goodbye "));
        conditions(&mut query, filter);
        order(&mut query, sort, page)?;
        query.push(" limit ?", [page.bound()]);
        let rows = crate::store::cells::select(engine, &query, read)?;
        return Ok(Rows::cut(rows, page, |row| key(row, sort)));
    };
    let wanted = versions(engine, software)?;
    let mut ids = Vec::new();
    if !wanted.is_empty() {
        // Packed lists are looked into here, in the order of the page, until it is full.
        let mut query = Query::new(concat!("select s.id, ", install_columns!(), " "));
        conditions(&mut query, filter);
        order(&mut query, sort, page)?;
        engine.select(&query, &mut |cells| {
            let mut c = Cells::new("install", cells);
            let id = c.text()?;
            let held = packed(&mut c)?;
            if ids.last().is_none_or(|last| last != id) && codec::holds_any(held, &wanted) {
                ids.push(id.to_owned());
            }
            Ok(if ids.len() > page.rows() { Next::Enough } else { Next::More })
        })?;
    }
    let mut rows = Vec::with_capacity(ids.len());
    for id in ids {
        rows.extend(one(engine, BY_ID, &[id.into()], read)?);
    }
    Ok(Rows::cut(rows, page, |row| key(row, sort)))
}

/// How many assets match.
///
/// # Errors
/// [`Error`].
pub fn count(engine: &mut dyn Engine, filter: &AssetFilter) -> Result<u64, Error> {
    let wanted = match &filter.software {
        Some(software) => versions(engine, software)?,
        None => Vec::new(),
    };
    let mut query = Query::new(match filter.software {
        Some(_) => concat!("select s.id, ", install_columns!(), " "),
        None => "select s.id ",
    });
    conditions(&mut query, filter);
    query.push(" order by s.id", []);
    let (mut count, mut before) = (0, String::new());
    engine.select(&query, &mut |cells| {
        let mut c = Cells::new("install", cells);
        let id = c.text()?;
        let held = filter.software.is_some().then(|| packed(&mut c)).transpose()?;
        if before != id && held.is_none_or(|held| codec::holds_any(held, &wanted)) {
            count += 1;
            id.clone_into(&mut before);
        }
        Ok(Next::More)
    })?;
    Ok(count)
}

fn conditions(query: &mut Query, f: &AssetFilter) {
    query.push("from asset s left join agent a on a.id = s.agent left join seen n on n.agent = s.agent", []);
    if f.software.is_some() {
        query.push(" join install k on k.asset = s.id", []);
    }
    query.push(" where s.rev > 0", []);
    any_of(query, &f.classes, " and s.class in (");
    any_of(query, &f.lifecycles, " and s.lifecycle in (");
    text_filter(query, f.name.as_ref(), " and lower(s.name) like ? escape '\\'");
    text_filter(query, f.maker.as_ref(), " and lower(s.maker) like ? escape '\\'");
    text_filter(query, f.model.as_ref(), " and lower(s.model) like ? escape '\\'");
    text_filter(query, f.serial.as_ref(), " and lower(s.serial) like ? escape '\\'");
    text_filter(query, f.os.as_ref(), " and lower(s.os_name) like ? escape '\\'");
    text_filter(query, f.os_version.as_ref(), " and lower(s.os_version) like ? escape '\\'");
    text_filter(query, f.tag.as_ref(), " and lower(s.tag) like ? escape '\\'");
    text_filter(query, f.owner.as_ref(), " and lower(s.owner) like ? escape '\\'");
    text_filter(query, f.location.as_ref(), " and lower(s.location) like ? escape '\\'");
    filter(query, f.address.as_ref(), " and s.id in (select d.asset from address d where d.address = ?)");
    if let Some(serial) = &f.part_serial {
        query.push(
            " and s.id in (select x.id from asset x where x.serial = ? union select i.asset from item i where i.serial = ?)",
            [serial.into(), serial.into()],
        );
    }
    if let Some(q) = &f.q {
        let pattern = Cell::from(Text::Has(q.clone()).pattern());
        query.push(
            " and (lower(s.name) like ? escape '\\' or lower(s.tag) like ? escape '\\' or lower(s.serial) like ? escape '\\')",
            [pattern.clone(), pattern.clone(), pattern],
        );
    }
    filter(query, f.heard_since, " and n.at >= ?");
    filter(query, f.heard_before, " and n.at < ?");
    match f.heard {
        Some(true) => query.push(" and n.at is not null", []),
        Some(false) => query.push(" and n.at is null", []),
        None => {}
    }
    match f.goodbye {
        Some(true) => query.push(" and a.goodbye is not null", []),
        Some(false) => query.push(" and a.goodbye is null", []),
        None => {}
    }
}

fn order(query: &mut Query, sort: Sort, page: &Page) -> Result<(), Error> {
    match sort {
        Sort::Id => {
            if let Some(key) = page.key::<1>()? {
                query.push(" and s.id > ?", key);
            }
            query.push(" order by s.id", []);
        }
        Sort::Name => {
            if let Some(key) = page.key::<2>()? {
                query.push(" and (coalesce(s.name, ''), s.id) > (?, ?)", key);
            }
            query.push(" order by coalesce(s.name, ''), s.id", []);
        }
    }
    Ok(())
}

/// What the page goes on after. The two orders have keys of different length, so that a cursor of one is
/// refused by the other.
fn key(row: &AssetRow, sort: Sort) -> Vec<Cell> {
    let id = Cell::from(row.asset.id);
    match sort {
        Sort::Id => vec![id],
        Sort::Name => vec![row.asset.observed.name.as_deref().unwrap_or_default().into(), id],
    }
}

const BY_ID: Sql = Sql(concat!(
    "select ",
    columns!(),
    ", ",
    seen_columns!(),
    ", a.sum, a.goodbye from asset s left join agent a on a.id = s.agent left join seen n on n.agent = s.agent \
     where s.id = ?1"
));

fn read(cells: &[Cell]) -> Result<AssetRow, Error> {
    let mut c = Cells::new("asset", cells);
    let asset = read_from(&mut c)?;
    let heard = read_seen(&mut c, asset.agent)?;
    if let (None, Some(agent)) = (c.opt_int()?, asset.agent) {
        return Err(lost("agent", agent));
    }
    Ok(AssetRow { asset, heard, goodbye: crate::store::table::agent::read_goodbye(&mut c)? })
}

/// One asset.
///
/// # Errors
/// [`Error`].
pub fn by_id(engine: &mut dyn Engine, id: AssetId) -> Result<Option<AssetRow>, Error> {
    let found = one(engine, BY_ID, &[id.into()], read)?;
    if found.is_none() {
        table::unknown(engine, id)?;
    }
    Ok(found)
}

/// The addresses of an asset, without prefix.
///
/// # Errors
/// [`Error`].
pub fn addresses(engine: &mut dyn Engine, id: AssetId) -> Result<Vec<String>, Error> {
    table::addresses(engine, id)
}

/// The heads of all sections of an asset, by name.
///
/// # Errors
/// [`Error`].
pub fn sections(engine: &mut dyn Engine, id: AssetId) -> Result<Vec<Section>, Error> {
    let heads = section::of(engine, id)?;
    let sql = Sql("select section from item where asset = ?1 union select section from install where asset = ?1");
    for held in crate::store::cells::all(engine, sql, &[id.into()], |cells| Cells::new("item", cells).string())? {
        if !heads.iter().any(|head| head.name == held) {
            return Err(lost("section", format!("{held} of {id}")));
        }
    }
    Ok(heads)
}

/// That sections of items have as many rows as their heads say: one whose key is damaged is not found, and would be
/// missing without a word.
fn complete(engine: &mut dyn Engine, id: AssetId, section: Option<&str>) -> Result<(), Error> {
    let sql = Sql("select section, count(*) from item where asset = ?1 group by section");
    let counted = crate::store::cells::all(engine, sql, &[id.into()], |cells| {
        let mut c = Cells::new("item", cells);
        Ok((c.string()?, c.u64()?))
    })?;
    let mut counted: BTreeMap<String, u64> = counted.into_iter().collect();
    for head in section::of(engine, id)? {
        let asked = section.is_none_or(|section| section == head.name);
        if asked && !SECTIONS.contains(&head.name.as_str()) {
            section::holds(id, &head, counted.get(&head.name).copied().unwrap_or(0))?;
        }
        counted.remove(&head.name);
    }
    match counted.into_keys().find(|name| section.is_none_or(|section| section == name)) {
        Some(name) => Err(lost("section", format!("{name} of {id}"))),
        None => Ok(()),
    }
}

/// Items of an asset with their sections, in the order of section and key; of one section only if it is named.
/// Software is not among them.
///
/// # Errors
/// [`Error`].
pub fn items(
    engine: &mut dyn Engine,
    id: AssetId,
    section: Option<&str>,
    page: &Page,
) -> Result<Rows<(String, Item)>, Error> {
    complete(engine, id, section)?;
    let mut query = Query::new(concat!("select ", item::columns!(), ", i.section from item i where true"));
    query.push(" and i.asset = ?", [id.into()]);
    filter(&mut query, section, " and i.section = ?");
    if let Some(key) = page.key::<2>()? {
        query.push(" and (i.section, i.item_key) > (?, ?)", key);
    }
    query.push(" order by i.section, i.item_key limit ?", [page.bound()]);
    let rows = crate::store::cells::select(engine, &query, |cells| {
        let mut c = Cells::new("item", cells);
        let item = item::read_from(&mut c)?;
        Ok((c.string()?, item))
    })?;
    Ok(Rows::cut(rows, page, |(section, item)| [section.into(), (&item.key).into()]))
}
