//! `muster-agent probe`: which probes there are; with `--tape`, the role *probe*: what only root may read, in a file
//! for the service that is not root.

use super::output::{self, Format};
use crate::config::Config;
use crate::exit::{Code, Fail};
use crate::log;
use crate::probes::{Every, PROBES};
use crate::root::{self, Told};
use crate::source::live::Live;
use crate::state::files;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

/// All of it takes no longer: a mount or a device that hangs must not hold root for ever.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  muster-agent probe
  muster-agent probe --output csv > probes.csv
  muster-agent probe --tape /run/muster-agent/root.tape     as root, at boot and every hour

The tape holds serial numbers, mounts, listening sockets and whose they are, and nothing else; at most 1 MiB, readable by
root and the folder's group. `muster-agent run` lays it over what it may read itself (`root_tape`), unless it
is of another boot or older than three hours.")]
pub struct Args {
    /// Write what only root may read to this file.
    #[arg(long, value_name = "FILE")]
    tape: Option<PathBuf>,
}

#[derive(serde::Serialize)]
struct Row {
    name: &'static str,
    every: &'static str,
    enabled: bool,
    /// What it cannot tell without root.
    needs_root_for: &'static str,
}

pub fn probe(args: &Args, config: &Config, format: Format) -> Result<(), Fail> {
    match &args.tape {
        None => list(config, format),
        Some(file) => tell(file),
    }
}

/// Records in a thread of its own, because a system call cannot be given a time limit; what hangs ends with the process.
fn tell(file: &Path) -> Result<(), Fail> {
    let (sender, receiver) = sync_channel(1);
    std::thread::spawn(move || {
        // Nobody listens any more after the time limit.
        let _ = sender.send(root::record(&Live));
    });
    let Told { tape, cut } = receiver.recv_timeout(TIMEOUT).map_err(|why| {
        let why = match why {
            RecvTimeoutError::Timeout => format!("reading took longer than {} s", TIMEOUT.as_secs()),
            RecvTimeoutError::Disconnected => "reading ended early".to_owned(),
        };
        Fail::new(Code::Failure, format!("{why}; the tape before it stays"))
    })?;
    if cut > 0 {
        log::warn(&format!("{}: {cut} answers do not fit into the tape and are left out", file.display()));
    }
    files::share(file, tape.to_text().as_bytes()).map_err(|error| Fail::new(Code::Failure, error.to_string()))
}

fn list(config: &Config, format: Format) -> Result<(), Fail> {
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
