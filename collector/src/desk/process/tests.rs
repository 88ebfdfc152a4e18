//! Every row of every table: it can be reached, it can be taken, and what it needs is enforced.

use super::*;
use shared::id::{AssetId, LinkId, TicketId};
use std::collections::BTreeSet;
use uuid::Uuid;

const NOW: At = At(1_800_000_000_000_000);

fn ticket(process: &Process, state: &str) -> Ticket {
    Ticket {
        id: TicketId(Uuid::from_u128(7)),
        number: 17,
        rev: 3,
        kind: process.kind,
        state: state.to_owned(),
        title: "t".into(),
        description: String::new(),
        impact: 3,
        urgency: 3,
        priority: 5,
        assignee: None,
        requester: None,
        opened: NOW,
        updated: NOW,
        resolution_code: None,
        resolution_text: None,
        fields: process.defaults.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        rule: None,
        fingerprint: None,
        count: 1,
        last_seen: None,
        touched: false,
        snapshot: None,
    }
}

fn link(from: End, rel: Rel, to: End) -> Link {
    Link { id: LinkId(Uuid::from_u128(9)), from, rel, to, source: "human".into(), created: NOW }
}

/// What an asker brings along: everything that the needs name.
#[derive(Clone, Default)]
struct Bag {
    reason: &'static str,
    fields: BTreeMap<String, String>,
    links: Vec<Link>,
    tickets: BTreeMap<TicketId, Ticket>,
}

fn bag(process: &Process, needs: &[Need]) -> Bag {
    let this = End::Ticket(TicketId(Uuid::from_u128(7)));
    let asset = End::Asset(AssetId(Uuid::from_u128(8)));
    let mut bag = Bag::default();
    let mut set = |name: &str, value: &str| bag.fields.insert(name.to_owned(), value.to_owned());
    for need in needs {
        match need {
            Need::Assignee => drop(set("assignee", "kim")),
            Need::Code(codes) => drop(set("resolution_code", codes[0])),
            Need::Text => drop(set("resolution_text", "done")),
            Need::Field(name) => {
                let field = process.fields.iter().find(|field| field.name == *name).expect("a field of the table");
                let value = if let Shape::OneOf(values) = field.shape { values[0] } else { "words" };
                set(name, value);
            }
            Need::Window => {
                set("window_start", "2026-07-01T22:00:00Z");
                set("window_end", "2026-07-02T01:00:00+02:00");
            }
            Need::Reason | Need::LinkTo(_) | Need::LinkFrom(_) | Need::ClosedFrom(..) | Need::DoneWithin { .. } => {}
        }
    }
    for need in needs {
        match need {
            Need::Reason => bag.reason = "because",
            Need::LinkTo(rel) => bag.links.push(link(this.clone(), *rel, asset.clone())),
            Need::LinkFrom(rel) => bag.links.push(link(asset.clone(), *rel, this.clone())),
            Need::ClosedFrom(rel, code) => {
                let id = TicketId(Uuid::from_u128(10));
                bag.links.push(link(End::Ticket(id), *rel, this.clone()));
                let closed = ticket(&change::PROCESS, "closed");
                bag.tickets.insert(id, Ticket { id, resolution_code: Some((*code).to_owned()), ..closed });
            }
            _ => {}
        }
    }
    bag
}

fn take(process: &Process, ticket: &Ticket, step: &Move, bag: &Bag) -> Result<Ticket, Refusal> {
    let Bag { reason, fields, links, tickets } = bag;
    process.take(ticket, &Ask { to: step.to, reason, fields, by: step.by, now: NOW, links, tickets })
}

fn ready(process: &Process, step: &Move, from: &str) -> Ticket {
    let mut ticket = ticket(process, from);
    if let Some((field, values)) = step.when {
        ticket.fields.insert(field.to_owned(), values[0].to_owned());
    }
    ticket
}

#[test]
fn every_kind_has_one_process_and_every_name_in_a_table_is_known() {
    for kind in Kind::ALL {
        assert_eq!(PROCESSES.iter().filter(|process| process.kind == *kind).count(), 1, "{kind}");
    }
    for process in PROCESSES {
        let names: Vec<&str> = process.states.iter().map(|state| state.name).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        for step in process.moves {
            assert!(names.contains(&step.to), "{} {}", process.kind, step.to);
            assert!(step.from.iter().all(|from| names.contains(from)), "{} {:?}", process.kind, step.from);
        }
        for rest in process.rests {
            assert_eq!(process.phase(rest.state), Phase::Done, "{} {}", process.kind, rest.state);
            for to in [Some(rest.to), rest.recurred].into_iter().flatten() {
                let fits = |step: &&Move| step.by == By::Rule && step.to == to && step.from.contains(&rest.state);
                assert!(process.moves.iter().any(|step| fits(&step)), "{} {to}", process.kind);
            }
        }
        for entry in process.entries {
            assert!(names.contains(&entry.state), "{} {}", process.kind, entry.state);
            assert!(process.fields.iter().any(|field| field.name == entry.field), "{}", entry.field);
        }
        for field in process.fields {
            let states = field.only_in.iter().chain(field.edited_in.into_iter().flatten());
            assert!(states.into_iter().all(|state| names.contains(state)), "{}", field.name);
        }
    }
}

#[test]
fn every_state_is_reached_by_people_and_only_closed_ones_are_ends() {
    for process in PROCESSES {
        let mut reached = BTreeSet::from([process.initial]);
        loop {
            let people = process.moves.iter().filter(|step| step.by == By::Person);
            let next = people.filter(|step| step.from.iter().any(|from| reached.contains(from))).map(|step| step.to);
            let more: BTreeSet<&str> = reached.iter().copied().chain(next).collect();
            if more == reached {
                break;
            }
            reached = more;
        }
        for state in process.states {
            assert!(reached.contains(state.name), "{} {}", process.kind, state.name);
            let leaves = process.moves.iter().any(|step| step.from.contains(&state.name));
            assert_eq!(leaves, state.phase != Phase::Closed, "{} {}", process.kind, state.name);
        }
    }
}

#[test]
fn every_move_is_taken_with_what_it_needs_and_refused_without_any_one_of_it() {
    for process in PROCESSES {
        for (step, from) in process.moves.iter().flat_map(|step| step.from.iter().map(move |from| (step, *from))) {
            let at = ready(process, step, from);
            let whole = bag(process, step.needs);
            let moved = take(process, &at, step, &whole).expect("everything is there");
            assert_eq!(moved.state, step.to);
            for need in step.needs {
                let others: Vec<Need> = step.needs.iter().filter(|other| *other != need).copied().collect();
                let field = match need {
                    Need::Reason => "reason",
                    Need::Assignee => "assignee",
                    Need::Code(_) => "resolution_code",
                    Need::Text => "resolution_text",
                    Need::Field(name) => name,
                    Need::Window => "window_start",
                    Need::LinkTo(_) | Need::LinkFrom(_) | Need::ClosedFrom(..) => "links",
                    Need::DoneWithin { .. } => continue,
                };
                match take(process, &at, step, &bag(process, &others)) {
                    Err(Refusal::Invalid { field: named, .. }) => assert_eq!(named, field),
                    other => panic!("{} {from} -> {} without {field}: {other:?}", process.kind, step.to),
                }
            }
        }
    }
}

#[test]
fn what_is_not_in_the_table_is_a_conflict_that_lists_what_is() {
    for process in PROCESSES {
        for (from, to) in process.states.iter().flat_map(|from| process.states.iter().map(move |to| (from, to))) {
            let at = ticket(process, from.name);
            let allowed: Vec<&str> = allowed(&at).iter().map(|step| step.to).collect();
            if allowed.contains(&to.name) {
                continue;
            }
            let fields = BTreeMap::new();
            let ask = Ask {
                to: to.name,
                reason: "",
                fields: &fields,
                by: By::Person,
                now: NOW,
                links: &[],
                tickets: &BTreeMap::new(),
            };
            let Err(Refusal::Conflict(why)) = process.take(&at, &ask) else {
                panic!("{} {} -> {} is not in the table", process.kind, from.name, to.name)
            };
            assert!(allowed.iter().all(|to| why.contains(to)), "{why}");
        }
    }
}

#[test]
fn the_types_of_change_take_their_own_ways() {
    let ways = |kind: &str, state: &str| -> Vec<&str> {
        let mut change = ticket(&change::PROCESS, state);
        change.fields.insert("type".into(), kind.into());
        allowed(&change).iter().map(|step| step.to).collect()
    };
    assert_eq!(ways("standard", "draft"), ["scheduled", "review", "cancelled"]);
    assert_eq!(ways("normal", "draft"), ["assessing", "review", "cancelled"]);
    assert_eq!(ways("emergency", "draft"), ["assessing", "implementing", "review", "cancelled"]);
    assert_eq!(ways("normal", "implementing"), ["review"]);
}

#[test]
fn what_was_done_without_approval_starts_at_its_review() {
    let flag = BTreeMap::from([("unauthorised".to_owned(), "yes".to_owned())]);
    assert_eq!(change::PROCESS.start(&flag), "review");
    assert_eq!(change::PROCESS.start(&BTreeMap::new()), "draft");
    let step = change::PROCESS.moves.iter().find(|step| step.to == "review" && step.from.contains(&"assessing"));
    let step = step.expect("a move of the table");
    let at = ticket(&change::PROCESS, "assessing");
    let moved = take(&change::PROCESS, &at, step, &bag(&change::PROCESS, step.needs)).expect("everything is there");
    assert_eq!((moved.state.as_str(), moved.fields["unauthorised"].as_str()), ("review", "yes"));
}

#[test]
fn a_problem_is_resolved_by_a_change_that_succeeded() {
    let step = problem::PROCESS.moves.iter().find(|step| step.to == "resolved").expect("a move of the table");
    let at = ticket(&problem::PROCESS, "fix_planned");
    let mut bag = bag(&problem::PROCESS, step.needs);
    assert!(take(&problem::PROCESS, &at, step, &bag).is_ok());
    for (state, code) in [("review", None), ("closed", Some("failed"))] {
        for change in bag.tickets.values_mut() {
            (change.state, change.resolution_code) = (state.to_owned(), code.map(str::to_owned));
        }
        let refused = take(&problem::PROCESS, &at, step, &bag);
        assert!(matches!(refused, Err(Refusal::Invalid { field, .. }) if field == "links"), "{state}");
    }
}

#[test]
fn fields_are_judged_by_their_table() {
    let refused = |name: &str, value: &str| {
        let fields = BTreeMap::from([(name.to_owned(), value.to_owned())]);
        match change::PROCESS.set(&mut ticket(&change::PROCESS, "draft"), &fields) {
            Err(Refusal::Invalid { field, why }) => {
                assert_eq!(field, name);
                why
            }
            other => panic!("{name}={value}: {other:?}"),
        }
    };
    assert_eq!(refused("risk", "huge"), "expected one of low, medium, high");
    assert!(refused("window_start", "tomorrow").contains("2026-07-01T22:00:00Z"));
    assert!(refused("window_start", "2026-07-01T22:00:00").contains("offset"));
    assert!(refused("done_at", "1").contains("no field of a ticket of kind change"));
    assert!(refused("plan", &"x".repeat(4097)).contains("4097 bytes"));
    assert!(refused("plan", "a\0b").contains("control"));
    let mut fields: BTreeMap<String, String> = (0..33).map(|i| (format!("f{i}"), "x".into())).collect();
    assert!(change::PROCESS.set(&mut ticket(&change::PROCESS, "draft"), &fields).is_err());
    fields = BTreeMap::from([("type".to_owned(), String::new())]);
    let mut change = ticket(&change::PROCESS, "draft");
    change.fields.insert("type".into(), "standard".into());
    change::PROCESS.set(&mut change, &fields).expect("taken away");
    assert_eq!(change.fields["type"], "normal", "back to the default");
}

#[test]
fn a_window_must_end_after_it_starts() {
    let step = allowed(&ready(&change::PROCESS, &change::PROCESS.moves[0], "draft"))[0];
    let mut bag = bag(&change::PROCESS, step.needs);
    bag.fields.insert("window_end".into(), "2026-07-01T22:00:00Z".into());
    let refused = take(&change::PROCESS, &ready(&change::PROCESS, step, "draft"), step, &bag);
    assert_eq!(refused, Err(Refusal::invalid("window_end", "must be later than window_start")));
}

#[test]
fn reopening_forgets_the_resolution_and_ends_after_seven_days() {
    let process = &incident::PROCESS;
    let mut done = ticket(process, "resolved");
    done.resolution_code = Some("fixed".into());
    done.resolution_text = Some("new disk".into());
    done.assignee = Some("kim".into());
    let reopen = |days: i64| {
        let mut done = done.clone();
        done.fields.insert(DONE_AT.into(), NOW.plus_secs(-days * 86_400).0.to_string());
        let fields = BTreeMap::new();
        let ask = Ask {
            to: "in_progress",
            reason: "again",
            fields: &fields,
            by: By::Person,
            now: NOW,
            links: &[],
            tickets: &BTreeMap::new(),
        };
        process.take(&done, &ask)
    };
    let again = reopen(7).expect("within seven days");
    assert_eq!((again.resolution_code, again.resolution_text, again.fields.len()), (None, None, 0));
    assert!(matches!(reopen(8), Err(Refusal::Conflict(why)) if why.contains("INC-17")));
}

#[test]
fn a_hold_reason_lasts_as_long_as_the_hold_and_a_resolution_is_taken_only_by_a_move_that_resolves() {
    let process = &incident::PROCESS;
    let mut held = ticket(process, "on_hold");
    held.fields.insert("hold_reason".into(), "awaiting_vendor".into());
    held.assignee = Some("kim".into());
    let mut fields = BTreeMap::new();
    let go = |fields: &BTreeMap<String, String>| {
        process.take(
            &held,
            &Ask {
                to: "in_progress",
                reason: "",
                fields,
                by: By::Person,
                now: NOW,
                links: &[],
                tickets: &BTreeMap::new(),
            },
        )
    };
    assert_eq!(go(&fields).expect("moved").fields, BTreeMap::new());
    fields.insert("resolution_code".to_owned(), "fixed".to_owned());
    assert_eq!(go(&fields), Err(Refusal::invalid("resolution_code", "not taken by a move to in_progress")));
}

#[test]
fn what_kind_of_change_it_is_is_settled_while_it_is_a_draft() {
    let process = &change::PROCESS;
    let edit = |state: &str, was: &str, is: &str| {
        let mut change = ticket(process, state);
        change.fields.insert("type".into(), was.into());
        process
            .edit(&mut change, &BTreeMap::from([("type".to_owned(), is.to_owned())]))
            .map(|()| change.fields["type"].clone())
    };
    assert_eq!(edit("draft", "normal", "standard"), Ok("standard".into()));
    assert_eq!(edit("assessing", "normal", "normal"), Ok("normal".into()), "said again");
    for (state, was, is) in [("assessing", "normal", "emergency"), ("scheduled", "standard", "")] {
        let why = format!("CHG-17 is {state}; this is edited in draft only");
        assert_eq!(edit(state, was, is), Err(Refusal::invalid("type", why)));
    }
    // Nor on the way: the move would be one that the new kind has not.
    let mut standard = ticket(process, "draft");
    standard.fields.insert("type".into(), "standard".into());
    let step = allowed(&standard)[0];
    let mut bag = bag(process, step.needs);
    assert!(take(process, &standard, step, &bag).is_ok());
    bag.fields.insert("type".into(), "normal".into());
    assert!(matches!(take(process, &standard, step, &bag), Err(Refusal::Conflict(_))));
}
