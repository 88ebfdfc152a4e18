//! `muster-agent probe`: which probes there are.

use super::output::{self, Format};
use crate::config::Config;
use crate::exit::Fail;
use crate::probes::{Every, PROBES};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  muster-agent probe --output csv")]
pub struct Args {
    /// The form of the output.
    #[arg(long, value_enum, default_value_t = Format::Table, value_name = "FORM")]
    output: Format,
}

#[derive(serde::Serialize)]
struct Row {
    name: &'static str,
    every: &'static str,
    enabled: bool,
    /// What it cannot tell without root.
    needs_root_for: &'static str,
}

pub fn probe(args: &Args, config: &Config) -> Result<(), Fail> {
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
    output::print(|out| match args.output {
        Format::Json => {
            serde_json::to_writer_pretty(&mut *out, &rows)?;
            writeln!(out)
        }
        Format::Csv => {
            output::csv_line(out, &["name", "every", "enabled", "needs_root_for"])?;
            rows.iter()
                .try_for_each(|row| output::csv_line(out, &[row.name, row.every, enabled(row), row.needs_root_for]))
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
