//! Records against the register: the first, the next, repeated, lost, forked.

use super::super::testing::*;
use crate::event::{Event, Upgrade};
use crate::register::model::*;
use crate::work::{Policy, Refusal, Reply, Work};
use shared::checkin::{Gap, State};
use shared::digest;
use shared::fact::Item;
use std::collections::BTreeMap;

fn started() -> (World, Machine) {
    let mut world = World::new();
    let agent = world.enrolled("host-1");
    let mut machine = laptop(agent, 1);
    assert_eq!(machine.check_in(&mut world), Ok(vec![]));
    (world, machine)
}

#[test]
fn the_first_report_is_a_baseline() {
    let (mut world, machine) = started();
    let asset = world.assets[&world.asset_of(machine.agent)].clone();
    assert_eq!((asset.class, asset.lifecycle, asset.rev), (Class::Laptop, Lifecycle::Deployed, 1));
    assert_eq!(asset.observed.serial.as_deref(), Some("PF000001"));
    assert_eq!(asset.observed.name.as_deref(), Some("host-1"));
    let told = world.told();
    assert_eq!(told.iter().map(kind).collect::<Vec<_>>(), ["asset_created", "agent_bound", "baseline"]);
    let Event::Baseline { sections } = &told[2] else { panic!("{told:?}") };
    let counts = [("disks", 1), ("dpkg", 12), ("evidence", 11), ("os", 1), ("system", 2)];
    assert_eq!(*sections, counts.map(|(name, rows)| (name.to_owned(), rows)).into());
    assert_eq!(world.agents[&machine.agent].root, machine.root());
}

#[test]
fn what_changed_is_told_once_and_in_one_line() {
    let (mut world, mut machine) = started();
    world.told();
    machine.put("dpkg", package("pkg0", "2.0"));
    machine.put("dpkg", package("hello", "2.10"));
    machine.truth.get_mut("dpkg").and_then(Option::as_mut).expect("rows").remove("dpkg/pkg1/amd64");
    machine.put("disks", Item { label: Some("loop0".into()), ..Item::new("disk", "loop0") });
    assert_eq!(machine.check_in(&mut world), Ok(vec![]));
    let told = world.told();
    let [Event::ItemAdded { item, .. }, software] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!(item.title, "loop0");
    assert_eq!(
        *software,
        Event::SoftwareChanged {
            section: "dpkg".into(),
            installed: vec!["hello 2.10".into()],
            removed: vec!["pkg1 1.0".into()],
            upgraded: vec![Upgrade { name: "pkg0".into(), from: "1.0".into(), to: "2.0".into() }],
        }
    );
    assert_eq!(world.held(world.asset_of(machine.agent), "dpkg"), machine.truth["dpkg"].clone().expect("rows"));
}

#[test]
fn a_section_that_the_agent_has_no_more_goes() {
    let (mut world, mut machine) = started();
    let asset = world.asset_of(machine.agent);
    machine.forget("disks");
    // The root differs, so all digests are asked for; the record that has them names every section.
    assert_eq!(machine.check_in(&mut world), Ok(vec!["*".to_owned()]));
    assert_eq!(machine.check_in(&mut world), Ok(vec![]));
    assert_eq!(world.heads(asset).into_keys().collect::<Vec<_>>(), ["dpkg", "evidence", "os", "system"]);
    assert_eq!(world.agents[&machine.agent].root, machine.root());
}

#[test]
fn a_repeated_record_is_stale_and_another_content_is_a_fork() {
    let (mut world, mut machine) = started();
    machine.put("disks", Item::new("disk", "loop0"));
    let record = machine.record(world.now);
    world.submit(&machine.report(&record)).expect("taken");
    let before = world.clone();
    let again = world.submit(&machine.report(&record)).expect("taken");
    assert!(matches!(again, Reply::Report { stale: true, seq: 2, .. }), "{again:?}");
    assert_eq!((&world.journal, &world.agents), (&before.journal, &before.agents));

    let mut other = record.clone();
    other.at.0 += 1;
    assert!(matches!(world.submit(&machine.report(&other)), Err(Refusal::Fork(_))));
    let mut old = record;
    old.seq = 1;
    assert!(matches!(world.submit(&machine.report(&old)), Ok(Reply::Report { stale: true, .. })));
}

#[test]
fn a_new_stream_starts_over_and_an_old_one_may_not_come_back() {
    let (mut world, mut machine) = started();
    world.told();
    let old = machine.clone();
    machine.restart(2);
    assert_eq!(machine.check_in(&mut world), Ok(vec![]));
    assert_eq!(world.kinds(), Vec::<String>::new());
    assert_eq!(world.assets.len(), 1);
    let mut old = old;
    assert!(matches!(old.check_in(&mut world), Err(Refusal::Fork(_))));
}

#[test]
fn a_delta_whose_base_is_not_held_comes_whole() {
    let (mut world, mut machine) = started();
    world.told();
    machine.put("disks", Item::new("disk", "a"));
    machine.record(world.now);
    machine.put("disks", Item::new("disk", "b"));
    assert_eq!(machine.check_in(&mut world), Ok(vec!["disks".to_owned()]));
    assert_eq!(machine.check_in(&mut world), Ok(vec![]));
    assert_eq!(world.kinds(), ["reports_lost", "item_added", "item_added"]);
    assert_eq!(world.held(world.asset_of(machine.agent), "disks").len(), 3);
}

#[test]
fn a_gap_is_told_and_what_it_took_is_asked_for() {
    let (mut world, mut machine) = started();
    world.told();
    machine.put("disks", Item::new("disk", "a"));
    machine.record(world.now);
    machine.put("users", Item::new("user", "root"));
    let mut record = machine.record(world.now);
    let gap = Gap { records: 1, from: world.now, to: world.now, reason: "quota".into() };
    record.gap = Some(gap.clone());
    let Reply::Report { want, .. } = world.submit(&machine.report(&record)).expect("taken") else { panic!() };
    assert_eq!(want, ["*"]);
    machine.want(&want);
    assert_eq!(machine.check_in(&mut world), Ok(vec!["disks".to_owned()]));
    assert_eq!(machine.check_in(&mut world), Ok(vec![]));
    assert!(world.told().contains(&Event::ReportsLost { gap }));
    assert_eq!(world.agents[&machine.agent].root, machine.root());
}

#[test]
fn a_part_that_is_not_what_it_says_is_not_applied() {
    let (mut world, mut machine) = started();
    let asset = world.asset_of(machine.agent);
    let (before, heads) = (world.items.clone(), world.heads(asset));
    machine.put("disks", Item::new("disk", "a"));
    let mut record = machine.record(world.now);
    record.sections[0].put = Some(vec![Item::new("disk", "evil")]);
    let Reply::Report { want, .. } = world.submit(&machine.report(&record)).expect("taken") else { panic!() };
    assert_eq!(want, ["disks"]);
    let mut record = machine.record(world.now);
    record.sections =
        vec![shared::checkin::Part { base: Some(heads["disks"].digest), del: vec!["none".into()], ..part("disks") }];
    assert!(world.submit(&machine.report(&record)).is_ok());
    assert_eq!(world.items, before);
}

fn part(section: &str) -> shared::checkin::Part {
    shared::checkin::Part {
        section: section.into(),
        state: State::Seen,
        digest: digest::section_of([]),
        base: None,
        put: None,
        del: Vec::new(),
        problems: Vec::new(),
        truncated: false,
    }
}

#[test]
fn a_big_drop_waits_for_one_confirmation() {
    let (mut world, mut machine) = started();
    world.told();
    let asset = world.asset_of(machine.agent);
    machine.set("dpkg", [package("pkg0", "1.0")]);
    assert_eq!(machine.check_in(&mut world), Ok(vec!["dpkg".to_owned()]));
    assert_eq!(world.told(), [Event::DropHeld { section: "dpkg".into(), rows: 12, left: 1 }]);
    assert_eq!(world.held(asset, "dpkg").len(), 12);
    assert_eq!(machine.check_in(&mut world), Ok(vec![]));
    assert_eq!(world.kinds(), ["software_changed"]);
    assert_eq!(world.held(asset, "dpkg").len(), 1);
    assert_eq!(world.sections[&(asset, "dpkg".into())].held, None);
}

#[test]
fn a_drop_that_was_a_mistake_leaves_no_trace() {
    let (mut world, mut machine) = started();
    world.told();
    let good = machine.truth["dpkg"].clone();
    machine.set("dpkg", []);
    machine.check_in(&mut world).expect("taken");
    machine.truth.insert("dpkg".into(), good);
    assert_eq!(machine.check_in(&mut world), Ok(vec![]));
    assert_eq!(world.kinds(), ["drop_held"]);
    assert_eq!(world.sections[&(world.asset_of(machine.agent), "dpkg".into())].held, None);
}

#[test]
fn a_failed_section_keeps_its_rows_and_says_so_once() {
    let (mut world, mut machine) = started();
    world.told();
    let asset = world.asset_of(machine.agent);
    let good = machine.truth.insert("disks".into(), None).flatten();
    assert_eq!(machine.check_in(&mut world), Ok(vec![]));
    assert_eq!(machine.check_in(&mut world), Ok(vec![]));
    assert_eq!(world.kinds(), ["section_failed"]);
    assert_eq!(world.held(asset, "disks").len(), 1);
    // The agent loses its state while the section cannot be read: nothing is asked for again and again.
    machine.restart(2);
    assert_eq!(machine.check_in(&mut world), Ok(vec![]));
    assert_eq!(world.held(asset, "disks").len(), 1);
    machine.truth.insert("disks".into(), good);
    machine.settle(&mut world);
    assert_eq!(world.kinds(), ["section_restored"]);
}

#[test]
fn a_section_that_comes_later_is_a_baseline_and_one_that_goes_is_dropped() {
    let (mut world, mut machine) = started();
    world.told();
    let asset = world.asset_of(machine.agent);
    machine.truth.insert("usb".into(), None);
    machine.check_in(&mut world).expect("taken");
    machine.set("usb", (0..5).map(|n| Item::new("usb", n.to_string())));
    machine.settle(&mut world);
    assert_eq!(world.told(), [Event::Baseline { sections: BTreeMap::from([("usb".into(), 5)]) }]);
    machine.truth.remove("usb");
    machine.restart(2);
    machine.settle(&mut world);
    assert!(!world.heads(asset).contains_key("usb"));
    assert_eq!(world.agents[&machine.agent].root, machine.root());
}

#[test]
fn only_active_agents_are_heard() {
    for (state, barred) in [(AgentState::Pending, "pending"), (AgentState::Revoked, "revoked")] {
        let (mut world, mut machine) = started();
        world.agents.get_mut(&machine.agent).expect("there").state = state;
        assert_eq!(machine.check_in(&mut world), Err(Refusal::Barred(barred)));
    }
    let (mut world, mut machine) = started();
    let before = world.items.clone();
    world.agents.get_mut(&machine.agent).expect("there").state = AgentState::Quarantined;
    machine.put("disks", Item::new("disk", "a"));
    assert_eq!(machine.check_in(&mut world), Ok(vec![]));
    assert_eq!((world.items.clone(), world.held.len()), (before, 1));
}

#[test]
fn good_readings_ask_for_nothing_of_the_desk() {
    let (world, mut machine) = started();
    let mut asks = |value: i64, policy: &Policy| {
        machine.put("health_disks", reading("disk_space", "/", value));
        let record = machine.record(world.now);
        !crate::decide::needs(&machine.report(&record), policy).only_with_faults
    };
    let policy = Policy::default();
    let (lower, at_once) =
        (BTreeMap::from([("disk_space".to_owned(), (70, 60))]), Policy { fault_reports: 1, ..Policy::default() });
    let lower = Policy { thresholds: lower, ..Policy::default() };
    assert_eq!(
        [asks(89, &policy), asks(90, &policy), asks(69, &lower), asks(70, &lower), asks(10, &at_once)],
        [false, true, false, true, true]
    );
}

#[test]
fn the_same_work_on_the_same_knowledge_decides_the_same() {
    let (mut world, mut machine) = started();
    machine.put("disks", Item::new("disk", "a"));
    machine.put("health_disks", reading("disk_space", "/", 99));
    let work: Work = machine.report(&machine.clone().record(world.now));
    let known = world.load(&crate::decide::needs(&work, &world.policy));
    let mut context = world.context();
    let again = &mut context.clone();
    assert_eq!(crate::decide::decide(&work, &known, &mut context), crate::decide::decide(&work, &known, again));
}
