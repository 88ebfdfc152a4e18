//! One record of a check-in, decided: identity, diff, health, lifecycle, triage, in this order.

use crate::work::{Context, Decision, Known, Needs, Refusal, Reply, Report};

/// What must be known to decide a report.
pub fn needs(report: &Report) -> Needs {
    Needs { agent: Some(report.agent), ..Needs::default() }
}

/// Decides a report.
///
/// # Errors
/// [`Refusal::Barred`], [`Refusal::Fork`].
pub fn decide(_report: &Report, _known: &Known, _context: &mut Context) -> Result<Decision, Refusal> {
    Ok(Decision::new(Reply::Done))
}
