//! What a storage engine does: connect, bind, run. One SQL text serves every engine; it is written for
//! the subset that SQLite and PostgreSQL agree on, with `?1` parameters.

/// SQL text: always a literal of this crate, so that nothing from outside can become part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sql(pub &'static str);

/// A value in a row or a parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// NULL.
    Null,
    /// BIGINT; booleans too, as 0 and 1.
    Int(i64),
    /// TEXT.
    Text(String),
    /// BLOB or BYTEA.
    Bytes(Vec<u8>),
}

/// Why the database did not do it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine's own words.
    #[error("database: {0}")]
    Engine(String),
    /// The disk is full.
    #[error("database: the disk is full; free space, then start again")]
    Full,
    /// Reading or writing the file failed: what it holds is uncertain until it was checked.
    #[error("database: I/O error: {0}; stop, check the disk, then run `muster doctor`")]
    Io(String),
    /// Somebody else wrote the row first.
    #[error("database: a row was changed meanwhile")]
    Raced,
    /// What is stored is not what this version writes.
    #[error("database: {table}: {what}")]
    Damaged {
        /// Where.
        table: &'static str,
        /// What is wrong.
        what: String,
    },
    /// The store was closed.
    #[error("database: closed")]
    Closed,
}

/// A connection.
pub trait Engine {
    /// Runs a statement that returns no rows; tells how many rows it changed.
    ///
    /// # Errors
    /// [`Error`].
    fn run(&mut self, sql: Sql, params: &[Cell]) -> Result<usize, Error>;

    /// Runs a query and hands every row, as its cells, to `each`.
    ///
    /// # Errors
    /// [`Error`], or the first error of `each`.
    fn query(
        &mut self,
        sql: Sql,
        params: &[Cell],
        each: &mut dyn FnMut(&[Cell]) -> Result<(), Error>,
    ) -> Result<(), Error>;
}
