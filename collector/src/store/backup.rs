//! Copies of the database: made while it is in use, verified before they count.
//!
//! A backup is one file, a whole database in itself, and beside it `FILE.sha256`, which sha256sum(1) can check too.

use super::check::{self, Finding};
use super::engine::{Engine as _, Sql};
use super::open::{self, OpenError};
use super::sqlite;
use rusqlite::backup::{Backup, StepResult};
use sha2::{Digest as _, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Pages that are copied before writers get their turn: 1 MiB.
const STEP_PAGES: i32 = 256;
/// How long the copy waits for a lock, in milliseconds.
const WAIT_MS: u64 = 10;

/// Bytes of a file that are held at a time.
const PIECE_BYTES: usize = 1 << 20;
/// The ending of the file that holds a copy's sum.
const SUM: &str = ".sha256";

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
    /// The copy is not the one that was made.
    #[error("{path}: altered or cut short since it was made: {path}.sha256 says another content; use another one")]
    Altered {
        /// The copy.
        path: PathBuf,
    },
    /// There is nothing to compare the copy with.
    #[error(
        "{path}.sha256 is missing: nothing says that {path} is as it was made; put it beside the copy, or take what its rows say for it with --without-sum"
    )]
    NoSum {
        /// The copy.
        path: PathBuf,
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

/// What is asked of a copy beside its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sum {
    /// `FILE.sha256` lies beside it.
    Needed,
    /// It may be missing: bytes that belong to no row may then have changed, free space above all.
    IfThere,
}

/// What a verified backup holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Bytes.
    pub bytes: u64,
    /// The last number of its journal.
    pub head: u64,
    /// Whether its sum lay beside it.
    pub summed: bool,
    /// The deployment that it belongs to, as the folder `pki` says it; none if no collector ever started on it.
    pub deployment: Option<String>,
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
    let temporary = with_suffix(target, ".part");
    let made = copy(database, &temporary, Pace::Half).and_then(|()| verify(&temporary, Sum::IfThere));
    match made {
        Ok(verified) => {
            // First the sum: a copy that is there has one.
            write_sum(&temporary, target)?;
            rename(&temporary, target)?;
            Ok(Verified { summed: true, ..verified })
        }
        Err(error) => {
            remove(&temporary);
            Err(error)
        }
    }
}

/// Reads a backup through: its sum, its pages, its journal, the sums of its rows, the digests of its sections.
///
/// # Errors
/// [`BackupError::Altered`], [`BackupError::NoSum`]; [`BackupError::NotGood`] with the first thing that is wrong.
pub fn verify(copy: &Path, asked: Sum) -> Result<Verified, BackupError> {
    let summed = match fs::read_to_string(with_suffix(copy, SUM)) {
        Ok(text) => {
            if text.split_whitespace().next() != Some(sum(copy)?.as_str()) {
                return Err(BackupError::Altered { path: copy.to_owned() });
            }
            true
        }
        Err(error) if error.kind() == ErrorKind::NotFound && asked == Sum::IfThere => false,
        Err(error) if error.kind() == ErrorKind::NotFound && copy.exists() => {
            return Err(BackupError::NoSum { path: copy.to_owned() });
        }
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        Err(error) => return Err(BackupError::File { path: with_suffix(copy, SUM), error }),
    };
    let mut engine = open::reader(copy)?;
    let failed = |error| BackupError::Database { path: copy.to_owned(), error };
    let findings = check::check(&mut engine).map_err(failed)?;
    if let Some(finding) = findings.into_iter().next() {
        return Err(BackupError::NotGood { path: copy.to_owned(), finding });
    }
    let head = super::journal::head(&mut engine).map_err(failed)?;
    let deployment = open::deployment(&mut engine).map_err(failed)?;
    let bytes = fs::metadata(copy).map_err(|error| BackupError::File { path: copy.to_owned(), error })?.len();
    Ok(Verified { bytes, head, summed, deployment })
}

/// The deployment that a copy belongs to, as [`Verified::deployment`]; nothing else of it is looked at.
///
/// # Errors
/// [`BackupError`].
pub fn deployment(copy: &Path) -> Result<Option<String>, BackupError> {
    let mut engine = open::reader(copy)?;
    open::deployment(&mut engine).map_err(|error| BackupError::Database { path: copy.to_owned(), error })
}

/// The SHA-256 of a file.
fn sum(path: &Path) -> Result<String, BackupError> {
    let file = |error| BackupError::File { path: path.to_owned(), error };
    let mut hash = Sha256::new();
    let mut bytes = File::open(path).map_err(file)?;
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match bytes.read(&mut piece).map_err(file)? {
            0 => break,
            n => hash.update(&piece[..n]),
        }
    }
    Ok(crate::hex::of(&hash.finalize()))
}

/// Writes the sum of `content` beside `target`, under whose name it will lie.
fn write_sum(content: &Path, target: &Path) -> Result<(), BackupError> {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let text = format!("{}  {name}\n", sum(content)?);
    let (path, temporary) = (with_suffix(target, SUM), with_suffix(target, ".sha256.part"));
    let open = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary);
    let written = open.and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()));
    written.map_err(|error| BackupError::File { path: temporary.clone(), error })?;
    rename(&temporary, &path)
}

/// How fast a copy is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// Nobody else is there.
    Full,
    /// Half of the time, so that a collector goes on.
    Half,
}

/// Copies one state of a database to a new file. The source is read in one transaction: else SQLite would begin
/// anew each time that somebody commits, and never end under load.
pub(super) fn copy(from: &Path, to: &Path, pace: Pace) -> Result<(), BackupError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error| BackupError::Database { path, error }
    };
    let file = |error| BackupError::File { path: to.to_owned(), error };
    let mut source = open::reader(from)?;
    source.run(Sql("begin"), &[]).and_then(|_| source.has_tables()).map_err(failed(from))?;
    remove(to);
    // For its owner alone from its first moment on: a copy holds all that the database does.
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to).map_err(file)?;
    {
        let mut target = rusqlite::Connection::open(to).map_err(sqlite::error).map_err(failed(to))?;
        // Nothing of it counts before it is synced below.
        for (pragma, value) in [("journal_mode", "off"), ("synchronous", "off")] {
            target.pragma_update(None, pragma, value).map_err(sqlite::error).map_err(failed(to))?;
        }
        let backup = Backup::new(source.connection(), &mut target).map_err(sqlite::error).map_err(failed(from))?;
        loop {
            let started = Instant::now();
            match backup.step(STEP_PAGES).map_err(sqlite::error).map_err(failed(to))? {
                StepResult::Done => break,
                StepResult::Busy | StepResult::Locked => wait(Duration::from_millis(WAIT_MS)),
                _ if pace == Pace::Half => {
                    // In small pieces: one large sync at the end would keep every other sync of the disk waiting.
                    made.sync_data().map_err(file)?;
                    wait(started.elapsed());
                }
                _ => {}
            }
        }
        drop(backup);
        // A copy is one file: without a log beside it.
        target.pragma_update(None, "journal_mode", "delete").map_err(sqlite::error).map_err(failed(to))?;
    }
    made.sync_all().map_err(file)
}

/// Renames and makes that durable.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), BackupError> {
    let directory = to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let done = fs::rename(from, to).and_then(|()| File::open(directory)).and_then(|directory| directory.sync_all());
    done.map_err(|error| BackupError::File { path: to.to_owned(), error })
}

/// Takes a temporary file away; if it cannot be, the next step says so.
pub(super) fn remove(path: &Path) {
    let _ = fs::remove_file(path);
}

pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Lets the writer go first.
#[expect(clippy::disallowed_methods, reason = "the time is the others': this thread does nothing else")]
pub(super) fn wait(time: Duration) {
    std::thread::sleep(time);
}
