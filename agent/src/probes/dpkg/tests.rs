use super::*;
use crate::source::live::Live;
use crate::source::tape::Tape;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::process::Command;

const DATABASE: &str = "\
Package: libc6
Status: install ok installed
Priority: optional
Section: libs
Installed-Size: 12998
Maintainer: GNU Libc Maintainers <debian-glibc@lists.debian.org>
Architecture: amd64
Multi-Arch: same
Source: glibc (2.36-9)
Version: 2.36-9+deb12u4
Conffiles:
 /etc/ld.so.conf.d/x86_64-linux-gnu.conf d4e7a7b88a71b5ffd9e2644e71a0cfab
Description: GNU C Library: Shared libraries
 Contains the standard libraries.
 .
 Version: 9 is not this one.

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 1

Package: purged
Status: purge ok not-installed

Package: half
Status: install reinstreq half-installed
Version: 2~rc1

Package: waiting
Status: hold ok triggers-awaited
Source: waiting
Version: 1:3

Status: install ok installed
Version: 7

Package: odd
a line that is none
Status: install ok installed
Version: 8";

#[test]
fn packages_are_those_whose_files_may_be_there() {
    let parsed = parse(DATABASE.as_bytes(), false);
    let libc = Package {
        manager: "dpkg",
        name: "libc6",
        version: "2.36-9+deb12u4",
        arch: Some("amd64"),
        publisher: Some("GNU Libc Maintainers <debian-glibc@lists.debian.org>"),
        size_bytes: Some(12998 * 1024),
        source: Some("glibc"),
        category: Some("libs"),
        summary: Some("GNU C Library: Shared libraries"),
    };
    assert_eq!(parsed.items[0], Item::from(libc));
    let names: Vec<(Option<&str>, Option<&str>, Option<&str>)> =
        parsed.items[1..].iter().map(|p| (p.label.as_deref(), p.text("version"), p.text("source"))).collect();
    let told = [("half", "2~rc1"), ("waiting", "1:3"), ("odd", "8")];
    assert_eq!(names, told.map(|(name, version)| (Some(name), Some(version), None)));
    assert_eq!(parsed.malformed, [(35, "no Package"), (38, "a line without a colon")]);
}

#[test]
fn line_ends_of_another_system_lose_nothing() {
    let expected = parse(DATABASE.as_bytes(), false);
    assert_eq!(parse(DATABASE.replace('\n', "\r\n").as_bytes(), false), expected);
    let (first, rest) = DATABASE.split_once("\n\n").expect("stanzas");
    let mixed = format!("{first}\n\n{}", rest.replace('\n', "\r\n"));
    assert_eq!(parse(mixed.as_bytes(), false), expected);
    // Bytes that are no text take more room once they were made text.
    let damaged = [&b"Package: a\nStatus: install ok installed\nVersion: 1\nMaintainer: "[..], &[0xff; 90], b"\n\n"];
    let text = [damaged.concat(), b"Version: 2\n\nPackage: b\n".to_vec()].concat();
    assert_eq!(parse(&text, false).malformed, [(6, "no Package"), (8, "no Status")]);
}

#[test]
fn a_minimal_image_has_one_file_a_package() {
    let tape = Tape::new()
        .dir(STATUS_D, &["base-files", "base-files.md5sums"])
        .file(&format!("{STATUS_D}/base-files"), "Package: base-files\nVersion: 12\nArchitecture: amd64\n");
    let found = run(&tape).expect("found");
    assert_eq!(found.items.iter().map(|item| item.key.as_str()).collect::<Vec<_>>(), ["dpkg/base-files/amd64"]);
    assert_eq!(found.problems, []);
}

#[test]
fn no_dpkg_is_no_packages_and_a_denied_database_is_not() {
    assert_eq!(run(&Tape::new()), Ok(Found::default()));
    assert_eq!(run(&Tape::new().denied(STATUS)), Err(Problem::new(Why::Denied, STATUS)));
}

#[test]
fn malformed_stanzas_are_told_up_to_a_bound() {
    let tape = Tape::new().file(STATUS, "Version: 1\n\n".repeat(20));
    let found = run(&tape).expect("found");
    assert_eq!(found.problems.len(), MALFORMED_MAX + 1);
    assert_eq!(found.problems[1].what, "/var/lib/dpkg/status:3");
    assert_eq!(found.problems[MALFORMED_MAX].detail, "4 more stanzas are malformed");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "compares with what the system's own tool says")]
fn this_machine_has_the_packages_that_dpkg_query_lists() {
    const FORMAT: &str = "${db:Status-Status} ${binary:Package} ${Version} ${Architecture}\n";
    let Ok(output) = Command::new("dpkg-query").args(["-W", "-f", FORMAT]).env("LC_ALL", "C").output() else {
        println!("SKIP: no dpkg-query here");
        return;
    };
    let text = String::from_utf8(output.stdout).expect("text");
    let theirs: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(state, _)| !["config-files", "not-installed"].contains(state))
        .map(|(_, package)| {
            let words: Vec<&str> = package.split(' ').collect();
            let name = words[0].split(':').next().unwrap_or_default();
            format!("{name} {} {}", words[1], words[2])
        })
        .collect();
    let found = run(&Live).expect("found");
    let ours: BTreeSet<String> = found
        .items
        .iter()
        .map(|item| {
            let name = item.label.as_deref().unwrap_or_default();
            format!("{name} {} {}", item.text("version").unwrap_or_default(), item.text("arch").unwrap_or_default())
        })
        .collect();
    assert_eq!(ours, theirs);
    assert_eq!(found.problems, []);
    println!("{} packages, as dpkg-query", ours.len());
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..400), loose: bool) {
        parse(&bytes, loose);
    }

    #[test]
    fn damage_costs_no_more_than_its_stanza(at in 0..DATABASE.len(), byte: u8) {
        let mut bytes = DATABASE.as_bytes().to_vec();
        bytes[at] = byte;
        prop_assert!(parse(&bytes, false).items.len() >= 2);
    }
}
