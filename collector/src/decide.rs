//! The one door to the rules: who decides what, and in which order.
//!
//! The writer takes a [`Work`], loads what [`needs`] names, calls [`decide`] and applies the [`Decision`] in
//! one transaction. Everything here is pure; a lost race is settled by deciding again.

use crate::work::{Act, Context, Decision, Known, Needs, Refusal, Work};
use crate::{desk, register};

/// What must be known to decide a work.
pub fn needs(work: &Work) -> Needs {
    match work {
        Work::Report(report) => register::report::needs(report),
        Work::Act { act, .. } if is_desk(act) => desk::needs(act),
        Work::Act { act, .. } => register::needs(act),
        Work::Tick => desk::triage::tick_needs(),
    }
}

/// What happened, decided from the work, what is known, and the moment.
///
/// # Errors
/// A [`Refusal`]: nothing is done.
pub fn decide(work: &Work, known: &Known, context: &mut Context) -> Result<Decision, Refusal> {
    let mut decision = match work {
        Work::Report(report) => register::report::decide(report, known, context),
        Work::Act { actor, act } if is_desk(act) => desk::decide(actor, act, known, context),
        Work::Act { actor, act } => register::decide(actor, act, known, context),
        Work::Tick => desk::triage::tick(known, context),
    }?;
    if let Some(moved) = decision.faults.take() {
        let (asset, steps) = *moved;
        desk::triage::triage(&asset, steps, known, context, &mut decision);
    }
    for custody in std::mem::take(&mut decision.custody) {
        desk::quarantine::follow(&custody, known, context, &mut decision);
    }
    Ok(decision)
}

/// Whether the desk decides it; the register decides the rest.
fn is_desk(act: &Act) -> bool {
    matches!(
        act,
        Act::OpenTicket(_)
            | Act::EditTicket { .. }
            | Act::MoveTicket { .. }
            | Act::CommentTicket { .. }
            | Act::AddLink { .. }
            | Act::RemoveLink { .. }
    )
}
