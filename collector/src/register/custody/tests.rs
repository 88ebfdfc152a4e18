//! What follows when a person decides who speaks for an asset.

use super::super::testing::*;
use super::*;
use crate::work::Act;
use shared::evidence;
use shared::fact::Item;
use shared::id::{AgentId, AssetId};

fn started(world: &mut World) -> Machine {
    let mut machine = laptop(world.enrolled("host-1"), 1);
    machine.settle(world);
    machine
}

/// What was told of agents; what becomes of incidents is the desk's.
fn kinds(world: &mut World) -> Vec<String> {
    world.kinds().into_iter().filter(|kind| kind.starts_with("agent_")).collect()
}

fn conflicts(world: &mut World) -> Vec<String> {
    let conflict = |event| match event {
        Event::IdentityConflict { why, .. } => Some(why),
        _ => None,
    };
    world.told().into_iter().filter_map(conflict).collect()
}

/// An agent whose place another took, and which spoke again: both are in quarantine.
fn quarrel(world: &mut World) -> (Machine, Machine, AssetId) {
    let mut old = started(world);
    let asset = world.asset_of(old.agent);
    world.later(901);
    let mut new = old.wiped(world.enrolled("fresh"));
    new.settle(world);
    old.put("disks", Item::new("disk", "x"));
    old.check_in(world).expect("held");
    world.told();
    (old, new, asset)
}

fn resolve(world: &mut World, agent: AgentId, how: Resolution) -> Result<(), Refusal> {
    world.act(Act::Resolve { agent, how, reason: "looked at it".into() }).map(|_| ())
}

#[test]
fn who_is_kept_speaks_for_the_asset_and_nobody_else_does() {
    let mut world = World::new();
    let (mut old, new, asset) = quarrel(&mut world);
    resolve(&mut world, old.agent, Resolution::Keep).expect("kept");
    assert_eq!(world.assets[&asset].agent, Some(old.agent));
    assert_eq!(kinds(&mut world), ["agent_resolved", "agent_bound"]);
    let refused = resolve(&mut world, new.agent, Resolution::Keep);
    let Err(Refusal::Conflict(why)) = refused else { panic!("two agents speak for one asset: {refused:?}") };
    assert!(why.contains(&old.agent.to_string()), "{why}");
    assert_eq!(world.agents[&new.agent].state, AgentState::Quarantined);
    world.act(Act::Revoke { agent: new.agent, reason: "the copy".into() }).expect("revoked");
    old.settle(&mut world);
    // A newcomer with its serial does not take it over because the other one was revoked.
    let mut third = old.wiped(world.enrolled("third"));
    third.settle(&mut world);
    assert_ne!(world.asset_of(third.agent), asset);
    assert_eq!((world.assets[&asset].agent, world.agents[&old.agent].state), (Some(old.agent), AgentState::Active));

    let mut world = World::new();
    let (old, new, asset) = quarrel(&mut world);
    resolve(&mut world, new.agent, Resolution::Keep).expect("kept");
    assert_eq!((world.assets[&asset].agent, kinds(&mut world)), (Some(new.agent), vec!["agent_resolved".to_owned()]));
    assert!(matches!(resolve(&mut world, old.agent, Resolution::Keep), Err(Refusal::Conflict(_))));
    resolve(&mut world, old.agent, Resolution::Split).expect("split");
    assert_eq!(world.assets[&asset].agent, Some(new.agent));
}

#[test]
fn who_was_split_leaves_its_asset_to_others_and_does_not_take_it_back() {
    let mut world = World::new();
    let mut machine = started(&mut world);
    let asset = world.asset_of(machine.agent);
    world.act(Act::Forked { agent: machine.agent, detail: "two contents".into() }).expect("quarantined");
    let bye = Act::Goodbye { agent: machine.agent, why: Goodbye::Sleep };
    world.act(bye).expect("noted");
    resolve(&mut world, machine.agent, Resolution::Split).expect("split");
    assert_eq!(world.assets[&asset].agent, None);
    // It lost its state, and its hardware is that of the asset; it still waits for a section.
    machine.restart(2);
    let mut first = machine.record(world.now);
    first.sections.retain(|part| part.section != evidence::SECTION);
    world.submit(&machine.report(&first)).expect("taken");
    machine.restart(3);
    machine.settle(&mut world);
    let own = world.asset_of(machine.agent);
    assert_ne!(own, asset);
    let why = conflicts(&mut world);
    assert!(why.len() == 1 && why[0].ends_with("a person said that this agent is another machine"), "{why:?}");
    assert_eq!(world.agents[&machine.agent].reason, "");

    // The split agent is another machine, and the one that the asset was enrolls anew.
    let mut world = World::new();
    let mut machine = started(&mut world);
    let (asset, old) = (world.asset_of(machine.agent), machine.clone());
    world.act(Act::Forked { agent: machine.agent, detail: "two contents".into() }).expect("quarantined");
    resolve(&mut world, machine.agent, Resolution::Split).expect("split");
    machine.truth = laptop(machine.agent, 2).truth;
    machine.settle(&mut world);
    let mut again = old.wiped(world.enrolled("again"));
    again.settle(&mut world);
    assert_eq!((world.asset_of(again.agent), world.assets[&asset].agent), (asset, Some(again.agent)));
    assert_eq!((world.assets.len(), world.agents[&machine.agent].state), (2, AgentState::Active));
}

#[test]
fn an_asset_that_still_names_the_agent_is_not_its_own_rival() {
    let mut world = World::new();
    let mut machine = started(&mut world);
    let asset = world.asset_of(machine.agent);
    let agent = world.agents.get_mut(&machine.agent).expect("there");
    (agent.asset, agent.goodbye) = (None, Some(Goodbye::Stop));
    machine.restart(2);
    machine.settle(&mut world);
    assert_ne!(world.asset_of(machine.agent), asset);
}

#[test]
fn who_was_split_does_not_take_its_asset_back_from_another_agent_either() {
    for how in [Resolution::Keep, Resolution::Reenroll] {
        let mut world = World::new();
        let (mut old, new, asset) = quarrel(&mut world);
        resolve(&mut world, new.agent, how).expect("resolved");
        if how == Resolution::Keep {
            world.act(Act::Goodbye { agent: new.agent, why: Goodbye::Sleep }).expect("noted");
        }
        resolve(&mut world, old.agent, Resolution::Split).expect("split");
        old.restart(2);
        old.settle(&mut world);
        assert_ne!(world.asset_of(old.agent), asset, "{how:?}");
        assert_eq!(world.assets[&asset].agent, Some(new.agent), "{how:?}");
    }
}
