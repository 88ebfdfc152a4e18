//! Pages by key: a list goes on after the last row that was seen, so that it stays right while rows come and go.
//!
//! A cursor is opaque to clients: the values of the last row's sort key, as JSON in base64url. It is input like
//! any other: it only ever becomes parameters.

use super::engine::{Cell, Error};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Rows of one page at most.
pub const LIMIT_ROWS_MAX: usize = 500;
/// Rows of one page if nothing is asked for.
pub const LIMIT_ROWS: usize = 100;
/// A cursor is longer than this only if it is not ours: a name has at most 4 KiB.
const CURSOR_BYTES_MAX: usize = 12 * 1024;

/// Which page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// `next` of the page before; the first page without.
    pub after: Option<String>,
    /// Rows wanted, up to [`LIMIT_ROWS_MAX`]; [`LIMIT_ROWS`] if not said.
    pub limit: Option<usize>,
}

impl Page {
    /// Rows to be given.
    pub fn rows(&self) -> usize {
        self.limit.unwrap_or(LIMIT_ROWS).clamp(1, LIMIT_ROWS_MAX)
    }

    /// One more than the rows to be given, as a parameter: whether there is a next page.
    pub(super) fn bound(&self) -> Cell {
        Cell::Int(i64::try_from(self.rows() + 1).unwrap_or(i64::MAX))
    }

    /// The sort key to go on after: as many values as the list sorts by.
    ///
    /// # Errors
    /// [`Error::Cursor`].
    pub(super) fn key<const N: usize>(&self) -> Result<Option<[Cell; N]>, Error> {
        let Some(text) = &self.after else { return Ok(None) };
        if text.len() > CURSOR_BYTES_MAX {
            return Err(Error::Cursor);
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| Error::Cursor)?;
        let values: Vec<serde_json::Value> = serde_json::from_slice(&bytes).map_err(|_| Error::Cursor)?;
        let cells: Option<Vec<Cell>> = values.into_iter().map(cell).collect();
        cells.and_then(|cells| cells.try_into().ok()).map(Some).ok_or(Error::Cursor)
    }
}

fn cell(value: serde_json::Value) -> Option<Cell> {
    match value {
        serde_json::Value::String(text) => Some(Cell::Text(text)),
        serde_json::Value::Number(number) => number.as_i64().map(Cell::Int),
        _ => None,
    }
}

/// Rows, and where the list goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows<T> {
    /// The rows of this page.
    pub rows: Vec<T>,
    /// The cursor of the next page; none if this is the last one.
    pub next: Option<String>,
}

impl<T> Rows<T> {
    /// A page out of one row more than it has room for; `key` tells what the list is sorted by.
    pub(super) fn cut<K: AsRef<[Cell]>>(mut rows: Vec<T>, page: &Page, key: impl Fn(&T) -> K) -> Rows<T> {
        let more = rows.len() > page.rows();
        rows.truncate(page.rows());
        let next = rows.last().filter(|_| more).map(|last| cursor(key(last).as_ref()));
        Rows { rows, next }
    }
}

fn cursor(key: &[Cell]) -> String {
    let values: Vec<serde_json::Value> = key
        .iter()
        .map(|cell| match cell {
            Cell::Int(n) => (*n).into(),
            Cell::Text(text) => text.as_str().into(),
            Cell::Null | Cell::Bytes(_) => serde_json::Value::Null,
        })
        .collect();
    URL_SAFE_NO_PAD.encode(serde_json::Value::Array(values).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(after: &str) -> Page {
        Page { after: Some(after.to_owned()), limit: Some(2) }
    }

    #[test]
    fn a_cursor_survives_its_text() {
        let rows = Rows::cut(vec!["a", "b", "c"], &page(""), |row| [Cell::from(*row), Cell::Int(-1)]);
        assert_eq!(rows.rows, ["a", "b"]);
        let next = rows.next.expect("there is more");
        assert_eq!(page(&next).key::<2>(), Ok(Some([Cell::from("b"), Cell::Int(-1)])));
        assert_eq!(page(&next).key::<1>(), Err(Error::Cursor));
        assert_eq!(Rows::cut(vec!["a", "b"], &page(""), |_| [Cell::Null]).next, None);
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        for text in ["", "x", "bnVsbA", "W251bGxd", "W1tdXQ", &"A".repeat(CURSOR_BYTES_MAX + 1)] {
            assert_eq!(page(text).key::<1>(), Err(Error::Cursor), "{text:.20}");
        }
        assert_eq!(Page::default().key::<1>(), Ok(None));
    }
}
