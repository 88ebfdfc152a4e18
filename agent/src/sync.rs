//! What the collector was told, and what a new look at the machine adds to it. Pure.
//!
//! The agent keeps 16 bytes a row. A record starts from the record before it, whether that one arrived
//! yet or not: order is the spool's matter, and a base that the collector does not hold comes back as
//! `want`. Not here: clocks, numbers of records, files; rows that are not in the new look (someone asks
//! `held` for them).

use crate::collect::{Section, Sections};
use serde::Serialize;
use shared::checkin::{Part, Problem, Rows, State};
use shared::digest::{self, Digest};
use shared::fact::Item;
use std::collections::{BTreeMap, BTreeSet};

/// A record's sections hold no more JSON than this, in bytes; the rest goes into the next record.
const RECORD_BYTES_MAX: usize = shared::limit::BODY_BYTES / 4;

/// What was told of one section.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Told {
    state: State,
    digest: Digest,
    rows: BTreeMap<Box<str>, Digest>,
    /// Over problems and `truncated`: not in the root, but people want to see them change.
    notes: Digest,
}

/// The state of the conversation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sync {
    told: BTreeMap<String, Told>,
    /// What is owed for which section.
    owed: BTreeMap<String, Owed>,
}

/// What an answer's `want` asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Owed {
    /// Its digest.
    Digest,
    /// All its rows.
    Whole,
}

/// Sections that differ, and what the collector will hold when it has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// In the order of their names.
    pub parts: Vec<Part>,
    /// The root afterwards.
    pub root: Digest,
    /// There is more: ask again for another record.
    pub more: bool,
}

/// A section as it stands after a part: what `show --all` prints and `want` may ask for.
pub fn whole(name: &str, section: &Section) -> Part {
    Part {
        section: name.to_owned(),
        state: section.state,
        digest: section.digest(),
        base: None,
        put: Some(section.items.values().cloned().collect()),
        del: Vec::new(),
        problems: section.problems.clone(),
        truncated: section.truncated,
    }
}

impl Sync {
    /// The root digest of all that was told.
    pub fn root(&self) -> Digest {
        digest::root(self.told.iter().map(|(name, told)| (name.as_str(), told.state, told.digest)))
    }

    /// Takes up what a former run told; parts must be whole.
    pub fn remember(&mut self, part: &Part) {
        let told = Told {
            state: part.state,
            digest: part.digest,
            rows: rows_of(part.put.iter().flatten()),
            notes: notes(&part.problems, part.truncated),
        };
        self.told.insert(part.section.clone(), told);
    }

    /// Forgets everything: the next record tells all, as on a new stream.
    pub fn forget(&mut self) {
        *self = Sync::default();
    }

    /// Takes up an answer's `want`. Names that were never told are left alone.
    pub fn want(&mut self, names: &[String]) {
        for name in names.iter().take(shared::limit::SECTIONS) {
            if name == "*" {
                for told in self.told.keys() {
                    self.owed.entry(told.clone()).or_insert(Owed::Digest);
                }
            } else if self.told.contains_key(name) {
                self.owed.insert(name.clone(), Owed::Whole);
            }
        }
    }

    /// Sections that are owed, whole or by digest.
    pub fn owed(&self) -> impl Iterator<Item = &str> {
        self.owed.keys().map(String::as_str)
    }

    /// Whether a new look differs from what was told.
    pub fn differs(&self, sections: &Sections) -> bool {
        sections.iter().any(|(name, section)| match self.told.get(name) {
            None => true,
            Some(told) => {
                told.state != section.state
                    || told.notes != notes(&section.problems, section.truncated)
                    || (section.state == State::Seen && told.digest != section.digest())
            }
        })
    }

    /// What to tell of a new look (which may lack sections: those stay as they are), or `None` where
    /// nothing differs and nothing is owed. `held` gives a told section whole, for one that is owed and
    /// not in the new look or failed in it. Afterwards the conversation counts it as told.
    pub fn changes(&mut self, sections: &Sections, held: &dyn Fn(&str) -> Option<Part>) -> Option<Changes> {
        let names: BTreeSet<String> = sections.keys().chain(self.owed.keys()).cloned().collect();
        let (mut parts, mut bytes, mut more) = (Vec::new(), 0, false);
        for name in names {
            if bytes > RECORD_BYTES_MAX || parts.len() >= shared::limit::SECTIONS {
                more = true;
                break;
            }
            let owed = self.owed.remove(&name);
            if let Some(part) = self.part(&name, sections.get(&name), owed, held) {
                bytes += json_bytes(&part);
                self.note(&part, sections.get(&name));
                parts.push(part);
            }
        }
        (!parts.is_empty()).then(|| Changes { parts, root: self.root(), more })
    }

    fn part(
        &mut self,
        name: &str,
        new: Option<&Section>,
        owed: Option<Owed>,
        held: &dyn Fn(&str) -> Option<Part>,
    ) -> Option<Part> {
        let Some(told) = self.told.get(name) else { return new.map(|new| whole(name, new)) };
        let held = || held(name).filter(|part| part.digest == told.digest);
        match new {
            Some(new) if new.state == State::Seen => seen(name, new, told, owed),
            Some(new) => {
                let put = if owed == Some(Owed::Whole) { held().and_then(|part| part.put) } else { None };
                let changed = told.state != State::Failed || told.notes != notes(&new.problems, new.truncated);
                let part = Part { put, state: State::Failed, digest: told.digest, ..whole(name, &bare(new)) };
                (changed || owed.is_some()).then_some(part)
            }
            None if owed.is_none() => None,
            None => match (held(), owed) {
                (Some(part), Some(Owed::Whole)) => Some(part),
                (Some(part), _) => Some(Part { put: None, ..part }),
                // The rows are lost here: told whole as soon as the section is looked at again.
                (None, _) => {
                    self.told.remove(name);
                    None
                }
            },
        }
    }

    fn note(&mut self, part: &Part, new: Option<&Section>) {
        let rows = match (part.rows(), new) {
            // A failed section keeps its rows.
            (Rows::Same, _) => None,
            (Rows::Whole(items), _) => Some(rows_of(items)),
            (Rows::Delta { .. }, Some(new)) => Some(rows_of(new.items.values())),
            (Rows::Delta { .. }, None) => None,
        };
        let rows = rows.or_else(|| self.told.remove(&part.section).map(|told| told.rows)).unwrap_or_default();
        let notes = notes(&part.problems, part.truncated);
        self.told.insert(part.section.clone(), Told { state: part.state, digest: part.digest, rows, notes });
    }
}

/// A section that was seen: nothing, its digest, whole, or a delta, whichever is smaller.
fn seen(name: &str, new: &Section, told: &Told, owed: Option<Owed>) -> Option<Part> {
    let part = whole(name, new);
    if owed == Some(Owed::Whole) {
        return Some(part);
    }
    if part.digest == told.digest {
        let changed = told.state != State::Seen || told.notes != notes(&new.problems, new.truncated);
        return (changed || owed.is_some()).then_some(Part { put: None, ..part });
    }
    let put: Vec<Item> = new
        .items
        .iter()
        .filter(|(key, item)| told.rows.get(key.as_str()) != Some(&digest::row(item)))
        .map(|(_, item)| item.clone())
        .collect();
    let del = told.rows.keys().filter(|key| !new.items.contains_key(&***key)).map(|key| key.to_string()).collect();
    let delta = Part { base: Some(told.digest), put: Some(put), del, ..bare_part(&part) };
    Some(if json_bytes(&delta) < json_bytes(&part) { delta } else { part })
}

/// A section without its items.
fn bare(section: &Section) -> Section {
    Section { items: BTreeMap::new(), problems: section.problems.clone(), ..*section }
}

/// A part without its rows.
fn bare_part(part: &Part) -> Part {
    Part {
        section: part.section.clone(),
        state: part.state,
        digest: part.digest,
        base: None,
        put: None,
        del: Vec::new(),
        problems: part.problems.clone(),
        truncated: part.truncated,
    }
}

fn rows_of<'a>(items: impl IntoIterator<Item = &'a Item>) -> BTreeMap<Box<str>, Digest> {
    items.into_iter().map(|item| (item.key.as_str().into(), digest::row(item))).collect()
}

fn notes(problems: &[Problem], truncated: bool) -> Digest {
    // Serialising our own types into memory cannot fail.
    digest::of_bytes(&serde_json::to_vec(&(problems, truncated)).unwrap_or_default())
}

/// How many bytes something takes as JSON.
pub fn json_bytes(value: &impl Serialize) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}

#[cfg(test)]
mod tests;
