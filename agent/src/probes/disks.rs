//! Probe `disks`: block devices that hold data, with their partitions.
//!
//! Listed: whole disks, drives of optical media, loop devices that have a file behind them, device-mapper
//! and RAID devices (bus `dm`, `md`). Not listed: RAM disks and zram (memory, told by `memory`), floppy
//! drives, raw flash (`mtd`), loop, nbd and other virtual devices that hold nothing, hidden paths of NVMe
//! multipath, and the boot areas of eMMC, which are parts of a disk.
//!
//! Knows udev's database and sysfs. Does not know health, nor what filesystems are on it.

mod identity;
mod place;

use super::{Every, Found, Os, Probe, udev};
use crate::source::{Miss, Source};
use place::{Place, parse_place};
use shared::checkin::Problem;
use shared::fact::Item;
use shared::hardware::Disk;
use std::collections::BTreeSet;
use udev::Properties;

/// The probe.
pub const PROBE: Probe = Probe { name: "disks", os: &[Os::Linux], every: Every::CheckIn, needs: "", mark: None, run };

/// Partitions of one disk that are listed at most.
const PARTITIONS_MAX: usize = 128;
/// Sizes in sysfs are in sectors of 512 bytes, whatever the disk's own are.
const SECTOR_BYTES: i64 = 512;

const DIR: &str = "/sys/block";

fn run(source: &dyn Source) -> Result<Found, Problem> {
    let names = match source.names(DIR) {
        Ok(names) => names,
        // Kernels without block devices have no such folder; without sysfs nothing can be said.
        Err(Miss::Absent) if source.names("/sys").is_ok() => Vec::new(),
        Err(miss) => return Err(miss.problem(DIR)),
    };
    let mut items: Vec<Item> = names.iter().filter_map(|name| ask_disk(source, name)).collect();
    make_unique(&mut items);
    Ok(Found { items, problems: Vec::new() })
}

/// Two paths to one disk say the same WWN, clones the same serial: the first by name has it as its key,
/// the others are told by their place.
fn make_unique(items: &mut [Item]) {
    let mut keys = BTreeSet::new();
    for item in items {
        if keys.contains(&item.key) {
            let path = item.attrs.get("path").and_then(|path| path.as_text()).filter(|path| !keys.contains(*path));
            item.key = path.map(str::to_owned).or_else(|| item.label.clone()).unwrap_or_default();
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
    // The mapper's and the array's own names outlive the order in which they were started.
    let lasting = match on {
        "dm" => text("dm/name").map(|mapped| format!("dm:{mapped}")),
        "md" => text("md/uuid").map(|uuid| format!("md:{uuid}")),
        _ => None,
    };
    let mut item = Item::from(disk);
    item.key = lasting.unwrap_or(item.key);
    Some(item)
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

/// `name size_bytes` of each partition, in the order of their numbers.
fn ask_partitions(source: &dyn Source, name: &str) -> Vec<String> {
    let names = source.names(&format!("{DIR}/{name}")).unwrap_or_default();
    let number =
        |entry: &str| entry.strip_prefix(name).and_then(|rest| rest.trim_start_matches('p').parse::<u32>().ok());
    let mut found: Vec<(u32, &String)> = names.iter().filter_map(|entry| Some((number(entry)?, entry))).collect();
    found.sort_unstable();
    let size = |entry: &str| source.text(&format!("{DIR}/{name}/{entry}/size")).ok()?.parse::<i64>().ok();
    let sized = found.into_iter().take(PARTITIONS_MAX).filter_map(|(_, entry)| Some((entry, size(entry)?)));
    sized.map(|(entry, sectors)| format!("{entry} {}", sectors.saturating_mul(SECTOR_BYTES))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_disk_is_passed_over() {
        for name in ["ram0", "zram1", "fd0", "mtdblock3", "nvme0c1n1", "mmcblk0boot0", "mmcblk0rpmb"] {
            assert!(passed_over(name), "{name}");
        }
        for name in ["sda", "nvme0n1", "mmcblk0", "sr0", "dm-0", "vda", "ramdisk", "fda"] {
            assert!(!passed_over(name), "{name}");
        }
    }

    #[test]
    fn two_paths_to_one_disk_have_two_keys() {
        let disk = |name: &str, path: &str| {
            let disk = Disk { name: name.into(), wwn: Some("0x5".into()), path: Some(path.into()), ..Disk::default() };
            Item::from(disk)
        };
        let mut items = vec![disk("sda", "a/0:0:0"), disk("sdb", "b/0:0:0"), disk("sdc", "b/0:0:0")];
        make_unique(&mut items);
        assert_eq!(items.iter().map(|item| item.key.as_str()).collect::<Vec<_>>(), ["0x5", "b/0:0:0", "sdc"]);
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
