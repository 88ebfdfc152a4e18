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
    let check_in = stream.check_in(256, u64::MAX).expect("readable");
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
    let sent = stream.check_in(256, u64::MAX).expect("readable");
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
    let record = stream.check_in(1, u64::MAX).expect("readable").records.remove(0);
    stream.refused(&record);
    assert_eq!(stream.waiting().records, 0);
    assert!(dir.path().join("refused/00000000000000000001.json").exists());
    stream.tell(&look(2), false, At(2));
    let next = stream.check_in(1, u64::MAX).expect("readable").records.remove(0);
    let gap = Gap { records: 1, from: At(1), to: At(1), reason: "refused".into() };
    assert_eq!((next.seq, next.gap), (2, Some(gap)));
}
