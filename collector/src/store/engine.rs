//! What a storage engine does: connect, bind, run. One SQL text serves every engine; it is written for
//! the subset that SQLite and PostgreSQL agree on, with `?1` parameters.
//!
//! Knows no table.

/// SQL text: always a literal of this crate, so that nothing from outside can become part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sql(pub &'static str);

/// A query put together from literals of this crate: what is asked for is not known before, its parts are.
/// Each `?` of a fragment stands for the next parameter.
#[derive(Debug, Clone, Default)]
pub struct Query {
    text: String,
    params: Vec<Cell>,
}

impl Query {
    /// A query that starts with this fragment, which has no parameters.
    pub fn new(fragment: &'static str) -> Query {
        Query { text: fragment.to_owned(), params: Vec::new() }
    }

    /// Adds a fragment and the parameters for its `?`s.
    #[must_use]
    pub fn and(mut self, fragment: &'static str, params: impl IntoIterator<Item = Cell>) -> Query {
        self.push(fragment, params);
        self
    }

    /// Adds a fragment and the parameters for its `?`s.
    pub fn push(&mut self, fragment: &'static str, params: impl IntoIterator<Item = Cell>) {
        let mut params = params.into_iter();
        for piece in fragment.split_inclusive('?') {
            self.text.push_str(piece);
            if piece.ends_with('?') {
                self.params.push(params.next().unwrap_or(Cell::Null));
                self.text.push_str(&self.params.len().to_string());
            }
        }
    }

    /// The text with its `?1`, `?2` …
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The parameters, in the order of their numbers.
    pub fn params(&self) -> &[Cell] {
        &self.params
    }
}

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

/// Whether a reader of rows wants the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Yes.
    More,
    /// No: the query ends here.
    Enough,
}

/// What each row of a query is handed to.
pub type Each<'a> = dyn FnMut(&[Cell]) -> Result<Next, Error> + 'a;

/// Why the database did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The engine's own words.
    #[error("database: {0}")]
    Engine(String),
    /// Somebody else holds the database for longer than a writer waits.
    #[error("database: busy: {0}; another program holds it, try again")]
    Busy(String),
    /// A read was ended because it took too long.
    #[error("the read took too long and was ended; ask for less: a narrower filter, or a smaller page")]
    TooLong,
    /// The disk is full.
    #[error("database: the disk is full; free space, then try again")]
    Full,
    /// Reading or writing the file failed: what it holds is uncertain until it was checked.
    #[error("database: I/O error: {0}; stop, check the disk, then run `muster doctor`")]
    Io(String),
    /// The file is no database or its pages are broken.
    #[error("database: the file is damaged: {0}; stop, run `muster doctor`, restore the last backup")]
    Broken(String),
    /// Somebody else wrote the row first.
    #[error("database: a row was changed meanwhile")]
    Raced,
    /// A row is not what this version writes.
    #[error("database: {table}: {what}; run `muster doctor`")]
    Damaged {
        /// Where.
        table: &'static str,
        /// What is wrong.
        what: String,
    },
    /// A cursor of a page was not made by this collector for this list.
    #[error("not a cursor of this list: use `next` of the page before, or leave it out")]
    Cursor,
    /// The store was closed.
    #[error("database: closed")]
    Closed,
}

impl Error {
    /// The same error with the step in which it was met.
    #[must_use]
    pub fn at(self, step: &str) -> Error {
        match self {
            Error::Io(text) => Error::Io(format!("{step}: {text}")),
            Error::Broken(text) => Error::Broken(format!("{step}: {text}")),
            other => other,
        }
    }

    /// Whether it concerns the database as a whole, not one work: nothing more may be written.
    pub fn is_fatal(&self) -> bool {
        matches!(self, Error::Io(_) | Error::Broken(_) | Error::Closed)
    }
}

/// A connection.
pub trait Engine {
    /// Runs a statement that returns no rows; tells how many rows it changed.
    ///
    /// # Errors
    /// [`Error`].
    fn run(&mut self, sql: Sql, params: &[Cell]) -> Result<usize, Error>;

    /// Runs a query and hands every row, as its cells, to `each`, until that has enough.
    ///
    /// # Errors
    /// [`Error`], or the first error of `each`.
    fn query(&mut self, sql: Sql, params: &[Cell], each: &mut Each<'_>) -> Result<(), Error>;

    /// The same for a query put together from parts.
    ///
    /// # Errors
    /// [`Error`], or the first error of `each`.
    fn select(&mut self, query: &Query, each: &mut Each<'_>) -> Result<(), Error>;

    /// Runs the statements of a migration, translated to the engine's words for the same.
    ///
    /// # Errors
    /// [`Error`].
    fn define(&mut self, script: &'static str) -> Result<(), Error>;

    /// Whether there is any table yet.
    ///
    /// # Errors
    /// [`Error`].
    fn has_tables(&mut self) -> Result<bool, Error>;

    /// Opens the transaction of a writer.
    ///
    /// # Errors
    /// [`Error`].
    fn begin(&mut self) -> Result<(), Error> {
        self.run(Sql("begin immediate"), &[]).map(|_| ())
    }

    /// Makes all of the transaction durable.
    ///
    /// # Errors
    /// [`Error`]: nothing of it is there.
    fn commit(&mut self) -> Result<(), Error> {
        self.run(Sql("commit"), &[]).map(|_| ())
    }

    /// After a commit: moves what the engine's log holds into its files where it is time. An engine that does so by
    /// itself, and tells when it fails, has nothing to do.
    ///
    /// # Errors
    /// [`Error`]: what was committed is in the log still.
    fn tidy(&mut self) -> Result<(), Error> {
        Ok(())
    }

    /// The same for all of the log: nothing comes after this.
    ///
    /// # Errors
    /// [`Error`].
    fn rest(&mut self) -> Result<(), Error> {
        Ok(())
    }

    /// Takes all of the transaction back.
    ///
    /// # Errors
    /// [`Error`].
    fn rollback(&mut self) -> Result<(), Error> {
        self.run(Sql("rollback"), &[]).map(|_| ())
    }

    /// Starts the part of the transaction that belongs to one work.
    ///
    /// # Errors
    /// [`Error`].
    fn savepoint(&mut self) -> Result<(), Error> {
        self.run(Sql("savepoint work"), &[]).map(|_| ())
    }

    /// Ends that part and keeps it.
    ///
    /// # Errors
    /// [`Error`].
    fn release(&mut self) -> Result<(), Error> {
        self.run(Sql("release savepoint work"), &[]).map(|_| ())
    }

    /// Ends that part and takes it back.
    ///
    /// # Errors
    /// [`Error`].
    fn rollback_work(&mut self) -> Result<(), Error> {
        self.run(Sql("rollback to savepoint work"), &[])?;
        self.release()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_of_fragments_are_numbered_in_order() {
        let query = Query::new("select a from t where true")
            .and(" and b = ?", [Cell::Int(1)])
            .and(" and (c, d) > (?, ?)", [Cell::Int(2), Cell::Null]);
        assert_eq!(query.text(), "select a from t where true and b = ?1 and (c, d) > (?2, ?3)");
        assert_eq!(query.params(), [Cell::Int(1), Cell::Int(2), Cell::Null]);
    }
}
