//! What we promise: pure rules about tickets, their processes, links, and incidents from faults.

pub mod model;
pub mod triage;

use crate::event::Actor;
use crate::work::{Act, Context, Decision, Known, Needs, Refusal, Reply};

/// What must be known to decide an act of the desk.
pub fn needs(_act: &Act) -> Needs {
    Needs::default()
}

/// Decides an act of the desk.
///
/// # Errors
/// A [`Refusal`]: nothing is done.
pub fn decide(_actor: &Actor, _act: &Act, _known: &Known, _context: &mut Context) -> Result<Decision, Refusal> {
    Ok(Decision::new(Reply::Done))
}
