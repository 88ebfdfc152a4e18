//! Tickets that nobody comes back to.

use super::super::model::{Link, Rel};
use super::*;
use crate::work::{Fresh, Policy, Reply};
use shared::id::{LinkId, TicketId};
use uuid::Uuid;

const NOW: At = At(1_800_000_000_000_000);
const DAY: i64 = 86_400;

fn ticket(kind: Kind, number: u64, state: &str, done_days_ago: i64) -> Ticket {
    let done = NOW.plus_secs(-done_days_ago * DAY);
    Ticket {
        id: TicketId(Uuid::from_u128(number.into())),
        number,
        rev: 3,
        kind,
        state: state.to_owned(),
        title: "t".into(),
        description: String::new(),
        impact: 3,
        urgency: 3,
        priority: 5,
        assignee: None,
        requester: None,
        opened: done,
        updated: done,
        resolution_code: Some("fixed".into()),
        resolution_text: Some("done".into()),
        fields: [("done_at".to_owned(), done.0.to_string())].into(),
        rule: None,
        fingerprint: None,
        count: 1,
        last_seen: None,
        touched: true,
        snapshot: None,
    }
}

fn after(known: &Known) -> Vec<(String, String)> {
    let context = Context { now: NOW, fresh: Fresh::new(NOW, [0; 16]), policy: Policy::default() };
    let mut decision = Decision::new(Reply::Done);
    tick(known, &context, &mut decision);
    let moved = decision.rows.iter().filter_map(|row| {
        if let Row::Ticket(ticket) = row { Some((ticket.key(), ticket.state.clone())) } else { None }
    });
    moved.collect()
}

#[test]
fn what_is_done_is_closed_after_its_days_and_not_before() {
    let tickets = [
        ticket(Kind::Incident, 1, "resolved", 7),
        ticket(Kind::Incident, 2, "resolved", 6),
        ticket(Kind::Incident, 3, "in_progress", 30),
        ticket(Kind::Problem, 4, "resolved", 14),
        ticket(Kind::Problem, 5, "resolved", 13),
        ticket(Kind::Request, 6, "fulfilled", 30),
    ];
    let known = Known { tickets: tickets.into_iter().map(|ticket| (ticket.id, ticket)).collect(), ..Known::default() };
    let closed = |key: &str| (key.to_owned(), "closed".to_owned());
    assert_eq!(after(&known), [closed("INC-1"), closed("PRB-4")]);
}

#[test]
fn a_problem_that_recurred_is_looked_into_again() {
    let problem = ticket(Kind::Problem, 4, "resolved", 20);
    for (opened_days_ago, state) in [(19, "investigating"), (21, "closed")] {
        let incident = ticket(Kind::Incident, 9, "new", opened_days_ago);
        let link = Link {
            id: LinkId(Uuid::from_u128(1)),
            from: End::Ticket(incident.id),
            rel: Rel::CausedBy,
            to: End::Ticket(problem.id),
            source: "human".into(),
            created: NOW,
        };
        let tickets = [problem.clone(), incident].into_iter().map(|ticket| (ticket.id, ticket)).collect();
        let known = Known { tickets, links: vec![link], ..Known::default() };
        assert_eq!(after(&known), [("PRB-4".to_owned(), state.to_owned())]);
    }
}
