//! `muster doctor`: looks at everything that a collector on this host needs, and says what to do.
//!
//! Changes nothing; works while the collector runs and while it does not. Each check is a line; a failed one does
//! not end the others.
//!
//! | file | knows |
//! | --- | --- |
//! | [`host`] | state directory, space, ports, clock |
//! | [`keys`] | the authority's files and the life of its certificates |
//! | [`running`] | the collector that runs, and its agents |
//! | [`promises`] | which promise is void here, and why |
//! | [`found`] | how a check came out |

mod found;
mod host;
mod keys;
mod promises;
mod running;

use super::exit::{Code, Failure};
use super::offline::{self, Settings};
use super::output::{self, Column, Format};
use crate::clock;
use crate::config::Config;
use crate::pki::files::{self, DEPLOYMENT};
use crate::serve::DATABASE;
use crate::store::{OpenError, check, disk};
use clap::Args;
use found::Found;
use serde_json::Value;
use shared::unit::At;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// What `muster doctor` may be told.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  muster doctor\n  muster doctor --deep\n  muster doctor --config /etc/muster/muster.toml --output json\n\nPASS is right, WARN works and wants a look, FAIL does not work; what to do stands beside it.\nExit codes: 0 no check failed (there may be warnings), 1 a check failed, 3 the settings are not right.\nRun it as the user of the collector, or as root."
)]
pub struct Doctor {
    #[command(flatten)]
    settings: Settings,
    /// Read every row of a large database too, now, as the collector does once a day.
    #[arg(long)]
    deep: bool,
}

const COLUMNS: &[Column] = &[("STATE", "state"), ("CHECK", "check"), ("FOUND", "found"), ("WHAT TO DO", "advice")];

/// What the checks of roots are called: of those that sign, and of the next or old ones beside them.
const ROOTS: [[(&str, &str); 2]; 2] = [
    [("keys of collectors", "certificates of collectors"), ("keys of agents", "certificates of agents")],
    [
        ("other keys of collectors", "other certificates of collectors"),
        ("other keys of agents", "other certificates of agents"),
    ],
];

type Checks = Vec<(&'static str, Found)>;

/// Runs the verb.
///
/// # Errors
/// [`Code::Failed`] if a check failed, [`Code::Config`] if it was the settings.
pub fn run(doctor: &Doctor, format: Format) -> Result<(), Failure> {
    let (checks, code) = match doctor.settings.read() {
        Ok(config) => (checks(&config, doctor.deep, clock::now()), Code::Failed),
        Err(failure) => {
            let found = Found::fail(failure.message, "correct it; nothing else was looked at");
            (vec![("config", found)], Code::Config)
        }
    };
    let rows: Vec<Value> = checks.iter().map(|(name, found)| found.row(name)).collect();
    output::list(format, COLUMNS, &rows)?;
    match checks.iter().filter(|(_, found)| matches!(found, Found::Fail(..))).count() {
        0 => Ok(()),
        1 => Err(Failure::new(code, "a check failed; what to do stands beside it")),
        failed => Err(Failure::new(code, format!("{failed} checks failed; what to do stands beside each"))),
    }
}

fn checks(config: &Config, deep: bool, now: At) -> Checks {
    let (collector, runs) = running::collector(&config.admin_socket);
    let called = config.names.first().map_or("", String::as_str);
    let mut checks = vec![("config", Found::pass(format!("good; agents call this collector {called}")))];
    checks.push(("collector", collector));
    ports(config, runs, &mut checks);
    checks.push(("state directory", host::state_dir(&config.state_dir)));
    if matches!(checks.last(), Some((_, Found::Fail(..)))) {
        return checks;
    }
    let space = disk::space(&config.state_dir);
    checks.push((
        "free space",
        space.map_or_else(|error| Found::denied(&error), |space| host::space(&space, disk::ballast(&config.state_dir))),
    ));
    let path = offline::database(config);
    checks.push(("database", database(&path, deep)));
    checks.extend(promises::all(config, &path, now));
    checks.push(("clock", host::clock(&path, now)));
    authority(&config.state_dir.join(files::FOLDER), now, &mut checks);
    if runs == Some(true) {
        checks.extend(running::agents(&config.admin_socket));
    }
    checks
}

fn ports(config: &Config, runs: Option<bool>, checks: &mut Checks) {
    let [agents, web] = match runs {
        Some(false) => {
            [host::is_free("agent_listen", config.agent_listen), host::is_free("web_listen", config.web_listen)]
        }
        _ => host::bound(config).map(host::answers),
    };
    checks.extend([("agents' port", agents), ("web port", web)]);
}

fn authority(pki: &Path, now: At, checks: &mut Checks) {
    if matches!(fs::symlink_metadata(pki.join(DEPLOYMENT)), Err(error) if error.kind() == ErrorKind::NotFound) {
        let database = pki.with_file_name(DATABASE);
        let lost = fs::metadata(&database).is_ok_and(|found| found.len() > 0);
        checks.push((
            "keys",
            if lost { keys::lost(pki, &database) } else { Found::pass("none yet; `muster serve` makes them") },
        ));
        return;
    }
    let state = match files::state(pki) {
        Ok(state) => state,
        Err(error) => return checks.push(("keys", keys::unreadable(&error))),
    };
    for (number, called) in [Some(state.present), state.other()].into_iter().flatten().zip(ROOTS) {
        for ((keys, end), file) in called.iter().zip(files::names(number)) {
            checks.push((keys, keys::private(&pki.join(&file))));
            checks.push((end, keys::certificate(&pki.join(&file), now)));
        }
    }
    checks.push(("rotation", keys::rotation(&state, now)));
}

/// A database of this size is read through in some seconds; a larger one only when that is asked for.
const READ_BYTES_MAX: u64 = 256 * 1024 * 1024;

fn database(path: &Path, deep: bool) -> Found {
    if let Some(bytes) =
        fs::metadata(path).ok().map(|found| found.len()).filter(|bytes| *bytes > READ_BYTES_MAX && !deep)
    {
        return Found::pass(format!("{} MiB, not read through; `muster doctor --deep` does", bytes / (1024 * 1024)));
    }
    match check::file(path) {
        Ok(findings) => match findings.as_slice() {
            [] => Found::pass("whole"),
            [first, more @ ..] => Found::fail(
                if more.is_empty() { first.to_string() } else { format!("{first}; and {} more", more.len()) },
                "keep a copy, then `muster backup restore` the last good backup",
            ),
        },
        Err(OpenError::Missing(_)) => Found::pass("none yet; `muster serve` makes it"),
        Err(error) => {
            let text = error.to_string();
            let (found, advice) = text.split_once("; ").unwrap_or((&text, "look at the file"));
            Found::fail(found, advice)
        }
    }
}

#[cfg(test)]
mod tests;
