//! Shell completions and man pages, from the same definitions as the parser.

use super::exit::{Code, Failure};
use super::output;
use clap::{CommandFactory, Subcommand};
use clap_complete::Shell;
use std::path::{Path, PathBuf};

/// Shell completions and man pages.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Print the completions of a shell.
    #[command(after_help = "Example:\n  muster docs completions bash > /etc/bash_completion.d/muster")]
    Completions {
        /// Which shell.
        shell: Shell,
    },
    /// Write a man page for each verb into a folder, which is made if it is not there.
    #[command(after_help = "Example:\n  muster docs man /usr/local/share/man/man1 && man muster-assets-list")]
    Man {
        /// The folder.
        folder: PathBuf,
    },
}

/// Runs the verb.
///
/// # Errors
/// A folder that cannot be written to.
pub fn run(verb: &Verb) -> Result<(), Failure> {
    let mut command = super::Cli::command();
    match verb {
        Verb::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(*shell, &mut command, "muster", &mut text);
            output::print(|out| out.write_all(&text))
        }
        Verb::Man { folder } => man(command, folder),
    }
}

fn man(command: clap::Command, folder: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(command.disable_help_subcommand(true), folder))
        .map_err(|e| Failure::new(Code::Failed, format!("{}: {e}", folder.display())))
}
