//! Idempotency keys on a real file: kept with what they stand for, over a restart, for a day.

use super::*;
use crate::desk::model::Kind;
use crate::store::read::{self, events::EventFilter};
use crate::store::{Options, Store};
use crate::work::once::{KEPT_S, KEYS_MAX, Once};
use crate::work::{NewTicket, Refusal};
use std::sync::atomic::AtomicI64;

fn open_ticket(key: &str, hash: u8, title: &str) -> Work {
    let ticket = NewTicket {
        kind: Kind::Request,
        title: title.into(),
        description: String::new(),
        impact: None,
        urgency: None,
        assignee: None,
        requester: None,
        fields: Default::default(),
        assets: Vec::new(),
    };
    let once = Once { key: key.into(), hash: [hash; 32] };
    Work::Once { once, actor: KIM, act: Act::OpenTicket(Box::new(ticket)) }
}

async fn tickets(store: &Store) -> usize {
    let filter = EventFilter { kinds: vec!["ticket_opened".into()], ..EventFilter::default() };
    store.read(move |engine| read::events::list(engine, &filter, 500)).await.expect("events").len()
}

fn keys(path: &Path) -> i64 {
    let connection = rusqlite::Connection::open(path).expect("open");
    connection.query_row("select count(*) from idempotency_key", [], |row| row.get(0)).expect("a count")
}

#[tokio::test]
async fn a_key_outlives_a_restart_and_ends_after_a_day() {
    let (_directory, path) = place();
    let clock = Arc::new(AtomicI64::new(NOW.0));
    let open = || {
        let clock = Arc::clone(&clock);
        Store::open(Options::new(&path, move || At(clock.load(Ordering::SeqCst))).floor_bytes(0)).expect("a store")
    };
    let store = open();
    let first = store.submit(open_ticket("k", 1, "a laptop")).await.expect("opened");
    assert_eq!(store.submit(open_ticket("k", 1, "a laptop")).await.expect("told again"), first);
    let other = store.submit(open_ticket("k", 2, "another")).await;
    assert!(matches!(other, Err(Denied::Refused(Refusal::Invalid { field, .. })) if field == "Idempotency-Key"));
    // What was refused left no key behind.
    assert!(matches!(store.submit(open_ticket("bad", 3, "")).await, Err(Denied::Refused(_))));
    store.submit(open_ticket("bad", 4, "better")).await.expect("opened");
    // Another actor's key of the same name is another key.
    let Work::Once { once, act, .. } = open_ticket("k", 9, "theirs") else { unreachable!("as made above") };
    store.submit(Work::Once { once, actor: Actor::Local(1), act }).await.expect("opened");
    store.close().await;

    let store = open();
    assert_eq!(store.submit(open_ticket("k", 1, "a laptop")).await.expect("told again"), first);
    assert_eq!(tickets(&store).await, 3);
    clock.fetch_add(KEPT_S * 1_000_000, Ordering::SeqCst);
    // Free again, though no tick has passed since.
    let second = store.submit(open_ticket("k", 2, "another")).await.expect("opened");
    assert_ne!(second, first);
    assert_eq!(keys(&path), 3);
    store.submit(Work::Tick).await.expect("ticked");
    assert_eq!(keys(&path), 1, "only what is younger than a day stays");
    assert_eq!(store.submit(open_ticket("k", 2, "another")).await.expect("told again"), second);
    store.close().await;
}

#[tokio::test]
async fn keys_are_bounded_for_each_actor_and_forgotten_by_and_by() {
    let (_directory, path) = place();
    let store = Store::open(Options::new(&path, || NOW).floor_bytes(0)).expect("a store");
    let connection = rusqlite::Connection::open(&path).expect("open");
    connection
        .execute(
            "with recursive n(i) as (select 1 union all select i + 1 from n where i < ?1) \
             insert into idempotency_key select 'local:1000', 'key-' || i, x'00', ?2, '\"done\"', 0 from n",
            rusqlite::params![i64::try_from(KEYS_MAX).expect("small"), NOW.plus_secs(-KEPT_S).0],
        )
        .expect("keys of yesterday");
    let refused = store.submit(open_ticket("k", 1, "one more")).await;
    assert!(matches!(refused, Err(Denied::Refused(Refusal::TooMany { retry_s: 1, .. }))), "{refused:?}");
    for left in [5_904, 1_808, 0] {
        store.submit(Work::Tick).await.expect("ticked");
        assert_eq!(keys(&path), left);
    }
    store.submit(open_ticket("k", 1, "one more")).await.expect("opened");
    store.close().await;
}
