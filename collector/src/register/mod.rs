//! What we own: pure rules about assets. Given what is known and what was reported, they say what
//! happened. They know no clock, no database and no randomness.
//!
//! | module | knows |
//! | --- | --- |
//! | [`report`] | which records count, and what a report needs |
//! | `apply` | one report, from the asset it is about to the answer |
//! | [`sync`], [`packages`] | a part of a record against the rows held |
//! | [`identity`], [`score`], [`junk`] | which asset it is, and why |
//! | [`diff`], [`brief`], [`observe`] | what changed, in words and columns |
//! | [`health`] | where faults stand |
//! | [`quarantine`] | what happens to a key that two machines use |
//! | [`presence`] | how lately an asset was heard |

mod apply;
pub mod brief;
pub mod diff;
pub mod health;
pub mod identity;
pub mod junk;
pub mod model;
pub mod observe;
pub mod packages;
pub mod presence;
pub mod quarantine;
pub mod report;
pub mod score;
pub mod sync;
#[cfg(test)]
mod testing;

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
