//! The process of problems: find out why things break, and end it.
//!
//! That the change which fixes it was closed as successful, and 14 quiet days before closing, come with
//! the clocks; until then a person says so in the resolution.

use super::model::{Kind, Rel};
use super::process::{Field, Move, Need, Phase, Process, Shape, State};

/// The table.
pub const PROCESS: Process = Process {
    kind: Kind::Problem,
    initial: "new",
    states: &[
        State { name: "new", phase: Phase::Open },
        State { name: "investigating", phase: Phase::Open },
        State { name: "known_error", phase: Phase::Open },
        State { name: "fix_planned", phase: Phase::Open },
        State { name: "resolved", phase: Phase::Done },
        State { name: "closed", phase: Phase::Closed },
    ],
    moves: &[
        Move::new(&["new"], "investigating", &[Need::Assignee]),
        Move::new(&["investigating"], "known_error", &[Need::Field("root_cause"), Need::Field("workaround")]),
        Move::new(&["known_error"], "fix_planned", &[Need::LinkFrom(Rel::Implements)]),
        Move::new(&["fix_planned"], "resolved", &[Need::Code(&["fixed"]), Need::Text]),
        Move::new(&["resolved"], "closed", &[]),
        Move::new(&["resolved"], "investigating", &[Need::Reason]),
        Move::new(&["investigating"], "closed", &[Need::Code(&["no_cause", "accepted_risk"]), Need::Reason]),
    ],
    fields: &[Field::new("root_cause", Shape::Text), Field::new("workaround", Shape::Text)],
    defaults: &[],
    levels: (2, 3),
};
