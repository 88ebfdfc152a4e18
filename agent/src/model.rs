//! A collector of forty lines, for tests: holds rows, applies records, asks for what it lacks.

use shared::checkin::{Answer, Part, Record, Rows, State};
use shared::digest::{self, Digest};
use shared::fact::Item;
use shared::unit::At;
use std::collections::BTreeMap;

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Collector {
    stream: Option<u8>,
    seq: u64,
    held: BTreeMap<String, (State, BTreeMap<String, Item>)>,
}

impl Collector {
    pub(crate) fn check_in(&mut self, stream: u8, root: Digest, last: u64, records: &[Record]) -> Answer {
        if self.stream != Some(stream) {
            (self.stream, self.seq) = (Some(stream), 0);
        }
        let mut want = Vec::new();
        for record in records {
            if record.seq > self.seq {
                want.extend(record.sections.iter().filter(|part| !self.apply(part)).map(|part| part.section.clone()));
                self.seq = record.seq;
                self.forget(record);
            }
        }
        if want.is_empty() && self.seq >= last && root != self.root() {
            want.push("*".into());
        }
        let now = At(0);
        Answer {
            root: self.root(),
            seq: self.seq,
            want,
            stale: false,
            next_s: 1,
            now,
            settings: Digest::default(),
            renew: false,
        }
    }

    /// Applies one part unless its base is not held or its digest does not come out.
    pub(crate) fn apply(&mut self, part: &Part) -> bool {
        let mut rows = self.rows(&part.section).cloned().unwrap_or_default();
        match part.rows() {
            Rows::Same => {}
            Rows::Whole(items) => rows = by_key(items),
            Rows::Delta { base, put, del } => {
                if digest::section_of(rows.values()) != base {
                    return false;
                }
                del.iter().for_each(|key| {
                    rows.remove(key);
                });
                rows.extend(by_key(put));
            }
        }
        if digest::section_of(rows.values()) != part.digest {
            return false;
        }
        self.held.insert(part.section.clone(), (part.state, rows));
        true
    }

    /// A record that names every section that the agent has lets go of the others.
    fn forget(&mut self, record: &Record) {
        let named: BTreeMap<&str, &Part> = record.sections.iter().map(|part| (part.section.as_str(), part)).collect();
        let root = digest::root(named.iter().map(|(name, part)| (*name, part.state, part.digest)));
        if !named.is_empty() && root == record.root {
            self.held.retain(|name, _| named.contains_key(name.as_str()));
        }
    }

    pub(crate) fn lose(&mut self, section: &str) {
        self.held.remove(section);
    }

    pub(crate) fn rows(&self, section: &str) -> Option<&BTreeMap<String, Item>> {
        self.held.get(section).map(|(_, rows)| rows)
    }

    pub(crate) fn root(&self) -> Digest {
        let digests: Vec<(State, Digest)> =
            self.held.values().map(|(state, rows)| (*state, digest::section_of(rows.values()))).collect();
        digest::root(self.held.keys().zip(digests).map(|(name, (state, digest))| (name.as_str(), state, digest)))
    }
}

fn by_key(items: &[Item]) -> BTreeMap<String, Item> {
    items.iter().map(|item| (item.key.clone(), item.clone())).collect()
}
