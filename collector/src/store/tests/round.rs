//! Every row comes back as it was kept.

use super::*;
use crate::desk::model::{Comment, End, Kind, Link, Rel, Ticket};
use crate::register::model::*;
use crate::store::cells::one;
use crate::store::engine::Sql;
use crate::store::journal::Journal;
use crate::store::load::{self, Source};
use crate::store::page::Page;
use crate::store::table::desk::read_comment;
use crate::store::table::software::Dictionary;
use crate::store::{apply, read};
use crate::work::{Decision, Known, Needs, Row, Rows};
use shared::checkin::{Goodbye, Problem, State, Why};
use shared::digest::{self, Digest};
use shared::evidence::{Evidence, Kind as EvidenceKind};
use shared::id::*;
use std::collections::BTreeMap;

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

struct Kept {
    engine: Sqlite,
    dictionary: Dictionary,
    journal: Journal,
    _directory: TempDir,
}

impl Kept {
    fn new() -> Kept {
        let (directory, path) = place();
        let mut engine = fresh(&path);
        let journal = Journal::open(&mut engine).expect("a journal");
        Kept { engine, dictionary: Dictionary::default(), journal, _directory: directory }
    }

    fn keep(&mut self, rows: Vec<Row>) -> Result<(), Error> {
        let decision = Decision { rows, ..Decision::new(Reply::Done) };
        apply::apply(
            &mut self.engine,
            &mut self.dictionary,
            &mut self.journal,
            (&Known::default(), &decision),
            CauseId(id(1)),
            NOW,
        )
    }

    fn load(&mut self, needs: Needs) -> Known {
        let Kept { engine, dictionary, journal, .. } = self;
        let mut source = Source { engine, dictionary, journal, heard: &|_| None, now: NOW };
        load::load(&mut source, &needs).expect("loaded")
    }
}

fn agent() -> Agent {
    let cert = |generation| Cert { generation, fingerprint: format!("f{generation}"), expires: NOW };
    Agent {
        id: AgentId(id(10)),
        rev: 1,
        state: AgentState::Quarantined,
        reason: "why".into(),
        name: "host".into(),
        version: "0.1.0".into(),
        token: JoinTokenId(id(1)),
        labels: [("a".to_owned(), "b".to_owned())].into(),
        source: "::1".into(),
        enrolled: NOW,
        first_key: "k".into(),
        current: Some(cert(3)),
        next: Some(cert(4)),
        roots: 7,
        recoveries: 2,
        asset: Some(AssetId(id(20))),
        stream: Some(Digest([9; 16])),
        seq: u64::MAX,
        record: Digest([1; 16]),
        root: Digest([2; 16]),
        goodbye: Some(Goodbye::Sleep),
    }
}

fn asset(n: u128) -> Asset {
    let some = |text: &str| Some(text.to_owned());
    Asset {
        id: AssetId(id(n)),
        rev: 1,
        created: NOW,
        updated: NOW,
        class: Class::Laptop,
        lifecycle: Lifecycle::InRepair,
        agent: Some(AgentId(id(10))),
        observed: Observed {
            name: some("Host-100%"),
            maker: some("Dell Inc."),
            model: some("X_1"),
            serial: some("S1"),
            os_name: some("Debian"),
            os_version: some("12"),
            kernel: some("6.1"),
            arch: some("amd64"),
            memory_bytes: Some(1 << 40),
            cpu: some("CPU"),
        },
        declared: Declared { tag: some("T1"), owner: some("kim"), location: some("Bern"), criticality: Some(4) },
    }
}

fn evidence(value: &str) -> Evidence {
    Evidence { kind: EvidenceKind::DiskWwn, value: value.into() }
}

#[test]
fn an_agent_its_asset_and_its_sections() {
    let mut kept = Kept::new();
    let item = Item { size: Some(-1), serial: Some("D1".into()), ..Item::new("disk", "wwn-1") }
        .with("bus", Some("sata"))
        .with_now("c", Some(40_i64));
    let head = Section {
        name: "disks".into(),
        state: State::Failed,
        digest: Digest([5; 16]),
        rows: 1,
        problems: vec![Problem::new(Why::Denied, "x").detail("y")],
        truncated: true,
        held: Some(Digest([6; 16])),
        changed: NOW,
    };
    let software = Section { name: "dpkg".into(), rows: 2, ..head.clone() };
    let own = AssetId(id(20));
    let (old, new) = (package("bash", "5.1"), package("curl", "7.88"));
    kept.keep(vec![
        Row::Agent(Box::new(agent())),
        Row::Asset(Box::new(asset(20))),
        Row::Asset(Box::new(asset(21))),
        Row::Evidence(own, vec![evidence("gone"), evidence("both")]),
        Row::Evidence(own, vec![evidence("both"), evidence("mine")]),
        Row::Evidence(AssetId(id(21)), vec![evidence("both")]),
        Row::Addresses(own, vec!["192.0.2.7".into()]),
        Row::Section(own, head.clone()),
        Row::Section(own, software.clone()),
        Row::Items {
            asset: own,
            section: "disks".into(),
            put: vec![Item::new("disk", "old")],
            del: vec![],
            whole: true,
        },
        Row::Items { asset: own, section: "disks".into(), put: vec![item.clone()], del: vec![], whole: true },
        Row::Software { asset: own, section: "dpkg".into(), keep: vec![], add: vec![old.clone(), new.clone()] },
    ])
    .expect("kept");
    let asked = [("disks".to_owned(), Rows::All), ("dpkg".to_owned(), Rows::Keys(vec![new.key.clone()]))];
    let known = kept.load(Needs {
        agent: Some(agent().id),
        sections: asked.into(),
        evidence: vec![evidence("both"), evidence("none")],
        ..Needs::default()
    });
    let own = known.own.expect("its asset");
    assert_eq!((known.agent, own.asset.clone()), (Some(agent()), asset(20)));
    assert_eq!(own.evidence, [evidence("both"), evidence("mine")]);
    assert_eq!(known.sections, BTreeMap::from([("disks".to_owned(), head), ("dpkg".to_owned(), software)]));
    assert_eq!(known.items["disks"], BTreeMap::from([(item.key.clone(), item)]));
    let software = &known.software["dpkg"];
    let touched = software.touched.get(&new.key).map(|held| (held.version.as_str(), held.row));
    assert_eq!(touched, Some(("7.88", digest::row(&new))));
    let others: Vec<Digest> = software.others.iter().map(|(_, row)| *row).collect();
    assert_eq!(others, [digest::row(&old)]);
    assert_eq!(known.holders, BTreeMap::from([(evidence("both"), 2)]));
    assert_eq!(known.candidates.iter().map(|c| c.asset.id).collect::<Vec<_>>(), [AssetId(id(21))]);

    let mut next = agent();
    next.rev = 3;
    assert_eq!(kept.keep(vec![Row::Agent(Box::new(next))]), Err(Error::Raced), "revision 2 is missing");
    kept.keep(vec![Row::DropSection { asset: own.asset.id, section: "disks".into() }]).expect("dropped");
    let needs = Needs { agent: Some(agent().id), sections: [("disks".into(), Rows::All)].into(), ..Needs::default() };
    let known = kept.load(needs);
    assert!(!known.sections.contains_key("disks") && known.items["disks"].is_empty());
}

fn ticket(number: u64) -> Ticket {
    let some = |text: &str| Some(text.to_owned());
    Ticket {
        id: TicketId(id(30 + u128::from(number))),
        number,
        rev: 1,
        kind: Kind::Incident,
        state: "new".into(),
        title: "disk full".into(),
        description: "d".into(),
        impact: 3,
        urgency: 2,
        priority: 4,
        assignee: some("a"),
        requester: some("r"),
        opened: NOW,
        updated: NOW,
        resolution_code: some("c"),
        resolution_text: some("t"),
        fields: [("risk".to_owned(), "low".to_owned())].into(),
        rule: some("x"),
        fingerprint: some("fp"),
        count: 7,
        last_seen: Some(NOW),
        touched: true,
        snapshot: some("{}"),
    }
}

fn fault() -> Fault {
    Fault {
        asset: AssetId(id(20)),
        check: "disk_space".into(),
        resource: "/".into(),
        fingerprint: "fp".into(),
        state: FaultState::Passing,
        severity: Severity::Critical,
        value: 97,
        detail: "97 %".into(),
        first: NOW,
        last: NOW,
        reports: 2,
        good_since: Some(NOW),
        ticket: Some(ticket(17).id),
    }
}

fn affects() -> Link {
    Link {
        id: LinkId(id(50)),
        from: End::Ticket(ticket(17).id),
        rel: Rel::Affects,
        to: End::Asset(AssetId(id(20))),
        source: "human".into(),
        created: NOW,
    }
}

#[test]
fn faults_tickets_comments_and_links() {
    let mut kept = Kept::new();
    let (own, fault, link) = (AssetId(id(20)), fault(), affects());
    let comment =
        Comment { id: CommentId(id(40)), ticket: ticket(17).id, at: NOW, actor: "local:0".into(), text: "hm\n".into() };
    kept.keep(vec![
        Row::Agent(Box::new(agent())),
        Row::Asset(Box::new(asset(20))),
        Row::Fault(fault.clone()),
        Row::Ticket(Box::new(ticket(17))),
        Row::Comment(comment.clone()),
        Row::Link(link.clone()),
    ])
    .expect("kept");
    let known = kept.load(Needs {
        agent: Some(agent().id),
        numbers: true,
        fault_tickets: true,
        links: true,
        only_with_faults: true,
        link: Some(link.id),
        pair: Some((link.from.clone(), link.rel, link.to.clone())),
        ..Needs::default()
    });
    assert_eq!(known.faults, BTreeMap::from([("fp".to_owned(), fault)]));
    assert_eq!(known.tickets, BTreeMap::from([(ticket(17).id, Ticket { snapshot: None, ..ticket(17) })]));
    assert_eq!((known.numbers[&Kind::Incident], known.numbers[&Kind::Change]), (18, 1));
    assert_eq!(
        (known.link.as_ref(), known.pair.as_ref(), &known.links[..]),
        (Some(&link), Some(&link), &[link.clone()][..])
    );

    let sql = Sql("select sum, id, ticket, at, actor, text from comment");
    assert_eq!(one(&mut kept.engine, sql, &[], read_comment), Ok(Some(comment)));
    let unsaid = read::tickets::comments(&mut kept.engine, ticket(17).id, &Page::default());
    assert!(matches!(unsaid, Err(Error::Damaged { table: "comment", .. })), "no event tells of it: {unsaid:?}");
    let by_asset =
        read::tickets::TicketFilter { asset: Some(own), not_states: vec!["closed".into()], ..Default::default() };
    assert_eq!(read::tickets::list(&mut kept.engine, &by_asset, &Page::default()).expect("tickets").rows, [ticket(17)]);
    assert_eq!(read::tickets::by_number(&mut kept.engine, Kind::Incident, 17), Ok(Some(ticket(17))));
    assert_eq!(kept.keep(vec![Row::Link(Link { id: LinkId(id(51)), ..link.clone() })]), Err(Error::Raced));
    kept.keep(vec![Row::Unlink(link.id)]).expect("gone");
    assert_eq!(read::links::list(&mut kept.engine, Some(&link.to), None, &Page::default()).expect("links").rows, []);
}

#[test]
fn time_is_asked_only_of_what_can_be_told_and_assets_only_of_open_tickets() {
    let mut kept = Kept::new();
    let own = AssetId(id(20));
    let rows = vec![Row::Agent(Box::new(agent())), Row::Asset(Box::new(asset(20))), Row::Fault(fault())];
    kept.keep(rows).expect("kept");
    kept.keep(vec![Row::Ticket(Box::new(ticket(17))), Row::Link(affects())]).expect("kept");
    let mut waiting = |rows: Vec<Row>| {
        kept.keep(rows).expect("kept");
        let ticked = kept.load(Needs { waiting_faults: true, fault_tickets: true, ..Needs::default() });
        (ticked.faults.len(), ticked.assets.len(), ticked.tickets.len())
    };
    assert_eq!(waiting(vec![]), (0, 0, 0), "its agent said goodbye");
    assert_eq!(waiting(vec![Row::Agent(Box::new(Agent { rev: 2, goodbye: None, ..agent() }))]), (1, 1, 1));
    let head = |state| Section {
        name: "health_disks".into(),
        state,
        digest: Digest([3; 16]),
        rows: 1,
        problems: Vec::new(),
        truncated: false,
        held: None,
        changed: NOW,
    };
    assert_eq!(waiting(vec![Row::Section(own, head(State::Failed))]), (0, 0, 0), "its section cannot be read");
    assert_eq!(waiting(vec![Row::Section(own, head(State::Seen))]), (1, 1, 1));
    let all = |open_states| Needs {
        agent: Some(agent().id),
        fault_tickets: true,
        links: true,
        open_states,
        ..Needs::default()
    };
    assert_eq!(kept.load(all(vec!["closed"])).links.len(), 0, "a ticket in another state is of no matter");
    assert_eq!(kept.load(all(vec!["new"])).links.len(), 1);
}

#[test]
fn tokens_and_what_is_held_back() {
    let mut kept = Kept::new();
    let api = ApiToken {
        id: ApiTokenId(id(60)),
        rev: 1,
        hash: [3; 32],
        name: "n".into(),
        scopes: vec!["assets:read".into()],
        created: NOW,
        creator: "local:0".into(),
        expires: NOW,
        cidr: Some("10.0.0.0/8".into()),
        revoked: true,
    };
    kept.keep(vec![Row::JoinToken(join_token(1)), Row::ApiToken(api.clone()), Row::Agent(Box::new(agent()))])
        .expect("kept");
    let known = kept.load(Needs {
        join_token: Some(join_token(1).id),
        api_token: Some(api.id),
        first_key: Some((agent().token, "k".into())),
        ..Needs::default()
    });
    assert_eq!((known.join_token, known.api_token, known.enrolled), (Some(join_token(1)), Some(api), Some(agent())));
    let held = |n: u8| Row::Held { agent: agent().id, stream: Digest([n; 16]), record: n.to_string() };
    kept.keep((0..20).map(held).collect()).expect("kept");
    assert_eq!(read::agents::held(&mut kept.engine, agent().id).expect("held").len(), 8);
}
