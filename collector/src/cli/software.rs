//! `muster software`: what is installed where.

use super::output::{self, Column};
use super::{Session, exit::Failure};
use clap::Subcommand;

/// The software in the register.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Find software by name: its versions, and how many assets have each.
    #[command(
        after_help = "Examples:\n  muster software find openssl\n  muster software find 'lib*ssl*' --output csv\nWho has it: muster assets list --software 'openssl<3.0.15'"
    )]
    Find {
        /// Name; `*` stands for anything.
        name: String,
        /// At most this many; all by default.
        #[arg(long)]
        limit: Option<usize>,
    },
}

const LIST: &[Column] = &[
    ("NAME", "name"),
    ("VERSION", "version"),
    ("ARCH", "arch"),
    ("MANAGER", "manager"),
    ("PUBLISHER", "publisher"),
    ("ASSETS", "assets"),
];

/// Runs the verb.
///
/// # Errors
/// What the collector answered.
pub async fn run(session: &Session, verb: Verb) -> Result<(), Failure> {
    let Verb::Find { name, limit } = verb;
    let rows = super::pages(session, "/v1/software", &[("name", name)], limit).await?;
    output::list(session.format, LIST, &rows)
}
