//! Agents whose key two machines seem to use: nothing they say is applied until a person decides.
//!
//! Reached only after proof of possession (the agent's key in TLS), so no stranger can put an agent here.

use super::identity;
use super::model::{Agent, AgentState, Custody, CustodyStep};
use crate::event::{Actor, Event, Subject};
use crate::work::{Decision, Known, Reply, Report, Row};
use shared::evidence;
use shared::id::AssetId;

/// A held record as JSON, in bytes. A larger one is held without the rows of all but its evidence.
const HELD_BYTES_MAX: usize = 256 * 1024;
/// Bytes of the reason's detail.
const DETAIL_BYTES_MAX: usize = 2048;

/// Puts an agent into quarantine; one that is there already stays, and it is counted. `other` is another asset
/// that its evidence points to.
pub fn put(agent: &Agent, (reason, detail): (&str, &str), other: Option<AssetId>, decision: &mut Decision) {
    if agent.state == AgentState::Quarantined {
        return again(agent, decision);
    }
    let detail: String = detail.chars().take(DETAIL_BYTES_MAX / 4).collect();
    let next = Agent {
        rev: agent.rev + 1,
        state: AgentState::Quarantined,
        reason: format!("{reason}: {detail}"),
        ..agent.clone()
    };
    let subjects = [Subject::Agent(agent.id)].into_iter().chain(agent.asset.map(Subject::Asset));
    let step = CustodyStep::Held { reason: reason.to_owned(), detail: detail.clone(), other };
    decision.custody.push(Custody { agent: agent.clone(), step });
    let event = Event::AgentQuarantined { reason: reason.to_owned(), detail };
    decision.tell(&Actor::Rule("identity"), subjects, event);
    decision.keep(Row::Agent(Box::new(next)));
}

/// More came of an agent that is in quarantine.
pub fn again(agent: &Agent, decision: &mut Decision) {
    decision.custody.push(Custody { agent: agent.clone(), step: CustodyStep::Again });
}

/// An agent whose place was taken speaks again: which of the two is right, only a person can tell.
pub fn both(agent: &Agent, known: &Known, decision: &mut Decision) {
    let other = identity::successor(agent, known);
    let by = other.map_or("another agent".to_owned(), |other| format!("the agent that enrolled as {}", other.name));
    let detail = format!("it speaks again although {by} took its place on the same machine");
    put(agent, ("superseded", &detail), None, decision);
    if let Some(other) = other.filter(|other| other.state == AgentState::Active) {
        let detail = format!("the agent that enrolled as {}, whose place it took, speaks again", agent.name);
        put(other, ("superseded", &detail), None, decision);
    }
}

/// Keeps a record aside, and acknowledges it without applying anything.
pub fn hold(report: &Report, agent: &Agent, mut decision: Decision) -> Decision {
    let mut record = report.record.clone();
    let size = |record: &shared::checkin::Record| serde_json::to_string(record).unwrap_or_default();
    let mut text = size(&record);
    if text.len() > HELD_BYTES_MAX {
        record.sections.retain(|part| part.section == evidence::SECTION);
        text = size(&record);
    }
    if text.len() > HELD_BYTES_MAX {
        record.sections.clear();
        text = size(&record);
    }
    decision.keep(Row::Held { agent: agent.id, stream: report.stream, record: text });
    decision.reply = Reply::Report { root: agent.root, seq: report.record.seq, want: Vec::new(), stale: false };
    decision
}
