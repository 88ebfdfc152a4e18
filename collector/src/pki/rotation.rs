//! Where the roots stand: which are present, which come next, which are on their way out. Pure.
//!
//! | step | present | beside them | handed to agents | agents are trusted by |
//! | --- | --- | --- | --- | --- |
//! | (none) | 0 | – | 0 | 0 |
//! | prepare | 0 | next: 1 | 0, 1 | 0, 1 |
//! | (abandon) | 0 | – | 0 | 0 |
//! | activate | 1 | old: 0 | 1, 0 | 1, 0 |
//! | retire | 1 | – | 1 | 1 |
//!
//! Every step is one revision more, and the authority writes its revision into each certificate of an agent: so a
//! certificate tells which roots its holder was handed together with it, whatever a clock says and whatever backup a
//! register is from. Does not know: files, keys, who may take a step.

pub use crate::work::rotation::{Phase, Step};
use serde::{Deserialize, Serialize};
use shared::unit::At;

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
    /// Those that were to sign next and were abandoned: their number is not given again before there is a higher one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abandoned: Option<u32>,
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
        if self.phase() != step.starts() {
            return None;
        }
        let moved = State { revision: self.revision.checked_add(1)?, since: Some(now), ..*self };
        Some(match step {
            Step::Prepare => State { next: Some(free), abandoned: None, ..moved },
            // Nothing was signed by them. Whoever was handed them is handed those that are left.
            Step::Abandon => State { next: None, abandoned: self.next, ..moved },
            Step::Activate => State { present: self.next?, next: None, old: Some(self.present), ..moved },
            // What was signed since the step before, which activated the present roots, stays good.
            Step::Retire => State { old: None, floor: self.revision, ..moved },
        })
    }

    /// The step that was taken last.
    pub fn last(&self) -> Option<Step> {
        match self.phase() {
            Phase::Settled if self.revision == 0 => None,
            Phase::Settled if self.floor.checked_add(1) == Some(self.revision) => Some(Step::Retire),
            Phase::Settled => Some(Step::Abandon),
            Phase::Prepared => Some(Step::Prepare),
            Phase::Activated => Some(Step::Activate),
        }
    }

    /// Whether this can have come of such steps: what a file says is looked at before it is believed.
    pub fn is_sound(&self) -> bool {
        let one_beside = self.next.is_none() || self.old.is_none();
        let counts = |number| [Some(self.present), self.next, self.old].contains(&Some(number));
        one_beside
            && self.other() != Some(self.present)
            && self.floor <= self.revision
            && !self.abandoned.is_some_and(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_follow_each_other_and_no_other() {
        use Step::{Abandon, Activate, Prepare, Retire};
        let mut state = State::default();
        let mut seen = Vec::new();
        let steps = [Prepare, Activate, Retire, Prepare, Abandon, Prepare, Activate, Retire];
        assert_eq!(state.last(), None);
        for (at, step) in (0..).zip(steps) {
            for other in
                [Prepare, Abandon, Activate, Retire].into_iter().filter(|other| other.starts() != step.starts())
            {
                assert_eq!(state.after(other, 9, At(1)), None, "{state:?} {other:?}");
            }
            state = state.after(step, at + 1, At(i64::from(at))).expect("the next step");
            assert!(state.is_sound());
            assert_eq!(state.last(), Some(step));
            seen.push((state.revision, state.present, state.next, state.old, state.floor, state.abandoned));
        }
        assert_eq!(
            seen,
            [
                (1, 0, Some(1), None, 0, None),
                (2, 1, None, Some(0), 0, None),
                (3, 1, None, None, 2, None),
                (4, 1, Some(4), None, 2, None),
                (5, 1, None, None, 2, Some(4)),
                (6, 1, Some(6), None, 2, None),
                (7, 6, None, Some(1), 2, None),
                (8, 6, None, None, 7, None),
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
        assert!(!State { abandoned: Some(1), ..state }.is_sound(), "they count");
        assert_eq!(State { revision: u16::MAX, ..state }.after(Step::Prepare, 7, At(0)), None);
    }
}
