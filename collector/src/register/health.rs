//! When a fault holds and when it has passed.

use crate::desk::triage::Step;
use crate::register::model::{Fault, FaultState};
use crate::work::Policy;
use shared::unit::At;

/// What time alone makes of a fault.
pub fn by_time(fault: &Fault, now: At, policy: &Policy) -> Option<Step> {
    let state = match fault.state {
        FaultState::Pending if now.secs_since(fault.first) >= policy.fault_s => FaultState::Raised,
        FaultState::Passing if fault.good_since.is_some_and(|since| now.secs_since(since) >= policy.clear_s) => {
            FaultState::Cleared
        }
        _ => return None,
    };
    Some(Step { fault: Fault { state, ..fault.clone() }, was: Some(fault.state) })
}
