//! What the desk gets to see, however much there is.

use super::*;
use crate::desk::model::{End, Kind, Link, Rel, Ticket};
use crate::store::journal::Journal;
use crate::store::load::{self, Source};
use crate::store::table::desk;
use crate::store::table::software::Dictionary;
use crate::work::{Known, Needs, NewTicket, Resting};
use shared::id::{LinkId, TicketId};
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
