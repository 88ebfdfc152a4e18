//! The stories that make or break a register: which machine is this?

use super::super::testing::*;
use super::*;
use crate::event::Event;
use crate::register::model::*;
use crate::work::{Act, Refusal, Resolution};
use shared::evidence::Kind::*;
use shared::fact::Item;
use shared::id::AgentId;

fn started(world: &mut World, n: u32) -> Machine {
    let agent = world.enrolled(&format!("host-{n}"));
    let mut machine = laptop(agent, n);
    machine.settle(world);
    machine
}

/// The evidence of a machine with one kind's values replaced.
fn with(machine: &Machine, kind: Kind, values: &[&str]) -> Vec<Evidence> {
    let items = machine.truth["evidence"].clone().expect("seen");
    let mut all: Vec<Evidence> =
        items.values().filter_map(Evidence::from_item).filter(|one| one.kind != kind).collect();
    all.extend(values.iter().map(|value| Evidence { kind, value: (*value).into() }));
    all
}

fn is(machine: &mut Machine, evidence: &[Evidence]) {
    machine.identify(&evidence.iter().map(|one| (one.kind, one.value.as_str())).collect::<Vec<_>>());
}

fn conflicts(world: &mut World) -> Vec<(AssetId, String)> {
    let conflict = |event| match event {
        Event::IdentityConflict { other, why, .. } => Some((other, why)),
        _ => None,
    };
    world.told().into_iter().filter_map(conflict).collect()
}

#[test]
fn a_wiped_machine_keeps_its_asset_and_history() {
    let mut world = World::new();
    let old = started(&mut world, 1);
    let asset = world.asset_of(old.agent);
    world.told();
    world.later(901);
    let mut new = old.wiped(world.enrolled("fresh"));
    let memory = Item { size: Some(8 << 30), ..Item::new("memory_module", "A") };
    new.set("memory", [memory]);
    new.put("disks", Item { label: Some("sda".into()), ..Item::new("disk", "wwn-new") });
    assert_eq!(
        new.check_in(&mut world),
        Ok(["disks", "dpkg", "evidence", "memory", "os", "system"].map(str::to_owned).to_vec())
    );
    let told = world.told();
    assert_eq!(told.iter().map(kind).collect::<Vec<_>>(), ["asset_reimaged", "agent_superseded", "agent_bound"]);
    let Event::AgentBound { why, score, .. } = &told[2] else { panic!("{told:?}") };
    assert!(*score >= 12 && why.contains("system_serial LENOVO|20XW|PF000001 (4)") && why.contains("silent"), "{why}");
    new.settle(&mut world);
    assert_eq!((world.assets.len(), world.asset_of(new.agent)), (1, asset));
    assert_eq!(world.assets[&asset].agent, Some(new.agent));
    assert_eq!(world.agents[&old.agent].state, AgentState::Superseded);
    assert_eq!(world.kinds(), ["baseline", "item_added"]);
    assert_eq!(world.agents[&new.agent].root, new.root());
}

#[test]
fn when_the_old_key_speaks_again_both_are_quarantined() {
    let mut world = World::new();
    let mut old = started(&mut world, 1);
    world.later(901);
    let mut new = old.wiped(world.enrolled("fresh"));
    new.settle(&mut world);
    world.told();
    old.put("disks", Item::new("disk", "x"));
    old.check_in(&mut world).expect("held");
    for agent in [old.agent, new.agent] {
        assert_eq!(world.agents[&agent].state, AgentState::Quarantined);
    }
    let opened = ["ticket_opened", "link_added"];
    assert_eq!(world.kinds(), [["agent_quarantined"; 2], opened, opened].concat());
}

#[test]
fn an_agent_that_may_be_replaced_said_goodbye_was_revoked_or_is_silent() {
    let replaced = |prepare: &dyn Fn(&mut World, AgentId)| {
        let mut world = World::new();
        let old = started(&mut world, 1);
        prepare(&mut world, old.agent);
        let mut new = old.wiped(world.enrolled("fresh"));
        new.settle(&mut world);
        world.assets.len() == 1
    };
    let edit = |world: &mut World, id, change: &dyn Fn(&mut Agent)| change(world.agents.get_mut(&id).expect("there"));
    assert!(replaced(&|world, _| world.later(901)));
    assert!(replaced(&|world, id| edit(world, id, &|agent| agent.state = AgentState::Revoked)));
    assert!(replaced(&|world, id| edit(world, id, &|agent| agent.goodbye = Some(shared::checkin::Goodbye::Shutdown))));
    assert!(!replaced(&|world, _| world.later(900)));
    assert!(!replaced(&|world, id| {
        world.later(5000);
        edit(world, id, &|agent| agent.state = AgentState::Quarantined);
    }));
}

#[test]
fn a_second_key_on_a_living_machine_is_a_conflict() {
    let mut world = World::new();
    let old = started(&mut world, 1);
    let before = world.assets.clone();
    world.told();
    let mut new = old.wiped(world.enrolled("twin"));
    new.settle(&mut world);
    assert_eq!(world.assets.len(), 2);
    let [(other, why)] = conflicts(&mut world).try_into().expect("one conflict");
    assert_eq!(other, world.asset_of(old.agent));
    assert!(why.contains("still speaks for it"), "{why}");
    assert_eq!(world.assets[&other], before[&other]);
}

#[test]
fn network_cards_docks_and_names_come_and_go() {
    let mut world = World::new();
    let mut machine = started(&mut world, 1);
    let asset = world.asset_of(machine.agent);
    world.told();
    let evidence = with(&machine, PermanentMac, &["00:1b:21:99:99:99", "00:e0:4c:68:00:01"]);
    is(&mut machine, &evidence);
    machine.settle(&mut world);
    assert_eq!(world.kinds(), Vec::<String>::new());
    let evidence = with(&machine, Hostname, &["renamed"]);
    is(&mut machine, &evidence);
    machine.put("os", Item::new("os", "os").with("hostname", Some("renamed")));
    machine.settle(&mut world);
    assert_eq!(world.kinds(), ["asset_changed"]);
    assert_eq!((world.assets.len(), world.asset_of(machine.agent)), (1, asset));
    assert_eq!(world.assets[&asset].observed.name.as_deref(), Some("renamed"));
}

#[test]
fn a_cloned_disk_quarantines_its_key_and_changes_nothing() {
    let mut world = World::new();
    let mut machine = started(&mut world, 1);
    let asset = world.asset_of(machine.agent);
    let before = (world.assets.clone(), world.items.clone());
    world.told();
    // The clone runs on other hardware, and does not notice.
    let mut clone = machine.clone();
    clone.truth.insert("evidence".into(), laptop(machine.agent, 2).truth["evidence"].clone());
    clone.check_in(&mut world).expect("held");
    assert_eq!(world.agents[&machine.agent].state, AgentState::Quarantined);
    assert!(
        world.agents[&machine.agent].reason.contains("system_serial was"),
        "{}",
        world.agents[&machine.agent].reason
    );
    assert_eq!((world.assets.clone(), world.items.clone()), before);
    assert_eq!(world.kinds(), ["agent_quarantined", "ticket_opened", "link_added"]);
    machine.put("disks", Item::new("disk", "x"));
    assert_eq!(machine.check_in(&mut world), Ok(vec![]));
    assert_eq!(world.assets[&asset], before.0[&asset]);
}

#[test]
fn an_agent_that_was_split_from_its_asset_never_takes_it_back() {
    let mut world = World::new();
    let mut machine = started(&mut world, 1);
    let asset = world.asset_of(machine.agent);
    world.act(Act::Forked { agent: machine.agent, detail: "two contents".into() }).expect("noted");
    let reason = "it is the copy".to_owned();
    world.act(Act::Resolve { agent: machine.agent, how: Resolution::Split, reason }).expect("resolved");
    // Long enough for the asset's agent to count as silent: it is this very agent.
    world.later(100_000);
    machine.restart(5);
    machine.settle(&mut world);
    assert_ne!(world.asset_of(machine.agent), asset);
    assert_eq!(world.agents[&machine.agent].state, AgentState::Active);
}

#[test]
fn a_clone_that_notices_says_so() {
    let mut world = World::new();
    let mut machine = started(&mut world, 1);
    machine.moved = true;
    machine.check_in(&mut world).expect("held");
    assert_eq!(world.agents[&machine.agent].state, AgentState::Quarantined);
    // A person keeps it: that it goes on saying so is no news.
    let keep = Act::Resolve { agent: machine.agent, how: Resolution::Keep, reason: "a new board".into() };
    world.act(keep).expect("resolved");
    machine.settle(&mut world);
    assert_eq!(world.agents[&machine.agent].reason, "a new board");
    machine.moved = false;
    machine.settle(&mut world);
    machine.moved = true;
    machine.check_in(&mut world).expect("held");
    assert_eq!(world.agents[&machine.agent].state, AgentState::Quarantined);
}

#[test]
fn two_machines_with_one_junk_serial_are_two() {
    let mut world = World::new();
    for n in 1..=2 {
        let mut machine = laptop(world.enrolled("x"), n);
        let mut evidence = with(&machine, SystemSerial, &["ACME|Board|To be filled by O.E.M."]);
        evidence.retain(|one| one.kind == SystemSerial || one.kind == PermanentMac);
        is(&mut machine, &evidence);
        machine.settle(&mut world);
        world.later(5000);
    }
    assert_eq!(world.assets.len(), 2);
    assert_eq!(conflicts(&mut world), []);
}

#[test]
fn a_serial_that_contradicting_machines_share_is_learned_to_be_junk() {
    let mut world = World::new();
    let mut counts = Vec::new();
    for n in 1..=5 {
        let mut machine = laptop(world.enrolled("x"), n);
        let evidence = with(&machine, SystemSerial, &["ACME|Board|ZX81-LOT7"]);
        is(&mut machine, &evidence);
        machine.settle(&mut world);
        counts.push(conflicts(&mut world).len());
    }
    assert_eq!(world.assets.len(), 5);
    // The third has it too before it is known; from the fourth on it says nothing.
    assert_eq!(counts, [0, 1, 2, 0, 0]);
}

#[test]
fn a_new_board_in_the_same_machine_is_the_same_asset() {
    for agreeing in [ChassisSerial, ModuleSerial, PermanentMac] {
        let mut world = World::new();
        let mut machine = started(&mut world, 1);
        let asset = world.asset_of(machine.agent);
        world.told();
        let mut evidence: Vec<Evidence> = with(&machine, BoardSerial, &["LENOVO|NEW00001"]);
        evidence.retain(|one| ![SystemSerial, SmbiosUuid].contains(&one.kind));
        evidence.push(Evidence { kind: SmbiosUuid, value: "4c4c4544-0052-3510-8054-00000000beef".into() });
        evidence.retain(|one| ![ChassisSerial, ModuleSerial, PermanentMac].contains(&one.kind) || one.kind == agreeing);
        is(&mut machine, &evidence);
        machine.settle(&mut world);
        let told = world.told();
        let [Event::MainboardReplaced { changed, why }] = told.as_slice() else { panic!("{agreeing}: {told:?}") };
        assert_eq!(changed.iter().map(|one| one.field.as_str()).collect::<Vec<_>>(), ["smbios_uuid", "board_serial"]);
        assert!(why.contains("same"), "{why}");
        assert_eq!((world.assets.len(), world.asset_of(machine.agent)), (1, asset));
        assert_eq!(world.agents[&machine.agent].state, AgentState::Active);
    }
}

#[test]
fn another_board_without_anything_else_is_another_machine() {
    let mut world = World::new();
    let mut machine = started(&mut world, 1);
    let mut evidence = with(&machine, BoardSerial, &["LENOVO|NEW00001"]);
    evidence.retain(|one| ![ChassisSerial, ModuleSerial, PermanentMac].contains(&one.kind));
    is(&mut machine, &evidence);
    machine.check_in(&mut world).expect("held");
    assert_eq!(world.agents[&machine.agent].state, AgentState::Quarantined);
}

#[test]
fn a_board_that_belongs_to_another_asset_is_no_replacement() {
    let mut world = World::new();
    let mut machine = started(&mut world, 1);
    started(&mut world, 2);
    let evidence = with(&machine, BoardSerial, &["LENOVO|L1HF000002"]);
    is(&mut machine, &evidence);
    machine.check_in(&mut world).expect("held");
    assert_eq!(world.agents[&machine.agent].state, AgentState::Quarantined);
}

#[test]
fn a_virtual_machine_is_known_by_its_uuid_in_either_byte_order() {
    let mut world = World::new();
    let mut old = Machine::new(world.enrolled("vm"));
    old.identify(&[(SmbiosUuid, "564d1b2c-3a4f-5e6d-8c9b-0a1b2c3d4e5f")]);
    old.set("os", [Item::new("os", "os").with("hypervisor", Some("vmware"))]);
    old.settle(&mut world);
    let asset = world.asset_of(old.agent);
    assert_eq!(world.assets[&asset].class, Class::Vm);
    world.told();
    // The same key tells it the other way round: an upgrade of the hypervisor.
    old.identify(&[(SmbiosUuid, "2c1b4d56-4f3a-6d5e-8c9b-0a1b2c3d4e5f")]);
    old.settle(&mut world);
    assert_eq!(world.kinds(), Vec::<String>::new());
    // And so does a new key.
    world.later(5000);
    let mut new = old.wiped(world.enrolled("vm"));
    new.identify(&[(SmbiosUuid, "564d1b2c-3a4f-5e6d-8c9b-0a1b2c3d4e5f")]);
    new.settle(&mut world);
    assert_eq!((world.assets.len(), world.asset_of(new.agent)), (1, asset));
}

#[test]
fn a_container_is_never_its_host() {
    let mut world = World::new();
    let host = started(&mut world, 1);
    world.later(5000);
    world.told();
    let mut guest = laptop(world.enrolled("guest"), 1);
    let evidence = with(&guest, Container, &["docker|3f4e5d6c7b8a"]);
    is(&mut guest, &evidence);
    guest.settle(&mut world);
    assert_eq!(conflicts(&mut world), []);
    let asset = world.asset_of(guest.agent);
    assert_ne!(asset, world.asset_of(host.agent));
    assert_eq!(world.assets[&asset].class, Class::Container);
    // The host's key in a container is a copy.
    let mut copy = host.clone();
    is(&mut copy, &evidence);
    copy.check_in(&mut world).expect("held");
    assert_eq!(world.agents[&host.agent].state, AgentState::Quarantined);
    // The same container under a new key is the same.
    world.later(5000);
    let mut again = guest.wiped(world.enrolled("guest"));
    again.settle(&mut world);
    assert_eq!((world.assets.len(), world.asset_of(again.agent)), (2, asset));
}

#[test]
fn claiming_anothers_serial_changes_nothing_of_the_other() {
    let mut world = World::new();
    let (mut a, b) = (started(&mut world, 1), started(&mut world, 2));
    let other = world.asset_of(b.agent);
    let before = (world.assets[&other].clone(), world.evidence[&other].clone(), world.heads(other));
    world.told();
    let evidence = with(&a, SystemSerial, &["LENOVO|20XW|PF000001", "LENOVO|20XW|PF000002"]);
    is(&mut a, &evidence);
    a.settle(&mut world);
    let [(told, why)] = conflicts(&mut world).try_into().expect("one conflict");
    assert_eq!(told, other);
    assert!(why.contains("PF000002") && why.contains("smbios_uuid was"), "{why}");
    // The same claim again is not told again; taking all of its identity is a contradiction.
    a.restart(2);
    a.settle(&mut world);
    assert_eq!(conflicts(&mut world), []);
    a.truth.insert("evidence".into(), b.truth["evidence"].clone());
    a.check_in(&mut world).expect("held");
    assert_eq!(world.agents[&a.agent].state, AgentState::Quarantined);
    assert_eq!((world.assets[&other].clone(), world.evidence[&other].clone(), world.heads(other)), before);
    assert_eq!(world.agents[&b.agent].state, AgentState::Active);
}

#[test]
fn disks_that_moved_do_not_take_the_asset_with_them() {
    let mut world = World::new();
    let old = started(&mut world, 1);
    world.later(5000);
    // Both of its disks in a new server with identifiers of its own: 4 points, and a contradiction.
    let mut new = laptop(world.enrolled("new"), 2);
    let evidence = with(&new, DiskWwn, &["eui.0025380000000001", "eui.0025380000000009"]);
    is(&mut new, &evidence);
    new.settle(&mut world);
    assert_eq!(world.assets.len(), 2);
    // One disk is one disk, although it has two identifiers.
    let mut third = Machine::new(world.enrolled("third"));
    third.identify(&[(DiskWwn, "eui.0025380000000001"), (DiskSerial, "MZVL2512|S64D000001")]);
    third.settle(&mut world);
    assert_ne!(world.asset_of(third.agent), world.asset_of(old.agent));
}

#[test]
fn evidence_that_cannot_be_read_for_once_is_not_lost() {
    let mut world = World::new();
    let mut machine = started(&mut world, 1);
    let asset = world.asset_of(machine.agent);
    let evidence: Vec<Evidence> = with(&machine, TpmEk, &[])
        .into_iter()
        .filter(|one| ![SystemSerial, SmbiosUuid, BoardSerial].contains(&one.kind))
        .collect();
    is(&mut machine, &evidence);
    machine.settle(&mut world);
    assert!(world.evidence[&asset].iter().any(|one| one.kind == SystemSerial));
    let junk = with(&machine, SystemSerial, &["LENOVO|20XW|Default string"]);
    is(&mut machine, &junk);
    machine.settle(&mut world);
    assert_eq!(world.agents[&machine.agent].state, AgentState::Active);
}

#[test]
fn a_machine_that_tells_nothing_of_itself_waits_for_its_evidence() {
    let mut world = World::new();
    let mut machine = laptop(world.enrolled("x"), 1);
    machine.record(world.now);
    machine.put("disks", Item::new("disk", "a"));
    assert_eq!(machine.check_in(&mut world), Ok(vec!["*".to_owned()]));
    assert_eq!(world.assets.len(), 0);
    machine.settle(&mut world);
    assert_eq!((world.assets.len(), world.agents[&machine.agent].root), (1, machine.root()));
}

#[test]
fn an_identity_is_explained() {
    let mut world = World::new();
    let old = started(&mut world, 1);
    let mut twin = old.wiped(world.enrolled("twin"));
    twin.settle(&mut world);
    let evidence = world.evidence[&world.asset_of(old.agent)].clone();
    let needs = crate::work::Needs { agent: Some(old.agent), evidence: wanted(&evidence), ..Default::default() };
    let known = world.load(&needs);
    let weighed = explain(known.own.as_ref().expect("own"), &known);
    let [line] = weighed.lines.as_slice() else { panic!("{weighed:?}") };
    assert_eq!((line.asset, line.score), (world.asset_of(twin.agent), 20));
    assert!(line.why.starts_with("score 20: same system_serial LENOVO|20XW|PF000001 (4)"), "{}", line.why);
}

#[test]
fn a_person_may_keep_split_or_enroll_anew_what_was_quarantined() {
    let resolved = |how| {
        let mut world = World::new();
        let mut machine = started(&mut world, 1);
        let asset = world.asset_of(machine.agent);
        let fork = Act::Forked { agent: machine.agent, detail: "two contents".into() };
        world.act(fork).expect("quarantined");
        world.act(Act::Resolve { agent: machine.agent, how, reason: "looked at it".into() }).expect("resolved");
        world.told();
        machine.put("disks", Item::new("disk", "x"));
        (world, machine, asset)
    };
    let (mut world, mut machine, asset) = resolved(Resolution::Keep);
    let known_by = laptop(machine.agent, 1).truth["evidence"].clone().expect("seen").len();
    machine.settle(&mut world);
    assert_eq!(world.kinds(), ["item_added"]);
    // It can be found again by all that it is.
    assert_eq!((world.asset_of(machine.agent), world.evidence[&asset].len()), (asset, known_by));
    assert_eq!(world.agents[&machine.agent].root, machine.root());

    let (mut world, mut machine, asset) = resolved(Resolution::Split);
    machine.settle(&mut world);
    assert_ne!(world.asset_of(machine.agent), asset);
    assert_eq!(world.assets.len(), 2);

    let (mut world, mut machine, _) = resolved(Resolution::Reenroll);
    assert_eq!(machine.check_in(&mut world), Err(Refusal::Barred("revoked")));
}

#[test]
fn a_superseded_agent_at_the_door_quarantines_both() {
    let mut world = World::new();
    let old = started(&mut world, 1);
    world.later(901);
    let mut new = old.wiped(world.enrolled("fresh"));
    new.settle(&mut world);
    world.act(Act::Forked { agent: old.agent, detail: "speaks".into() }).expect("noted");
    for agent in [old.agent, new.agent] {
        assert_eq!(world.agents[&agent].state, AgentState::Quarantined);
    }
}
