//! `muster-agent completions`: for the shell.

use super::{Cli, output};
use crate::exit::Fail;
use clap::CommandFactory;
use clap_complete::Shell;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  muster-agent completions bash > /etc/bash_completion.d/muster-agent")]
pub struct Args {
    /// Which shell.
    shell: Shell,
}

pub fn completions(args: &Args) -> Result<(), Fail> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "muster-agent", &mut text);
    output::print(|out| out.write_all(&text))
}
