//! What a damaged key hides is an error, not an empty answer; what lies in a table of keys is found by the check.

use super::*;
use crate::store::cells::{Cells, one};
use crate::store::page::Page;
use crate::store::{check, read};

/// A register after this statement, which stands for a damaged key.
fn damaged(statement: &str) -> (TempDir, PathBuf) {
    let (directory, path) = place();
    let dense = flips::filled(&path);
    let connection = rusqlite::Connection::open(&dense).expect("a connection");
    connection.execute_batch("pragma foreign_keys = off").expect("off");
    assert!(connection.execute(statement, []).expect("a statement") > 0, "{statement}");
    (directory, dense)
}

#[test]
fn a_row_that_something_else_speaks_of_is_missed_when_it_is_asked_for() {
    let page = Page::default();
    let table = |found: Result<(), Error>| match found {
        Err(Error::Damaged { table, .. }) => table,
        other => panic!("it tells: {other:?}"),
    };
    let agents = |engine: &mut Sqlite| read::agents::list(engine, &Default::default(), &page).map(drop);
    let assets =
        |engine: &mut Sqlite| read::assets::list(engine, &Default::default(), Default::default(), &page).map(drop);
    let each = |engine: &mut Sqlite, of: &dyn Fn(&mut Sqlite, shared::id::AssetId) -> Result<(), Error>| {
        let rows = read::assets::list(engine, &Default::default(), Default::default(), &page)?.rows;
        rows.iter().try_for_each(|row| of(engine, row.asset.id))
    };

    let (_directory, path) = damaged("update seen set agent = agent || 'x'");
    let mut engine = open::reader(&path).expect("a reader");
    assert_eq!((table(agents(&mut engine)), table(assets(&mut engine))), ("seen", "seen"));

    let (_directory, path) = damaged("delete from agent");
    let mut engine = open::reader(&path).expect("a reader");
    assert_eq!(table(assets(&mut engine)), "agent");
    let id = one(&mut engine, Sql("select agent from seen"), &[], |cells| Cells::new("seen", cells).parse());
    let id = id.expect("seen").expect("a row");
    assert_eq!(table(read::agents::by_id(&mut engine, id).map(drop)), "agent");

    let (_directory, path) = damaged("update item set item_key = asset, asset = item_key");
    let mut engine = open::reader(&path).expect("a reader");
    let items = |engine: &mut Sqlite, id| read::assets::items(engine, id, None, &page).map(drop);
    assert_eq!(table(each(&mut engine, &items)), "section");

    let (_directory, path) = damaged("delete from install");
    let mut engine = open::reader(&path).expect("a reader");
    let software = |engine: &mut Sqlite, id| read::software::of_asset(engine, id, None, &page).map(drop);
    assert_eq!(table(each(&mut engine, &software)), "section");

    let (_directory, path) = damaged("delete from section");
    let mut engine = open::reader(&path).expect("a reader");
    let sections = |engine: &mut Sqlite, id| read::assets::sections(engine, id).map(drop);
    assert_eq!(table(each(&mut engine, &sections)), "section");

    let (_directory, path) =
        damaged("update journal_subject set subject = 'asset:other' where seq = (select max(seq) from journal)");
    let mut engine = open::reader(&path).expect("a reader");
    let of = read::events::EventFilter { subject: Some("asset:other".into()), ..Default::default() };
    assert_eq!(table(read::events::list(&mut engine, &of, 500).map(drop)), "journal_subject");
}

#[test]
fn tables_of_keys_and_keys_of_tables_have_sums() {
    for (place, statement) in [
        ("evidence", "update evidence set value = value || '0'"),
        ("address", "insert into address (address, asset, sum) values ('192.0.2.1', 'none', 0)"),
        ("migration", "update migration set at = at + 1"),
        ("journal_subject", "update journal_subject set subject = subject || '0'"),
        ("seen", "update seen set agent = agent || '0'"),
    ] {
        let (_directory, path) = damaged(statement);
        let findings = check::file(&path).expect("a check");
        assert!(findings.iter().any(|finding| finding.place == place), "{place}: {findings:?}");
    }
}
