//! Table `fault`.

use crate::register::model::{Fault, FaultState, Severity};
use crate::store::cells::{Cells, all};
use crate::store::engine::{Cell, Engine, Error, Sql};
use crate::store::sum;
use shared::id::AssetId;

/// The columns that [`read`] reads, in its order.
macro_rules! columns {
    () => {
        "f.sum, f.fingerprint, f.asset, f.check_name, f.resource, f.state, f.severity, f.value, f.detail, f.first_at, \
         f.last_at, f.reports, f.good_since, f.ticket"
    };
}
pub(crate) use columns;

const PUT: Sql = Sql("insert into fault (fingerprint, asset, check_name, resource, state, severity, value, detail, \
     first_at, last_at, reports, good_since, ticket, sum) \
     values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14) \
     on conflict (fingerprint) do update set asset = excluded.asset, check_name = excluded.check_name, \
     resource = excluded.resource, state = excluded.state, severity = excluded.severity, value = excluded.value, \
     detail = excluded.detail, first_at = excluded.first_at, last_at = excluded.last_at, \
     reports = excluded.reports, good_since = excluded.good_since, ticket = excluded.ticket, \
     sum = excluded.sum");

/// Writes a fault.
///
/// # Errors
/// [`Error`].
pub fn put(engine: &mut dyn Engine, fault: &Fault) -> Result<(), Error> {
    let params = sum::with([
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
    ]);
    engine.run(PUT, &params).map(|_| ())
}

/// Takes a fault away.
///
/// # Errors
/// [`Error`].
pub fn drop(engine: &mut dyn Engine, fingerprint: &str) -> Result<(), Error> {
    engine.run(Sql("delete from fault where fingerprint = ?1"), &[fingerprint.into()]).map(|_| ())
}

/// Reads a fault from [`columns`].
pub fn read(cells: &[Cell]) -> Result<Fault, Error> {
    let mut c = Cells::new("fault", cells);
    c.sum(13)?;
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

/// The faults of an asset.
///
/// # Errors
/// [`Error`].
pub fn open_of(engine: &mut dyn Engine, asset: AssetId) -> Result<Vec<Fault>, Error> {
    let sql = Sql(concat!("select ", columns!(), " from fault f where f.asset = ?1 order by f.fingerprint"));
    all(engine, sql, &[asset.into()], read)
}

/// Faults of any asset that wait for time to pass, the longest waiting first, at most so many of each check that
/// wait to hold and as many that wait to pass: each list is read in the order of its index. Left out are those of assets whose agent said goodbye, and of sections that cannot be read.
///
/// # Errors
/// [`Error`].
pub fn waiting(engine: &mut dyn Engine, of_check: i64) -> Result<Vec<Fault>, Error> {
    let sql = Sql(concat!(
        "select ",
        columns!(),
        " from fault f where f.check_name = ?1 and f.state = ?4 \
         and not exists (select 1 from asset a join agent g on g.id = a.agent \
         where a.id = f.asset and g.goodbye is not null) \
         and not exists (select 1 from section s where s.asset = f.asset and s.name = ?2 and s.state = 'failed') \
         order by f.last_at, f.fingerprint limit ?3"
    ));
    let mut faults = Vec::new();
    for check in shared::health::CHECKS {
        for state in [FaultState::Pending, FaultState::Passing] {
            let params = [check.name.into(), check.section.into(), of_check.into(), state.name().into()];
            faults.append(&mut all(engine, sql, &params, read)?);
        }
    }
    Ok(faults)
}

/// All faults that wait to hold, to pass, or for an incident.
///
/// # Errors
/// [`Error`].
pub fn beaten(engine: &mut dyn Engine) -> Result<Vec<Fault>, Error> {
    let sql = Sql(concat!(
        "select ",
        columns!(),
        " from fault f where f.state in ('pending', 'passing') or (f.state = 'raised' and f.ticket is null)"
    ));
    all(engine, sql, &[], read)
}
