//! A key that two machines use, from the first doubt to a person's decision, through the one door.

use super::super::model::{End, Rel, Ticket};
use crate::event::{Event, Subject};
use crate::register::testing::{Machine, World, laptop};
use crate::work::{Act, Reply, Resolution, TicketEdit};
use serde_json::Value;
use shared::id::{AgentId, AssetId};

const DAY: i64 = 86_400;

/// A laptop, and another machine to which its disk was copied.
fn cloned(world: &mut World) -> (Machine, Machine) {
    let mut original = laptop(world.enrolled("host-1"), 1);
    original.settle(world);
    let mut copy = laptop(original.agent, 2);
    copy.restart(9);
    world.told();
    (original, copy)
}

fn only(world: &World) -> Ticket {
    assert_eq!(world.tickets.len(), 1);
    world.tickets.values().next().expect("one ticket").clone()
}

fn resolve(world: &mut World, agent: AgentId) {
    let act = Act::Resolve { agent, how: Resolution::Keep, reason: "the copy was wiped".into() };
    world.act(act).expect("resolved");
}

fn affected(world: &World, ticket: &Ticket) -> Vec<AssetId> {
    let this = End::Ticket(ticket.id);
    let links = world.links.values().filter(|link| link.rel == Rel::Affects && link.from == this);
    links.filter_map(|link| if let End::Asset(id) = link.to { Some(id) } else { None }).collect()
}

#[test]
fn a_copied_key_is_one_incident_with_the_conflict_frozen_in_it() {
    let mut world = World::new();
    let (original, mut copy) = cloned(&mut world);
    let mut other = laptop(world.enrolled("host-2"), 2);
    other.settle(&mut world);
    world.told();
    copy.check_in(&mut world).expect("held");
    let told = world.told();
    assert!(matches!(&told[0], Event::AgentQuarantined { reason, .. } if reason == "contradiction"), "{told:?}");
    let ticket = only(&world);
    assert_eq!(ticket.title, "The hardware under the agent's key of host-1 is another machine's");
    assert_eq!((ticket.rule.as_deref(), ticket.count, ticket.state.as_str()), (Some("quarantine"), 1, "new"));
    assert!(ticket.description.contains("host-2 has them"), "{}", ticket.description);
    let mut concerned = affected(&world, &ticket);
    concerned.sort();
    let mut assets = vec![world.asset_of(original.agent), world.asset_of(other.agent)];
    assets.sort();
    assert_eq!(concerned, assets, "the key's asset, and the one whose identifiers came");
    let frozen: Value = serde_json::from_str(ticket.snapshot.as_deref().expect("frozen")).expect("json");
    assert_eq!(frozen["agent"]["name"], "host-1");
    assert_eq!(frozen["conflict"]["other"]["observed"]["name"], "host-2");
    assert!(frozen["conflict"]["explanation"].as_str().is_some_and(|why| why.contains("system_serial was")));
    resolve(&mut world, original.agent);
    let ticket = only(&world);
    assert_eq!((ticket.state.as_str(), ticket.resolution_code.as_deref()), ("resolved", Some("auto_cleared")));
    assert!(ticket.resolution_text.is_some_and(|text| text.contains("(keep): the copy was wiped")));
}

#[test]
fn a_thousand_repeated_reports_are_counted_and_nothing_grows() {
    let mut world = World::new();
    let (original, copy) = cloned(&mut world);
    let mut told = 0;
    for n in 0..1_000_u16 {
        let mut forged = copy.clone();
        // The same record, other ones, and word of a superseded key by turns.
        forged.seq = u64::from(n % 7);
        if n % 5 == 4 {
            world.act(Act::Forked { agent: original.agent, detail: format!("attempt {n}") }).expect("noted");
        } else {
            forged.check_in(&mut world).expect("held");
        }
        told += world.told().len();
    }
    let ticket = only(&world);
    assert_eq!((ticket.count, ticket.state.as_str()), (1_000, "new"));
    assert_eq!((told, world.links.len(), world.held.len()), (3, 1, 1), "quarantined, opened, linked");
}

#[test]
fn a_person_who_works_on_it_is_told_and_left_alone() {
    let mut world = World::new();
    let (original, mut copy) = cloned(&mut world);
    copy.check_in(&mut world).expect("held");
    let edit = TicketEdit { assignee: Some(Some("kim".into())), ..TicketEdit::default() };
    world.act(Act::EditTicket { ticket: only(&world).id, rev: None, edit }).expect("assigned");
    world.told();
    resolve(&mut world, original.agent);
    let said = world.told();
    let said =
        said.iter().find_map(|event| if let Event::TicketCommented { text, .. } = event { Some(text) } else { None });
    assert!(said.is_some_and(|text| text.starts_with("The quarantine was ended (keep)")), "{said:?}");
    assert_eq!(only(&world).state, "new");
}

#[test]
fn the_same_key_again_reopens_within_a_day_and_recurs_later() {
    let mut world = World::new();
    let (original, mut copy) = cloned(&mut world);
    copy.check_in(&mut world).expect("held");
    resolve(&mut world, original.agent);
    let fork = |world: &mut World| {
        world
            .act(Act::Forked { agent: original.agent, detail: "record 4 came with two contents".into() })
            .expect("noted");
    };
    fork(&mut world);
    assert_eq!((only(&world).state.as_str(), only(&world).count), ("new", 2));
    world.act(Act::Revoke { agent: original.agent, reason: "wiped".into() }).expect("revoked");
    assert_eq!(only(&world).state, "resolved");
    world.agents.get_mut(&original.agent).expect("the agent").state = crate::register::model::AgentState::Active;
    world.later(DAY + 1);
    fork(&mut world);
    assert_eq!(world.tickets.len(), 2);
    assert_eq!(world.links.values().filter(|link| link.rel == Rel::Recurs).count(), 1);
    let open = world.tickets.values().filter(|ticket| ticket.state == "new").count();
    assert_eq!(open, 1, "the older one is closed");
}

#[test]
fn two_agents_that_speak_for_one_asset_are_an_incident_each() {
    let mut world = World::new();
    let mut old = laptop(world.enrolled("host-1"), 1);
    old.settle(&mut world);
    world.later(DAY);
    let mut new = old.wiped(world.enrolled("host-1b"));
    new.settle(&mut world);
    let asset = world.asset_of(new.agent);
    old.check_in(&mut world).expect("held");
    let mut keys: Vec<(String, String)> =
        world.tickets.values().map(|ticket| (ticket.key(), ticket.title.clone())).collect();
    keys.sort();
    let title = "Two agents speak for host-1".to_owned();
    assert_eq!(keys, [("INC-1".to_owned(), title.clone()), ("INC-2".to_owned(), title)]);
    for ticket in world.tickets.values() {
        assert_eq!(affected(&world, ticket), [asset]);
    }
    let about = world.journal.iter().filter(|draft| matches!(draft.event, Event::TicketOpened { .. }));
    let agents: Vec<bool> = about.map(|draft| draft.subjects.contains(&Subject::Asset(asset))).collect();
    assert_eq!(agents, [true, true]);
    let Ok(Reply::Done) =
        world.act(Act::Resolve { agent: new.agent, how: Resolution::Keep, reason: "it is right".into() })
    else {
        panic!("resolved")
    };
    let states: Vec<&str> = world.tickets.values().map(|ticket| ticket.state.as_str()).collect();
    assert_eq!(states.iter().filter(|state| **state == "resolved").count(), 1);
}
