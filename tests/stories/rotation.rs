//! A rotation of the certificate authority on the real binaries: three agents go through it without a word, one that
//! was off finds back by enrolling again.
//!
//! All agents are of this version: there is no earlier one yet.

use crate::identity::made::{Machine, Nic, Told};
use serde_json::Value;
use tests::{Agent, World};

const NIC: Nic = Nic { name: "enp3s0", mac: [0xe4, 0xe7, 0x49, 2, 0, 1], bus: "pci", kind: "", master: 0 };

const ONE: Machine = Machine {
    hostname: "one",
    serial: "5CG0000001",
    uuid: "4c4c4544-0042-3510-8056-000000000001",
    board: "PKJ00001",
    chassis: "CH-00001",
    nics: &[NIC],
    container: false,
};
const TWO: Machine = Machine {
    hostname: "two",
    serial: "5CG0000002",
    uuid: "4c4c4544-0042-3510-8056-000000000002",
    board: "PKJ00002",
    chassis: "CH-00002",
    nics: &[Nic { mac: [0xe4, 0xe7, 0x49, 2, 0, 2], ..NIC }],
    container: false,
};
const THREE: Machine = Machine {
    hostname: "three",
    serial: "5CG0000003",
    uuid: "4c4c4544-0042-3510-8056-000000000003",
    board: "PKJ00003",
    chassis: "CH-00003",
    nics: &[Nic { mac: [0xe4, 0xe7, 0x49, 2, 0, 3], ..NIC }],
    container: false,
};
const AWAY: Machine = Machine {
    hostname: "away",
    serial: "5CG0000004",
    uuid: "4c4c4544-0042-3510-8056-000000000004",
    board: "PKJ00004",
    chassis: "CH-00004",
    nics: &[Nic { mac: [0xe4, 0xe7, 0x49, 2, 0, 4], ..NIC }],
    container: false,
};

/// Waits until the machines that run have the roots: only the one that is off has not.
fn until_only_one_is_behind(world: &World) -> Value {
    for _ in 0..60 {
        let shown = world.json(&["ca", "show"]);
        if shown["behind"] == 1 {
            return shown;
        }
        world.get(&format!("/v1/events?after={}&wait_s=1", world.head())).expect("events");
    }
    panic!("{}; {}", world.json(&["ca", "show"]), world.read("collector.log"));
}

/// Every machine tells something new, and the register has it.
fn all_report(world: &World, machines: [(&Told, Machine); 3], mark: &'static [&'static str; 3]) {
    let head = world.head();
    for ((told, machine), hostname) in machines.iter().zip(mark) {
        told.becomes(&Machine { hostname, ..*machine });
    }
    for hostname in mark {
        world.event_where("asset_changed", head, |event| event.to_string().contains(hostname));
    }
}

fn fails(agent: &Agent, args: &[&str], code: i32, said: &[&str]) {
    let out = agent.run(args);
    let text = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(code), "{args:?}: {text}");
    assert!(said.iter().all(|said| text.contains(said)), "{args:?}: {text}");
}

/// The roots that a new join file hands out.
fn roots(world: &World) -> Value {
    world.json(&["join", "create"])["server_ca"].clone()
}

#[test]
fn agents_go_through_a_rotation_and_one_that_was_off_enrolls_again() {
    let world = World::with("agents.certificate_s = 40");
    let old_join = world.path("old-join.json");
    let old_join = old_join.to_str().expect("a path");
    world.muster(&["join", "create", "--file", old_join]);
    let before = roots(&world);
    let (one, two, three) =
        (Told::on(&world, "one", &ONE), Told::on(&world, "two", &TWO), Told::on(&world, "three", &THREE));
    let running = || [(&one, ONE), (&two, TWO), (&three, THREE)];
    for hostname in ["one", "two", "three"] {
        world.event_where("asset_created", 0, |event| event["event"]["name"] == hostname);
    }
    let mut away = Told::on(&world, "away", &AWAY);
    world.event_where("asset_created", 0, |event| event["event"]["name"] == "away");
    away.agent.stop();
    let start = world.event("agent_goodbye", 0)["seq"].as_u64().expect("a number");

    let said = world.muster(&["ca", "prepare"]);
    assert!(said.contains("next roots prepared") && said.contains("copy the folder `pki`"), "{said}");
    let shown = until_only_one_is_behind(&world);
    assert_eq!((&shown["ready"], &shown["following"]), (&3.into(), &"activate".into()), "{shown}");
    let refused = world.run(&["ca", "activate"]);
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(7), "{why}");
    assert!(why.contains("1 of 4 agents do not know the next server CA yet") && why.contains("within 1 min"), "{why}");
    all_report(&world, running(), &["one-prepared", "two-prepared", "three-prepared"]);
    assert!(world.muster(&["ca", "activate", "--force"]).contains("locked out until they enroll again: "));
    all_report(&world, running(), &["one-activated", "two-activated", "three-activated"]);
    until_only_one_is_behind(&world);
    assert_eq!(world.run(&["ca", "retire"]).status.code(), Some(7));
    world.muster(&["ca", "retire", "--force"]);
    let after = roots(&world);
    assert!(after.as_array().is_some_and(|list| list.len() == 1) && after != before, "{after}");
    old_certificates_open_nothing(&world, &away, &after);
    let retired = world.head();
    all_report(&world, running(), &["one-retired", "two-retired", "three-retired"]);

    // The next renewals are of their own accord, half a life later.
    let ids: Vec<Value> = [&one, &two, &three].map(|told| identity(&told.agent)["agent"].clone()).to_vec();
    for id in &ids {
        let subject = format!("agent:{}", id.as_str().expect("an id"));
        let of_it = |event: &Value| event["subjects"][0] == *subject;
        let wished = world.event_where("agent_renewed", retired, of_it)["seq"].as_u64().expect("a number");
        world.event_where("agent_renewed", wished, of_it);
    }
    all_report(&world, running(), &["one-later", "two-later", "three-later"]);
    for told in [&one, &two, &three] {
        let out = told.agent.run(&["status", "--output", "json"]);
        let status: Value = serde_json::from_slice(&out.stdout).expect("JSON");
        assert_eq!((&status["trouble"], &status["refused"]), (&Value::Null, &0.into()), "{status}");
        assert_eq!(identity(&told.agent)["server_ca"], after, "the old root is forgotten");
        let log = std::fs::read_to_string(told.agent.state.with_extension("log")).expect("a log");
        let bad: Vec<_> = log.lines().filter(|line| line.contains("warn") || line.contains("error")).collect();
        assert!(bad.is_empty(), "{bad:?}");
    }
    for kind in ["agent_recovered", "agent_quarantined"] {
        assert!(world.rows(&format!("/v1/events?kind={kind}")).expect("events").is_empty(), "{kind}");
    }
    finds_back(&world, &mut away, old_join, start);
}

fn identity(agent: &Agent) -> Value {
    serde_json::from_slice(&std::fs::read(agent.state.join("identity.json")).expect("an identity")).expect("JSON")
}

/// A machine that knows the new server CA all the same and shows its old certificate, which has not ended.
fn old_certificates_open_nothing(world: &World, away: &Told, roots: &Value) {
    let copy = world.stranger("copy");
    for name in ["key.pem", "cert.pem"] {
        std::fs::copy(away.agent.state.join(name), copy.state.join(name)).expect("a copy");
    }
    let mut identity = identity(&away.agent);
    let retired = world.event("ca_retired", 0);
    assert!(identity["expires"].as_i64() > retired["at"].as_i64(), "it is still good");
    identity["server_ca"] = roots.clone();
    std::fs::write(copy.state.join("identity.json"), identity.to_string()).expect("written");
    fails(&copy, &["check"], 5, &["our certificate was refused: its CA is trusted no more", "enroll"]);
}

/// Back after everything, it says what is wrong and what helps, and comes in with a new join file.
fn finds_back(world: &World, away: &mut Told, old_join: &str, start: u64) {
    let log = away.agent.state.with_extension("log");
    let known = std::fs::read_to_string(&log).unwrap_or_default().len();
    away.start();
    let trouble = || std::fs::read_to_string(&log).unwrap_or_default().split_off(known);
    for _ in 0..60 {
        if trouble().contains("check-in:") {
            break;
        }
        world.get(&format!("/v1/events?after={}&wait_s=1", world.head())).expect("events");
    }
    assert!(trouble().contains("not trusted") && trouble().contains("muster-agent seal"), "{}", trouble());
    away.agent.stop();
    fails(&away.agent, &["check"], 7, &["not trusted", "from before its CA was rotated"]);
    let other = world.stranger("other");
    fails(&other, &["enroll", "--join", old_join], 7, &["not trusted", "`muster join create` makes a new one"]);

    assert!(away.agent.run(&["seal", "--yes"]).status.success());
    let join = world.path("new-join.json");
    let join = join.to_str().expect("a path");
    world.muster(&["join", "create", "--file", join]);
    let out = away.agent.run(&["enroll", "--join", join]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    away.start();
    let reimaged = world.event("asset_reimaged", start);
    assert!(reimaged.to_string().contains("away"), "the same asset: {reimaged}");
}
