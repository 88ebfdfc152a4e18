//! Table `fault`.

use crate::register::model::{Fault, FaultState, Severity};
use crate::store::cells::{Cells, all};
use crate::store::engine::{Cell, Engine, Error, Sql};
use shared::id::AssetId;

/// The columns that [`read`] reads, in its order.
macro_rules! columns {
    () => {
        "f.fingerprint, f.asset, f.check_name, f.resource, f.state, f.severity, f.value, f.detail, f.first_at, \
         f.last_at, f.reports, f.good_since, f.ticket"
    };
}
pub(crate) use columns;

const PUT: Sql = Sql("insert into fault (fingerprint, asset, check_name, resource, state, severity, value, detail, \
     first_at, last_at, reports, good_since, ticket) \
     values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) \
     on conflict (fingerprint) do update set asset = excluded.asset, check_name = excluded.check_name, \
     resource = excluded.resource, state = excluded.state, severity = excluded.severity, value = excluded.value, \
     detail = excluded.detail, first_at = excluded.first_at, last_at = excluded.last_at, \
     reports = excluded.reports, good_since = excluded.good_since, ticket = excluded.ticket");

/// Writes a fault.
///
/// # Errors
/// [`Error`].
pub fn put(engine: &mut dyn Engine, fault: &Fault) -> Result<(), Error> {
    let params = [
        (&fault.fingerprint).into(),
        fault.asset.into(),
        (&fault.check).into(),
        (&fault.resource).into(),
        fault.state.name().into(),
        fault.severity.name().into(),
        fault.value.into(),
        (&fault.detail).into(),
        fault.first.into(),
        fault.last.into(),
        fault.reports.into(),
        fault.good_since.into(),
        fault.ticket.into(),
    ];
    engine.run(PUT, &params).map(|_| ())
}

/// Reads a fault from [`columns`].
pub fn read(cells: &[Cell]) -> Result<Fault, Error> {
    let mut c = Cells::new("fault", cells);
    Ok(Fault {
        fingerprint: c.string()?,
        asset: c.parse()?,
        check: c.string()?,
        resource: c.string()?,
        state: c.name(FaultState::of)?,
        severity: c.name(Severity::of)?,
        value: c.int()?,
        detail: c.string()?,
        first: c.at()?,
        last: c.at()?,
        reports: c.small()?,
        good_since: c.opt_at()?,
        ticket: c.opt_parse()?,
    })
}

/// The faults of an asset that are not cleared.
///
/// # Errors
/// [`Error`].
pub fn open_of(engine: &mut dyn Engine, asset: AssetId) -> Result<Vec<Fault>, Error> {
    let sql = Sql(concat!(
        "select ",
        columns!(),
        " from fault f where f.asset = ?1 and f.state in ('pending', 'raised', 'passing') order by f.fingerprint"
    ));
    all(engine, sql, &[asset.into()], read)
}

/// Faults of any asset that wait for time to pass, the longest waiting first.
///
/// # Errors
/// [`Error`].
pub fn waiting(engine: &mut dyn Engine, limit: usize) -> Result<Vec<Fault>, Error> {
    let sql = Sql(concat!(
        "select ",
        columns!(),
        " from fault f where f.state in ('pending', 'passing') order by f.last_at, f.fingerprint limit ?1"
    ));
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    all(engine, sql, &[limit.into()], read)
}
