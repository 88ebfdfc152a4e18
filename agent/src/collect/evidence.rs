//! What identifies this machine: one item per identifier, found in the sections of the hardware and in a
//! few files. How much each is worth, and which values are junk that many machines share, the register
//! decides; here only what can never identify is left out:
//!
//! - MACs but the permanent ones of PCI interfaces: a dock, a tunnel or a privacy setting changes the rest;
//! - disks that are carried about or made by software;
//! - a serial number without the maker who gave it: makers count from one;
//! - in a container everything but its own: the hardware that it sees is its host's.

use super::{Section, Sections};
use crate::probes::Found;
use crate::probes::container::{self, Container};
use crate::source::Source;
use shared::checkin::{Problem, State, Why};
use shared::evidence::{Evidence, Kind, SECTION};
use shared::fact::Item;
use shared::limit;
use std::collections::{BTreeMap, BTreeSet};

/// The sections that evidence follows from.
pub const FROM: &[&str] = &["system", "memory", "disks", "network", "os"];

/// Buses of disks that belong to the machine.
const DISK_BUSES: &[&str] = &["ata", "ide", "mmc", "nvme", "sas", "sata", "scsi"];

/// Clouds whose instance ids name one machine. The other data sources of cloud-init take what an image or
/// a person wrote, the same on many machines.
const CLOUDS: &[&str] = &[
    "aliyun",
    "aws",
    "azure",
    "cloudstack",
    "digitalocean",
    "exoscale",
    "gce",
    "hetzner",
    "ibmcloud",
    "openstack",
    "oracle",
    "scaleway",
    "upcloud",
    "vultr",
];

/// What identifies a machine and is in no section.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Files {
    /// `/etc/machine-id` or its like.
    pub machine_id: Option<String>,
    /// What the machine calls itself.
    pub hostname: Option<String>,
    /// cloud-init's name of the cloud, and of this instance.
    pub cloud: Option<(String, String)>,
    /// The container, if this is one.
    pub guest: Option<Container>,
}

/// Reads what is in no section.
pub fn ask(source: &dyn Source) -> Files {
    let first = |paths: &[&str]| paths.iter().find_map(|path| source.text(path).ok().filter(|text| !text.is_empty()));
    let cloud = source.text("/run/cloud-init/cloud-id").ok();
    Files {
        machine_id: first(&["/etc/machine-id", "/var/lib/dbus/machine-id"]),
        hostname: first(&["/proc/sys/kernel/hostname", "/etc/hostname"]),
        cloud: cloud.and_then(|name| Some((name, source.text("/var/lib/cloud/data/instance-id").ok()?))),
        guest: container::detect(source),
    }
}

/// The identifiers. Pure.
pub fn find(sections: &Sections, files: &Files) -> Found {
    let mut all: BTreeSet<Evidence> = BTreeSet::new();
    let mut add = |kind: Kind, parts: &[Option<&str>]| all.extend(evidence(kind, parts));
    let machine_id = files.machine_id.as_deref().filter(|id| is_machine_id(id)).map(str::to_ascii_lowercase);
    add(Kind::MachineId, &[machine_id.as_deref()]);
    add(Kind::Hostname, &[files.hostname.as_deref().filter(|name| *name != "(none)" && *name != "localhost")]);
    if let Some(guest) = &files.guest {
        add(Kind::Container, &[Some(&guest.engine), guest.id.as_deref()]);
        return Found { items: all.into_iter().map(Item::from).collect(), problems: Vec::new() };
    }
    for item in items(sections, "system") {
        part(item, &mut add);
    }
    for item in items(sections, "memory").filter(|item| item.kind == "memory_module") {
        add(Kind::ModuleSerial, &[item.maker.as_deref(), item.model.as_deref(), item.serial.as_deref()]);
    }
    for item in items(sections, "disks").filter(|item| belongs(item)) {
        let wwn = item.text("wwn").map(str::to_ascii_lowercase);
        add(Kind::DiskWwn, &[wwn.as_deref()]);
        add(Kind::DiskSerial, &[item.model.as_deref(), item.serial.as_deref()]);
    }
    for item in items(sections, "network") {
        let mac = permanent_mac(item);
        add(Kind::PermanentMac, &[mac.as_deref()]);
    }
    if let Some((cloud, id)) = files.cloud.as_ref().filter(|(cloud, _)| CLOUDS.contains(&cloud.as_str())) {
        add(Kind::CloudInstance, &[Some(cloud), Some(id)]);
    }
    Found { items: all.into_iter().map(Item::from).collect(), problems: holes(sections) }
}

/// Leaves as many identifiers as may be told, the first ones of every kind, so that a shelf of disks crowds out
/// neither serial nor UUID of the machine. True if some were too many.
pub fn cut(found: &mut Found) -> bool {
    let most = limit::rows(SECTION);
    let all = found.items.len();
    if all <= most {
        return false;
    }
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    found.items.sort_by_cached_key(|item| {
        let kind = item.key.split(':').next().unwrap_or_default();
        let count = counts.entry(kind.to_owned()).or_default();
        *count += 1;
        *count
    });
    found.items.truncate(most);
    let detail = format!("{all} identifiers found, {most} are told, the first ones of every kind");
    found.problems.push(Problem::new(Why::Failed, SECTION).detail(detail));
    true
}

/// The identifiers of one part of the machine. Only the first board counts: in a server the others are
/// risers and mezzanines, which come and go.
fn part(item: &Item, add: &mut impl FnMut(Kind, &[Option<&str>])) {
    let (maker, serial) = (item.maker.as_deref(), item.serial.as_deref());
    match item.key.as_str() {
        "system" => {
            add(Kind::SystemSerial, &[maker, item.text("sku").or(item.model.as_deref()), serial]);
            let uuid = item.text("uuid").map(str::to_ascii_lowercase);
            add(Kind::SmbiosUuid, &[uuid.as_deref()]);
        }
        "board" => {
            add(Kind::BoardSerial, &[maker, serial]);
            // Amazon writes the instance id here; this needs no cloud-init.
            let instance = item.text("asset_tag").filter(|tag| maker == Some("Amazon EC2") && tag.starts_with("i-"));
            add(Kind::CloudInstance, &[instance.map(|_| "aws"), instance]);
        }
        "chassis" => add(Kind::ChassisSerial, &[maker, serial]),
        _ => {}
    }
}

/// An identifier, if every part of it is known.
fn evidence(kind: Kind, parts: &[Option<&str>]) -> Option<Evidence> {
    let parts: Option<Vec<String>> = parts.iter().map(|part| normal((*part)?)).collect();
    Some(Evidence { kind, value: parts?.join("|") })
}

/// Trimmed, inner white space single, and no `|`, which parts the parts; `None` if nothing is left.
fn normal(text: &str) -> Option<String> {
    let apart = |c: char| c.is_whitespace() || c.is_control() || c == '|';
    let words: Vec<&str> = text.split(apart).filter(|word| !word.is_empty()).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// machine-id(5): 32 hexadecimal digits; `uninitialized` and zeros are none.
fn is_machine_id(id: &str) -> bool {
    id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) && id.bytes().any(|byte| byte != b'0')
}

fn belongs(disk: &Item) -> bool {
    disk.attrs.get("removable").and_then(shared::fact::Value::as_bool) != Some(true)
        && disk.text("bus").is_some_and(|bus| DISK_BUSES.contains(&bus))
        && disk.text("medium") != Some("virtual")
}

/// A MAC that its maker burnt in: permanent, of a PCI device, with neither the group bit nor the bit of
/// locally administered addresses (IEEE 802-2014, 8.2).
fn permanent_mac(interface: &Item) -> Option<String> {
    let own = interface.attrs.get("physical").and_then(shared::fact::Value::as_bool) == Some(true)
        && interface.text("bus") == Some("pci");
    let mac = interface.text("permanent_mac").filter(|_| own)?.to_ascii_lowercase();
    let octet = |text: &str| {
        let plain = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        u8::from_str_radix(text, 16).ok().filter(|_| plain)
    };
    let octets: Option<Vec<u8>> = mac.split(':').map(octet).collect();
    let octets = octets.filter(|octets| octets.len() == 6 && octets.iter().any(|octet| *octet != 0))?;
    let first = octets.first()?;
    (first & 0b11 == 0).then_some(mac)
}

fn items<'a>(sections: &'a Sections, name: &str) -> impl Iterator<Item = &'a Item> {
    sections.get(name).into_iter().flat_map(|section: &Section| section.items.values())
}

/// Sections of which nothing is known: identifiers may be missing for that reason, not because they are gone.
fn holes(sections: &Sections) -> Vec<Problem> {
    FROM.iter()
        .filter(|name| sections.get(**name).is_none_or(|section| section.state == State::Failed))
        .map(|name| Problem::new(Why::Failed, *name).detail("its identifiers are not known this time"))
        .collect()
}

#[cfg(test)]
mod tests;
