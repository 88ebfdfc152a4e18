//! Whether a deployment stands what is done to it by mistake or on purpose: floods, slow connections, herds, bad links,
//! wrong clocks, hostile files, other versions. Real collectors and agents, each check in a folder of its own, and one
//! line for each with its figure.
//!
//! A check is one function and one line in [`CHECKS`]; its number is the promise's. One that cannot be made on this
//! machine is skipped with the reason.

mod agents;
mod clocks;
mod crowd;
mod files;
mod flood;
mod herd;
mod idle;
mod links;
mod versions;

use super::promise::{self, Check, Seen};
use anyhow::{Context, Result};
use clap::Args;
use std::path::PathBuf;

/// Which checks, of which binaries, and how long.
#[derive(Debug, Clone, Args)]
pub struct Abuse {
    /// Only these checks.
    #[arg(long, value_delimiter = ',', value_name = "NUMBER,…")]
    only: Vec<u8>,
    /// A folder with `muster` and `muster-agent` to check instead of those that are built now.
    #[arg(long, value_name = "FOLDER")]
    binaries: Option<PathBuf>,
    /// How long bad links and idle agents are watched, in minutes.
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// How many agents come back after a restart.
    #[arg(long, default_value_t = 2000)]
    agents: usize,
}

impl Abuse {
    fn binary(&self, name: &str) -> Result<PathBuf> {
        Ok(self.binaries.as_ref().context("binaries")?.join(name))
    }
}

/// Every check, in the order in which they run.
const CHECKS: &[Check<Abuse>] = &[
    Check { number: 30, run: files::listens },
    Check { number: 34, run: files::planted },
    Check { number: 44, run: crowd::idle_and_slow },
    Check { number: 45, run: flood::reports },
    Check { number: 46, run: flood::logins },
    Check { number: 52, run: audit },
    Check { number: 66, run: herd::restart },
    Check { number: 67, run: clocks::skewed },
    Check { number: 73, run: links::bad },
    Check { number: 74, run: versions::next },
    Check { number: 75, run: idle::cost },
];

/// 52: what cannot be looked at yet is said, not left out.
fn audit(_: &Abuse) -> Result<Seen> {
    Ok(Seen::Skip(
        "the journal has no chain of hashes yet".into(),
        "`muster audit verify` on an altered, swapped, cut or whole journal".into(),
    ))
}

/// Runs them.
///
/// # Errors
/// A promise that does not hold, or nothing could be run.
pub fn run(abuse: &Abuse) -> Result<()> {
    if cfg!(debug_assertions) && abuse.binaries.is_none() {
        return super::as_released();
    }
    // Thousands of agents in one process would fill the screen.
    agent::log::set_level(agent::log::Level::Error);
    let mut abuse = abuse.clone();
    if abuse.binaries.is_none() {
        abuse.binaries = Some(super::build(&["agent", "collector"])?);
    }
    promise::run(CHECKS, &abuse.only.clone(), &abuse)
}
