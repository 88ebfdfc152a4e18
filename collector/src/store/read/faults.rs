//! Faults.

use super::{Query, any_of, filter};
use crate::register::model::Fault;
use crate::store::cells::select;
use crate::store::engine::{Engine, Error};
use crate::store::page::{Page, Rows};
use crate::store::table::fault::{columns, read};
use shared::id::AssetId;

/// Which faults.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FaultFilter {
    /// Of this asset.
    pub asset: Option<AssetId>,
    /// In one of these states; all if there is none.
    pub states: Vec<String>,
}

/// Faults, in the order of their fingerprints.
///
/// # Errors
/// [`Error`].
pub fn list(engine: &mut dyn Engine, f: &FaultFilter, page: &Page) -> Result<Rows<Fault>, Error> {
    let mut query = Query::new(concat!("select ", columns!(), " from fault f where true"));
    filter(&mut query, f.asset, " and f.asset = ?");
    any_of(&mut query, &f.states, " and f.state in (");
    if let Some(key) = page.key::<1>()? {
        query.push(" and f.fingerprint > ?", key);
    }
    query.push(" order by f.fingerprint limit ?", [page.bound()]);
    Ok(Rows::cut(select(engine, &query, read)?, page, |fault| [(&fault.fingerprint).into()]))
}

/// Every fault that waits to hold, to pass, or for an incident, for the memory of the collector when it starts.
///
/// # Errors
/// [`Error`].
pub fn waiting(engine: &mut dyn Engine) -> Result<Vec<Fault>, Error> {
    crate::store::table::fault::beaten(engine)
}
