//! `muster-agent docs`: shell completions and man pages, from the same definitions as the parser.

use super::{Cli, output};
use crate::exit::{Code, Fail};
use clap::CommandFactory;
use clap_complete::Shell;
use std::path::{Path, PathBuf};

/// Shell completions and man pages.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Print the completions of a shell.
    #[command(after_help = "\
Example:
  muster-agent docs completions bash > /etc/bash_completion.d/muster-agent")]
    Completions {
        /// Which shell.
        shell: Shell,
    },
    /// Write a man page for each verb into a folder, which is made if it is not there.
    #[command(after_help = "\
Example:
  muster-agent docs man /usr/local/share/man/man1 && man muster-agent-enroll")]
    Man {
        /// The folder.
        folder: PathBuf,
    },
}

pub fn docs(verb: &Verb) -> Result<(), Fail> {
    match verb {
        Verb::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "muster-agent", &mut text);
            output::print(|out| out.write_all(&text))
        }
        Verb::Man { folder } => man(folder),
    }
}

fn man(folder: &Path) -> Result<(), Fail> {
    std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(Cli::command().disable_help_subcommand(true), folder))
        .map_err(|error| Fail::new(Code::Failure, format!("{}: {error}", folder.display())))
}
