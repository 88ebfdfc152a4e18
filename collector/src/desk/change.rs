//! The process of changes: do something to infrastructure, fast and safely.
//!
//! A *standard* change is approved beforehand; a *normal* one takes every step; an *emergency* may be
//! implemented first and is always reviewed. Which of them it is, is settled while it is a draft. What was done
//! without approval is *unauthorised*, a flag: such a change is opened in `review`, or goes there from wherever its
//! approval was still to come. Until approvals exist, whoever may write tickets passes `awaiting_approval`, with a
//! reason. Collisions, freezes and verification come later, as findings.

use super::model::{Kind, Rel};
use super::process::{Entry, Field, Move, Need, Phase, Process, Shape, State};

const NORMAL: &[&str] = &["normal"];
const EMERGENCY: &[&str] = &["emergency"];

/// The table.
pub const PROCESS: Process = Process {
    kind: Kind::Change,
    initial: "draft",
    entries: &[Entry { field: "unauthorised", value: "yes", state: "review" }],
    states: &[
        State { name: "draft", phase: Phase::Open },
        State { name: "assessing", phase: Phase::Open },
        State { name: "awaiting_approval", phase: Phase::Open },
        State { name: "scheduled", phase: Phase::Open },
        State { name: "implementing", phase: Phase::Open },
        State { name: "review", phase: Phase::Open },
        State { name: "closed", phase: Phase::Closed },
        State { name: "rejected", phase: Phase::Closed },
        State { name: "cancelled", phase: Phase::Closed },
    ],
    moves: &[
        Move::new(&["draft"], "scheduled", &[Need::Window, Need::LinkTo(Rel::Affects)]).when("type", &["standard"]),
        Move::new(&["draft"], "assessing", &[]).when("type", &["normal", "emergency"]),
        Move::new(&["draft"], "implementing", &[Need::Reason, Need::Assignee]).when("type", EMERGENCY),
        Move::new(
            &["assessing"],
            "awaiting_approval",
            &[
                Need::Field("risk"),
                Need::Field("plan"),
                Need::Field("backout"),
                Need::Field("test"),
                Need::Window,
                Need::LinkTo(Rel::Affects),
            ],
        )
        .when("type", NORMAL),
        Move::new(&["assessing"], "awaiting_approval", &[Need::Field("plan"), Need::Field("backout")])
            .when("type", EMERGENCY),
        Move::new(&["awaiting_approval"], "scheduled", &[Need::Reason]),
        Move::new(&["awaiting_approval"], "rejected", &[Need::Reason]),
        Move::new(&["scheduled"], "implementing", &[Need::Assignee]),
        Move::new(&["implementing"], "review", &[]),
        Move::new(
            &["draft", "assessing", "awaiting_approval"],
            "review",
            &[Need::Reason, Need::Assignee, Need::Field("unauthorised")],
        ),
        Move::new(
            &["review"],
            "closed",
            &[Need::Code(&["successful", "with_issues", "failed", "backed_out"]), Need::Text],
        ),
        Move::new(&["draft", "assessing", "awaiting_approval", "scheduled"], "cancelled", &[Need::Reason]),
    ],
    rests: &[],
    fields: &[
        Field::new("type", Shape::OneOf(&["standard", "normal", "emergency"])).edited_in(&["draft"]),
        Field::new("unauthorised", Shape::OneOf(&["yes"])).edited_in(&["draft", "assessing", "awaiting_approval"]),
        Field::new("risk", Shape::OneOf(&["low", "medium", "high"])),
        Field::new("plan", Shape::Text),
        Field::new("backout", Shape::Text),
        Field::new("test", Shape::Text),
        Field::new("window_start", Shape::Time),
        Field::new("window_end", Shape::Time),
    ],
    defaults: &[("type", "normal")],
    levels: (2, 3),
};
