//! Probe `disks`: block devices that hold data, with their partitions.
//!
//! Listed: whole disks, drives of optical media, loop devices that have a file behind them, device-mapper
//! and RAID devices (bus `dm`, `md`). Not listed: RAM disks and zram (memory, told by `memory`), floppy
//! drives, raw flash (`mtd`), loop, nbd and other virtual devices that hold nothing, hidden paths of NVMe
//! multipath, and the boot areas of eMMC, which are parts of a disk.
//!
//! The kernel's names depend on the order in which devices appear, so a disk's is told among what changes all
//! the time, and its key is one that outlives it where there is one: WWN, serial, the mapper's and the array's own
//! names, the file behind a loop device. Several paths to one disk are one disk with several paths.
//!
//! Knows udev's database and sysfs. Does not know health, nor what filesystems are on it. In a container the disks
//! are the host's, and are not told.

mod identity;
mod place;

use super::{Every, Found, Os, Probe, container, udev};
use crate::source::{Miss, Source};
use place::{Place, parse_place};
use shared::checkin::{Problem, Why};
use shared::fact::{Item, Value};
use shared::hardware::Disk;
use std::collections::{BTreeMap, BTreeSet};
use udev::Properties;

/// The probe.
pub const PROBE: Probe = Probe { name: "disks", os: &[Os::Linux], every: Every::CheckIn, needs: "", mark: None, run };

/// Partitions of one disk that are listed at most.
const PARTITIONS_MAX: usize = 128;
/// Sizes in sysfs are in sectors of 512 bytes, whatever the disk's own are.
const SECTOR_BYTES: i64 = 512;

const DIR: &str = "/sys/block";

fn run(source: &dyn Source) -> Result<Found, Problem> {
    if container::detect(source).is_some() {
        let problem = Problem::new(Why::Absent, "disks of its own").detail("in a container, the disks are its host's");
        return Ok(Found { items: Vec::new(), problems: vec![problem] });
    }
    let names = match source.names(DIR) {
        Ok(names) => names,
        // Kernels without block devices have no such folder; without sysfs nothing can be said.
        Err(Miss::Absent) if source.names("/sys").is_ok() => Vec::new(),
        Err(miss) => return Err(miss.problem(DIR)),
    };
    let mut items = fold_paths(names.iter().filter_map(|name| ask_disk(source, name)));
    make_unique(&mut items);
    Ok(Found { items, problems: Vec::new() })
}

/// Disks with one WWN, serial and size are one disk by several paths. Its key stays whichever of them fails. Docks
/// and bridges on USB give all their disks the same numbers; those have one path.
fn fold_paths(items: impl Iterator<Item = Item>) -> Vec<Item> {
    let mut folded: Vec<Item> = Vec::new();
    let mut paths: Vec<BTreeSet<String>> = Vec::new();
    let mut known: BTreeMap<(String, String, i64), usize> = BTreeMap::new();
    for item in items {
        let path = item.text("path").map(str::to_owned);
        let same = match (item.text("wwn"), &item.serial, item.size, &path) {
            (Some(wwn), Some(serial), Some(size), Some(_)) if item.text("bus") != Some("usb") => {
                Some((wwn.to_owned(), serial.clone(), size))
            }
            _ => None,
        };
        if let (Some(same), Some(path)) = (same, &path) {
            if let Some(paths) = known.get(&same).and_then(|at| paths.get_mut(*at)) {
                paths.insert(path.clone());
                continue;
            }
            known.insert(same, folded.len());
        }
        folded.push(item);
        paths.push(path.into_iter().collect());
    }
    for (item, paths) in folded.iter_mut().zip(paths).filter(|(_, paths)| paths.len() > 1) {
        item.attrs.remove("path");
        item.attrs.insert("paths".into(), paths.into_iter().collect::<Vec<_>>().into());
    }
    folded
}

/// Clones say the same serial: the first by name has it as its key, the others are told by their place.
fn make_unique(items: &mut [Item]) {
    let mut keys = BTreeSet::new();
    for item in items {
        if keys.contains(&item.key) {
            let path = item.attrs.get("path").and_then(|path| path.as_text()).filter(|path| !keys.contains(*path));
            let name = || item.now.get("name").and_then(Value::as_text).unwrap_or_default();
            item.key = path.unwrap_or_else(name).to_owned();
        }
        keys.insert(item.key.clone());
    }
}

/// Names of block devices that are no disks.
fn passed_over(name: &str) -> bool {
    let numbered = |prefix: &str| {
        name.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
    };
    let nvme_path = name.strip_prefix("nvme").is_some_and(|rest| rest.contains('c'));
    let area = name.starts_with("mmcblk")
        && ["boot0", "boot1", "rpmb", "gp0", "gp1", "gp2", "gp3"].iter().any(|end| name.ends_with(end));
    nvme_path || area || ["ram", "zram", "fd", "mtdblock"].iter().any(|prefix| numbered(prefix))
}

fn ask_disk(source: &dyn Source, name: &str) -> Option<Item> {
    if passed_over(name) {
        return None;
    }
    let at = |file: &str| format!("{DIR}/{name}/{file}");
    let backing = if name.starts_with("loop") {
        // Eight of them are always there; one question tells whether one is used.
        Some(source.text(&at("loop/backing_file")).ok().filter(|file| !file.is_empty())?)
    } else {
        None
    };
    let sectors: i64 = source.text(&at("size")).ok().and_then(|size| size.parse().ok()).unwrap_or(0);
    let place = parse_place(&source.link(&format!("{DIR}/{name}")).unwrap_or_default(), name);
    if sectors <= 0 && place.is_virtual {
        return None;
    }
    let device = source.text(&at("dev")).unwrap_or_default();
    let udev = udev::ask_block(source, &device);
    let text = |file: &str| source.text(&at(file)).ok().filter(|text| !text.is_empty());
    let removable = text("removable").as_deref() == Some("1");
    let mut disk = Disk { name: name.to_owned(), backing, path: place.path.clone(), ..Disk::default() };
    identity::ask(&mut disk, source, &udev, &place);
    let optical = name.starts_with("sr") && place.bus != Some("virtio");
    disk.bus = bus(&disk, &udev, &place);
    let on = disk.bus.as_deref().unwrap_or("");
    disk.medium = match optical {
        true => Some("optical".to_owned()),
        false => medium(&disk, &udev, on, place.is_virtual, || text("queue/rotational")),
    };
    disk.removable = removable || on == "usb" || (on == "mmc" && text("device/type").as_deref() == Some("SD"));
    // What lies in a drive is no part of it.
    disk.size_bytes = (sectors > 0 && !optical).then(|| sectors.saturating_mul(SECTOR_BYTES));
    disk.partitions = if optical { Vec::new() } else { ask_partitions(source, name) };
    let lasting = match on {
        "dm" => text("dm/name").map(|mapped| format!("dm:{mapped}")),
        "md" => text("md/uuid").or_else(|| udev.get("MD_UUID").cloned()).and_then(|uuid| array_key(&uuid)),
        "loop" => disk.backing.as_ref().map(|file| format!("loop:{file}")),
        _ => None,
    };
    disk.mapping = text("dm/uuid").and_then(|uuid| mapping(&uuid)).map(str::to_owned);
    let mut item = Item::from(disk);
    item.key = lasting.unwrap_or(item.key);
    Some(item)
}

/// Of the kernel's `0a1b2c3d-…` and of udev's `0a1b2c3d:…`, which are one UUID.
fn array_key(uuid: &str) -> Option<String> {
    let digits: String = uuid.chars().filter(char::is_ascii_hexdigit).collect();
    (digits.len() == 32).then(|| format!("md:{}", digits.to_ascii_lowercase()))
}

/// What a mapped device is, by the prefix that its maker gives to its UUID: `LVM-…`, `CRYPT-LUKS2-…`, `mpath-…`;
/// a partition's `part1-mpath-…` is one of what comes after it.
fn mapping(uuid: &str) -> Option<&'static str> {
    const KNOWN: &[(&str, &str)] = &[
        ("CRYPT-LUKS", "luks"),
        ("CRYPT-BITLK", "bitlocker"),
        ("CRYPT-VERITY", "verity"),
        ("CRYPT-INTEGRITY", "integrity"),
        ("CRYPT-", "crypt"),
        ("LVM-", "lvm"),
        ("mpath-", "multipath"),
        ("DMRAID-", "raid"),
        ("stratis-", "stratis"),
        ("VDO-", "vdo"),
        ("part", "partition"),
    ];
    KNOWN.iter().find(|(start, _)| uuid.starts_with(start)).map(|(_, word)| *word)
}

fn bus(disk: &Disk, udev: &Properties, place: &Place) -> Option<String> {
    let has = |name: &str| udev.get(name).map(String::as_str) == Some("1");
    let bus = match place.bus {
        Some("sata") if has("ID_ATA") && !has("ID_ATA_SATA") => "ata",
        Some("sas" | "scsi") if has("ID_ATA_SATA") => "sata",
        None if disk.name.starts_with("dasd") => "dasd",
        other => other?,
    };
    Some(bus.to_owned())
}

/// Models that hypervisors and clouds give their disks.
const VIRTUAL_MODELS: &[&str] = &[
    "VBOX",
    "QEMU",
    "VMware",
    "Virtual disk",
    "Virtual Disk",
    "PersistentDisk",
    "nvme_card-pd",
    "Amazon Elastic Block Store",
];

/// What the data lies on. `rotational` is asked last, and believed where the disk itself sets it: hypervisors,
/// RAID controllers and USB bridges leave it at the kernel's default, which says that it spins.
fn medium(
    disk: &Disk,
    udev: &Properties,
    bus: &str,
    is_virtual: bool,
    rotational: impl Fn() -> Option<String>,
) -> Option<String> {
    let model = disk.model.as_deref().unwrap_or("");
    let maker = disk.maker.as_deref().unwrap_or("");
    let virtual_model = VIRTUAL_MODELS.iter().any(|name| model.contains(name) || maker.contains(name));
    let rpm: Option<u32> = udev.get("ID_ATA_ROTATION_RATE_RPM").and_then(|rpm| rpm.parse().ok());
    let medium = match bus {
        "nvme" if !virtual_model => "ssd",
        _ if virtual_model || matches!(bus, "virtio" | "xen" | "vmbus") || is_virtual => "virtual",
        "mmc" => "ssd",
        _ => match (rpm, rotational().as_deref()) {
            (Some(0), _) | (None, Some("0")) => "ssd",
            (Some(_), _) => "hdd",
            (None, Some("1")) if matches!(bus, "sata" | "ata" | "sas") => "hdd",
            _ => return None,
        },
    };
    Some(medium.to_owned())
}

/// `number size_bytes` of each partition, in the order of their numbers.
fn ask_partitions(source: &dyn Source, name: &str) -> Vec<String> {
    let names = source.names(&format!("{DIR}/{name}")).unwrap_or_default();
    let number =
        |entry: &str| entry.strip_prefix(name).and_then(|rest| rest.trim_start_matches('p').parse::<u32>().ok());
    let mut found: Vec<(u32, &String)> = names.iter().filter_map(|entry| Some((number(entry)?, entry))).collect();
    found.sort_unstable();
    let size = |entry: &str| source.text(&format!("{DIR}/{name}/{entry}/size")).ok()?.parse::<i64>().ok();
    let sized = found.into_iter().take(PARTITIONS_MAX).filter_map(|(number, entry)| Some((number, size(entry)?)));
    sized.map(|(number, sectors)| format!("{number} {}", sectors.saturating_mul(SECTOR_BYTES))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tape::Tape;
    use proptest::prelude::*;
    use shared::fact::Attrs;

    #[test]
    fn what_is_no_disk_is_passed_over() {
        for name in ["ram0", "zram1", "fd0", "mtdblock3", "nvme0c1n1", "mmcblk0boot0", "mmcblk0rpmb"] {
            assert!(passed_over(name), "{name}");
        }
        for name in ["sda", "nvme0n1", "mmcblk0", "sr0", "dm-0", "vda", "ramdisk", "fda"] {
            assert!(!passed_over(name), "{name}");
        }
    }

    fn disk(name: &str, wwn: Option<&str>, serial: &str, path: Option<&str>) -> Item {
        let some = |text: Option<&str>| text.map(str::to_owned);
        let serial = Some(serial.to_owned());
        Item::from(Disk { name: name.into(), wwn: some(wwn), serial, path: some(path), ..Disk::default() })
    }

    #[test]
    fn clones_have_keys_of_their_own() {
        let clone = |name: &str, path: Option<&str>| disk(name, None, "S1", path);
        let mut items = vec![clone("sda", Some("a/0:0:0")), clone("sdb", Some("b/0:0:0")), clone("sdc", None)];
        make_unique(&mut items);
        assert_eq!(items.iter().map(|item| item.key.as_str()).collect::<Vec<_>>(), ["S1", "b/0:0:0", "sdc"]);
    }

    #[test]
    fn the_paths_to_one_disk_are_one_disk() {
        let sized = |name: &str, serial: &str, path: &str| Item {
            size: Some(4096),
            ..disk(name, Some("0x5"), serial, Some(path))
        };
        let path = |name: &str, path: &str| sized(name, "S1", path);
        let other = || sized("sdd", "S2", "d");
        let both = fold_paths([path("sda", "b"), path("sdb", "a"), other()].into_iter());
        let told: Vec<_> = both.iter().map(|item| (item.attrs.get("paths").cloned(), item.text("path"))).collect();
        assert_eq!(told, [(Some(vec!["a", "b"].into()), None), (None, Some("d"))]);
        // Another with the first one's WWN between them does not part them.
        let apart = fold_paths([path("sda", "b"), other(), path("sdb", "a"), sized("sde", "S2", "e")].into_iter());
        assert_eq!(apart.iter().filter_map(|item| item.attrs.get("paths")).count(), 2);
        // Nothing but a WWN says too little, and a dock gives its disks the same numbers.
        let unsized_one = |name: &str| disk(name, Some("0x5"), "S1", Some(name));
        assert_eq!(fold_paths([unsized_one("sda"), unsized_one("sdb")].into_iter()).len(), 2);
        let docked = |name: &str| path(name, name).with("bus", Some("usb"));
        assert_eq!(fold_paths([docked("sda"), docked("sdb")].into_iter()).len(), 2);
        // One of them fails: the disk is there all the same.
        for left in [path("sda", "b"), path("sdb", "a")] {
            assert_eq!(fold_paths([left].into_iter())[0].key, both[0].key);
        }
    }

    #[test]
    fn keys_outlive_the_order_in_which_devices_appear() {
        let made = |name: &str| {
            let at = |file: &str| format!("/sys/block/{name}/{file}");
            let tape = Tape::new().dir("/sys/block", &[name]).file(&at("size"), "8\n").file(&at("dev"), "7:1\n");
            tape.link(&format!("/sys/block/{name}"), &format!("../devices/virtual/block/{name}"))
        };
        let key = |tape: &Tape| run(tape).expect("found").items.into_iter().map(|item| item.key).collect::<Vec<_>>();
        let loops = |name: &str| made(name).file(&format!("/sys/block/{name}/loop/backing_file"), "/srv/a.img\n");
        assert_eq!(key(&loops("loop0")), ["loop:/srv/a.img"]);
        let (a, b) = (run(&loops("loop0")).expect("found"), run(&loops("loop7")).expect("found"));
        assert_eq!(Item { now: Attrs::new(), ..a.items[0].clone() }, Item { now: Attrs::new(), ..b.items[0].clone() });
        let id = "0a1b2c3d:4e5f6071:8293a4b5:c6d7e8f9";
        let old = made("md0").file("/run/udev/data/b7:1", format!("E:MD_UUID={id}\n"));
        let new = made("md127").file("/sys/block/md127/md/uuid", "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9\n");
        assert_eq!(key(&old), ["md:0a1b2c3d4e5f60718293a4b5c6d7e8f9"]);
        assert_eq!(key(&old), key(&new));
        assert_eq!(key(&made("md0")), ["md0"]);
    }

    #[test]
    fn the_hosts_disks_are_not_a_containers() {
        let host = Tape::new().dir("/sys/block", &["vda"]).file("/sys/block/vda/size", "8\n");
        assert_eq!(run(&host).expect("found").items.len(), 1);
        let inside = run(&host.link("/proc/self/ns/pid", "pid:[4026532741]")).expect("found");
        assert_eq!((inside.items.len(), inside.problems[0].why), (0, Why::Absent));
    }

    #[test]
    fn mapped_devices_say_what_they_are() {
        let told =
            ["LVM-abc", "CRYPT-LUKS2-ab-root", "CRYPT-PLAIN-x", "mpath-36", "part1-mpath-36", "odd"].map(mapping);
        let words = ["lvm", "luks", "crypt", "multipath", "partition"];
        assert_eq!(told[..5], words.map(Some));
        assert_eq!(told[5], None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_text_is_survived(text in "\\PC{0,60}") {
            parse_place(&text, &text);
            medium(&Disk::default(), &Properties::new(), &text, false, || None);
        }
    }
}
