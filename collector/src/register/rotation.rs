//! When a step of a rotation of the certificate authority may be taken, whom it would lock out, and what is told of it.
//! Keys and files are not known here, nor what the step does to them.

use crate::event::{Actor, Event};
use crate::work::rotation::{Phase, Rotation, Standing, Step};
use crate::work::{Decision, Refusal, Reply};

/// Agents that a refusal names.
const NAMED: usize = 5;

/// Why the step is not taken, if it is not. Asked before anything is written for it, and again by [`decide`].
pub fn refusal(wanted: &Rotation) -> Option<String> {
    let (step, phase) = (wanted.step, wanted.phase);
    if step.starts() != phase {
        return Some(out_of_order(step, phase));
    }
    if wanted.force { None } else { too_early(step, &wanted.standing) }
}

fn out_of_order(step: Step, phase: Phase) -> String {
    let following = phase.following().name();
    match (step, phase) {
        (Step::Abandon, Phase::Activated) => {
            format!("the next roots sign already and cannot be abandoned: the step that follows is {following}")
        }
        (_, Phase::Prepared) => {
            format!("the roots are prepared: the step that follows is {following}, or abandon")
        }
        _ => format!("the roots are {}: the step that follows is {following}", phase.name()),
    }
}

/// Why the step waits, if it does.
pub fn too_early(step: Step, standing: &Standing) -> Option<String> {
    let lack = match step {
        Step::Prepare | Step::Abandon => return None,
        Step::Activate => "do not know the next server CA yet",
        Step::Retire => "still have a certificate by the old agent CA",
    };
    if standing.behind == 0 {
        return None;
    }
    let all = standing.ready.saturating_add(standing.behind);
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
/// [`Refusal::Conflict`]: it is not the step that follows, or it would lock agents out.
pub fn decide(actor: &Actor, wanted: &Rotation) -> Result<Decision, Refusal> {
    if let Some(why) = refusal(wanted) {
        return Err(Refusal::Conflict(why));
    }
    let Some(written) = &wanted.written else {
        return Err(Refusal::Conflict(format!("nothing was written for the step {}", wanted.step.name())));
    };
    let (revision, server, agents) = (written.revision, written.server.clone(), written.agents.clone());
    let (locked_out, names) = (wanted.standing.behind, wanted.standing.names.clone());
    let mut decision = Decision::new(Reply::Done);
    let event = match wanted.step {
        Step::Prepare => Event::CaPrepared { revision, server, agents },
        Step::Abandon => Event::CaAbandoned { revision, server, agents },
        Step::Activate => Event::CaActivated { revision, server, agents, locked_out, names },
        Step::Retire => Event::CaRetired { revision, server, agents, locked_out, names },
    };
    decision.tell(actor, [], event);
    Ok(decision)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(step: Step, phase: Phase, behind: u64, force: bool) -> Rotation {
        let names = vec!["host-1".to_owned(); usize::try_from(behind).expect("few")];
        let standing = Standing { ready: 2, behind, names, wait_s: 1 };
        let written = Some(crate::work::rotation::Written { revision: 7, server: "s".into(), agents: "a".into() });
        Rotation { step, phase, force, standing, written }
    }

    #[test]
    fn each_step_has_its_phase_and_force_does_not_change_that() {
        let steps = [Step::Prepare, Step::Abandon, Step::Activate, Step::Retire];
        for phase in [Phase::Settled, Phase::Prepared, Phase::Activated] {
            let taken = |step: &Step| refusal(&wanted(*step, phase, 0, true)).is_none();
            let taken: Vec<_> = steps.iter().filter(|step| taken(step)).map(|step| step.name()).collect();
            let expected = match phase {
                Phase::Settled => vec!["prepare"],
                Phase::Prepared => vec!["abandon", "activate"],
                Phase::Activated => vec!["retire"],
            };
            assert_eq!(taken, expected);
        }
        let late = refusal(&wanted(Step::Abandon, Phase::Activated, 0, true));
        let why = "the next roots sign already and cannot be abandoned: the step that follows is retire";
        assert_eq!(late.as_deref(), Some(why));
    }

    #[test]
    fn what_is_told_of_a_step_is_composed_from_what_was_written() {
        let told = |step: Step, behind, force| {
            let decided = decide(&Actor::Local(0), &wanted(step, step.starts(), behind, force))?;
            Ok::<_, Refusal>(decided.events.into_iter().map(|draft| draft.event).collect::<Vec<_>>())
        };
        let (server, agents) = (|| "s".to_owned(), || "a".to_owned());
        let abandoned = Event::CaAbandoned { revision: 7, server: server(), agents: agents() };
        assert_eq!(told(Step::Abandon, 1, false), Ok(vec![abandoned]), "it locks nobody out");
        assert!(matches!(told(Step::Activate, 1, false), Err(Refusal::Conflict(_))));
        let names = vec!["host-1".to_owned()];
        let activated = Event::CaActivated { revision: 7, server: server(), agents: agents(), locked_out: 1, names };
        assert_eq!(told(Step::Activate, 1, true), Ok(vec![activated]));
        let unwritten = Rotation { written: None, ..wanted(Step::Prepare, Phase::Settled, 0, false) };
        assert!(matches!(decide(&Actor::Local(0), &unwritten), Err(Refusal::Conflict(_))));
    }

    #[test]
    fn whoever_would_be_locked_out_is_counted_and_named() {
        let names: Vec<String> = (1..=6).map(|n| format!("host-{n}")).collect();
        let standing = |behind, names: &[String]| Standing { ready: 334, behind, names: names.to_vec(), wait_s: 601 };
        assert_eq!(too_early(Step::Activate, &standing(0, &[])), None);
        assert_eq!(too_early(Step::Prepare, &standing(6, &names)), None);
        let why = too_early(Step::Activate, &standing(6, &names)).expect("too early");
        assert_eq!(
            why,
            "6 of 340 agents do not know the next server CA yet: host-1, host-2, host-3, host-4, host-5, …. Those that \
             run are done within 11 min, the others once they are switched on: wait, or force it, which locks them out \
             until they enroll again"
        );
        let why = too_early(Step::Retire, &standing(1, &names[..1])).expect("too early");
        assert!(
            why.starts_with("1 of 335 agents still have a certificate by the old agent CA: host-1. Those"),
            "{why}"
        );
    }
}
