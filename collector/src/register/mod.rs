//! What we own: pure rules about assets. Given what is known and what was reported, they say what
//! happened. They know no clock, no database and no randomness.

pub mod health;
pub mod model;
pub mod report;

use crate::event::Actor;
use crate::work::{Act, Context, Decision, Known, Needs, Refusal, Reply};

/// What must be known to decide an act of the register.
pub fn needs(_act: &Act) -> Needs {
    Needs::default()
}

/// Decides an act of the register.
///
/// # Errors
/// A [`Refusal`]: nothing is done.
pub fn decide(_actor: &Actor, _act: &Act, _known: &Known, _context: &mut Context) -> Result<Decision, Refusal> {
    Ok(Decision::new(Reply::Done))
}
