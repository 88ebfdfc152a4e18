use crate::event::Event;
use crate::register::model::{Agent, AgentState, Cert};
use crate::register::testing::{World, laptop};
use crate::work::{Act, Refusal, Reply, Resolution};
use shared::id::AgentId;
use std::net::IpAddr;

const DAY_S: i64 = 86_400;
const HERE: &str = "203.0.113.5";

fn here() -> IpAddr {
    HERE.parse().expect("an address")
}

fn cert(world: &World, generation: u64, key: &str, ends_in_s: i64) -> Cert {
    Cert { generation, fingerprint: key.into(), expires: world.now.plus_secs(ends_in_s) }
}

/// The agent recovers with its present certificate.
fn recover(world: &mut World, agent: AgentId, key: &str) -> Result<Reply, Refusal> {
    let old = world.agents[&agent].current.clone().expect("a certificate");
    ask(world, agent, old, key)
}

fn ask(world: &mut World, agent: AgentId, old: Cert, key: &str) -> Result<Reply, Refusal> {
    let generation = old.generation;
    world.act(Act::Recover { agent, old, generation, fingerprint: key.into(), source: here() })
}

fn why(reply: Result<Reply, Refusal>) -> &'static str {
    match reply {
        Err(Refusal::Enroll { why, from, .. }) => {
            assert_eq!(from, here(), "who asked, not who enrolled");
            why
        }
        other => panic!("not refused: {other:?}"),
    }
}

fn generation(reply: Result<Reply, Refusal>) -> u64 {
    match reply {
        Ok(Reply::Granted { cert, .. }) => cert.generation,
        other => panic!("not granted: {other:?}"),
    }
}

/// An agent that recovered as often as it may.
fn worn(world: &mut World) -> AgentId {
    let agent = world.enrolled("host");
    for round in 1..=3 {
        world.later(8 * DAY_S);
        assert_eq!(generation(recover(world, agent, &format!("k{round}"))), round + 1);
        world.act(Act::NextUsed { agent, roots: 0 }).expect("promoted");
    }
    world.later(8 * DAY_S);
    world.told();
    agent
}

/// What was told of agents; what becomes of incidents is the desk's.
fn kinds(world: &mut World) -> Vec<String> {
    world.kinds().into_iter().filter(|kind| kind.starts_with("agent_")).collect()
}

fn state(world: &World, agent: AgentId) -> (AgentState, u32) {
    (world.agents[&agent].state, world.agents[&agent].recoveries)
}

#[test]
fn recovery_is_for_expired_keys_of_the_right_generation() {
    let mut world = World::new();
    let agent = world.enrolled("host");
    assert!(matches!(recover(&mut world, agent, "k1"), Err(Refusal::Conflict(_))));
    world.later(8 * DAY_S);
    let old = world.agents[&agent].current.clone().expect("one");
    let act =
        |generation| Act::Recover { agent, old: old.clone(), generation, fingerprint: "k1".into(), source: here() };
    assert_eq!(why(world.act(act(2))), "recovery: another generation");
    assert_eq!(generation(world.act(act(1))), 2);
    world.act(Act::NextUsed { agent, roots: 0 }).expect("promoted");
    assert_eq!(why(world.act(act(1))), "recovery: that certificate was superseded");
    world.later(100 * DAY_S);
    assert_eq!(why(recover(&mut world, agent, "k2")), "recovery: away for more than 90 days");
}

#[test]
fn who_recovers_too_often_in_a_row_waits_for_a_person() {
    let mut world = World::new();
    let agent = worn(&mut world);
    assert_eq!(recover(&mut world, agent, "k4"), Ok(Reply::Pending { agent }));
    assert_eq!((state(&world, agent), world.agents[&agent].key()), ((AgentState::Pending, 3), "k4"));
    assert_eq!(kinds(&mut world), ["agent_recovery_pending"]);
    assert_eq!(recover(&mut world, agent, "k4"), Ok(Reply::Pending { agent }));
    assert_eq!(why(recover(&mut world, agent, "k5")), "recovery: another key waits for approval");
    assert_eq!(kinds(&mut world), Vec::<String>::new());
    let approve = |key: &str| Act::Approve { agent, fingerprint: key.into() };
    assert!(matches!(world.act(approve("k3")), Err(Refusal::Invalid { .. })));
    world.act(approve("k4")).expect("approved");
    assert_eq!(generation(recover(&mut world, agent, "k4")), 5);
    world.act(Act::NextUsed { agent, roots: 0 }).expect("promoted");
    assert_eq!((state(&world, agent), world.agents[&agent].key()), ((AgentState::Active, 0), "k4"));
    assert!(world.agents[&agent].current.as_ref().is_some_and(|cert| cert.expires > world.now));
}

#[test]
fn nobody_waits_for_approval_for_ever() {
    let mut world = World::new();
    let agent = worn(&mut world);
    recover(&mut world, agent, "k4").expect("waits");
    world.later(7 * DAY_S + 1);
    let approve = |key: &str| Act::Approve { agent, fingerprint: key.into() };
    assert!(matches!(world.act(approve("k4")), Err(Refusal::Conflict(_))));
    assert_eq!(recover(&mut world, agent, "k5"), Ok(Reply::Pending { agent }));
    world.act(approve("k5")).expect("approved");
}

#[test]
fn a_quarantine_is_not_left_by_recovering() {
    let mut world = World::new();
    let agent = worn(&mut world);
    world.act(Act::Forked { agent, detail: "two".into() }).expect("quarantined");
    assert_eq!(why(recover(&mut world, agent, "k4")), "recovery: quarantined, and recovered too often");
    assert_eq!(world.agents[&agent].state, AgentState::Quarantined);
}

#[test]
fn a_renewal_in_time_forgives_recoveries_and_one_at_once_does_not() {
    let mut world = World::new();
    let agent = world.enrolled("host");
    world.later(8 * DAY_S);
    recover(&mut world, agent, "k1").expect("granted");
    world.act(Act::NextUsed { agent, roots: 0 }).expect("promoted");
    let renew = |key: &str| Act::Renew { agent, fingerprint: key.into() };
    world.act(renew("k2")).expect("granted");
    assert_eq!(world.agents[&agent].recoveries, 1);
    world.later(3 * DAY_S);
    world.act(renew("k3")).expect("granted");
    assert_eq!(world.agents[&agent].recoveries, 0);
}

#[test]
fn a_certificate_from_after_the_backup_is_adopted_and_an_earlier_one_is_a_fork() {
    let mut world = World::new();
    let agent = world.enrolled("host");
    let edit = |world: &mut World, change: &dyn Fn(&mut Agent)| change(world.agents.get_mut(&agent).expect("there"));
    let (current, next) = (cert(&world, 4, "k4", 99), cert(&world, 5, "k5", 199));
    edit(&mut world, &|agent| (agent.current, agent.next) = (Some(current.clone()), Some(next.clone())));
    let unknown = |cert: Cert| Act::Unknown { agent, cert, roots: 3, source: here() };
    // Its generation counts, not its end: lifetimes may have been shortened.
    world.act(unknown(cert(&world, 7, "k7", 50))).expect("adopted");
    let [Event::AgentCertificateAdopted { generation: 7, .. }] = world.told().as_slice() else { panic!("adopted") };
    assert_eq!((state(&world, agent), world.agents[&agent].key()), ((AgentState::Active, 0), "k7"));
    assert_eq!((&world.agents[&agent].next, world.agents[&agent].roots), (&None, 3));
    world.act(unknown(cert(&world, 7, "k7", 50))).expect("another connection was faster");
    assert_eq!(kinds(&mut world), Vec::<String>::new());
    for generation in [0, 6, 7] {
        edit(&mut world, &|agent| agent.state = AgentState::Active);
        world.act(unknown(cert(&world, generation, "old", 9 * DAY_S))).expect("noted");
        assert_eq!((state(&world, agent).0, world.agents[&agent].key()), (AgentState::Quarantined, "k7"));
        assert_eq!(kinds(&mut world), ["agent_quarantined"]);
    }
    // What was quarantined wrongly finds its key; a person still decides.
    world.act(unknown(cert(&world, 8, "k8", 50))).expect("adopted");
    assert_eq!((state(&world, agent).0, world.agents[&agent].key()), (AgentState::Quarantined, "k8"));
    edit(&mut world, &|agent| agent.state = AgentState::Revoked);
    assert_eq!(world.act(unknown(cert(&world, 9, "k9", 50))), Err(Refusal::Barred("revoked")));
}

#[test]
fn an_ended_certificate_from_after_the_backup_recovers() {
    let mut world = World::new();
    let agent = world.enrolled("host");
    world.later(20 * DAY_S);
    let (earlier, later) = (cert(&world, 1, "k0", -5), cert(&world, 3, "k3", -5));
    assert_eq!(why(ask(&mut world, agent, earlier, "k4")), "recovery: that certificate was superseded");
    assert_eq!(generation(ask(&mut world, agent, later, "k4")), 4);
    assert_eq!(kinds(&mut world), ["agent_recovered", "agent_certificate_adopted"]);
    world.act(Act::NextUsed { agent, roots: 0 }).expect("promoted");
    assert_eq!(world.agents[&agent].key(), "k4");
}

#[test]
fn a_version_follows_what_the_agent_says() {
    let mut world = World::new();
    let agent = world.enrolled("host");
    laptop(agent, 1).settle(&mut world);
    world.told();
    let says = |version: &str| Act::Upgraded { agent, version: version.into() };
    world.act(says("0.2.0")).expect("taken");
    world.act(says("0.2.0")).expect("taken");
    assert_eq!(world.told(), [Event::AgentUpgraded { from: "0.1.0".into(), to: "0.2.0".into() }]);
    assert_eq!(world.agents[&agent].version, "0.2.0");
    world.act(Act::Forked { agent, detail: "two".into() }).expect("quarantined");
    assert_eq!(world.act(says("9")), Err(Refusal::Barred("quarantined")));
    world.act(Act::Resolve { agent, how: Resolution::Keep, reason: "one".into() }).expect("kept");
}
