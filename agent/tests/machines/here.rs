//! The machine that runs the tests, compared with what its own tools say; a tool that is not there says nothing.

use crate::folder::skip;
use agent::probes;
use agent::source::live::Live;
use shared::fact::Item;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

fn items(probe: &str) -> Vec<Item> {
    let found = (probes::find(probe).expect("the probe").run)(&Live).expect("facts");
    println!("{probe}: {} items, problems {:?}", found.items.len(), found.problems);
    found.items
}

#[expect(clippy::disallowed_methods, reason = "compares with what the system's own tool says")]
fn say(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).env("LC_ALL", "C").output();
    let Some(output) = output.ok().filter(|output| output.status.success()) else {
        skip(&format!("{program} is not installed here, or says nothing: nothing is compared with it"));
        return None;
    };
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn json(program: &str, arguments: &[&str]) -> Option<serde_json::Value> {
    serde_json::from_str(&say(program, arguments)?).ok()
}

fn attr(item: &Item, name: &str) -> String {
    item.attrs.get(name).map(ToString::to_string).unwrap_or_default()
}

#[test]
fn lsblk_lists_the_same_disks() {
    if agent::probes::container::detect(&Live).is_some() {
        skip("in a container, where the disks are its host's: nothing is compared with lsblk");
        return;
    }
    let Some(theirs) = json("lsblk", &["-J", "-b", "-o", "NAME,SIZE,TYPE"]) else { return };
    let listed = theirs["blockdevices"].as_array().expect("devices").iter();
    let theirs: BTreeMap<String, i64> = listed
        // zram is memory; sizes of media in drives are not told.
        .filter(|device| {
            !device["name"].as_str().is_some_and(|name| name.starts_with("zram")) && device["type"] != "rom"
        })
        .map(|device| (device["name"].as_str().expect("a name").to_owned(), device["size"].as_i64().expect("a size")))
        .collect();
    let stacked = ["dm", "md"];
    let ours = items("disks").into_iter().filter(|item| !stacked.contains(&attr(item, "bus").as_str()));
    let ours: BTreeMap<String, i64> =
        ours.filter_map(|item| Some((item.now.get("name")?.to_string(), item.size?))).collect();
    assert_eq!(ours, theirs);
}

#[test]
fn ip_lists_the_same_interfaces() {
    let Some(theirs) = json("ip", &["-j", "-d", "addr"]) else { return };
    let text = |value: &serde_json::Value| value.as_str().unwrap_or("").to_owned();
    let mut wanted = BTreeMap::new();
    for link in theirs.as_array().expect("interfaces") {
        let flags = link["flags"].as_array().expect("flags");
        let has = |flag: &str| flags.iter().any(|f| f == flag);
        let lasting = link["addr_info"].as_array().expect("addresses").iter().filter(|a| a["temporary"] != true);
        let addresses: BTreeSet<String> =
            lasting.map(|a| format!("{}/{}", text(&a["local"]), a["prefixlen"])).collect();
        // An address that the kernel made up is another one after the next start, and not told.
        let sysfs = format!("/sys/class/net/{}", text(&link["ifname"]));
        let made_up = std::fs::read_to_string(format!("{sysfs}/addr_assign_type")).is_ok_and(|how| how.trim() == "1")
            && !std::path::Path::new(&sysfs).join("device").exists();
        let mac = Some(text(&link["address"]))
            .filter(|_| !made_up)
            .filter(|mac| mac.len() == 17 && mac != "00:00:00:00:00:00");
        let facts = (addresses, mac.unwrap_or_default(), link["mtu"].to_string(), has("UP") && has("LOWER_UP"));
        wanted.insert(text(&link["ifname"]), facts);
    }
    let mut told = BTreeMap::new();
    for item in items("network") {
        let addresses = match item.attrs.get("addresses") {
            Some(shared::fact::Value::List(list)) => list.iter().map(ToString::to_string).collect(),
            _ => BTreeSet::new(),
        };
        let up = attr(&item, "up") == "true";
        told.insert(item.label.clone().expect("a name"), (addresses, attr(&item, "mac"), attr(&item, "mtu"), up));
    }
    assert_eq!(told, wanted);
}

#[test]
fn ip_lists_the_same_default_gateways() {
    let mut wanted = BTreeSet::new();
    for family in ["-4", "-6"] {
        let Some(routes) = json("ip", &["-j", family, "route", "show", "default"]) else { return };
        for route in routes.as_array().expect("routes") {
            if let (Some(gateway), Some(device)) = (route["gateway"].as_str(), route["dev"].as_str()) {
                wanted.insert((device.to_owned(), gateway.to_owned()));
            }
        }
    }
    let mut told = BTreeSet::new();
    for item in items("network") {
        if let Some(shared::fact::Value::List(list)) = item.attrs.get("gateways") {
            told.extend(list.iter().map(|gateway| (item.label.clone().expect("a name"), gateway.to_string())));
        }
    }
    assert_eq!(told, wanted);
}

#[test]
fn passwd_and_group_list_the_same_accounts() {
    let ours = items("users");
    let text = std::fs::read_to_string("/etc/passwd").expect("accounts");
    let wanted: BTreeSet<&str> = text.lines().filter_map(|line| line.split(':').next()).collect();
    assert_eq!(ours.iter().map(|item| item.key.as_str()).collect::<BTreeSet<_>>(), wanted);
    for item in &ours {
        let Some(groups) = say("id", &["-Gn", &item.key]) else { continue };
        let wanted: BTreeSet<&str> = groups.split_whitespace().collect();
        let told = attr(item, "groups");
        assert_eq!(told.split(", ").collect::<BTreeSet<_>>(), wanted, "{}", item.key);
    }
}

#[test]
fn lscpu_says_the_same_here() {
    let Some(text) = say("lscpu", &[]) else { return };
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(':'));
        line.map(|value| value.split_ascii_whitespace().collect::<Vec<_>>().join(" ")).unwrap_or_default()
    };
    let ours = items("cpu");
    let first = ours.first().expect("a package");
    assert_eq!(attr(first, "arch"), field("Architecture"));
    assert_eq!(first.model.clone().unwrap_or_default(), field("Model name"));
    assert_eq!(ours.len().to_string(), field("Socket(s)"));
    assert_eq!(attr(first, "cores"), field("Core(s) per socket"));
    let threads: u32 = ours.iter().filter_map(|item| attr(item, "threads").parse::<u32>().ok()).sum();
    assert_eq!(threads, field("On-line CPU(s) list").split(',').map(count).sum::<u32>());
    assert_eq!(attr(first, "flags").replace(", ", " "), field("Flags"));
}

/// `0-3` is four.
fn count(range: &str) -> u32 {
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    last.parse::<u32>().expect("a number") - first.parse::<u32>().expect("a number") + 1
}

#[test]
fn uname_and_os_release_say_the_same() {
    let ours = items("os");
    let os = ours.first().expect("an operating system");
    for (argument, fact) in [("-r", "kernel"), ("-m", "arch"), ("-n", "hostname")] {
        let Some(text) = say("uname", &[argument]) else { continue };
        assert_eq!(attr(os, fact), text.trim());
    }
    println!("{os:?}");
}

#[test]
fn every_mounted_disk_is_told_once_with_its_space() {
    let ours = items("filesystems");
    for item in ours.iter().filter(|item| attr(item, "remote").is_empty()) {
        let Some(text) = say("stat", &["-f", "-c", "%b %S", &item.key]) else { continue };
        let numbers: Vec<i64> = text.split_whitespace().map(|n| n.parse().expect("a number")).collect();
        assert_eq!(item.size, Some(numbers[0] * numbers[1]), "{}", item.key);
    }
    assert!(ours.iter().any(|item| item.key == "/"));
}
