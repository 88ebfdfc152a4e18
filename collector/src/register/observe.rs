//! The observed layer's columns, from the items that carry them.
//!
//! What is not told for once stays as it was last seen: a report from an agent that may read less does not
//! empty a column, and a placeholder never takes a real value's place.

use super::junk;
use super::model::{Asset, Class, Items, Observed};
use crate::event::Changed;
use shared::fact::{Item, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Addresses kept of one asset.
const ADDRESSES_MAX: usize = 1024;
/// What a kernel keeps for itself differs from version to version: memory within this share is the same.
const MEMORY_SLACK_PERCENT: i64 = 3;

/// Sections as they are after a report, of those that it carried.
pub type New<'a> = BTreeMap<&'a str, &'a Items>;

/// The columns after a report.
pub fn columns(old: &Observed, new: &New<'_>) -> Observed {
    let item = |section: &str, key: &str| new.get(section).and_then(|items| items.get(key));
    let (os, system, memory) = (item("os", "os"), item("system", "system"), item("memory", "memory"));
    let cpu = new.get("cpu").and_then(|items| items.values().find(|item| item.kind == "cpu"));
    let text = |item: Option<&Item>, name: &str| item.and_then(|item| item.text(name)).map(str::to_owned);
    let real = |text: Option<String>| text.filter(|text| !junk::serial(text));
    let keep = |new: Option<String>, old: &Option<String>| new.or_else(|| old.clone());
    Observed {
        name: keep(text(os, "hostname"), &old.name),
        maker: keep(real(system.and_then(|item| item.maker.clone())), &old.maker),
        model: keep(real(system.and_then(|item| item.model.clone())), &old.model),
        serial: keep(real(system.and_then(|item| item.serial.clone())), &old.serial),
        os_name: keep(os.and_then(|item| item.label.clone()), &old.os_name),
        os_version: keep(text(os, "version"), &old.os_version),
        kernel: keep(text(os, "kernel"), &old.kernel),
        arch: keep(text(os, "arch"), &old.arch),
        memory_bytes: memory.and_then(|item| item.size).or(old.memory_bytes),
        cpu: keep(cpu.and_then(|item| item.model.clone()), &old.cpu),
    }
}

/// What the asset is, as far as this report tells; `container` is what its evidence says.
pub fn class(old: Class, new: &New<'_>, container: bool) -> Class {
    let os = new.get("os").and_then(|items| items.get("os"));
    if container || os.is_some_and(|os| os.text("container").is_some()) {
        return Class::Container;
    }
    if os.is_some_and(|os| os.text("hypervisor").is_some()) {
        return Class::Vm;
    }
    let bare = os.is_some() || !matches!(old, Class::Vm | Class::Container);
    let form = new.get("system").and_then(|items| items.get("chassis")).and_then(|item| item.text("form"));
    match form {
        Some(form) if bare => of_form(form),
        _ if os.is_some() && matches!(old, Class::Vm | Class::Container) => Class::Computer,
        _ => old,
    }
}

/// SMBIOS type 3 says the form in words.
fn of_form(form: &str) -> Class {
    match form.to_lowercase().as_str() {
        "portable" | "laptop" | "notebook" | "sub notebook" | "convertible" | "detachable" | "tablet" | "hand held" => {
            Class::Laptop
        }
        "desktop"
        | "low profile desktop"
        | "pizza box"
        | "mini tower"
        | "tower"
        | "all in one"
        | "space-saving"
        | "lunch box"
        | "mini pc"
        | "stick pc" => Class::Desktop,
        "rack mount chassis"
        | "main server chassis"
        | "blade"
        | "blade enclosing"
        | "blade enclosure"
        | "multi-system"
        | "expansion chassis"
        | "sub chassis"
        | "raid chassis" => Class::Server,
        _ => Class::Computer,
    }
}

/// What of the columns is worth telling.
pub fn changes(old: &Asset, new: &Asset) -> Vec<Changed> {
    let (a, b) = (&old.observed, &new.observed);
    let texts = [
        ("name", &a.name, &b.name),
        ("maker", &a.maker, &b.maker),
        ("model", &a.model, &b.model),
        ("serial", &a.serial, &b.serial),
        ("os_name", &a.os_name, &b.os_name),
        ("os_version", &a.os_version, &b.os_version),
        ("kernel", &a.kernel, &b.kernel),
        ("arch", &a.arch, &b.arch),
        ("cpu", &a.cpu, &b.cpu),
    ];
    let text = |value: &Option<String>| value.clone().map(Value::Text);
    let mut out: Vec<Changed> = texts
        .into_iter()
        .filter(|(_, from, to)| from != to)
        .map(|(field, from, to)| Changed { field: field.into(), from: text(from), to: text(to) })
        .collect();
    if old.class != new.class {
        let (from, to) = (Value::from(old.class.name()), Value::from(new.class.name()));
        out.push(Changed { field: "class".into(), from: Some(from), to: Some(to) });
    }
    if memory_differs(a.memory_bytes, b.memory_bytes) {
        let bytes = |value: Option<i64>| value.map(Value::Int);
        out.push(Changed { field: "memory_bytes".into(), from: bytes(a.memory_bytes), to: bytes(b.memory_bytes) });
    }
    out
}

fn memory_differs(old: Option<i64>, new: Option<i64>) -> bool {
    match (old, new) {
        (Some(a), Some(b)) => a.abs_diff(b) > a.max(b).unsigned_abs() / 100 * MEMORY_SLACK_PERCENT.unsigned_abs(),
        (a, b) => a != b,
    }
}

/// Addresses by which the asset may be found: without prefix, without loopback and link-local ones.
pub fn addresses(network: &Items) -> Vec<String> {
    let all: BTreeSet<String> = network
        .values()
        .filter_map(|item| match item.attrs.get("addresses") {
            Some(Value::List(list)) => Some(list),
            _ => None,
        })
        .flatten()
        .filter_map(Value::as_text)
        .filter_map(|text| text.split('/').next().and_then(|ip| ip.parse::<IpAddr>().ok()))
        .filter(|ip| !ip.is_loopback() && !ip.is_unspecified() && !is_link_local(ip))
        .map(|ip| ip.to_string())
        .collect();
    all.into_iter().take(ADDRESSES_MAX).collect()
}

fn is_link_local(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_class_follows_from_what_is_known() {
        let os = |field: &'static str| Items::from([("os".into(), Item::new("os", "os").with(field, Some("x")))]);
        let system = Items::from([("chassis".into(), Item::new("chassis", "chassis").with("form", Some("Notebook")))]);
        assert_eq!(class(Class::Computer, &New::from([("system", &system)]), false), Class::Laptop);
        assert_eq!(
            class(Class::Computer, &New::from([("os", &os("hypervisor")), ("system", &system)]), false),
            Class::Vm
        );
        assert_eq!(class(Class::Laptop, &New::from([("os", &os("kernel"))]), false), Class::Laptop);
        assert_eq!(class(Class::Vm, &New::from([("system", &system)]), false), Class::Vm);
        assert_eq!(class(Class::Computer, &New::new(), true), Class::Container);
    }

    #[test]
    fn what_is_not_told_stays_and_placeholders_are_not_told() {
        let old = Observed { serial: Some("ABC123".into()), maker: Some("Dell".into()), ..Observed::default() };
        let item = Item { serial: Some("Default string".into()), ..Item::new("system", "system") };
        let system = Items::from([("system".into(), item)]);
        assert_eq!(columns(&old, &New::from([("system", &system)])), old);
    }

    #[test]
    fn a_kernel_that_keeps_a_little_more_is_no_change_of_memory() {
        assert!(!memory_differs(Some(16_000_000_000), Some(15_900_000_000)));
        assert!(memory_differs(Some(16_000_000_000), Some(8_000_000_000)));
    }

    #[test]
    fn addresses_are_those_others_can_reach() {
        let list = vec!["127.0.0.1/8", "192.0.2.7/24", "fe80::1/64", "2001:DB8::1/64", "bad"];
        let items = Items::from([("eth0".into(), Item::new("interface", "eth0").with_list("addresses", list))]);
        assert_eq!(addresses(&items), ["192.0.2.7", "2001:db8::1"]);
    }
}
