//! The one door to the rules: who decides what, and in which order.
//!
//! The writer takes a [`Work`], loads what [`needs`] names, calls [`decide`] and applies the [`Decision`] in
//! one transaction. Everything here is pure; a lost race is settled by deciding again.

use crate::event::Actor;
use crate::work::{Act, Context, Decision, Known, Needs, Policy, Refusal, Row, Work, once};
use crate::{desk, register};

/// What must be known to decide a work.
pub fn needs(work: &Work, policy: &Policy) -> Needs {
    let needs = match work {
        Work::Report(report) => register::report::needs(report, policy),
        Work::Act { actor, act } => act_needs(actor, act),
        Work::Once { once, actor, act } => {
            Needs { once: Some((actor.clone(), once.key.clone())), ..act_needs(actor, act) }
        }
        Work::Tick => desk::triage::tick_needs(),
    };
    // Of the tickets that an asset was ever linked with, only those matter that are open.
    Needs { open_states: desk::process::open_states(), ..needs }
}

fn act_needs(actor: &Actor, act: &Act) -> Needs {
    if is_desk(act) { desk::needs(act) } else { register::needs(actor, act) }
}

/// What happened, decided from the work, what is known, and the moment.
///
/// # Errors
/// A [`Refusal`]: nothing is done.
pub fn decide(work: &Work, known: &Known, context: &mut Context) -> Result<Decision, Refusal> {
    let mut decision = match work {
        Work::Report(report) => register::report::decide(report, known, context),
        Work::Act { actor, act } => decide_act(actor, act, known, context),
        Work::Once { once, actor, act } => match once::before(once, known, context.now)? {
            Some(reply) => Ok(Decision::new(reply)),
            None => decide_act(actor, act, known, context).map(|mut decision| {
                once::keep(once, actor, act, context.now, &mut decision);
                decision
            }),
        },
        Work::Tick => desk::triage::tick(known, context).map(|mut decision| {
            decision.keep(Row::ForgetOnce(context.now.plus_secs(-once::KEPT_S)));
            decision
        }),
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

fn decide_act(actor: &Actor, act: &Act, known: &Known, context: &mut Context) -> Result<Decision, Refusal> {
    if is_desk(act) { desk::decide(actor, act, known, context) } else { register::decide(actor, act, known, context) }
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
