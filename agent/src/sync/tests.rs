//! The conversation against a collector of forty lines, over a channel that loses and repeats.

use super::*;
use crate::model::Collector;
use proptest::prelude::*;
use shared::checkin::{Record, Why};
use shared::unit::At;

fn section(rows: &[(u8, i64)]) -> Section {
    let items = rows
        .iter()
        .map(|&(key, value)| (key.to_string(), Item::new("thing", key.to_string()).with("value", Some(value))))
        .collect();
    Section { state: State::Seen, items, problems: Vec::new(), truncated: false }
}

fn failed() -> Section {
    let problems = vec![Problem::new(Why::Denied, "/x")];
    Section { state: State::Failed, items: BTreeMap::new(), problems, truncated: false }
}

fn look(sections: &[(&str, Section)]) -> Sections {
    sections.iter().map(|(name, section)| ((*name).to_owned(), section.clone())).collect()
}

fn nothing(_: &str) -> Option<Part> {
    None
}

fn told(sync: &mut Sync, sections: &Sections) -> Vec<Part> {
    sync.changes(sections, &nothing).map(|changes| changes.parts).unwrap_or_default()
}

#[test]
fn the_first_report_is_whole_and_an_unchanged_one_is_nothing() {
    let mut sync = Sync::default();
    let first = look(&[("a", section(&[(1, 1), (2, 2)])), ("b", section(&[]))]);
    let parts = told(&mut sync, &first);
    assert_eq!(parts.iter().map(Part::rows).filter(|rows| matches!(rows, Rows::Whole(_))).count(), 2);
    assert!(!sync.differs(&first));
    assert_eq!(told(&mut sync, &first), []);
}

#[test]
fn one_row_of_many_is_a_delta_and_most_rows_are_whole() {
    let many: Vec<(u8, i64)> = (0..100).map(|key| (key, 0)).collect();
    let mut sync = Sync::default();
    told(&mut sync, &look(&[("a", section(&many))]));
    let mut changed = many.clone();
    changed[7].1 = 1;
    changed.pop();
    let parts = told(&mut sync, &look(&[("a", section(&changed))]));
    let [part] = parts.as_slice() else { panic!("one part: {parts:?}") };
    let Rows::Delta { put, del, .. } = part.rows() else { panic!("a delta: {part:?}") };
    assert_eq!((put.len(), del), (1, &["99".to_owned()][..]));
    let other: Vec<(u8, i64)> = (0..100).map(|key| (key, 9)).collect();
    let parts = told(&mut sync, &look(&[("a", section(&other))]));
    assert!(matches!(parts[0].rows(), Rows::Whole(items) if items.len() == 100));
}

#[test]
fn what_changes_all_the_time_makes_no_record() {
    let mut sync = Sync::default();
    let with_now = |value: i64| {
        let mut section = section(&[(1, 1)]);
        section.items.insert("1".into(), Item::new("thing", "1").with_now("free", Some(value)));
        look(&[("a", section)])
    };
    told(&mut sync, &with_now(1));
    assert_eq!(told(&mut sync, &with_now(2)), []);
}

#[test]
fn a_failed_section_keeps_its_digest_and_says_why() {
    let mut sync = Sync::default();
    let digest = told(&mut sync, &look(&[("a", section(&[(1, 1)]))]))[0].digest;
    let parts = told(&mut sync, &look(&[("a", failed())]));
    assert_eq!((parts[0].state, parts[0].digest, parts[0].rows()), (State::Failed, digest, Rows::Same));
    assert_eq!(parts[0].problems.len(), 1);
    assert_eq!(told(&mut sync, &look(&[("a", failed())])), []);
    let parts = told(&mut sync, &look(&[("a", section(&[(1, 1)]))]));
    assert_eq!((parts[0].state, parts[0].rows()), (State::Seen, Rows::Same));
}

#[test]
fn a_star_asks_for_digests_and_a_name_for_rows() {
    let mut sync = Sync::default();
    let sections = look(&[("a", section(&[(1, 1)])), ("b", section(&[(2, 2)]))]);
    told(&mut sync, &sections);
    sync.want(&["*".into(), "b".into(), "unknown".into()]);
    let parts = told(&mut sync, &sections);
    assert_eq!(parts[0].rows(), Rows::Same);
    assert!(matches!(parts[1].rows(), Rows::Whole(items) if items.len() == 1));
    assert_eq!(told(&mut sync, &sections), []);
}

#[derive(Debug, Clone)]
enum Step {
    /// A look at the machine; `None` is a section that failed.
    Look(u8, Option<Vec<(u8, i64)>>),
    /// The oldest record in the queue arrives, and its answer too, or not.
    Deliver { answered: bool },
    /// The agent starts again with what it had on disk, or without.
    Restart { with_state: bool },
    /// The collector loses a section.
    Lose(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let rows = prop::collection::vec((0_u8..6, 0_i64..3), 0..6);
    prop_oneof![
        4 => (0_u8..3, prop::option::weighted(0.8, rows)).prop_map(|(name, rows)| Step::Look(name, rows)),
        4 => any::<bool>().prop_map(|answered| Step::Deliver { answered }),
        1 => any::<bool>().prop_map(|with_state| Step::Restart { with_state }),
        1 => (0_u8..3).prop_map(Step::Lose),
    ]
}

/// An agent's whole state in this model: what would be on disk.
#[derive(Default)]
struct Agent {
    sync: Sync,
    held: BTreeMap<String, Part>,
    truth: Sections,
    queue: Vec<Record>,
    stream: u8,
    seq: u64,
}

impl Agent {
    fn look(&mut self) {
        let held = self.held.clone();
        if let Some(changes) = self.sync.changes(&self.truth, &|name| held.get(name).cloned()) {
            self.seq += 1;
            for part in &changes.parts {
                crate::state::told::fold_into(&mut self.held, part, &self.truth);
            }
            self.queue.push(Record {
                seq: self.seq,
                at: At(0),
                root: changes.root,
                sections: changes.parts,
                gap: None,
            });
        }
    }

    fn deliver(&mut self, collector: &mut Collector, answered: bool) {
        let sent: Vec<Record> = self.queue.iter().take(1).cloned().collect();
        let answer = collector.check_in(self.stream, self.sync.root(), self.seq, &sent);
        if answered {
            self.queue.retain(|record| record.seq > answer.seq);
            self.sync.want(&answer.want);
        }
    }

    fn restart(&mut self, with_state: bool) {
        self.sync = Sync::default();
        if with_state {
            self.held.values().for_each(|part| self.sync.remember(part));
        } else {
            (self.held, self.queue, self.seq) = (BTreeMap::new(), Vec::new(), 0);
            self.stream += 1;
        }
    }
}

proptest! {
    #[test]
    fn both_ends_hold_the_same_in_the_end(steps in prop::collection::vec(step(), 0..60)) {
        let (mut agent, mut collector) = (Agent::default(), Collector::default());
        for step in steps {
            match step {
                Step::Look(name, rows) => {
                    let found = rows.map_or_else(failed, |rows| section(&rows));
                    agent.truth.insert(name.to_string(), found);
                    agent.look();
                }
                Step::Deliver { answered } => agent.deliver(&mut collector, answered),
                Step::Restart { with_state } => agent.restart(with_state),
                Step::Lose(name) => collector.lose(&name.to_string()),
            }
        }
        // Everything works again: a few contacts later both hold the same.
        for _ in 0..agent.queue.len() + 8 {
            agent.look();
            agent.deliver(&mut collector, true);
        }
        prop_assert_eq!(agent.queue.len(), 0);
        prop_assert_eq!(agent.sync.root(), collector.root());
        for (name, section) in agent.truth.iter().filter(|(_, section)| section.state == State::Seen) {
            prop_assert_eq!(Some(&section.items), collector.rows(name));
        }
    }
}
