//! `muster-agent probe`: which probes there are.

use super::output::{self, Format};
use crate::config::Config;
use crate::exit::Fail;
use crate::probes::{Every, PROBES};

/// For `--help`.
pub const HELP: &str = "\
Examples:
  muster-agent probe
  muster-agent probe --output csv > probes.csv";

#[derive(serde::Serialize)]
struct Row {
    name: &'static str,
    every: &'static str,
    enabled: bool,
    /// What it cannot tell without root.
    needs_root_for: &'static str,
}

pub fn probe(config: &Config, format: Format) -> Result<(), Fail> {
    let row = |probe: &'static crate::probes::Probe| Row {
        name: probe.name,
        every: match probe.every {
            Every::Sample => "sample",
            Every::CheckIn => "check-in",
            Every::Hour => "hour",
        },
        enabled: !config.disabled.iter().any(|name| name == probe.name),
        needs_root_for: probe.needs,
    };
    let rows: Vec<Row> = PROBES.iter().map(row).collect();
    let enabled = |row: &Row| if row.enabled { "yes" } else { "no" };
    output::print(|out| match format {
        Format::Json => output::json(out, &rows),
        Format::Csv => {
            let lines = rows.iter().map(|row| [row.name, row.every, enabled(row), row.needs_root_for]);
            output::csv(out, ["name", "every", "enabled", "needs_root_for"], lines)
        }
        Format::Table => {
            writeln!(out, "{:16} {:9} {:8} NEEDS ROOT FOR", "PROBE", "EVERY", "ENABLED")?;
            rows.iter().try_for_each(|row| {
                let line = format!("{:16} {:9} {:8} {}", row.name, row.every, enabled(row), row.needs_root_for);
                writeln!(out, "{}", line.trim_end())
            })
        }
    })
}
