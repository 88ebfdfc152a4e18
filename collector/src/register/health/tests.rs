//! Readings against faults: when one holds, when it has passed, and what proves nothing.

use super::super::testing::*;
use super::*;
use crate::event::Event;
use shared::fact::Item;

fn started() -> (World, Machine) {
    let mut world = World::new();
    let mut machine = laptop(world.enrolled("host-1"), 1);
    machine.set("health_disks", [reading("disk_space", "/", 50)]);
    machine.settle(&mut world);
    world.told();
    (world, machine)
}

/// One report with this reading of `/`, and where its fault stands afterwards.
fn at(world: &mut World, machine: &mut Machine, value: i64) -> Option<(FaultState, i64)> {
    machine.set("health_disks", [reading("disk_space", "/", value)]);
    machine.check_in(world).expect("taken");
    fault(world)
}

fn fault(world: &World) -> Option<(FaultState, i64)> {
    assert!(world.faults.len() <= 1, "{:?}", world.faults);
    world.faults.values().next().map(|fault| (fault.state, fault.value))
}

fn beat(world: &mut World, machine: &Machine) -> Option<(FaultState, i64)> {
    world.act(crate::work::Act::Beat { agent: machine.agent }).expect("taken");
    fault(world)
}

fn faults(world: &mut World) -> Vec<String> {
    world.kinds().into_iter().filter(|kind| kind.starts_with("fault")).collect()
}

#[test]
fn a_fault_holds_after_two_bad_reports_and_passes_after_two_good_ones() {
    let (mut world, mut machine) = started();
    assert_eq!(at(&mut world, &mut machine, 89), None);
    assert_eq!(at(&mut world, &mut machine, 90), Some((FaultState::Pending, 90)));
    assert_eq!(faults(&mut world), Vec::<String>::new());
    assert_eq!(at(&mut world, &mut machine, 91), Some((FaultState::Raised, 91)));
    assert_eq!(faults(&mut world), ["fault_raised"]);
    assert_eq!(at(&mut world, &mut machine, 97), Some((FaultState::Raised, 97)));
    // Below the raise value but not below the clear value: nothing moves.
    assert_eq!(at(&mut world, &mut machine, 86), Some((FaultState::Raised, 97)));
    assert_eq!(at(&mut world, &mut machine, 84), Some((FaultState::Passing, 84)));
    assert_eq!(at(&mut world, &mut machine, 92), Some((FaultState::Raised, 92)));
    assert_eq!(at(&mut world, &mut machine, 84), Some((FaultState::Passing, 84)));
    assert_eq!(faults(&mut world), Vec::<String>::new());
    assert_eq!(at(&mut world, &mut machine, 83), None);
    assert_eq!(faults(&mut world), ["fault_cleared"]);
}

#[test]
fn a_beat_is_a_report() {
    let (mut world, mut machine) = started();
    at(&mut world, &mut machine, 99);
    assert_eq!(beat(&mut world, &machine), Some((FaultState::Raised, 99)));
    assert_eq!(beat(&mut world, &machine), Some((FaultState::Raised, 99)));
    at(&mut world, &mut machine, 10);
    assert_eq!(beat(&mut world, &machine), None);
    let told = faults(&mut world);
    assert_eq!(told, ["fault_raised", "fault_cleared"]);
}

#[test]
fn a_report_about_something_else_is_a_report_too() {
    let (mut world, mut machine) = started();
    at(&mut world, &mut machine, 99);
    machine.put("disks", Item::new("disk", "x"));
    machine.check_in(&mut world).expect("taken");
    assert_eq!(fault(&world), Some((FaultState::Raised, 99)));
}

#[test]
fn one_bad_reading_alone_is_no_fault() {
    let (mut world, mut machine) = started();
    at(&mut world, &mut machine, 95);
    assert_eq!(at(&mut world, &mut machine, 87), None);
    at(&mut world, &mut machine, 95);
    assert_eq!(at(&mut world, &mut machine, 50), None);
    assert_eq!(faults(&mut world), Vec::<String>::new());
}

#[test]
fn a_resource_that_is_gone_is_good() {
    let (mut world, mut machine) = started();
    at(&mut world, &mut machine, 99);
    beat(&mut world, &machine);
    machine.set("health_disks", []);
    machine.check_in(&mut world).expect("taken");
    assert_eq!(fault(&world), Some((FaultState::Passing, 0)));
    assert_eq!(beat(&mut world, &machine), None);
}

#[test]
fn a_section_that_failed_proves_nothing() {
    for value in [99, 10] {
        let (mut world, mut machine) = started();
        at(&mut world, &mut machine, 99);
        beat(&mut world, &machine);
        let before = at(&mut world, &mut machine, value);
        machine.truth.insert("health_disks".into(), None);
        machine.check_in(&mut world).expect("taken");
        assert_eq!((fault(&world), beat(&mut world, &machine)), (before, before));
    }
}

/// The filesystem is still mounted, and asking it fails.
#[test]
fn a_reading_that_could_not_be_taken_neither_raises_nor_clears() {
    let unread = |world: &mut World, machine: &mut Machine| {
        machine.set("health_disks", [shared::health::unread("disk_space", "/", None, "denied")]);
        machine.check_in(world).expect("taken");
        fault(world)
    };
    let (mut world, mut machine) = started();
    // What only waits to be raised is not raised by it, nor by the beats that follow.
    assert_eq!(at(&mut world, &mut machine, 99), Some((FaultState::Pending, 99)));
    assert_eq!(unread(&mut world, &mut machine), None);
    assert_eq!(beat(&mut world, &machine), None);
    at(&mut world, &mut machine, 99);
    assert_eq!(beat(&mut world, &machine), Some((FaultState::Raised, 99)));
    world.told();
    for _ in 0..3 {
        assert_eq!(unread(&mut world, &mut machine), Some((FaultState::Raised, 99)));
        assert_eq!(beat(&mut world, &machine), Some((FaultState::Raised, 99)));
    }
    // What waits to pass does not pass by it.
    assert_eq!(at(&mut world, &mut machine, 10), Some((FaultState::Passing, 10)));
    assert_eq!(unread(&mut world, &mut machine), Some((FaultState::Raised, 10)));
    assert_eq!(beat(&mut world, &machine), Some((FaultState::Raised, 10)));
    assert_eq!(faults(&mut world), Vec::<String>::new());
    at(&mut world, &mut machine, 10);
    assert_eq!(beat(&mut world, &machine), None);
    assert_eq!(faults(&mut world), ["fault_cleared"]);
}

#[test]
fn a_state_is_bad_at_one_and_good_at_none() {
    let (mut world, mut machine) = started();
    machine.set("health_services", [reading("failed_unit", "a.service", 1)]);
    machine.check_in(&mut world).expect("taken");
    beat(&mut world, &machine);
    let raised = world.told().into_iter().find_map(|event| match event {
        Event::FaultRaised { fault } => Some(fault),
        _ => None,
    });
    let raised = raised.expect("raised");
    assert_eq!((raised.severity, raised.detail.as_str()), (Severity::Major, "Unit failed: a.service"));
    machine.set("health_services", [reading("failed_unit", "a.service", 0)]);
    machine.check_in(&mut world).expect("taken");
    assert_eq!(beat(&mut world, &machine), None);
}

#[test]
fn a_fault_is_known_by_what_the_resource_is() {
    let asset = AssetId(uuid::Uuid::from_u128(1));
    let of = |resource: &str, identity: Option<&str>| {
        let item = reading("disk_space", resource, 1).with("identity", identity);
        fingerprint(asset, &Reading::from_item(&item).expect("a reading"))
    };
    assert_eq!(of("/mnt", Some("uuid-1")), of("/srv", Some("uuid-1")));
    assert_ne!(of("/mnt", Some("uuid-1")), of("/mnt", Some("uuid-2")));
    assert!(of("/", None).starts_with(&format!("{asset}:")));
}

#[test]
fn time_alone_raises_and_clears() {
    let (mut world, mut machine) = started();
    at(&mut world, &mut machine, 99);
    let pending = world.faults.values().next().expect("pending").clone();
    let policy = Policy::default();
    let after =
        |fault: &Fault, s: i64| by_time(fault, pending.first.plus_secs(s), &policy).map(|step| step.fault.state);
    assert_eq!((after(&pending, 599), after(&pending, 600)), (None, Some(FaultState::Raised)));
    let passing = Fault { state: FaultState::Passing, good_since: Some(pending.first), ..pending.clone() };
    assert_eq!((after(&passing, 899), after(&passing, 900)), (None, Some(FaultState::Cleared)));
}

#[test]
fn admins_may_set_other_limits() {
    let (mut world, mut machine) = started();
    world.policy.thresholds.insert("disk_space".into(), (60, 55));
    world.policy.fault_reports = 1;
    assert_eq!(at(&mut world, &mut machine, 60), Some((FaultState::Raised, 60)));
    assert_eq!(at(&mut world, &mut machine, 54), None);
}
