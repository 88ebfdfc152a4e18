//! Probe `disks`: block devices that hold data, with their partitions.
//!
//! Listed: whole disks, drives of optical media, loop devices that have a file behind them, device-mapper
//! and RAID devices (bus `dm`, `md`). Not listed: RAM disks and zram (memory, told by `memory`), floppy
//! drives, raw flash (`mtd`), loop, nbd and other virtual devices that hold nothing, hidden paths of NVMe
//! multipath, and the boot areas of eMMC, which are parts of a disk.
//!
//! Knows udev's database and sysfs. Does not know health, nor what filesystems are on it.

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
    let text = |file: &str| clean(&source.text(&at(file)).unwrap_or_default());
    let removable = text("removable").as_deref() == Some("1");
    let mut disk = Disk { name: name.to_owned(), backing, path: place.path.clone(), ..Disk::default() };
    name_it(&mut disk, source, &udev, &place);
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

/// Trims, joins inner white space and leaves out what stands for nothing.
fn clean(text: &str) -> Option<String> {
    let text = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    let bare = text.trim_start_matches("0x").trim_matches(['0', ' ', '-', '.', ':']);
    let nothing = bare.is_empty()
        || ["none", "unknown", "n/a", "not specified", "default string", "eui", "f"]
            .contains(&bare.to_ascii_lowercase().as_str())
        || bare.bytes().all(|b| b == b'F' || b == b'f');
    (!nothing || matches!(text.as_str(), "0")).then_some(text)
}

/// Maker, model, serial, firmware and WWN: udev's where it has them, as it asks the disk itself and
/// sysfs cuts ATA models at 16 letters; else sysfs'.
fn name_it(disk: &mut Disk, source: &dyn Source, udev: &Properties, place: &Place) {
    let text = |file: &str| clean(&source.text(&format!("{DIR}/{}/{file}", disk.name)).unwrap_or_default());
    let property = |name: &str| udev.get(name).and_then(|value| clean(value));
    let encoded = |name: &str| udev.get(name).and_then(|value| clean(&udev::decode(value)));
    if place.is_virtual && place.bus != Some("nvme") {
        if place.bus == Some("md") {
            disk.model = text("md/level");
        }
        return;
    }
    // A virtio disk has a serial, and as `vendor` only the number of who wrote the specification.
    if place.bus == Some("virtio") {
        disk.serial = text("serial").filter(|serial| serial != "0");
        return;
    }
    let sysfs_vendor = || if place.bus == Some("nvme") { None } else { text("device/vendor") };
    let maker = encoded("ID_VENDOR_ENC").or_else(|| property("ID_VENDOR")).or_else(sysfs_vendor);
    // `ATA` is how the kernel says that the disk named no maker.
    let maker = maker.filter(|maker| maker != "ATA" && !maker.starts_with("0x"));
    let model = encoded("ID_MODEL_ENC").or_else(|| text("device/model")).or_else(|| text("device/name"));
    let model = model.or_else(|| property("ID_MODEL"));
    let serial = ["ID_SCSI_SERIAL", "ID_SERIAL_SHORT"].iter().find_map(|name| property(name));
    let serial = serial.or_else(|| text("device/serial")).or_else(|| {
        let page = source.file(&format!("{DIR}/{}/device/vpd_pg80", disk.name)).ok()?;
        parse_unit_serial(&page)
    });
    let firmware = property("ID_REVISION").or_else(|| text("device/firmware_rev"));
    let firmware = firmware.or_else(|| text("device/rev")).or_else(|| text("device/fwrev"));
    let wwn = ["ID_WWN_WITH_EXTENSION", "ID_WWN"].iter().find_map(|name| property(name));
    let wwn = wwn.or_else(|| text("wwid")).or_else(|| text("device/wwid"));
    (disk.maker, disk.model, disk.serial, disk.firmware) =
        (maker, model, serial.filter(|serial| serial != "0"), firmware);
    disk.wwn = wwn.and_then(|wwn| parse_wwn(&wwn));
}

/// SCSI VPD page 80h (SPC-4 7.8.15): a header of four bytes, then the unit's serial number.
fn parse_unit_serial(page: &[u8]) -> Option<String> {
    let length = usize::from(u16::from_be_bytes([*page.get(2)?, *page.get(3)?]));
    let serial = page.get(4..4usize.checked_add(length)?.min(page.len()))?;
    let serial = String::from_utf8_lossy(serial);
    clean(&serial).filter(|serial| serial.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' '))
}

/// As udev writes it. A T10 name is made of the vendor's and model's names and no number of the world.
fn parse_wwn(text: &str) -> Option<String> {
    let text = text.trim().to_ascii_lowercase();
    let wwn = text.strip_prefix("naa.").map(|number| format!("0x{number}")).unwrap_or(text);
    let number = wwn.split_once(['.', 'x']).map_or("", |(_, number)| number);
    let known =
        wwn.starts_with("0x") || wwn.starts_with("eui.") || wwn.starts_with("nvme.") || wwn.starts_with("uuid.");
    (known && !wwn.contains(' ') && number.bytes().any(|byte| byte != b'0')).then_some(wwn)
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
    fn names_of_the_world_are_numbers() {
        assert_eq!(parse_wwn("naa.50026B724B09A1FF").as_deref(), Some("0x50026b724b09a1ff"));
        assert_eq!(
            parse_wwn("eui.00000000000000000026b7283b12b315").as_deref(),
            Some("eui.00000000000000000026b7283b12b315")
        );
        assert_eq!(parse_wwn("eui.0000000000000000"), None);
        assert_eq!(parse_wwn("t10.ATA     WDC WD800JD-00MSA1     WD-WMAM9XE78956"), None);
    }

    #[test]
    fn placeholders_are_left_out() {
        assert_eq!(clean("  WD-1   2 \n").as_deref(), Some("WD-1 2"));
        for nothing in ["", " ", "0000000000", "0x0000", "Unknown", "none", "FFFFFFFF"] {
            assert_eq!(clean(nothing), None, "{nothing:?}");
        }
        assert_eq!(parse_unit_serial(b"\0\x80\0\x08 ABC123 ").as_deref(), Some("ABC123"));
        assert_eq!(parse_unit_serial(b"\0\x80\xff\xff"), None);
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
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..64), text in "\\PC{0,60}") {
            parse_unit_serial(&bytes);
            parse_wwn(&text);
            parse_place(&text, &text);
            medium(&Disk::default(), &Properties::new(), &text, false, || None);
        }
    }
}
