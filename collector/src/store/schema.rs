//! The schema's versions: each a file, run once, in one transaction, and known by its SHA-256.
//!
//! A database of a later version is refused untouched: an older program does not know what it may break.

use super::cells::{Cells, all};
use super::engine::{Engine, Error, Sql};
use super::sum;
use sha2::{Digest as _, Sha256};
use shared::unit::At;

/// Every migration, the first first. A file that was released is never changed: what comes after is a new one.
const MIGRATIONS: &[(&str, &str)] = &[("001-first", include_str!("migrations/001-first.sql"))];

/// The schema that this version writes.
pub fn known() -> u32 {
    u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX)
}

/// Why the schema does not fit.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// A later version of Muster wrote it.
    #[error("the database has schema {found}, this muster knows up to {known}")]
    Newer {
        /// What is there.
        found: u32,
        /// What this version knows.
        known: u32,
    },
    /// There are tables, but not ours.
    #[error("the file is a database of another program")]
    Foreign,
    /// A migration was run from another text than this version has.
    #[error("migration {0} was run from another text than this muster has")]
    Altered(String),
    /// The database.
    #[error(transparent)]
    Database(#[from] Error),
}

/// Tells which schema the database has (0 if none) and whether it fits. Writes nothing.
///
/// # Errors
/// [`SchemaError`].
pub fn check(engine: &mut dyn Engine) -> Result<u32, SchemaError> {
    let held = match all(engine, Sql("select number, name, sha256 from migration order by number"), &[], |cells| {
        let mut c = Cells::new("migration", cells);
        Ok((c.small::<u32>()?, c.string()?, c.string()?))
    }) {
        Ok(held) => held,
        // Reading a table that is not there is an error of the statement, with any engine.
        Err(Error::Engine(_)) => return if engine.has_tables()? { Err(SchemaError::Foreign) } else { Ok(0) },
        Err(other) => return Err(other.into()),
    };
    let found = held.last().map_or(0, |(number, ..)| *number);
    if found > known() {
        return Err(SchemaError::Newer { found, known: known() });
    }
    for ((_, name, hash), (known_name, text)) in held.iter().zip(MIGRATIONS) {
        if name != known_name || *hash != sha256(text) {
            return Err(SchemaError::Altered(name.clone()));
        }
    }
    Ok(found)
}

/// Brings the database up to the schema of this version.
///
/// # Errors
/// [`SchemaError`]: the database is as it was.
pub fn migrate(engine: &mut dyn Engine, now: At) -> Result<(), SchemaError> {
    let found = check(engine)?;
    for (number, (name, text)) in (1_u32..).zip(MIGRATIONS).skip(usize::try_from(found).unwrap_or(usize::MAX)) {
        engine.begin()?;
        let done = step(engine, number, name, text, now);
        match done {
            Ok(()) => engine.commit()?,
            Err(error) => {
                // The migration's own error says what to do; one of the rollback would hide it.
                let _ = engine.rollback();
                return Err(error.into());
            }
        }
    }
    Ok(())
}

fn step(engine: &mut dyn Engine, number: u32, name: &str, text: &'static str, now: At) -> Result<(), Error> {
    if number == 1 {
        engine.define(
            "create table migration (number BIGINT PRIMARY KEY, name TEXT not null, sha256 TEXT not null, \
             at BIGINT not null, sum BIGINT not null)",
        )?;
    }
    engine.define(text)?;
    let sql = Sql("insert into migration (number, name, sha256, at, sum) values (?1, ?2, ?3, ?4, ?5)");
    engine.run(sql, &sum::with([number.into(), name.into(), sha256(text).into(), now.into()])).map(|_| ())
}

fn sha256(text: &str) -> String {
    crate::hex::of(&Sha256::digest(text.as_bytes()))
}
