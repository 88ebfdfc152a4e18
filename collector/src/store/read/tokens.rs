//! Join tokens and API tokens.

use super::Query;
use crate::register::model::{ApiToken, JoinToken};
use crate::store::cells::{Cells, all, one, select};
use crate::store::engine::{Engine, Error, Sql};
use crate::store::page::{Page, Rows};
use crate::store::table::token;
use crate::store::table::token::{api_columns, join_columns};
use shared::id::{ApiTokenId, JoinTokenId};
use shared::unit::At;

/// Join tokens, the newest first.
///
/// # Errors
/// [`Error`].
pub fn join_list(engine: &mut dyn Engine, page: &Page) -> Result<Rows<JoinToken>, Error> {
    let mut query = Query::new(concat!("select ", join_columns!(), " from join_token j where true"));
    if let Some(key) = page.key::<1>()? {
        query.push(" and j.id < ?", key);
    }
    query.push(" order by j.id desc limit ?", [page.bound()]);
    Ok(Rows::cut(select(engine, &query, token::read_join)?, page, |token| [token.id.into()]))
}

/// How many join tokens that were made before this moment may still be used.
///
/// # Errors
/// [`Error`].
pub fn join_open(engine: &mut dyn Engine, before: At, now: At) -> Result<u64, Error> {
    let sql =
        Sql("select count(*) from join_token where not revoked and used < uses and created < ?1 and expires > ?2");
    let count = one(engine, sql, &[before.into(), now.into()], |cells| Cells::new("join_token", cells).u64())?;
    Ok(count.unwrap_or(0))
}

/// One join token.
///
/// # Errors
/// [`Error`].
pub fn join(engine: &mut dyn Engine, id: JoinTokenId) -> Result<Option<JoinToken>, Error> {
    token::join(engine, id)
}

/// API tokens, the newest first.
///
/// # Errors
/// [`Error`].
pub fn api_list(engine: &mut dyn Engine, page: &Page) -> Result<Rows<ApiToken>, Error> {
    let mut query = Query::new(concat!("select ", api_columns!(), " from api_token p where true"));
    if let Some(key) = page.key::<1>()? {
        query.push(" and p.id < ?", key);
    }
    query.push(" order by p.id desc limit ?", [page.bound()]);
    Ok(Rows::cut(select(engine, &query, token::read_api)?, page, |token| [token.id.into()]))
}

/// One API token.
///
/// # Errors
/// [`Error`].
pub fn api(engine: &mut dyn Engine, id: ApiTokenId) -> Result<Option<ApiToken>, Error> {
    token::api(engine, id)
}

/// Every API token, for the memory of the collector when it starts.
///
/// # Errors
/// [`Error`].
pub fn api_all(engine: &mut dyn Engine) -> Result<Vec<ApiToken>, Error> {
    all(engine, Sql(concat!("select ", api_columns!(), " from api_token p order by p.id")), &[], token::read_api)
}
