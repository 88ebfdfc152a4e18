//! `muster-agent seal`: forgets who this is, so that copies of the disk are machines of their own.

use super::output::{self, Format};
use crate::config::Config;
use crate::exit::{Code, Fail};
use crate::state::files::FileError;
use crate::state::identity::Vault;
use crate::state::lock::Lock;
use std::path::Path;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  muster-agent seal --yes         before a golden image is taken

Stop the service first: a running agent keeps its state. The collector keeps the agent until
`muster agents revoke`. Ends with 2 without --yes.")]
pub struct Args {
    /// Yes, forget key, certificate and everything that waits to be sent.
    #[arg(long)]
    yes: bool,
}

pub fn seal(args: &Args, config: &Config, format: Format) -> Result<(), Fail> {
    if !args.yes {
        return Err(Fail::new(Code::Usage, "this forgets the agent's key for good; say so with --yes"));
    }
    let removed = if config.state_dir.exists() { forget(&config.state_dir)? } else { Vec::new() };
    output::print(|out| match format {
        Format::Json => output::json(out, &serde_json::json!({"forgotten": removed})),
        Format::Csv => output::csv(out, ["forgotten"], removed.iter().map(|name| [name])),
        Format::Table if removed.is_empty() => writeln!(out, "nothing to forget in {}", config.state_dir.display()),
        Format::Table => writeln!(out, "forgotten in {}: {}", config.state_dir.display(), removed.join(", ")),
    })
}

fn forget(dir: &Path) -> Result<Vec<&'static str>, Fail> {
    let _lock = Lock::take(dir)?;
    let state = |error: FileError| Fail::new(Code::State, error.to_string());
    Vault::open(dir).map_err(state)?.seal().map_err(state)
}
