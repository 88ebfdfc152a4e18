//! Forms of output: a table for people, JSON and CSV for programs. Every text is escaped where a terminal
//! would obey it.

use crate::collect::{Sections, json, table};
use crate::exit::{Code, Fail};
use crate::source::Source;
use clap::ValueEnum;
use shared::show;
use std::io::{self, BufWriter, Write};

/// The form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
    /// For spreadsheets.
    Csv,
}

/// Writes to standard output; a reader that has gone away ends it without complaint.
pub fn print(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Fail> {
    let mut out = BufWriter::new(io::stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Fail::new(Code::Failure, format!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Prints a report of what `source` told.
pub fn report(sections: &Sections, source: &dyn Source, format: Format) -> Result<(), Fail> {
    print(|out| match format {
        Format::Table => out.write_all(table::render(sections, source.user() == Ok(0)).as_bytes()),
        Format::Json => json::write(sections, out),
        Format::Csv => csv_report(sections, out),
    })
}

/// One line per item; what it has beyond its columns is in `attrs`, as JSON.
fn csv_report(sections: &Sections, out: &mut dyn Write) -> io::Result<()> {
    csv_line(out, &["section", "kind", "key", "label", "maker", "model", "serial", "size", "attrs"])?;
    for (name, section) in sections {
        for item in section.items.values() {
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            let size = item.size.map(|size| size.to_string()).unwrap_or_default();
            let attrs = serde_json::to_string(&item.attrs)?;
            let (label, maker) = (text(&item.label), text(&item.maker));
            let (model, serial) = (text(&item.model), text(&item.serial));
            csv_line(out, &[name, &item.kind, &item.key, &label, &maker, &model, &serial, &size, &attrs])?;
        }
    }
    Ok(())
}

/// One line of CSV (RFC 4180); text that a spreadsheet would take for a formula gets an apostrophe.
pub fn csv_line(out: &mut dyn Write, cells: &[&str]) -> io::Result<()> {
    for (i, cell) in cells.iter().enumerate() {
        let formula = if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
        let comma = if i > 0 { "," } else { "" };
        match cell.contains([',', '"', '\n', '\r']) {
            true => write!(out, "{comma}\"{formula}{}\"", cell.replace('"', "\"\""))?,
            false => write!(out, "{comma}{formula}{cell}")?,
        }
    }
    out.write_all(b"\r\n")
}

/// Lines of two columns, for people.
pub fn pairs(out: &mut dyn Write, pairs: &[(&str, String)]) -> io::Result<()> {
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    pairs.iter().try_for_each(|(name, value)| writeln!(out, "{name:width$}  {}", show::line(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_is_quoted_and_harmless() {
        let mut out = Vec::new();
        csv_line(&mut out, &["a", "b,c", "say \"x\"", "=1+1", ""]).expect("written");
        assert_eq!(String::from_utf8(out).expect("text"), "a,\"b,c\",\"say \"\"x\"\"\",'=1+1,\r\n");
    }
}
