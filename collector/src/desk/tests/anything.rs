//! Whatever people and faults do in whatever order, tickets stay within their tables.

use super::{DAY, World};
use crate::desk::model::Kind;
use crate::desk::priority::priority;
use crate::desk::process::{self, PROCESSES, is_open};
use crate::register::model::FaultState;
use crate::work::{Act, TicketEdit};
use proptest::prelude::*;
use shared::id::TicketId;

#[derive(Debug, Clone)]
enum Try {
    Move { to: usize, fields: Vec<(usize, usize)>, reason: bool },
    Edit { impact: u8, assignee: Option<bool> },
    Comment,
    Fault(bool),
    Wait(i64),
}

const NAMES: &[&str] = &[
    "assignee",
    "hold_reason",
    "resolution_code",
    "resolution_text",
    "type",
    "risk",
    "plan",
    "window_start",
    "nonsense",
];
const VALUES: &[&str] = &["", "awaiting_vendor", "fixed", "successful", "emergency", "low", "2026-07-01T22:00:00Z"];

fn tries() -> impl Strategy<Value = Vec<Try>> {
    let fields = proptest::collection::vec((0..NAMES.len(), 0..VALUES.len()), 0..4);
    let one = prop_oneof![
        6 => (0..9usize, fields, any::<bool>()).prop_map(|(to, fields, reason)| Try::Move { to, fields, reason }),
        1 => (0..5u8, any::<Option<bool>>()).prop_map(|(impact, assignee)| Try::Edit { impact, assignee }),
        1 => Just(Try::Comment),
        2 => any::<bool>().prop_map(Try::Fault),
        1 => (0..3 * DAY).prop_map(Try::Wait),
    ];
    proptest::collection::vec(one, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The world checks at every step that revisions grow by one and that a decision writes a ticket once.
    #[test]
    fn whatever_is_tried_no_ticket_leaves_its_table(tries in tries()) {
        let mut world = World::new();
        for kind in Kind::ALL {
            world.open(*kind);
        }
        for one in tries {
            let ids: Vec<TicketId> = world.known.tickets.keys().copied().collect();
            match one {
                Try::Move { to, fields, reason } => for id in ids {
                    let process = process::Process::of(world.known.tickets[&id].kind);
                    let to = process.states[to % process.states.len()].name.to_owned();
                    let fields = fields.iter().map(|(n, v)| (NAMES[*n].to_owned(), VALUES[*v].to_owned())).collect();
                    let reason = if reason { "because".to_owned() } else { String::new() };
                    drop(world.act(Act::MoveTicket { ticket: id, rev: None, to, reason, fields }));
                },
                Try::Edit { impact, assignee } => for id in ids {
                    let assignee = assignee.map(|some| some.then(|| "kim".to_owned()));
                    let edit = TicketEdit { impact: Some(impact), assignee, ..TicketEdit::default() };
                    drop(world.act(Act::EditTicket { ticket: id, rev: None, edit }));
                },
                Try::Comment => for id in ids {
                    world.act(Act::CommentTicket { ticket: id, text: "hm".into() }).expect("always");
                },
                Try::Fault(bad) => drop(world.fault("/", if bad { FaultState::Raised } else { FaultState::Cleared })),
                Try::Wait(seconds) => world.now = world.now.plus_secs(seconds),
            }
            for ticket in world.known.tickets.values() {
                let process = PROCESSES.iter().find(|process| process.kind == ticket.kind).expect("a process");
                prop_assert!(process.states.iter().any(|state| state.name == ticket.state));
                prop_assert_eq!(ticket.priority, priority(ticket.impact, ticket.urgency));
                prop_assert_eq!(is_open(ticket), !ticket.fields.contains_key(process::DONE_AT));
            }
            let open = world.known.tickets.values().filter(|ticket| is_open(ticket) && ticket.fingerprint.is_some());
            prop_assert!(open.count() <= 1, "one open incident for a fingerprint");
        }
    }
}
