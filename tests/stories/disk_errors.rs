//! A disk that fails: nobody is told that something is kept which is not, the collector ends, the next start is good.

use serde_json::json;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use tests::World;

/// Lets every call of these fail from now on; `None` where this machine does not allow it.
fn inject(world: &World, calls: &str, path: Option<&str>) -> Option<Child> {
    let mut command = Command::new("strace");
    command.args(["-f", "-e", &format!("trace={calls}"), "-e", &format!("inject={calls}:error=EIO")]);
    if let Some(path) = path {
        command.arg("-P").arg(world.path(path));
    }
    command.args(["-p", &world.collector_pid().expect("a collector").to_string()]);
    let mut strace = match command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn() {
        Ok(strace) => strace,
        Err(error) => {
            println!("SKIP disk errors: strace: {error}");
            return None;
        }
    };
    let mut lines = BufReader::new(strace.stderr.take().expect("its output"));
    let mut line = String::new();
    lines.read_line(&mut line).expect("a line");
    if !line.contains("attached") {
        println!("SKIP disk errors: {line}");
        strace.wait().expect("it ends");
        return None;
    }
    // What it tells from now on is read, or it would wait for that.
    std::thread::spawn(move || lines.lines().map_while(Result::ok).count());
    Some(strace)
}

fn titles(world: &World) -> Vec<String> {
    let mut rows = world.rows("/v1/tickets").expect("tickets");
    rows.reverse();
    rows.iter().map(|row| row["title"].as_str().expect("a title").to_owned()).collect()
}

fn open(world: &World, title: &str) -> bool {
    let body = json!({"kind": "request", "title": title, "impact": 3, "urgency": 3});
    world.ask("POST", "/v1/tickets", &body).is_ok()
}

#[test]
fn a_failed_write_is_no_success_and_ends_the_collector() {
    // The log is synced at each commit, and written before that; the database is written by a checkpoint alone.
    for (calls, path) in [("fsync,fdatasync", None), ("pwrite64", Some("collector/muster.db-wal"))] {
        let mut world = World::start();
        assert!(open(&world, "kept"));
        let Some(mut strace) = inject(&world, calls, path) else { return };
        assert!(!open(&world, "uncertain"), "{calls}: nothing is told as done");
        assert_eq!(world.collector_end(), Some(8), "{calls}: {}", world.read("collector.log"));
        strace.wait().expect("it ends");
        let log = world.read("collector.log");
        let last = log.lines().last().expect("a line");
        assert!(last.starts_with("muster: database: I/O error: ") && last.contains("(SQLite "), "{last}");
        world.start_collector();
        // What was written and could not be synced may be there after all: its asker was told to ask again.
        let found = titles(&world);
        assert!(found == ["kept"] || found == ["kept", "uncertain"], "{calls}: {found:?}");
        assert!(open(&world, "after"));
    }
}

#[test]
fn a_failed_checkpoint_ends_the_collector_with_its_name() {
    let mut world = World::start();
    assert!(open(&world, "kept"));
    let Some(mut strace) = inject(&world, "pwrite64", Some("collector/muster.db")) else { return };
    assert!(open(&world, "in the log"));
    let stopped = Command::new("kill").arg(world.collector_pid().expect("a collector").to_string()).status();
    assert!(stopped.is_ok_and(|status| status.success()));
    assert_eq!(world.collector_end(), Some(8), "{}", world.read("collector.log"));
    strace.wait().expect("it ends");
    let log = world.read("collector.log");
    assert!(log.lines().last().is_some_and(|line| line.contains("checkpoint: ")), "{log}");
    world.start_collector();
    assert_eq!(titles(&world), ["kept", "in the log"]);
}
