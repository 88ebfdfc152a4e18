//! Shell completions, man pages and settings to start from, from the same definitions as the parser and the help.

use super::exit::{Code, Failure};
use super::output;
use clap::{CommandFactory, Subcommand};
use clap_complete::Shell;
use std::path::{Path, PathBuf};

/// Shell completions, man pages, settings to start from.
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
    /// Print the settings of the collector with every key explained and commented out.
    #[command(after_help = "Example:\n  muster docs config > /etc/muster/muster.toml")]
    Config,
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
        Verb::Config => output::print(|out| out.write_all(config().as_bytes())),
    }
}

/// The settings as `serve --help` has them, as a file in which the defaults hold until a line is uncommented. The
/// tables' heads are not comments: a key that is uncommented must not land in the table above.
fn config() -> String {
    let mut command = super::Cli::command();
    let help = command.find_subcommand_mut("serve").and_then(|serve| serve.get_after_help()).map(ToString::to_string);
    let mut text = String::from("# What `muster serve` does. These are the defaults; uncomment a line to change it.\n");
    text.push_str("# `muster doctor` tries this file, `systemctl restart muster` obeys it.\n\n");
    for line in help.unwrap_or_default().lines().skip(1).take_while(|line| !line.is_empty()) {
        let line = line.trim_start();
        text.push_str(if line.starts_with(['#', '[']) { "" } else { "# " });
        text.push_str(line);
        text.push('\n');
    }
    text
}

fn man(command: clap::Command, folder: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(command.disable_help_subcommand(true), folder))
        .map_err(|e| Failure::new(Code::Failed, format!("{}: {e}", folder.display())))
}

#[cfg(test)]
mod tests {
    use crate::config;

    #[test]
    fn the_settings_hold_with_and_without_their_comments() {
        let text = super::config();
        let read = |text: &str| config::parse(text, "muster.toml", |_| None).expect("settings");
        assert_eq!(read(&text), read(""));
        let (_, keys) = text.split_once("\n\n").expect("a head");
        let uncommented = keys.lines().map(|line| line.trim_start_matches("# ")).collect::<Vec<_>>().join("\n");
        let set = read(&uncommented.replace("HOST", "host.example"));
        assert_eq!((set.names[0].as_str(), set.limits), ("host.example", read("").limits));
    }
}
