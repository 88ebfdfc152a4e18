//! The task runner: `cargo run -p packaging -- test` is what CI runs, `… -- package` makes the
//! packages, `… -- check NAME` runs a long check.
//!
//! Knows: which commands make up a check, and in which order. Does not know what they check.
#![forbid(unsafe_code)]

mod check;
mod measure;
mod package;
mod test;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Muster's task runner.
#[derive(Parser)]
#[command(
    name = "packaging",
    after_help = "Examples:\n  cargo run -p packaging -- test\n  cargo run -p packaging -- golden"
)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Everything that must pass before a change lands: format, lints, build, all tests, licences.
    Test,
    /// Run the tests and rewrite what they compare with (OpenAPI, help, reports); review the diff.
    Golden,
    /// The packages of the agent and of the collector, as .deb and .rpm.
    Package(package::Package),
    /// A long check: prints its figures with PASS, FAIL or SKIP.
    #[command(subcommand)]
    Check(check::Check),
    /// Run a command once and print its CPU in µs and its peak memory in KiB.
    #[command(hide = true)]
    Measure {
        /// The command.
        #[arg(last = true)]
        argv: Vec<String>,
    },
}

fn main() -> ExitCode {
    let result = match Cli::parse().task {
        Task::Test => test::run(false),
        Task::Golden => test::run(true),
        Task::Package(package) => package::run(&package),
        Task::Check(check) => check::run(&check),
        Task::Measure { argv } => measure::child(&argv),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
