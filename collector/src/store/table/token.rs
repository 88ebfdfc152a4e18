//! Tables `join_token` and `api_token`: secrets only as hashes.

use super::put_rev;
use crate::register::model::{ApiToken, JoinToken};
use crate::store::cells::{Cells, json, one};
use crate::store::engine::{Cell, Engine, Error, Sql};
use crate::store::sum;
use shared::id::{ApiTokenId, JoinTokenId};

/// The columns that [`read_join`] reads, in its order.
macro_rules! join_columns {
    () => {
        "j.sum, j.id, j.rev, j.hash, j.created, j.creator, j.expires, j.uses, j.used, j.cidr, j.approve, j.labels, j.revoked"
    };
}
pub(crate) use join_columns;

/// The columns that [`read_api`] reads, in its order.
macro_rules! api_columns {
    () => {
        "p.sum, p.id, p.rev, p.hash, p.name, p.scopes, p.created, p.creator, p.expires, p.cidr, p.revoked"
    };
}
pub(crate) use api_columns;

const PUT_JOIN: Sql = Sql("insert into join_token (id, rev, hash, created, creator, expires, uses, used, cidr, \
     approve, labels, revoked, sum) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) \
     on conflict (id) do update set rev = excluded.rev, expires = excluded.expires, uses = excluded.uses, \
     used = excluded.used, cidr = excluded.cidr, approve = excluded.approve, labels = excluded.labels, \
     revoked = excluded.revoked, sum = excluded.sum where join_token.rev = excluded.rev - 1");

const PUT_API: Sql = Sql("insert into api_token (id, rev, hash, name, scopes, created, creator, expires, cidr, \
     revoked, sum) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) \
     on conflict (id) do update set rev = excluded.rev, name = excluded.name, scopes = excluded.scopes, \
     expires = excluded.expires, cidr = excluded.cidr, revoked = excluded.revoked, \
     sum = excluded.sum where api_token.rev = excluded.rev - 1");

/// Writes a join token.
///
/// # Errors
/// [`Error`]; [`Error::Raced`].
pub fn put_join(engine: &mut dyn Engine, token: &JoinToken) -> Result<(), Error> {
    put_rev(
        engine,
        PUT_JOIN,
        &sum::with([
            token.id.into(),
            token.rev.into(),
            (&token.hash).into(),
            token.created.into(),
            (&token.creator).into(),
            token.expires.into(),
            token.uses.into(),
            token.used.into(),
            token.cidr.as_ref().into(),
            token.approve.into(),
            json(&token.labels)?,
            token.revoked.into(),
        ]),
    )
}

/// Writes an API token.
///
/// # Errors
/// [`Error`]; [`Error::Raced`].
pub fn put_api(engine: &mut dyn Engine, token: &ApiToken) -> Result<(), Error> {
    put_rev(
        engine,
        PUT_API,
        &sum::with([
            token.id.into(),
            token.rev.into(),
            (&token.hash).into(),
            (&token.name).into(),
            json(&token.scopes)?,
            token.created.into(),
            (&token.creator).into(),
            token.expires.into(),
            token.cidr.as_ref().into(),
            token.revoked.into(),
        ]),
    )
}

/// Reads a join token from [`join_columns`].
pub fn read_join(cells: &[Cell]) -> Result<JoinToken, Error> {
    let mut c = Cells::new("join_token", cells);
    c.sum(12)?;
    Ok(JoinToken {
        id: c.parse()?,
        rev: c.u64()?,
        hash: c.array()?,
        created: c.at()?,
        creator: c.string()?,
        expires: c.at()?,
        uses: c.small()?,
        used: c.small()?,
        cidr: c.opt_string()?,
        approve: c.bool()?,
        labels: c.json()?,
        revoked: c.bool()?,
    })
}

/// Reads an API token from [`api_columns`].
pub fn read_api(cells: &[Cell]) -> Result<ApiToken, Error> {
    let mut c = Cells::new("api_token", cells);
    c.sum(10)?;
    Ok(ApiToken {
        id: c.parse()?,
        rev: c.u64()?,
        hash: c.array()?,
        name: c.string()?,
        scopes: c.json()?,
        created: c.at()?,
        creator: c.string()?,
        expires: c.at()?,
        cidr: c.opt_string()?,
        revoked: c.bool()?,
    })
}

/// A join token.
///
/// # Errors
/// [`Error`].
pub fn join(engine: &mut dyn Engine, id: JoinTokenId) -> Result<Option<JoinToken>, Error> {
    one(engine, Sql(concat!("select ", join_columns!(), " from join_token j where j.id = ?1")), &[id.into()], read_join)
}

/// An API token.
///
/// # Errors
/// [`Error`].
pub fn api(engine: &mut dyn Engine, id: ApiTokenId) -> Result<Option<ApiToken>, Error> {
    one(engine, Sql(concat!("select ", api_columns!(), " from api_token p where p.id = ?1")), &[id.into()], read_api)
}
