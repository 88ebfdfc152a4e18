//! What people and programs get: quiet pipes, one document, one line for an error, a documented code.

use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use tests::{World, binary};

/// Runs a command whose reader goes away after the first line; gives that line, the complaints and the code.
fn cut(mut command: Command) -> (String, String, Option<i32>) {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut line = String::new();
    BufReader::with_capacity(1, child.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
    let out = child.wait_with_output().expect("it ends");
    (line, String::from_utf8_lossy(&out.stderr).into_owned(), out.status.code())
}

#[test]
fn a_reader_that_goes_away_ends_every_verb_without_complaint() {
    let world = World::start();
    let mut agent = world.join("machine");
    agent.start(&[]);
    world.event("baseline", 0);
    let asset = world.json(&["assets", "list"])[0]["id"].as_str().expect("an asset").to_owned();
    let muster = |args: &[&str]| {
        let mut command = Command::new(binary("muster"));
        command.args(args).env("MUSTER_SOCKET", world.path("admin.sock"));
        command
    };
    let here = |args: &[&str]| {
        let mut command = Command::new(binary("muster-agent"));
        command.arg("--config").arg(&agent.config).args(args);
        command
    };
    let show = ["assets", "show", &asset, "--section", "services", "--output"];
    for command in [
        muster(&["assets", "show", &asset]),
        muster(&[&show[..], &["table"]].concat()),
        muster(&[&show[..], &["json"]].concat()),
        muster(&[&show[..], &["csv"]].concat()),
        muster(&["events", "list"]),
        muster(&["events", "list", "--follow"]),
        muster(&["docs", "completions", "bash"]),
        muster(&["--help"]),
        here(&["once"]),
        here(&["once", "--output", "json"]),
        here(&["once", "--output", "csv"]),
        here(&["record"]),
        here(&["probe"]),
        here(&["show", "--all"]),
        here(&["docs", "completions", "zsh"]),
    ] {
        let called = format!("{command:?}");
        let (line, complaints, code) = cut(command);
        assert!(!line.is_empty() && complaints.is_empty() && code == Some(0), "{called}: {code:?} {complaints:?}");
    }
}

#[test]
fn a_full_disk_under_the_output_is_one_line_and_a_code() {
    let full = || Stdio::from(std::fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full"));
    for (program, args) in [("muster", ["docs", "completions", "bash"]), ("muster-agent", ["probe", "--output", "csv"])]
    {
        let out = Command::new(binary(program)).args(args).stdout(full()).output().expect("it runs");
        let complaint = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(1), "{complaint}");
        assert!(complaint.lines().count() == 1 && complaint.contains("standard output"), "{complaint}");
    }
}

#[test]
fn programs_get_one_document_and_a_header_also_of_nothing() {
    let world = World::start();
    for (list, header) in [
        (["assets", "list"], "name,class,maker,model,serial,os_name,presence,last_seen,owner,id"),
        (["agents", "list"], "name,state,version,last_seen,asset,id"),
        (["tickets", "list"], "key,priority,state,title,count,assignee,opened,updated"),
        (["join", "list"], "id,created,creator,expires,used,uses,cidr,approve,revoked,labels"),
    ] {
        assert_eq!(world.muster(&list), "", "{list:?}: nothing to a pipe");
        assert_eq!(world.json(&list), Value::Array(Vec::new()), "{list:?}");
        assert_eq!(world.muster(&[&list[..], &["--output", "csv"]].concat()), format!("{header}\n"));
    }
    let file = world.path("token");
    let path = file.to_str().expect("a path");
    let created = world.json(&["token", "create", "cmdb", "--scope", "assets:read", "--file", path]);
    assert_eq!(
        (&created["name"], &created["token"]),
        (&"cmdb".into(), &Value::Null),
        "the secret is in the file alone"
    );
    let again = world.run(&["token", "create", "cmdb", "--scope", "assets:read", "--file", path]);
    assert_eq!(again.status.code(), Some(7));
    assert_eq!(world.json(&["token", "list"]).as_array().map(Vec::len), Some(1), "no token that nobody holds");
    let revoked = world.json(&["token", "revoke", created["id"].as_str().expect("an id")]);
    assert_eq!(revoked["id"], created["id"]);

    world.muster(&["tickets", "open", "incident", "=cmd|' /C calc'!A1"]);
    let csv = world.muster(&["tickets", "list", "--output", "csv"]);
    assert!(csv.lines().nth(1).is_some_and(|line| line.contains(",'=cmd|' /C calc'!A1,")), "{csv}");
    let said = world.json(&["tickets", "comment", "inc-1", "hello"]);
    assert_eq!(said["text"], "hello");

    let out = world.run(&["events", "list", "--follow", "--limit", "2", "--output", "json"]);
    let lines: Vec<Value> =
        String::from_utf8_lossy(&out.stdout).lines().map(|line| serde_json::from_str(line).expect("NDJSON")).collect();
    assert_eq!(lines.iter().filter_map(|event| event["seq"].as_u64()).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn what_is_refused_is_one_line_with_the_field_and_a_documented_code() {
    let world = World::start();
    for (args, code, told) in [
        (&["assets", "show", "nobody"][..], 6, "muster assets list"),
        (&["agents", "show", "../assets"][..], 6, "muster agents list"),
        (&["links", "remove", "7"][..], 6, "muster links list"),
        (&["tickets", "show", "INC-9"][..], 6, "muster tickets list"),
        (&["assets", "list", "--presence", "here"][..], 2, "presence: one of online"),
        (&["tickets", "open", "wish", "a pony"][..], 2, "kind: one of incident"),
        (&["join", "create", "--ttl", "1w"][..], 2, "24h or 7d"),
        (&["assets", "list", "--url", "https://localhost:1"][..], 2, "--token-file"),
    ] {
        let out = world.run(args);
        let complaint = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(code), "{args:?}: {complaint}");
        assert!(complaint.lines().count() == 1 && complaint.contains(told), "{args:?}: {complaint}");
        assert!(out.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn doctor_passes_a_collector_that_runs_and_names_what_is_broken() {
    let mut world = World::start();
    let config = world.path("muster.toml");
    let doctor = ["doctor", "--config", config.to_str().expect("a path")];
    let states = |world: &World| -> Vec<(String, String)> {
        let out = world.run(&[&doctor[..], &["--output", "json"]].concat());
        let rows: Value = serde_json::from_slice(&out.stdout).expect("one document");
        let text = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
        rows.as_array().expect("rows").iter().map(|row| (text(row, "check"), text(row, "state"))).collect()
    };
    let of = |states: &[(String, String)], state: &str| -> Vec<String> {
        states.iter().filter(|(_, found)| found == state).map(|(check, _)| check.clone()).collect()
    };
    let running = states(&world);
    assert!(of(&running, "FAIL").is_empty(), "{running:?}");
    for check in ["collector", "agents' port", "web port", "database", "clock", "agents", "certificates of agents"] {
        assert!(of(&running, "PASS").iter().any(|good| good == check), "{check}: {running:?}");
    }
    world.stop_collector();
    let mut warned = of(&states(&world), "WARN");
    // Where the test runs is not known.
    warned.retain(|check| !["filesystem", "open files", "ballast", "free space"].contains(&check.as_str()));
    assert_eq!(warned, ["collector", "backup"]);
    std::fs::write(world.path("collector/muster.db"), "broken").expect("overwritten");
    assert_eq!(of(&states(&world), "FAIL"), ["database"]);
    assert_eq!(world.run(&doctor).status.code(), Some(1));
    std::fs::write(&config, "web_listne = 1\n").expect("settings");
    assert_eq!(world.run(&doctor).status.code(), Some(3));
}
