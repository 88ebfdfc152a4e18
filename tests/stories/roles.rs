//! Least privilege: root tells what only root may read, and the service is another user.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};
use tests::{Agent, World, binary, is_root};

/// A user that no machine has.
const USER: u32 = 12_345;

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
}

/// Everything in a folder, and the folder, with those whose it is.
fn owners(folder: &Path) -> Vec<(String, u32, u32)> {
    let mut all = Vec::new();
    let meta = fs::symlink_metadata(folder).expect("it is there");
    all.push((folder.display().to_string(), meta.uid(), meta.gid()));
    if meta.is_dir() {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            all.extend(owners(&entry.path()));
        }
    }
    all
}

fn assert_theirs(agent: &Agent, after: &str) {
    let all = owners(&agent.state);
    let wrong: Vec<_> = all.iter().filter(|(_, uid, gid)| (*uid, *gid) != (USER, USER)).collect();
    assert!(wrong.is_empty(), "after {after}: {wrong:?}");
}

fn err(out: &Output) -> String {
    String::from_utf8_lossy(&out.stderr).into_owned()
}

#[test]
fn root_enrolls_for_the_user_whose_the_state_is() {
    if !is_root("root_enrolls_for_the_user_whose_the_state_is") {
        return;
    }
    let world = World::start();
    mode(world.dir.path(), 0o711);
    let mut agent = world.stranger("machine");
    chown(&agent.state, Some(USER), Some(USER)).expect("given away");
    agent.start(&[]);
    let file = world.path("join.json");
    let path = file.to_str().expect("a path");
    world.muster(&["join", "create", "--file", path]);
    let text = fs::read_to_string(&file).expect("a join file");
    assert_eq!(file.metadata().expect("it is there").mode() & 0o077, 0, "only root may read it");
    let enroll = ["enroll", "--if-needed", "--join", path];
    let out = agent.run(&enroll);
    assert!(out.status.success(), "{}", err(&out));
    assert!(!file.exists(), "only root may remove it, and does");
    assert_theirs(&agent, "enroll");
    // The service that waited is another user's and can use all of it.
    world.event("baseline", 0);
    assert_theirs(&agent, "reports");

    // While it runs as well, with the file that is still there and with none.
    fs::write(&file, &text).expect("a copy");
    for _ in 0..2 {
        let out = agent.run(&enroll);
        assert!(out.status.success(), "{}", err(&out));
        assert!(String::from_utf8_lossy(&out.stdout).starts_with("already enrolled as "), "{out:?}");
        assert!(!file.exists());
    }
    assert_eq!(agent.run(&["enroll", "--join", path]).status.code(), Some(8), "another agent uses it");
    assert!(agent.run(&["status"]).status.success());
    assert!(agent.run(&["check"]).status.success());
    agent.stop();
    assert_eq!(agent.run(&["enroll", "--join", path]).status.code(), Some(1), "it is enrolled");
    assert_theirs(&agent, "status and check");
    assert!(agent.run(&["seal", "--yes"]).status.success());
    assert_theirs(&agent, "seal");

    // A token that is used up.
    fs::write(&file, &text).expect("a copy");
    let out = agent.run(&enroll);
    assert_eq!(out.status.code(), Some(5), "{}", err(&out));
    assert!(file.exists(), "a join file that did not work is kept");
    assert_theirs(&agent, "a refusal");
}

#[test]
fn the_service_tells_what_root_told_it() {
    if !is_root("the_service_tells_what_root_told_it") {
        return;
    }
    let dir = tempfile::tempdir().expect("a folder");
    mode(dir.path(), 0o711);
    // Wherever the build is, another user may run this.
    let program = dir.path().join("muster-agent");
    fs::copy(binary("muster-agent"), &program).expect("a copy");
    let run = dir.path().join("run");
    fs::create_dir(&run).expect("a folder");
    chown(&run, None, Some(USER)).expect("its group");
    mode(&run, 0o750);
    let (config, tape) = (dir.path().join("agent.toml"), run.join("root.tape"));
    fs::write(&config, format!("root_tape = \"{}\"\n", tape.display())).expect("settings");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let key = format!("tcp/127.0.0.1/{}", listener.local_addr().expect("an address").port());
    let told = || {
        let mut once = Command::new(&program);
        once.arg("--config").arg(&config).args(["once", "--only", "ports", "--output", "json"]).uid(USER).gid(USER);
        let out = once.output().expect("it runs");
        assert!(out.status.success(), "{}", err(&out));
        let told: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
        let items = told["sections"]["ports"]["items"].as_array().cloned().expect("items");
        items.into_iter().find(|item| item["key"].as_str() == Some(&key)).expect("our port")["attrs"]["executable"]
            .clone()
    };
    assert!(told().is_null(), "whose a socket of root's is, nobody else sees");

    let probe = |file: &Path| Command::new(&program).args(["probe", "--tape"]).arg(file).output().expect("it runs");
    let out = probe(&tape);
    assert!(out.status.success(), "{}", err(&out));
    let meta = tape.metadata().expect("a tape");
    assert_eq!((meta.mode() & 0o7777, meta.uid(), meta.gid()), (0o640, 0, USER));
    assert_eq!(fs::read_dir(&run).expect("a folder").count(), 1, "nothing is left beside it");
    let own = std::env::current_exe().expect("own path");
    assert_eq!(told().as_str(), own.to_str());

    // Nobody else's tape counts, and no link is followed when it is written.
    chown(&tape, Some(USER), None).expect("given away");
    assert!(told().is_null());
    let (victim, planted) = (dir.path().join("victim"), run.join("planted.tape"));
    fs::write(&victim, "precious").expect("written");
    symlink(&victim, &planted).expect("a link");
    let out = probe(&planted);
    assert_eq!(out.status.code(), Some(1));
    assert!(err(&out).contains("it is a link"), "{}", err(&out));
    assert_eq!(fs::read_to_string(&victim).expect("it is there"), "precious");
}
