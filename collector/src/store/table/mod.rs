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

use super::engine::{Cell, Engine, Error, Sql};

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
