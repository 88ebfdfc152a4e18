//! Rows before and after become events: what was added, removed, replaced or configured differently, each
//! once and in one line.
//!
//! What is only noise makes no event although the register holds it: values in `now`, links that go up and
//! down, addresses that rotate within one network, UDP ports that a program opens for an answer, services
//! that come and go by themselves, and columns of the asset (those are told by `observe`). Listening TCP
//! ports always are told.

use super::brief::brief;
use super::model::Items;
use super::packages::{listed, rest};
use crate::event::{Brief, Changed, Event};
use shared::evidence;
use shared::fact::{Item, Value};
use shared::health;
use std::collections::{BTreeMap, BTreeSet};

/// Changes of one section in one report that are told one by one; more become one event.
const SINGLE_MAX: usize = 16;
/// Items named in each list of that one event.
const LISTED_MAX: usize = 200;
/// Changed fields told of one item, and bytes of one of their values.
const FIELDS_MAX: usize = 32;
const VALUE_BYTES: usize = 512;

/// Kinds of hardware whose key is a place: another serial or model there is another piece.
const PLACED: &[&str] = &["cpu", "memory_module", "system", "board", "chassis", "battery", "graphics"];

/// Fields that change by themselves, by kind.
const NOISE: &[(&str, &[&str])] = &[
    ("interface", &["up", "speed_mbps", "duplex"]),
    ("service", &["state"]),
    ("os", &["label", "version", "kernel", "arch", "hostname"]),
    ("system", &["maker", "model", "serial"]),
    ("memory", &["size"]),
];

/// One thing that happened to one item.
enum Step<'a> {
    Added(&'a Item),
    Removed(&'a Item),
    Replaced(&'a Item, &'a Item),
    Changed(&'a Item, Vec<Changed>),
}

/// The events of one section.
pub fn events(section: &str, old: &Items, new: &Items) -> Vec<Event> {
    if health::is_section(section) || section == evidence::SECTION {
        return Vec::new();
    }
    let steps = steps(old, new);
    if steps.len() > SINGLE_MAX {
        return vec![together(section, &steps)];
    }
    let section = || section.to_owned();
    steps
        .into_iter()
        .map(|step| match step {
            Step::Added(item) => Event::ItemAdded { section: section(), item: brief(item) },
            Step::Removed(item) => Event::ItemRemoved { section: section(), item: brief(item) },
            Step::Replaced(was, is) => {
                Event::ItemReplaced { section: section(), removed: brief(was), added: brief(is) }
            }
            Step::Changed(item, changed) => Event::ItemChanged { section: section(), item: brief(item), changed },
        })
        .collect()
}

fn steps<'a>(old: &'a Items, new: &'a Items) -> Vec<Step<'a>> {
    let mut removed: BTreeMap<&str, &Item> =
        old.iter().filter(|(key, item)| !new.contains_key(*key) && !is_noise(item)).map(pair).collect();
    let mut added: BTreeMap<&str, &Item> =
        new.iter().filter(|(key, item)| !old.contains_key(*key) && !is_noise(item)).map(pair).collect();
    let mut steps: Vec<Step<'_>> = replaced(&removed, &added);
    for step in &steps {
        if let Step::Replaced(was, is) = step {
            removed.remove(was.key.as_str());
            added.remove(is.key.as_str());
        }
    }
    for (key, is) in new {
        let Some(was) = old.get(key) else { continue };
        if PLACED.contains(&&*is.kind) && is_another(was, is) {
            steps.push(Step::Replaced(was, is));
            continue;
        }
        let changed = changed(was, is);
        if !changed.is_empty() && !is_noise(is) {
            steps.push(Step::Changed(is, changed));
        }
    }
    steps.extend(removed.into_values().map(Step::Removed));
    steps.extend(added.into_values().map(Step::Added));
    steps
}

fn pair<'a>((key, item): (&'a String, &'a Item)) -> (&'a str, &'a Item) {
    (key.as_str(), item)
}

/// One gone and one new of a kind in the same slot, where no second one claims that slot.
fn replaced<'a>(removed: &BTreeMap<&str, &'a Item>, added: &BTreeMap<&str, &'a Item>) -> Vec<Step<'a>> {
    let by_slot = |items: &BTreeMap<&str, &'a Item>| {
        let mut slots: BTreeMap<(&str, &str), Vec<&'a Item>> = BTreeMap::new();
        for &item in items.values() {
            if let Some(slot) = slot(item) {
                slots.entry((&*item.kind, slot)).or_default().push(item);
            }
        }
        slots
    };
    let (gone, came) = (by_slot(removed), by_slot(added));
    gone.iter()
        .filter_map(|(slot, was)| match (was.as_slice(), came.get(slot).map(Vec::as_slice)) {
            ([was], Some([is])) => Some(Step::Replaced(was, is)),
            _ => None,
        })
        .collect()
}

/// Where an item sits, if that outlives it. A program's name or a user's full name is no slot.
fn slot(item: &Item) -> Option<&str> {
    match &*item.kind {
        "port" | "user" | "service" | "filesystem" | "package" => None,
        _ => item.text("path").or(item.label.as_deref()),
    }
}

/// Another piece in the same place, rather than the same piece described better.
fn is_another(was: &Item, is: &Item) -> bool {
    match (&was.serial, &is.serial) {
        (Some(a), Some(b)) => a != b,
        _ => was.model.is_some() && is.model.is_some() && was.model != is.model && was.kind != "system",
    }
}

fn is_noise(item: &Item) -> bool {
    match &*item.kind {
        // What the kernel gives to whoever wants an answer; IANA says 49152 and up, Linux 32768 and up.
        "port" => item.text("protocol") == Some("udp") && item.int("port").is_some_and(|port| port >= 32_768),
        "interface" => item.text("form") == Some("veth"),
        _ => false,
    }
}

fn changed(was: &Item, is: &Item) -> Vec<Changed> {
    let noise = NOISE.iter().find(|(kind, _)| *kind == is.kind).map_or(&[][..], |(_, fields)| fields);
    // What was not known before or is not known now was neither removed nor added.
    let unknown = |item: &Item| item.now.get("gateways_unknown").and_then(Value::as_bool) == Some(true);
    let unknown = unknown(was) || unknown(is);
    let (a, b) = (fields(was), fields(is));
    let names: BTreeSet<&str> = a.keys().chain(b.keys()).copied().collect();
    names
        .into_iter()
        .filter(|name| a.get(name) != b.get(name) && !noise.contains(name))
        .filter(|name| *name != "addresses" || networks(a.get(name)) != networks(b.get(name)))
        .filter(|name| *name != "gateways" || !unknown)
        .take(FIELDS_MAX)
        .map(|name| Changed { field: name.to_owned(), from: a.get(name).map(short), to: b.get(name).map(short) })
        .collect()
}

/// All digested columns and attributes by name.
fn fields(item: &Item) -> BTreeMap<&str, Value> {
    let text = |value: &Option<String>| value.clone().map(Value::Text);
    let columns = [
        ("label", text(&item.label)),
        ("maker", text(&item.maker)),
        ("model", text(&item.model)),
        ("serial", text(&item.serial)),
        ("size", item.size.map(Value::Int)),
    ];
    let columns = columns.into_iter().filter_map(|(name, value)| Some((name, value?)));
    item.attrs.iter().map(|(name, value)| (&**name, value.clone())).chain(columns).collect()
}

/// Addresses as far as they are lasting: of IPv6 the network alone, because privacy addresses rotate in it.
fn networks(addresses: Option<&Value>) -> BTreeSet<String> {
    let Some(Value::List(list)) = addresses else { return BTreeSet::new() };
    list.iter()
        .filter_map(Value::as_text)
        .map(|text| match text.split('/').next().and_then(|ip| ip.parse::<std::net::Ipv6Addr>().ok()) {
            Some(ip) => format!("{:x?}", &ip.segments()[..4]),
            None => text.to_owned(),
        })
        .collect()
}

/// A value as an event keeps it: long ones cut, with a mark.
fn short(value: &Value) -> Value {
    let text = value.to_string();
    if text.len() <= VALUE_BYTES {
        return value.clone();
    }
    let cut: String = text
        .chars()
        .scan(0, |bytes, c| {
            *bytes += c.len_utf8();
            (*bytes <= VALUE_BYTES).then_some(c)
        })
        .collect();
    Value::Text(format!("{cut}…"))
}

fn together(section: &str, steps: &[Step<'_>]) -> Event {
    let (mut added, mut removed, mut changed) = (Vec::new(), Vec::new(), Vec::new());
    for step in steps {
        match step {
            Step::Added(item) => added.push(*item),
            Step::Removed(item) => removed.push(*item),
            Step::Changed(item, _) => changed.push(*item),
            Step::Replaced(was, is) => {
                removed.push(*was);
                added.push(*is);
            }
        }
    }
    let rest = |count| Brief { kind: String::new(), key: String::new(), title: rest(count), serial: None };
    let list = |items: &[&Item]| listed(items, LISTED_MAX, |item| brief(item), rest);
    Event::ItemsChanged {
        section: section.to_owned(),
        added: list(&added),
        removed: list(&removed),
        changed: list(&changed),
    }
}

#[cfg(test)]
mod tests;
