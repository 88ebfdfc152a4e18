//! `disks` against util-linux's `lsblk` on whole machines.

use crate::folder::{Folder, data, files, unpack};
use agent::probes;
use shared::fact::{Item, Value};
use std::collections::BTreeMap;
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
    found.items.into_iter().map(|item| (item.label.clone().expect("a name"), item)).collect()
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
    let mut compared = 0;
    for archive in files(&archives, ".tar.xz") {
        let name = archive.file_name().expect("a name").to_string_lossy().replace(".tar.xz", "");
        let folder = tempfile::tempdir().expect("a folder");
        let machine = unpack(&archive, folder.path());
        lay_udev(&machine);
        let ours = disks(&machine);
        compared += compare_tree(&ours, &table(&texts.join(format!("lsblk-{name}-basic.txt"))), &name);
        compare_vendors(&ours, &texts.join(format!("lsblk-{name}-vendor.txt")), &name);
    }
    println!("lsblk: {compared} devices and partitions equal");
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
    for item in ours.values() {
        let Some(Value::List(list)) = item.attrs.get("partitions") else { continue };
        for part in list {
            let text = part.to_string();
            let (name, size) = text.split_once(' ').expect("a name and a size");
            told.insert(name.to_owned(), human(size.parse().ok()));
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
/// cut at 16 letters where only sysfs is there; the maker `ATA` is the kernel's word for none.
fn compare_vendors(ours: &BTreeMap<String, Item>, path: &Path, machine: &str) {
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
        // Without udev, lsblk looks for no NVMe firmware; ours is told then.
        let nvme_only_ours = name.starts_with("nvme") && rest.is_empty() && !firmware.is_empty();
        assert!(nvme_only_ours || firmware == rest.pop().unwrap_or(""), "{machine} {name}: {firmware}");
        let maker = rest.pop().filter(|maker| *maker != "ATA");
        assert_eq!(item.maker.as_deref(), maker, "{machine} {name}");
    }
}
