//! Faults become incidents: opened once, counted, resolved by their rule.

use crate::register::model::{Asset, Fault, FaultState};
use crate::work::{Context, Decision, Known, Needs, Refusal, Reply};

/// A fault that a report or the time moved or told again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// As it is from now on.
    pub fault: Fault,
    /// Where it stood before; none when it is new.
    pub was: Option<FaultState>,
}

/// Decides what the desk does about the faults of one asset, after the register decided where they stand.
/// Keeps each fault's row (with the incident opened for it) and adds to `decision`.
pub fn triage(_asset: &Asset, _steps: Vec<Step>, _known: &Known, _context: &mut Context, _decision: &mut Decision) {}

/// What must be known when time has passed.
pub fn tick_needs() -> Needs {
    Needs { waiting_faults: true, numbers: true, ..Needs::default() }
}

/// Decides what time alone brings about: faults that held or passed for long enough.
///
/// # Errors
/// None today.
pub fn tick(_known: &Known, _context: &mut Context) -> Result<Decision, Refusal> {
    Ok(Decision::new(Reply::Done))
}
