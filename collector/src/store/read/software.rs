//! Software: what an asset has, which titles there are, and which versions match.

use super::{Query, Text, filter, text_filter};
use crate::store::cells::{Cells, all, select};
use crate::store::engine::{Cell, Engine, Error, Next, Sql};
use crate::store::page::{Page, Rows};
use crate::store::table::software::{self as table, columns, install_columns};
use crate::store::table::{lost, section};
use crate::store::{codec, sortkey};
use shared::fact::Item;
use shared::id::AssetId;
use std::cmp::Ordering;
use std::collections::HashMap;

/// Versions of one title that are told.
const VERSIONS: i64 = 1_000;

/// How a version compares with the one that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// `=`
    Eq,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
}

impl Op {
    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Op::Eq => ordering.is_eq(),
            Op::Lt => ordering.is_lt(),
            Op::Le => ordering.is_le(),
            Op::Gt => ordering.is_gt(),
            Op::Ge => ordering.is_ge(),
        }
    }
}

/// Which software.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SoftwareFilter {
    /// Its name, all of it and in this case; with `*`, which stands for anything, in either case.
    pub name: String,
    /// Who installed it.
    pub manager: Option<String>,
    /// Any version, or those that compare so, in the order of the package manager.
    pub version: Option<(Op, String)>,
}

/// The numbers of the versions that match, in their order.
pub(super) fn versions(engine: &mut dyn Engine, wanted: &SoftwareFilter) -> Result<Vec<i64>, Error> {
    let mut query = Query::new("select v.id, t.manager, v.sort_key from title t join version v on v.title = t.id");
    if wanted.name.contains('*') {
        let pattern = Text::Glob(wanted.name.clone());
        text_filter(&mut query, Some(&pattern), " where lower(t.name) like ? escape '\\'");
    } else {
        query.push(" where t.name = ?", [(&wanted.name).into()]);
    }
    filter(&mut query, wanted.manager.as_ref(), " and t.manager = ?");
    let mut keys: HashMap<String, Vec<u8>> = HashMap::new();
    let mut ids = Vec::new();
    engine.select(&query, &mut |cells| {
        let mut c = Cells::new("version", cells);
        let (id, manager, key) = (c.int()?, c.text()?, c.bytes()?);
        let matches = wanted.version.as_ref().is_none_or(|(op, version)| {
            let asked = keys.entry(manager.to_owned()).or_insert_with(|| sortkey::of(manager, version));
            op.holds(key.cmp(asked.as_slice()))
        });
        if matches {
            ids.push(id);
        }
        Ok(Next::More)
    })?;
    ids.sort_unstable();
    Ok(ids)
}

/// One title: a name under a manager and an architecture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Title {
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Who installs it.
    pub manager: String,
    /// Its architecture; empty if it has none.
    pub arch: String,
    /// Its versions, the oldest first.
    pub versions: Vec<Version>,
}

/// One version of a title.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Its text.
    pub version: String,
    /// Who publishes it.
    pub publisher: Option<String>,
    /// Assets that have it.
    pub assets: u64,
}

/// Titles by name, with their versions and how many assets have each.
///
/// # Errors
/// [`Error`].
pub fn titles(
    engine: &mut dyn Engine,
    name: Option<&Text>,
    manager: Option<&str>,
    page: &Page,
) -> Result<Rows<Title>, Error> {
    let mut query = Query::new("select t.sum, t.id, t.name, t.manager, t.arch from title t where true");
    match name {
        Some(Text::Is(name)) => query.push(" and t.name = ?", [name.into()]),
        name => text_filter(&mut query, name, " and lower(t.name) like ? escape '\\'"),
    }
    filter(&mut query, manager, " and t.manager = ?");
    if let Some(key) = page.key::<3>()? {
        query.push(" and (t.name, t.manager, t.arch) > (?, ?, ?)", key);
    }
    query.push(" order by t.name, t.manager, t.arch limit ?", [page.bound()]);
    let titles = select(engine, &query, |cells| {
        let mut c = Cells::new("title", cells);
        c.sum(4)?;
        Ok(Title { id: c.int()?, name: c.string()?, manager: c.string()?, arch: c.string()?, versions: Vec::new() })
    })?;
    let mut page = Rows::cut(titles, page, |t| [(&t.name).into(), (&t.manager).into(), (&t.arch).into()]);
    fill(engine, &mut page.rows)?;
    Ok(page)
}

/// Brings the versions of titles and counts them, in one pass over what is installed.
fn fill(engine: &mut dyn Engine, titles: &mut [Title]) -> Result<(), Error> {
    let mut numbers: Vec<(i64, (usize, usize))> = Vec::new();
    for (index, title) in titles.iter_mut().enumerate() {
        let sql = Sql(concat!(
            "select ",
            columns!(),
            " from version v where v.title = ?1 order by v.sort_key, v.id limit ?2"
        ));
        let rows = all(engine, sql, &[title.id.into(), VERSIONS.into()], |cells| {
            let mut c = Cells::new("version", cells);
            c.sum(7)?;
            let (id, _title, version) = (c.int()?, c.int()?, c.string()?);
            c.bytes()?;
            c.text()?;
            Ok((id, version, c.opt_string()?))
        })?;
        for (id, version, publisher) in rows {
            // Rows that differ in more than their version are one version to people.
            if title.versions.last().is_none_or(|last| last.version != version) {
                title.versions.push(Version { version, publisher, assets: 0 });
            }
            numbers.push((id, (index, title.versions.len() - 1)));
        }
    }
    if numbers.is_empty() {
        return Ok(());
    }
    // Both are in the order of numbers: one pass over each list, no look-up.
    numbers.sort_unstable();
    engine.query(Sql(concat!("select ", install_columns!(), " from install k")), &[], &mut |cells| {
        let mut c = Cells::new("install", cells);
        let mut wanted = numbers.as_slice();
        codec::walk(table::packed(&mut c)?, |id| {
            while let [(number, (title, version)), rest @ ..] = wanted
                && *number <= id
            {
                titles[*title].versions[*version].assets += u64::from(*number == id);
                wanted = rest;
            }
            !wanted.is_empty()
        });
        Ok(Next::More)
    })
}

/// Software of one asset with its section, by key.
///
/// # Errors
/// [`Error`].
pub fn of_asset(
    engine: &mut dyn Engine,
    asset: AssetId,
    name: Option<&str>,
    page: &Page,
) -> Result<Rows<(String, Item)>, Error> {
    let after = page.key::<2>()?;
    let mut rows: Vec<(String, Item)> = Vec::new();
    let heads = section::of(engine, asset)?;
    for section in shared::software::SECTIONS {
        let items = table::items(engine, asset, section)?;
        if let Some(head) = heads.iter().find(|head| head.name == *section) {
            section::holds(asset, head, u64::try_from(items.len()).unwrap_or(u64::MAX))?;
        } else if !items.is_empty() {
            return Err(lost("section", format!("{section} of {asset}")));
        }
        for item in items {
            if name.is_none_or(|name| item.label.as_deref() == Some(name)) {
                rows.push(((*section).to_owned(), item));
            }
        }
    }
    rows.sort_by(|(a, i), (b, j)| (a, &i.key).cmp(&(b, &j.key)));
    if let Some(after) = after {
        let [Cell::Text(section), Cell::Text(key)] = after else { return Err(Error::Cursor) };
        rows.retain(|(held, item)| (held, &item.key) > (&section, &key));
    }
    rows.truncate(page.rows() + 1);
    Ok(Rows::cut(rows, page, |(section, item)| [section.into(), (&item.key).into()]))
}
