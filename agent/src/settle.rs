//! Which health readings are worth telling again: those that moved a step, crossed a threshold, came or
//! went. The others are replaced by what was told last, so that they differ in nothing. Pure.

use crate::collect::Sections;
use shared::checkin::State;
use shared::fact::Item;
use shared::health::{self, Reading};
use std::collections::BTreeMap;

/// The readings that were told last, by section and key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Readings {
    told: BTreeMap<String, BTreeMap<String, Item>>,
}

/// Per check, the value from which on a change is told at once.
pub type Thresholds = BTreeMap<String, i64>;

impl Readings {
    /// Takes up what a former run told.
    pub fn remember<'a>(&mut self, section: &str, items: impl IntoIterator<Item = &'a Item>) {
        if health::is_section(section) {
            let items = items.into_iter().map(|item| (item.key.clone(), item.clone())).collect();
            self.told.insert(section.to_owned(), items);
        }
    }

    /// Puts the told reading in place of each that did not move enough; says whether one crossed a
    /// threshold, so that it cannot wait for the next check-in.
    pub fn settle(&self, sections: &mut Sections, thresholds: &Thresholds) -> bool {
        let mut crossed = false;
        for (name, section) in sections.iter_mut() {
            if !health::is_section(name) || section.state != State::Seen {
                continue;
            }
            let none = BTreeMap::new();
            let told = self.told.get(name).unwrap_or(&none);
            let gone = told.iter().filter(|(key, _)| !section.items.contains_key(*key));
            crossed |= gone.filter(|(_, old)| side(old, thresholds) != Side::Fine).count() > 0;
            for (key, item) in section.items.iter_mut() {
                let old = told.get(key);
                let before = old.map_or(Side::Fine, |old| side(old, thresholds));
                let after = side(item, thresholds);
                crossed |= before != after && (before == Side::Raised || after != Side::Between);
                if let Some(old) = old.filter(|old| before == after && is_near(old, item)) {
                    *item = old.clone();
                }
            }
        }
        crossed
    }
}

/// Where a value lies between clear and raise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Fine,
    Between,
    Raised,
}

fn side(item: &Item, thresholds: &Thresholds) -> Side {
    let Some((reading, check)) = Reading::from_item(item).and_then(|r| health::check(&r.check).map(|c| (r, c))) else {
        return Side::Fine;
    };
    let raise = thresholds.get(check.name).copied().unwrap_or(check.raise);
    // A threshold that was moved takes its hysteresis along.
    let clear = raise.saturating_sub(check.raise.saturating_sub(check.clear));
    match reading.value {
        value if value >= raise => Side::Raised,
        value if value >= clear => Side::Between,
        _ => Side::Fine,
    }
}

/// Whether two readings of one thing differ by less than the check's step, and in nothing that lasts.
/// `detail` explains the value, so it is told along with a value that is.
fn is_near(old: &Item, new: &Item) -> bool {
    let (Some(a), Some(b)) = (Reading::from_item(old), Reading::from_item(new)) else { return false };
    let step = health::check(&a.check).map_or(1, |check| check.step);
    let near = a.value == b.value || a.value.abs_diff(b.value) < step.unsigned_abs();
    near && a.identity == b.identity && a.total == b.total && (a.value != b.value || a.detail == b.detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::Section;

    fn sections(check: &str, values: &[(&str, i64)]) -> Sections {
        let items = values.iter().map(|(resource, value)| {
            let reading = Reading {
                check: check.into(),
                resource: (*resource).into(),
                value: *value,
                total: Some(100),
                identity: None,
                detail: Some(format!("{value} exactly")),
            };
            let item = Item::from(reading);
            (item.key.clone(), item)
        });
        let section = Section { state: State::Seen, items: items.collect(), problems: Vec::new(), truncated: false };
        [("health_x".to_owned(), section)].into()
    }

    /// What is told of `new` after `old`, and whether it is urgent.
    fn after(check: &str, old: &[(&str, i64)], new: &[(&str, i64)]) -> (Vec<i64>, bool) {
        let mut readings = Readings::default();
        readings.remember("health_x", sections(check, old)["health_x"].items.values());
        let mut new = sections(check, new);
        let urgent = readings.settle(&mut new, &health::default_thresholds());
        (new["health_x"].items.values().filter_map(|item| item.int("value")).collect(), urgent)
    }

    #[test]
    fn less_than_a_step_is_not_told() {
        assert_eq!(after("memory_pressure", &[("", 7)], &[("", 11)]), (vec![7], false));
        assert_eq!(after("memory_pressure", &[("", 7)], &[("", 12)]), (vec![12], false));
        assert_eq!(after("disk_space", &[("/", 50)], &[("/", 51)]), (vec![51], false));
    }

    #[test]
    fn a_crossing_is_told_at_once_both_ways() {
        assert_eq!(after("disk_space", &[("/", 89)], &[("/", 90)]), (vec![90], true));
        // Not below `clear` yet, but no longer above the threshold.
        assert_eq!(after("disk_space", &[("/", 90)], &[("/", 89)]), (vec![89], true));
        assert_eq!(after("memory_pressure", &[("", 20)], &[("", 19)]), (vec![19], true));
        assert_eq!(after("memory_pressure", &[("", 19)], &[("", 20)]), (vec![20], false));
    }

    #[test]
    fn what_comes_raised_or_goes_raised_is_urgent() {
        assert_eq!(after("failed_unit", &[], &[("a.service", 1)]), (vec![1], true));
        assert_eq!(after("failed_unit", &[("a.service", 1)], &[]), (vec![], true));
        assert_eq!(after("disk_space", &[("/", 10)], &[("/", 10), ("/srv", 20)]), (vec![10, 20], false));
    }

    #[test]
    fn a_moved_threshold_moves_the_crossing() {
        let mut readings = Readings::default();
        readings.remember("health_x", sections("disk_space", &[("/", 69)])["health_x"].items.values());
        let thresholds = [("disk_space".to_owned(), 70)].into();
        assert!(readings.settle(&mut sections("disk_space", &[("/", 70)]), &thresholds));
    }
}
