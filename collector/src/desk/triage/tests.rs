//! Faults and their incidents as real reports and beats bring them about, through the one door.

use crate::desk::model::{End, Kind, Rel, Ticket};
use crate::event::Event;
use crate::register::health::{FAULT_EVENTS, FAULTS};
use crate::register::model::FaultState;
use crate::register::testing::{Machine, World, laptop, reading};
use crate::work::{Act, NewTicket, Reply, TicketEdit};
use std::collections::BTreeMap;

/// A laptop whose units are all well.
fn started() -> (World, Machine) {
    let mut world = World::new();
    let mut machine = laptop(world.enrolled("host-1"), 1);
    machine.set("health_services", []);
    machine.settle(&mut world);
    world.told();
    (world, machine)
}

/// One report with these units failed.
fn failed(world: &mut World, machine: &mut Machine, units: &[&str]) {
    machine.set("health_services", units.iter().map(|unit| reading("failed_unit", unit, 1)));
    machine.check_in(world).expect("taken");
}

fn beat(world: &mut World, machine: &Machine) {
    world.act(Act::Beat { agent: machine.agent }).expect("taken");
}

fn incidents(world: &World) -> Vec<&Ticket> {
    world.tickets.values().filter(|ticket| ticket.kind == Kind::Incident).collect()
}

fn go(world: &mut World, ticket: &Ticket, to: &str, fields: &[(&str, &str)]) {
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let act = Act::MoveTicket { ticket: ticket.id, rev: None, to: to.into(), reason: "so".into(), fields };
    world.act(act).expect("moved");
}

/// A change of the machine that is being made.
fn implementing(world: &mut World, machine: &Machine) -> Ticket {
    let new = NewTicket {
        kind: Kind::Change,
        title: "New release".into(),
        description: String::new(),
        impact: None,
        urgency: None,
        assignee: Some("kim".into()),
        requester: None,
        fields: BTreeMap::from([("type".to_owned(), "emergency".to_owned())]),
        assets: vec![world.asset_of(machine.agent)],
    };
    let Ok(Reply::Ticket(change)) = world.act(Act::OpenTicket(Box::new(new))) else { panic!("opened") };
    let asset = End::Asset(world.asset_of(machine.agent));
    assert!(world.links.values().any(|link| link.rel == Rel::Affects && link.to == asset));
    go(world, &change, "implementing", &[]);
    *change
}

#[test]
fn a_fault_that_outlives_the_change_gets_its_incident_although_its_value_never_changes() {
    for report in [true, false] {
        let (mut world, mut machine) = started();
        let change = implementing(&mut world, &machine);
        failed(&mut world, &mut machine, &["a.service"]);
        beat(&mut world, &machine);
        beat(&mut world, &machine);
        let fault = world.faults.values().next().expect("a fault").clone();
        assert_eq!((fault.state, fault.ticket, incidents(&world).len()), (FaultState::Raised, None, 0));
        go(&mut world, &change, "review", &[]);
        go(&mut world, &change, "closed", &[("resolution_code", "successful"), ("resolution_text", "done")]);
        if report {
            failed(&mut world, &mut machine, &["a.service"]);
        } else {
            beat(&mut world, &machine);
        }
        let opened: Vec<_> = incidents(&world).iter().map(|ticket| Some(ticket.id)).collect();
        assert_eq!(opened.len(), 1);
        assert_eq!(world.faults.values().map(|fault| fault.ticket).collect::<Vec<_>>(), opened);
        world.told();
        beat(&mut world, &machine);
        assert_eq!((world.kinds().len(), incidents(&world)[0].rev), (0, 1), "then beats are of no matter again");
    }
}

#[test]
fn a_fault_beyond_the_bound_gets_its_incident_when_there_is_room() {
    let (mut world, mut machine) = started();
    world.policy.open_incidents = 1;
    failed(&mut world, &mut machine, &["a.service", "b.service"]);
    beat(&mut world, &machine);
    let rules = |world: &World| {
        let mut rules: Vec<_> = incidents(world).iter().filter_map(|ticket| ticket.rule.clone()).collect();
        rules.sort();
        rules
    };
    assert_eq!(rules(&world), ["auto_incident", "incident_overflow"]);
    let ticket = incidents(&world).into_iter().find(|ticket| ticket.rule.as_deref() == Some("auto_incident"));
    let ticket = ticket.expect("an incident").clone();
    go(&mut world, &ticket, "cancelled", &[("resolution_code", "no_fault")]);
    beat(&mut world, &machine);
    assert_eq!(rules(&world), ["auto_incident", "auto_incident", "incident_overflow"]);
}

#[test]
fn a_section_that_the_machine_has_no_more_clears_its_faults() {
    let (mut world, mut machine) = started();
    failed(&mut world, &mut machine, &["a.service"]);
    beat(&mut world, &machine);
    assert_eq!(incidents(&world)[0].state, "new");
    machine.truth.remove("health_services");
    machine.restart(7);
    machine.settle(&mut world);
    assert!(!world.sections.keys().any(|(_, name)| name == "health_services"), "it is gone");
    beat(&mut world, &machine);
    assert_eq!((world.faults.len(), incidents(&world)[0].state.as_str()), (0, "resolved"));
}

#[test]
fn readings_without_end_raise_a_bounded_number_of_faults_a_bounded_number_at_a_time() {
    let (mut world, mut machine) = started();
    let all = |prefix: &'static str| (0..FAULTS).map(move |n| reading("failed_unit", &format!("{prefix}{n}"), 1));
    machine.set("health_services", all("a"));
    machine.set("health_disks", (0..10).map(|n| reading("disk_space", &format!("/{n}"), 99)));
    machine.set("health_other", (0..10).map(|n| reading("memory_pressure", &format!("{n}"), 99)));
    machine.settle(&mut world);
    assert_eq!(world.faults.len(), FAULTS);
    assert!(world.faults.values().all(|fault| fault.check != "memory_pressure"), "told by a section not its own");
    world.told();
    let count = |events: Vec<Event>, held: bool| {
        let is = |event: &&Event| match event {
            Event::FaultRaised { .. } => held,
            Event::FaultCleared { .. } => !held,
            _ => false,
        };
        events.iter().filter(is).count()
    };
    let told: Vec<usize> = (0..5)
        .map(|_| {
            beat(&mut world, &machine);
            count(world.told(), true)
        })
        .collect();
    assert_eq!(told, [FAULT_EVENTS, FAULT_EVENTS, FAULT_EVENTS, FAULT_EVENTS, 0]);
    assert!(world.faults.values().all(|fault| fault.state == FaultState::Raised));
    machine.set("health_services", []);
    machine.set("health_disks", []);
    machine.check_in(&mut world).expect("taken");
    let told: Vec<usize> = (0..5)
        .map(|_| {
            beat(&mut world, &machine);
            count(world.told(), false)
        })
        .collect();
    assert_eq!(told, [FAULT_EVENTS, FAULT_EVENTS, FAULT_EVENTS, FAULT_EVENTS, 0]);
    assert_eq!(world.faults.len(), 0);
}

#[test]
fn names_that_change_with_every_report_do_not_pile_faults_up() {
    let (mut world, mut machine) = started();
    for reports in [2, 1] {
        world.policy.fault_reports = reports;
        for round in 0..6 {
            let units = (0..FAULTS).map(|n| reading("failed_unit", &format!("{reports}-{round}-{n}"), 1));
            machine.set("health_services", units);
            for _ in 0..2 {
                machine.check_in(&mut world).expect("taken");
                beat(&mut world, &machine);
                assert!(world.faults.len() <= FAULTS, "{} in round {round}", world.faults.len());
            }
        }
    }
}

#[test]
fn a_fault_that_was_raised_again_belongs_to_the_incident_that_a_person_took_up_again() {
    let (mut world, mut machine) = started();
    failed(&mut world, &mut machine, &["a.service"]);
    beat(&mut world, &machine);
    failed(&mut world, &mut machine, &[]);
    beat(&mut world, &machine);
    let ticket = incidents(&world)[0].clone();
    assert_eq!((ticket.state.as_str(), world.faults.len()), ("resolved", 0));
    world.later(2 * 86_400);
    let change = implementing(&mut world, &machine);
    failed(&mut world, &mut machine, &["a.service"]);
    beat(&mut world, &machine);
    assert_eq!(world.faults.values().map(|fault| (fault.state, fault.ticket)).next(), Some((FaultState::Raised, None)));
    let edit = TicketEdit { assignee: Some(Some("kim".into())), ..TicketEdit::default() };
    world.act(Act::EditTicket { ticket: ticket.id, rev: None, edit }).expect("assigned");
    go(&mut world, &ticket, "in_progress", &[]);
    go(&mut world, &change, "review", &[]);
    go(&mut world, &change, "closed", &[("resolution_code", "successful"), ("resolution_text", "done")]);
    beat(&mut world, &machine);
    assert_eq!(incidents(&world).len(), 1);
    assert_eq!(incidents(&world)[0].count, ticket.count + 1);
    assert_eq!(world.faults.values().next().and_then(|fault| fault.ticket), Some(ticket.id));
}

#[test]
fn a_person_edits_an_incident_while_its_machine_reports() {
    let (mut world, mut machine) = started();
    machine.set("health_memory", [reading("memory_pressure", "", 60)]);
    machine.check_in(&mut world).expect("taken");
    beat(&mut world, &machine);
    let seen = incidents(&world)[0].clone();
    world.later(60);
    machine.set("health_memory", [reading("memory_pressure", "", 61)]);
    machine.check_in(&mut world).expect("taken");
    let now = incidents(&world)[0].clone();
    assert_eq!((now.count, now.last_seen, now.rev), (seen.count + 1, Some(world.now), seen.rev));
    assert_eq!(now.updated, seen.updated);
    let edit = TicketEdit { assignee: Some(Some("kim".into())), ..TicketEdit::default() };
    world.act(Act::EditTicket { ticket: seen.id, rev: Some(seen.rev), edit }).expect("nobody was faster");
    assert_eq!(incidents(&world)[0].count, now.count);
}
