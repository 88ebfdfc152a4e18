//! Versions that no machine has any more go; those that one has stay, whenever it got them.

use super::*;
use crate::store::cells::{Cells, one};
use crate::store::check;
use crate::store::table::software::{self, Dictionary};
use crate::store::table::sweep;
use crate::work::Row;
use shared::id::AssetId;

fn asset(number: u128) -> AssetId {
    AssetId(Uuid::from_u128(number))
}

/// The asset has these versions of one package from now on.
fn installed(writer: &mut Writer<Sqlite>, number: u128, versions: &[&str]) {
    let add = versions.iter().map(|version| package("openssl", version)).collect();
    let row = Row::Software { asset: asset(number), section: "dpkg".into(), keep: Vec::new(), add };
    writer.engine.begin().expect("begun");
    writer.put(&row).expect("kept");
    writer.engine.commit().expect("kept");
}

fn tick(writer: &mut Writer<Sqlite>) {
    let (done, answers) = batch(writer, vec![Work::Tick]);
    assert!(done.is_ok() && matches!(answers[..], [Ok(Reply::Done)]), "{answers:?}");
}

fn count(writer: &mut Writer<Sqlite>, sql: &'static str) -> i64 {
    one(&mut writer.engine, Sql(sql), &[], |cells| Cells::new("version", cells).int()).expect("read").expect("a number")
}

fn versions(writer: &mut Writer<Sqlite>) -> i64 {
    count(writer, "select count(*) from version")
}

#[test]
fn versions_that_nobody_has_go_with_their_titles() {
    let (_directory, path) = place();
    let mut writer = writer(fresh(&path), &path);
    installed(&mut writer, 1, &["1", "2", "3"]);
    installed(&mut writer, 1, &["3"]);
    assert_eq!(versions(&mut writer), 3);
    (0..4).for_each(|_| tick(&mut writer));
    assert_eq!((versions(&mut writer), count(&mut writer, "select count(*) from title")), (1, 1));
    installed(&mut writer, 1, &[]);
    (0..4).for_each(|_| tick(&mut writer));
    assert_eq!((versions(&mut writer), count(&mut writer, "select count(*) from title")), (0, 0));
    // What comes back is made anew, not taken from memory.
    installed(&mut writer, 1, &["3"]);
    assert_eq!(check::file(&path).expect("checked"), []);
    assert_eq!(versions(&mut writer), 1);
}

#[test]
fn what_is_installed_during_the_walk_stays() {
    for ticks in 0..4 {
        let (_directory, path) = place();
        let mut writer = writer(fresh(&path), &path);
        installed(&mut writer, 1, &["1"]);
        installed(&mut writer, 2, &["2"]);
        installed(&mut writer, 2, &[]);
        (0..ticks).for_each(|_| tick(&mut writer));
        // Number 2 may be marked as unused by now, or be gone; number 1 may be read already.
        installed(&mut writer, 1, &["2"]);
        (ticks..4).for_each(|_| tick(&mut writer));
        let held = count(&mut writer, "select count(*) from version where version = '2'");
        assert_eq!(held, 1, "after {ticks} ticks");
    }
}

#[test]
fn a_walk_begins_anew_when_a_transaction_was_rolled_back() {
    let (_directory, path) = place();
    let (mut engine, mut dictionary) = (fresh(&path), Dictionary::default());
    let install = |engine: &mut Sqlite, dictionary: &mut Dictionary, version: &str| {
        software::put(engine, dictionary, asset(1), "dpkg", &[], &[package("openssl", version)]).expect("kept");
    };
    install(&mut engine, &mut dictionary, "1");
    sweep::step(&mut engine, &mut dictionary).expect("the walk begins");
    // Within one transaction the list changes and is read; then all is as it was.
    engine.begin().expect("begun");
    install(&mut engine, &mut dictionary, "2");
    sweep::step(&mut engine, &mut dictionary).expect("read");
    engine.rollback().expect("rolled back");
    dictionary.forget();
    (0..6).for_each(|_| sweep::step(&mut engine, &mut dictionary).expect("walked"));
    assert_eq!(software::items(&mut engine, asset(1), "dpkg").expect("read"), [package("openssl", "1")]);
}
