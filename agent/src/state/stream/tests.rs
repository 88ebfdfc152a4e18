//! The stream over restarts and lost files.

use super::*;
use crate::collect::Section;
use crate::model::Collector;
use shared::checkin::State;
use shared::fact::Item;

const QUOTA: Quota = Quota { bytes: 1 << 20, records: 100 };

fn look(value: i64) -> Sections {
    let items = (0..50).map(|key: i64| {
        let item = Item::new("t", key.to_string()).with("v", Some(if key == 0 { value } else { 0 }));
        (item.key.clone(), item)
    });
    let section = Section { state: State::Seen, items: items.collect(), problems: Vec::new(), truncated: false };
    [("users".to_owned(), section)].into()
}

fn open(dir: &Path) -> Stream {
    Stream::open(dir, QUOTA, At::from_secs(99), None).expect("opened")
}

fn deliver(stream: &mut Stream, collector: &mut Collector) -> CheckIn {
    let check_in = stream.check_in(256, u64::MAX, At::from_secs(98)).expect("readable");
    let answer = collector.check_in(1, check_in.root, check_in.seq, &check_in.records);
    stream.taken(&answer);
    check_in
}

#[test]
fn a_restart_goes_on_with_deltas_and_numbers() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut collector = Collector::default();
    let mut stream = open(dir.path());
    assert_eq!(stream.tell(&look(1), false, At(1)), 1);
    deliver(&mut stream, &mut collector);
    stream.tell(&look(2), false, At(2));
    let before = stream.position();
    drop(stream);
    let mut stream = open(dir.path());
    assert_eq!(stream.position(), before);
    assert_eq!((stream.tell(&look(2), false, At(3)), stream.tell(&look(3), false, At(3))), (0, 1));
    let sent = deliver(&mut stream, &mut collector);
    assert_eq!(sent.records.iter().map(|record| record.seq).collect::<Vec<_>>(), [2, 3]);
    assert!(sent.records.iter().all(|record| record.sections[0].base.is_some()));
    assert_eq!((collector.root(), stream.waiting().records), (stream.root(), 0));
}

#[test]
fn a_lost_position_is_a_new_stream_that_tells_all() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut stream = open(dir.path());
    stream.tell(&look(1), false, At(1));
    let first = stream.position().stream;
    drop(stream);
    std::fs::remove_file(dir.path().join("position")).expect("removed");
    let mut stream = open(dir.path());
    assert_ne!(stream.position().stream, first);
    assert_eq!(stream.tell(&look(1), false, At(1)), 1);
    let sent = stream.check_in(256, u64::MAX, At::from_secs(98)).expect("readable");
    assert_eq!((sent.seq, sent.records.len(), sent.records[0].sections[0].base), (1, 1, None));
}

#[test]
fn a_lost_spool_is_told_in_a_gap_and_healed() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut collector = Collector::default();
    let mut stream = open(dir.path());
    stream.tell(&look(1), false, At(1));
    deliver(&mut stream, &mut collector);
    stream.tell(&look(2), false, At(2));
    stream.tell(&look(3), false, At(3));
    drop(stream);
    std::fs::write(dir.path().join("spool"), "damage").expect("written");
    let mut stream = open(dir.path());
    stream.tell(&look(4), false, At(4));
    let sent = deliver(&mut stream, &mut collector);
    let gap = Gap { records: 2, from: At::from_secs(99), to: At::from_secs(99), reason: "damaged".into() };
    assert_eq!((sent.records[0].seq, sent.records[0].gap.as_ref()), (4, Some(&gap)));
    // The delta did not fit what the collector holds; it asked for the section.
    assert!(stream.owes("users"));
    stream.tell(&Sections::new(), false, At(5));
    deliver(&mut stream, &mut collector);
    assert_eq!(collector.root(), stream.root());
}

#[test]
fn a_refused_record_is_kept_for_people_and_told() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut stream = open(dir.path());
    stream.tell(&look(1), false, At(1));
    let record = stream.check_in(1, u64::MAX, At::from_secs(98)).expect("readable").records.remove(0);
    stream.refused(&record);
    assert_eq!(stream.waiting().records, 0);
    assert!(dir.path().join("refused/00000000000000000001.json").exists());
    stream.tell(&look(2), false, At(2));
    let next = stream.check_in(1, u64::MAX, At::from_secs(98)).expect("readable").records.remove(0);
    let gap = Gap { records: 1, from: At(1), to: At(1), reason: "refused".into() };
    assert_eq!((next.seq, next.gap), (2, Some(gap)));
}

#[test]
fn an_unreadable_record_is_told_in_a_gap_and_stops_no_delivery() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut collector = Collector::default();
    let mut stream = open(dir.path());
    for value in 1..=4 {
        stream.tell(&look(value), false, At(value));
    }
    // The disk damages the third of four.
    let path = dir.path().join("spool");
    let mut bytes = std::fs::read(&path).expect("there");
    let third = bytes.windows(8).rposition(|window| window == b"\"seq\":3,").expect("there");
    bytes[third] = b'x';
    std::fs::write(&path, bytes).expect("written");
    let sent = deliver(&mut stream, &mut collector);
    let gap = Gap { records: 2, from: At::from_secs(98), to: At::from_secs(98), reason: "damaged".into() };
    let told: Vec<_> = sent.records.iter().map(|record| (record.seq, record.gap.clone())).collect();
    assert_eq!(told, [(1, None), (2, None), (5, Some(gap))]);
    assert_eq!((stream.waiting().records, stream.untold()), (0, None));
    for at in 5..8 {
        stream.tell(&Sections::new(), false, At(at));
        deliver(&mut stream, &mut collector);
    }
    assert_eq!(collector.root(), stream.root());
}

/// A look that takes more than a record may.
fn large(rows: i64, width: usize, value: i64) -> Sections {
    let items = (0..rows).map(|key| {
        let item = Item::new("t", format!("{key:05}")).with("v", Some(value)).with("text", Some("x".repeat(width)));
        (item.key.clone(), item)
    });
    let section = Section { state: State::Seen, items: items.collect(), problems: Vec::new(), truncated: false };
    [("users".to_owned(), section)].into()
}

#[test]
fn what_is_told_in_pieces_arrives_without_a_disk_too() {
    let dir = tempfile::tempdir().expect("a folder");
    let (mut collector, look) = (Collector::default(), large(13_000, 500, 1));
    let mut stream = open(dir.path());
    stream.spool.is_read_only(&dir.path().join("spool"));
    for at in 1..8 {
        stream.tell(&look, false, At(at));
        // Once the collector is away.
        if at != 2 {
            deliver(&mut stream, &mut collector);
        }
        if collector.rows("users").is_some_and(|rows| rows.len() == 13_000) {
            break;
        }
    }
    assert_eq!(collector.rows("users").map(|rows| rows.len()), Some(13_000));
    assert_eq!((collector.root(), stream.waiting().records), (stream.root(), 0));
}

#[test]
fn rows_that_change_in_pieces_never_vanish() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut collector = Collector::default();
    let quota = Quota { bytes: 1 << 26, ..QUOTA };
    let mut stream = Stream::open(dir.path(), quota, At(0), None).expect("opened");
    stream.tell(&large(2000, 4000, 1), false, At(1));
    deliver(&mut stream, &mut collector);
    assert!(stream.tell(&large(2000, 4000, 2), false, At(2)) > 1, "the test is too small");
    let check_in = stream.check_in(256, u64::MAX, At(2)).expect("readable");
    for part in check_in.records.iter().flat_map(|record| &record.sections) {
        assert!(collector.apply(part));
        assert_eq!(collector.rows("users").map(|rows| rows.len()), Some(2000));
    }
    assert_eq!(collector.root(), stream.root());
}

#[test]
fn a_large_section_that_nobody_looks_at_any_more_is_not_asked_for_for_ever() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut collector = Collector::default();
    let quota = Quota { bytes: 1 << 26, ..QUOTA };
    let mut stream = Stream::open(dir.path(), quota, At(0), None).expect("opened");
    stream.tell(&large(2000, 4000, 1), false, At(1));
    stream.tell(&[("os".to_owned(), look(1)["users"].clone())].into(), false, At(1));
    deliver(&mut stream, &mut collector);
    collector.lose("users");
    for at in 2..8 {
        stream.tell(&Sections::new(), false, At(at));
        deliver(&mut stream, &mut collector);
    }
    assert_eq!((collector.root(), stream.owes_any()), (stream.root(), false));
    assert_eq!(collector.rows("os").map(|rows| rows.len()), Some(50));
}
