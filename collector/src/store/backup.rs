//! Copies of the database: made while it is in use, verified before they count, put back only where nobody
//! writes.
//!
//! A backup is one file, a whole database in itself.

use super::check::{self, Finding};
use super::open::{self, Lock, OpenError};
use super::sqlite::{self, Sqlite};
use rusqlite::backup::{Backup, StepResult};
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Pages that are copied before writers get their turn: 4 MiB.
const STEP_PAGES: i32 = 1_024;
/// How long the copy waits for a writer, in milliseconds.
const WAIT_MS: u64 = 10;

/// Why there is no copy. Nothing that was there before was changed.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A database that is read or written.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Something is there already.
    #[error("{0}: exists already; choose another name, a backup never replaces one")]
    Exists(PathBuf),
    /// A file that cannot be read or written.
    #[error("{path}: {error}; check the directory, its permissions and its free space")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The copy does not hold what it should.
    #[error("{path}: {finding}; this copy is not good, use another one")]
    NotGood {
        /// The copy.
        path: PathBuf,
        /// The first thing that is wrong.
        finding: Finding,
    },
    /// The database.
    #[error("{path}: {error}")]
    Database {
        /// Which.
        path: PathBuf,
        /// The engine's words.
        error: super::engine::Error,
    },
}

/// What a verified backup holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Bytes.
    pub bytes: u64,
    /// The last number of its journal.
    pub head: u64,
}

/// Copies a database, in use or not, to a file that does not exist yet: to a temporary one beside it, made
/// durable, verified, then renamed.
///
/// # Errors
/// [`BackupError`].
pub fn create(database: &Path, target: &Path) -> Result<Verified, BackupError> {
    if target.exists() {
        return Err(BackupError::Exists(target.to_owned()));
    }
    let temporary = beside(target, "part");
    let made = copy(database, &temporary).and_then(|()| verify(&temporary));
    match made {
        Ok(verified) => {
            rename(&temporary, target)?;
            Ok(verified)
        }
        Err(error) => {
            remove(&temporary);
            Err(error)
        }
    }
}

/// Reads a backup through: its pages, its journal, the digests of its sections.
///
/// # Errors
/// [`BackupError::NotGood`] with the first thing that is wrong.
pub fn verify(copy: &Path) -> Result<Verified, BackupError> {
    let mut engine = open::reader(copy)?;
    let failed = |error| BackupError::Database { path: copy.to_owned(), error };
    let findings = check::check(&mut engine).map_err(failed)?;
    if let Some(finding) = findings.into_iter().next() {
        return Err(BackupError::NotGood { path: copy.to_owned(), finding });
    }
    let head = super::journal::head(&mut engine).map_err(failed)?;
    let bytes = fs::metadata(copy).map_err(|error| BackupError::File { path: copy.to_owned(), error })?.len();
    Ok(Verified { bytes, head })
}

/// Puts a verified backup in the place of a database that nobody has open. What was there is moved to `aside`, in
/// the same directory, where nothing may be yet.
///
/// # Errors
/// [`BackupError`]; [`OpenError::Locked`] while a collector runs.
pub fn restore(copy_from: &Path, database: &Path, aside: &Path) -> Result<Verified, BackupError> {
    let _lock = Lock::take(database)?;
    if aside.exists() {
        return Err(BackupError::Exists(aside.to_owned()));
    }
    let verified = verify(copy_from)?;
    let temporary = beside(database, "restore");
    remove(&temporary);
    if let Err(error) = copy(copy_from, &temporary) {
        remove(&temporary);
        return Err(error);
    }
    if database.exists() {
        // The log belongs to the database that goes: it is moved into it first, and would damage the new one.
        if let Ok(engine) = Sqlite::writer(database) {
            drop(engine);
        }
        for ending in ["-wal", "-shm"] {
            let from = with_suffix(database, ending);
            if from.exists() {
                rename(&from, &with_suffix(aside, ending))?;
            }
        }
        rename(database, aside)?;
    }
    rename(&temporary, database)?;
    Ok(verified)
}

fn copy(from: &Path, to: &Path) -> Result<(), BackupError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error| BackupError::Database { path, error }
    };
    let mut source = open::reader(from)?;
    remove(to);
    // For its owner alone from its first moment on: a copy holds all that the database does.
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to);
    made.map_err(|error| BackupError::File { path: to.to_owned(), error })?;
    {
        let mut target = rusqlite::Connection::open(to).map_err(sqlite::error).map_err(failed(to))?;
        let backup = Backup::new(source.connection(), &mut target).map_err(sqlite::error).map_err(failed(from))?;
        loop {
            match backup.step(STEP_PAGES).map_err(sqlite::error).map_err(failed(to))? {
                StepResult::Done => break,
                StepResult::Busy | StepResult::Locked => wait(),
                _ => {}
            }
        }
        drop(backup);
        // A copy is one file: without a log beside it.
        target.pragma_update(None, "journal_mode", "delete").map_err(sqlite::error).map_err(failed(to))?;
    }
    let synced = File::open(to).and_then(|file| file.sync_all());
    synced.map_err(|error| BackupError::File { path: to.to_owned(), error })
}

/// Renames and makes that durable.
fn rename(from: &Path, to: &Path) -> Result<(), BackupError> {
    let directory = to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let done = fs::rename(from, to).and_then(|()| File::open(directory)).and_then(|directory| directory.sync_all());
    done.map_err(|error| BackupError::File { path: to.to_owned(), error })
}

/// Takes a temporary file away; if it cannot be, the next step says so.
fn remove(path: &Path) {
    let _ = fs::remove_file(path);
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    with_suffix(path, &format!(".{ending}"))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Lets the writer go first.
#[expect(
    clippy::disallowed_methods,
    reason = "SQLite does not tell when it is free again, and this thread does nothing else"
)]
fn wait() {
    std::thread::sleep(Duration::from_millis(WAIT_MS));
}
