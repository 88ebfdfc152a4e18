//! SQL stays within what SQLite and PostgreSQL agree on, so that one text serves both.

use crate::sources::Source;

/// Words that one of the engines does not know, or takes for something else, and what to do instead.
const FORBIDDEN: &[(&str, &str)] = &[
    ("now(", "the time comes in as a parameter"),
    ("current_timestamp", "the time comes in as a parameter"),
    ("datetime(", "times are BIGINT microseconds"),
    ("ilike", "compare lower(x) with a lowered parameter"),
    ("json_", "rules read JSON, SQL does not"),
    ("->>", "rules read JSON, SQL does not"),
    ("for update", "guard by `where rev = ?`"),
    ("autoincrement", "ids come in as parameters"),
    ("serial primary", "ids come in as parameters"),
    ("generated always", "ids come in as parameters"),
    ("create trigger", "rules are in Rust"),
    ("greatest(", "SQLite says max()"),
    ("least(", "SQLite says min()"),
    (" rowid", "PostgreSQL has none"),
    ("without rowid", "PostgreSQL has none"),
    ("insert or ", "write `on conflict`"),
    ("replace into", "write `on conflict`"),
    (" glob ", "write `like` with an escape"),
    ("ifnull(", "write coalesce()"),
    ("group_concat", "aggregate in Rust"),
    (") strict", "STRICT refuses BIGINT and BOOLEAN"),
    ("collate", "the database's collation is binary"),
];

/// Breaches in `Sql("…")` literals.
pub fn in_rust(source: &Source) -> Vec<String> {
    if !source.path.starts_with("collector/src/store/") {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (at, _) in source.text.match_indices("Sql(") {
        let rest = &source.text[at + 4..];
        let Some(start) = rest.find('"') else { continue };
        if !rest[..start].trim().chars().all(|c| c == 'r' || c == '#') {
            continue;
        }
        let end = rest[start + 1..].find('"').map_or(rest.len(), |end| start + 1 + end);
        let line = source.text[..at].lines().count().max(1);
        found.extend(of(&rest[start + 1..end]).into_iter().map(|why| format!("{}:{line}: {why}", source.path)));
    }
    found
}

/// Breaches in a schema file.
pub fn in_file(source: &Source) -> Vec<String> {
    let code: String =
        source.text.lines().map(|line| line.split("--").next().unwrap_or("")).collect::<Vec<_>>().join("\n");
    of(&code).into_iter().map(|why| format!("{}: {why}", source.path)).collect()
}

fn of(sql: &str) -> Vec<String> {
    let lower = sql.to_lowercase();
    let mut found: Vec<String> = FORBIDDEN
        .iter()
        .filter(|(word, _)| lower.contains(word))
        .map(|(word, instead)| format!("SQL says {word:?}: {instead}"))
        .collect();
    let bytes = sql.as_bytes();
    for (i, &byte) in bytes.iter().enumerate() {
        if byte == b'?' && !bytes.get(i + 1).is_some_and(u8::is_ascii_digit) {
            found.push("SQL has a bare `?`: parameters are numbered, `?1`".to_owned());
        }
        if byte == b'$' {
            found.push("SQL has a `$`: parameters are written `?1` and translated".to_owned());
        }
    }
    found
}

#[test]
fn a_breach_is_found() {
    assert_eq!(of("select now() where a = ? and b ilike ?2").len(), 3);
    assert!(of("insert into t(a) values(?1) on conflict(a) do update set a = ?1").is_empty());
}
