//! Keeps a section within the bounds that the collector keeps too, so that no machine, however odd, makes
//! a report that is refused. Pure. What was cut is told as a problem; nothing is cut silently.

use super::Section;
use crate::probes::Found;
use shared::checkin::{Problem, State, Why};
use shared::fact::{Attrs, Item, Value};
use shared::limit;
use shared::scan;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Values of one list; a row has to fit into a record.
const LIST_MAX: usize = 1024;

/// The section that a probe's answer becomes.
pub(super) fn section(name: &str, found: Result<Found, Problem>) -> Section {
    let found = match found {
        Ok(found) => found,
        Err(problem) => {
            return Section {
                state: State::Failed,
                items: BTreeMap::new(),
                problems: problems(vec![problem]),
                truncated: false,
            };
        }
    };
    let mut told = found.problems;
    let mut found = found.items;
    for item in &mut found {
        item_within(item, &mut told);
    }
    // Keys are sorted instead of rows, which are large; of twins the first found comes first.
    let mut order: Vec<(&str, usize)> = found.iter().zip(0..).map(|(item, row)| (item.key.as_str(), row)).collect();
    // Stable, because that is quick with what is nearly sorted, as a database of packages is.
    order.sort();
    let order: Vec<usize> = order.into_iter().map(|(_, row)| row).collect();
    let mut twins = Vec::new();
    let mut unique: Vec<(String, Item)> = Vec::with_capacity(found.len());
    for item in order.into_iter().filter_map(|row| found.get_mut(row).map(std::mem::take)) {
        match unique.last() {
            Some((key, _)) if *key == item.key => twins.push(item),
            _ => unique.push((item.key.clone(), item)),
        }
    }
    let mut items: BTreeMap<String, Item> = unique.into_iter().collect();
    for item in twins {
        put_twin(&mut items, item, &mut told);
    }
    let rows = limit::rows(name);
    let truncated = items.len() > rows;
    if truncated {
        let detail = format!("{} rows found, the first {rows} by key are told", items.len());
        told.insert(0, Problem::new(Why::Failed, name).detail(detail));
        if let Some(first_cut) = items.keys().nth(rows).cloned() {
            items.split_off(&first_cut);
        }
    }
    Section { state: State::Seen, items, problems: problems(told), truncated }
}

/// Two things with one key are both told: the later ones as `key#2`, `key#3` …
fn put_twin(items: &mut BTreeMap<String, Item>, mut item: Item, told: &mut Vec<Problem>) {
    told.push(Problem::new(Why::Malformed, &item.key).detail("more than one thing has this key"));
    let mut stem = item.key.clone();
    cut(&mut stem, limit::NAME_BYTES - 8);
    for number in 2..=limit::ROWS {
        if let Entry::Vacant(free) = items.entry(format!("{stem}#{number}")) {
            item.key.clone_from(free.key());
            free.insert(item);
            return;
        }
    }
}

fn item_within(item: &mut Item, told: &mut Vec<Problem>) {
    let mut cuts: Vec<&str> = Vec::new();
    // A kind that a probe wrote out is within every bound.
    if let Cow::Owned(kind) = &mut item.kind
        && text_within(kind, limit::NAME_BYTES)
    {
        cuts.push("kind");
    }
    if text_within(&mut item.key, limit::NAME_BYTES) {
        cuts.push("key");
    }
    let columns = [
        ("label", &mut item.label),
        ("maker", &mut item.maker),
        ("model", &mut item.model),
        ("serial", &mut item.serial),
    ];
    for (field, text) in columns {
        if text.as_mut().is_some_and(|text| text_within(text, limit::NAME_BYTES)) {
            cuts.push(field);
        }
    }
    if attrs_within(&mut item.attrs) | attrs_within(&mut item.now) {
        cuts.push("attributes");
    }
    if !cuts.is_empty() {
        let detail = format!("longer than may be told, so cut: {}", cuts.join(", "));
        told.push(Problem::new(Why::Malformed, &item.key).detail(detail));
    }
}

/// True if something had to be cut.
fn attrs_within(attrs: &mut Attrs) -> bool {
    let mut cut = false;
    if attrs.len() > limit::ATTRS
        && let Some(first_cut) = attrs.keys().nth(limit::ATTRS).cloned()
    {
        attrs.split_off(&first_cut);
        cut = true;
    }
    for value in attrs.values_mut() {
        cut |= value_within(value);
    }
    cut
}

fn value_within(value: &mut Value) -> bool {
    match value {
        Value::Bool(_) | Value::Int(_) => false,
        Value::Text(text) => text_within(text, limit::TEXT_BYTES),
        Value::List(list) => {
            let cut = list.len() > LIST_MAX;
            list.truncate(LIST_MAX);
            list.iter_mut().fold(cut, |cut, value| value_within(value) | cut)
        }
        Value::Map(map) => attrs_within(map),
    }
}

/// Removes NUL, which no database holds, and cuts; true if it had to be cut.
fn text_within(text: &mut String, bytes_max: usize) -> bool {
    if !scan::none(text.as_bytes(), |byte| byte == 0) {
        text.retain(|c| c != '\0');
    }
    cut(text, bytes_max)
}

/// Cuts on a character's boundary; true if it had to.
fn cut(text: &mut String, bytes_max: usize) -> bool {
    if text.len() <= bytes_max {
        return false;
    }
    let end = (0..=bytes_max).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    text.truncate(end);
    true
}

/// Problems within their bounds; when there are too many, the last one says how many more there were.
fn problems(mut all: Vec<Problem>) -> Vec<Problem> {
    all.dedup();
    if all.len() > limit::PROBLEMS {
        let more = all.len() - (limit::PROBLEMS - 1);
        all.truncate(limit::PROBLEMS - 1);
        all.push(Problem::new(Why::Failed, "problems").detail(format!("{more} more are not told")));
    }
    for problem in &mut all {
        text_within(&mut problem.what, limit::NAME_BYTES);
        text_within(&mut problem.detail, limit::TEXT_BYTES);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(items: Vec<Item>) -> Result<Found, Problem> {
        Ok(Found { items, problems: Vec::new() })
    }

    #[test]
    fn a_failed_probe_is_a_failed_section() {
        let denied = Problem::new(Why::Denied, "/x");
        let made = section("disks", Err(denied.clone()));
        assert_eq!((made.state, made.items.len(), made.problems), (State::Failed, 0, vec![denied]));
    }

    #[test]
    fn rows_over_the_limit_are_cut_in_key_order_and_said() {
        let rows = limit::rows("network");
        let items = (0..rows + 2).rev().map(|n| Item::new("interface", format!("{n:06}"))).collect();
        let made = section("network", found(items));
        assert!(made.truncated);
        assert_eq!(made.items.len(), rows);
        assert_eq!(made.items.keys().next_back(), Some(&format!("{:06}", rows - 1)));
        assert_eq!(made.problems.len(), 1);
    }

    #[test]
    fn text_is_cut_between_characters_and_nul_is_gone() {
        let long = "é".repeat(limit::TEXT_BYTES);
        let item = Item { label: Some("a\0b".into()), ..Item::new("user", "ü".repeat(400)) }
            .with("comment", Some(long.as_str()))
            .with_list("list", vec!["x\0"]);
        let made = section("users", found(vec![item]));
        let (key, item) = made.items.first_key_value().expect("one item");
        assert_eq!(key, &"ü".repeat(256));
        assert_eq!(item.label.as_deref(), Some("ab"));
        assert_eq!(item.text("comment"), Some(&long[..limit::TEXT_BYTES]));
        assert_eq!(item.attrs["list"], Value::from(vec!["x"]));
        assert_eq!(made.problems[0].detail, "longer than may be told, so cut: key, attributes");
    }

    #[test]
    fn things_with_one_key_are_all_told() {
        let items = (0..3).map(|n| Item::new("disk", "S").with("n", Some(i64::from(n)))).collect();
        let made = section("disks", found(items));
        assert_eq!(made.items.keys().collect::<Vec<_>>(), ["S", "S#2", "S#3"]);
        assert_eq!(made.items["S#3"].int("n"), Some(2));
        assert_eq!(made.problems.len(), 1, "one problem a key: {:?}", made.problems);
    }

    #[test]
    fn attributes_and_problems_have_a_bound() {
        let item = (0..100_u32).fold(Item::new("x", "k"), |item, n| item.with(format!("a{n:03}"), Some(n)));
        let problems = (0..100).map(|n| Problem::new(Why::Denied, format!("/{n}"))).collect();
        let made = section("x", Ok(Found { items: vec![item], problems }));
        assert_eq!(made.items["k"].attrs.len(), limit::ATTRS);
        assert_eq!(made.problems.len(), limit::PROBLEMS);
        assert_eq!(made.problems[63].detail, "38 more are not told");
    }
}
