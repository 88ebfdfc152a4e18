//! One record of a check-in, decided: identity, diff, health, lifecycle, triage, in this order.
//!
//! Order and repetition: the same `(stream, seq)` with the same content is acknowledged as stale, with
//! other content it is a fork; a lower `seq` is stale. A hole in `seq` that no gap explains is told as lost
//! records and does no harm: bases and digests are verified, and the roots show what is missing. A stream
//! other than the present one begins at 1 (or with a gap): an agent that lost its state. One that does not
//! is an older stream come back, so two machines use one key: a fork.
//!
//! Roots: when nothing is wanted and the agent's root is not that of what is held, `*` asks for all
//! digests. A record whose parts alone have its root names every section that the agent has; what else is
//! held is gone.

use super::apply::Round;
use super::model::{Agent, AgentState};
use super::{health, identity, quarantine, sync};
use crate::work::{self, Context, Decision, Known, Needs, Policy, Refusal, Reply, Report, When};
use shared::checkin::{Part, Record, Rows};
use shared::evidence::{self, Evidence};
use shared::software;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Events that an incident's snapshot may hold.
pub const RECENT_EVENTS: usize = 20;

/// What must be known to decide a report.
pub fn needs(report: &Report, policy: &Policy) -> Needs {
    let parts = &report.record.sections;
    let mut sections = BTreeMap::new();
    for part in parts {
        sections.entry(part.section.clone()).or_insert_with(|| rows(part));
    }
    let told: Vec<Evidence> = parts
        .iter()
        .filter(|part| part.section == evidence::SECTION)
        .flat_map(|part| part.put.iter().flatten())
        .filter_map(Evidence::from_item)
        .collect();
    let proves = parts.iter().any(|part| part.section == evidence::SECTION && !matches!(part.rows(), Rows::Same));
    Needs {
        agent: Some(report.agent),
        sections,
        evidence: identity::wanted(&told),
        numbers: true,
        fault_tickets: true,
        recent_events: RECENT_EVENTS,
        links: true,
        quarantine: Some(if report.moved || proves { When::Always } else { When::UnlessActive }),
        only_with_faults: !health::is_bad(parts, policy),
        ..Needs::default()
    }
}

fn rows(part: &Part) -> work::Rows {
    match part.rows() {
        Rows::Same => work::Rows::None,
        Rows::Delta { put, del, .. } if software::SECTIONS.contains(&part.section.as_str()) => {
            work::Rows::Keys(put.iter().map(|item| &item.key).chain(del).cloned().collect())
        }
        Rows::Delta { .. } | Rows::Whole(_) => work::Rows::All,
    }
}

/// Decides a report.
///
/// # Errors
/// [`Refusal::Barred`], [`Refusal::Fork`].
pub fn decide(report: &Report, known: &Known, context: &mut Context) -> Result<Decision, Refusal> {
    let Some(agent) = &known.agent else { return Err(Refusal::Barred("unknown")) };
    let nothing = Decision::new(Reply::Done);
    match agent.state {
        AgentState::Pending => return Err(Refusal::Barred("pending")),
        AgentState::Revoked => return Err(Refusal::Barred("revoked")),
        AgentState::Quarantined => {
            let mut decision = nothing;
            quarantine::again(agent, &mut decision);
            return Ok(quarantine::hold(report, agent, decision));
        }
        AgentState::Superseded => {
            let mut decision = nothing;
            quarantine::both(agent, known, &mut decision);
            return Ok(quarantine::hold(report, agent, decision));
        }
        AgentState::Active => {}
    }
    // An agent that a person decided to keep may say so as long as it likes.
    if report.moved && agent.reason.is_empty() {
        let mut decision = nothing;
        let detail = "the agent says that this is not the machine on which its key was made";
        quarantine::put(agent, ("moved", detail), None, &mut decision);
        return Ok(quarantine::hold(report, agent, decision));
    }
    if is_stale(report, agent)? {
        let want = sync::open(&known.sections).collect();
        return Ok(Decision::new(Reply::Report { root: agent.root, seq: agent.seq, want, stale: true }));
    }
    Round::new(report, agent, known, context).run()
}

/// Whether the record was taken before.
fn is_stale(report: &Report, agent: &Agent) -> Result<bool, Refusal> {
    let Record { seq, gap, .. } = &report.record;
    let Some(stream) = agent.stream else { return Ok(false) };
    if stream != report.stream {
        if *seq <= 1 || gap.is_some() {
            return Ok(false);
        }
        return Err(Refusal::Fork(format!("record {seq} of a stream that is not the agent's present one")));
    }
    match seq.cmp(&agent.seq) {
        Ordering::Greater => Ok(false),
        Ordering::Less => Ok(true),
        Ordering::Equal if report.hash == agent.record => Ok(true),
        Ordering::Equal => Err(Refusal::Fork(format!("record {seq} came with two contents"))),
    }
}

#[cfg(test)]
mod tests;
