//! The process of problems: find out why things break, and end it.
//!
//! It is resolved by a change that was closed as successful, and closed after 14 days in which no incident that
//! is linked with it was opened; one that was takes it back to where it is looked into.

use super::model::{Kind, Rel};
use super::process::{Field, Move, Need, Phase, Process, Rest, Shape, State};

/// The table.
pub const PROCESS: Process = Process {
    kind: Kind::Problem,
    initial: "new",
    entries: &[],
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
        Move::new(
            &["fix_planned"],
            "resolved",
            &[Need::ClosedFrom(Rel::Implements, "successful"), Need::Code(&["fixed"]), Need::Text],
        ),
        Move::new(&["resolved"], "closed", &[]),
        Move::new(&["resolved"], "investigating", &[Need::Reason]),
        Move::new(&["investigating"], "closed", &[Need::Code(&["no_cause", "accepted_risk"]), Need::Reason]),
        Move::rule(&["resolved"], "closed", &[Need::Reason]),
        Move::rule(&["resolved"], "investigating", &[Need::Reason]),
    ],
    rests: &[Rest {
        state: "resolved",
        days: 14,
        to: "closed",
        reason: "it did not recur within 14 days",
        recurred: Some("investigating"),
    }],
    fields: &[Field::new("root_cause", Shape::Text), Field::new("workaround", Shape::Text)],
    defaults: &[],
    levels: (2, 3),
};
