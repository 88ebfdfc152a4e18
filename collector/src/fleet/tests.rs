use super::*;
use crate::register::model::{Cert, Severity};
use shared::id::{JoinTokenId, TicketId};
use std::collections::BTreeMap;
use uuid::Uuid;

fn agent(id: u128, state: AgentState, current: &str, next: Option<&str>) -> Agent {
    let cert = |text: &str| Cert { generation: 1, fingerprint: text.to_owned(), expires: At::from_secs(9) };
    Agent {
        id: AgentId(Uuid::from_u128(id)),
        rev: 1,
        state,
        reason: String::new(),
        name: "host".into(),
        version: "0.1.0".into(),
        token: JoinTokenId(Uuid::nil()),
        labels: BTreeMap::new(),
        source: "192.0.2.1".into(),
        enrolled: At::from_secs(1),
        first_key: current.to_owned(),
        current: Some(cert(current)),
        next: next.map(cert),
        roots: 3,
        recoveries: 0,
        asset: Some(AssetId(Uuid::from_u128(100 + id))),
        stream: None,
        seq: 0,
        record: Digest::default(),
        root: Digest::default(),
        goodbye: None,
    }
}

fn fault(agent: u128, state: FaultState) -> Fault {
    Fault {
        asset: AssetId(Uuid::from_u128(100 + agent)),
        check: "disk_space".into(),
        resource: "/".into(),
        fingerprint: "f".into(),
        state,
        severity: Severity::Major,
        value: 95,
        detail: String::new(),
        first: At::from_secs(1),
        last: At::from_secs(1),
        reports: 1,
        good_since: None,
        ticket: None,
    }
}

fn loaded(agents: &[(Agent, Option<At>)], waiting: &[Fault]) -> Fleet {
    let fleet = Fleet::default();
    fleet.load(agents, waiting);
    fleet
}

#[test]
fn a_commit_changes_what_the_next_request_sees() {
    let first = agent(1, AgentState::Active, "a", Some("b"));
    let fleet = loaded(&[(first.clone(), Some(At::from_secs(5)))], &[]);
    let member = fleet.member(first.id).expect("a member");
    assert_eq!(["a", "b", "c"].map(|key| member.key(key)), [Key::Current, Key::Next, Key::Unknown]);

    let revoked = Agent { state: AgentState::Revoked, ..first.clone() };
    fleet.committed(&[Row::Agent(Box::new(revoked))]);
    let member = fleet.member(first.id).expect("a member");
    assert_eq!((member.state, member.heard), (AgentState::Revoked, Some(At::from_secs(5))));
    assert_eq!(fleet.member(AgentId(Uuid::from_u128(2))), None);
}

#[test]
fn beats_count_only_while_a_fault_waits() {
    let first = agent(1, AgentState::Active, "a", None);
    let fleet = loaded(&[(first.clone(), None)], &[fault(1, FaultState::Pending)]);
    assert!(fleet.waits(first.id));
    let untold = fault(1, FaultState::Raised);
    fleet.committed(&[Row::Fault(untold.clone())]);
    assert!(fleet.waits(first.id), "it holds and has no incident");
    fleet.committed(&[Row::Fault(Fault { ticket: Some(TicketId(Uuid::nil())), ..untold })]);
    assert!(!fleet.waits(first.id));
    fleet.committed(&[Row::Fault(fault(1, FaultState::Passing))]);
    assert!(fleet.waits(first.id));
    let Fault { asset, fingerprint, .. } = fault(1, FaultState::Cleared);
    fleet.committed(&[Row::DropFault { asset, fingerprint }]);
    assert!(!fleet.waits(first.id));
}

#[test]
fn what_was_heard_is_flushed_once_and_in_order() {
    let (first, second) = (agent(1, AgentState::Active, "a", None), agent(2, AgentState::Active, "b", None));
    let fleet = loaded(&[(second.clone(), None), (first.clone(), None)], &[]);
    fleet.hear(second.id, At::from_secs(7));
    fleet.hear(first.id, At::from_secs(8));
    fleet.hear(first.id, At::from_secs(6));
    fleet.committed(&[Row::Agent(Box::new(first.clone()))]);
    assert_eq!(fleet.take_unflushed(), [(first.id, At::from_secs(8)), (second.id, At::from_secs(7))]);
    assert_eq!(fleet.take_unflushed(), []);
}
