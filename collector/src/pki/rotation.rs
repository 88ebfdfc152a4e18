//! Where the roots stand: which are present, which come next, which are on their way out. Pure.
//!
//! | step | present | beside them | handed to agents | agents are trusted by |
//! | --- | --- | --- | --- | --- |
//! | (none) | 0 | – | 0 | 0 |
//! | prepare | 0 | next: 1 | 0, 1 | 0, 1 |
//! | activate | 1 | old: 0 | 1, 0 | 1, 0 |
//! | retire | 1 | – | 1 | 1 |
//!
//! Every step is one revision more, and the authority writes its revision into each certificate of an agent: so a
//! certificate tells which roots its holder was handed together with it, whatever a clock says and whatever backup a
//! register is from. Does not know: files, keys, who may take a step.

use serde::{Deserialize, Serialize};
use shared::unit::At;

/// A step of a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The next roots are made and handed out; nothing is signed by them yet.
    Prepare,
    /// The next roots sign from now on; those before are still trusted.
    Activate,
    /// The roots before are trusted no more, and their keys are destroyed.
    Retire,
}

impl Step {
    /// Its name, in paths and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Step::Prepare => "prepare",
            Step::Activate => "activate",
            Step::Retire => "retire",
        }
    }
}

/// Where a rotation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// None is under way.
    Settled,
    /// The next roots are handed out.
    Prepared,
    /// They sign; the old ones are still trusted.
    Activated,
}

impl Phase {
    /// Its name, for people and programs.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Settled => "settled",
            Phase::Prepared => "prepared",
            Phase::Activated => "activated",
        }
    }

    /// The only step that may follow.
    pub fn following(self) -> Step {
        match self {
            Phase::Settled => Step::Prepare,
            Phase::Prepared => Step::Activate,
            Phase::Activated => Step::Retire,
        }
    }
}

/// Which roots there are, by number: those of a first start are number 0. The text of the file `rotation`; where
/// there is none, no step was ever taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Counts steps. 2 bytes, because it stands in serial numbers: more than 20,000 rotations.
    pub revision: u16,
    /// The roots that sign.
    pub present: u32,
    /// Those that will sign next.
    pub next: Option<u32>,
    /// Those that signed before and are still trusted.
    pub old: Option<u32>,
    /// Certificates of agents of earlier revisions than this one are trusted no more.
    pub floor: u16,
    /// When the last step was taken; none before the first.
    pub since: Option<At>,
}

impl State {
    /// Where the rotation stands.
    pub fn phase(&self) -> Phase {
        match (self.next, self.old) {
            (Some(_), _) => Phase::Prepared,
            (None, Some(_)) => Phase::Activated,
            (None, None) => Phase::Settled,
        }
    }

    /// The roots beside the present ones.
    pub fn other(&self) -> Option<u32> {
        self.next.or(self.old)
    }

    /// After this step; `free` is a number that no roots have. `None` where it is not the step that follows.
    pub fn after(&self, step: Step, free: u32, now: At) -> Option<State> {
        if self.phase().following() != step {
            return None;
        }
        let moved = State { revision: self.revision.checked_add(1)?, since: Some(now), ..*self };
        Some(match step {
            Step::Prepare => State { next: Some(free), ..moved },
            Step::Activate => State { present: self.next?, next: None, old: Some(self.present), ..moved },
            // What was signed since the step before, which activated the present roots, stays good.
            Step::Retire => State { old: None, floor: self.revision, ..moved },
        })
    }

    /// Whether this can have come of such steps: what a file says is looked at before it is believed.
    pub fn is_sound(&self) -> bool {
        let one_beside = self.next.is_none() || self.old.is_none();
        one_beside && self.other() != Some(self.present) && self.floor <= self.revision
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_follow_each_other_and_no_other() {
        let steps = [Step::Prepare, Step::Activate, Step::Retire];
        let mut state = State::default();
        let mut seen = Vec::new();
        for (at, step) in steps.into_iter().cycle().take(6).enumerate() {
            let at = u32::try_from(at).expect("small");
            for other in steps.into_iter().filter(|other| *other != step) {
                assert_eq!(state.after(other, 9, At(1)), None, "{state:?} {other:?}");
            }
            state = state.after(step, at + 1, At(i64::from(at))).expect("the next step");
            assert!(state.is_sound());
            seen.push((state.revision, state.present, state.next, state.old, state.floor));
        }
        assert_eq!(
            seen,
            [
                (1, 0, Some(1), None, 0),
                (2, 1, None, Some(0), 0),
                (3, 1, None, None, 2),
                (4, 1, Some(4), None, 2),
                (5, 4, None, Some(1), 2),
                (6, 4, None, None, 5),
            ]
        );
    }

    #[test]
    fn what_cannot_be_is_not_believed() {
        let state = State { revision: 5, present: 1, floor: 2, ..State::default() };
        assert!(state.is_sound());
        assert!(!State { next: Some(2), old: Some(0), ..state }.is_sound());
        assert!(!State { old: Some(1), ..state }.is_sound());
        assert!(!State { floor: 6, ..state }.is_sound());
        assert_eq!(State { revision: u16::MAX, ..state }.after(Step::Prepare, 7, At(0)), None);
    }
}
