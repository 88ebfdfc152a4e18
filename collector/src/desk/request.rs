//! The process of requests: give somebody what they need.
//!
//! Until approvals exist, whoever may write tickets passes `awaiting_approval`, with a reason. The
//! reservation of stock and the proof of delivery come with fulfilment.

use super::model::Kind;
use super::process::{Field, Move, Need, Phase, Process, Shape, State};

const HOLD: &[&str] = &["awaiting_stock", "awaiting_vendor", "awaiting_requester"];

/// The table.
pub const PROCESS: Process = Process {
    kind: Kind::Request,
    initial: "submitted",
    entries: &[],
    states: &[
        State { name: "submitted", phase: Phase::Open },
        State { name: "awaiting_approval", phase: Phase::Open },
        State { name: "approved", phase: Phase::Open },
        State { name: "fulfilling", phase: Phase::Open },
        State { name: "on_hold", phase: Phase::Open },
        State { name: "fulfilled", phase: Phase::Done },
        State { name: "closed", phase: Phase::Closed },
        State { name: "rejected", phase: Phase::Done },
        State { name: "cancelled", phase: Phase::Closed },
    ],
    moves: &[
        Move::new(&["submitted"], "awaiting_approval", &[]),
        Move::new(&["awaiting_approval"], "approved", &[Need::Reason]),
        Move::new(&["awaiting_approval"], "rejected", &[Need::Reason]),
        Move::new(&["rejected"], "submitted", &[Need::Reason]),
        Move::new(&["approved"], "fulfilling", &[Need::Assignee]),
        Move::new(&["fulfilling"], "on_hold", &[Need::Field("hold_reason")]),
        Move::new(&["on_hold"], "fulfilling", &[Need::Assignee]),
        Move::new(&["fulfilling"], "fulfilled", &[Need::Text]),
        Move::new(&["fulfilled"], "closed", &[]),
        Move::new(
            &["submitted", "awaiting_approval", "approved", "fulfilling", "on_hold"],
            "cancelled",
            &[Need::Reason],
        ),
    ],
    rests: &[],
    fields: &[
        Field::new("item", Shape::Text),
        Field::new("justification", Shape::Text),
        Field::new("hold_reason", Shape::OneOf(HOLD)).only_in("on_hold"),
    ],
    defaults: &[],
    levels: (3, 3),
};
