//! Every kind of event in the words that people read.

use super::*;
use crate::desk::model::{Kind, Rel, Ticket};
use crate::register::model::{Fault, FaultState, Lifecycle, Severity};
use shared::checkin::{Gap, Problem, Why};
use shared::id::{AgentId, AssetId, CauseId, CommentId, LinkId, TicketId};
use shared::unit::At;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

const ASSET: AssetId = AssetId(Uuid::from_u128(1));
const OTHER: AssetId = AssetId(Uuid::from_u128(2));
const AGENT: AgentId = AgentId(Uuid::from_u128(3));
const TICKET: TicketId = TicketId(Uuid::from_u128(4));
const CHANGE: TicketId = TicketId(Uuid::from_u128(5));

fn text(event: Event) -> String {
    entry(Told::Known(Box::new(event)))
}

fn entry(event: Told) -> String {
    let all = [
        (format!("ticket:{TICKET}"), "INC-1"),
        (format!("asset:{ASSET}"), "build-07"),
        (format!("asset:{OTHER}"), "build-08"),
        (format!("agent:{AGENT}"), "build-07"),
        (format!("ticket:{CHANGE}"), "CHG-9"),
    ];
    told(&Entry {
        seq: 1,
        at: At(0),
        actor: "token:7".into(),
        by: "cmdb".into(),
        cause: CauseId(Uuid::nil()),
        subjects: all.iter().map(|(subject, _)| subject.clone()).collect(),
        about: all.iter().map(|(_, name)| (*name).to_owned()).collect(),
        event,
    })
}

/// A number for each kind, without holes. A new kind does not compile before it is here, and the test below fails
/// before it has a sample.
fn number(event: &Event) -> usize {
    match event {
        Event::JoinTokenCreated { .. } => 0,
        Event::JoinTokenRevoked {} => 1,
        Event::EnrollRefused { .. } => 2,
        Event::ApiTokenCreated { .. } => 3,
        Event::ApiTokenRevoked { .. } => 4,
        Event::AgentEnrolled { .. } => 5,
        Event::AgentApproved {} => 6,
        Event::AgentRenewed { .. } => 7,
        Event::AgentRecovered { .. } => 8,
        Event::AgentRevoked { .. } => 9,
        Event::AgentQuarantined { .. } => 10,
        Event::AgentResolved { .. } => 11,
        Event::AgentSuperseded { .. } => 12,
        Event::AgentGoodbye { .. } => 13,
        Event::ReportsLost { .. } => 14,
        Event::AssetCreated { .. } => 15,
        Event::AgentBound { .. } => 16,
        Event::AssetReimaged { .. } => 17,
        Event::MainboardReplaced { .. } => 18,
        Event::IdentityConflict { .. } => 19,
        Event::Baseline { .. } => 20,
        Event::AssetChanged { .. } => 21,
        Event::AssetEdited { .. } => 22,
        Event::AssetMoved { .. } => 23,
        Event::ItemAdded { .. } => 24,
        Event::ItemRemoved { .. } => 25,
        Event::ItemReplaced { .. } => 26,
        Event::ItemChanged { .. } => 27,
        Event::ItemsChanged { .. } => 28,
        Event::SoftwareChanged { .. } => 29,
        Event::SectionFailed { .. } => 30,
        Event::SectionRestored { .. } => 31,
        Event::DropHeld { .. } => 32,
        Event::FaultRaised { .. } => 33,
        Event::FaultCleared { .. } => 34,
        Event::TicketOpened { .. } => 35,
        Event::TicketMoved { .. } => 36,
        Event::TicketEdited { .. } => 37,
        Event::TicketCommented { .. } => 38,
        Event::LinkAdded { .. } => 39,
        Event::LinkRemoved { .. } => 40,
        Event::AgentRecoveryPending { .. } => 41,
        Event::AgentCertificateAdopted { .. } => 42,
        Event::AgentUpgraded { .. } => 43,
        Event::CaPrepared { .. } => 44,
        Event::CaActivated { .. } => 45,
        Event::CaRetired { .. } => 46,
        Event::Restored { .. } => 47,
        Event::CaAbandoned { .. } => 48,
    }
}

const KINDS: usize = 49;

fn changed(field: &str, from: Option<&str>, to: Option<&str>) -> Vec<Changed> {
    vec![Changed { field: field.into(), from: from.map(Into::into), to: to.map(Into::into) }]
}

fn disk(serial: &str) -> Brief {
    Brief {
        kind: "disk".into(),
        key: format!("wwn-{serial}"),
        title: format!("Samsung MZVL2512 S/N {serial}"),
        serial: Some(serial.into()),
    }
}

fn fault() -> Fault {
    Fault {
        asset: ASSET,
        check: "disk_space".into(),
        resource: "/srv".into(),
        fingerprint: "x".into(),
        state: FaultState::Raised,
        severity: Severity::Major,
        value: 96,
        detail: "Disk space of /srv: 96 %, the limit is 90 %".into(),
        first: At(0),
        last: At(0),
        reports: 2,
        good_since: None,
        ticket: Some(TICKET),
    }
}

fn link(rel: Rel, to: End) -> Link {
    let id = LinkId(Uuid::from_u128(6));
    Link { id, from: End::Ticket(TICKET), rel, to, source: "human".into(), created: At(0) }
}

fn ticket() -> Box<Ticket> {
    Box::new(Ticket {
        id: TICKET,
        number: 1,
        rev: 1,
        kind: Kind::Incident,
        state: "new".into(),
        title: "Disk space: /srv on build-07".into(),
        description: String::new(),
        impact: 2,
        urgency: 2,
        priority: 3,
        assignee: None,
        requester: None,
        opened: At(0),
        updated: At(0),
        resolution_code: None,
        resolution_text: None,
        fields: BTreeMap::new(),
        rule: None,
        fingerprint: None,
        count: 1,
        last_seen: None,
        touched: false,
        snapshot: None,
    })
}

fn of_agents() -> Vec<(Event, &'static str)> {
    let (fingerprint, expires) = (String::from("ab12"), At(0));
    vec![
        (
            Event::JoinTokenCreated { uses: 1, expires, cidr: None, approve: true, labels: BTreeMap::new() },
            "join token created for 1 agent, to be approved",
        ),
        (Event::JoinTokenRevoked {}, "join token revoked"),
        (refused("192.0.2.7", 1), "enrollment of build-07 from 192.0.2.7 refused: token expired"),
        (
            Event::ApiTokenCreated { name: "cmdb".into(), scopes: vec!["assets:read".into()], expires },
            "API token cmdb created: assets:read",
        ),
        (Event::ApiTokenRevoked { name: "cmdb".into() }, "API token cmdb revoked"),
        (
            Event::Restored { head: 17, agents: 1, api_tokens: 0, join_tokens: 2 },
            "register restored from a backup of event 17: 1 agents and 0 API tokens revoked again, 2 join tokens ended",
        ),
        (
            Event::AgentEnrolled {
                name: "build-07".into(),
                version: "0.1.0".into(),
                source: "192.0.2.7".into(),
                fingerprint: fingerprint.clone(),
                pending: true,
            },
            "agent 0.1.0 enrolled on build-07 from 192.0.2.7, waits for approval",
        ),
        (Event::AgentApproved {}, "agent of build-07 approved"),
        (
            Event::AgentRenewed { generation: 2, fingerprint: fingerprint.clone(), expires },
            "agent of build-07 got certificate 2",
        ),
        (
            Event::AgentRecovered { generation: 3, fingerprint, expires },
            "agent of build-07 came back after its certificate had ended, got certificate 3",
        ),
        (Event::AgentRevoked { reason: "sold".into() }, "agent of build-07 revoked: sold"),
        (
            Event::AgentQuarantined { reason: "fork".into(), detail: "record 4 came with two contents".into() },
            "agent of build-07 quarantined: fork: record 4 came with two contents",
        ),
        (
            Event::AgentResolved { how: "keep".into(), reason: "the copy\nwas wiped".into() },
            "quarantine of the agent of build-07 ended (keep): the copy was wiped",
        ),
        (
            Event::AgentSuperseded { by: AgentId(Uuid::from_u128(9)) },
            "agent of build-07 superseded: another agent took its place",
        ),
        (Event::AgentGoodbye { why: "shutdown".into() }, "agent of build-07 said goodbye: shutdown"),
        (
            Event::ReportsLost { gap: Gap { records: 3, from: At(0), to: At(0), reason: "quota".into() } },
            "3 records lost before they were sent: quota",
        ),
    ]
}

fn refused(source: &str, count: u64) -> Event {
    Event::EnrollRefused { why: "token expired".into(), source: source.into(), name: "build-07".into(), count }
}

fn of_keys() -> Vec<(Event, &'static str)> {
    let fingerprint = String::from("f");
    let (server, agents) = ("a".repeat(64), "b".repeat(64));
    let names = ["host-1", "host-2"].map(str::to_owned).to_vec();
    vec![
        (
            Event::CaPrepared { revision: 1, server: server.clone(), agents: agents.clone() },
            "next roots prepared: server CA aaaaaaaaaaaaaaaa, agent CA bbbbbbbbbbbbbbbb",
        ),
        (
            Event::CaAbandoned { revision: 2, server: server.clone(), agents: agents.clone() },
            "next roots abandoned; those that stay: server CA aaaaaaaaaaaaaaaa, agent CA bbbbbbbbbbbbbbbb",
        ),
        (
            Event::CaActivated { revision: 2, server: server.clone(), agents: agents.clone(), locked_out: 7, names },
            "next roots activated: server CA aaaaaaaaaaaaaaaa, agent CA bbbbbbbbbbbbbbbb; 7 agents locked out: host-1, host-2 …",
        ),
        (
            Event::CaRetired { revision: 3, server, agents, locked_out: 0, names: Vec::new() },
            "old roots retired: server CA aaaaaaaaaaaaaaaa, agent CA bbbbbbbbbbbbbbbb",
        ),
        (
            refused("192.0.2.0/24", 7),
            "7 more enrollments from 192.0.2.0/24 refused: token expired; the last of build-07",
        ),
        (
            Event::AgentRecoveryPending { fingerprint: fingerprint.clone(), recoveries: 3 },
            "agent of build-07 recovered 3 times in a row, waits for approval",
        ),
        (
            Event::AgentCertificateAdopted { generation: 4, fingerprint, expires: At(0) },
            "agent of build-07 showed certificate 4, later than the register knew: adopted",
        ),
        (Event::AgentUpgraded { from: "0.1.0".into(), to: "0.2.0".into() }, "agent of build-07: version 0.1.0 → 0.2.0"),
    ]
}

fn of_assets() -> Vec<(Event, &'static str)> {
    let why = String::from("score 4: same system_serial PF1 (4)");
    vec![
        (
            Event::AssetCreated { name: "build-07".into(), class: "server".into(), why: "no asset matches".into() },
            "server build-07 came into the register: no asset matches",
        ),
        (
            Event::AgentBound { agent: AGENT, why: "its first report".into(), score: 0 },
            "an agent speaks for build-07: its first report",
        ),
        (Event::AssetReimaged { was: AGENT, why: why.clone() }, "reimaged: score 4: same system_serial PF1 (4)"),
        (
            Event::MainboardReplaced {
                changed: changed("board_serial", Some("A1"), Some("B2")),
                why: "the chassis is the same".into(),
            },
            "main board replaced: board_serial A1 → B2 (the chassis is the same)",
        ),
        (
            Event::IdentityConflict { agent: AGENT, other: OTHER, evidence: "system_serial PF1".into(), why },
            "identity conflict with build-08: system_serial PF1: score 4: same system_serial PF1 (4)",
        ),
        (
            Event::Baseline { sections: [("disks".to_owned(), 2), ("os".to_owned(), 1)].into() },
            "told for the first time: disks, os (3 facts)",
        ),
        (Event::AssetChanged { changed: changed("kernel", Some("6.1"), Some("6.2")) }, "kernel 6.1 → 6.2"),
        (Event::AssetEdited { changed: changed("owner", None, Some("Ada")) }, "edited: owner nothing → Ada"),
        (
            Event::AssetMoved { from: Lifecycle::InStock, to: Lifecycle::Deployed, reason: "first report".into() },
            "in_stock → deployed: first report",
        ),
    ]
}

fn of_sections() -> Vec<(Event, &'static str)> {
    vec![
        (Event::ItemAdded { section: "disks".into(), item: disk("S1") }, "disk Samsung MZVL2512 S/N S1 added"),
        (Event::ItemRemoved { section: "disks".into(), item: disk("S1") }, "disk Samsung MZVL2512 S/N S1 removed"),
        (
            Event::ItemReplaced { section: "disks".into(), removed: disk("S1"), added: disk("S2") },
            "disk Samsung MZVL2512 S/N S1 replaced by Samsung MZVL2512 S/N S2",
        ),
        (
            Event::ItemChanged {
                section: "disks".into(),
                item: disk("S1"),
                changed: changed("firmware", Some("1"), None),
            },
            "disk Samsung MZVL2512 S/N S1: firmware 1 → nothing",
        ),
        (
            Event::ItemsChanged {
                section: "users".into(),
                added: vec![disk("S1"), disk("S2")],
                removed: vec![],
                changed: vec![disk("S3")],
            },
            "users: 2 added, 0 removed, 1 changed",
        ),
        (
            Event::SoftwareChanged {
                section: "dpkg".into(),
                installed: vec!["hello 2.10".into()],
                removed: vec![],
                upgraded: (0..2000)
                    .map(|n| Upgrade { name: format!("p{n}"), from: "1".into(), to: "2".into() })
                    .collect(),
            },
            "installed hello 2.10; upgraded p0 1 → 2, p1 1 → 2, p2 1 → 2, p3 1 → 2, p4 1 → 2 and 1995 more",
        ),
        (
            Event::SectionFailed { section: "disks".into(), problems: vec![Problem::new(Why::Denied, "/sys/block")] },
            "disks can no longer be read: /sys/block denied",
        ),
        (Event::SectionRestored { section: "disks".into() }, "disks can be read again"),
        (
            Event::DropHeld { section: "dpkg".into(), rows: 2000, left: 3 },
            "dpkg: 3 of 2000 rows left; waiting for the next report to confirm it",
        ),
        (Event::FaultRaised { fault: fault() }, "major fault: Disk space of /srv: 96 %, the limit is 90 %"),
        (Event::FaultCleared { fault: fault() }, "Disk space /srv has passed"),
    ]
}

fn of_the_desk() -> Vec<(Event, &'static str)> {
    vec![
        (Event::TicketOpened { ticket: ticket() }, "INC-1 opened: Disk space: /srv on build-07"),
        (
            Event::TicketMoved { from: "new".into(), to: "resolved".into(), reason: "the fault has passed".into() },
            "INC-1: new → resolved: the fault has passed",
        ),
        (Event::TicketEdited { changed: changed("assignee", None, Some("kim")) }, "INC-1: assignee nothing → kim"),
        (
            Event::TicketCommented { comment: CommentId(Uuid::nil()), text: "I look into it.\n\nSoon.".into() },
            "INC-1: comment: I look into it. Soon.",
        ),
        (Event::LinkAdded { link: link(Rel::CausedBy, End::Ticket(CHANGE)) }, "linked: INC-1 caused by CHG-9"),
        (
            Event::LinkRemoved { link: link(Rel::TrackedBy, End::External("jira:OPS-12".into())) },
            "no longer linked: INC-1 tracked by jira:OPS-12",
        ),
    ]
}

#[test]
fn every_kind_of_event_is_one_line_without_ids() {
    let samples: Vec<_> = [of_agents(), of_keys(), of_assets(), of_sections(), of_the_desk()].concat();
    let kinds: BTreeSet<usize> = samples.iter().map(|(event, _)| number(event)).collect();
    assert_eq!(kinds, (0..KINDS).collect(), "a kind without a sample");
    for (event, expected) in samples {
        let line = text(event);
        assert_eq!(line, expected);
        assert!(!line.contains("00000000-") && !line.contains('\n'), "{line}");
    }
}

#[test]
fn what_people_write_is_shown_from_its_start() {
    let long = "word\n".repeat(4_000);
    let line = text(Event::TicketCommented { comment: CommentId(Uuid::nil()), text: long.clone() });
    assert!(line.starts_with("INC-1: comment: word word") && line.ends_with('…'), "{line}");
    assert!(line.chars().count() < 200, "{line}");
    let line = text(Event::AgentQuarantined { reason: "fork".into(), detail: long });
    assert!((LINE_CHARS - 10..=LINE_CHARS + 1).contains(&line.chars().count()), "{line}");
}

#[test]
fn what_a_later_version_tells_is_named() {
    let other: Told = serde_json::from_str(r#"{"kind":"asset_teleported"}"#).expect("told");
    assert_eq!(entry(other), "asset_teleported");
}
