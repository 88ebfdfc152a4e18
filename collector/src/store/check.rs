//! Whether what is stored is right: the pages, the journal's numbers, every row against its sum, and every section
//! against its digest.
//!
//! Reads only. Knows the invariants of the tables; a section's digest is one that the agent made, so that also a
//! row that is missing is found.

mod rows;

use super::cells::{Cells, all, one};
use super::engine::{Engine, Error, Next, Sql};
use super::schema::{self, SchemaError};
use super::sqlite::Sqlite;
use super::table::{item, section, software};
use shared::digest::{self, Digest};
use shared::id::AssetId;
use shared::unit::At;
use std::fmt;
use std::time::{Duration, Instant};

/// Findings that are told at most; one is enough to act.
const FINDINGS: usize = 100;

/// Something that is not right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where: a table, or the file.
    pub place: String,
    /// What.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// Checks a database file that may be in use. An empty list: all is right.
///
/// # Errors
/// [`super::OpenError`] if it cannot be opened; what is wrong inside is a finding.
pub fn file(path: &std::path::Path) -> Result<Vec<Finding>, super::OpenError> {
    let mut engine = super::open::reader(path)?;
    check(&mut engine).map_err(|error| super::OpenError::Other { path: path.to_owned(), error })
}

/// Checks through a connection.
///
/// # Errors
/// [`Error`] if the check itself could not go on.
pub fn check(engine: &mut Sqlite) -> Result<Vec<Finding>, Error> {
    match found(engine) {
        // SQLite may meet broken pages where its own check went past them.
        Err(Error::Broken(what)) => Ok(vec![Finding { place: "file".into(), what }]),
        found => found,
    }
}

fn found(engine: &mut Sqlite) -> Result<Vec<Finding>, Error> {
    let mut findings = stable(engine, pages)?;
    findings.extend(definitions(engine)?);
    if findings.is_empty() {
        stable(engine, |engine| journal(engine, &mut findings))?;
        rows::all_rows(engine, &mut findings)?;
        sections(engine, &mut findings)?;
        stable(engine, |engine| references(engine, &mut findings))?;
    }
    findings.truncate(FINDINGS);
    Ok(findings)
}

/// One state for a part of the check: what a collector commits meanwhile is no finding. Not for all of it: the
/// collector's log would grow until the end.
fn stable<T>(engine: &mut Sqlite, part: impl FnOnce(&mut Sqlite) -> Result<T, Error>) -> Result<T, Error> {
    engine.run(Sql("begin"), &[])?;
    let done = part(engine);
    engine.rollback()?;
    done
}

/// Checks a database that is in use, slowly: its own connection rests as long as it works. Ends early once `stop`
/// says so.
///
/// # Errors
/// As [`file`]; also where it ended early.
pub fn scrub(
    path: &std::path::Path,
    mut stop: impl FnMut() -> bool + Send + 'static,
) -> Result<Vec<Finding>, super::OpenError> {
    let mut engine = super::open::reader(path)?;
    let other = |error| super::OpenError::Other { path: path.to_owned(), error };
    let mut since = Instant::now();
    let rest = move || {
        super::backup::wait(since.elapsed().min(REST_MAX));
        since = Instant::now();
        stop()
    };
    engine.end_when(rest).map_err(other)?;
    check(&mut engine).map_err(other)
}

/// The longest rest between two pieces of work.
const REST_MAX: Duration = Duration::from_millis(50);

/// A first look at the pages, without their indexes: what is wrong, if anything is.
///
/// # Errors
/// [`Error`] if the check itself could not go on.
pub fn quick(engine: &mut dyn Engine) -> Result<Option<String>, Error> {
    let said = one(engine, Sql("pragma quick_check(1)"), &[], |cells| Cells::new("file", cells).string())?;
    Ok(said.filter(|said| said != "ok"))
}

/// How the file keeps its journal: `wal`, as [`Sqlite::writer`] sets it.
///
/// # Errors
/// [`super::OpenError`] if it cannot be opened or read.
pub fn journal_mode(path: &std::path::Path) -> Result<String, super::OpenError> {
    let mut engine = super::open::reader(path)?;
    let mode = one(&mut engine, Sql("pragma journal_mode"), &[], |cells| Cells::new("file", cells).string());
    let mode = mode.map_err(|error| super::OpenError::Other { path: path.to_owned(), error })?;
    Ok(mode.unwrap_or_default())
}

/// SQLite's own check of its pages and indexes, and of references between tables.
fn pages(engine: &mut Sqlite) -> Result<Vec<Finding>, Error> {
    let mut findings = Vec::new();
    engine.query(Sql("pragma integrity_check(100)"), &[], &mut |cells| {
        let what = Cells::new("file", cells).string()?;
        if what != "ok" {
            findings.push(Finding { place: "file".into(), what });
        }
        Ok(Next::More)
    })?;
    engine.query(Sql("pragma foreign_key_check"), &[], &mut |cells| {
        let place = Cells::new("file", cells).string()?;
        findings.push(Finding { place, what: "a row refers to one that is missing".into() });
        Ok(if findings.len() < FINDINGS { Next::More } else { Next::Enough })
    })?;
    Ok(findings)
}

/// The tables are defined as this version defines them: SQLite believes the text that it finds.
fn definitions(engine: &mut Sqlite) -> Result<Option<Finding>, Error> {
    let failed = |error: SchemaError| match error {
        SchemaError::Database(error) => error,
        other => Error::Engine(other.to_string()),
    };
    if schema::check(engine).map_err(failed)? != schema::known() {
        return Ok(None);
    }
    let mut fresh = Sqlite::memory()?;
    schema::migrate(&mut fresh, At(0)).map_err(failed)?;
    let (held, known) = (engine.definitions()?, fresh.definitions()?);
    let altered = held.iter().zip(&known).find(|(held, known)| held != known).map(|(held, _)| held.as_str());
    let altered = altered.or((held.len() != known.len()).then_some("their number"));
    Ok(altered.map(|text| Finding {
        place: "schema".into(),
        what: format!("another definition than this muster makes: {text:.60}"),
    }))
}

fn journal(engine: &mut Sqlite, findings: &mut Vec<Finding>) -> Result<(), Error> {
    let sql = Sql("select count(*), coalesce(max(seq), 0) from journal");
    let counts = one(engine, sql, &[], |cells| {
        let mut c = Cells::new("journal", cells);
        Ok((c.int()?, c.int()?))
    })?;
    if let Some((rows, last)) = counts
        && rows != last
    {
        findings
            .push(Finding { place: "journal".into(), what: format!("{rows} entries, but the last is number {last}") });
    }
    let sql =
        Sql("select count(*) from journal_subject x where not exists (select 1 from journal e where e.seq = x.seq)");
    let lost = one(engine, sql, &[], |cells| Cells::new("journal_subject", cells).int())?;
    if let Some(lost) = lost.filter(|&lost| lost > 0) {
        findings.push(Finding { place: "journal_subject".into(), what: format!("{lost} rows without their entry") });
    }
    Ok(())
}

/// Every section has as many rows as its head says, and their digest is the one that the agent said.
fn sections(engine: &mut Sqlite, findings: &mut Vec<Finding>) -> Result<(), Error> {
    let sql = Sql("select distinct asset from section order by asset");
    let assets: Vec<AssetId> = all(engine, sql, &[], |cells| Cells::new("section", cells).parse())?;
    for asset in assets {
        stable(engine, |engine| of_asset(engine, asset, findings))?;
        if findings.len() >= FINDINGS {
            break;
        }
    }
    Ok(())
}

fn of_asset(engine: &mut dyn Engine, asset: AssetId, findings: &mut Vec<Finding>) -> Result<(), Error> {
    let about = |name: &str, finding: Finding| {
        let what = format!("asset {asset}, {name}: {}", finding.what);
        Finding { what, ..finding }
    };
    let heads = match section::of(engine, asset) {
        Ok(heads) => heads,
        Err(error) => {
            findings.push(about("its sections", damaged(&error)?));
            return Ok(());
        }
    };
    for head in heads {
        let mut rows = match rows(engine, asset, &head.name) {
            Ok(rows) => rows,
            Err(error) => {
                findings.push(about(&head.name, damaged(&error)?));
                continue;
            }
        };
        let (count, found) = (u64::try_from(rows.len()).unwrap_or(u64::MAX), digest::section(&mut rows));
        let never_seen = count == 0 && head.digest == Digest::default();
        if (count, found) != (head.rows, head.digest) && !never_seen {
            let what = format!(
                "asset {asset}, {}: {count} rows with digest {found}, its head says {} with {}",
                head.name, head.rows, head.digest
            );
            findings.push(Finding { place: "section".into(), what });
        }
    }
    Ok(())
}

fn rows(engine: &mut dyn Engine, asset: AssetId, section: &str) -> Result<Vec<Digest>, Error> {
    let items = if shared::software::SECTIONS.contains(&section) {
        software::items(engine, asset, section)?
    } else {
        item::of(engine, asset, section)?
    };
    Ok(items.iter().map(digest::row).collect())
}

/// A row that cannot be read is a finding; that the database failed is not.
fn damaged(error: &Error) -> Result<Finding, Error> {
    match error {
        Error::Damaged { table, what } => Ok(Finding { place: (*table).to_owned(), what: what.clone() }),
        other => Err(other.clone()),
    }
}

/// What rows refer to exists: a fault's ticket, the tickets at the ends of links, an agent's asset and an asset's
/// agent, and when an agent was heard.
fn references(engine: &mut Sqlite, findings: &mut Vec<Finding>) -> Result<(), Error> {
    for (place, wrong, sql) in [
        (
            "seen",
            "are missing",
            Sql("select count(*) from agent a where not exists (select 1 from seen n where n.agent = a.id)"),
        ),
        (
            "agent",
            "refer to an asset that is missing",
            Sql("select count(*) from agent a where a.asset is not null \
             and not exists (select 1 from asset s where s.id = a.asset)"),
        ),
        (
            "asset",
            "refer to an agent that is missing",
            Sql("select count(*) from asset s where s.agent is not null \
             and not exists (select 1 from agent a where a.id = s.agent)"),
        ),
        (
            "fault",
            "refer to a ticket that is missing",
            Sql("select count(*) from fault f where f.ticket is not null \
             and not exists (select 1 from ticket t where t.id = f.ticket)"),
        ),
        (
            "link",
            "refer to a ticket that is missing",
            Sql("select count(*) from link l where l.from_end like 'ticket:%' \
             and not exists (select 1 from ticket t where 'ticket:' || t.id = l.from_end)"),
        ),
    ] {
        let lost = one(engine, sql, &[], |cells| Cells::new("ticket", cells).int())?;
        if let Some(lost) = lost.filter(|&lost| lost > 0) {
            findings.push(Finding { place: place.into(), what: format!("{lost} rows {wrong}") });
        }
    }
    Ok(())
}
