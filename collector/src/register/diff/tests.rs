//! What is told of two sets of rows, and what is only noise.

use super::*;

fn items(list: &[Item]) -> Items {
    list.iter().map(|item| (item.key.clone(), item.clone())).collect()
}

fn kinds(section: &str, old: &[Item], new: &[Item]) -> Vec<String> {
    events(section, &items(old), &items(new)).iter().map(super::super::testing::kind).collect()
}

fn disk(key: &str, label: &str) -> Item {
    Item { label: Some(label.into()), serial: Some(key.into()), ..Item::new("disk", key) }
}

fn module(slot: &str, serial: &str, gib: i64) -> Item {
    Item { serial: Some(serial.into()), size: Some(gib << 30), ..Item::new("memory_module", slot) }
}

#[test]
fn a_piece_in_anothers_slot_replaced_it() {
    let told = events("disks", &items(&[disk("S-old", "sda"), disk("S-2", "sdb")]), &items(&[disk("S-new", "sda")]));
    let [Event::ItemReplaced { removed, added, .. }, Event::ItemRemoved { item, .. }] = told.as_slice() else {
        panic!("{told:?}")
    };
    assert_eq!((removed.title.as_str(), added.serial.as_deref()), ("S/N S-old sda", Some("S-new")));
    assert_eq!(item.serial.as_deref(), Some("S-2"));
}

#[test]
fn another_serial_in_a_slot_is_another_module() {
    let told = events("memory", &items(&[module("A1", "X1", 16)]), &items(&[module("A1", "X2", 8)]));
    let [Event::ItemReplaced { removed, added, .. }] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((removed.title.as_str(), added.title.as_str()), ("S/N X1 16 GiB A1", "S/N X2 8 GiB A1"));
    assert_eq!(kinds("memory", &[module("A1", "X1", 16)], &[]), ["item_removed"]);
}

#[test]
fn a_changed_field_is_named_with_both_values() {
    let user = |shell: &str| Item::new("user", "ann").with("shell", Some(shell));
    let told = events("users", &items(&[user("/bin/sh")]), &items(&[user("/bin/bash")]));
    let [Event::ItemChanged { changed, .. }] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!(
        *changed,
        [Changed { field: "shell".into(), from: Some("/bin/sh".into()), to: Some("/bin/bash".into()) }]
    );
}

#[test]
fn many_changes_become_one_event_and_keep_their_number() {
    let many: Vec<Item> = (0..300).map(|n| Item::new("usb", format!("{n:03}"))).collect();
    let told = events("usb", &Items::new(), &items(&many));
    let [Event::ItemsChanged { added, .. }] = told.as_slice() else { panic!("{}", told.len()) };
    assert_eq!((added.len(), added[200].title.as_str()), (201, "and 100 more"));
    assert_eq!(kinds("usb", &[], &many[..16]).len(), 16);
    assert_eq!(kinds("usb", &[], &many[..17]), ["items_changed"]);
}

#[test]
fn noise_is_not_told() {
    let port = |protocol: &str, port: i64| {
        Item::new("port", format!("{protocol}/::/{port}")).with("protocol", Some(protocol)).with("port", Some(port))
    };
    assert_eq!(kinds("ports", &[], &[port("udp", 51_234)]), Vec::<String>::new());
    assert_eq!(kinds("ports", &[], &[port("tcp", 51_234)]), ["item_added"]);
    assert_eq!(kinds("ports", &[port("udp", 53)], &[]), ["item_removed"]);

    let link = |up: bool, addresses: &[&str]| {
        Item::new("interface", "eth0").with("up", Some(up)).with_list("addresses", addresses.to_vec())
    };
    let before = [link(true, &["192.0.2.1/24", "2001:db8::1/64"])];
    assert_eq!(kinds("network", &before, &[link(false, &["192.0.2.1/24", "2001:db8::77/64"])]), Vec::<String>::new());
    assert_eq!(kinds("network", &before, &[link(true, &["192.0.2.9/24", "2001:db8::1/64"])]), ["item_changed"]);
    let veth = Item::new("interface", "veth1").with("form", Some("veth"));
    assert_eq!(kinds("network", &[], &[veth]), Vec::<String>::new());

    let service =
        |state: &str, start: &str| Item::new("service", "a").with("state", Some(state)).with("start", Some(start));
    assert_eq!(kinds("services", &[service("active", "x")], &[service("inactive", "x")]), Vec::<String>::new());
    assert_eq!(kinds("services", &[service("active", "enabled")], &[service("active", "masked")]), ["item_changed"]);

    let now = |free: i64| Item::new("filesystem", "/").with_now("free_bytes", Some(free));
    assert_eq!(kinds("filesystems", &[now(1)], &[now(2)]), Vec::<String>::new());
    assert_eq!(kinds("health_disks", &[], &[Item::new("reading", "disk_space:/")]), Vec::<String>::new());
}

#[test]
fn gateways_that_could_not_be_asked_for_were_not_removed() {
    let link = |gateways: &[&str], unknown: Option<bool>| {
        let item = Item::new("interface", "eth0").with_list("gateways", gateways.to_vec());
        item.with_now("gateways_unknown", unknown)
    };
    let (held, unknown) = ([link(&["192.0.2.1"], None)], [link(&[], Some(true))]);
    assert_eq!(kinds("network", &held, &unknown), Vec::<String>::new());
    assert_eq!(kinds("network", &unknown, &held), Vec::<String>::new());
    assert_eq!(kinds("network", &held, &[link(&[], None)]), ["item_changed"]);
}

#[test]
fn a_long_value_is_cut_in_the_event() {
    let flags = |n: usize| Item::new("cpu", "0").with_list("flags", vec!["sse"; n]);
    let told = events("cpu", &items(&[flags(1)]), &items(&[flags(1000)]));
    let [Event::ItemChanged { changed, .. }] = told.as_slice() else { panic!("{told:?}") };
    let Some(Value::Text(text)) = &changed[0].to else { panic!("{changed:?}") };
    assert!(text.len() <= VALUE_BYTES + 4 && text.ends_with('…'), "{}", text.len());
}
