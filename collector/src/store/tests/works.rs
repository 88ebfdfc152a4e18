//! Real works through the whole store: rules, tables, journal.

use super::*;
use crate::desk::model::{End, Kind, Link, Rel};
use crate::event::{Event, Told};
use crate::register::testing::Machine;
use crate::store::page::Page;
use crate::store::read::{self, events::EventFilter};
use crate::store::{Options, Store, backup, check};
use crate::work::NewTicket;
use shared::evidence::Kind as EvidenceKind;
use shared::id::AgentId;
use std::collections::{BTreeMap, BTreeSet};

async fn enrolled(store: &Store) -> AgentId {
    store.submit(create(1)).await.expect("a token");
    let reply = store.submit(enroll("key")).await.expect("enrolled");
    let Reply::Granted { agent, .. } = reply else { panic!("granted: {reply:?}") };
    agent
}

async fn report(store: &Store, machine: &mut Machine) -> Vec<String> {
    let record = machine.record(NOW);
    let reply = store.submit(machine.report(&record)).await.expect("taken");
    let Reply::Report { want, root, .. } = reply else { panic!("a report's answer: {reply:?}") };
    assert!(!want.is_empty() || root == machine.root(), "the register holds what the machine is");
    machine.want(&want);
    want
}

fn open_store(path: &Path) -> Store {
    Store::open(Options::new(path, || NOW).floor_bytes(0)).expect("a store")
}

#[tokio::test]
async fn a_machine_is_held_as_it_says() {
    let (directory, path) = place();
    let store = open_store(&path);
    let agent = enrolled(&store).await;
    let mut machine = Machine::new(agent);
    machine.identify(&[(EvidenceKind::SystemSerial, "Dell Inc.|X|S1")]);
    machine.set("disks", [Item::new("disk", "wwn-1"), Item::new("disk", "wwn-2")]);
    machine.set("dpkg", (0..300).map(|n| package(&format!("p{n}"), "1.0")));
    while !report(&store, &mut machine).await.is_empty() {}
    for n in 0..40 {
        machine.put("dpkg", package(&format!("p{n}"), "1.1"));
        machine.set("disks", [Item::new("disk", format!("wwn-{n}"))]);
        while !report(&store, &mut machine).await.is_empty() {}
    }
    let head = *store.head().borrow();
    let (held, entries) = store
        .read(move |engine| {
            let (held, _) = read::agents::by_id(engine, agent)?.ok_or(Error::Raced)?;
            Ok((held, read::events::list(engine, &EventFilter::default(), 500)?))
        })
        .await
        .expect("read");
    assert_eq!((held.root, held.seq), (machine.root(), machine.seq));
    assert_eq!(entries.iter().map(|entry| entry.seq).collect::<Vec<_>>(), (1..=head).collect::<Vec<_>>());
    assert_eq!(check::file(&path).expect("checked"), []);
    backup::create(&path, &directory.path().join("copy.db")).expect("a copy while it is open");
    store.close().await;
    assert!(matches!(store.submit(create(2)).await, Err(Denied::Down(_))));

    let connection = rusqlite::Connection::open(&path).expect("open");
    connection
        .execute("update item set label = 'x' where section = 'disks'", [])
        .expect("a row that changed by itself");
    drop(connection);
    let found = check::file(&path).expect("checked");
    assert!(!found.is_empty() && found.iter().all(|finding| finding.place == "item"), "{found:?}");
    let store = open_store(&path);
    assert_eq!(*store.head().borrow(), head, "the journal goes on where it was");
    store.close().await;
}

#[tokio::test]
async fn what_is_answered_is_durable() {
    let (_directory, path) = place();
    let rows = Arc::new(AtomicU64::new(0));
    let seen = rows.clone();
    let options = Options::new(&path, || NOW).floor_bytes(0).committed(move |committed| {
        seen.fetch_add(committed.len() as u64, Ordering::SeqCst);
    });
    let store = Store::open(options).expect("a store");
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..200 {
        let (store, path, rows) = (store.clone(), path.clone(), rows.clone());
        tasks.spawn(async move {
            store.submit(create(number)).await.expect("kept");
            assert!(rows.load(Ordering::SeqCst) > 0, "told of before the answer");
            let mut reader = open::reader(&path).expect("another connection");
            read::tokens::join(&mut reader, join_token(number).id).expect("read").is_some()
        });
    }
    while let Some(found) = tasks.join_next().await {
        assert!(found.expect("a task"), "there when it was answered");
    }
    assert_eq!((rows.load(Ordering::SeqCst), *store.head().borrow()), (200, 200));
    store.close().await;
}

#[tokio::test]
async fn when_agents_were_heard_only_grows() {
    let (_directory, path) = place();
    let store = open_store(&path);
    let agent = enrolled(&store).await;
    for at in [NOW, NOW.plus_secs(-5), NOW.plus_secs(60)] {
        store.flush_seen(vec![(agent, at)]).await.expect("flushed");
        store.flush_seen(vec![(agent, NOW)]).await.expect("flushed");
    }
    let heard = store.read(|engine| read::agents::fleet(engine)).await.expect("read");
    assert_eq!(heard.iter().map(|(_, at)| *at).collect::<Vec<_>>(), [Some(NOW.plus_secs(60))]);
    store.close().await;
}

/// The journal, folded, is the tables.
#[tokio::test]
async fn the_journal_tells_the_tables() {
    let (_directory, path) = place();
    let store = open_store(&path);
    let mut keys = Vec::new();
    for kind in [Kind::Incident, Kind::Change, Kind::Incident] {
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
        let reply = store.submit(Work::Act { actor: KIM, act: Act::OpenTicket(Box::new(ticket)) }).await.expect("open");
        let Reply::Ticket(ticket) = reply else { panic!("a ticket: {reply:?}") };
        keys.push(*ticket);
    }
    assert_eq!(keys.iter().map(|ticket| ticket.key()).collect::<Vec<_>>(), ["INC-1", "CHG-1", "INC-2"]);
    let ends = [End::Ticket(keys[1].id), End::External("jira:OPS-12".into())];
    for to in ends {
        let act = Act::AddLink { from: End::Ticket(keys[0].id), rel: Rel::Relates, to };
        let reply = store.submit(Work::Act { actor: KIM, act }).await.expect("linked");
        let Reply::Link { link, .. } = reply else { panic!("a link: {reply:?}") };
        if matches!(link.to, End::Ticket(_)) {
            store.submit(Work::Act { actor: KIM, act: Act::RemoveLink { link: link.id } }).await.expect("unlinked");
        }
    }
    let (links, entries) = store
        .read(|engine| {
            let links = read::links::list(engine, None, None, &Page::default())?.rows;
            Ok((links, read::events::list(engine, &EventFilter::default(), 500)?))
        })
        .await
        .expect("read");
    let mut folded: BTreeMap<_, Link> = BTreeMap::new();
    let mut opened = BTreeSet::new();
    for entry in entries {
        let Told::Known(event) = entry.event else { panic!("an unknown event") };
        match *event {
            Event::LinkAdded { link } => drop(folded.insert(link.id, link)),
            Event::LinkRemoved { link } => drop(folded.remove(&link.id)),
            Event::TicketOpened { ticket } => drop(opened.insert(ticket.key())),
            _ => {}
        }
    }
    assert_eq!((folded.into_values().collect::<Vec<_>>(), opened.len()), (links, 3));
    store.close().await;
}

#[tokio::test]
async fn strangers_do_not_fill_the_journal() {
    let (_directory, path) = place();
    let store = open_store(&path);
    store.submit(create(1)).await.expect("a token");
    let before = *store.head().borrow();
    for n in 0..300_u32 {
        let act = Act::Enroll {
            token: join_token(1).id,
            hash: [0; 32],
            fingerprint: format!("key {n}"),
            name: format!("host-{n}"),
            version: "0.1.0".into(),
            source: std::net::Ipv4Addr::from(0xC000_0200 + n % 200).into(),
        };
        let refused = store.submit(Work::Act { actor: Actor::Join(join_token(1).id), act }).await;
        assert!(matches!(refused, Err(Denied::Refused(_))), "{refused:?}");
    }
    assert_eq!(*store.head().borrow(), before + 1);
    store.close().await;
    let store = open_store(&path);
    assert_eq!(*store.head().borrow(), before + 2, "the others are counted in one event");
    let told = store.read(|engine| read::events::list(engine, &EventFilter::default(), 500)).await.expect("events");
    let told: Vec<Told> = told.into_iter().map(|entry| entry.event).collect();
    let refused = Event::EnrollRefused {
        why: "wrong secret".into(),
        source: "192.0.2.0/24".into(),
        name: "host-299".into(),
        count: 299,
    };
    assert!(told.contains(&Told::Known(Box::new(refused))), "{told:?}");
    store.close().await;
}
