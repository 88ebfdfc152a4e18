//! Cells from and to the types of the rules. Whatever cannot be read back is [`Error::Damaged`], with its
//! table: never a panic, never a default.

use super::engine::{Cell, Each, Engine, Error, Next, Query, Sql};
use super::sum;
use serde::de::DeserializeOwned;
use shared::digest::Digest;
use shared::id::{AgentId, ApiTokenId, AssetId, CauseId, CommentId, JoinTokenId, LinkId, TicketId};
use shared::unit::At;
use std::str::FromStr;

/// The cells of one row, read from left to right.
pub struct Cells<'a> {
    table: &'static str,
    cells: std::slice::Iter<'a, Cell>,
}

impl<'a> Cells<'a> {
    /// The cells of a row of `table`.
    pub fn new(table: &'static str, cells: &'a [Cell]) -> Cells<'a> {
        Cells { table, cells: cells.iter() }
    }

    /// That the row is not what was written.
    pub fn damaged(&self, what: impl Into<String>) -> Error {
        Error::Damaged { table: self.table, what: what.into() }
    }

    /// Reads the sum of the next `columns` cells and holds them against it.
    pub fn sum(&mut self, columns: usize) -> Result<(), Error> {
        let sum = self.int()?;
        self.agree(sum, columns)
    }

    /// The same for a row that may be missing: whether it is there. One that is not is passed over.
    pub fn opt_sum(&mut self, columns: usize) -> Result<bool, Error> {
        if let Some(sum) = self.opt_int()? {
            return self.agree(sum, columns).map(|()| true);
        }
        for _ in 0..columns {
            if *self.next()? != Cell::Null {
                return Err(self.damaged("a sum is missing"));
            }
        }
        Ok(false)
    }

    fn agree(&self, sum: i64, columns: usize) -> Result<(), Error> {
        let row = self.cells.as_slice().get(..columns).ok_or_else(|| self.damaged("a column is missing"))?;
        if sum::of(row) == sum {
            return Ok(());
        }
        let key = match row.first() {
            Some(Cell::Text(text)) => format!("{text:?}"),
            Some(Cell::Int(n)) => n.to_string(),
            Some(Cell::Null | Cell::Bytes(_)) | None => "of its neighbour".to_owned(),
        };
        Err(self.damaged(format!("the row {key} is not what was written (its sum differs)")))
    }

    /// A text behind its sum. Where the sum is missing the text was not asked for.
    pub fn opt_summed(&mut self) -> Result<Option<String>, Error> {
        let Some(sum) = self.opt_int()? else {
            return match self.opt_text()? {
                None => Ok(None),
                Some(_) => Err(self.damaged("a sum is missing")),
            };
        };
        let text = self.opt_string()?;
        match sum::of(&[Cell::from(text.as_ref())]) == sum {
            true => Ok(text),
            false => Err(self.damaged("a text is not what was written (its sum differs)")),
        }
    }

    fn next(&mut self) -> Result<&'a Cell, Error> {
        self.cells.next().ok_or_else(|| self.damaged("a column is missing"))
    }

    pub fn opt_text(&mut self) -> Result<Option<&'a str>, Error> {
        match self.next()? {
            Cell::Null => Ok(None),
            Cell::Text(text) => Ok(Some(text)),
            other => Err(self.damaged(format!("expected text, found {other:?}"))),
        }
    }

    pub fn text(&mut self) -> Result<&'a str, Error> {
        self.opt_text()?.ok_or_else(|| self.damaged("a text is missing"))
    }

    pub fn string(&mut self) -> Result<String, Error> {
        self.text().map(str::to_owned)
    }

    pub fn opt_string(&mut self) -> Result<Option<String>, Error> {
        Ok(self.opt_text()?.map(str::to_owned))
    }

    pub fn opt_int(&mut self) -> Result<Option<i64>, Error> {
        match self.next()? {
            Cell::Null => Ok(None),
            Cell::Int(n) => Ok(Some(*n)),
            other => Err(self.damaged(format!("expected a number, found {other:?}"))),
        }
    }

    pub fn int(&mut self) -> Result<i64, Error> {
        self.opt_int()?.ok_or_else(|| self.damaged("a number is missing"))
    }

    /// A number that was kept with its bits as they are.
    pub fn u64(&mut self) -> Result<u64, Error> {
        self.int().map(i64::cast_unsigned)
    }

    pub fn small<T: TryFrom<i64>>(&mut self) -> Result<T, Error> {
        let n = self.int()?;
        T::try_from(n).map_err(|_| self.damaged(format!("number out of range: {n}")))
    }

    pub fn opt_small<T: TryFrom<i64>>(&mut self) -> Result<Option<T>, Error> {
        let Some(n) = self.opt_int()? else { return Ok(None) };
        T::try_from(n).map(Some).map_err(|_| self.damaged(format!("number out of range: {n}")))
    }

    pub fn bool(&mut self) -> Result<bool, Error> {
        Ok(self.int()? != 0)
    }

    pub fn at(&mut self) -> Result<At, Error> {
        self.int().map(At)
    }

    pub fn opt_at(&mut self) -> Result<Option<At>, Error> {
        Ok(self.opt_int()?.map(At))
    }

    pub fn opt_bytes(&mut self) -> Result<Option<&'a [u8]>, Error> {
        match self.next()? {
            Cell::Null => Ok(None),
            Cell::Bytes(bytes) => Ok(Some(bytes)),
            other => Err(self.damaged(format!("expected bytes, found {other:?}"))),
        }
    }

    pub fn bytes(&mut self) -> Result<&'a [u8], Error> {
        self.opt_bytes()?.ok_or_else(|| self.damaged("bytes are missing"))
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let bytes = self.bytes()?;
        bytes.try_into().map_err(|_| self.damaged(format!("expected {N} bytes, found {}", bytes.len())))
    }

    pub fn digest(&mut self) -> Result<Digest, Error> {
        self.array().map(Digest)
    }

    pub fn opt_digest(&mut self) -> Result<Option<Digest>, Error> {
        let Some(bytes) = self.opt_bytes()? else { return Ok(None) };
        let bytes = bytes.try_into().map_err(|_| self.damaged("a digest has not 16 bytes"))?;
        Ok(Some(Digest(bytes)))
    }

    pub fn parse<T: FromStr>(&mut self) -> Result<T, Error> {
        let text = self.text()?;
        text.parse().map_err(|_| self.damaged(format!("cannot be read: {text:?}")))
    }

    pub fn opt_parse<T: FromStr>(&mut self) -> Result<Option<T>, Error> {
        let Some(text) = self.opt_text()? else { return Ok(None) };
        text.parse().map(Some).map_err(|_| self.damaged(format!("cannot be read: {text:?}")))
    }

    /// A name of a closed set.
    pub fn name<T>(&mut self, of: impl Fn(&str) -> Option<T>) -> Result<T, Error> {
        let text = self.text()?;
        of(text).ok_or_else(|| self.damaged(format!("unknown name {text:?}")))
    }

    pub fn json<T: DeserializeOwned>(&mut self) -> Result<T, Error> {
        let text = self.text()?;
        serde_json::from_str(text).map_err(|e| self.damaged(format!("JSON: {e}")))
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Cell {
        Cell::Text(text.to_owned())
    }
}

impl From<&String> for Cell {
    fn from(text: &String) -> Cell {
        Cell::Text(text.clone())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Cell {
        Cell::Text(text)
    }
}

impl From<i64> for Cell {
    fn from(n: i64) -> Cell {
        Cell::Int(n)
    }
}

impl From<u64> for Cell {
    /// The bits as they are, so that no value is lost.
    fn from(n: u64) -> Cell {
        Cell::Int(n.cast_signed())
    }
}

impl From<u32> for Cell {
    fn from(n: u32) -> Cell {
        Cell::Int(i64::from(n))
    }
}

impl From<u8> for Cell {
    fn from(n: u8) -> Cell {
        Cell::Int(i64::from(n))
    }
}

impl From<bool> for Cell {
    fn from(b: bool) -> Cell {
        Cell::Int(i64::from(b))
    }
}

impl From<At> for Cell {
    fn from(at: At) -> Cell {
        Cell::Int(at.0)
    }
}

impl From<Digest> for Cell {
    fn from(digest: Digest) -> Cell {
        Cell::Bytes(digest.0.to_vec())
    }
}

impl From<Vec<u8>> for Cell {
    fn from(bytes: Vec<u8>) -> Cell {
        Cell::Bytes(bytes)
    }
}

impl<const N: usize> From<&[u8; N]> for Cell {
    fn from(bytes: &[u8; N]) -> Cell {
        Cell::Bytes(bytes.to_vec())
    }
}

impl<T> From<Option<T>> for Cell
where
    Cell: From<T>,
{
    fn from(value: Option<T>) -> Cell {
        value.map_or(Cell::Null, Cell::from)
    }
}

macro_rules! id_cells {
    ($($id:ident)+) => {$(
        impl From<$id> for Cell {
            fn from(id: $id) -> Cell {
                Cell::Text(id.to_string())
            }
        }
    )+};
}
id_cells!(AgentId ApiTokenId AssetId CauseId CommentId JoinTokenId LinkId TicketId);

/// A value as JSON text. The types that are kept so have no map keys but text, so that it cannot fail.
pub fn json<T: serde::Serialize>(value: &T) -> Result<Cell, Error> {
    serde_json::to_string(value).map(Cell::Text).map_err(|e| Error::Engine(format!("JSON: {e}")))
}

/// The first row of a query.
pub fn one<T>(
    engine: &mut dyn Engine,
    sql: Sql,
    params: &[Cell],
    mut read: impl FnMut(&[Cell]) -> Result<T, Error>,
) -> Result<Option<T>, Error> {
    let mut found = None;
    engine.query(sql, params, &mut |cells| {
        found = Some(read(cells)?);
        Ok(Next::Enough)
    })?;
    Ok(found)
}

/// All rows of a query, which bounds itself.
pub fn all<T>(
    engine: &mut dyn Engine,
    sql: Sql,
    params: &[Cell],
    mut read: impl FnMut(&[Cell]) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    let mut found = Vec::new();
    engine.query(sql, params, &mut |cells| {
        found.push(read(cells)?);
        Ok(Next::More)
    })?;
    Ok(found)
}

/// All rows of a query put together from parts, which bounds itself.
pub fn select<T>(
    engine: &mut dyn Engine,
    query: &Query,
    mut read: impl FnMut(&[Cell]) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    let mut found = Vec::new();
    let each: &mut Each<'_> = &mut |cells| {
        found.push(read(cells)?);
        Ok(Next::More)
    };
    engine.select(query, each)?;
    Ok(found)
}
