//! Faults become incidents: opened once, counted, resolved by their rule.
//!
//! The register says where a fault stands; this says what that means for people. One fingerprint has at
//! most one open incident. Knows no thresholds and no readings. Flapping, storms, mutes and offline
//! incidents come in a later issue as further reasons in [`suppressed`] and further rules beside `raise`.

use super::automatic::{Cause, Desk, moment};
use super::model::Ticket;
use super::priority::{impact, urgency};
use super::process::is_open;
use super::{rest, snapshot};
use crate::event::{Actor, Event, Subject};
use crate::register::health;
use crate::register::model::{Asset, Fault, FaultState, Lifecycle, Step};
use crate::work::{Context, Decision, Known, Needs, Policy, Refusal, Reply, Row};
use shared::id::{AssetId, TicketId};
use std::collections::BTreeMap;

/// Says that a fault holds or has passed.
const HEALTH: Actor = Actor::Rule("health");
/// The rule of an incident that was opened for one fault.
const AUTO: &str = "auto_incident";
/// The rule, and what follows the asset in the fingerprint, of the one incident that stands for all
/// faults beyond the bound.
const OVERFLOW: &str = "incident_overflow";
/// Seconds over which the incidents of a day are counted.
const DAY_S: i64 = 86_400;

/// Faults of one asset, and the incidents of its faults.
struct Triage<'a> {
    asset: &'a Asset,
    desk: Desk<'a>,
}

/// Decides what the desk does about the faults of one asset, after the register decided where they stand.
/// Keeps each fault's row (with the incident opened for it) until it has passed, tells that it holds or has
/// passed, and adds to `decision` what follows from that.
pub fn triage(asset: &Asset, steps: Vec<Step>, known: &Known, context: &mut Context, decision: &mut Decision) {
    let tickets = by_asset(known).remove(&asset.id).unwrap_or_default();
    follow(asset, steps, tickets, known, context, decision);
}

/// Tickets that rules opened.
type Tickets = BTreeMap<TicketId, Ticket>;

/// Which tickets are of the faults of which asset: their fingerprints begin with its id, or a fault has them.
fn by_asset(known: &Known) -> BTreeMap<AssetId, Tickets> {
    let mut all: BTreeMap<AssetId, Tickets> = BTreeMap::new();
    for ticket in known.tickets.values() {
        let asset = ticket.fingerprint.as_deref().and_then(|fingerprint| fingerprint.split_once(':')?.0.parse().ok());
        if let Some(asset) = asset {
            all.entry(asset).or_default().insert(ticket.id, ticket.clone());
        }
    }
    for fault in known.faults.values() {
        if let Some(ticket) = fault.ticket.and_then(|id| known.tickets.get(&id)) {
            all.entry(fault.asset).or_default().insert(ticket.id, ticket.clone());
        }
    }
    all
}

fn follow(
    asset: &Asset,
    steps: Vec<Step>,
    tickets: Tickets,
    known: &Known,
    context: &mut Context,
    decision: &mut Decision,
) {
    let about = vec![Subject::Asset(asset.id)];
    let mut triage = Triage { asset, desk: Desk { known, context, decision, about, tickets } };
    for step in steps {
        triage.step(step);
    }
}

impl Triage<'_> {
    fn step(&mut self, step: Step) {
        let Step { mut fault, was } = step;
        let held = matches!(was, Some(FaultState::Raised | FaultState::Passing));
        match fault.state {
            FaultState::Raised if !held => self.raise(&mut fault),
            FaultState::Raised => self.repeat(&mut fault),
            FaultState::Cleared if held => self.clear(&fault),
            FaultState::Pending | FaultState::Passing | FaultState::Cleared => {}
        }
        if fault.state == FaultState::Cleared {
            let Fault { asset, fingerprint, .. } = fault;
            self.desk.decision.keep(Row::DropFault { asset, fingerprint });
        } else if self.desk.known.faults.get(&fault.fingerprint) != Some(&fault) {
            self.desk.decision.keep(Row::Fault(fault));
        }
    }

    /// A fault holds from now on.
    fn raise(&mut self, fault: &mut Fault) {
        fault.ticket = None;
        let latest = self.desk.latest(&fault.fingerprint);
        let open = latest.clone().filter(is_open);
        let reopened = latest.clone().filter(|ticket| self.desk.reopens(ticket));
        if let Some(ticket) = open {
            fault.ticket = Some(ticket.id);
            self.tell_raised(fault);
            self.desk.count(&ticket, fault.last, urgency(fault.severity));
        } else if let Some(ticket) = reopened {
            fault.ticket = Some(ticket.id);
            self.tell_raised(fault);
            self.desk.reopen(ticket, fault.last, "the fault came back");
        } else if self.suppressed() {
            self.tell_raised(fault);
        } else {
            let id = self.fresh();
            let room = self.has_room();
            fault.ticket = Some(id).filter(|_| room);
            self.tell_raised(fault);
            if room { self.open(id, fault, latest) } else { self.overflow(fault) }
        }
    }

    /// A fault that holds is told again. One that has no incident yet gets it as soon as it may.
    fn repeat(&mut self, fault: &mut Fault) {
        let ticket = fault.ticket.and_then(|id| self.desk.tickets.get(&id)).cloned();
        match ticket {
            Some(ticket) if is_open(&ticket) => self.desk.count(&ticket, fault.last, urgency(fault.severity)),
            Some(_) => {}
            None if fault.ticket.is_some() => {}
            None => self.attach(fault),
        }
    }

    /// A fault that held and had no incident: the open one of its fingerprint is its own, and else it gets a new
    /// one if it may.
    fn attach(&mut self, fault: &mut Fault) {
        let latest = self.desk.latest(&fault.fingerprint);
        if let Some(ticket) = latest.clone().filter(is_open) {
            fault.ticket = Some(ticket.id);
            self.desk.count(&ticket, fault.last, urgency(fault.severity));
        } else if !self.suppressed() && self.has_room() {
            let id = self.fresh();
            fault.ticket = Some(id);
            self.open(id, fault, latest);
        }
    }

    /// A fault has passed.
    fn clear(&mut self, fault: &Fault) {
        let about = [Subject::Asset(self.asset.id)];
        self.desk.decision.tell(&HEALTH, about, Event::FaultCleared { fault: fault.clone() });
        let ticket = fault.ticket.and_then(|id| self.desk.tickets.get(&id)).filter(|ticket| is_open(ticket)).cloned();
        if let Some(ticket) = ticket {
            let said = format!("The fault was cleared at {}: {}.", moment(self.desk.context.now), fault.detail);
            self.desk.over(&ticket, "the fault has passed", &said);
        }
    }

    fn tell_raised(&mut self, fault: &Fault) {
        let about = [Subject::Asset(self.asset.id)];
        self.desk.decision.tell(&HEALTH, about, Event::FaultRaised { fault: fault.clone() });
    }

    fn fresh(&mut self) -> TicketId {
        TicketId(self.desk.context.fresh.uuid())
    }

    /// Opens the incident of a fault, with the ticket it continues if there is one.
    fn open(&mut self, id: TicketId, fault: &Fault, before: Option<Ticket>) {
        let check = shared::health::check(&fault.check).map_or(fault.check.as_str(), |check| check.title);
        let place = if fault.resource.is_empty() { String::new() } else { format!(": {}", fault.resource) };
        let cause = Cause {
            title: format!("{check}{place} on {}", self.asset.title()),
            description: fault.detail.clone(),
            ..self.cause(fault, AUTO, fault.fingerprint.clone())
        };
        self.desk.open(id, cause, before);
    }

    /// One incident stands for all faults beyond the bound; people close it.
    fn overflow(&mut self, fault: &Fault) {
        let fingerprint = format!("{}:{OVERFLOW}", self.asset.id);
        if let Some(ticket) = self.desk.latest(&fingerprint).filter(is_open) {
            return self.desk.count(&ticket, fault.last, urgency(fault.severity));
        }
        let id = self.fresh();
        let Policy { open_incidents: most, day_incidents: day, .. } = self.desk.context.policy;
        let cause = Cause {
            title: format!("More faults than incidents on {}", self.asset.title()),
            description: format!(
                "{most} automatic incidents of this asset are open, or {day} were opened within 24 hours. Further \
                 faults are in its timeline and counted here; each gets its own incident when there is room for \
                 one and the fault still holds."
            ),
            ..self.cause(fault, OVERFLOW, fingerprint)
        };
        self.desk.open(id, cause, None);
    }

    fn cause(&self, fault: &Fault, rule: &'static str, fingerprint: String) -> Cause {
        Cause {
            rule,
            fingerprint,
            title: String::new(),
            description: String::new(),
            snapshot: snapshot::of_fault(self.asset, fault, self.desk.known, self.desk.context.now),
            impact: impact(self.asset),
            urgency: urgency(fault.severity),
            count: u64::from(fault.reports.max(1)),
            last: fault.last,
            affects: vec![self.asset.id],
        }
    }

    /// Whether a fault may have an incident of its own: only so many are open, and only so many are opened a day.
    fn has_room(&self) -> bool {
        let Context { policy, now, .. } = &self.desk.context;
        let own = || self.desk.tickets.values().filter(|ticket| ticket.rule.as_deref() == Some(AUTO));
        let open = own().filter(|ticket| is_open(ticket)).count();
        let today = own().filter(|ticket| now.secs_since(ticket.opened) < DAY_S).count();
        open < policy.open_incidents && today < policy.day_incidents
    }

    /// Whether a fault of the asset makes no ticket now: nobody uses it, or a change is being made to it.
    /// The fault's event is kept all the same.
    fn suppressed(&self) -> bool {
        self.asset.lifecycle != Lifecycle::Deployed
            || snapshot::open_changes(self.asset, self.desk.known)
                .any(|change| matches!(change.state.as_str(), "implementing" | "review"))
    }
}

/// What must be known when time has passed.
pub fn tick_needs() -> Needs {
    Needs {
        waiting_faults: true,
        recent_events: snapshot::SNAPSHOT_EVENTS,
        resting: rest::needs(),
        numbers: true,
        links: true,
        ..Needs::default()
    }
}

/// Decides what time alone brings about: faults that held or passed for long enough, tickets that rested.
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
    let mut tickets = by_asset(known);
    for (asset, steps) in steps {
        if let Some(asset) = known.assets.get(&asset) {
            let tickets = tickets.remove(&asset.id).unwrap_or_default();
            follow(asset, steps, tickets, known, context, &mut decision);
        }
    }
    rest::tick(known, context, &mut decision);
    Ok(decision)
}

#[cfg(test)]
mod tests;
