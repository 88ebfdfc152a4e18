use crate::event::Event;
use crate::register::model::{AgentState, JoinToken};
use crate::register::testing::World;
use crate::work::{Act, Refusal, Reply};
use shared::id::{AgentId, JoinTokenId};
use shared::unit::At;
use std::collections::BTreeMap;

const DAY_S: i64 = 86_400;

fn token(world: &mut World, change: impl FnOnce(&mut JoinToken)) -> JoinTokenId {
    let id = JoinTokenId(world.context().fresh.uuid());
    let mut token = JoinToken {
        id,
        rev: 1,
        hash: [7; 32],
        created: world.now,
        creator: "local:0".into(),
        expires: world.now.plus_secs(DAY_S),
        uses: 1,
        used: 0,
        cidr: None,
        approve: false,
        labels: BTreeMap::new(),
        revoked: false,
    };
    change(&mut token);
    world.join_tokens.insert(id, token);
    id
}

fn enroll(world: &mut World, token: JoinTokenId, key: &str) -> Result<Reply, Refusal> {
    let source = "192.0.2.9".parse().expect("an address");
    let (name, version, hash) = ("host".into(), "0.1.0".into(), [7; 32]);
    world.act(Act::Enroll { token, hash, fingerprint: key.into(), name, version, source })
}

fn granted(reply: Result<Reply, Refusal>) -> (AgentId, u64, At) {
    match reply {
        Ok(Reply::Granted { agent, cert, .. }) => (agent, cert.generation, cert.expires),
        other => panic!("not granted: {other:?}"),
    }
}

fn why(reply: Result<Reply, Refusal>) -> &'static str {
    match reply {
        Err(Refusal::Enroll { why, .. }) => why,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_token_is_used_up_and_its_user_may_ask_again() {
    let mut world = World::new();
    let token = token(&mut world, |_| ());
    let (first, generation, _) = granted(enroll(&mut world, token, "k1"));
    assert_eq!(generation, 1);
    assert_eq!(why(enroll(&mut world, token, "k2")), "token used up");
    assert_eq!(granted(enroll(&mut world, token, "k1")).0, first);
    assert_eq!(world.join_tokens[&token].used, 1);
}

#[test]
fn every_bad_token_is_refused_for_its_own_reason() {
    let mut world = World::new();
    let unknown = JoinTokenId(world.context().fresh.uuid());
    assert_eq!(why(enroll(&mut world, unknown, "k")), "no such token");
    let wrong = token(&mut world, |token| token.hash = [8; 32]);
    assert_eq!(why(enroll(&mut world, wrong, "k")), "wrong secret");
    let revoked = token(&mut world, |token| token.revoked = true);
    assert_eq!(why(enroll(&mut world, revoked, "k")), "token revoked");
    let elsewhere = token(&mut world, |token| token.cidr = Some("198.51.100.0/24".into()));
    assert_eq!(why(enroll(&mut world, elsewhere, "k")), "source outside the token's network");
    let old = token(&mut world, |_| ());
    world.later(DAY_S);
    assert_eq!(why(enroll(&mut world, old, "k")), "token expired");
    assert!(world.agents.is_empty());
}

#[test]
fn an_agent_waits_until_the_admin_saw_its_key() {
    let mut world = World::new();
    let token = token(&mut world, |token| token.approve = true);
    let Ok(Reply::Pending { agent }) = enroll(&mut world, token, "k1") else { panic!("not pending") };
    let approve = |fingerprint: &str| Act::Approve { agent, fingerprint: fingerprint.into() };
    assert!(matches!(world.act(approve("k2")), Err(Refusal::Invalid { .. })));
    assert!(matches!(enroll(&mut world, token, "k1"), Ok(Reply::Pending { .. })));
    world.act(approve("K1")).expect("approved");
    assert_eq!(granted(enroll(&mut world, token, "k1")).0, agent);
    assert!(matches!(world.act(approve("k1")), Err(Refusal::Conflict(_))));
}

#[test]
fn a_renewed_key_counts_once_it_was_used() {
    let mut world = World::new();
    let token = token(&mut world, |_| ());
    let (agent, ..) = granted(enroll(&mut world, token, "k1"));
    let renew = |key: &str| Act::Renew { agent, fingerprint: key.into() };
    assert!(matches!(world.act(renew("k1")), Err(Refusal::Invalid { .. })));
    assert_eq!(granted(world.act(renew("k2"))).1, 2);
    // The answer was lost: the same key is the same certificate, another key replaces it.
    assert_eq!(granted(world.act(renew("k2"))).1, 2);
    assert_eq!(granted(world.act(renew("k3"))).1, 2);
    assert_eq!(world.agents[&agent].current.as_ref().map(|cert| cert.fingerprint.as_str()), Some("k1"));
    // With its certificate it was handed roots, and has them once it uses it.
    world.act(Act::HasRoots { agent, roots: 1 }).expect("noted");
    assert_eq!(world.agents[&agent].roots, 1);
    world.act(Act::NextUsed { agent, roots: 2 }).expect("promoted");
    world.act(Act::HasRoots { agent, roots: 1 }).expect("noted");
    assert_eq!(world.agents[&agent].roots, 2);
    assert_eq!(world.agents[&agent].current.as_ref().map(|cert| cert.fingerprint.as_str()), Some("k3"));
    assert_eq!(world.agents[&agent].next, None);
    let renewals = world.told().iter().filter(|event| matches!(event, Event::AgentRenewed { .. })).count();
    assert_eq!(renewals, 2);
}

#[test]
fn an_approved_agent_that_fetches_late_gets_a_certificate_that_is_good() {
    let mut world = World::new();
    let token = token(&mut world, |token| token.approve = true);
    let Ok(Reply::Pending { agent }) = enroll(&mut world, token, "k1") else { panic!("not pending") };
    world.act(Act::Approve { agent, fingerprint: "k1".into() }).expect("approved");
    world.later(8 * DAY_S);
    world.told();
    let expires = granted(enroll(&mut world, token, "k1")).2;
    assert_eq!(expires, world.now.plus_secs(7 * DAY_S));
    assert_eq!(
        (granted(enroll(&mut world, token, "k1")).2, world.kinds()),
        (expires, vec!["agent_renewed".to_owned()])
    );
    // One that has spoken has to show its old key.
    world.agents.get_mut(&agent).expect("there").stream = Some(shared::digest::Digest([1; 16]));
    world.later(8 * DAY_S);
    assert_eq!(why(enroll(&mut world, token, "k1")), "the agent's certificate has ended: it has to recover");
}

#[test]
fn revocation_and_quarantine_need_a_reason_and_bar() {
    let mut world = World::new();
    let token = token(&mut world, |_| ());
    let (agent, ..) = granted(enroll(&mut world, token, "k1"));
    world.act(Act::Forked { agent, detail: "an old key spoke".into() }).expect("quarantined");
    assert_eq!(world.agents[&agent].state, AgentState::Quarantined);
    let revoke = |reason: &str| Act::Revoke { agent, reason: reason.into() };
    assert!(matches!(world.act(revoke(" ")), Err(Refusal::Invalid { .. })));
    world.act(revoke("stolen")).expect("revoked");
    assert_eq!(world.act(Act::Renew { agent, fingerprint: "k2".into() }), Err(Refusal::Barred("revoked")));
    assert_eq!(why(enroll(&mut world, token, "k1")), "the agent may not speak");
}
