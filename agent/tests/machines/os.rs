//! `os` against GLPI Agent's expectations on release files, and against lscpu's hypervisors on whole machines.

use crate::folder::{Folder, data, files, summary, unpack};
use agent::probes;
use shared::fact::Item;

fn os(source: &Folder) -> Option<Item> {
    let found = (probes::find("os").expect("the probe").run)(source).ok()?;
    found.items.into_iter().next()
}

fn attr(item: &Item, name: &str) -> Option<String> {
    item.attrs.get(name).map(ToString::to_string)
}

#[test]
fn glpi_says_the_same_of_release_files() {
    let Some(expected) = data("expected/raw/linux-distro.json") else { return };
    let tests: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(expected).expect("expectations")).expect("JSON");
    let mut compared = 0;
    for test in tests.as_array().expect("a list") {
        let machine = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(machine.path().join("etc")).expect("etc");
        for file in test["files"].as_array().expect("files") {
            let from = data(file.as_str().expect("a name")).expect("the file");
            let name = from.file_name().expect("a name").to_string_lossy().into_owned();
            // `os-release-debian-11.2` is the file `os-release` of Debian 11.2.
            let known = ["os-release", "debian_version", "centos-release", "redhat-release", "oracle-release"];
            let name = known.iter().find(|known| name.starts_with(*known)).expect("a release file");
            std::fs::copy(&from, machine.path().join("etc").join(name)).expect("a copy");
        }
        let item = os(&Folder(machine.path().to_owned())).expect("an operating system");
        assert_eq!(item.label.as_deref(), test["expected"]["FULL_NAME"].as_str());
        // GLPI leaves the release's name in the version; ours has its own place.
        let theirs = test["expected"]["VERSION"].as_str().expect("a version");
        let (version, codename) =
            theirs.split_once(" (").map_or((theirs, None), |(v, c)| (v, Some(c.trim_end_matches(')'))));
        assert_eq!(attr(&item, "version").as_deref(), Some(version));
        assert!(codename.is_none() || attr(&item, "codename").as_deref() == codename, "{item:?}");
        compared += 2 + usize::from(codename.is_some());
    }
    summary("glpi: release files", tests.as_array().map_or(0, Vec::len), compared, compared, 0);
    assert!(compared > 0);
}

/// lscpu's words and ours.
const HYPERVISORS: &[(&str, &str)] = &[
    ("pHyp", "powervm"),
    ("IBM", "pr/sm"),
    ("KVM", "kvm"),
    ("VMware", "vmware"),
    ("Xen", "xen"),
    ("Microsoft", "hyperv"),
];

#[test]
fn lscpu_sees_the_same_hypervisors() {
    let (Some(archives), Some(texts)) = (data("sysdumps/lscpu"), data("expected/sysdumps/lscpu")) else { return };
    let mut seen = 0;
    let archives = files(&archives, ".tar.gz");
    for archive in &archives {
        let name = archive.file_name().expect("a name").to_string_lossy().replace(".tar.gz", "");
        let folder = tempfile::tempdir().expect("a folder");
        let machine = unpack(archive, folder.path(), &["*/sys/devices/system/*"]);
        // The dumps hold no kernel release, without which nothing is told.
        std::fs::create_dir_all(machine.0.join("proc/sys/kernel")).expect("a folder");
        std::fs::write(machine.0.join("proc/sys/kernel/osrelease"), "6.1\n").expect("a file");
        let text = std::fs::read_to_string(texts.join(format!("lscpu-{name}.txt"))).expect("lscpu's text");
        let theirs = text.lines().find_map(|line| line.strip_prefix("Hypervisor vendor:")).map(str::trim);
        let theirs = theirs.map(|vendor| HYPERVISORS.iter().find(|(word, _)| *word == vendor).expect("a known one").1);
        let item = os(&machine).expect("an operating system");
        assert_eq!(attr(&item, "hypervisor").as_deref(), theirs, "{name}");
        seen += usize::from(theirs.is_some());
    }
    println!("lscpu: {seen} of them have a hypervisor");
    summary("lscpu: hypervisors", archives.len(), archives.len(), archives.len(), 0);
}

#[test]
fn jc_says_the_same_of_os_release_and_boot_time() {
    let Some(folder) = data("commands") else { return };
    let expected = |system: &str| -> serde_json::Value {
        let text = std::fs::read_to_string(folder.join(format!("../expected/commands/{system}.json"))).expect("a file");
        serde_json::from_str(&text).expect("JSON")
    };
    let machine = tempfile::tempdir().expect("a folder");
    for folder in ["etc", "proc"] {
        std::fs::create_dir(machine.path().join(folder)).expect("a folder");
    }
    std::fs::copy(folder.join("generic/os-release-ubuntu"), machine.path().join("etc/os-release")).expect("a copy");
    std::fs::copy(folder.join("linux-proc/stat"), machine.path().join("proc/stat")).expect("a copy");
    let item = os(&Folder(machine.path().to_owned())).expect("an operating system");
    let theirs = &expected("generic")["commands/generic/os-release-ubuntu"];
    assert_eq!(item.label.as_deref(), theirs["PRETTY_NAME"].as_str());
    assert_eq!(attr(&item, "distribution").as_deref(), theirs["ID"].as_str());
    assert_eq!(attr(&item, "like").as_deref(), theirs["ID_LIKE"].as_str());
    assert_eq!(attr(&item, "codename").as_deref(), theirs["VERSION_CODENAME"].as_str());
    // `18.04.5 LTS (Bionic Beaver)`: the point release stands only there.
    assert_eq!(attr(&item, "version").as_deref(), theirs["VERSION"].as_str().and_then(|text| text.split(' ').next()));
    let booted = expected("linux-proc")["commands/linux-proc/stat"]["boot_time"].as_i64().expect("a time");
    assert_eq!(item.now["booted_us"].as_int(), Some(booted * 1_000_000));
    summary("jc: os-release and boot time", 2, 6, 6, 0);
}
