//! What the desk gets to see, however much there is.

use super::*;
use crate::desk::model::{End, Kind, Link, Rel, Ticket};
use crate::register::model::{Fault, FaultState, Severity};
use crate::store::engine::Next;
use crate::store::journal::Journal;
use crate::store::load::{self, Source};
use crate::store::table::software::Dictionary;
use crate::store::table::{desk, fault};
use crate::work::{Known, Needs, NewTicket, Resting};
use shared::id::{AssetId, LinkId, TicketId};
use std::collections::BTreeMap;

fn load(writer: &mut Writer<Sqlite>, needs: &Needs, now: At) -> Known {
    let (dictionary, journal) = (&mut Dictionary::default(), &Journal::default());
    let mut source = Source { engine: &mut writer.engine, dictionary, journal, heard: &|_| None, now };
    load::load(&mut source, needs).expect("loaded")
}

fn opened(writer: &mut Writer<Sqlite>, kind: Kind) -> Ticket {
    let ticket = NewTicket {
        kind,
        title: "t".into(),
        description: String::new(),
        impact: None,
        urgency: None,
        assignee: None,
        requester: None,
        fields: BTreeMap::new(),
        assets: Vec::new(),
    };
    let open = Work::Act { actor: KIM, act: Act::OpenTicket(Box::new(ticket)) };
    let (done, mut answers) = batch(writer, vec![open]);
    assert_eq!(done, Ok(()));
    match answers.pop() {
        Some(Ok(Reply::Ticket(ticket))) => *ticket,
        other => panic!("a ticket: {other:?}"),
    }
}

fn link(from: TicketId, rel: Rel, number: u128) -> Link {
    Link {
        id: LinkId(Uuid::from_u128(number)),
        from: End::Ticket(from),
        rel,
        to: End::External(format!("jira:OPS-{number}")),
        source: "human".into(),
        created: NOW,
    }
}

#[test]
fn of_many_links_the_newest_of_each_kind_are_seen_and_a_pair_is_found_by_itself() {
    let (_directory, path) = place();
    let mut writer = writer(fresh(&path), &path);
    let ticket = opened(&mut writer, Kind::Incident).id;
    let oldest = link(ticket, Rel::TrackedBy, 1);
    let all = std::iter::once(oldest.clone()).chain((2..=600).map(|number| link(ticket, Rel::Relates, number)));
    writer.engine.begin().expect("begun");
    for link in all {
        desk::put_link(&mut writer.engine, &link).expect("kept");
    }
    writer.engine.commit().expect("kept");
    let known = load(&mut writer, &Needs { tickets: vec![ticket], links: true, ..Needs::default() }, NOW);
    let of = |rel: Rel| known.links.iter().filter(move |link| link.rel == rel).map(|link| link.id.0.as_u128());
    assert_eq!(of(Rel::Relates).collect::<Vec<_>>(), (401..=600).rev().collect::<Vec<_>>());
    assert_eq!(of(Rel::TrackedBy).collect::<Vec<_>>(), [1], "the only one of its kind, however old");

    let again = |link: &Link| Act::AddLink { from: link.from.clone(), rel: link.rel, to: link.to.clone() };
    let old = link(ticket, Rel::Relates, 2);
    let (done, answers) = batch(&mut writer, vec![Work::Act { actor: KIM, act: again(&old) }]);
    assert_eq!(done, Ok(()));
    assert!(matches!(&answers[..], [Ok(Reply::Link { link: held, new: false })] if held.id == old.id), "{answers:?}");
}

#[test]
fn a_tick_closes_what_rested_a_bounded_number_at_a_time() {
    let (_directory, path) = place();
    let mut writer = writer(fresh(&path), &path);
    let id = opened(&mut writer, Kind::Incident).id;
    writer.engine.begin().expect("begun");
    let done = NOW.plus_secs(-8 * 86_400);
    for number in 2..=100_u64 {
        let held = desk::ticket(&mut writer.engine, id).expect("read").expect("the ticket");
        let fields = BTreeMap::from([("done_at".to_owned(), done.0.to_string())]);
        let id = TicketId(Uuid::from_u128(number.into()));
        let resolved = Ticket { id, number, rev: 1, state: "resolved".into(), updated: done, fields, ..held };
        desk::put_ticket(&mut writer.engine, &resolved).expect("kept");
    }
    writer.engine.commit().expect("kept");
    let resting = Resting { kind: Kind::Incident, state: "resolved", seconds: 7 * 86_400 };
    let needs = Needs { resting: vec![resting], ..Needs::default() };
    assert_eq!(load(&mut writer, &needs, NOW).tickets.len(), 64);
    for expected in [35, 0] {
        let (done, answers) = batch(&mut writer, vec![Work::Tick]);
        assert!(done.is_ok() && matches!(answers[..], [Ok(Reply::Done)]), "{answers:?}");
        assert_eq!(load(&mut writer, &needs, NOW).tickets.len(), expected);
    }
}

#[test]
fn of_a_faults_tickets_a_tick_sees_the_open_and_the_newest_without_their_evidence() {
    let (_directory, path) = place();
    let mut writer = writer(fresh(&path), &path);
    let made = opened(&mut writer, Kind::Incident);
    let asset = AssetId(Uuid::from_u128(77));
    let print = |name: &str| format!("{asset}:{name}");
    let ticket = |number: u64, name: &str, state: &str, days: i64| Ticket {
        id: TicketId(Uuid::from_u128(number.into())),
        number,
        state: state.into(),
        opened: NOW.plus_secs(-days * 86_400),
        fingerprint: Some(print(name)),
        snapshot: Some("frozen".into()),
        ..made.clone()
    };
    let mut all: Vec<Ticket> = (100..400).map(|number| ticket(number, "b", "closed", 9)).collect();
    all.extend([ticket(10, "a", "closed", 50), ticket(11, "a", "closed", 40), ticket(12, "b", "new", 60)]);
    all.extend([ticket(13, "c", "resolved", 3), ticket(14, "d", "closed", 0)]);
    let waits = Fault {
        asset,
        check: "disk_space".into(),
        resource: "/".into(),
        fingerprint: print("a"),
        state: FaultState::Pending,
        severity: Severity::Major,
        value: 93,
        detail: "93".into(),
        first: NOW,
        last: NOW,
        reports: 1,
        good_since: None,
        ticket: None,
    };
    writer.engine.begin().expect("begun");
    for ticket in &all {
        desk::put_ticket(&mut writer.engine, ticket).expect("kept");
    }
    fault::put(&mut writer.engine, &waits).expect("kept");
    writer.engine.commit().expect("kept");
    let known = load(&mut writer, &Needs { waiting_faults: true, ..Needs::default() }, NOW);
    assert_eq!(known.tickets.keys().map(|id| id.0.as_u128()).collect::<Vec<_>>(), [11, 12, 13, 14]);
    assert!(known.tickets.values().all(|ticket| ticket.snapshot.is_none()));

    // Writing what was loaded so takes no evidence away, nor what was counted meanwhile.
    let seen = known.tickets[&TicketId(Uuid::from_u128(12))].clone();
    writer.engine.begin().expect("begun");
    desk::count_ticket(&mut writer.engine, seen.id, seen.count + 1, NOW).expect("counted");
    let again = desk::count_ticket(&mut writer.engine, seen.id, seen.count + 1, NOW);
    assert_eq!(again, Err(Error::Raced));
    desk::put_ticket(&mut writer.engine, &Ticket { rev: seen.rev + 1, ..seen.clone() }).expect("nobody was faster");
    writer.engine.commit().expect("kept");
    let held = desk::ticket(&mut writer.engine, seen.id).expect("read").expect("the ticket");
    assert_eq!((held.snapshot.as_deref(), held.count), (Some("frozen"), seen.count + 1));
    assert_eq!(held.last_seen, Some(NOW));
}

#[test]
fn what_every_tick_asks_for_is_read_from_an_index() {
    let (_directory, path) = place();
    let mut engine = fresh(&path);
    let mut plan = |sql: &'static str| {
        let mut steps = String::new();
        let read = &mut |cells: &[Cell]| {
            if let Some(Cell::Text(step)) = cells.get(3) {
                steps.push_str(step);
            }
            Ok(Next::More)
        };
        engine.query(Sql(sql), &[], read).expect("a plan");
        steps
    };
    for (sql, index) in [
        (
            "explain query plan select t.title from ticket t where t.state = 'resolved' and t.kind = 'incident' \
             and t.updated <= 5 order by t.updated, t.id limit 64",
            "ticket_rest (kind=? AND state=? AND updated<?)",
        ),
        (
            "explain query plan select f.detail from fault f where f.check_name = 'x' and f.state = 'pending' \
             order by f.last_at, f.fingerprint limit 256",
            "fault_waiting (check_name=? AND state=?)",
        ),
        (
            "explain query plan select count(*), min(at) from idempotency_key where actor = 'a'",
            "idempotency_key_actor (actor=?)",
        ),
        (
            "explain query plan select t.title from ticket t where t.fingerprint >= 'a:' and t.fingerprint < 'a;' \
             and (t.state not in ('closed', 'cancelled') or t.opened > 5) limit 10",
            "ticket_fingerprint (fingerprint>? AND fingerprint<?)",
        ),
    ] {
        let plan = plan(sql);
        assert!(plan.contains(index) && !plan.contains("TEMP B-TREE"), "{plan}");
    }
}
