//! `muster-agent seal`: forgets who this is, so that copies of the disk are machines of their own.

use super::output::{self, Format};
use crate::config::Config;
use crate::exit::{Code, Fail};
use crate::state::identity::Vault;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  muster-agent seal --yes         before a golden image is taken

Stop the service first. The collector keeps the agent until `muster agents revoke`. Ends with 2
without --yes.")]
pub struct Args {
    /// Yes, forget key, certificate and everything that waits to be sent.
    #[arg(long)]
    yes: bool,
}

pub fn seal(args: &Args, config: &Config, format: Format) -> Result<(), Fail> {
    if !args.yes {
        return Err(Fail::new(Code::Usage, "this forgets the agent's key for good; say so with --yes"));
    }
    let state = |error: crate::state::files::FileError| Fail::new(Code::State, error.to_string());
    let removed = Vault::open(&config.state_dir).map_err(state)?.seal().map_err(state)?;
    output::print(|out| match format {
        Format::Json => output::json(out, &serde_json::json!({"forgotten": removed})),
        Format::Csv => output::csv(out, ["forgotten"], removed.iter().map(|name| [name])),
        Format::Table if removed.is_empty() => writeln!(out, "nothing to forget in {}", config.state_dir.display()),
        Format::Table => writeln!(out, "forgotten in {}: {}", config.state_dir.display(), removed.join(", ")),
    })
}
