//! When a step of a rotation of the certificate authority would lock agents out, and what is told of it. Keys and
//! files are not known here, nor what the step does to them.

use crate::event::{Actor, Event};
use crate::work::{Decision, Refusal, Reply};

/// Agents that a refusal names.
const NAMED: usize = 5;

/// Whom a step would lock out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing<'a> {
    /// Agents that may speak and have the roots that the step relies on.
    pub ready: u64,
    /// Those that have not, and whose certificate is good: they would be locked out.
    pub behind: u64,
    /// The first of those by name.
    pub names: &'a [String],
    /// Seconds in which those that run have the roots.
    pub wait_s: u32,
}

/// What a step takes away from an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// The collector will show a certificate by roots that the agent does not know.
    Activate,
    /// The collector will not trust the agent's certificate.
    Retire,
}

/// Why the step waits, if it does.
pub fn too_early(loss: Loss, standing: &Standing<'_>) -> Option<String> {
    if standing.behind == 0 {
        return None;
    }
    let all = standing.ready.saturating_add(standing.behind);
    let lack = match loss {
        Loss::Activate => "do not know the next server CA yet",
        Loss::Retire => "still have a certificate by the old agent CA",
    };
    let named = standing.names.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    let more = if standing.names.len() > NAMED { ", …" } else { "" };
    let wait_min = standing.wait_s.div_ceil(60);
    Some(format!(
        "{} of {all} agents {lack}: {named}{more}. Those that run are done within {wait_min} min, the others once they \
         are switched on: wait, or force it, which locks them out until they enroll again",
        standing.behind
    ))
}

/// Tells a step in the journal, or refuses it.
///
/// # Errors
/// [`Refusal::Conflict`] with what it was refused for.
pub fn decide(actor: &Actor, told: &Result<Box<Event>, String>) -> Result<Decision, Refusal> {
    let event = told.as_ref().map_err(|why| Refusal::Conflict(why.clone()))?;
    let mut decision = Decision::new(Reply::Done);
    decision.tell(actor, [], (**event).clone());
    Ok(decision)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_would_be_locked_out_is_counted_and_named() {
        let names: Vec<String> = (1..=6).map(|n| format!("host-{n}")).collect();
        let standing = |behind, names| Standing { ready: 334, behind, names, wait_s: 601 };
        assert_eq!(too_early(Loss::Activate, &standing(0, &[])), None);
        let why = too_early(Loss::Activate, &standing(6, &names)).expect("too early");
        assert_eq!(
            why,
            "6 of 340 agents do not know the next server CA yet: host-1, host-2, host-3, host-4, host-5, …. Those that \
             run are done within 11 min, the others once they are switched on: wait, or force it, which locks them out \
             until they enroll again"
        );
        let why = too_early(Loss::Retire, &standing(1, &names[..1])).expect("too early");
        assert!(
            why.starts_with("1 of 335 agents still have a certificate by the old agent CA: host-1. Those"),
            "{why}"
        );
    }
}
