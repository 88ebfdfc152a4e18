//! What people and programs see: a table, JSON or CSV. Everything that came from outside is escaped where
//! it is shown, so that one record stays one line and no terminal obeys it.

use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;
use std::io::{IsTerminal, Write};

/// The form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// For programs: what the API answered.
    Json,
    /// For spreadsheets: cells that could be taken for a formula start with an apostrophe, control characters are written out.
    Csv,
}

/// One column: its heading, and where in the row its value stands (names joined by dots).
pub type Column = (&'static str, &'static str);

/// Prints a list of rows.
///
/// # Errors
/// Only those of writing to standard output.
pub fn list(format: Format, columns: &[Column], rows: &[Value]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    match format {
        Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(rows).unwrap_or_default()),
        Format::Csv => csv(&mut out, columns, rows),
        Format::Table if rows.is_empty() => writeln!(out, "nothing found"),
        Format::Table => {
            let mut table = table();
            table.set_header(columns.iter().map(|(title, _)| *title));
            for row in rows {
                table.add_row(columns.iter().map(|(_, path)| for_people(path, at(row, path))));
            }
            writeln!(out, "{}", trimmed(&table))
        }
    }
}

/// Prints one thing: a line for each field that has a value.
///
/// # Errors
/// Only those of writing to standard output.
pub fn one(format: Format, columns: &[Column], row: &Value) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    match format {
        Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(row).unwrap_or_default()),
        Format::Csv => csv(&mut out, columns, std::slice::from_ref(row)),
        Format::Table => {
            let mut table = table();
            for (title, path) in columns {
                let text = for_people(path, at(row, path));
                if !text.is_empty() {
                    table.add_row([(*title).to_owned(), text]);
                }
            }
            writeln!(out, "{}", trimmed(&table))
        }
    }
}

/// Says something to a person, and nothing to a program.
pub fn say(format: Format, text: &str) {
    if format == Format::Table {
        println!("{}", shared::show::line(text));
    }
}

fn table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    let out = std::io::stdout();
    // A terminal that does not know its width (a serial line, a container's) says 0.
    if let (true, Ok(size)) = (out.is_terminal(), rustix::termios::tcgetwinsize(&out))
        && size.ws_col > 0
    {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(size.ws_col);
    }
    table
}

fn trimmed(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().trim_start_matches(' ').to_owned()).collect::<Vec<_>>().join("\n")
}

/// The value at a dotted path.
fn at<'a>(row: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(row, |value, name| value.get(name)).filter(|value| !value.is_null())
}

fn for_people(path: &str, value: Option<&Value>) -> String {
    let Some(value) = value else { return String::new() };
    let name = path.rsplit('.').next().unwrap_or(path);
    match value {
        Value::Number(number) if is_time(name) => number.as_i64().map_or_else(String::new, time),
        Value::Number(number) if name == "size" || name.ends_with("_bytes") => {
            number.as_i64().map_or_else(String::new, bytes)
        }
        other => shared::show::line(&plain(other)).into_owned(),
    }
}

fn is_time(name: &str) -> bool {
    matches!(
        name,
        "at" | "created"
            | "updated"
            | "opened"
            | "expires"
            | "enrolled"
            | "last_seen"
            | "heard"
            | "changed"
            | "first"
            | "last"
    )
}

/// A time as people read it, UTC, to the second.
pub fn time(micros: i64) -> String {
    jiff::Timestamp::from_microsecond(micros)
        .map_or_else(|_| micros.to_string(), |t| t.strftime("%Y-%m-%d %H:%M:%SZ").to_string())
}

/// An amount in decimal units, as disks and networks are sold.
fn bytes(amount: i64) -> String {
    const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
    let mut rest = amount;
    let mut last = 0;
    let mut unit = 0;
    while rest.abs() >= 1000 && unit < UNITS.len() - 1 {
        last = (rest % 1000) / 100;
        rest /= 1000;
        unit += 1;
    }
    if rest < 100 && unit > 0 { format!("{rest}.{last} {}", UNITS[unit]) } else { format!("{rest} {}", UNITS[unit]) }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(map) => {
            map.iter().map(|(name, value)| format!("{name}={}", plain(value))).collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}

fn csv(out: &mut impl Write, columns: &[Column], rows: &[Value]) -> std::io::Result<()> {
    let mut writer = ::csv::Writer::from_writer(out);
    writer.write_record(columns.iter().map(|(_, path)| *path))?;
    for row in rows {
        writer.write_record(columns.iter().map(|(_, path)| cell(at(row, path))))?;
    }
    writer.flush()
}

/// A CSV cell. Text that a spreadsheet would take for a formula (also in its full-width forms) gets a leading
/// apostrophe; what a terminal would obey or what would break the line is written out; numbers stay numbers.
fn cell(value: Option<&Value>) -> String {
    match value {
        None => String::new(),
        Some(Value::Number(number)) => number.to_string(),
        Some(value) => {
            let text = plain(value);
            let risky = text
                .starts_with(['=', '+', '-', '@', '\t', '\r', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}', '\'']);
            let shown = shared::show::line(&text);
            if risky { format!("'{shown}") } else { shown.into_owned() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn formulas_are_defused_and_numbers_are_not() {
        assert_eq!(cell(Some(&json!("=1+1"))), "'=1+1");
        assert_eq!(cell(Some(&json!("＝1+1"))), "'＝1+1");
        assert_eq!(cell(Some(&json!("'x"))), "''x");
        assert_eq!(cell(Some(&json!("\r=1\u{1b}[31m"))), "'\\u{d}=1\\u{1b}[31m");
        assert_eq!(cell(Some(&json!(-5))), "-5");
        assert_eq!(cell(None), "");
    }

    #[test]
    fn people_read_times_and_sizes() {
        assert_eq!(for_people("observed.last_seen", Some(&json!(0))), "1970-01-01 00:00:00Z");
        assert_eq!(for_people("size", Some(&json!(512_110_190_592_i64))), "512 GB");
        assert_eq!(for_people("size", Some(&json!(1_500))), "1.5 kB");
    }

    #[test]
    fn one_record_stays_one_line() {
        let text = for_people("name", Some(&json!("a\nb\u{1b}[31m\u{202e}")));
        assert!(!text.chars().any(|c| c.is_control() || c == '\u{202e}'), "{text:?}");
    }
}
