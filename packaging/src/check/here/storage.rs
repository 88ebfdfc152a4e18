//! Disks as lsblk lists them, mounts as findmnt does, space as df says.

use super::compare::Facts;
use super::{Difference, Report, Rule, Tool, attr, put, say};
use serde_json::Value;
use shared::fact;

pub(super) const LSBLK: Tool = Tool {
    name: "lsblk -J",
    asks: &[&["lsblk", "-J", "-b", "-o", "KNAME,SIZE,TYPE,MODEL,SERIAL"]],
    theirs: |texts| {
        let mut facts = Facts::new();
        let tree: Value = serde_json::from_str(texts.first()?).ok()?;
        devices(&tree["blockdevices"], &mut facts);
        Some(facts)
    },
    ours: disks,
    rules: &[
        Rule { why: "zram is memory, and told as such", holds: |d| d.ours.is_none() && d.name.starts_with("zram") },
        Rule {
            why: "in a container the disks are its host's",
            holds: |d| {
                let inside = std::fs::read_link("/proc/self/ns/pid").is_ok_and(|ns| ns.as_os_str() != FIRST_NAMESPACE);
                d.ours.is_none() && inside
            },
        },
        Rule {
            why: "what lies in a drive is no part of it",
            holds: |d| d.name.strip_suffix(" bytes").is_some_and(|name| is(name, "device/type", "5")),
        },
        Rule {
            why: "another path to a disk that the agent tells by its first one: the same number, serial and size",
            holds: |d| {
                let name = d.name.split(' ').next().unwrap_or("");
                let disk = whole(name);
                let others = std::fs::read_dir("/sys/block").into_iter().flatten().flatten();
                let mut others = others.map(|entry| entry.file_name().to_string_lossy().into_owned());
                let numbers = |disk: &str| ["device/wwid", "device/vpd_pg80", "size"].map(|file| sysfs(disk, file));
                d.ours.is_none() && others.any(|other| is_other_path(&disk, &other, d.own, numbers))
            },
        },
        Rule {
            why: "sysfs has it; without udev lsblk does not look there",
            holds: |d| {
                let (name, fact) = d.name.split_once(' ').unwrap_or_default();
                let files = [fact.to_owned(), format!("device/{fact}")];
                d.theirs.is_none() && d.ours.is_some_and(|ours| files.iter().any(|file| is(name, file, ours)))
            },
        },
    ],
};

/// The machine's own PID namespace (`linux/proc_ns.h`).
const FIRST_NAMESPACE: &str = "pid:[4026531836]";

/// The disk that a block device is or is a part of.
fn whole(name: &str) -> String {
    let path = std::fs::canonicalize(format!("/sys/class/block/{name}")).unwrap_or_default();
    let disk = if path.join("partition").exists() { path.parent() } else { Some(path.as_path()) };
    disk.and_then(|disk| disk.file_name()).map_or_else(|| name.to_owned(), |disk| disk.to_string_lossy().into_owned())
}

/// The bytes of a file of a disk, a serial page among them.
fn sysfs(disk: &str, file: &str) -> Vec<u8> {
    std::fs::read(format!("/sys/block/{disk}/{file}")).unwrap_or_default()
}

/// Two disks that say one number (which must be one), one serial and one size are one; the other one was told.
fn is_other_path(disk: &str, other: &str, own: &Facts, numbers: impl Fn(&str) -> [Vec<u8>; 3]) -> bool {
    let (a, b) = (numbers(disk), numbers(other));
    let told = own.contains_key(&format!("{other} bytes")) && !own.contains_key(&format!("{disk} bytes"));
    disk != other && told && !a[0].is_empty() && a == b
}

/// What a file of a block device says.
fn is(device: &str, file: &str, value: &str) -> bool {
    std::fs::read_to_string(format!("/sys/block/{device}/{file}")).is_ok_and(|text| text.trim() == value.trim())
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.split_ascii_whitespace().collect::<Vec<_>>().join(" ")),
        Value::Null => None,
        other => Some(other.to_string()),
    }
    .filter(|text| !text.is_empty())
}

fn devices(list: &Value, facts: &mut Facts) {
    for device in list.as_array().into_iter().flatten() {
        let name = text(&device["kname"]).unwrap_or_default();
        put(facts, format!("{name} bytes"), text(&device["size"]));
        if device["type"] != "part" {
            put(facts, format!("{name} model"), text(&device["model"]));
            put(facts, format!("{name} serial"), text(&device["serial"]));
        }
        devices(&device["children"], facts);
    }
}

fn disks(report: &Report) -> Facts {
    let mut facts = Facts::new();
    for item in report.items("disks") {
        let name = item.now.get("name").map(ToString::to_string).unwrap_or_default();
        put(&mut facts, format!("{name} bytes"), item.size.map(|bytes| bytes.to_string()));
        put(&mut facts, format!("{name} model"), item.model.clone());
        put(&mut facts, format!("{name} serial"), item.serial.clone());
        if let Some(fact::Value::List(parts)) = item.attrs.get("partitions") {
            for part in parts.iter().map(ToString::to_string) {
                let (number, bytes) = part.split_once(' ').unwrap_or((&part, ""));
                let between = if name.ends_with(|last: char| last.is_ascii_digit()) { "p" } else { "" };
                let name = format!("{name}{between}{number}");
                put(&mut facts, format!("{name} bytes"), Some(bytes));
            }
        }
    }
    facts
}

/// A fact's mount point: df has several facts of each, findmnt one.
fn point<'a>(d: &Difference<'a>) -> &'a str {
    let facts = [" type", " bytes", " free_bytes", " inodes", " free_inodes"];
    facts.iter().find_map(|fact| d.name.strip_suffix(fact)).unwrap_or(d.name)
}

/// The type of the filesystem that is mounted there.
fn fstype<'a>(d: &Difference<'a>) -> &'a str {
    let point = point(d);
    let told = d.all.get(&format!("{point} type")).or_else(|| d.all.get(point));
    told.map_or("", |told| told.split(' ').next().unwrap_or(""))
}

/// Filesystems of the network, which the kernel's list calls `nodev` too.
const REMOTE: [&str; 7] = ["nfs", "nfs4", "cifs", "smb3", "9p", "virtiofs", "ceph"];

const NO_FILES: Rule = Rule {
    why: "the kernel's or the system's own (nodev in /proc/filesystems; a tmpfs in /dev, /proc, /run or /sys), or a container's",
    holds: |d| {
        let fstype = fstype(d);
        let known = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
        let nodev = known.lines().any(|line| line.strip_prefix("nodev").is_some_and(|name| name.trim() == fstype));
        let engines = ["/var/lib/containerd", "/var/lib/containers", "/var/lib/docker", "/var/lib/kubelet"];
        let own = ["/dev", "/proc", "/run", "/sys"]
            .iter()
            .chain(&engines)
            .any(|own| point(d).strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')));
        d.ours.is_none() && nodev && !REMOTE.contains(&fstype) && (fstype != "tmpfs" || own)
    },
};

const BOUND: Rule = Rule {
    why: "one filesystem is told once, however often it is bound elsewhere",
    holds: |d| {
        let device = |point: &str| say(&["findmnt", "-n", "-o", "MAJ:MIN", "--mountpoint", point]).ok();
        let own = device(d.name);
        d.ours.is_none() && own.is_some() && d.all.keys().any(|other| other != d.name && device(other) == own)
    },
};

pub(super) const FINDMNT: Tool = Tool {
    name: "findmnt -J",
    asks: &[&["findmnt", "-J", "-b", "-o", "TARGET,SOURCE,FSTYPE,SIZE"]],
    theirs: |texts| {
        let mut facts = Facts::new();
        let tree: Value = serde_json::from_str(texts.first()?).ok()?;
        mounts(&tree["filesystems"], &mut facts);
        Some(facts)
    },
    ours: |report| {
        let mut facts = Facts::new();
        for item in report.items("filesystems") {
            let point = &item.key;
            let device = attr(item, "device").or_else(|| item.now.get("device").map(ToString::to_string));
            let (device, fstype) = (device.unwrap_or_default(), attr(item, "fstype").unwrap_or_default());
            facts.insert(point.clone(), format!("{fstype} of {device}, {} bytes", item.size.unwrap_or_default()));
        }
        facts
    },
    rules: &[NO_FILES, BOUND],
};

fn mounts(list: &Value, facts: &mut Facts) {
    for mount in list.as_array().into_iter().flatten() {
        let point = text(&mount["target"]).unwrap_or_default();
        // `/dev/sda1[/folder]` is a bind of the folder.
        let source = text(&mount["source"]).map(|source| source.split('[').next().unwrap_or("").to_owned());
        let (source, fstype) = (source.unwrap_or_default(), text(&mount["fstype"]).unwrap_or_default());
        facts.insert(point, format!("{fstype} of {source}, {} bytes", text(&mount["size"]).unwrap_or_default()));
        mounts(&mount["children"], facts);
    }
}

/// Of the whole, by which free space may move beyond what the tool says before and after.
const MOVES: i64 = 100;

pub(super) const DF: Tool = Tool {
    name: "df -B1",
    asks: &[&["df", "-B1", "--output=fstype,size,avail,itotal,iavail,target"]],
    theirs: df,
    ours: |report| {
        let mut facts = Facts::new();
        for item in report.items("filesystems") {
            let point = &item.key;
            let now = |name: &str| item.now.get(name).map(ToString::to_string);
            put(&mut facts, format!("{point} type"), attr(item, "fstype"));
            put(&mut facts, format!("{point} bytes"), item.size.map(|bytes| bytes.to_string()));
            put(&mut facts, format!("{point} free_bytes"), now("free_bytes"));
            put(&mut facts, format!("{point} inodes"), attr(item, "inodes"));
            put(&mut facts, format!("{point} free_inodes"), now("inodes_free"));
        }
        facts
    },
    rules: &[
        NO_FILES,
        Rule {
            why: "what is free moves while both look, by less than 1 % of the whole",
            holds: |d| {
                let number = |text: Option<&str>| text.and_then(|text| text.parse::<i64>().ok());
                let whole = d.all.get(&d.name.replace("free_", "")).map(String::as_str);
                match (number(d.theirs), number(d.ours), number(whole)) {
                    (Some(theirs), Some(ours), Some(whole)) if d.name.contains(" free_") => {
                        (theirs - ours).abs() <= whole / MOVES
                    }
                    _ => false,
                }
            },
        },
        Rule {
            why: "such a filesystem counts what would still fit, another number at every look",
            holds: |d| {
                let counts = ["btrfs", "xfs", "zfs", "vfat"].contains(&fstype(d));
                d.ours.is_none() && d.name.ends_with("inodes") && counts
            },
        },
    ],
};

fn df(texts: &[String]) -> Option<Facts> {
    let mut facts = Facts::new();
    for line in texts.first()?.lines().skip(1) {
        let mut words = line.split_ascii_whitespace();
        let mut next = || words.next().map(str::to_owned).filter(|word| word != "-");
        let told = [next(), next(), next(), next(), next()];
        let point = words.collect::<Vec<_>>().join(" ");
        for (name, value) in ["type", "bytes", "free_bytes", "inodes", "free_inodes"].iter().zip(told) {
            put(&mut facts, format!("{point} {name}"), value);
        }
    }
    Some(facts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_another_one_only_to_a_disk_that_is_told() {
        let numbers = |disk: &str| match disk {
            "sda" | "sdb" => [b"naa.5".to_vec(), b"S1".to_vec(), b"8".to_vec()],
            "sdc" => [b"naa.5".to_vec(), b"S2".to_vec(), b"8".to_vec()],
            _ => Default::default(),
        };
        let told = |names: &[&str]| names.iter().map(|name| (format!("{name} bytes"), "4096".to_owned())).collect();
        assert!(is_other_path("sdb", "sda", &told(&["sda"]), numbers));
        assert!(!is_other_path("sdb", "sda", &told(&["sdc"]), numbers), "the first is not told either");
        assert!(!is_other_path("sdb", "sda", &told(&["sda", "sdb"]), numbers), "it is told itself");
        assert!(!is_other_path("sdc", "sda", &told(&["sda"]), numbers), "another serial");
        assert!(!is_other_path("sdx", "sdy", &told(&["sdy"]), numbers), "without numbers");
    }
}
