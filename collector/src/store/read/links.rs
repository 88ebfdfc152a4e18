//! Links.

use super::{Query, filter};
use crate::desk::model::{End, Link, Rel};
use crate::store::cells::{one, select};
use crate::store::engine::{Engine, Error, Sql};
use crate::store::page::{Page, Rows};
use crate::store::table::desk::{link_columns, read_link};
use shared::id::LinkId;

/// Links, the newest first: those that have `end` on either side, of one kind, or all.
///
/// # Errors
/// [`Error`].
pub fn list(engine: &mut dyn Engine, end: Option<&End>, rel: Option<Rel>, page: &Page) -> Result<Rows<Link>, Error> {
    let mut query = Query::new(concat!("select ", link_columns!(), " from link l where true"));
    if let Some(end) = end {
        let text = end.to_string();
        query.push(" and (l.from_end = ? or l.to_end = ?)", [(&text).into(), (&text).into()]);
    }
    filter(&mut query, rel.map(Rel::name), " and l.rel = ?");
    if let Some(key) = page.key::<1>()? {
        query.push(" and l.id < ?", key);
    }
    query.push(" order by l.id desc limit ?", [page.bound()]);
    Ok(Rows::cut(select(engine, &query, read_link)?, page, |link| [link.id.into()]))
}

/// One link.
///
/// # Errors
/// [`Error`].
pub fn by_id(engine: &mut dyn Engine, id: LinkId) -> Result<Option<Link>, Error> {
    one(engine, Sql(concat!("select ", link_columns!(), " from link l where l.id = ?1")), &[id.into()], read_link)
}
