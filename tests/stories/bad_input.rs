//! Bad input is refused with one line that says what to do, a documented code, and nothing lost.

use std::process::{Command, Output};
use tests::{World, binary};

fn serve(config: &std::path::Path) -> Output {
    Command::new(binary("muster")).args(["serve", "--config"]).arg(config).output().expect("muster runs")
}

/// The one line on standard error.
fn line(out: &Output) -> String {
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("muster")).collect();
    assert_eq!(lines.len(), 1, "one line, not: {text}");
    lines[0].to_owned()
}

#[test]
fn a_wrong_key_is_named_with_the_right_one() {
    let dir = tempfile::tempdir().expect("a folder");
    let config = dir.path().join("muster.toml");
    std::fs::write(&config, "web_listne = \"127.0.0.1:1\"\n").expect("settings");
    let out = serve(&config);
    assert_eq!(out.status.code(), Some(3));
    let line = line(&out);
    assert!(line.contains("web_listne") && line.contains("web_listen"), "{line}");
}

#[test]
fn a_broken_database_stops_the_start_and_stays_as_it_was() {
    let mut world = World::start();
    world.stop_collector();
    let path = world.path("collector/muster.db");
    let junk = b"this is no database, and it is long enough to be read as one: ".repeat(100);
    std::fs::write(&path, &junk).expect("overwritten");
    let out = serve(&world.path("muster.toml"));
    assert_eq!(out.status.code(), Some(8), "{}", line(&out));
    assert_eq!(std::fs::read(&path).expect("a file"), junk);
}

#[test]
fn two_collectors_do_not_share_a_database() {
    let world = World::start();
    let out = serve(&world.path("muster.toml"));
    assert!(matches!(out.status.code(), Some(8 | 9)), "{}", line(&out));
    world.muster(&["assets", "list"]);
}

#[test]
fn a_used_token_lets_nobody_in() {
    let world = World::start();
    let file = world.path("join.json");
    let path = file.to_str().expect("a path");
    world.muster(&["join", "create", "--file", path]);
    let text = std::fs::read_to_string(&file).expect("a join file");
    assert!(world.stranger("first").run(&["enroll", "--join", path]).status.success());
    std::fs::write(&file, text).expect("a copy");
    let out = world.stranger("second").run(&["enroll", "--join", path]);
    assert_eq!(out.status.code(), Some(5), "{}", line(&out));
    assert!(file.exists(), "a join file that did not work is kept");
    let refused = world.event("enroll_refused", 0);
    assert_eq!(refused["event"]["why"], "token used up");
}

#[test]
fn another_collector_is_not_trusted() {
    let (ours, theirs) = (World::start(), World::start());
    let file = ours.path("join.json");
    let path = file.to_str().expect("a path");
    let mut join = ours.json(&["join", "create"]);
    join["server_ca"] = theirs.json(&["join", "create"])["server_ca"].clone();
    std::fs::write(&file, join.to_string()).expect("a join file");
    let out = ours.stranger("machine").run(&["enroll", "--join", path]);
    assert_eq!(out.status.code(), Some(7), "{}", line(&out));
    assert_eq!(ours.json(&["agents", "list"]).as_array().map(Vec::len), Some(0));
}

#[test]
fn no_collector_is_said_plainly() {
    let dir = tempfile::tempdir().expect("a folder");
    let out = Command::new(binary("muster"))
        .args(["assets", "list", "--socket"])
        .arg(dir.path().join("none.sock"))
        .output()
        .expect("muster runs");
    assert_eq!(out.status.code(), Some(4));
    assert!(line(&out).contains("muster serve"), "{}", line(&out));
}
