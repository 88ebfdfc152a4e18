//! Forms of output: a table for people, JSON and CSV for programs. Every text is escaped where a terminal
//! would obey it.

use crate::collect::{self, Sections, table};
use crate::exit::{Code, Fail};
use crate::source::Source;
use clap::ValueEnum;
use serde::Serialize;
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
        Format::Json => collect::json::write(sections, out),
        Format::Csv => csv_report(sections, out),
    })
}

/// One line per item; what it has beyond its columns is in `attrs`, as JSON.
fn csv_report(sections: &Sections, out: &mut dyn Write) -> io::Result<()> {
    let header = ["section", "kind", "key", "label", "maker", "model", "serial", "size", "attrs"];
    let items = sections.iter().flat_map(|(name, section)| section.items.values().map(move |item| (name, item)));
    let lines = items.map(|(name, item)| {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let size = item.size.map(|size| size.to_string()).unwrap_or_default();
        let attrs = serde_json::to_string(&item.attrs).unwrap_or_default();
        let [label, maker, model, serial] = [&item.label, &item.maker, &item.model, &item.serial].map(text);
        [name.clone(), item.kind.to_string(), item.key.to_string(), label, maker, model, serial, size, attrs]
    });
    csv(out, header, lines)
}

/// CSV: a header, then lines. Text that a spreadsheet would take for a formula is defused.
pub fn csv<const N: usize, T: AsRef<str>>(
    out: &mut dyn Write,
    header: [&str; N],
    lines: impl IntoIterator<Item = [T; N]>,
) -> io::Result<()> {
    // Into memory first: the writer's own errors would hide that the reader has gone away.
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    writer.write_record(header)?;
    for line in lines {
        writer.write_record(line.iter().map(|cell| show::cell(cell.as_ref()).into_owned()))?;
    }
    out.write_all(&writer.into_inner().map_err(io::Error::other)?)
}

/// One JSON document.
pub fn json(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)
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
        csv(&mut out, ["a", "b"], [["b,c", "say \"x\""], ["=1+1", ""]]).expect("written");
        assert_eq!(String::from_utf8(out).expect("text"), "a,b\n\"b,c\",\"say \"\"x\"\"\"\n'=1+1,\n");
    }
}
