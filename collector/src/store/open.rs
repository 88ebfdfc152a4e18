//! Opening the database: every way in which that can fail has its own words and says what to do.
//!
//! A database is opened for writing by one program at a time, which holds a lock file beside it.

use super::cells::{Cells, one};
use super::check;
use super::engine::{Engine as _, Error, Sql};
use super::ledger::{self, Ledger};
use super::schema::{self, SchemaError};
use super::sqlite::Sqlite;
use super::sum;
use crate::durable;
use shared::unit::At;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// The first bytes of every SQLite file. <https://sqlite.org/fileformat.html>
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// A database of this size is looked at in about a second.
const QUICK_CHECK_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Why a database cannot be used. Nothing of it was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A later version of Muster wrote it.
    #[error(
        "{path}: schema {found} is newer than {known}, which this muster knows; install the newer muster again, or restore a backup made before the upgrade"
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its schema.
        found: u32,
        /// The schema of this version.
        known: u32,
    },
    /// It is some other file.
    #[error("{0}: not a database of Muster; check state_dir, or move the file away to start anew")]
    NotADatabase(PathBuf),
    /// A migration in it is not the one that this version has.
    #[error(
        "{path}: migration {name} is not the one of this muster; install the muster that wrote it, or restore a backup"
    )]
    Altered {
        /// The database.
        path: PathBuf,
        /// The migration.
        name: String,
    },
    /// Another program has it open for writing.
    #[error("{path}: in use by another muster (process {pid}); stop that one first")]
    Locked {
        /// The database.
        path: PathBuf,
        /// Who holds it, as it wrote down itself.
        pid: String,
    },
    /// There is no database.
    #[error("{0}: there is no database; check state_dir, or start `muster serve` once")]
    Missing(PathBuf),
    /// The disk is full.
    #[error("{0}: the disk is full; free space, then start again")]
    Full(PathBuf),
    /// Its pages are broken.
    #[error("{path}: damaged: {what}; keep a copy, then `muster backup restore` the last good backup")]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// The keys beside it belong to another deployment.
    #[error(
        "{path}: belongs to deployment {found}, the keys beside it to {keys}; restore the folder pki that belongs to this database"
    )]
    Keys {
        /// The database.
        path: PathBuf,
        /// Its deployment.
        found: String,
        /// That of the keys.
        keys: String,
    },
    /// It cannot be read or written.
    #[error("{path}: {what}; check that the directory exists, its owner and permissions, and the disk")]
    Io {
        /// The database.
        path: PathBuf,
        /// The system's words.
        what: String,
    },
    /// Anything else.
    #[error("{path}: {error}")]
    Other {
        /// The database.
        path: PathBuf,
        /// The engine's words.
        error: Error,
    },
}

impl OpenError {
    fn of(path: &Path, error: Error) -> OpenError {
        let path = path.to_owned();
        match error {
            Error::Full => OpenError::Full(path),
            Error::Broken(what) => OpenError::Damaged { path, what },
            Error::Io(what) => OpenError::Io { path, what },
            error => OpenError::Other { path, error },
        }
    }

    fn schema(path: &Path, error: SchemaError) -> OpenError {
        match error {
            SchemaError::Newer { found, known } => OpenError::Newer { path: path.to_owned(), found, known },
            SchemaError::Foreign => OpenError::NotADatabase(path.to_owned()),
            SchemaError::Altered(name) => OpenError::Altered { path: path.to_owned(), name },
            SchemaError::Database(error) => OpenError::of(path, error),
        }
    }

    pub(super) fn io(path: &Path, error: &std::io::Error) -> OpenError {
        match error.kind() {
            ErrorKind::StorageFull => OpenError::Full(path.to_owned()),
            ErrorKind::NotFound => OpenError::Missing(path.to_owned()),
            _ => OpenError::Io { path: path.to_owned(), what: error.to_string() },
        }
    }
}

/// The right to write a database, for as long as this lives. The system takes it back when the process ends,
/// however it ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of this database.
    ///
    /// # Errors
    /// [`OpenError::Locked`], [`OpenError::Io`].
    pub fn take(path: &Path) -> Result<Lock, OpenError> {
        let beside = path.with_extension("lock");
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&beside);
        let mut file = open.map_err(|e| OpenError::Io { path: beside.clone(), what: e.to_string() })?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                let read = file.take(20).read_to_string(&mut pid);
                let pid = if read.is_ok() { pid.trim().to_owned() } else { "unknown".to_owned() };
                return Err(OpenError::Locked { path: path.to_owned(), pid });
            }
            Err(TryLockError::Error(error)) => return Err(OpenError::io(&beside, &error)),
        }
        // Only for people to read: without it the lock holds as well.
        let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Lock { _file: file })
    }
}

/// Opens the database for the writer, made or brought up to date.
///
/// # Errors
/// [`OpenError`]: the database is as it was.
pub fn writer(path: &Path, now: At) -> Result<Sqlite, OpenError> {
    let folder = Folder::of(path)?;
    if is_there(path)? {
        // A first start that was cut short may have left a journal, which only a connection that writes rolls back.
        if path.with_extension("db-journal").exists() {
            drop(Sqlite::writer(path).map_err(|e| OpenError::of(path, e))?);
        }
        // Looked at through a connection that cannot write, so that a refused database stays untouched.
        let mut reader = Sqlite::reader(path).map_err(|e| OpenError::of(path, e))?;
        schema::check(&mut reader).map_err(|e| OpenError::schema(path, e))?;
        whole(path, &mut reader)?;
    }
    let mut engine = Sqlite::writer(path).map_err(|e| OpenError::of(path, e))?;
    schema::migrate(&mut engine, now).map_err(|e| OpenError::schema(path, e))?;
    folder.sync()?;
    Ok(engine)
}

/// The folder of a database, opened before SQLite writes its first file: SQLite syncs it too and goes on where that
/// fails, which a handle that was there before is told of as well (`errseq` in the kernel's documentation). Without
/// that sync a power cut may take the log of a database, with all that was committed to it.
struct Folder<'a>(&'a Path, File);

impl<'a> Folder<'a> {
    fn of(path: &'a Path) -> Result<Folder<'a>, OpenError> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let opened = File::open(folder);
        let opened = opened.map_err(|e| OpenError::Io { path: folder.to_owned(), what: e.to_string() })?;
        Ok(Folder(folder, opened))
    }

    fn sync(&self) -> Result<(), OpenError> {
        self.1.sync_all().map_err(|e| OpenError::io(self.0, &e))
    }
}

/// Looks at the pages before anything is written, where that takes no longer than a start may, and always after the
/// disk failed; `muster doctor` looks at all of any database.
fn whole(path: &Path, reader: &mut Sqlite) -> Result<(), OpenError> {
    let bytes = std::fs::metadata(path).map_err(|e| OpenError::io(path, &e))?.len();
    let suspect = suspicion(path);
    if bytes > QUICK_CHECK_BYTES_MAX && !suspect.exists() {
        return Ok(());
    }
    match check::quick(reader).map_err(|e| OpenError::of(path, e))? {
        Some(what) => Err(OpenError::Damaged { path: path.to_owned(), what }),
        None => match std::fs::remove_file(&suspect) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(OpenError::io(&suspect, &error)),
            _ => Ok(()),
        },
    }
}

/// The deployment that a database belongs to, if it does already.
///
/// # Errors
/// [`Error`].
pub(super) fn deployment(engine: &mut Sqlite) -> Result<Option<String>, Error> {
    one(engine, Sql("select sum, id from deployment"), &[], |cells| {
        let mut c = Cells::new("deployment", cells);
        c.sum(1)?;
        c.string()
    })
}

/// That the database belongs to this deployment, from now on if to none yet.
pub(super) fn belongs(engine: &mut Sqlite, path: &Path, keys: &str) -> Result<(), OpenError> {
    let failed = |error| OpenError::of(path, error);
    match deployment(engine).map_err(failed)? {
        Some(found) if found == keys => Ok(()),
        Some(found) => Err(OpenError::Keys { path: path.to_owned(), found, keys: keys.to_owned() }),
        None => {
            let sql = Sql("insert into deployment (id, sum) values (?1, ?2)");
            engine.run(sql, &sum::with([keys.into()])).map(drop).map_err(failed)
        }
    }
}

/// The ledger beside a database, with what a crash kept from it.
pub(super) fn ledger(engine: &mut Sqlite, path: &Path, now: At) -> Result<Ledger, OpenError> {
    let known = ledger::known(engine).map_err(|error| OpenError::of(path, error))?;
    let opened = Ledger::beside(path).and_then(|mut ledger| match ledger.add(known, now) {
        // Said again at each start until there is room; a collector that does not start frees none.
        Err(error) if error.kind() == ErrorKind::StorageFull => Ok(ledger),
        added => added.map(|()| ledger),
    });
    opened.map_err(|error| OpenError::Io { path: path.with_file_name(ledger::FILE), what: error.to_string() })
}

/// The file that asks the next start to look at every page, of however large a database.
fn suspicion(path: &Path) -> PathBuf {
    path.with_extension("suspect")
}

/// The disk failed: the next start looks at every page.
pub(super) fn suspect(path: &Path, why: &str) {
    let file = suspicion(path);
    if let Err(unwritten) = durable::replace(&file, &path.with_extension("suspect.new"), &format!("{why}\n")) {
        tracing::error!(error = %unwritten, path = %file.display(), "run `muster doctor` before the next start");
    }
}

/// Brings a database that nobody has open up to the schema of this version. Gives the schema before and after.
///
/// # Errors
/// [`OpenError`]: the database is as it was.
pub fn migrate(path: &Path, now: At) -> Result<(u32, u32), OpenError> {
    if !is_there(path)? {
        return Err(OpenError::Missing(path.to_owned()));
    }
    let _lock = Lock::take(path)?;
    let before = {
        let mut reader = Sqlite::reader(path).map_err(|e| OpenError::of(path, e))?;
        schema::check(&mut reader).map_err(|e| OpenError::schema(path, e))?
    };
    writer(path, now)?;
    Ok((before, schema::known()))
}

/// Opens the database for reading; its schema must be the one of this version.
///
/// # Errors
/// [`OpenError`].
pub fn reader(path: &Path) -> Result<Sqlite, OpenError> {
    if !is_there(path)? {
        return Err(OpenError::Missing(path.to_owned()));
    }
    let mut engine = Sqlite::reader(path).map_err(|e| OpenError::of(path, e))?;
    match schema::check(&mut engine).map_err(|e| OpenError::schema(path, e))? {
        0 => Err(OpenError::NotADatabase(path.to_owned())),
        _ => Ok(engine),
    }
}

/// Whether there is a database: no file and an empty one are none, another file is an error.
fn is_there(path: &Path) -> Result<bool, OpenError> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(OpenError::io(path, &error)),
    };
    let mut start = [0; 16];
    match file.read_exact(&mut start) {
        Ok(()) if start == *MAGIC => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof && start == [0; 16] => Ok(false),
        Ok(()) => Err(OpenError::NotADatabase(path.to_owned())),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Err(OpenError::NotADatabase(path.to_owned())),
        Err(error) => Err(OpenError::io(path, &error)),
    }
}
