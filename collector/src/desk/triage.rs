//! Faults become incidents: opened once, counted, resolved by their rule.
//!
//! The register says where a fault stands; this says what that means for people. One fingerprint has at
//! most one open incident. Knows no thresholds and no readings. Flapping, storms, mutes and offline
//! incidents come in a later issue as further reasons in [`suppressed`] and further rules beside `raise`.

use super::links;
use super::model::{End, Kind, Rel, Ticket};
use super::priority::{impact, priority, urgency};
use super::process::{self, Ask, By, Process, is_open};
use super::{bounds, snapshot, tickets};
use crate::event::{Actor, Event, Subject};
use crate::register::health;
use crate::register::model::{Asset, Fault, FaultState, Lifecycle, Step};
use crate::work::{Context, Decision, Known, Needs, Refusal, Reply, Row};
use shared::id::{AssetId, TicketId};
use shared::unit::At;
use std::collections::{BTreeMap, btree_map};

/// Opens incidents, counts them, and reopens them.
const OPENS: Actor = Actor::Rule("auto_incident");
/// Resolves incidents whose fault has passed.
const CLEARS: Actor = Actor::Rule("auto_cleared");
/// Says that a fault holds or has passed.
const HEALTH: Actor = Actor::Rule("health");
/// The rule, and what follows the asset in the fingerprint, of the one incident that stands for all
/// faults beyond the bound.
const OVERFLOW: &str = "incident_overflow";

/// What triage holds while it works: tickets as they are after the steps so far.
struct Desk<'a> {
    asset: &'a Asset,
    known: &'a Known,
    context: &'a mut Context,
    decision: &'a mut Decision,
    /// Incidents of this asset's faults.
    tickets: BTreeMap<TicketId, Ticket>,
}

/// Decides what the desk does about the faults of one asset, after the register decided where they stand.
/// Keeps each fault's row (with the incident opened for it), tells that it holds or has passed, and adds
/// to `decision` what follows from that.
pub fn triage(asset: &Asset, steps: Vec<Step>, known: &Known, context: &mut Context, decision: &mut Decision) {
    let of_asset = |ticket: &&Ticket| {
        ticket.fingerprint.as_deref().is_some_and(|fingerprint| belongs(fingerprint, asset.id))
            || known.faults.values().any(|fault| fault.asset == asset.id && fault.ticket == Some(ticket.id))
    };
    let tickets = known.tickets.values().filter(of_asset).map(|ticket| (ticket.id, ticket.clone())).collect();
    let mut desk = Desk { asset, known, context, decision, tickets };
    for step in steps {
        desk.step(step);
    }
}

impl Desk<'_> {
    fn step(&mut self, step: Step) {
        let Step { mut fault, was } = step;
        let held = matches!(was, Some(FaultState::Raised | FaultState::Passing));
        match fault.state {
            FaultState::Raised if !held => self.raise(&mut fault),
            FaultState::Raised => self.repeat(&mut fault),
            FaultState::Cleared if held => self.clear(&fault),
            FaultState::Pending | FaultState::Passing | FaultState::Cleared => {}
        }
        self.decision.keep(Row::Fault(fault));
    }

    /// A fault holds from now on.
    fn raise(&mut self, fault: &mut Fault) {
        fault.ticket = None;
        let latest = self.latest(&fault.fingerprint);
        let open = latest.clone().filter(is_open);
        let reopened = latest.clone().filter(|ticket| self.reopens(ticket));
        if let Some(ticket) = open {
            fault.ticket = Some(ticket.id);
            self.tell_raised(fault);
            self.count(&ticket, fault);
        } else if let Some(ticket) = reopened {
            fault.ticket = Some(ticket.id);
            self.tell_raised(fault);
            self.reopen(ticket, fault);
        } else if self.suppressed() {
            self.tell_raised(fault);
        } else {
            let id = TicketId(self.context.fresh.uuid());
            let room = self.open_count() < self.context.policy.open_incidents;
            fault.ticket = Some(id).filter(|_| room);
            self.tell_raised(fault);
            if room { self.open(id, fault, latest) } else { self.overflow(fault) }
        }
    }

    /// A fault that holds is told again. One that has no incident yet gets it as soon as it may.
    fn repeat(&mut self, fault: &mut Fault) {
        let ticket = fault.ticket.and_then(|id| self.tickets.get(&id)).cloned();
        match ticket {
            Some(ticket) if is_open(&ticket) => self.count(&ticket, fault),
            Some(_) => {}
            None if fault.ticket.is_some() || self.suppressed() => {}
            None if self.open_count() < self.context.policy.open_incidents => {
                let id = TicketId(self.context.fresh.uuid());
                fault.ticket = Some(id);
                let latest = self.latest(&fault.fingerprint);
                self.open(id, fault, latest);
            }
            None => {}
        }
    }

    /// A fault has passed.
    fn clear(&mut self, fault: &Fault) {
        self.decision.tell(&HEALTH, [Subject::Asset(self.asset.id)], Event::FaultCleared { fault: fault.clone() });
        let ticket = fault.ticket.and_then(|id| self.tickets.get(&id)).filter(|ticket| is_open(ticket)).cloned();
        let Some(ticket) = ticket else { return };
        let said = format!("cleared at {}: {}", moment(self.context.now), fault.detail);
        if ticket.touched {
            let said = format!("The fault was {said}. Somebody works on this incident, so it stays as it is.");
            tickets::say(&CLEARS, ticket.id, cut(&said, bounds::COMMENT_BYTES), self.context, self.decision);
            return;
        }
        let fields = BTreeMap::from([
            ("resolution_code".to_owned(), "auto_cleared".to_owned()),
            ("resolution_text".to_owned(), cut(&said, bounds::FIELD_BYTES).to_owned()),
        ]);
        self.go(&CLEARS, &ticket, "resolved", "the fault has passed", &fields);
    }

    fn tell_raised(&mut self, fault: &Fault) {
        self.decision.tell(&HEALTH, [Subject::Asset(self.asset.id)], Event::FaultRaised { fault: fault.clone() });
    }

    /// Opens the incident, with the ticket it continues if there is one.
    fn open(&mut self, id: TicketId, fault: &Fault, before: Option<Ticket>) {
        let check = shared::health::check(&fault.check).map_or(fault.check.as_str(), |check| check.title);
        let name = self.asset.observed.name.as_deref().unwrap_or("an asset without a name");
        let place = if fault.resource.is_empty() { String::new() } else { format!(": {}", fault.resource) };
        let ticket = Ticket {
            title: cut(&format!("{check}{place} on {name}"), bounds::TITLE_BYTES).to_owned(),
            description: cut(&fault.detail, bounds::DESCRIPTION_BYTES).to_owned(),
            snapshot: Some(snapshot::take(self.asset, fault, self.known, self.context.now)),
            ..self.blank(id, fault, "auto_incident", fault.fingerprint.clone())
        };
        self.tell_opened(&OPENS, ticket);
        if let Some(before) = before {
            let pair = (End::Ticket(id), Rel::Recurs, End::Ticket(before.id));
            links::tie(&OPENS, pair, self.context, self.decision);
            if before.state == "resolved" {
                // Reopened now, it would be a second open incident for the same fault.
                self.go(&OPENS, &before, "closed", "the fault came back as a new incident", &BTreeMap::new());
            }
        }
    }

    /// One incident stands for all faults beyond the bound; people close it.
    fn overflow(&mut self, fault: &Fault) {
        let fingerprint = format!("{}:{OVERFLOW}", self.asset.id);
        if let Some(ticket) = self.latest(&fingerprint).filter(is_open) {
            return self.count(&ticket, fault);
        }
        let id = TicketId(self.context.fresh.uuid());
        let name = self.asset.observed.name.as_deref().unwrap_or("an asset without a name");
        let most = self.context.policy.open_incidents;
        let ticket = Ticket {
            title: cut(&format!("More faults than {most} incidents on {name}"), bounds::TITLE_BYTES).to_owned(),
            description: format!(
                "{most} automatic incidents of this asset are open. Further faults are in its timeline and counted \
                 here; each gets its own incident when one of the others is closed and the fault still holds."
            ),
            snapshot: Some(snapshot::take(self.asset, fault, self.known, self.context.now)),
            ..self.blank(id, fault, OVERFLOW, fingerprint)
        };
        self.tell_opened(&Actor::Rule(OVERFLOW), ticket);
    }

    fn blank(&self, id: TicketId, fault: &Fault, rule: &str, fingerprint: String) -> Ticket {
        let opened =
            self.decision.events.iter().filter(
                |draft| matches!(&draft.event, Event::TicketOpened { ticket } if ticket.kind == Kind::Incident),
            );
        let next = self.known.numbers.get(&Kind::Incident).copied().unwrap_or(1);
        let (impact, urgency) = (impact(self.asset), urgency(fault.severity));
        Ticket {
            id,
            number: next + opened.count() as u64,
            rev: 1,
            kind: Kind::Incident,
            state: Process::of(Kind::Incident).initial.to_owned(),
            title: String::new(),
            description: String::new(),
            impact,
            urgency,
            priority: priority(impact, urgency),
            assignee: None,
            requester: None,
            opened: self.context.now,
            updated: self.context.now,
            resolution_code: None,
            resolution_text: None,
            fields: BTreeMap::new(),
            rule: Some(rule.to_owned()),
            fingerprint: Some(fingerprint),
            count: u64::from(fault.reports.max(1)),
            last_seen: Some(fault.last),
            touched: false,
            snapshot: None,
        }
    }

    fn tell_opened(&mut self, actor: &Actor, ticket: Ticket) {
        let (id, asset) = (ticket.id, self.asset.id);
        let event = Event::TicketOpened { ticket: Box::new(ticket.clone()) };
        self.decision.tell(actor, [Subject::Ticket(id), Subject::Asset(asset)], event);
        self.keep(ticket.clone());
        let pair = (End::Ticket(id), Rel::Affects, End::Asset(asset));
        links::tie(actor, pair, self.context, self.decision);
    }

    /// Counts a repeat: no event and no comment, unless it got worse.
    fn count(&mut self, ticket: &Ticket, fault: &Fault) {
        let mut new = ticket.clone();
        new.count += 1;
        new.last_seen = Some(fault.last);
        if !ticket.touched {
            new.urgency = new.urgency.min(urgency(fault.severity));
            new.priority = priority(new.impact, new.urgency);
        }
        self.write(&OPENS, ticket, new, "");
    }

    fn reopens(&self, ticket: &Ticket) -> bool {
        let done = process::done_at(ticket).unwrap_or(ticket.updated);
        ticket.state == "resolved" && self.context.now.secs_since(done) <= self.context.policy.reopen_s
    }

    fn reopen(&mut self, mut ticket: Ticket, fault: &Fault) {
        let to = if ticket.assignee.is_some() { "in_progress" } else { "new" };
        ticket.count += 1;
        ticket.last_seen = Some(fault.last);
        self.go(&OPENS, &ticket, to, "the fault came back", &BTreeMap::new());
    }

    /// A rule's move. The table has it for every state from which rules move, so a refusal is a mistake in
    /// the table: the ticket stays where it is and the fault's event still tells.
    fn go(&mut self, actor: &Actor, old: &Ticket, to: &str, reason: &str, fields: &BTreeMap<String, String>) {
        let ask = Ask { to, reason, fields, by: By::Rule, now: self.context.now, links: &[] };
        if let Ok(new) = Process::of(old.kind).take(old, &ask) {
            self.write(actor, old, new, reason);
        }
    }

    /// Keeps the ticket; of several rows of one ticket in this decision the last stands, with one revision.
    fn write(&mut self, actor: &Actor, old: &Ticket, new: Ticket, reason: &str) {
        let about = [Subject::Asset(self.asset.id)];
        let mut changes = Decision::new(Reply::Done);
        let new = tickets::write(actor, (old, new), (reason, &about), self.context, &mut changes);
        self.decision.events.extend(changes.events);
        self.keep(new);
    }

    fn keep(&mut self, mut ticket: Ticket) {
        let id = ticket.id;
        self.decision.rows.retain(|row| !matches!(row, Row::Ticket(kept) if kept.id == id));
        ticket.rev = self.known.tickets.get(&id).map_or(1, |before| before.rev + 1);
        self.decision.keep(Row::Ticket(Box::new(ticket.clone())));
        match self.tickets.entry(id) {
            btree_map::Entry::Vacant(place) => drop(place.insert(ticket)),
            btree_map::Entry::Occupied(mut place) => drop(place.insert(ticket)),
        }
    }

    fn latest(&self, fingerprint: &str) -> Option<Ticket> {
        let same = self.tickets.values().filter(|ticket| ticket.fingerprint.as_deref() == Some(fingerprint));
        same.max_by_key(|ticket| (is_open(ticket), ticket.opened, ticket.number)).cloned()
    }

    fn open_count(&self) -> usize {
        self.tickets
            .values()
            .filter(|ticket| is_open(ticket) && ticket.rule.as_deref() == Some("auto_incident"))
            .count()
    }

    /// Whether a fault of the asset makes no ticket now: nobody uses it, or a change is being made to it.
    /// The fault's event is kept all the same.
    fn suppressed(&self) -> bool {
        self.asset.lifecycle != Lifecycle::Deployed
            || snapshot::open_changes(self.asset, self.known)
                .any(|change| matches!(change.state.as_str(), "implementing" | "review"))
    }
}

/// What must be known when time has passed.
pub fn tick_needs() -> Needs {
    Needs { waiting_faults: true, numbers: true, links: true, ..Needs::default() }
}

/// Decides what time alone brings about: faults that held or passed for long enough.
///
/// # Errors
/// None today.
pub fn tick(known: &Known, context: &mut Context) -> Result<Decision, Refusal> {
    let mut decision = Decision::new(Reply::Done);
    let mut steps: BTreeMap<AssetId, Vec<Step>> = BTreeMap::new();
    for fault in known.faults.values() {
        if let Some(step) = health::by_time(fault, context.now, &context.policy) {
            steps.entry(fault.asset).or_default().push(step);
        }
    }
    for (asset, steps) in steps {
        if let Some(asset) = known.assets.get(&asset) {
            triage(asset, steps, known, context, &mut decision);
        }
    }
    Ok(decision)
}

/// Whether a fingerprint is of this asset: it begins with its id.
fn belongs(fingerprint: &str, asset: AssetId) -> bool {
    fingerprint.strip_prefix(&asset.to_string()).is_some_and(|rest| rest.starts_with(':'))
}

fn moment(at: At) -> String {
    jiff::Timestamp::from_microsecond(at.0).map_or_else(|_| at.0.to_string(), |moment| moment.to_string())
}

/// As much of a text as fits, cut between characters.
fn cut(text: &str, bytes: usize) -> &str {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
