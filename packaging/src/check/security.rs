//! Whether the promises of security hold, one by one: real collectors and agents, each check in a folder of its own,
//! and one line for each with what was seen.
//!
//! A check is one function and one line in [`CHECKS`]; its number is the promise's. One that cannot be made on this
//! machine is skipped with the reason. Does not know the product from inside, but for its wire format and its files.

mod bombs;
mod certificates;
mod conduct;
mod copies;
mod enrollment;
mod house;
mod limits;
mod names;
mod payloads;
mod ports;
mod renewal;
pub(super) mod report;
mod rotation;
mod secrets;
mod server;
mod shown;
mod wire;

use super::promise::{self, Check, Seen};
use anyhow::Result;
use clap::Args;
use std::path::PathBuf;

/// Which checks, of which binaries, and how long.
#[derive(Debug, Clone, Args)]
pub struct Security {
    /// Only these checks.
    #[arg(long, value_delimiter = ',', value_name = "NUMBER,…")]
    only: Vec<u8>,
    /// Ten minutes of certificates that live a minute, instead of one minute of certificates that live six seconds.
    #[arg(long)]
    long: bool,
    /// A folder with `muster` and `muster-agent` to check instead of those that are built now.
    #[arg(long, value_name = "FOLDER")]
    binaries: Option<PathBuf>,
}

/// Every check, in the order in which they run.
const CHECKS: &[Check<Security>] = &[
    Check { number: 1, run: ports::certificates },
    Check { number: 2, run: conduct::claims },
    Check { number: 3, run: enrollment::request },
    Check { number: 4, run: server::impostors },
    Check { number: 5, run: enrollment::one_use },
    Check { number: 6, run: enrollment::refusals },
    Check { number: 7, run: renewal::keys },
    Check { number: 8, run: renewal::lost_answer },
    Check { number: 9, run: copies::clone },
    Check { number: 10, run: ports::routes },
    Check { number: 11, run: ports::crossed },
    Check { number: 12, run: conduct::revoked },
    Check { number: 13, run: rotation::rotation },
    Check { number: 20, run: payloads::injection },
    Check { number: 21, run: payloads::fields },
    Check { number: 23, run: secrets::placeholder },
    Check { number: 26, run: shown::names },
    Check { number: 40, run: bombs::bombs },
    Check { number: 41, run: limits::exact },
    Check { number: 47, run: conduct::liar },
    Check { number: 50, run: secrets::dump },
    Check { number: 51, run: ports::host },
    Check { number: 53, run: secrets::socket },
];

/// Runs them.
///
/// # Errors
/// A promise that does not hold, or nothing could be run.
pub fn run(security: &Security) -> Result<()> {
    tests::take_binaries_from(match &security.binaries {
        Some(folder) => folder.clone(),
        None => super::build(&["agent", "collector"])?,
    });
    promise::run(CHECKS, &security.only, security)
}
