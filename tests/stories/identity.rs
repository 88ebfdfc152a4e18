//! Which machine is which: made tapes, told by the real agent to the real collector.

use agent::source::Table;
use agent::source::tape::Tape;
use serde_json::Value;
use std::path::Path;
use tests::{Agent, World};

/// A made machine: what its maker and its owner gave it.
#[derive(Clone)]
struct Machine {
    hostname: &'static str,
    serial: &'static str,
    uuid: &'static str,
    board: &'static str,
    chassis: &'static str,
    /// Set by a container engine, for what runs on this machine.
    container: bool,
}

const LAPTOP: Machine = Machine {
    hostname: "ada",
    serial: "5CG1234XYZ",
    uuid: "4c4c4544-0042-3510-8056-b4c04f4b3532",
    board: "PKJ12345",
    chassis: "CH-77001",
    container: false,
};

/// What the kernel shows of the firmware's table.
const DMI: [&str; 11] = [
    "board_name",
    "board_serial",
    "board_vendor",
    "chassis_serial",
    "chassis_type",
    "chassis_vendor",
    "product_name",
    "product_serial",
    "product_sku",
    "product_uuid",
    "sys_vendor",
];

impl Machine {
    fn tape(&self) -> String {
        let mut tape = Tape::of("linux")
            .user(0)
            // The files below it tell enough, as they do to an agent that is not root.
            .denied("/sys/firmware/dmi/tables/DMI")
            .dir("/sys/class/dmi/id", &DMI)
            .dir("/sys/block", &[])
            .netlink(Table::Links, b"")
            .netlink(Table::Addresses, b"")
            .netlink(Table::Routes, b"")
            .file("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
            .file("/proc/net/tcp", "")
            .file("/proc/self/mountinfo", "")
            .link("/proc/self/ns/pid", if self.container { "pid:[4026532800]" } else { "pid:[4026531836]" })
            .file("/proc/sys/kernel/hostname", format!("{}\n", self.hostname))
            .file(
                "/etc/os-release",
                "ID=debian\nNAME=\"Debian GNU/Linux\"\nPRETTY_NAME=\"Debian GNU/Linux 12\"\nVERSION_ID=\"12\"\n",
            )
            .file("/proc/meminfo", "MemTotal:       16000000 kB\nMemAvailable:    8000000 kB\n")
            .file(
                "/var/lib/dpkg/status",
                "Package: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5.2\n",
            );
        for (name, value) in [
            ("sys_vendor", "HP"),
            ("product_name", "EliteBook 840"),
            ("product_sku", "SKU-1"),
            ("product_serial", self.serial),
            ("product_uuid", self.uuid),
            ("board_vendor", "HP"),
            ("board_name", "8723"),
            ("board_serial", self.board),
            ("chassis_vendor", "HP"),
            ("chassis_serial", self.chassis),
            ("chassis_type", "10"),
        ] {
            tape = tape.file(&format!("/sys/class/dmi/id/{name}"), format!("{value}\n"));
        }
        if self.container {
            tape =
                tape.file("/run/.containerenv", "engine=\"podman-4.3.1\"\nid=\"0123456789abcdef0123456789abcdef\"\n");
        }
        tape.to_text()
    }
}

/// An agent on a made machine.
struct Told {
    agent: Agent,
    tape: std::path::PathBuf,
}

impl Told {
    fn on(world: &World, name: &str, machine: &Machine) -> Told {
        let tape = world.path(&format!("{name}.tape"));
        std::fs::write(&tape, machine.tape()).expect("a tape");
        let mut told = Told { agent: world.join(name), tape };
        told.start();
        told
    }

    fn start(&mut self) {
        let tape = self.tape.clone();
        self.agent.start(&["--tape", tape.to_str().expect("a path")]);
    }

    /// The machine is another one from the next look on.
    fn becomes(&self, machine: &Machine) {
        let next = self.tape.with_extension("next");
        std::fs::write(&next, machine.tape()).expect("a tape");
        std::fs::rename(next, &self.tape).expect("a tape");
    }
}

fn assets(world: &World) -> Vec<Value> {
    world.json(&["assets", "list"]).as_array().cloned().unwrap_or_default()
}

fn kinds(world: &World) -> Vec<String> {
    let all = world.get("/v1/events?limit=500").expect("events");
    let items = all["items"].as_array().cloned().unwrap_or_default();
    items.iter().filter_map(|event| event["event"]["kind"].as_str().map(str::to_owned)).collect()
}

#[test]
fn a_reinstalled_machine_keeps_its_asset() {
    let world = World::start();
    let mut first = Told::on(&world, "first", &LAPTOP);
    world.event("baseline", 0);
    world.muster(&["assets", "edit", "ada", "--owner", "Ada"]);
    // It says goodbye, is installed anew under another name, and joins with a new key.
    first.agent.stop();
    let head = world.head();
    let again = Machine { hostname: "ada-new", ..LAPTOP };
    let _second = Told::on(&world, "second", &again);
    world.event("asset_reimaged", head);
    world.event("agent_superseded", head);
    world.event_where("asset_changed", head, |event| event.to_string().contains("ada-new"));
    let assets = assets(&world);
    assert_eq!(assets.len(), 1, "{assets:?}");
    assert_eq!((&assets[0]["owner"], &assets[0]["name"]), (&"Ada".into(), &"ada-new".into()));
    // Who comes back with the old key puts both in question.
    first.start();
    world.event("agent_quarantined", head);
    let barred = world.json(&["agents", "list", "--state", "quarantined"]);
    assert_eq!(barred.as_array().map(Vec::len), Some(2), "both, until a person decides: {barred}");
}

#[test]
fn a_new_name_is_the_same_machine() {
    let world = World::start();
    let told = Told::on(&world, "machine", &LAPTOP);
    world.event("baseline", 0);
    told.becomes(&Machine { hostname: "grace", ..LAPTOP });
    let changed = world.event_where("asset_changed", 0, |event| event.to_string().contains("grace"));
    assert!(changed["text"].as_str().is_some_and(|text| text.contains("ada → grace")), "{changed}");
    assert_eq!(assets(&world).len(), 1);
}

#[test]
fn a_new_main_board_is_the_same_machine() {
    let world = World::start();
    let mut told = Told::on(&world, "machine", &LAPTOP);
    world.event("baseline", 0);
    told.agent.stop();
    told.becomes(&Machine { uuid: "9c4c4544-0042-3510-8056-b4c04f4b9999", board: "PKJ99999", ..LAPTOP });
    told.start();
    world.event("mainboard_replaced", 0);
    assert_eq!(assets(&world).len(), 1);
}

#[test]
fn a_copied_disk_is_quarantined_and_changes_nothing() {
    let world = World::start();
    let mut told = Told::on(&world, "machine", &LAPTOP);
    world.event("baseline", 0);
    told.agent.stop();
    let head = world.head();
    let other = Machine {
        serial: "5CG9999AAA",
        uuid: "11111111-2222-3333-4444-555555555555",
        board: "OTHER-1",
        chassis: "OTHER-2",
        ..LAPTOP
    };
    told.becomes(&other);
    told.start();
    world.event("agent_quarantined", head);
    let assets = assets(&world);
    assert_eq!(assets.len(), 1);
    assert_eq!(assets[0]["serial"], LAPTOP.serial, "no column flipped");
}

#[test]
fn a_placeholder_makes_no_two_machines_one() {
    let world = World::start();
    let junk = Machine {
        serial: "To be filled by O.E.M.",
        uuid: "03000200-0400-0500-0006-000700080009",
        board: "Default string",
        chassis: "Default string",
        ..LAPTOP
    };
    let _one = Told::on(&world, "one", &Machine { hostname: "one", ..junk.clone() });
    let _two = Told::on(&world, "two", &Machine { hostname: "two", ..junk });
    world.event_where("asset_created", 0, |event| event.to_string().contains("\"one\""));
    world.event_where("asset_created", 0, |event| event.to_string().contains("\"two\""));
    assert_eq!(assets(&world).len(), 2);
    assert!(!kinds(&world).contains(&"asset_reimaged".to_owned()));
}

#[test]
fn a_uuid_in_the_other_byte_order_is_the_same_machine() {
    let world = World::start();
    let vm = Machine { serial: "None", board: "None", chassis: "None", ..LAPTOP };
    let mut first = Told::on(&world, "first", &vm);
    world.event("baseline", 0);
    first.agent.stop();
    let head = world.head();
    let swapped = Machine { uuid: "44454c4c-4200-1035-8056-b4c04f4b3532", ..vm };
    let _second = Told::on(&world, "second", &swapped);
    world.event("asset_reimaged", head);
    assert_eq!(assets(&world).len(), 1);
}

#[test]
fn a_container_is_not_its_host() {
    let world = World::start();
    let _host = Told::on(&world, "host", &LAPTOP);
    world.event("baseline", 0);
    let head = world.head();
    let guest = Machine { hostname: "guest", container: true, ..LAPTOP };
    let _guest = Told::on(&world, "guest", &guest);
    world.event("asset_created", head);
    world.event("baseline", head);
    let found = world.json(&["assets", "list", "--class", "container"]);
    assert_eq!(found.as_array().map(Vec::len), Some(1), "{found}");
    assert_eq!(found[0]["serial"], Value::Null, "a container has no serial of its own");
    assert_eq!(assets(&world).len(), 2);
}

/// Whoever claims another's serial changes nothing there; the conflict is listed.
#[test]
fn a_liar_changes_nobody_else() {
    let world = World::start();
    let _honest = Told::on(&world, "honest", &LAPTOP);
    world.event("baseline", 0);
    let before = assets(&world)[0].clone();
    let head = world.head();
    let _liar = Told::on(&world, "liar", &Machine { hostname: "liar", ..LAPTOP });
    world.event("identity_conflict", head);
    let found = assets(&world);
    assert_eq!(found.len(), 2);
    let same = found.iter().find(|asset| asset["id"] == before["id"]).expect("still there");
    for column in ["name", "serial", "model", "agent", "rev"] {
        assert_eq!(same[column], before[column], "{column}");
    }
    assert!(Path::new(&world.path("liar.tape")).exists());
}
