//! Stories of the desk, on a small world that keeps what is decided.

use super::model::{End, Kind, Link, Rel, Ticket};
use super::triage::triage;
use crate::decide::{decide, needs};
use crate::event::{Actor, Event, Subject};
use crate::register::model::Step;
use crate::register::model::{Asset, Class, Declared, Fault, FaultState, Lifecycle, Observed, Severity};
use crate::work::{Act, Context, Decision, Fresh, Known, NewTicket, Policy, Refusal, Reply, Row, TicketEdit};
use crate::work::{Needs, Work};
use shared::id::{AssetId, TicketId};
use shared::unit::At;
use std::collections::BTreeMap;
use uuid::Uuid;

mod anything;
mod day;

const KIM: Actor = Actor::Local(1000);
const DAY: i64 = 86_400;

struct World {
    known: Known,
    now: At,
    made: u128,
    policy: Policy,
    events: Vec<(Vec<Subject>, Event)>,
    comments: Vec<String>,
}

impl World {
    fn new() -> World {
        let mut world = World {
            known: Known::default(),
            now: At::from_secs(1_800_000_000),
            made: 0,
            policy: Policy::default(),
            events: Vec::new(),
            comments: Vec::new(),
        };
        let asset = asset();
        world.known.assets.insert(asset.id, asset);
        world
    }

    fn context(&mut self) -> Context {
        self.made += 1;
        Context { now: self.now, fresh: Fresh::new(self.now, self.made.to_be_bytes()), policy: self.policy.clone() }
    }

    fn keep(&mut self, decision: Decision) -> Reply {
        let mut written = std::collections::BTreeSet::new();
        for row in decision.rows {
            match row {
                Row::Ticket(ticket) => {
                    assert!(written.insert(ticket.id), "one row of a ticket in one decision");
                    let before = self.known.tickets.get(&ticket.id).map_or(0, |ticket| ticket.rev);
                    assert_eq!(ticket.rev, before + 1, "revisions grow by one");
                    let next = self.known.numbers.entry(ticket.kind).or_insert(1);
                    *next = (*next).max(ticket.number + 1);
                    self.known.tickets.insert(ticket.id, *ticket);
                }
                Row::Counted { ticket, count, last_seen } => {
                    assert!(written.insert(ticket), "one row of a ticket in one decision");
                    let ticket = self.known.tickets.get_mut(&ticket).expect("a ticket");
                    (ticket.count, ticket.last_seen) = (count, Some(last_seen));
                }
                Row::Link(link) => self.known.links.push(link),
                Row::Unlink(id) => self.known.links.retain(|link| link.id != id),
                Row::Fault(fault) => drop(self.known.faults.insert(fault.fingerprint.clone(), fault)),
                Row::DropFault { fingerprint, .. } => drop(self.known.faults.remove(&fingerprint)),
                Row::Comment(comment) => self.comments.push(comment.text),
                Row::ForgetOnce(_) => {}
                other => panic!("no row of the desk: {other:?}"),
            }
        }
        self.events.extend(decision.events.into_iter().map(|draft| (draft.subjects, draft.event)));
        decision.reply
    }

    fn act(&mut self, act: Act) -> Result<Reply, Refusal> {
        let needs = desk_needs(&act);
        self.known.pair = needs.pair.and_then(|(from, rel, to)| {
            self.known.links.iter().find(|link| link.from == from && link.rel == rel && link.to == to).cloned()
        });
        self.known.link = needs.link.and_then(|id| self.known.links.iter().find(|link| link.id == id).cloned());
        let mut context = self.context();
        let decision = decide(&Work::Act { actor: KIM, act }, &self.known, &mut context)?;
        Ok(self.keep(decision))
    }

    fn open(&mut self, kind: Kind) -> Ticket {
        let new = NewTicket {
            kind,
            title: "Something".into(),
            description: String::new(),
            impact: None,
            urgency: None,
            assignee: None,
            requester: None,
            fields: BTreeMap::new(),
            assets: Vec::new(),
        };
        match self.act(Act::OpenTicket(Box::new(new))) {
            Ok(Reply::Ticket(ticket)) => *ticket,
            other => panic!("not opened: {other:?}"),
        }
    }

    fn go(&mut self, ticket: TicketId, to: &str, fields: &[(&str, &str)]) -> Result<Reply, Refusal> {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.act(Act::MoveTicket { ticket, rev: None, to: to.into(), reason: "because".into(), fields })
    }

    fn link(&mut self, from: End, rel: Rel, to: End) -> Result<Link, Refusal> {
        match self.act(Act::AddLink { from, rel, to })? {
            Reply::Link { link, .. } => Ok(link),
            other => panic!("not a link: {other:?}"),
        }
    }

    /// A fault of the asset goes to `state`; what the desk keeps of it comes back.
    fn fault(&mut self, resource: &str, state: FaultState) -> Fault {
        let before = self.known.faults.get(&format!("{}:disk_space:{resource}", asset().id)).cloned();
        let was = before.as_ref().map(|fault| fault.state);
        let fault = Fault { state, last: self.now, ..before.unwrap_or_else(|| fault(resource, self.now)) };
        let (fingerprint, told) = (fault.fingerprint.clone(), fault.clone());
        let asset = self.known.assets.values().next().cloned().expect("the asset");
        let mut context = self.context();
        let mut decision = Decision::new(Reply::Done);
        triage(&asset, vec![Step { fault, was }], &self.known, &mut context, &mut decision);
        self.keep(decision);
        self.known.faults.get(&fingerprint).cloned().unwrap_or(told)
    }

    fn kinds(&self) -> Vec<String> {
        let kind = |event: &Event| serde_json::to_value(event).expect("json")["kind"].as_str().map(str::to_owned);
        self.events.iter().filter_map(|(_, event)| kind(event)).collect()
    }

    fn only(&self) -> &Ticket {
        assert_eq!(self.known.tickets.len(), 1);
        self.known.tickets.values().next().expect("one ticket")
    }
}

fn desk_needs(act: &Act) -> Needs {
    needs(&Work::Act { actor: KIM, act: act.clone() }, &Policy::default())
}

fn asset() -> Asset {
    Asset {
        id: AssetId(Uuid::from_u128(1)),
        rev: 4,
        created: At(0),
        updated: At(0),
        class: Class::Server,
        lifecycle: Lifecycle::Deployed,
        agent: None,
        observed: Observed { name: Some("build-07".into()), ..Observed::default() },
        declared: Declared { criticality: Some(2), ..Declared::default() },
    }
}

fn fault(resource: &str, now: At) -> Fault {
    Fault {
        asset: asset().id,
        check: "disk_space".into(),
        resource: resource.into(),
        fingerprint: format!("{}:disk_space:{resource}", asset().id),
        state: FaultState::Pending,
        severity: Severity::Major,
        value: 93,
        detail: "93 percent used".into(),
        first: now,
        last: now,
        reports: 2,
        good_since: None,
        ticket: None,
    }
}

#[test]
fn a_fault_becomes_one_incident_that_is_counted_and_resolves_itself() {
    let mut world = World::new();
    world.known.recent_events.insert(asset().id, vec![r#"{"kind":"software_changed"}"#.into()]);
    world.fault("/srv", FaultState::Pending);
    assert_eq!(world.kinds(), Vec::<String>::new());
    let raised = world.fault("/srv", FaultState::Raised);
    assert_eq!(world.kinds(), ["fault_raised", "ticket_opened", "link_added"]);
    let ticket = world.only().clone();
    assert_eq!((ticket.key().as_str(), ticket.title.as_str()), ("INC-1", "Disk space: /srv on build-07"));
    assert_eq!((ticket.impact, ticket.urgency, ticket.priority, ticket.count), (2, 2, 3, 2));
    assert_eq!((ticket.rule.as_deref(), ticket.touched), (Some("auto_incident"), false));
    assert_eq!(raised.ticket, Some(ticket.id));
    let snapshot: serde_json::Value = serde_json::from_str(ticket.snapshot.as_deref().expect("frozen")).expect("json");
    assert_eq!(snapshot["asset"]["observed"]["name"], "build-07");
    assert_eq!((&snapshot["fault"]["value"], &snapshot["events"][0]["kind"]), (&93.into(), &"software_changed".into()));
    for _ in 0..3 {
        world.fault("/srv", FaultState::Raised);
    }
    world.fault("/srv", FaultState::Passing);
    assert_eq!((world.only().count, world.events.len()), (5, 3), "counted without events");
    world.fault("/srv", FaultState::Cleared);
    assert_eq!(world.kinds()[3..], ["fault_cleared", "ticket_edited", "ticket_moved"]);
    let done = world.only();
    assert_eq!((done.state.as_str(), done.resolution_code.as_deref()), ("resolved", Some("auto_cleared")));
    let asset = Subject::Asset(asset().id);
    let told = world.events.iter().filter(|(subjects, _)| subjects.contains(&asset)).count();
    assert_eq!(told, 5, "the asset's timeline tells all but the edit of the ticket's columns");
}

#[test]
fn a_touched_incident_is_told_and_left_to_its_person() {
    let mut world = World::new();
    world.fault("/srv", FaultState::Raised);
    let id = world.only().id;
    world.go(id, "assigned", &[("assignee", "kim")]).expect("assigned");
    world.fault("/srv", FaultState::Cleared);
    assert_eq!(world.only().state, "assigned");
    assert_eq!((world.comments.len(), world.only().rev), (1, 3), "a comment is a revision, also a rule's");
    assert!(world.comments[0].contains("cleared at 2027-01-15T08:00:00Z"), "{}", world.comments[0]);
}

#[test]
fn a_fault_that_comes_back_reopens_within_a_day_and_recurs_later() {
    let mut world = World::new();
    world.fault("/srv", FaultState::Raised);
    world.fault("/srv", FaultState::Cleared);
    world.now = world.now.plus_secs(DAY);
    world.fault("/srv", FaultState::Raised);
    let back = world.only();
    assert_eq!((back.state.as_str(), back.count, &back.resolution_code), ("new", 3, &None));
    world.fault("/srv", FaultState::Cleared);
    world.now = world.now.plus_secs(DAY + 1);
    let raised = world.fault("/srv", FaultState::Raised);
    assert_eq!(world.known.tickets.len(), 2);
    let recurs: Vec<&Link> = world.known.links.iter().filter(|link| link.rel == Rel::Recurs).collect();
    assert_eq!(recurs.len(), 1);
    assert_eq!(recurs[0].from, End::Ticket(raised.ticket.expect("a new one")));
    assert_eq!(recurs[0].source, "auto_incident");
}

#[test]
fn an_assigned_incident_comes_back_in_progress() {
    let mut world = World::new();
    world.fault("/srv", FaultState::Raised);
    let id = world.only().id;
    let edit = TicketEdit { assignee: Some(Some("kim".into())), ..TicketEdit::default() };
    world.act(Act::EditTicket { ticket: id, rev: Some(1), edit }).expect("assigned");
    world.go(id, "assigned", &[]).expect("assigned");
    world.go(id, "in_progress", &[]).expect("in progress");
    world.go(id, "resolved", &[("resolution_code", "fixed"), ("resolution_text", "x")]).expect("resolved");
    world.fault("/srv", FaultState::Cleared);
    world.fault("/srv", FaultState::Raised);
    assert_eq!(world.only().state, "in_progress");
}

#[test]
fn an_incident_that_was_closed_recurs_even_within_a_day() {
    let mut world = World::new();
    world.fault("/srv", FaultState::Raised);
    world.fault("/srv", FaultState::Cleared);
    let id = world.only().id;
    world.go(id, "closed", &[]).expect("closed");
    world.fault("/srv", FaultState::Raised);
    assert_eq!(world.known.links.iter().filter(|link| link.rel == Rel::Recurs).count(), 1);
}

#[test]
fn no_ticket_while_nobody_uses_the_asset_or_a_change_is_made_and_one_as_soon_as_that_is_over() {
    let mut world = World::new();
    let id = asset().id;
    world.known.assets.insert(id, Asset { lifecycle: Lifecycle::InStock, ..asset() });
    assert_eq!(world.fault("/srv", FaultState::Raised).ticket, None);
    assert_eq!(world.kinds(), ["fault_raised"]);
    world.known.assets.insert(id, asset());
    let change = world.open(Kind::Change).id;
    let edit = TicketEdit { fields: BTreeMap::from([("type".into(), "emergency".into())]), ..TicketEdit::default() };
    world.act(Act::EditTicket { ticket: change, rev: None, edit }).expect("an emergency");
    world.go(change, "implementing", &[("assignee", "kim")]).expect("started");
    world.link(End::Ticket(change), Rel::Affects, End::Asset(id)).expect("linked");
    assert_eq!(world.fault("/srv", FaultState::Raised).ticket, None);
    assert_eq!(world.fault("/var", FaultState::Raised).ticket, None);
    world.go(change, "review", &[]).expect("reviewed");
    world.go(change, "closed", &[("resolution_code", "successful"), ("resolution_text", "x")]).expect("closed");
    assert!(world.fault("/srv", FaultState::Raised).ticket.is_some(), "the fault outlived the change");
}

#[test]
fn the_snapshot_names_the_changes_under_way() {
    let mut world = World::new();
    let change = world.open(Kind::Change).id;
    world.link(End::Ticket(change), Rel::Affects, End::Asset(asset().id)).expect("linked");
    let raised = world.fault("/srv", FaultState::Raised).ticket.expect("an incident");
    let text = world.known.tickets[&raised].snapshot.clone().expect("frozen");
    let snapshot: serde_json::Value = serde_json::from_str(&text).expect("json");
    assert_eq!((&snapshot["changes"][0]["key"], &snapshot["changes"][0]["state"]), (&"CHG-1".into(), &"draft".into()));
}

#[test]
fn a_snapshot_keeps_its_bound() {
    let mut world = World::new();
    let events = (0..100).map(|_| format!("\"{}\"", "x".repeat(5000))).collect();
    world.known.recent_events.insert(asset().id, events);
    world.fault("/srv", FaultState::Raised);
    let snapshot = world.only().snapshot.clone().expect("frozen");
    assert!(snapshot.len() <= super::snapshot::SNAPSHOT_BYTES + 64, "{}", snapshot.len());
    assert!(snapshot.contains("xxxxx"));
}

#[test]
fn faults_beyond_the_bound_share_one_incident() {
    let mut world = World::new();
    world.policy.open_incidents = 2;
    for i in 0..6 {
        world.fault(&format!("/{i}"), FaultState::Raised);
    }
    let mut titles: Vec<(&str, u64)> = world.known.tickets.values().map(|t| (t.title.as_str(), t.count)).collect();
    titles.sort_unstable();
    let more = ("More faults than incidents on build-07", 5);
    assert_eq!(titles, [("Disk space: /0 on build-07", 2), ("Disk space: /1 on build-07", 2), more]);
    assert_eq!(world.known.numbers[&Kind::Incident], 4);
    world.fault("/0", FaultState::Cleared);
    assert!(world.fault("/5", FaultState::Raised).ticket.is_some(), "there is room again");
}

#[test]
fn several_faults_of_one_report_get_numbers_of_their_own() {
    let mut world = World::new();
    let steps = ["/a", "/b"].map(|resource| {
        let fault = Fault { state: FaultState::Raised, ..fault(resource, world.now) };
        Step { fault, was: Some(FaultState::Pending) }
    });
    let (mut context, mut decision) = (world.context(), Decision::new(Reply::Done));
    triage(&asset(), steps.to_vec(), &world.known, &mut context, &mut decision);
    world.keep(decision);
    let mut keys: Vec<String> = world.known.tickets.values().map(Ticket::key).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["INC-1", "INC-2"]);
}

#[test]
fn a_fault_that_gets_worse_lifts_an_untouched_incident() {
    let mut world = World::new();
    let raised = world.fault("/srv", FaultState::Raised);
    world.known.faults.insert(raised.fingerprint.clone(), Fault { severity: Severity::Critical, ..raised });
    world.fault("/srv", FaultState::Raised);
    assert_eq!((world.only().urgency, world.only().priority), (1, 2));
    assert_eq!(world.kinds().last().map(String::as_str), Some("ticket_edited"));
}

#[test]
fn time_alone_raises_a_fault_that_waits() {
    let mut world = World::new();
    world.fault("/srv", FaultState::Pending);
    for (seconds, tickets) in [(world.policy.fault_s - 1, 0), (1, 1)] {
        world.now = world.now.plus_secs(seconds);
        let mut context = world.context();
        let decision = decide(&Work::Tick, &world.known, &mut context).expect("decided");
        world.keep(decision);
        assert_eq!(world.known.tickets.len(), tickets);
    }
}

#[test]
fn links_are_typed_made_once_and_told_on_both_sides() {
    let mut world = World::new();
    let (incident, change, request) =
        (world.open(Kind::Incident).id, world.open(Kind::Change).id, world.open(Kind::Request).id);
    let asset = asset().id;
    let before = world.events.len();
    let link = world.link(End::Ticket(incident), Rel::CausedBy, End::Ticket(change)).expect("linked");
    assert_eq!(world.events[before].0, [Subject::Ticket(incident), Subject::Ticket(change)]);
    assert_eq!(world.link(End::Ticket(incident), Rel::CausedBy, End::Ticket(change)), Ok(link.clone()));
    assert_eq!(world.events.len(), before + 1, "the same pair is no event");
    let relates = world.link(End::Ticket(change), Rel::Relates, End::Ticket(incident)).expect("linked");
    assert_eq!(world.link(End::Ticket(incident), Rel::Relates, End::Ticket(change)), Ok(relates), "either way");
    let jira = End::External("jira:OPS-12".into());
    world.link(End::Ticket(incident), Rel::TrackedBy, jira.clone()).expect("linked");
    world.link(End::Asset(asset), Rel::Fulfils, End::Ticket(request)).expect("linked");
    for (from, rel, to) in [
        (End::Asset(asset), Rel::Affects, End::Ticket(incident)),
        (End::Ticket(incident), Rel::Implements, End::Ticket(change)),
        (End::Asset(asset), Rel::Fulfils, End::Ticket(change)),
        (End::Ticket(incident), Rel::Duplicates, End::Ticket(change)),
        (jira.clone(), Rel::TrackedBy, End::Ticket(incident)),
        (jira.clone(), Rel::Relates, End::External("jira:OPS-13".into())),
    ] {
        assert!(matches!(world.link(from, rel, to), Err(Refusal::Invalid { field, .. }) if field == "rel"), "{rel}");
    }
    let nobody = End::Ticket(TicketId(Uuid::from_u128(99)));
    assert!(matches!(world.link(End::Ticket(incident), Rel::Relates, nobody), Err(Refusal::NotFound(_))));
    world.act(Act::RemoveLink { link: link.id }).expect("removed");
    assert_eq!(world.act(Act::RemoveLink { link: link.id }), Err(Refusal::NotFound(format!("link {}", link.id))));
}

#[test]
fn every_relation_has_a_pair() {
    let mut world = World::new();
    let mut ends: Vec<End> =
        Kind::ALL.iter().flat_map(|kind| [*kind; 2]).map(|kind| End::Ticket(world.open(kind).id)).collect();
    let other = Asset { id: AssetId(Uuid::from_u128(2)), ..asset() };
    ends.extend([End::Asset(asset().id), End::Asset(other.id), End::External("jira:A-1".into())]);
    world.known.assets.insert(other.id, other);
    for rel in Rel::ALL {
        let any = ends.iter().flat_map(|a| ends.iter().map(move |b| (a.clone(), b.clone())));
        let fits = any.filter(|(from, to)| world.link(from.clone(), *rel, to.clone()).is_ok()).count();
        assert!(fits > 0, "{rel}");
    }
}

#[test]
fn a_person_edits_with_the_revision_they_saw() {
    let mut world = World::new();
    let id = world.open(Kind::Incident).id;
    let edit = TicketEdit { impact: Some(1), urgency: Some(1), ..TicketEdit::default() };
    let Ok(Reply::Ticket(ticket)) = world.act(Act::EditTicket { ticket: id, rev: Some(1), edit: edit.clone() }) else {
        panic!("edited")
    };
    assert_eq!((ticket.rev, ticket.priority), (2, 1));
    let stale = world.act(Act::EditTicket { ticket: id, rev: Some(1), edit: edit.clone() });
    assert_eq!(stale, Err(Refusal::Stale { what: "INC-1".into(), rev: 2 }));
    let before = world.events.len();
    world.act(Act::EditTicket { ticket: id, rev: Some(2), edit }).expect("nothing changes");
    assert_eq!((world.events.len(), world.known.tickets[&id].rev), (before, 2));
    world.act(Act::CommentTicket { ticket: id, text: "I look into it.\nSoon.".into() }).expect("said");
    assert_eq!(world.known.tickets[&id].rev, 3);
    world.go(id, "cancelled", &[("resolution_code", "no_fault")]).expect("cancelled");
    let edit = TicketEdit { title: Some("x".into()), ..TicketEdit::default() };
    let closed = world.act(Act::EditTicket { ticket: id, rev: None, edit });
    assert!(matches!(closed, Err(Refusal::Conflict(why)) if why.contains("cancelled")));
}

#[test]
fn what_is_too_long_is_refused_by_name() {
    let mut world = World::new();
    let id = world.open(Kind::Incident).id;
    let named = |result: Result<Reply, Refusal>| match result {
        Err(Refusal::Invalid { field, .. }) => field,
        other => panic!("{other:?}"),
    };
    assert_eq!(named(world.act(Act::CommentTicket { ticket: id, text: "x".repeat(16 * 1024 + 1) })), "text");
    let edit = |edit| Act::EditTicket { ticket: id, rev: None, edit };
    let title = TicketEdit { title: Some("x".repeat(513)), ..TicketEdit::default() };
    assert_eq!(named(world.act(edit(title))), "title");
    let title = TicketEdit { title: Some("a\nb".into()), ..TicketEdit::default() };
    assert_eq!(named(world.act(edit(title))), "title");
    let impact = TicketEdit { impact: Some(0), ..TicketEdit::default() };
    assert_eq!(named(world.act(edit(impact))), "impact");
}

#[test]
fn what_a_person_says_of_its_urgency_stands() {
    let mut world = World::new();
    let raised = world.fault("/srv", FaultState::Raised);
    let edit = TicketEdit { urgency: Some(3), ..TicketEdit::default() };
    world.act(Act::EditTicket { ticket: world.only().id, rev: None, edit }).expect("edited");
    world.known.faults.insert(raised.fingerprint.clone(), Fault { severity: Severity::Critical, ..raised });
    world.fault("/srv", FaultState::Raised);
    assert_eq!((world.only().urgency, world.only().count), (3, 3));
}

#[test]
fn who_works_on_it_is_replaced_but_not_taken_away() {
    let mut world = World::new();
    let id = world.open(Kind::Incident).id;
    let assign = |to: Option<&str>| {
        let edit = TicketEdit { assignee: Some(to.map(str::to_owned)), ..TicketEdit::default() };
        Act::EditTicket { ticket: id, rev: None, edit }
    };
    world.act(assign(Some("kim"))).expect("assigned");
    world.act(assign(None)).expect("nobody works on it yet");
    world.go(id, "assigned", &[("assignee", "kim")]).expect("assigned");
    world.go(id, "in_progress", &[]).expect("begun");
    assert!(matches!(world.act(assign(None)), Err(Refusal::Invalid { field, .. }) if field == "assignee"));
    world.act(assign(Some("ann"))).expect("handed over");
    world.go(id, "on_hold", &[("hold_reason", "awaiting_vendor"), ("assignee", "")]).expect("held");
    let alone = world.go(id, "in_progress", &[]);
    assert!(matches!(alone, Err(Refusal::Invalid { field, .. }) if field == "assignee"));
}

#[test]
fn the_journal_does_not_nest_snapshots_and_one_large_event_hides_no_others() {
    let mut world = World::new();
    let large = format!("\"{}\"", "x".repeat(super::snapshot::SNAPSHOT_BYTES));
    world.known.recent_events.insert(asset().id, vec![large, r#"{"kind":"software_changed"}"#.into()]);
    world.fault("/srv", FaultState::Raised);
    let snapshot: serde_json::Value =
        serde_json::from_str(world.only().snapshot.as_deref().expect("frozen")).expect("json");
    assert_eq!(snapshot["events"], serde_json::json!([{"kind": "software_changed"}]));
    let opened = world.events.iter().find_map(|(_, event)| match event {
        Event::TicketOpened { ticket } => Some(ticket.clone()),
        _ => None,
    });
    assert_eq!(opened.expect("told"), Box::new(Ticket { snapshot: None, ..world.only().clone() }));
}
