//! What the collector was told, and what a new look at the machine adds to it. Pure.
//!
//! The agent keeps 16 bytes a row. A record starts from the record before it, whether that one arrived
//! yet or not: order is the spool's matter, and a base that the collector does not hold comes back as
//! `want`. Not here: clocks, numbers of records, files; rows that are not in the new look (someone asks
//! `held` for them).

use crate::collect::{Section, Sections};
use crate::deliver;
use serde::Serialize;
use shared::checkin::{Part, Problem, Rows, State};
use shared::digest::{self, Digest};
use shared::fact::Item;
use shared::limit;
use std::collections::{BTreeMap, BTreeSet};

/// Once a record's sections hold more JSON than this, in bytes, the rest goes into the next record.
const RECORD_BYTES: usize = limit::BODY_BYTES / 4;
/// What a record may take, within what a check-in that carries it may: JSON in bytes …
const BYTES_MAX: usize = limit::BODY_BYTES / 4 * 3;
/// … JSON values …
const NODES_MAX: usize = limit::JSON_NODES / 20 * 19;
/// … and bytes when it is packed.
const PACKED_BYTES_MAX: usize = limit::BODY_COMPRESSED_BYTES / 8 * 7;
/// A part of fewer bytes counts as if it could not be packed.
const PACK_BYTES_MIN: usize = 64 * 1024;

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
    /// The section of which only so much was told, if one was too large for a record.
    pub cut: Sections,
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
        let mut changes = Changes { parts: Vec::new(), root: Digest::default(), more: false, cut: Sections::new() };
        let mut total = Cost::default();
        for name in names {
            if total.bytes > RECORD_BYTES || changes.parts.len() >= limit::SECTIONS {
                changes.more = true;
                break;
            }
            let owed = self.owed.get(&name).copied();
            let Some(mut part) = self.part(&name, sections.get(&name), owed, held) else {
                self.owed.remove(&name);
                continue;
            };
            let mut cost = Cost::of(&part);
            if !changes.parts.is_empty() && !total.and(cost).fits() {
                changes.more = true;
                break;
            }
            self.owed.remove(&name);
            let mut new = sections.get(&name);
            if let Some(whole) = new.filter(|new| new.state == State::Seen && !cost.fits()) {
                let piece;
                let told = self.told.get(&name);
                let held = told.and_then(|told| held(&name).filter(|held| held.digest == told.digest));
                (piece, part) = cut(&name, whole, told, owed, held);
                cost = Cost::of(&part);
                changes.cut.insert(name.clone(), piece);
                new = changes.cut.get(&name);
            }
            total = total.and(cost);
            self.note(&part, new);
            changes.parts.push(part);
            if !changes.cut.is_empty() {
                changes.more = true;
                break;
            }
        }
        changes.root = self.root();
        (!changes.parts.is_empty()).then_some(changes)
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
                let put = held().filter(|held| owed == Some(Owed::Whole) && Cost::of(held).fits());
                let put = put.and_then(|part| part.put);
                let changed = told.state != State::Failed || told.notes != notes(&new.problems, new.truncated);
                let part = Part { put, state: State::Failed, digest: told.digest, ..whole(name, &bare(new)) };
                (changed || owed.is_some()).then_some(part)
            }
            None if owed.is_none() => None,
            None => match (held(), owed) {
                (Some(part), Some(Owed::Whole)) if Cost::of(&part).fits() => Some(part),
                // A digest would not answer what was asked, and be asked about again, for ever.
                (Some(part), Some(Owed::Whole)) if part.state == State::Seen => {
                    self.told.remove(name);
                    None
                }
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

/// So much of a section as fits into a record, and the part that tells it: the rows that are told already, then
/// those that changed, then new ones. Changed rows that do not fit stay as they were told, if `held` has them: what is
/// there is not to vanish and come again. The next record starts from there.
fn cut(name: &str, new: &Section, told: Option<&Told>, owed: Option<Owed>, held: Option<Part>) -> (Section, Part) {
    let held: BTreeMap<String, Item> =
        held.and_then(|held| held.put).into_iter().flatten().map(|item| (item.key.clone(), item)).collect();
    let base = told.filter(|_| owed != Some(Owed::Whole));
    let row = |key: &str| base.and_then(|told| told.rows.get(key));
    let (mut piece, mut rest) = (bare(new), Vec::new());
    for (key, item) in &new.items {
        match row(key) {
            Some(told) if *told == digest::row(item) => {
                piece.items.insert(key.clone(), item.clone());
            }
            told => rest.push((told.is_none(), key, item)),
        }
    }
    rest.sort_by_key(|(new, ..)| *new);
    let mut count = rest.len();
    loop {
        count = (count / 4 * 3).max(1);
        let mut piece = piece.clone();
        let (fits, later) = rest.split_at(count.min(rest.len()));
        piece.items.extend(fits.iter().map(|(_, key, item)| ((*key).clone(), (*item).clone())));
        let changed = later.iter().filter(|(is_new, ..)| !is_new);
        piece
            .items
            .extend(changed.filter_map(|(_, key, _)| held.get_key_value(*key)).map(|(k, v)| (k.clone(), v.clone())));
        let part = told.and_then(|told| seen(name, &piece, told, owed)).unwrap_or_else(|| whole(name, &piece));
        if count == 1 || Cost::of(&part).fits() {
            return (piece, part);
        }
    }
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

/// What something takes in a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Cost {
    /// As JSON.
    bytes: usize,
    /// JSON values; an empty list or map counts twice.
    nodes: usize,
    /// As JSON, packed.
    packed_bytes: usize,
}

impl Cost {
    fn of(part: &Part) -> Cost {
        let mut count = Count::default();
        // Counting cannot fail.
        let _ = serde_json::to_writer(&mut count, part);
        let mut cost = Cost { bytes: count.bytes, nodes: count.nodes + 1, packed_bytes: count.bytes };
        // What is too large anyway need not be packed.
        if (PACK_BYTES_MIN..=BYTES_MAX).contains(&cost.bytes) && cost.nodes <= NODES_MAX {
            let text = serde_json::to_vec(part).unwrap_or_default();
            cost.packed_bytes =
                zstd::bulk::compress(&text, deliver::PACK_LEVEL).map_or(cost.bytes, |packed| packed.len());
        }
        cost
    }

    fn and(self, other: Cost) -> Cost {
        Cost {
            bytes: self.bytes + other.bytes,
            nodes: self.nodes + other.nodes,
            packed_bytes: self.packed_bytes + other.packed_bytes,
        }
    }

    fn fits(self) -> bool {
        self.bytes <= BYTES_MAX && self.nodes <= NODES_MAX && self.packed_bytes <= PACKED_BYTES_MAX
    }
}

/// Counts bytes of JSON that is written, and its values: one for each list and map, and one for each comma, as one
/// value less than there are in them is followed by one.
#[derive(Default)]
struct Count {
    bytes: usize,
    nodes: usize,
    in_text: bool,
    escaped: bool,
}

impl std::io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.bytes += bytes.len();
        for byte in bytes {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = self.in_text,
                b'"' => self.in_text = !self.in_text,
                b',' | b'{' | b'[' if !self.in_text => self.nodes += 1,
                _ => {}
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// How many bytes something takes as JSON.
fn json_bytes(value: &impl Serialize) -> usize {
    let mut count = Count::default();
    let _ = serde_json::to_writer(&mut count, value);
    count.bytes
}

#[cfg(test)]
mod tests;
