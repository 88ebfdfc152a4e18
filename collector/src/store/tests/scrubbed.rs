//! What a scrub finds keeps machines out, until another database is there.

use super::*;
use crate::store::backup::Sum;
use crate::store::restore::restore;
use crate::store::{Options, Store, backup, read, scrub};

fn open_store(path: &Path) -> Store {
    Store::open(Options::new(path, || NOW).floor_bytes(0)).expect("a store")
}

async fn turned_away(store: &Store, what: &str) {
    let denied = store.submit(enroll("key")).await;
    assert!(matches!(&denied, Err(Denied::ReadOnly(why)) if why == what), "{denied:?}");
    store.submit(Work::Tick).await.expect("what people and time do goes on");
}

#[tokio::test]
async fn machines_are_turned_away_with_the_reason_until_a_backup_is_restored() {
    let (directory, path) = place();
    let store = open_store(&path);
    store.submit(create(1)).await.expect("a token");
    store.submit(enroll("key")).await.expect("enrolled");
    assert_eq!(store.scrub(NOW).await.expect("read through").findings, [""; 0]);
    let copy = directory.path().join("copy.db");
    backup::create(&path, &copy).expect("a copy");

    let connection = rusqlite::Connection::open(&path).expect("open");
    connection.execute("update join_token set uses = uses + 1", []).expect("a row that changed by itself");
    drop(connection);
    let found = store.scrub(NOW).await.expect("read through").findings;
    let [what] = &found[..] else { panic!("one finding: {found:?}") };
    assert!(what.starts_with("join_token: "), "{what}");
    let listed = store.read(|engine| read::tokens::join(engine, join_token(1).id)).await;
    assert!(matches!(listed, Err(Error::Damaged { table: "join_token", .. })), "never told: {listed:?}");
    turned_away(&store, what).await;
    store.close().await;
    let store = open_store(&path);
    turned_away(&store, what).await;
    store.close().await;

    restore((&copy, Sum::Needed), &path, &directory.path().join("aside.db"), 0, NOW).expect("restored");
    assert_eq!(scrub::last(&path), None);
    let store = open_store(&path);
    store.end_scrub();
    assert!(store.scrub(NOW).await.is_err(), "one that is to end does not go on to its end");
    assert_eq!(scrub::last(&path), None);
    let denied = store.submit(enroll("key")).await;
    assert!(matches!(denied, Err(Denied::Refused(_))), "the token is dead, but machines are heard: {denied:?}");
    store.close().await;
}
