//! What a database holds, read apart from the collector: every row of every table, and every entry of every index.
//!
//! Two files that hold the same differ in bytes that belong to nothing. Does not know what any of it means.

use anyhow::{Context, Result};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use sha2::{Digest as _, Sha256};
use std::path::Path;

/// The definitions, and a sum of what each table and each index holds. That one cannot be read is a content, too.
pub type Content = Vec<(String, Option<[u8; 32]>)>;

/// What this file holds.
///
/// # Errors
/// A file that is no database, or whose definitions cannot be read.
pub fn of(path: &Path) -> Result<Content> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).with_context(|| path.display().to_string())?;
    let text = "select type, name, tbl_name, coalesce(sql, '') from sqlite_schema order by type, name";
    let mut statement = connection.prepare(text)?;
    let column = |row: &rusqlite::Row<'_>, at| row.get::<_, String>(at);
    let rows =
        statement.query_map([], |row| Ok([column(row, 0)?, column(row, 1)?, column(row, 2)?, column(row, 3)?]))?;
    let mut content = Content::new();
    for row in rows {
        let [kind, name, table, sql] = row?;
        let read = match kind.as_str() {
            "index" => entries(&connection, &table, &name),
            _ => sum(&connection, &format!("select * from \"{name}\" not indexed")),
        };
        content.push((format!("{kind} {name} of {table}: {sql}"), read.ok()));
    }
    Ok(content)
}

/// The entries of an index that is not partial: of such a one SQLite does not read all of a table.
fn entries(connection: &Connection, table: &str, index: &str) -> Result<[u8; 32]> {
    let text = format!("select coalesce('\"' || name || '\"', 'rowid') from pragma_index_xinfo('{index}')");
    let mut statement = connection.prepare(&text)?;
    let columns = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    sum(connection, &format!("select {} from \"{table}\" indexed by \"{index}\"", columns.join(", ")))
}

fn sum(connection: &Connection, text: &str) -> Result<[u8; 32]> {
    let mut statement = connection.prepare(text)?;
    let columns = statement.column_count();
    let mut rows = statement.query([])?;
    let mut hash = Sha256::new();
    while let Some(row) = rows.next()? {
        for at in 0..columns {
            let value = row.get_ref(at)?;
            hash.update(format!("{:?} ", value.data_type()));
            match value {
                ValueRef::Null => {}
                ValueRef::Integer(n) => hash.update(n.to_le_bytes()),
                ValueRef::Real(n) => hash.update(n.to_le_bytes()),
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                    hash.update(bytes.len().to_le_bytes());
                    hash.update(bytes);
                }
            }
        }
    }
    Ok(hash.finalize().into())
}
