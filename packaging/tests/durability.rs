//! The durability checks in short: what the long ones do for minutes, for some seconds on every change. They run the
//! built binaries, as stories do; what this machine lacks is skipped with the reason.

use std::path::{Path, PathBuf};
use std::process::Command;

fn folder() -> PathBuf {
    let own = Path::new(env!("CARGO_BIN_EXE_packaging"));
    let folder = own.parent().expect("target folder").to_owned();
    for name in ["muster", "muster-agent"] {
        assert!(folder.join(name).exists(), "{name} is not built: run `cargo build --workspace --bins` first");
    }
    folder
}

/// Runs a check, which must pass or say why it cannot; what it says is shown if the test fails.
fn check(args: &[&str], flag: &str, binaries: &Path) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_packaging"));
    command.arg("check").args(args).arg(flag).arg(binaries);
    let out = command.output().expect("the check runs");
    let said = String::from_utf8_lossy(&out.stdout);
    println!("{said}{}", String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "check {}", args.join(" "));
    assert!(said.contains("PASS") || said.contains("SKIP"), "it says nothing");
}

#[test]
fn what_was_acknowledged_survives_a_power_cut() {
    check(&["powercut", "--points", "40", "--agents", "8", "--records", "10"], "--binaries", &folder());
}

#[test]
fn what_was_acknowledged_survives_kills() {
    check(&["crash", "--rounds", "10", "--agents", "8"], "--binary", &folder().join("muster"));
}

#[test]
fn what_was_spooled_arrives_once() {
    check(&["spool", "--bytes", "1048576", "--kills", "10"], "--binary", &folder().join("muster"));
}
