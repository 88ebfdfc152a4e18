//! Keeps what was decided: rows as they are from now on, events for the journal.
//!
//! Knows which table a row belongs to. Does not know why it is written.

use super::engine::{Engine, Error};
use super::journal::Journal;
use super::names::Names;
use super::table::software::Dictionary;
use super::table::{agent, asset, desk, fault, item, once, section, software, token};
use crate::work::{Decision, Known, Row};
use shared::id::CauseId;
use shared::unit::At;

/// Writes a decision inside the transaction; its events are numbered when that ends.
///
/// # Errors
/// [`Error`]; [`Error::Raced`] if a row was written by somebody else since it was loaded.
pub fn apply(
    engine: &mut dyn Engine,
    dictionary: &mut Dictionary,
    journal: &mut Journal,
    (known, decision): (&Known, &Decision),
    cause: CauseId,
    now: At,
) -> Result<(), Error> {
    for row in &decision.rows {
        put(engine, dictionary, row, now)?;
    }
    journal.tell(now, cause, &decision.events, &mut Names { engine, known, rows: &decision.rows })
}

fn put(engine: &mut dyn Engine, dictionary: &mut Dictionary, row: &Row, now: At) -> Result<(), Error> {
    match row {
        Row::Agent(row) => agent::put(engine, row),
        Row::Asset(row) => asset::put(engine, row),
        Row::Evidence(asset, evidence) => asset::put_evidence(engine, *asset, evidence),
        Row::Addresses(asset, addresses) => asset::put_addresses(engine, *asset, addresses),
        Row::Section(asset, section) => section::put(engine, *asset, section),
        Row::Items { asset, section, put, del, whole } => item::put(engine, *asset, section, put, del, *whole),
        Row::DropSection { asset, section } => section::drop(engine, *asset, section),
        Row::Software { asset, section, keep, add } => software::put(engine, dictionary, *asset, section, keep, add),
        Row::Fault(fault) => fault::put(engine, fault),
        Row::DropFault { fingerprint, .. } => fault::drop(engine, fingerprint),
        Row::Ticket(ticket) => desk::put_ticket(engine, ticket),
        Row::Counted { ticket, count, last_seen } => desk::count_ticket(engine, *ticket, *count, *last_seen),
        Row::Comment(comment) => desk::put_comment(engine, comment),
        Row::Link(link) => desk::put_link(engine, link),
        Row::Unlink(id) => desk::unlink(engine, *id),
        Row::JoinToken(token) => token::put_join(engine, token),
        Row::ApiToken(token) => token::put_api(engine, token),
        Row::Once(kept) => once::put(engine, kept),
        Row::ForgetOnce(before) => once::forget(engine, *before),
        Row::Held { agent, stream, record } => agent::put_held(engine, *agent, *stream, record, now),
    }
}
