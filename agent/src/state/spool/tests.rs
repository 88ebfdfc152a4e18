//! The spool against damage, quotas and a disk that takes nothing.

use super::*;
use proptest::prelude::*;
use shared::checkin::{Gap, Part, Rows, State};
use shared::digest::{self, Digest};
use shared::fact::Item;
use shared::unit::At;

const QUOTA: Quota = Quota { bytes: 1 << 20, records: 100 };

/// Record `seq` sets row `seq % 3` of section `s` to `seq`: a chain of deltas.
fn record(seq: u64) -> Record {
    let section =
        |seq: u64| -> Vec<Item> { (seq.saturating_sub(2)..=seq).filter(|n| *n > 0).map(|n| row(n % 3, n)).collect() };
    let part = Part {
        section: "s".into(),
        state: State::Seen,
        digest: digest::section_of(&section(seq)),
        base: Some(digest::section_of(&section(seq - 1))),
        put: Some(vec![row(seq % 3, seq)]),
        del: Vec::new(),
        problems: Vec::new(),
        truncated: false,
    };
    Record { seq, at: At::from_secs(seq as i64), root: Digest::default(), sections: vec![part], gap: None }
}

fn row(key: u64, value: u64) -> Item {
    Item::new("t", key.to_string()).with("v", Some(value))
}

fn filled(path: &Path, quota: Quota, seqs: std::ops::RangeInclusive<u64>) -> Spool {
    let mut spool = Spool::open(path, quota, 0).expect("opened");
    for seq in seqs {
        assert!(matches!(spool.append(record(seq), false, 0), Kept::OnDisk));
    }
    spool
}

impl Spool {
    /// A file that cannot be written stands for a full disk.
    pub(crate) fn is_read_only(&mut self, path: &Path) {
        self.file = File::open(path).expect("read only");
    }
}

fn seqs(spool: &mut Spool) -> Vec<u64> {
    spool.batch(usize::MAX, u64::MAX).iter().map(|record| record.seq).collect()
}

#[test]
fn records_survive_a_restart_in_order_until_they_are_acknowledged() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("spool");
    drop(filled(&path, QUOTA, 1..=5));
    let mut spool = Spool::open(&path, QUOTA, 2).expect("opened");
    assert_eq!(spool.batch(2, u64::MAX), [record(3), record(4)]);
    spool.acknowledge(4);
    assert_eq!(seqs(&mut spool), [5]);
    spool.acknowledge(5);
    assert_eq!((spool.file_bytes(), spool.is_empty()), (0, true));
}

#[test]
fn a_record_set_aside_stays_aside_after_a_restart() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("spool");
    filled(&path, QUOTA, 1..=3).set_aside(1).expect("marked");
    assert_eq!(seqs(&mut Spool::open(&path, QUOTA, 0).expect("opened")), [2, 3]);
}

#[test]
fn over_quota_old_records_are_folded_and_the_newest_state_stays() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut spool = Spool::open(&dir.path().join("spool"), Quota { records: 20, ..QUOTA }, 0).expect("opened");
    for seq in 1..=500 {
        // One and two were sent: they may not change. Seven is a crossing: it stays a record of its own.
        spool.append(record(seq), seq == 7, 2);
        assert!(spool.len() <= 20);
    }
    let records = spool.batch(usize::MAX, u64::MAX);
    assert_eq!(records[..2], [record(1), record(2)]);
    assert!(records.iter().any(|record| record.seq == 7));
    let missing: u64 = records.iter().filter_map(|record| record.gap.as_ref()).map(|gap| gap.records).sum();
    assert_eq!(missing + records.len() as u64, 500);
    let mut collector = crate::model::Collector::default();
    assert!(records.iter().flat_map(|record| &record.sections).all(|part| collector.apply(part)));
    assert_eq!(collector.rows("s").expect("rows").len(), 3);
    assert_eq!(collector.rows("s").expect("rows")["2"], row(2, 500));
}

#[test]
fn over_quota_by_bytes_the_oldest_are_dropped_when_folding_does_not_help() {
    let dir = tempfile::tempdir().expect("a folder");
    let quota = Quota { bytes: 8192, records: 1000 };
    let mut spool = Spool::open(&dir.path().join("spool"), quota, 0).expect("opened");
    for seq in 1..=60 {
        let mut record = record(seq);
        // Rows that never repeat: folding two records does not make them smaller.
        record.sections[0].put = Some(vec![Item::new("t", "x".repeat(300) + &seq.to_string())]);
        assert!(matches!(spool.append(record, true, 0), Kept::OnDisk));
        assert!(spool.file_bytes() <= quota.bytes / 2);
    }
    let records = spool.batch(usize::MAX, u64::MAX);
    let missing: u64 = records.iter().filter_map(|record| record.gap.as_ref()).map(|gap| gap.records).sum();
    assert_eq!(missing + records.len() as u64, 60);
    assert_eq!(records.last().map(|record| record.seq), Some(60));
}

#[test]
fn without_a_disk_the_newest_state_waits_in_memory() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("spool");
    let mut spool = filled(&path, QUOTA, 1..=2);
    spool.is_read_only(&path);
    for seq in 3..=6 {
        assert!(matches!(spool.append(record(seq), false, 3), Kept::InMemory(_)));
    }
    // Three was sent; four to six are folded.
    assert_eq!((spool.len(), seqs(&mut spool)), (4, vec![1, 2]));
    spool.acknowledge(2);
    assert_eq!(spool.batch(9, u64::MAX), [record(3)]);
    spool.acknowledge(3);
    let [last] = &spool.batch(9, u64::MAX)[..] else { panic!("one") };
    let gap = Gap { records: 2, from: At::from_secs(4), to: At::from_secs(5), reason: "disk_full".into() };
    assert_eq!((last.seq, last.gap.as_ref()), (6, Some(&gap)));
    assert!(matches!(last.sections[0].rows(), Rows::Delta { put, .. } if put.len() == 3));
    // The disk works again.
    spool.file = OpenOptions::new().read(true).write(true).open(&path).expect("opened");
    assert!(matches!(spool.append(record(7), false, 3), Kept::OnDisk));
    assert_eq!(seqs(&mut Spool::open(&path, QUOTA, 3).expect("opened")), [6, 7]);
}

/// Damages the payload of a record on disk, which is found when it is read.
fn damage(spool: &Spool, seq: u64) {
    let frame = spool.frames.iter().find(|frame| frame.seq == seq).expect("there");
    spool.file.write_all_at(b"x", frame.offset + frame::HEADER_BYTES as u64).expect("written");
}

#[test]
fn a_record_that_cannot_be_read_costs_no_room_and_no_other_record() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("spool");
    let mut spool = filled(&path, Quota { records: 4, ..QUOTA }, 1..=4);
    damage(&spool, 2);
    assert!(matches!(spool.append(record(5), false, 0), Kept::InMemory(_)));
    assert_eq!(spool.frames.len(), 4);
    assert!(!dir.path().join("spool.new").exists());
    // The newest on disk is the one that would make way.
    let bytes = spool.frames[0].bytes;
    let mut spool = filled(&dir.path().join("other"), Quota { bytes: bytes * 3, records: 100 }, 1..=1);
    damage(&spool, 1);
    let mut large = record(2);
    large.sections[0].problems = vec![shared::checkin::Problem::new(shared::checkin::Why::Failed, "x".repeat(80))];
    assert!(matches!(spool.append(large, false, 0), Kept::InMemory(_)));
    assert_eq!((spool.frames.len(), spool.end), (1, bytes));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn damage_costs_no_more_than_the_tail(cut in 0.0..1.0_f64, flip in prop::option::of((0.0..1.0_f64, 0_u8..8))) {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("spool");
        let ends: Vec<u64> = {
            let mut spool = Spool::open(&path, QUOTA, 0).expect("opened");
            (1..=8).map(|seq| { spool.append(record(seq), false, 0); spool.file_bytes() }).collect()
        };
        let mut bytes = std::fs::read(&path).expect("there");
        let length = (bytes.len() as f64 * cut) as usize;
        bytes.truncate(length);
        let mut whole = length;
        if let Some((place, bit)) = flip && length > 0 {
            let place = (length as f64 * place) as usize;
            bytes[place] ^= 1 << bit;
            whole = place;
        }
        std::fs::write(&path, &bytes).expect("damaged");
        let kept = ends.iter().filter(|end| **end <= whole as u64).count() as u64;
        let mut spool = Spool::open(&path, QUOTA, 0).expect("opened");
        let found = seqs(&mut spool);
        let undamaged: Vec<u64> = (1..=kept).collect();
        prop_assert!(found.starts_with(&undamaged), "{:?} of {:?}", found, undamaged);
        prop_assert!(matches!(spool.append(record(9), false, 0), Kept::OnDisk));
        prop_assert_eq!(seqs(&mut spool).last().copied(), Some(9));
    }
}
