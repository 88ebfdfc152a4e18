//! `muster-agent docs`: shell completions, man pages and a configuration to start from, from the same definitions
//! as the parser and the help.

use super::{Cli, output};
use crate::exit::{Code, Fail};
use clap::CommandFactory;
use clap_complete::Shell;
use std::path::{Path, PathBuf};

/// Shell completions, man pages, a configuration to start from.
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
    /// Print a configuration with every key explained and commented out.
    #[command(after_help = "\
Example:
  muster-agent docs config > /etc/muster/agent.toml")]
    Config,
}

pub fn docs(verb: &Verb) -> Result<(), Fail> {
    match verb {
        Verb::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "muster-agent", &mut text);
            output::print(|out| out.write_all(&text))
        }
        Verb::Man { folder } => man(folder),
        Verb::Config => output::print(|out| out.write_all(config().as_bytes())),
    }
}

/// The settings as `run --help` has them, as a file in which the defaults hold until a line is uncommented.
fn config() -> String {
    let mut command = Cli::command();
    let help = command.find_subcommand_mut("run").and_then(|run| run.get_after_help()).map(ToString::to_string);
    let mut text = String::from("# What muster-agent does. These are the defaults; uncomment a line to change it.\n");
    text.push_str("# `muster-agent check` tries this file, `systemctl restart muster-agent` obeys it.\n\n");
    for line in help.unwrap_or_default().lines().skip(1).take_while(|line| !line.is_empty()) {
        let line = line.trim_start();
        text.push_str(if line.starts_with('#') { "" } else { "# " });
        text.push_str(line);
        text.push('\n');
    }
    text
}

fn man(folder: &Path) -> Result<(), Fail> {
    std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(Cli::command().disable_help_subcommand(true), folder))
        .map_err(|error| Fail::new(Code::Failure, format!("{}: {error}", folder.display())))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_configuration_has_every_key_and_holds_with_and_without_its_comments() {
        let text = super::config();
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("agent.toml");
        let read = |text: &str| {
            std::fs::write(&file, text).expect("written");
            crate::config::load(Some(&file)).unwrap_or_else(|fail| panic!("{fail}\n{text}"))
        };
        assert_eq!(read(&text), crate::config::Config::default());
        let (head, keys) = text.split_once("\n\n").expect("a head");
        assert!(head.lines().all(|line| line.starts_with("# ")));
        let uncommented = keys.lines().map(|line| line.trim_start_matches("# ")).collect::<Vec<_>>().join("\n");
        let set = read(&uncommented);
        assert_eq!((set.checkin_s, set.proxy.as_deref()), (Some(300), Some("http://host:port")));
        for key in crate::config::KEYS {
            assert!(keys.lines().any(|line| line.trim_start_matches("# ").starts_with(&format!("{key} = "))), "{key}");
        }
    }
}
