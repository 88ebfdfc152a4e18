//! The process of incidents: restore what broke.
//!
//! Five business days after the resolution it is closed: seven days, as long as there is no calendar that says
//! which days are business days. The cascade from a parent to its children comes with parent incidents.

use super::model::Kind;
use super::process::{Field, Move, Need, Phase, Process, Rest, Shape, State};

const HOLD: &[&str] = &["awaiting_requester", "awaiting_vendor", "awaiting_window", "awaiting_stock"];

/// The table.
pub const PROCESS: Process = Process {
    kind: Kind::Incident,
    initial: "new",
    entries: &[],
    states: &[
        State { name: "new", phase: Phase::Open },
        State { name: "assigned", phase: Phase::Open },
        State { name: "in_progress", phase: Phase::Open },
        State { name: "on_hold", phase: Phase::Open },
        State { name: "resolved", phase: Phase::Done },
        State { name: "closed", phase: Phase::Closed },
        State { name: "cancelled", phase: Phase::Closed },
    ],
    moves: &[
        Move::new(&["new"], "assigned", &[Need::Assignee]),
        Move::new(&["assigned"], "in_progress", &[Need::Assignee]),
        Move::new(&["in_progress"], "on_hold", &[Need::Field("hold_reason")]),
        Move::new(&["on_hold"], "in_progress", &[Need::Assignee]),
        Move::new(
            &["in_progress"],
            "resolved",
            &[Need::Code(&["fixed", "workaround", "no_fault", "duplicate"]), Need::Text],
        ),
        Move::new(&["resolved"], "in_progress", &[Need::Reason, Need::Assignee, Need::DoneWithin { days: 7 }]),
        Move::new(&["resolved"], "closed", &[]),
        Move::new(&["new", "assigned"], "cancelled", &[Need::Code(&["duplicate", "no_fault"])]),
        // The fault has passed and nobody worked on it; and it came back.
        Move::rule(
            &["new", "assigned", "in_progress", "on_hold"],
            "resolved",
            &[Need::Code(&["auto_cleared"]), Need::Text],
        ),
        Move::rule(&["resolved"], "closed", &[Need::Reason]),
        Move::rule(&["resolved"], "new", &[Need::Reason]),
        Move::rule(&["resolved"], "in_progress", &[Need::Reason, Need::Assignee]),
    ],
    rests: &[Rest {
        state: "resolved",
        days: 7,
        to: "closed",
        reason: "nobody came back to it within five business days",
        recurred: None,
    }],
    fields: &[Field::new("hold_reason", Shape::OneOf(HOLD)).only_in("on_hold")],
    defaults: &[],
    levels: (3, 3),
};
