//! Which machine is which: made tapes, told by the real agent to the real collector.

pub mod made;

use made::{Machine, Nic, Told};
use serde_json::Value;
use std::path::Path;
use tests::World;

/// The laptop's own network card.
const CARD: Nic = Nic { name: "enp3s0", mac: [0xe4, 0xe7, 0x49, 1, 2, 3], bus: "pci", kind: "", master: 0 };
/// A network card in a dock: whoever docks has it.
const DOCK: Nic = Nic { name: "enx00e04c000001", mac: [0x00, 0xe0, 0x4c, 0, 0, 1], bus: "usb", kind: "", master: 0 };
const OTHER_DOCK: Nic = Nic { name: "enx00e04c000002", mac: [0x00, 0xe0, 0x4c, 0, 0, 2], ..DOCK };

const LAPTOP: Machine = Machine {
    hostname: "ada",
    serial: "5CG1234XYZ",
    uuid: "4c4c4544-0042-3510-8056-b4c04f4b3532",
    board: "PKJ12345",
    chassis: "CH-77001",
    nics: &[CARD],
    container: false,
};

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

/// What the timeline tells of network interfaces after `head`: kind and text.
fn told_of_network(world: &World, head: u64) -> Vec<(String, String)> {
    let all = world.get(&format!("/v1/events?after={head}&limit=500")).expect("events");
    let items = all["items"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    items
        .iter()
        .filter(|event| event["event"]["section"] == "network")
        .map(|event| (text(&event["event"]["kind"]), text(&event["text"])))
        .collect()
}

/// Nothing but one asset a machine, and nobody in question.
fn assert_in_order(world: &World, machines: usize) {
    assert_eq!(assets(world).len(), machines);
    let kinds = kinds(world);
    for trouble in ["agent_quarantined", "asset_reimaged", "asset_merged", "identity_conflict", "mainboard_replaced"] {
        assert!(!kinds.contains(&trouble.to_owned()), "{trouble}: {kinds:?}");
    }
}

#[test]
fn a_new_network_card_is_the_same_machine() {
    let world = World::start();
    let told = Told::on(&world, "machine", &LAPTOP);
    world.event("baseline", 0);
    let head = world.head();
    told.becomes(&Machine { nics: &[Nic { mac: [0xe4, 0xe7, 0x49, 9, 9, 9], ..CARD }], ..LAPTOP });
    world.event("item_replaced", head);
    let line = "interface enp3s0 ethernet e4:e7:49:01:02:03 replaced by enp3s0 ethernet e4:e7:49:09:09:09";
    assert_eq!(told_of_network(&world, head), [("item_replaced".to_owned(), line.to_owned())]);
    assert_in_order(&world, 1);
}

#[test]
fn a_dock_comes_and_goes() {
    let world = World::start();
    let told = Told::on(&world, "machine", &LAPTOP);
    world.event("baseline", 0);
    let head = world.head();
    told.becomes(&Machine { nics: &[CARD, DOCK], ..LAPTOP });
    world.event("item_added", head);
    told.becomes(&LAPTOP);
    world.event("item_removed", head);
    let told = ["added", "removed"]
        .map(|what| (format!("item_{what}"), format!("interface enx00e04c000001 ethernet 00:e0:4c:00:00:01 {what}")));
    assert_eq!(told_of_network(&world, head), told);
    assert_in_order(&world, 1);
}

/// A dock's card has an address that its maker burnt in, and two laptops show it: it proves neither of them.
#[test]
fn docks_that_two_laptops_share_make_them_no_one() {
    const OWN: Nic = Nic { mac: [0xe4, 0xe7, 0x49, 7, 7, 7], ..CARD };
    const OTHER: Machine = Machine {
        hostname: "grace",
        serial: "5CG7777GHI",
        uuid: "22222222-2222-3333-4444-555555555555",
        board: "PKJ77777",
        chassis: "CH-77777",
        nics: &[OWN, OTHER_DOCK],
        container: false,
    };
    let world = World::start();
    let ada = Told::on(&world, "ada", &Machine { nics: &[CARD, DOCK], ..LAPTOP });
    let grace = Told::on(&world, "grace", &OTHER);
    world.event_where("asset_created", 0, |event| event.to_string().contains("ada"));
    world.event_where("asset_created", 0, |event| event.to_string().contains("grace"));
    let head = world.head();
    // They change seats.
    ada.becomes(&Machine { nics: &[CARD, OTHER_DOCK], ..LAPTOP });
    grace.becomes(&Machine { nics: &[OWN, DOCK], ..OTHER });
    for dock in ["00:e0:4c:00:00:01", "00:e0:4c:00:00:02"] {
        for kind in ["item_added", "item_removed"] {
            world.event_where(kind, head, |event| event["event"]["item"]["key"] == dock);
        }
    }
    assert_eq!(told_of_network(&world, head).len(), 4);
    assert_in_order(&world, 2);
}

/// The host's ends of containers' cables and the networks of a project come and go all day.
#[test]
fn containers_that_come_and_go_are_no_news_of_their_host() {
    const BRIDGE: Nic = Nic { name: "docker0", mac: [2, 0x42, 0, 0, 0, 1], bus: "", kind: "bridge", master: 0 };
    const PROJECT: Nic = Nic { name: "br-0123456789ab", ..BRIDGE };
    const CABLE: Nic = Nic { name: "veth12ab34", mac: [2, 0x42, 0, 0, 0, 2], bus: "", kind: "veth", master: 2 };
    let world = World::start();
    let told = Told::on(&world, "machine", &Machine { nics: &[CARD, BRIDGE], ..LAPTOP });
    world.event("baseline", 0);
    let head = world.head();
    told.becomes(&Machine { nics: &[CARD, BRIDGE, PROJECT, CABLE], hostname: "grace", ..LAPTOP });
    world.event_where("asset_changed", head, |event| event.to_string().contains("grace"));
    told.becomes(&Machine { nics: &[CARD, BRIDGE], ..LAPTOP });
    world.event_where("asset_changed", head, |event| event.to_string().contains("ada"));
    assert_eq!(told_of_network(&world, head), []);
    assert_in_order(&world, 1);
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
        nics: &[Nic { mac: [0xe4, 0xe7, 0x49, 5, 5, 5], ..CARD }],
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
