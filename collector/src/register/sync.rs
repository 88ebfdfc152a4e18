//! One part of a record against what is held of its section. A part is applied only if what comes out has
//! the digest that the agent said; all else is wanted whole.
//!
//! - *Whole* rows replace what is held. A *delta* is applied only to its base, and only if the
//!   result has its digest; that it deletes a row which is not there does not matter, because two deltas folded
//!   into one may do so.
//! - *Same* tells a digest alone: the section is as held, or it is wanted.
//! - A *failed* section keeps its rows. What the agent counts it with may be another digest: that digest is
//!   remembered in `held`, so that the roots can agree, and the rows behind it (the record that told them was
//!   lost) are asked for. Once for each digest, and again where any record is repeated or others were lost, so
//!   that an agent which no longer has them is not asked for ever. One that never saw the section, or lost its
//!   state, counts it as empty: it is not asked, and what is held stays.
//! - Problems and `truncated` explain a section and are in no digest, so that no agent sends a section again
//!   because it stumbles over another file. They come with every part; when a record is lost that told nothing
//!   but them, people see the ones before until the section is told again.
//! - A part by which more than half of a section's rows vanish is held back once, and the section is wanted
//!   whole: if it comes again without them, it is applied. So a half-read section wipes nothing, and a real
//!   clear-out arrives one exchange later. Readings and evidence are exempt: the first have their own
//!   hysteresis, the second must be judged before anything else is applied.
//!
//! Not here: which asset it is, and what to tell about what changed.

use super::model::{Items, Section};
use super::packages::{self, Packages};
use crate::work::Known;
use shared::checkin::{Part, Rows, State};
use shared::digest::{self, Digest};
use shared::unit::At;
use shared::{evidence, health, limit, software};
use std::collections::BTreeMap;

/// Sections with fewer rows may lose any number of them without a second look.
const DROP_ROWS: u64 = 8;

/// What becomes of a part.
#[derive(Debug)]
pub enum Outcome {
    /// The rows stay; the head is as given.
    Head(Section),
    /// The same, and the rows that the agent saw last are wanted.
    Asked(Section),
    /// The rows change.
    Rows(Section, Change),
    /// A big drop: held back until it is confirmed. Rows now, and rows that would be left.
    Held(Section, u64, u64),
    /// It cannot be applied: the section is to come whole.
    Wanted,
}

/// How the rows of a section change.
#[derive(Debug)]
pub enum Change {
    /// Rows of a generic section, before and after.
    Items(Items, Items),
    /// Software.
    Software(Packages),
}

impl Change {
    fn digest(&self) -> Digest {
        match self {
            Change::Items(_, new) => digest::section_of(new.values()),
            Change::Software(packages) => packages.digest,
        }
    }

    /// Rows before, rows after, and how many of those before are gone.
    fn counts(&self) -> (u64, u64, u64) {
        match self {
            Change::Items(old, new) => {
                let gone = old.keys().filter(|key| !new.contains_key(*key)).count();
                (old.len() as u64, new.len() as u64, gone as u64)
            }
            Change::Software(packages) => (packages.before, packages.after, packages.gone),
        }
    }
}

/// Judges one part.
pub fn judge(part: &Part, head: Option<&Section>, known: &Known, now: At) -> Outcome {
    match (part.state, part.rows()) {
        (State::Failed, _) => failed(part, head, known, now),
        (State::Seen, Rows::Same) => match head {
            Some(held) if held.digest == part.digest => Outcome::Head(after(part, head, held.digest, held.rows, now)),
            _ => Outcome::Wanted,
        },
        (State::Seen, _) => seen(part, head, known, now),
    }
}

/// The digest that a section has in the root.
pub fn counted(head: &Section) -> Digest {
    match head.state {
        State::Seen => head.digest,
        State::Failed => head.held.unwrap_or(head.digest),
    }
}

/// The root digest over all sections of an asset.
pub fn root<'a>(heads: impl IntoIterator<Item = &'a Section>) -> Digest {
    digest::root(heads.into_iter().map(|head| (head.name.as_str(), head.state, counted(head))))
}

fn after(part: &Part, head: Option<&Section>, digest: Digest, rows: u64, now: At) -> Section {
    let unchanged = head.is_some_and(|head| head.digest == digest && head.state == part.state);
    Section {
        name: part.section.clone(),
        state: part.state,
        digest,
        rows,
        problems: part.problems.clone(),
        truncated: part.truncated,
        held: None,
        changed: head.filter(|_| unchanged).map_or(now, |head| head.changed),
    }
}

fn failed(part: &Part, head: Option<&Section>, known: &Known, now: At) -> Outcome {
    let (digest, rows) = head.map_or((Digest::default(), 0), |head| (head.digest, head.rows));
    // An agent that was asked for a section which fails now sends the rows that it saw last. A big drop among
    // them waits until the section can be read again and confirms it.
    if matches!(part.rows(), Rows::Whole([_, ..]))
        && part.digest != digest
        && let Some(change) = change(part, head, known)
        && !is_big(part, &change)
    {
        let rows = change.counts().1;
        return Outcome::Rows(after(part, head, part.digest, rows, now), change);
    }
    let kept = after(part, head, digest, rows, now);
    let held = (part.digest != digest).then_some(part.digest);
    let known = held.is_none() || head.is_some_and(|head| head.state == State::Failed && head.held == held);
    let kept = Section { held, ..kept };
    if known || is_empty(part.digest) { Outcome::Head(kept) } else { Outcome::Asked(kept) }
}

/// Failed sections whose rows are still not held. They are asked for again where records were lost, which may have
/// had them, and where a record is repeated, whose answer may have been lost: it may have asked for any of them.
pub fn open(heads: &BTreeMap<String, Section>) -> impl Iterator<Item = String> {
    heads.values().filter(|head| is_open(head)).map(|head| head.name.clone())
}

/// Whether a failed section's rows, as the agent saw them last, are not held.
fn is_open(head: &Section) -> bool {
    head.state == State::Failed && head.held.is_some_and(|digest| !is_empty(digest))
}

fn is_empty(digest: Digest) -> bool {
    digest == digest::section_of([])
}

fn seen(part: &Part, head: Option<&Section>, known: &Known, now: At) -> Outcome {
    let Some(change) = change(part, head, known) else { return Outcome::Wanted };
    let (before, left, _) = change.counts();
    match head {
        Some(head) if is_big(part, &change) && (head.held.is_none() || head.state == State::Failed) => {
            let held = Section { state: State::Seen, held: Some(part.digest), ..head.clone() };
            Outcome::Held(held, before, left)
        }
        _ => Outcome::Rows(after(part, head, part.digest, left, now), change),
    }
}

/// Whether so many rows would go that it is rather a mistake of the probe.
fn is_big(part: &Part, change: &Change) -> bool {
    let (before, _, gone) = change.counts();
    let exempt = health::is_section(&part.section) || part.section == evidence::SECTION;
    before >= DROP_ROWS && gone * 2 > before && !exempt
}

/// What the part makes of the rows, if all of it is as it says.
fn change(part: &Part, head: Option<&Section>, known: &Known) -> Option<Change> {
    if head.is_none() && known.sections.len() >= limit::SECTIONS {
        return None;
    }
    if let Rows::Delta { base, .. } = part.rows() {
        head.filter(|head| head.digest == base)?;
    }
    let change = if software::SECTIONS.contains(&part.section.as_str()) {
        let packages = packages::change(part, known.software.get(&part.section))?;
        Some(packages).filter(|new| new.add.is_empty() || !known.software_full).map(Change::Software)?
    } else {
        let old = known.items.get(&part.section).cloned().unwrap_or_default();
        let new = items(part.rows(), &old)?;
        Change::Items(old, new)
    };
    let fits = change.counts().1 <= limit::rows(&part.section) as u64;
    (fits && change.digest() == part.digest).then_some(change)
}

fn items(rows: Rows<'_>, old: &Items) -> Option<Items> {
    let (mut new, put) = match rows {
        Rows::Same => return None,
        Rows::Whole(put) => (Items::new(), put),
        Rows::Delta { put, del, .. } => {
            let mut new = old.clone();
            // Two deltas folded into one may delete what was never told; the digest judges the result.
            for key in del {
                new.remove(key);
            }
            (new, put)
        }
    };
    new.extend(put.iter().map(|item| (item.key.clone(), item.clone())));
    Some(new)
}

#[cfg(test)]
mod tests;
