//! How each of the rules' nouns lies in its table: one file per noun, which writes a row and reads it back.
//!
//! Knows columns. Does not know who asks, nor what a row means.

pub mod agent;
pub mod asset;
pub mod desk;
pub mod fault;
pub mod item;
pub mod once;
pub mod section;
pub mod software;
pub mod sweep;
pub mod token;

use super::cells::one;
use super::engine::{Cell, Engine, Error, Sql};
use crate::event::Subject;
use std::fmt::Display;

/// That a row is missing that another one is evidence of.
///
/// It is one of the database, as a flipped bit in a key makes them: nobody takes rows away by hand.
pub fn lost(table: &'static str, of: impl Display) -> Error {
    Error::Damaged { table, what: format!("the row of {of} is missing") }
}

/// That a thing that was not found never was: no event is about it.
///
/// # Errors
/// [`Error::Damaged`] where one is.
fn unknown(engine: &mut dyn Engine, table: &'static str, subject: &Subject) -> Result<(), Error> {
    let sql = Sql("select 1 from journal_subject where subject = ?1 limit 1");
    match one(engine, sql, &[subject.to_string().into()], |_| Ok(()))? {
        Some(()) => Err(lost(table, subject)),
        None => Ok(()),
    }
}

/// Writes a row that has a revision: as new with revision 1, or over the revision before.
///
/// # Errors
/// [`Error::Raced`] if another revision is held.
fn put_rev(engine: &mut dyn Engine, sql: Sql, params: &[Cell]) -> Result<(), Error> {
    match engine.run(sql, params)? {
        0 => Err(Error::Raced),
        _ => Ok(()),
    }
}
