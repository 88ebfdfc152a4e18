//! A quarantined key becomes one incident: opened with the conflict's explanation frozen, linked to the assets
//! concerned, counted while more evidence comes, resolved when a person has decided on the agent.
//!
//! The fingerprint is the agent, so that no number of reports opens a second one. Why an agent is quarantined,
//! the register says (`register::quarantine`); lifecycle and changes do not silence this: it is a matter of
//! security, not of health.

use super::automatic::{Cause, Desk, OPENS};
use super::model::{End, Link, Rel};
use super::priority::{impact, urgency};
use super::process::is_open;
use super::{links, snapshot};
use crate::event::Subject;
use crate::register::model::{Agent, Asset, Custody, CustodyStep, Severity};
use crate::work::{Context, Decision, Known};
use shared::id::{AgentId, AssetId, TicketId};

/// The rule that opens these incidents, and what follows the agent in the fingerprint.
const RULE: &str = "quarantine";

/// Decides what the desk does about a step of an agent's custody.
pub fn follow(custody: &Custody, known: &Known, context: &mut Context, decision: &mut Decision) {
    let Custody { agent, step } = custody;
    let print = fingerprint(agent.id);
    let tickets = known.tickets.values().filter(|ticket| ticket.fingerprint.as_ref() == Some(&print));
    let tickets = tickets.map(|ticket| (ticket.id, ticket.clone())).collect();
    let about = agent.asset.map(Subject::Asset).into_iter().chain([Subject::Agent(agent.id)]).collect();
    let mut desk = Desk { known, context, decision, about, tickets };
    let latest = desk.latest(&print);
    let now = desk.context.now;
    match (step, latest) {
        (CustodyStep::Held { .. } | CustodyStep::Again, Some(ticket)) if is_open(&ticket) => {
            desk.count(&ticket, now, urgency(Severity::Major));
        }
        // A person closed it although the key is still held: it stays closed.
        (CustodyStep::Again, _) => {}
        (CustodyStep::Held { reason, detail, other }, Some(ticket)) if desk.reopens(&ticket) => {
            let id = ticket.id;
            desk.reopen(ticket, now, "it was quarantined again");
            desk.say(&OPENS, id, &format!("{}: {detail}.", title(reason, agent, known)));
            link_once(&mut desk, id, concerned(agent, *other, known));
        }
        (CustodyStep::Held { reason, detail, other }, before) => {
            let id = TicketId(desk.context.fresh.uuid());
            let cause = cause(agent, (reason, detail), *other, &desk);
            desk.open(id, cause, before);
        }
        (CustodyStep::Ended { how, reason }, Some(ticket)) if is_open(&ticket) => {
            let said = format!("The quarantine was ended ({how}): {reason}.");
            desk.over(&ticket, "the quarantine was ended", &said);
        }
        (CustodyStep::Ended { .. }, _) => {}
    }
}

/// By what the incident of an agent's quarantine is found again.
pub fn fingerprint(agent: AgentId) -> String {
    format!("{agent}:{RULE}")
}

fn cause(agent: &Agent, (reason, detail): (&str, &str), other: Option<AssetId>, desk: &Desk<'_>) -> Cause {
    let (known, now) = (desk.known, desk.context.now);
    let own = own(agent, known);
    Cause {
        rule: RULE,
        fingerprint: fingerprint(agent.id),
        title: title(reason, agent, known),
        description: format!(
            "{detail}.\n\nNothing that this agent tells is applied until a person decides:\n\
             muster agents resolve {} keep|split|reenroll --reason TEXT",
            agent.id
        ),
        snapshot: snapshot::of_quarantine(agent, (reason, detail), other.and_then(|id| asset(id, known)), known, now),
        impact: own.map_or(3, impact),
        urgency: urgency(Severity::Major),
        count: 1,
        last: now,
        affects: concerned(agent, other, known),
    }
}

/// What is the matter, in one line.
fn title(reason: &str, agent: &Agent, known: &Known) -> String {
    let name = own(agent, known).map_or(agent.name.as_str(), Asset::title);
    match reason {
        "fork" => format!("Two machines use the agent's key of {name}"),
        "contradiction" => format!("The hardware under the agent's key of {name} is another machine's"),
        "moved" => format!("The agent's key of {name} was moved or copied to another machine"),
        "superseded" => format!("Two agents speak for {name}"),
        other => format!("The agent of {name} is quarantined: {other}"),
    }
}

fn own<'a>(agent: &Agent, known: &'a Known) -> Option<&'a Asset> {
    known.own.as_ref().map(|own| &own.asset).filter(|asset| Some(asset.id) == agent.asset)
}

fn asset(id: AssetId, known: &Known) -> Option<&Asset> {
    known.candidates.iter().map(|candidate| &candidate.asset).find(|asset| asset.id == id)
}

/// Its own asset and the one that its evidence points to.
fn concerned(agent: &Agent, other: Option<AssetId>, known: &Known) -> Vec<AssetId> {
    let other = other.and_then(|id| asset(id, known)).map(|asset| asset.id);
    own(agent, known).map(|asset| asset.id).into_iter().chain(other).collect()
}

/// Links the ticket with those assets that it is not linked with; what is known of its links was looked up by
/// these pairs.
fn link_once(desk: &mut Desk<'_>, ticket: TicketId, assets: Vec<AssetId>) {
    for asset in assets {
        let (from, to) = (End::Ticket(ticket), End::Asset(asset));
        let linked = |link: &&Link| link.rel == Rel::Affects && link.from == from && link.to == to;
        if desk.known.links.iter().find(linked).is_none() {
            links::tie(&OPENS, (from, Rel::Affects, to), desk.context, desk.decision);
        }
    }
}

#[cfg(test)]
mod tests;
