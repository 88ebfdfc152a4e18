//! `disks` against util-linux's `lsblk` on whole machines, and against GLPI Agent's expectations.

use crate::dump::{Perl, lay_ttar};
use crate::folder::{Folder, data, files, summary, unpack};
use agent::probes;
use shared::fact::{Item, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The dumps hold udev's properties as `dev/<name>`; udev keeps them by device number.
fn lay_udev(machine: &Folder) {
    let folder = machine.0.join("run/udev/data");
    std::fs::create_dir_all(&folder).expect("a folder");
    for file in std::fs::read_dir(machine.0.join("dev")).into_iter().flatten().flatten() {
        let name = file.file_name().to_string_lossy().into_owned();
        let Ok(number) = std::fs::read_to_string(machine.0.join(format!("sys/class/block/{name}/dev")))
            .or_else(|_| std::fs::read_to_string(machine.0.join(format!("sys/block/{name}/dev"))))
        else {
            continue;
        };
        let text = std::fs::read_to_string(file.path()).expect("properties");
        let text: String = text.lines().map(|line| format!("E:{line}\n")).collect();
        std::fs::write(folder.join(format!("b{}", number.trim())), text).expect("udev's data");
    }
}

fn disks(source: &Folder) -> BTreeMap<String, Item> {
    let found = (probes::find("disks").expect("the probe").run)(source).expect("disks");
    let keys: BTreeSet<&String> = found.items.iter().map(|item| &item.key).collect();
    assert_eq!(keys.len(), found.items.len(), "keys are unique");
    found.items.into_iter().map(|item| (item.now["name"].to_string(), item)).collect()
}

/// One line of a table, cut where the columns of its head begin or end.
fn table(path: &Path) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(path).expect("lsblk's text");
    let words = |line: &str| line.split_ascii_whitespace().map(str::to_owned).collect();
    text.lines().skip(1).map(words).collect()
}

#[test]
fn lsblk_says_the_same() {
    let (Some(archives), Some(texts)) = (data("sysdumps/lsblk"), data("expected/sysdumps/lsblk")) else { return };
    let (mut compared, mut explained) = (0, 0);
    let archives = files(&archives, ".tar.xz");
    for archive in &archives {
        let name = archive.file_name().expect("a name").to_string_lossy().replace(".tar.xz", "");
        let folder = tempfile::tempdir().expect("a folder");
        let machine = unpack(archive, folder.path(), &[]);
        lay_udev(&machine);
        let ours = disks(&machine);
        compared += compare_tree(&ours, &table(&texts.join(format!("lsblk-{name}-basic.txt"))), &name);
        let (equal, only_ours) = compare_vendors(&ours, &texts.join(format!("lsblk-{name}-vendor.txt")), &machine);
        (compared, explained) = (compared + equal + only_ours, explained + only_ours);
    }
    summary("lsblk: devices and partitions", archives.len(), compared, compared - explained, explained);
    assert!(compared > 0);
}

/// Names, sizes as lsblk rounds them, partitions. Its tree shows a mapped device below each of its parts.
fn compare_tree(ours: &BTreeMap<String, Item>, rows: &[Vec<String>], machine: &str) -> usize {
    let mut theirs: BTreeMap<String, String> = BTreeMap::new();
    let mut parts: BTreeMap<String, String> = BTreeMap::new();
    for row in rows {
        let (kname, size, kind) = (&row[1], &row[4], row[5].as_str());
        match kind {
            "part" => parts.insert(kname.clone(), size.clone()),
            // What lies in a drive is no part of it.
            "rom" => theirs.insert(kname.clone(), String::new()),
            _ => theirs.insert(kname.clone(), size.clone()),
        };
    }
    let human = |bytes: Option<i64>| bytes.map(human).unwrap_or_default();
    let told: BTreeMap<String, String> = ours.iter().map(|(name, item)| (name.clone(), human(item.size))).collect();
    assert_eq!(told, theirs, "{machine}");
    let mut told = BTreeMap::new();
    for (disk, item) in ours {
        let between = if disk.ends_with(|last: char| last.is_ascii_digit()) { "p" } else { "" };
        let Some(Value::List(list)) = item.attrs.get("partitions") else { continue };
        for part in list {
            let text = part.to_string();
            let (number, size) = text.split_once(' ').expect("a number and a size");
            told.insert(format!("{disk}{between}{number}"), human(size.parse().ok()));
        }
    }
    assert_eq!(told, parts, "{machine}");
    theirs.len() + parts.len()
}

/// As lsblk prints sizes: one digit after the point, none where it is 0.
fn human(bytes: i64) -> String {
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit < 4 {
        value /= 1024.0;
        unit += 1;
    }
    let text = format!("{value:.1}");
    format!("{}{}", text.strip_suffix(".0").unwrap_or(&text), ["B", "K", "M", "G", "T"][unit])
}

/// Model and revision. lsblk shows the model with udev's underscores for spaces and slashes, and its own columns may be
/// cut at 16 letters where only sysfs is there; the maker `ATA` is the kernel's word for none. Gives how many facts are
/// equal, and how many only ours are: lsblk looks for no NVMe firmware without udev, sysfs has it.
fn compare_vendors(ours: &BTreeMap<String, Item>, path: &Path, source: &Folder) -> (usize, usize) {
    let machine = path.display();
    let (mut equal, mut only_ours) = (0, 0);
    let text = std::fs::read_to_string(path).expect("lsblk's text");
    let head = text.lines().next().expect("a head");
    let column = |name: &str| head.find(name).expect("the column");
    let (model, vendor) = (column("MODEL"), column("VENDOR"));
    for line in text.lines().skip(1).filter(|line| !line.starts_with(['|', '`'])) {
        let cell = |from: usize, to: usize| line.get(from..to.min(line.len())).unwrap_or("").trim().to_owned();
        let name = line.split_ascii_whitespace().next().expect("a name");
        let item = &ours[name];
        let squeeze = |text: &str| text.replace(['_', '/'], " ").split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(squeeze(item.model.as_deref().unwrap_or("")), squeeze(&cell(model, vendor)), "{machine} {name}");
        let mut rest = line.get(vendor.min(line.len())..).unwrap_or("").split_ascii_whitespace().collect::<Vec<_>>();
        let firmware = item.attrs.get("firmware").map(ToString::to_string).unwrap_or_default();
        if name.starts_with("nvme") && rest.is_empty() && !firmware.is_empty() {
            let file = source.0.join(format!("sys/block/{name}/device/firmware_rev"));
            assert_eq!(std::fs::read_to_string(file).expect("firmware").trim(), firmware, "{machine} {name}");
            only_ours += 1;
        } else {
            assert_eq!(firmware, rest.pop().unwrap_or(""), "{machine} {name}");
            equal += 1;
        }
        let maker = rest.pop().filter(|maker| *maker != "ATA");
        assert_eq!(item.maker.as_deref(), maker, "{machine} {name}");
        equal += 2;
    }
    (equal, only_ours)
}

/// GLPI names a maker that the disk does not: guessed from the model, or the owner of virtio's PCI number. And
/// it keeps udev's underscores. All else must be equal.
#[test]
fn glpi_says_the_same_of_storages() {
    let Some(expected) = data("expected/raw/linux-storages.json") else { return };
    let tests: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(expected).expect("expectations")).expect("JSON");
    let mut compared = 0;
    for test in tests.as_array().expect("a list") {
        let file = data(test["files"][0].as_str().expect("a name")).expect("the dump");
        let bytes = std::fs::read(&file).expect("the dump");
        let start = bytes.iter().position(|&byte| byte == b'{').expect("a hash");
        let machine = tempfile::tempdir().expect("a folder");
        let dump = Perl::parse(&mut &bytes[start..]);
        dump.get("sys").expect("sysfs").lay(&machine.path().join("sys"));
        let ours = disks(&Folder(machine.path().to_owned()));
        let theirs = test["expected"].as_array().expect("a list");
        let names: BTreeSet<&str> = theirs.iter().map(|disk| disk["NAME"].as_str().expect("a name")).collect();
        assert_eq!(ours.keys().map(String::as_str).collect::<BTreeSet<_>>(), names, "{}", file.display());
        for disk in theirs {
            let item = &ours[disk["NAME"].as_str().expect("a name")];
            assert_eq!(item.model.as_deref(), disk["MODEL"].as_str());
            assert_eq!(item.serial.as_deref(), disk["SERIALNUMBER"].as_str());
            assert_eq!(item.attrs.get("firmware").map(ToString::to_string).as_deref(), disk["FIRMWARE"].as_str());
            assert_eq!(item.size.map(|bytes| bytes / 1_000_000), disk["DISKSIZE"].as_i64());
            assert_eq!(item.attrs.contains_key("removable"), disk["TYPE"] == "removable");
            compared += 5;
        }
    }
    summary("glpi: storages", tests.as_array().map_or(0, Vec::len), compared, compared, 0);
    assert!(compared > 0);
}

#[test]
fn glpi_says_the_same_of_udev() {
    let (Some(file), Some(expected)) = (data("raw/linux/udev/ssd"), data("expected/raw/linux-udev.json")) else {
        return;
    };
    let tests: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(expected).expect("expectations")).expect("JSON");
    let theirs = &tests[0]["expected"];
    let machine = tempfile::tempdir().expect("a folder");
    for folder in ["sys/block/sda", "run/udev/data"] {
        std::fs::create_dir_all(machine.path().join(folder)).expect("a folder");
    }
    std::fs::write(machine.path().join("sys/block/sda/dev"), "8:0\n").expect("a file");
    std::fs::copy(file, machine.path().join("run/udev/data/b8:0")).expect("a copy");
    let ours = disks(&Folder(machine.path().to_owned()));
    let item = &ours["sda"];
    assert_eq!(item.key, "0x50000f0056424431");
    assert_eq!(item.model.as_deref().map(|model| model.replace(' ', "_")).as_deref(), theirs["MODEL"].as_str());
    assert_eq!(item.serial.as_deref(), theirs["SERIALNUMBER"].as_str());
    assert_eq!(item.attrs["firmware"].as_text(), theirs["FIRMWARE"].as_str());
    assert_eq!(item.attrs["medium"].as_text(), Some("ssd"));
    summary("glpi: udev", 1, 3, 3, 0);
}

/// No expectations exist for node_exporter's samples: no probe may fall over them, and keys stay unique.
#[test]
fn node_exporters_machine_is_read() {
    let Some(folder) = data("sysdumps/node_exporter") else { return };
    let machine = tempfile::tempdir().expect("a folder");
    for (archive, at) in [("sys.ttar", ""), ("udev.ttar", "run")] {
        let text = std::fs::read_to_string(folder.join(archive)).expect("an archive");
        lay_ttar(&text, &machine.path().join(at));
    }
    let source = Folder(machine.path().to_owned());
    for probe in probes::PROBES {
        let Ok(found) = (probe.run)(&source) else { continue };
        let keys: BTreeSet<&String> = found.items.iter().map(|item| &item.key).collect();
        assert_eq!(keys.len(), found.items.len(), "{}", probe.name);
        println!("{}: {} items, {} problems", probe.name, found.items.len(), found.problems.len());
    }
}
