//! The units as systemd's own tools see them: keys that exist, and an exposure that is low. Tests only; they are skipped
//! with the reason where there is no systemd-analyze.

use super::linux;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// Tenths, of `systemd-analyze security`.
const EXPOSURE_MAX: u32 = 12;

fn systemd_analyze() -> bool {
    let there = Command::new("systemd-analyze").arg("--version").output().is_ok_and(|out| out.status.success());
    if !there {
        eprintln!("SKIP: systemd-analyze is not installed");
    }
    there
}

fn units() -> Vec<PathBuf> {
    let entries = fs::read_dir(linux().join("units")).expect("units");
    entries.map(|entry| entry.expect("a unit").path()).collect()
}

fn succeeds(command: &mut Command) {
    let out = command.output().expect("systemd-analyze");
    let said = [out.stdout, out.stderr].concat();
    assert!(out.status.success(), "{command:?}: {}", String::from_utf8_lossy(&said));
}

#[test]
fn every_key_is_known() {
    if !systemd_analyze() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    for unit in units() {
        let name = unit.file_name().expect("a name").to_owned();
        // The programs are not installed where this runs, and what would be started has to be there.
        let text = fs::read_to_string(&unit).expect("a text");
        let text = text.replace("ExecStart=/usr/bin/muster-agent", "ExecStart=/bin/true");
        fs::write(folder.path().join(name), text.replace("ExecStart=/usr/bin/muster", "ExecStart=/bin/true"))
            .expect("written");
    }
    let files = fs::read_dir(folder.path()).expect("units").map(|entry| entry.expect("a unit").path());
    succeeds(Command::new("systemd-analyze").args(["verify", "--man=no", "--recursive-errors=no"]).args(files));
}

#[test]
fn no_service_is_more_exposed_than_promised() {
    if !systemd_analyze() {
        return;
    }
    let threshold = format!("--threshold={EXPOSURE_MAX}");
    let services = units().into_iter().filter(|unit| unit.extension().is_some_and(|ending| ending == "service"));
    let mut count = 0;
    for service in services {
        succeeds(
            Command::new("systemd-analyze").args(["security", "--offline=yes", "--no-pager", &threshold]).arg(service),
        );
        count += 1;
    }
    assert_eq!(count, 4);
}
