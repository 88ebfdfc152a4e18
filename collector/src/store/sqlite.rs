//! SQLite as an engine: bundled, WAL, `synchronous=FULL`, so that what was committed survives a power cut.
//!
//! Knows pragmas, the statement cache and SQLite's result codes. Knows no table.

use super::engine::{Cell, Each, Engine, Error, Next, Query, Sql};
use rusqlite::config::DbConfig;
use rusqlite::hooks::Wal;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, ToSql};
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

/// Pages of 4 KiB in the log before they are moved into the database: 16 MiB.
const CHECKPOINT_PAGES: i32 = 4_000;
/// Statements whose plans are kept.
const STATEMENTS: usize = 256;
/// How long a connection waits for another's lock, in milliseconds.
const BUSY_MS: u64 = 5_000;
/// Steps of SQLite's machine between two questions whether to go on; well under a millisecond.
const ASKED_STEPS: i32 = 4_000;
/// Page cache of the writer, in KiB.
const WRITER_CACHE_KIB: i64 = 32_768;
/// Page cache of each reader, in KiB.
const READER_CACHE_KIB: i64 = 4_096;

/// One connection.
pub struct Sqlite {
    connection: Connection,
    /// Pages in the log after the last commit of this connection.
    log_pages: Arc<AtomicI32>,
}

/// Makes the file its owner's alone, whatever the umask of whoever starts us; SQLite gives its log and index the mode of
/// the database. One that is there is not opened: closing it would end the locks that this process has on it.
fn own(path: &Path) -> Result<(), Error> {
    let failed = |error: io::Error| match error.kind() {
        ErrorKind::StorageFull => Error::Full,
        _ => Error::Io(error.to_string()),
    };
    match fs::metadata(path) {
        Ok(found) => match found.permissions().mode() {
            mode if mode & 0o077 == 0 => Ok(()),
            mode => fs::set_permissions(path, Permissions::from_mode(mode & 0o700)).map_err(failed),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => {
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map(drop).map_err(failed)
        }
        Err(error) => Err(failed(error)),
    }
}

impl Sqlite {
    /// Opens the database for the writer, creating the file if it is not there.
    ///
    /// # Errors
    /// [`Error`]; [`Error::Broken`] if the file is something else.
    pub fn writer(path: &Path) -> Result<Sqlite, Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        own(path)?;
        let connection = Connection::open_with_flags(path, flags).map_err(error)?;
        let mut this = Sqlite::prepared(connection, WRITER_CACHE_KIB)?;
        this.keep_log()?;
        this.pragma("synchronous", "full")?;
        // SQLite's own checkpoint, inside a commit, keeps its errors to itself: the writer has it done instead.
        this.pragma("wal_autocheckpoint", 0)?;
        let pages = Arc::clone(&this.log_pages);
        let count = move |_: &mut Wal, held| {
            pages.store(held, Ordering::Relaxed);
            Ok(())
        };
        this.connection.wal_hook(Some(count)).map_err(error)?;
        this.pragma("foreign_keys", true)?;
        Ok(this)
    }

    /// Opens the database for reading only; it must be there.
    ///
    /// # Errors
    /// [`Error`].
    pub fn reader(path: &Path) -> Result<Sqlite, Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(error)?;
        let this = Sqlite::prepared(connection, READER_CACHE_KIB)?;
        this.pragma("query_only", true)?;
        Ok(this)
    }

    fn prepared(connection: Connection, cache_kib: i64) -> Result<Sqlite, Error> {
        connection.busy_timeout(Duration::from_millis(BUSY_MS)).map_err(error)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        // Else a statement whose plan might depend on a parameter (a LIMIT is enough) is parsed anew each time.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(error)?;
        let this = Sqlite { connection, log_pages: Arc::default() };
        this.pragma("cache_size", -cache_kib)?;
        this.pragma("trusted_schema", false)?;
        Ok(this)
    }

    /// Switches to the write-ahead log. SQLite says with the mode alone that it could not, also where the disk failed.
    fn keep_log(&self) -> Result<(), Error> {
        let read = |row: &rusqlite::Row<'_>| row.get::<_, String>(0);
        let mode = self.connection.pragma_update_and_check(None, "journal_mode", "wal", read).map_err(error)?;
        match mode.as_str() {
            "wal" => Ok(()),
            _ => {
                Err(Error::Io(format!("the write-ahead log could not be made, SQLite stays with journal_mode {mode}")))
            }
        }
    }

    pub(super) fn pragma(&self, name: &str, value: impl ToSql) -> Result<(), Error> {
        self.connection.pragma_update_and_check(None, name, value, |_| Ok(())).or_else(|e| match e {
            rusqlite::Error::QueryReturnedNoRows => Ok(()),
            other => Err(error(other)),
        })
    }

    /// Ends whatever runs from now on once `end` says so; it is asked every few thousand steps.
    pub(super) fn end_when(&mut self, end: impl FnMut() -> bool + Send + 'static) -> Result<(), Error> {
        self.connection.progress_handler(ASKED_STEPS, Some(end)).map_err(error)
    }

    /// Lets whatever runs from now on run to its end.
    pub(super) fn end_never(&mut self) -> Result<(), Error> {
        self.connection.progress_handler(0, None::<fn() -> bool>).map_err(error)
    }

    /// A database that is nowhere but in memory.
    ///
    /// # Errors
    /// [`Error`].
    pub(super) fn memory() -> Result<Sqlite, Error> {
        Sqlite::prepared(Connection::open_in_memory().map_err(error)?, READER_CACHE_KIB)
    }

    /// The definitions of all tables and indexes, by name.
    ///
    /// # Errors
    /// [`Error`].
    pub(super) fn definitions(&self) -> Result<Vec<String>, Error> {
        let text = "select type || ' ' || name || ' ' || tbl_name || ' ' || coalesce(sql, '') from sqlite_schema \
             where name not like 'sqlite_stat%' order by name, type";
        let mut statement = self.connection.prepare(text).map_err(error)?;
        let rows = statement.query_map([], |row| row.get(0)).map_err(error)?;
        rows.collect::<Result<_, _>>().map_err(error)
    }

    /// The connection itself, for what only SQLite does: backup and its own checks.
    pub(super) fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// Moves the log into the database; a reader that needs the old pages holds back what comes after them.
    fn checkpoint(&self, how: &str) -> Result<(), Error> {
        self.connection.query_row(how, [], |_| Ok(())).map_err(|e| error(e).at("checkpoint"))
    }

    fn rows(&self, text: &str, params: &[Cell], each: &mut Each<'_>) -> Result<(), Error> {
        let mut statement = self.connection.prepare_cached(text).map_err(error)?;
        let columns = statement.column_count();
        let mut rows = statement.query(rusqlite::params_from_iter(params)).map_err(error)?;
        let mut cells = vec![Cell::Null; columns];
        while let Some(row) = rows.next().map_err(error)? {
            for (index, cell) in cells.iter_mut().enumerate() {
                fill(cell, row.get_ref(index).map_err(error)?)?;
            }
            if each(&cells)? == Next::Enough {
                break;
            }
        }
        Ok(())
    }
}

/// Puts a value into a cell, in the memory that the cell has already.
fn fill(cell: &mut Cell, value: ValueRef<'_>) -> Result<(), Error> {
    match (value, &mut *cell) {
        (ValueRef::Text(text), Cell::Text(held)) => {
            held.clear();
            held.push_str(utf8(text)?);
        }
        (ValueRef::Blob(bytes), Cell::Bytes(held)) => {
            held.clear();
            held.extend_from_slice(bytes);
        }
        (ValueRef::Null, _) => *cell = Cell::Null,
        (ValueRef::Integer(n), _) => *cell = Cell::Int(n),
        (ValueRef::Text(text), _) => *cell = Cell::Text(utf8(text)?.to_owned()),
        (ValueRef::Blob(bytes), _) => *cell = Cell::Bytes(bytes.to_vec()),
        (ValueRef::Real(n), _) => {
            return Err(Error::Damaged { table: "file", what: format!("a fraction where none is written: {n}") });
        }
    }
    Ok(())
}

fn utf8(text: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(text).map_err(|e| Error::Damaged { table: "file", what: format!("text is not UTF-8: {e}") })
}

impl ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Cell::Null => ValueRef::Null,
            Cell::Int(n) => ValueRef::Integer(*n),
            Cell::Text(text) => ValueRef::Text(text.as_bytes()),
            Cell::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

impl Engine for Sqlite {
    fn run(&mut self, sql: Sql, params: &[Cell]) -> Result<usize, Error> {
        let mut statement = self.connection.prepare_cached(sql.0).map_err(error)?;
        statement.execute(rusqlite::params_from_iter(params)).map_err(error)
    }

    fn query(&mut self, sql: Sql, params: &[Cell], each: &mut Each<'_>) -> Result<(), Error> {
        self.rows(sql.0, params, each)
    }

    fn select(&mut self, query: &Query, each: &mut Each<'_>) -> Result<(), Error> {
        self.rows(query.text(), query.params(), each)
    }

    /// `BIGINT PRIMARY KEY` is the row's own number only if it is spelled INTEGER, and a table marked as
    /// clustered is kept in the order of its key.
    fn define(&mut self, script: &'static str) -> Result<(), Error> {
        let script =
            script.replace("BIGINT PRIMARY KEY", "INTEGER PRIMARY KEY").replace("/* clustered */", "without rowid");
        self.connection.execute_batch(&script).map_err(error)
    }

    fn tidy(&mut self) -> Result<(), Error> {
        if self.log_pages.load(Ordering::Relaxed) < CHECKPOINT_PAGES {
            return Ok(());
        }
        self.checkpoint("pragma wal_checkpoint(passive)")
    }

    fn rest(&mut self) -> Result<(), Error> {
        self.checkpoint("pragma wal_checkpoint(truncate)")
    }

    fn has_tables(&mut self) -> Result<bool, Error> {
        let count = self.connection.query_row("select count(*) from sqlite_schema", [], |row| row.get::<_, i64>(0));
        count.map(|n| n > 0).map_err(error)
    }
}

/// SQLite's result code as what is to be done about it. <https://sqlite.org/rescode.html>
pub(super) fn error(error: rusqlite::Error) -> Error {
    let text = match error.sqlite_error() {
        Some(code) => format!("{error} (SQLite {})", code.extended_code),
        None => error.to_string(),
    };
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Error::Full,
        Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::ReadOnly) => Error::Io(text),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Error::Broken(text),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Error::Busy(text),
        Some(ErrorCode::OperationInterrupted) => Error::TooLong,
        _ => Error::Engine(text),
    }
}
