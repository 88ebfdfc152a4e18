use super::*;
use crate::source::tape::Tape;
use crate::source::{Answer, Ask, Stat};

#[test]
fn the_full_name_is_the_machines_own() {
    let hosts =
        "127.0.0.1 localhost.localdomain localhost\n127.0.1.1 box.example.org box # own\n192.0.2.9 boxer.example.org\n";
    assert_eq!(fqdn("box", hosts).as_deref(), Some("box.example.org"));
    assert_eq!(fqdn("other", hosts), None);
    assert_eq!(fqdn("a.b.example", "").as_deref(), Some("a.b.example"));
    assert_eq!(fqdn("box.", ""), None);
}

#[test]
fn the_zone_in_force_is_told() {
    let tape = Tape::new().file("/etc/timezone", "Europe/Berlin\n");
    assert_eq!(timezone(&tape).as_deref(), Some("Europe/Berlin"));
    assert_eq!(
        timezone(&tape.clone().link("/etc/localtime", "../usr/share/zoneinfo/posix/Etc/UTC")).as_deref(),
        Some("Etc/UTC")
    );
    assert_eq!(timezone(&Tape::new().file("/etc/timezone", "<script>\n")), None);
}

#[test]
fn an_installation_is_never_dated_to_an_epoch() {
    let stat = |seconds: i64| Stat {
        form: 'd',
        size_bytes: 0,
        modified: At::from_secs(seconds),
        uid: 0,
        mode: 0o755,
        device: (8, 1),
        inode: 11,
    };
    let tape = Tape::new().clock(At::from_secs(1_800_000_000)).stat("/lost+found", stat(0));
    assert_eq!(ask_installed(&tape), None);
    assert_eq!(ask_installed(&tape.clone().stat("/lost+found", stat(1_900_000_000))), None);
    let tape = tape.stat("/var/log/installer", stat(1_700_000_000));
    assert_eq!(ask_installed(&tape).as_deref(), Some("2023-11-14"));
}

#[test]
fn virtual_machine_and_container_are_both_told() {
    let tape = Tape::new()
        .file("/etc/os-release", "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nVERSION_ID=\"12\"\n")
        .file("/proc/sys/kernel/osrelease", "6.1.0-18-amd64\n")
        .file("/proc/sys/kernel/hostname", "box\n")
        .file("/proc/cpuinfo", "processor : 0\nflags : fpu hypervisor\n")
        .file("/proc/stat", "cpu 1 2\nbtime 1700000000\n")
        .file("/run/.containerenv", "engine=\"podman-4.3.1\"\n")
        .file("/run/systemd/container", "podman\n");
    let found = run(&tape).expect("an operating system");
    assert!(found.problems.is_empty(), "{:?}", found.problems);
    let attr = |name: &str| found.items[0].attrs.get(name).map(ToString::to_string).unwrap_or_default();
    assert_eq!(found.items[0].label.as_deref(), Some("Debian GNU/Linux 12 (bookworm)"));
    assert_eq!((attr("hypervisor"), attr("container"), attr("arch")), ("vm".into(), "podman".into(), "x86_64".into()));
    assert_eq!(found.items[0].now.get("booted_us").and_then(|us| us.as_int()), Some(1_700_000_000_000_000));
}

/// As the machines are that these tests run on: tools that go by the marker alone say "docker" and nothing else.
#[test]
fn a_virtual_machine_that_booted_an_image_is_a_virtual_machine() {
    let layers = |namespace: &str| {
        let tape = Tape::new()
            .file("/proc/sys/kernel/osrelease", "6.18.44\n")
            .file("/proc/cpuinfo", "processor : 0\nflags : fpu hypervisor\n")
            .file("/sys/devices/system/clocksource/clocksource0/available_clocksource", "kvm-clock tsc\n")
            .file("/.dockerenv", "")
            .denied("/proc/1/environ")
            .link("/proc/self/ns/pid", namespace);
        let found = run(&tape).expect("an operating system");
        ["hypervisor", "container", "image"].map(|name| found.items[0].text(name).map(str::to_owned))
    };
    let told = |words: [Option<&str>; 3]| words.map(|word| word.map(str::to_owned));
    assert_eq!(layers("pid:[4026531836]"), told([Some("kvm"), None, Some("docker")]));
    assert_eq!(layers("pid:[4026532741]"), told([Some("kvm"), Some("docker"), None]));
}

#[test]
fn nothing_known_is_a_failure_and_no_empty_list() {
    assert!(run(&Tape::new()).is_err());
    let mut tape = Tape::new();
    tape.put(Ask::File("/proc/sys/kernel/osrelease".into()), Ok(Answer::Bytes(b"6.1\n".to_vec())));
    let found = run(&tape).expect("a kernel");
    assert_eq!((found.items[0].label.as_deref(), found.problems.len()), (Some("Linux"), 1));
}
