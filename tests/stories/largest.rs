//! The largest section that an agent may tell, which no single check-in can carry.

use agent::source::tape::Tape;
use tests::World;

/// One more than may be told.
const PACKAGES: usize = 20_001;

/// A package with every field that is told, as long as Debian's.
fn package(n: usize) -> String {
    let noise = shared::digest::of_bytes(&n.to_le_bytes());
    format!(
        "Package: lib{noise}-{n:05}\nStatus: install ok installed\nInstalled-Size: {n}\nSection: libs\n\
         Maintainer: Debian {noise} Maintainers <pkg-{n}@lists.alioth.debian.org>\nArchitecture: amd64\n\
         Source: source-{noise}\nVersion: {n}.0+dfsg-1\nDescription: {noise} in {n} words\n"
    )
}

#[test]
fn twenty_thousand_packages_are_held_and_one_more_is_said_to_be_cut() {
    let world = World::start();
    let mut agent = world.join("machine");
    let status: Vec<String> = (0..PACKAGES).map(package).collect();
    let tape = Tape::new()
        .file("/var/lib/dpkg/status", status.join("\n"))
        .file("/etc/machine-id", "0123456789abcdef0123456789abcdef\n");
    let path = world.path("machine.tape");
    std::fs::write(&path, tape.to_text()).expect("a tape");
    agent.start(&["--tape", path.to_str().expect("a path")]);
    // What the first record had no room for comes with the next.
    world.event("software_changed", 0);
    let id = world.json(&["assets", "list"])[0]["id"].as_str().expect("an asset").to_owned();
    let asset = world.get(&format!("/v1/assets/{id}")).expect("the asset");
    let section = |one: &serde_json::Value| one["name"] == "dpkg";
    let dpkg = asset["sections"].as_array().and_then(|all| all.iter().find(|one| section(one))).expect("packages");
    assert_eq!((&dpkg["rows"], &dpkg["truncated"]), (&20_000.into(), &true.into()));
    assert_eq!(dpkg["problems"][0]["detail"], "20001 rows found, the first 20000 by key are told");
    let out = agent.run(&["status", "--output", "json"]);
    let status: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
    assert_eq!((&status["trouble"], &status["refused"]), (&serde_json::Value::Null, &0.into()), "{status}");
}
