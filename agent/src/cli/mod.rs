//! The command line: one file per verb, each with its examples. Parser, help and completions come from the
//! same definitions.

mod check;
mod docs;
mod enroll;
mod once;
mod output;
mod probe;
mod record;
mod run;
mod seal;
mod show;
mod status;

use crate::config::{self, Config};
use crate::exit::{self, Code, Fail};
use crate::log;
use crate::source::Source;
use crate::source::live::{Live, Mounts};
use crate::source::overlay::Overlay;
use crate::state::files::FileError;
use crate::state::owner;
use clap::{Parser, Subcommand};
use output::Format;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Muster's agent: tells what this machine is, and how it fares.
#[derive(Debug, Parser)]
#[command(name = "muster-agent", version, propagate_version = true, after_help = exit::HELP, after_long_help = AFTER)]
pub struct Cli {
    /// The configuration; without it /etc/muster/agent.toml, if that is there.
    #[arg(long, global = true, value_name = "FILE", help_heading = "Everywhere")]
    config: Option<PathBuf>,
    /// The form of the output: table for people, json for programs, csv for spreadsheets.
    #[arg(long, global = true, value_enum, default_value_t = Format::Table, value_name = "FORM", hide_possible_values = true, help_heading = "Everywhere")]
    output: Format,
    #[command(subcommand)]
    verb: Verb,
}

const AFTER: &str = "\
Examples:
  muster-agent once                          what this machine would tell, without any collector
  muster-agent enroll --join join.json       join a collector; the file comes from `muster join create`
  muster-agent run                           the service
  muster-agent status                        who we are, and whether the collector hears us

Exit codes:
  0  done
  1  failure not named below
  2  wrong command line
  3  wrong configuration
  4  not enrolled
  5  refused by the collector
  6  collector out of reach
  7  collector not trusted (its certificate is not from the pinned CA, or names another host)
  8  state directory not usable (missing, not writable, in use, disk full, damaged)";

#[derive(Debug, Subcommand)]
enum Verb {
    /// Join a collector with a join file.
    Enroll(enroll::Args),
    /// Run as a service until told to stop.
    Run(run::Args),
    /// Print what this machine would tell, without any collector.
    Once(once::Args),
    /// List the probes and what they cannot tell without root; with --tape, tell that to the service.
    Probe(probe::Args),
    /// Print exactly what was last sent, or all that the collector was told.
    Show(show::Args),
    /// Tell who we are, when we last had contact, and what waits.
    #[command(after_help = status::HELP)]
    Status,
    /// Try configuration, state directory and the way to the collector.
    #[command(after_help = check::HELP)]
    Check,
    /// Record everything that the probes ask and are answered, as a tape.
    Record(record::RecordArgs),
    /// Print the report that a tape gives.
    Replay(record::ReplayArgs),
    /// Forget the identity, for a golden image.
    Seal(seal::Args),
    /// Shell completions, man pages, a configuration to start from.
    #[command(subcommand)]
    Docs(docs::Verb),
}

/// Runs a command line.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match config::load(cli.config.as_deref()).and_then(|config| verb(&cli.verb, &config, cli.output)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fail) => {
            log::error(&fail.text);
            ExitCode::from(fail.code as u8)
        }
    }
}

fn verb(verb: &Verb, config: &Config, format: Format) -> Result<(), Fail> {
    log::set_level(config.log);
    if matches!(verb, Verb::Run(_) | Verb::Show(_) | Verb::Status | Verb::Check | Verb::Seal(_)) {
        owner::become_owner(&config.state_dir)?;
    }
    match verb {
        Verb::Enroll(args) => enroll::enroll(args, config, format),
        Verb::Run(args) => run::run(args, config),
        Verb::Once(args) => once::once(args, config, format),
        Verb::Probe(args) => probe::probe(args, config, format),
        Verb::Show(args) => show::show(args, config),
        Verb::Status => status::status(config, format),
        Verb::Check => check::check(config, format),
        Verb::Record(args) => record::record(args, config),
        Verb::Replay(args) => record::replay(args, format),
        Verb::Seal(args) => seal::seal(args, config, format),
        Verb::Docs(verb) => docs::docs(verb),
    }
}

/// The machine; where we are not root, with what root told of it.
fn machine(config: &Config) -> Box<dyn Source> {
    match rustix::process::geteuid().is_root() {
        true => Box::new(Live),
        false => {
            let mounts = Mounts::default();
            let overlay = Overlay::new(Box::new(Live), config.root_tape.clone());
            Box::new(overlay.keep_mounts(move || mounts.may_differ()))
        }
    }
}

/// Runs a future on this thread alone.
fn block_on<T>(future: impl Future<Output = Result<T, Fail>>) -> Result<T, Fail> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Fail::new(Code::Failure, format!("cannot start: {error}")))?.block_on(future)
}

/// Why a file that was named on the command line cannot be read, and where one comes from.
fn unreadable(file: &Path, error: &FileError, advice: &str) -> Fail {
    let text = match error.is_absent() {
        true => format!("{}: there is no such file; {advice}", file.display()),
        false => error.to_string(),
    };
    Fail::new(Code::Failure, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definitions_hold_and_every_verb_has_an_example() {
        let mut command = Cli::command();
        command.build();
        command.clone().debug_assert();
        let lowest = |verb: &&clap::Command| verb.get_name() != "help" && !verb.has_subcommands();
        let nested = command.get_subcommands().filter(|verb| verb.get_name() != "help");
        let all = command.get_subcommands().chain(nested.flat_map(clap::Command::get_subcommands));
        for verb in all.filter(lowest) {
            let help = verb.clone().render_long_help().to_string();
            assert!(help.contains("Example"), "{}", verb.get_name());
        }
        assert!(AFTER.ends_with(exit::HELP));
    }
}
