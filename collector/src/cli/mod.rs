//! The command line: verbs that are clients of the public API, one file per noun, and verbs that work on
//! this host without a collector running (serve, quickstart, doctor, migrate, backup).
//!
//! Parser, `--help`, completions and man pages all come from the definitions here and in the nouns' files.

pub mod agents;
pub mod assets;
pub mod backup;
pub mod ca;
pub mod client;
pub mod docs;
pub mod doctor;
pub mod events;
pub mod exit;
pub mod join;
pub mod links;
pub mod migrate;
pub mod new_file;
pub mod offline;
pub mod output;
pub mod quickstart;
pub mod serve;
pub mod software;
pub mod tickets;
pub mod token;

use clap::{Parser, Subcommand};
use client::{Client, Target};
use exit::{Code, Failure};
use output::Format;
use std::process::ExitCode;

/// Muster: the register of every machine you own, because the machines themselves say so.
#[derive(Debug, Parser)]
#[command(name = "muster", version, propagate_version = true, after_help = exit::HELP, after_long_help = AFTER)]
pub struct Cli {
    #[command(flatten)]
    target: Target,
    /// The form of the output: table for people, json for programs, csv for spreadsheets.
    #[arg(long, global = true, value_enum, default_value_t = Format::Table, value_name = "FORM", hide_possible_values = true, help_heading = "Everywhere")]
    output: Format,
    #[command(subcommand)]
    verb: Verb,
}

const AFTER: &str = "\
Examples:
  muster quickstart                                  try it: collector and agent on this machine
  muster assets list --os debian --software 'openssl<3.0.15'
  muster assets show laptop-17
  muster tickets list --open
  muster join create --ttl 24h --uses 50 --file join.json

Exit codes:
  0  done, or whoever read the output has gone away
  1  failed, and no other code fits
  2  wrong command line, or a value that is not taken
  3  wrong configuration
  4  collector not reachable
  5  not allowed: no token, a wrong one, or one without the scope
  6  no such thing
  7  conflict: it cannot be so, exists already, or somebody else was faster
  8  database not usable: newer, damaged, in use, full
  9  address or port not usable";

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the collector in the foreground.
    Serve(serve::Serve),
    /// Try Muster: a collector and an agent on this machine, in one folder.
    Quickstart(quickstart::Quickstart),
    /// Look at all that a collector on this host needs.
    Doctor(doctor::Doctor),
    /// Bring the database to the schema of this version.
    Migrate(migrate::Migrate),
    /// Make, check and put back copies of the database.
    Backup(backup::Backup),
    /// The machines in the register.
    #[command(subcommand)]
    Assets(assets::Verb),
    /// The software on them.
    #[command(subcommand)]
    Software(software::Verb),
    /// The agents that report.
    #[command(subcommand)]
    Agents(agents::Verb),
    /// Tokens by which agents join.
    #[command(subcommand)]
    Join(join::Verb),
    /// Incidents, requests, problems and changes.
    #[command(subcommand)]
    Tickets(tickets::Verb),
    /// Links between assets, tickets and other tools.
    #[command(subcommand)]
    Links(links::Verb),
    /// What happened.
    #[command(subcommand)]
    Events(events::Verb),
    /// Tokens for the API.
    #[command(subcommand)]
    Token(token::Verb),
    /// The certificate authority, and its rotation.
    #[command(subcommand)]
    Ca(ca::Verb),
    /// Shell completions, man pages, settings to start from.
    #[command(subcommand)]
    Docs(docs::Verb),
}

/// What a verb has at hand.
pub struct Session {
    /// The collector.
    pub client: Client,
    /// The form of the output.
    pub format: Format,
}

/// Parses the command line, runs the verb and gives the exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    // Errs only if a provider is there already, which then is this one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.end(),
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    match &cli.verb {
        Verb::Serve(serve) => return serve::run(serve),
        Verb::Quickstart(quickstart) => return quickstart::run(quickstart, cli.output),
        Verb::Doctor(doctor) => return doctor::run(doctor, cli.output),
        Verb::Migrate(migrate) => return migrate::run(migrate, cli.output),
        Verb::Backup(backup) => return backup::run(backup, cli.output),
        Verb::Docs(verb) => return docs::run(verb),
        _ => {}
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::new(Code::Failed, format!("cannot start: {e}")))?;
    let session = Session { client: Client::new(&cli.target)?, format: cli.output };
    runtime.block_on(async {
        match cli.verb {
            Verb::Assets(verb) => assets::run(&session, verb).await,
            Verb::Software(verb) => software::run(&session, verb).await,
            Verb::Agents(verb) => agents::run(&session, verb).await,
            Verb::Join(verb) => join::run(&session, verb).await,
            Verb::Tickets(verb) => tickets::run(&session, verb).await,
            Verb::Links(verb) => links::run(&session, verb).await,
            Verb::Events(verb) => events::run(&session, verb).await,
            Verb::Token(verb) => token::run(&session, verb).await,
            Verb::Ca(verb) => ca::run(&session, verb).await,
            Verb::Serve(_)
            | Verb::Quickstart(_)
            | Verb::Doctor(_)
            | Verb::Migrate(_)
            | Verb::Backup(_)
            | Verb::Docs(_) => Ok(()),
        }
    })
}

/// Rows in one page: what the API gives at most.
const PAGE_ROWS: usize = 500;

/// All rows of a list, page by page, up to a limit.
///
/// # Errors
/// What the collector answered.
pub async fn pages(
    session: &Session,
    path: &str,
    params: &[(&str, String)],
    limit: Option<usize>,
) -> Result<Vec<serde_json::Value>, Failure> {
    let limit = limit.unwrap_or(usize::MAX);
    let mut rows = Vec::new();
    let mut cursor: Option<String> = None;
    while rows.len() < limit {
        let mut asked = params.to_vec();
        asked.push(("limit", PAGE_ROWS.min(limit - rows.len()).to_string()));
        if let Some(cursor) = &cursor {
            asked.push(("cursor", cursor.clone()));
        }
        let mut body = session.client.get(path, &asked).await?.body;
        let next = body.get("next").and_then(serde_json::Value::as_str).map(str::to_owned);
        if let Some(serde_json::Value::Array(items)) = body.get_mut("items").map(serde_json::Value::take) {
            rows.extend(items);
        }
        match next {
            Some(next) if cursor.as_ref() != Some(&next) => cursor = Some(next),
            _ => break,
        }
    }
    Ok(rows)
}

/// Whether a text is an id: a UUID as text.
pub fn is_id(text: &str) -> bool {
    text.len() == 36 && uuid::Uuid::try_parse(text).is_ok()
}

/// Refuses what is no id, before it becomes a part of a path.
///
/// # Errors
/// [`Code::NotFound`], with the verb that lists ids.
pub fn only_id<'a>(what: &str, text: &'a str, listed_by: &str) -> Result<&'a str, Failure> {
    if is_id(text) {
        return Ok(text);
    }
    Err(Failure::new(Code::NotFound, format!("no {what} {text:?}; `{listed_by}` shows their ids")))
}

/// An answer without one of its fields: a secret that went to a file goes nowhere else.
fn without(mut body: serde_json::Value, field: &str) -> serde_json::Value {
    if let Some(map) = body.as_object_mut() {
        map.remove(field);
    }
    body
}

/// A span of time as people write it: `90s`, `15m`, `24h`, `7d`.
///
/// # Errors
/// Anything else.
pub fn seconds(text: &str) -> Result<u64, Failure> {
    let bad = || Failure::new(Code::Usage, format!("{text:?} is not a span of time: write 90s, 15m, 24h or 7d"));
    let split = text.len().checked_sub(1).filter(|i| text.is_char_boundary(*i)).ok_or_else(bad)?;
    let (number, unit) = text.split_at(split);
    let number: u64 = number.parse().map_err(|_| bad())?;
    let unit_s = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(bad()),
    };
    number.checked_mul(unit_s).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent_and_every_verb_has_an_example() {
        fn look(command: &clap::Command) {
            for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
                let help = verb.clone().render_long_help().to_string();
                assert!(verb.has_subcommands() || help.contains("Example"), "{}", verb.get_name());
                look(verb);
            }
        }
        let mut command = Cli::command();
        command.build();
        command.clone().debug_assert();
        look(&command);
    }

    #[test]
    fn exit_codes_are_told_alike() {
        let told = AFTER.split("Exit codes:").nth(1).unwrap_or_default();
        let numbers = |text: &str| text.matches(|c: char| c.is_ascii_digit()).collect::<String>();
        assert_eq!((numbers(told).as_str(), numbers(exit::HELP).as_str()), ("0123456789", "0123456789"));
    }

    #[test]
    fn spans_of_time_are_read() {
        assert_eq!(seconds("24h").map_err(|f| f.message), Ok(86_400));
        for text in ["", "h", "24", "1w", "é", "99999999999999999999d", "99999999999999999d"] {
            assert!(seconds(text).is_err(), "{text:?}");
        }
    }
}
