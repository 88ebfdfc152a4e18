//! Many machines that join and report for the first time at once: each is in the register, with exactly what it told.

use agent::source::tape::Tape;
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tests::{Agent, World};

const MACHINES: usize = 20;
const WAIT: Duration = Duration::from_secs(60);

/// Machine n has 5 + n packages, all at version n.
fn packages(machine: usize) -> BTreeSet<(String, String)> {
    (0..5 + machine).map(|number| (format!("package-{number}"), format!("{machine}.1"))).collect()
}

fn tape(machine: usize) -> String {
    let one = |(name, version): (String, String)| {
        format!("Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}\n\n")
    };
    let status: String = packages(machine).into_iter().map(one).collect();
    Tape::new().file("/var/lib/dpkg/status", &status).to_text()
}

#[test]
fn machines_that_join_at_once_are_all_there_and_whole() {
    let world = World::start();
    let file = world.path("join.json");
    let file = file.to_str().expect("a path");
    world.muster(&["join", "create", "--uses", &MACHINES.to_string(), "--file", file]);
    let mut agents: Vec<Agent> = std::thread::scope(|scope| {
        let one = |machine: usize| {
            let world = &world;
            scope.spawn(move || {
                let tape_file = world.path(&format!("m{machine}.tape"));
                std::fs::write(&tape_file, tape(machine)).expect("a tape");
                let mut agent = world.stranger(&format!("m{machine}"));
                let out = agent.run(&["enroll", "--keep-join", "--join", file]);
                assert!(out.status.success(), "enroll: {}", String::from_utf8_lossy(&out.stderr));
                agent.start(&["--tape", tape_file.to_str().expect("a path")]);
                agent
            })
        };
        let threads: Vec<_> = (0..MACHINES).map(one).collect();
        threads.into_iter().map(|thread| thread.join().expect("a machine")).collect()
    });
    // The clock's section is new to the register when it comes, some time later, and told as such.
    let firsts =
        |events: Vec<Value>| events.iter().filter(|event| !event["event"]["sections"]["dpkg"].is_null()).count();
    let until = Instant::now() + WAIT;
    let mut told = 0;
    while told < MACHINES && Instant::now() < until {
        world.event("baseline", 0);
        told = firsts(world.rows("/v1/events?kind=baseline").expect("events"));
    }
    assert_eq!(told, MACHINES);
    let mut assets = BTreeSet::new();
    for (machine, agent) in agents.iter_mut().enumerate() {
        let status: Value = serde_json::from_slice(&agent.run(&["status", "--output", "json"]).stdout).expect("status");
        let id = status["agent"].as_str().expect("an id");
        let asset = world.get(&format!("/v1/agents/{id}")).expect("an agent")["asset"].clone();
        let asset = asset.as_str().expect("an asset").to_owned();
        let rows = world.rows(&format!("/v1/assets/{asset}/software")).expect("software");
        let text = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
        let held: BTreeSet<_> = rows.iter().map(|row| (text(row, "name"), text(row, "version"))).collect();
        assert_eq!((rows.len(), held), (5 + machine, packages(machine)), "machine {machine}");
        assert!(assets.insert(asset), "machine {machine} shares an asset");
        agent.stop();
    }
}
