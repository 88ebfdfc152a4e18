//! What people and programs see: a table, JSON or CSV. Everything that came from outside is escaped where
//! it is shown, so that one record stays one line and no terminal obeys it.

use super::exit::{Code, Failure};
use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Serialize;
use serde_json::Value;
use std::io::{self, BufWriter, IsTerminal as _, Write};

/// The form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// For programs: what the API answered; times are microseconds since 1970, UTC.
    Json,
    /// For spreadsheets: times in UTC as RFC 3339 writes them; cells that could be taken for a formula start with an apostrophe, control characters are written out.
    Csv,
}

/// One column: its heading, and where in the row its value stands (names joined by dots).
pub type Column = (&'static str, &'static str);

/// Writes to standard output, all at once.
///
/// # Errors
/// [`Code::Unread`] where the reader has gone away (`| head`), which ends a verb without complaint; else what
/// hindered it, such as a full disk.
pub fn print(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    write(&mut out).and_then(|()| out.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::new(Code::Unread, "nobody reads the output"),
        _ => Failure::new(Code::Failed, format!("standard output: {error}")),
    })
}

/// Prints a list of rows: an empty one as `[]`, as a header alone, and to a person in words.
///
/// # Errors
/// Those of [`print`].
pub fn list(format: Format, columns: &[Column], rows: &[Value]) -> Result<(), Failure> {
    print(|out| match format {
        Format::Json => json(out, &rows),
        Format::Csv => csv(out, columns, rows, true),
        Format::Table if rows.is_empty() && io::stdout().is_terminal() => writeln!(out, "nothing found"),
        Format::Table if rows.is_empty() => Ok(()),
        Format::Table => writeln!(out, "{}", rows_for_people(columns, rows)),
    })
}

/// Prints a part of what a person asked for under a heading; nothing where it is empty.
///
/// # Errors
/// Those of [`print`].
pub fn part(title: &str, columns: &[Column], rows: &[Value]) -> Result<(), Failure> {
    if rows.is_empty() {
        return Ok(());
    }
    print(|out| writeln!(out, "\n{title}\n{}", rows_for_people(columns, rows)))
}

/// Prints rows that come in one after the other: lines of text, JSON with one row a line, or CSV whose header
/// stands before the first.
///
/// # Errors
/// Those of [`print`].
pub fn follow(format: Format, columns: &[Column], rows: &[Value], first: bool) -> Result<(), Failure> {
    print(|out| match format {
        Format::Json => rows.iter().try_for_each(|row| writeln!(out, "{row}")),
        Format::Csv => csv(out, columns, rows, first),
        Format::Table => rows.iter().try_for_each(|row| {
            let cells: Vec<_> = columns.iter().map(|(_, path)| for_people(path, at(row, path))).collect();
            writeln!(out, "{}", cells.join("  ").trim_end())
        }),
    })
}

/// Prints one thing: a line for each field that has a value.
///
/// # Errors
/// Those of [`print`].
pub fn one(format: Format, columns: &[Column], row: &Value) -> Result<(), Failure> {
    print(|out| match format {
        Format::Json => json(out, row),
        Format::Csv => csv(out, columns, std::slice::from_ref(row), true),
        Format::Table => {
            let mut table = table(terminal_width());
            for (title, path) in columns {
                let text = for_people(path, at(row, path));
                if !text.is_empty() {
                    table.add_row([(*title).to_owned(), text]);
                }
            }
            writeln!(out, "{}", trimmed(&table))
        }
    })
}

/// Whether nobody reads the output any more, for a verb that waits before it writes again.
pub fn is_unread() -> bool {
    let out = io::stdout();
    let mut looked = [PollFd::new(&out, PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut looked, Some(&now)).is_ok() && looked[0].revents().intersects(PollFlags::ERR | PollFlags::HUP)
}

/// Says what was done: in words to a person, as the thing itself to a program.
///
/// # Errors
/// Those of [`print`].
pub fn done(format: Format, text: &str, columns: &[Column], row: &Value) -> Result<(), Failure> {
    match format {
        Format::Table => say(text),
        Format::Json | Format::Csv => one(format, columns, row),
    }
}

/// Says one line to a person.
///
/// # Errors
/// Those of [`print`].
pub fn say(text: &str) -> Result<(), Failure> {
    print(|out| writeln!(out, "{}", shared::show::line(text)))
}

/// Says one line beside the output, on standard error; one that is closed is no reason to stop.
pub fn remark(text: &str) {
    let _ = writeln!(io::stderr(), "{}", shared::show::line(text));
}

fn json(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)
}

/// Where a terminal is too narrow the ids go first: people call things by their names.
const IDS: Column = ("ID", "id");

fn rows_for_people(columns: &[Column], rows: &[Value]) -> String {
    let Some(width) = terminal_width() else { return filled(columns, rows, None) };
    let all = filled(columns, rows, None);
    match columns.split_last() {
        _ if fits(&all, width) => all,
        Some((&IDS, rest)) if !rest.is_empty() => {
            let without = filled(rest, rows, Some(width));
            format!("{without}\nids: on a wider terminal, or with --output csv")
        }
        _ => filled(columns, rows, Some(width)),
    }
}

/// A table of the columns that have a value in some row.
fn filled(columns: &[Column], rows: &[Value], width: Option<u16>) -> String {
    let cells = |column: &Column| rows.iter().map(|row| for_people(column.1, at(row, column.1))).collect::<Vec<_>>();
    let filled: Vec<(&str, Vec<String>)> = columns.iter().map(|column| (column.0, cells(column))).collect();
    let filled: Vec<_> = filled.into_iter().filter(|(_, cells)| cells.iter().any(|cell| !cell.is_empty())).collect();
    let mut table = table(width);
    table.set_header(filled.iter().map(|(title, _)| *title));
    for row in 0..rows.len() {
        table.add_row(filled.iter().map(|(_, cells)| cells[row].as_str()));
    }
    trimmed(&table)
}

fn fits(text: &str, width: u16) -> bool {
    text.lines().all(|line| line.chars().count() <= usize::from(width))
}

/// Columns of the terminal that the output goes to. One that does not know (a serial line, a container's) says 0.
fn terminal_width() -> Option<u16> {
    let out = io::stdout();
    let size = out.is_terminal().then(|| rustix::termios::tcgetwinsize(&out).ok()).flatten()?;
    (size.ws_col > 0).then_some(size.ws_col)
}

/// An empty table; one that has a width wraps its cells.
fn table(width: Option<u16>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    match width {
        Some(width) => table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width),
        None => table.set_content_arrangement(ContentArrangement::Disabled),
    };
    table
}

/// Without what pads each line on both sides.
fn trimmed(table: &Table) -> String {
    let lines = table.lines().map(|line| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned());
    lines.collect::<Vec<_>>().join("\n")
}

/// The value at a dotted path.
fn at<'a>(row: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(row, |value, name| value.get(name)).filter(|value| !value.is_null())
}

fn for_people(path: &str, value: Option<&Value>) -> String {
    let Some(value) = value else { return String::new() };
    let name = last(path);
    match value {
        Value::Number(number) if is_time(name) => number.as_i64().map_or_else(String::new, time),
        Value::Number(number) if name == "size" || name.ends_with("_bytes") => {
            number.as_i64().map_or_else(String::new, bytes)
        }
        other => shared::show::line(&plain(other)).into_owned(),
    }
}

/// The name at the end of a dotted path.
fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
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
            | "since"
    )
}

/// A time as people read it, UTC, to the second.
pub fn time(micros: i64) -> String {
    jiff::Timestamp::from_microsecond(micros)
        .map_or_else(|_| micros.to_string(), |t| t.strftime("%Y-%m-%d %H:%M:%SZ").to_string())
}

/// A time as programs read it, UTC (RFC 3339), with the parts of a second that there are.
fn rfc_3339(micros: i64) -> String {
    jiff::Timestamp::from_microsecond(micros).map_or_else(|_| micros.to_string(), |time| time.to_string())
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

fn csv(out: &mut dyn Write, columns: &[Column], rows: &[Value], header: bool) -> io::Result<()> {
    // Into memory first: the writer's own errors would hide that the reader has gone away.
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    if header {
        writer.write_record(columns.iter().map(|(_, path)| *path))?;
    }
    for row in rows {
        writer.write_record(columns.iter().map(|(_, path)| cell(path, at(row, path))))?;
    }
    out.write_all(&writer.into_inner().map_err(io::Error::other)?)
}

/// A CSV cell: text that a spreadsheet would take for a formula is defused, numbers stay numbers but for times.
fn cell(path: &str, value: Option<&Value>) -> String {
    match value {
        None => String::new(),
        Some(Value::Number(number)) if is_time(last(path)) => number.as_i64().map_or_else(String::new, rfc_3339),
        Some(Value::Number(number)) => number.to_string(),
        Some(value) => shared::show::cell(&plain(value)).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn formulas_are_defused_and_numbers_are_not() {
        assert_eq!(cell("x", Some(&json!("=1+1"))), "'=1+1");
        assert_eq!(cell("x", Some(&json!("＝1+1"))), "'＝1+1");
        assert_eq!(cell("x", Some(&json!("'x"))), "''x");
        assert_eq!(cell("x", Some(&json!("\r=1\u{1b}[31m"))), "'\\u{d}=1\\u{1b}[31m");
        assert_eq!(cell("x", Some(&json!(-5))), "-5");
        assert_eq!(cell("x", None), "");
        assert_eq!(cell("observed.last_seen", Some(&json!(1_700_000_000_250_000_i64))), "2023-11-14T22:13:20.25Z");
        assert_eq!(cell("changed", Some(&json!(0))), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn a_table_keeps_its_columns_and_leaves_out_the_empty_ones() {
        let columns = [("NAME", "name"), ("OWNER", "owner"), ("MODEL", "model")];
        let rows = [json!({"name": "", "model": "X1"}), json!({"name": "laptop", "model": null})];
        assert_eq!(filled(&columns, &rows, None), "NAME    MODEL\n        X1\nlaptop");
        let rows = [json!({"name": "one two three", "model": "X1"})];
        assert_eq!(filled(&columns, &rows, Some(15)), "NAME    MODEL\none     X1\ntwo\nthree");
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
