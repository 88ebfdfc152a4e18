//! Folding: two records become one that has the same effect. What is lost is only that something changed
//! twice, and the gap says how often. Pure.

use shared::checkin::{Gap, Part, Record, Rows};
use shared::fact::Item;
use std::collections::{BTreeMap, BTreeSet};

/// Rows in a folded record. Sixteen JSON values a row are more than any kind of row has on average.
const ROWS_MAX: usize = shared::limit::JSON_NODES / 16;

/// One record with the effect of `first` and then `second`; `first` is counted as missing.
pub fn records(first: Record, second: Record, reason: &str) -> Record {
    let mut sections: BTreeMap<String, Part> =
        first.sections.iter().map(|part| (part.section.clone(), part.clone())).collect();
    for part in &second.sections {
        let folded = match sections.remove(&part.section) {
            Some(before) => parts(before, part.clone()),
            None => part.clone(),
        };
        sections.insert(part.section.clone(), folded);
    }
    // What grew too large for a record is dropped instead: the collector asks for what it lacks.
    if sections.values().flat_map(|part| &part.put).map(Vec::len).sum::<usize>() > ROWS_MAX {
        return dropped(first, second, reason);
    }
    Record { sections: sections.into_values().collect(), ..dropped(first, second, reason) }
}

/// The second record, which tells that the first is missing.
pub fn dropped(first: Record, second: Record, reason: &str) -> Record {
    let lost = Gap { records: 1, from: first.at, to: first.at, reason: reason.to_owned() };
    let gap = [first.gap, Some(lost), second.gap].into_iter().flatten().reduce(gaps);
    Record { gap, ..second }
}

/// Two gaps, one after the other, as one; the reason is that of the larger.
pub fn gaps(first: Gap, second: Gap) -> Gap {
    let reason = if first.records >= second.records { first.reason } else { second.reason };
    Gap {
        records: first.records.saturating_add(second.records),
        from: first.from.min(second.from),
        to: first.to.max(second.to),
        reason,
    }
}

/// One part with the effect of two on the same section.
fn parts(first: Part, second: Part) -> Part {
    let folded = match (first.rows(), second.rows()) {
        // Only state or problems changed: the rows are those of the first.
        (_, Rows::Same) if first.digest == second.digest => Some((first.base, first.put, first.del)),
        (Rows::Whole(items), Rows::Delta { base, put, del }) if first.digest == base => {
            Some((None, Some(overlay(items, put, del)), Vec::new()))
        }
        (Rows::Delta { base: from, put: old, del: gone }, Rows::Delta { base, put, del }) if first.digest == base => {
            let again: BTreeSet<&str> = put.iter().map(|item| item.key.as_str()).collect();
            let mut left: BTreeSet<String> = gone.iter().filter(|key| !again.contains(key.as_str())).cloned().collect();
            left.extend(del.iter().cloned());
            Some((Some(from), Some(overlay(old, put, del)), left.into_iter().collect()))
        }
        // The second says all, or does not follow the first; then the collector asks for what it lacks.
        _ => None,
    };
    match folded {
        Some((base, put, del)) => Part { base, put, del, ..second },
        None => second,
    }
}

/// Rows after a delta.
fn overlay(items: &[Item], put: &[Item], del: &[String]) -> Vec<Item> {
    let mut rows: BTreeMap<&str, &Item> = items.iter().map(|item| (item.key.as_str(), item)).collect();
    for key in del {
        rows.remove(key.as_str());
    }
    rows.extend(put.iter().map(|item| (item.key.as_str(), item)));
    rows.into_values().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::{Section, Sections};
    use crate::model::Collector;
    use crate::sync::Sync;
    use proptest::prelude::*;
    use shared::checkin::State;
    use shared::unit::At;

    fn look(rows: &BTreeMap<u8, i64>, failed: bool) -> Sections {
        let items =
            rows.iter().map(|(key, value)| (key.to_string(), Item::new("t", key.to_string()).with("v", Some(*value))));
        let section = match failed {
            true => Section { state: State::Failed, items: BTreeMap::new(), problems: Vec::new(), truncated: false },
            false => Section { state: State::Seen, items: items.collect(), problems: Vec::new(), truncated: false },
        };
        [("a".to_owned(), section)].into()
    }

    proptest! {
        #[test]
        fn a_fold_has_the_effect_of_both(
            looks in prop::collection::vec((prop::collection::btree_map(0_u8..12, 0_i64..2, 0..12), prop::bool::weighted(0.2)), 2..8),
            held in 0_usize..3,
        ) {
            let mut sync = Sync::default();
            let records: Vec<Record> = looks.iter().enumerate().filter_map(|(seq, (rows, failed))| {
                let changes = sync.changes(&look(rows, *failed), &|_| None)?;
                let at = At::from_secs(i64::try_from(seq).ok()?);
                Some(Record { seq: seq as u64 + 1, at, root: changes.root, sections: changes.parts, gap: None })
            }).collect();
            let (before, rest) = records.split_at(held.min(records.len()));
            let mut collector = Collector::default();
            before.iter().flat_map(|record| &record.sections).for_each(|part| { collector.apply(part); });
            let mut other = collector.clone();
            rest.iter().flat_map(|record| &record.sections).for_each(|part| { collector.apply(part); });
            let count = rest.len();
            let folded = rest.iter().cloned().reduce(|first, second| super::records(first, second, "quota"));
            if let Some(folded) = folded {
                prop_assert_eq!(folded.gap.as_ref().map_or(0, |gap| gap.records), count as u64 - 1);
                prop_assert_eq!(folded.root, collector.root());
                for part in &folded.sections {
                    prop_assert!(other.apply(part));
                }
                prop_assert_eq!(other, collector);
            }
        }
    }
}
