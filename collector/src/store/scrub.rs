//! Reading everything through once a day, and what follows from a finding: until another database is there nothing is
//! taken from machines, so that no more is built on what is damaged. People go on.
//!
//! What was found lies in `scrub.json` beside the database, for the next start and for `muster doctor`.

use super::check;
use super::engine::Error;
use super::open::OpenError;
use crate::durable;
use serde::{Deserialize, Serialize};
use shared::unit::At;
use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

/// The file's name.
const FILE: &str = "scrub.json";
/// A hundred findings have room in it.
const BYTES_MAX: u64 = 1024 * 1024;

/// How a scrub came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scrubbed {
    /// When it began.
    pub at: At,
    /// What is wrong, in words.
    pub findings: Vec<String>,
}

fn file(database: &Path) -> PathBuf {
    database.with_file_name(FILE)
}

/// How the last scrub of this database came out; nothing where there was none or it cannot be read.
pub fn last(database: &Path) -> Option<Scrubbed> {
    let mut text = Vec::new();
    File::open(file(database)).ok()?.take(BYTES_MAX).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

/// Reads a database through, whether anyone has it open or not. Writes nothing.
///
/// # Errors
/// [`OpenError`] where it could not be read to its end; that it is damaged is no error but a finding.
pub fn look(database: &Path, now: At) -> Result<Scrubbed, OpenError> {
    tell(check::file(database), now)
}

fn tell(found: Result<Vec<check::Finding>, OpenError>, now: At) -> Result<Scrubbed, OpenError> {
    let findings = match found {
        Ok(findings) => findings.iter().map(ToString::to_string).collect(),
        Err(
            OpenError::Damaged { what, .. }
            | OpenError::Other { error: Error::Broken(what) | Error::Damaged { what, .. }, .. },
        ) => vec![what],
        Err(error) => return Err(error),
    };
    Ok(Scrubbed { at: now, findings })
}

/// The same beside a collector that works, at half pace, until `stop` says so; keeps how it came out.
///
/// # Errors
/// [`OpenError`]; also where it was stopped.
pub fn scrub(database: &Path, now: At, stop: impl FnMut() -> bool + Send + 'static) -> Result<Scrubbed, OpenError> {
    let scrubbed = tell(check::scrub(database, stop), now)?;
    keep(database, &scrubbed)?;
    Ok(scrubbed)
}

fn keep(database: &Path, scrubbed: &Scrubbed) -> Result<(), OpenError> {
    let (path, temporary) = (file(database), database.with_file_name("scrub.json.new"));
    // Serialising our own type into memory cannot fail.
    let text = serde_json::to_string(scrubbed).unwrap_or_default();
    // Durably: what was found keeps machines away also after a power cut.
    let written = durable::replace(&path, &temporary, &(text + "\n"));
    written.map_err(|error| OpenError::Io { path, what: error.to_string() })
}

/// What an earlier scrub found counts until another one finds nothing; then it was another database.
///
/// # Errors
/// [`OpenError`].
pub fn held(database: &Path, now: At) -> Result<Option<String>, OpenError> {
    match last(database) {
        Some(before) if !before.findings.is_empty() => {
            let scrubbed = look(database, now)?;
            keep(database, &scrubbed)?;
            Ok(scrubbed.findings.into_iter().next())
        }
        _ => Ok(None),
    }
}

/// The database was replaced: what was found in the other one counts no more.
///
/// # Errors
/// Those of removing the file.
pub fn forget(database: &Path) -> std::io::Result<()> {
    match fs::remove_file(file(database)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
