//! Incidents that rules open, whatever for: found again by their fingerprint, opened once, counted, reopened,
//! resolved while no person touched them.
//!
//! One fingerprint has at most one open incident. Knows neither faults nor agents: `triage` and `quarantine` say
//! what is the matter.

use super::model::{End, Kind, Rel, Ticket};
use super::priority::priority;
use super::process::{self, Ask, By, Process, is_open};
use super::{bounds, links, tickets};
use crate::event::{Actor, Event, Subject};
use crate::work::{Context, Decision, Known, Reply, Row};
use shared::id::{AssetId, TicketId};
use shared::unit::At;
use std::collections::{BTreeMap, btree_map};

/// Opens incidents, counts them, and reopens them.
pub(super) const OPENS: Actor = Actor::Rule("auto_incident");
/// Resolves incidents whose cause has passed.
const CLEARS: Actor = Actor::Rule("auto_cleared");
/// Days after which what happens again is no longer told as a recurrence.
const RECURS_DAYS: i64 = 30;

/// What a rule holds while it works: tickets as they are after the steps so far.
pub(super) struct Desk<'a> {
    pub(super) known: &'a Known,
    pub(super) context: &'a mut Context,
    pub(super) decision: &'a mut Decision,
    /// Whose timelines tell of the tickets, besides their own.
    pub(super) about: Vec<Subject>,
    /// Incidents that the rule may have opened before.
    pub(super) tickets: BTreeMap<TicketId, Ticket>,
}

/// What an incident is opened for.
pub(super) struct Cause {
    pub(super) rule: &'static str,
    pub(super) fingerprint: String,
    pub(super) title: String,
    pub(super) description: String,
    pub(super) snapshot: String,
    pub(super) impact: u8,
    pub(super) urgency: u8,
    /// How often it was told.
    pub(super) count: u64,
    /// When it was last told.
    pub(super) last: At,
    /// What it concerns.
    pub(super) affects: Vec<AssetId>,
}

impl Desk<'_> {
    /// The incident of this fingerprint: the open one, or else the newest.
    pub(super) fn latest(&self, fingerprint: &str) -> Option<Ticket> {
        let same = self.tickets.values().filter(|ticket| ticket.fingerprint.as_deref() == Some(fingerprint));
        same.max_by_key(|ticket| (is_open(ticket), ticket.opened, ticket.number)).cloned()
    }

    /// Opens an incident, with the one it continues if there is one.
    pub(super) fn open(&mut self, id: TicketId, cause: Cause, before: Option<Ticket>) {
        let actor = Actor::Rule(cause.rule);
        let affects = cause.affects.clone();
        let ticket = self.ticket(id, cause);
        let subjects = [Subject::Ticket(id)].into_iter().chain(self.about.iter().copied());
        self.decision.tell(&actor, subjects, Event::opened(&ticket));
        self.keep(ticket);
        for asset in affects {
            let pair = (End::Ticket(id), Rel::Affects, End::Asset(asset));
            links::tie(&actor, pair, self.context, self.decision);
        }
        let Some(before) = before else { return };
        if self.context.now.secs_since(before.last_seen.unwrap_or(before.opened)) <= RECURS_DAYS * 86_400 {
            let pair = (End::Ticket(id), Rel::Recurs, End::Ticket(before.id));
            links::tie(&actor, pair, self.context, self.decision);
        }
        if before.state == "resolved" {
            // Reopened now, it would be a second open incident of the same fingerprint.
            self.go(&actor, &before, "closed", "it came back as a new incident", &BTreeMap::new());
        }
    }

    fn ticket(&self, id: TicketId, cause: Cause) -> Ticket {
        let opened =
            self.decision.events.iter().filter(
                |draft| matches!(&draft.event, Event::TicketOpened { ticket } if ticket.kind == Kind::Incident),
            );
        let next = self.known.numbers.get(&Kind::Incident).copied().unwrap_or(1);
        Ticket {
            id,
            number: next + opened.count() as u64,
            rev: 1,
            kind: Kind::Incident,
            state: Process::of(Kind::Incident).initial.to_owned(),
            title: cut(&cause.title, bounds::TITLE_BYTES).to_owned(),
            description: cut(&cause.description, bounds::DESCRIPTION_BYTES).to_owned(),
            impact: cause.impact,
            urgency: cause.urgency,
            priority: priority(cause.impact, cause.urgency),
            assignee: None,
            requester: None,
            opened: self.context.now,
            updated: self.context.now,
            resolution_code: None,
            resolution_text: None,
            fields: BTreeMap::new(),
            rule: Some(cause.rule.to_owned()),
            fingerprint: Some(cause.fingerprint),
            count: cause.count,
            last_seen: Some(cause.last),
            touched: false,
            snapshot: Some(cause.snapshot),
        }
    }

    /// Counts a repeat: no event, no comment and no new revision, unless it got worse. So whoever edits the ticket
    /// while the machine reports edits what they saw.
    pub(super) fn count(&mut self, ticket: &Ticket, last: At, urgency: u8) {
        let mut new = ticket.clone();
        new.count += 1;
        new.last_seen = Some(last);
        if !ticket.touched {
            new.urgency = new.urgency.min(urgency);
            new.priority = priority(new.impact, new.urgency);
        }
        let id = ticket.id;
        let written = self.decision.rows.iter().any(|row| matches!(row, Row::Ticket(kept) if kept.id == id));
        if written || new.urgency != ticket.urgency {
            return self.write(&OPENS, ticket, new, "");
        }
        self.decision.rows.retain(|row| !matches!(row, Row::Counted { ticket, .. } if *ticket == id));
        self.decision.keep(Row::Counted { ticket: id, count: new.count, last_seen: last });
        self.tickets.insert(id, new);
    }

    /// Whether what comes back now belongs to this incident rather than to a new one.
    pub(super) fn reopens(&self, ticket: &Ticket) -> bool {
        let done = process::done_at(ticket).unwrap_or(ticket.updated);
        ticket.state == "resolved" && self.context.now.secs_since(done) <= self.context.policy.reopen_s
    }

    pub(super) fn reopen(&mut self, mut ticket: Ticket, last: At, reason: &str) {
        let to = if ticket.assignee.is_some() { "in_progress" } else { "new" };
        ticket.count += 1;
        ticket.last_seen = Some(last);
        self.go(&OPENS, &ticket, to, reason, &BTreeMap::new());
    }

    /// What an open incident was opened for is over: it is resolved, or whoever works on it is told.
    pub(super) fn over(&mut self, ticket: &Ticket, reason: &str, said: &str) {
        if ticket.touched {
            let said = format!("{said} Somebody works on this incident, so it stays as it is.");
            self.say(&CLEARS, ticket.id, &said);
            return;
        }
        let fields = BTreeMap::from([
            ("resolution_code".to_owned(), "auto_cleared".to_owned()),
            ("resolution_text".to_owned(), cut(said, bounds::FIELD_BYTES).to_owned()),
        ]);
        self.go(&CLEARS, ticket, "resolved", reason, &fields);
    }

    /// Writes a comment; like a person's it is a new revision of the ticket.
    pub(super) fn say(&mut self, actor: &Actor, ticket: TicketId, said: &str) {
        tickets::say(actor, ticket, cut(said, bounds::COMMENT_BYTES), self.context, self.decision);
        if let Some(held) = self.tickets.get(&ticket) {
            self.keep(Ticket { updated: self.context.now, ..held.clone() });
        }
    }

    /// A rule's move. The table has it for every state from which rules move, so a refusal is a mistake in
    /// the table: the ticket stays where it is and its cause's event still tells.
    fn go(&mut self, actor: &Actor, old: &Ticket, to: &str, reason: &str, fields: &BTreeMap<String, String>) {
        if let Some(new) = moved(old, to, reason, fields, self.context.now) {
            self.write(actor, old, new, reason);
        }
    }

    /// Keeps the ticket; of several rows of one ticket in this decision the last stands, with one revision.
    fn write(&mut self, actor: &Actor, old: &Ticket, new: Ticket, reason: &str) {
        let mut changes = Decision::new(Reply::Done);
        let new = tickets::write(actor, (old, new), (reason, &self.about), self.context, &mut changes);
        self.decision.events.extend(changes.events);
        self.keep(new);
    }

    fn keep(&mut self, mut ticket: Ticket) {
        let id = ticket.id;
        self.decision.rows.retain(|row| match row {
            Row::Ticket(kept) => kept.id != id,
            Row::Counted { ticket, .. } => *ticket != id,
            _ => true,
        });
        ticket.rev = self.known.tickets.get(&id).map_or(1, |before| before.rev + 1);
        self.decision.keep(Row::Ticket(Box::new(ticket.clone())));
        match self.tickets.entry(id) {
            btree_map::Entry::Vacant(place) => drop(place.insert(ticket)),
            btree_map::Entry::Occupied(mut place) => drop(place.insert(ticket)),
        }
    }
}

/// The ticket after a move that a rule makes; `None` where its process has no such move.
pub(super) fn moved(
    old: &Ticket,
    to: &str,
    reason: &str,
    fields: &BTreeMap<String, String>,
    now: At,
) -> Option<Ticket> {
    let ask = Ask { to, reason, fields, by: By::Rule, now, links: &[], tickets: &BTreeMap::new() };
    Process::of(old.kind).take(old, &ask).ok()
}

/// A moment in words.
pub(super) fn moment(at: At) -> String {
    jiff::Timestamp::from_microsecond(at.0).map_or_else(|_| at.0.to_string(), |moment| moment.to_string())
}

/// As much of a text as fits, cut between characters.
pub(super) fn cut(text: &str, bytes: usize) -> &str {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
