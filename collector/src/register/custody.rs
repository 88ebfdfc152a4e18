//! What becomes of an agent that is in: goodbye, quarantine, a person's decision about it, revocation.

use super::model::{Agent, AgentState, Asset, Custody, CustodyStep};
use super::{health, quarantine};
use crate::event::{Actor, Event, Subject};
use crate::work::{Context, Decision, Known, Refusal, Reply, Resolution, Row};
use shared::checkin::Goodbye;
use shared::digest::Digest;

/// Bytes of a reason that a person gives.
const REASON_BYTES: usize = 2048;

/// Two machines use one key.
///
/// # Errors
/// [`Refusal::Barred`]: it may not speak anyway.
pub fn forked(agent: &Agent, detail: &str, known: &Known) -> Result<Decision, Refusal> {
    if matches!(agent.state, AgentState::Revoked | AgentState::Pending) {
        return Err(Refusal::Barred(agent.state.name()));
    }
    let mut decision = Decision::new(Reply::Done);
    match agent.state {
        AgentState::Superseded => quarantine::both(agent, known, &mut decision),
        _ => quarantine::put(agent, ("fork", detail), None, &mut decision),
    }
    Ok(decision)
}

/// The agent will be silent.
///
/// # Errors
/// [`Refusal::Barred`].
pub fn goodbye(agent: &Agent, why: Goodbye) -> Result<Decision, Refusal> {
    if !matches!(agent.state, AgentState::Active | AgentState::Quarantined) {
        return Err(Refusal::Barred(agent.state.name()));
    }
    let mut decision = Decision::new(Reply::Done);
    if agent.goodbye == Some(why) {
        return Ok(decision);
    }
    let word = match why {
        Goodbye::Shutdown => "shutdown",
        Goodbye::Sleep => "sleep",
        Goodbye::Stop => "stop",
    };
    decision.tell(&Actor::Agent(agent.id), about(agent), Event::AgentGoodbye { why: word.to_owned() });
    decision.keep(Row::Agent(Box::new(Agent { rev: agent.rev + 1, goodbye: Some(why), ..agent.clone() })));
    Ok(decision)
}

/// All is as the agent's last record said: faults that wait are a report older. An agent that is heard again
/// takes its goodbye back.
///
/// # Errors
/// [`Refusal::Barred`].
pub fn beat(agent: &Agent, known: &Known, context: &Context) -> Result<Decision, Refusal> {
    let mut decision = Decision::new(Reply::Done);
    match agent.state {
        AgentState::Active => {}
        AgentState::Quarantined => return Ok(decision),
        state => return Err(Refusal::Barred(state.name())),
    }
    if agent.goodbye.is_some() {
        decision.keep(Row::Agent(Box::new(Agent { rev: agent.rev + 1, goodbye: None, ..agent.clone() })));
    }
    if let Some(own) = &known.own {
        let now = health::Now { at: context.now, policy: &context.policy };
        let steps = health::beat(&known.faults, &health::failed(known.sections.values()), now);
        if !steps.is_empty() {
            decision.faults = Some(Box::new((own.asset.clone(), steps)));
        }
    }
    Ok(decision)
}

/// The agent says that it is of another version than it was.
///
/// # Errors
/// [`Refusal::Barred`]: nothing that it says is taken.
pub fn upgraded(agent: &Agent, version: &str) -> Result<Decision, Refusal> {
    if agent.state != AgentState::Active {
        return Err(Refusal::Barred(agent.state.name()));
    }
    let mut decision = Decision::new(Reply::Done);
    if agent.version != version {
        let event = Event::AgentUpgraded { from: agent.version.clone(), to: version.to_owned() };
        decision.tell(&Actor::Agent(agent.id), about(agent), event);
        let next = Agent { rev: agent.rev + 1, version: version.to_owned(), ..agent.clone() };
        decision.keep(Row::Agent(Box::new(next)));
    }
    Ok(decision)
}

/// The agent never speaks again.
///
/// # Errors
/// It is revoked already, or no reason is given.
pub fn revoke(actor: &Actor, agent: &Agent, reason: &str) -> Result<Decision, Refusal> {
    let reason = given(reason)?;
    if agent.state == AgentState::Revoked {
        return Err(Refusal::Conflict(format!("agent {} is revoked already", agent.id)));
    }
    let mut decision = Decision::new(Reply::Done);
    decision.tell(actor, about(agent), Event::AgentRevoked { reason: reason.to_owned() });
    decision.keep(Row::Agent(Box::new(revoked(agent, reason))));
    if agent.state == AgentState::Quarantined {
        decision.custody.push(ended(agent, "revoke", reason));
    }
    Ok(decision)
}

fn ended(agent: &Agent, how: &str, reason: &str) -> Custody {
    Custody { agent: agent.clone(), step: CustodyStep::Ended { how: how.to_owned(), reason: reason.to_owned() } }
}

/// A person decides what a quarantined agent is.
///
/// # Errors
/// It is not quarantined, no reason is given, or another agent speaks for the asset that it is to keep.
pub fn resolve(
    actor: &Actor,
    agent: &Agent,
    how: Resolution,
    reason: &str,
    known: &Known,
    context: &Context,
) -> Result<Decision, Refusal> {
    let reason = given(reason)?;
    if agent.state != AgentState::Quarantined {
        return Err(Refusal::Conflict(format!("agent {} is not quarantined: it is {}", agent.id, agent.state)));
    }
    let mut decision = Decision::new(Reply::Done);
    let speaker = speaker(agent, how, known, context)?;
    let word = match how {
        Resolution::Keep => "keep",
        Resolution::Split => "split",
        Resolution::Reenroll => "reenroll",
    };
    let event = Event::AgentResolved { how: word.to_owned(), reason: reason.to_owned() };
    decision.tell(actor, about(agent), event);
    // Whatever was held of the conversation may be the other machine's: it begins anew.
    let anew = Agent {
        rev: agent.rev + 1,
        state: AgentState::Active,
        // An agent that says that it moved goes on saying so; this is why it is heard all the same.
        reason: reason.to_owned(),
        stream: None,
        seq: 0,
        record: Digest::default(),
        root: Digest::default(),
        ..agent.clone()
    };
    let next = match how {
        Resolution::Keep => {
            // Its hardware may contradict what is held; the person says that it is right all the same.
            // What it is known by is told anew, and taken as it comes.
            let forgotten = agent.asset.map(|asset| {
                let section = shared::evidence::SECTION.to_owned();
                [Row::Evidence(asset, Vec::new()), Row::DropSection { asset, section }]
            });
            decision.rows.extend(forgotten.into_iter().flatten());
            anew
        }
        Resolution::Split => Agent { asset: None, ..anew },
        Resolution::Reenroll => revoked(agent, reason),
    };
    decision.keep(Row::Agent(Box::new(next)));
    decision.custody.push(ended(agent, word, reason));
    if let Some(asset) = speaker {
        if how == Resolution::Keep {
            let event = Event::AgentBound { agent: agent.id, why: "a person kept it".to_owned(), score: 0 };
            decision.tell(actor, about(agent), event);
        }
        decision.keep(Row::Asset(Box::new(asset)));
    }
    Ok(decision)
}

/// The agent's asset, where another or none is to speak for it from now on. Of agents that may speak at most
/// one speaks for an asset: each compares what it holds with its own last record alone.
fn speaker(agent: &Agent, how: Resolution, known: &Known, context: &Context) -> Result<Option<Asset>, Refusal> {
    let Some(own) = known.own.as_ref().filter(|own| agent.asset == Some(own.asset.id)) else { return Ok(None) };
    let next = |agent| Asset { rev: own.asset.rev + 1, updated: context.now, agent, ..own.asset.clone() };
    let is_its_own = own.asset.agent == Some(agent.id);
    match how {
        Resolution::Keep if is_its_own => Ok(None),
        Resolution::Keep => match &own.agent {
            Some((other, _)) if matches!(other.state, AgentState::Active | AgentState::Pending) => {
                Err(Refusal::Conflict(format!(
                    "agent {} is {} and speaks for asset {}: revoke it before, or split this one",
                    other.id, other.state, own.asset.id
                )))
            }
            _ => Ok(Some(next(Some(agent.id)))),
        },
        Resolution::Split if is_its_own => Ok(Some(next(None))),
        Resolution::Split | Resolution::Reenroll => Ok(None),
    }
}

fn revoked(agent: &Agent, reason: &str) -> Agent {
    Agent { rev: agent.rev + 1, state: AgentState::Revoked, reason: reason.to_owned(), ..agent.clone() }
}

fn about(agent: &Agent) -> impl Iterator<Item = Subject> + use<> {
    [Subject::Agent(agent.id)].into_iter().chain(agent.asset.map(Subject::Asset))
}

fn given(reason: &str) -> Result<&str, Refusal> {
    let reason = reason.trim();
    if reason.is_empty() || reason.len() > REASON_BYTES {
        return Err(Refusal::invalid("reason", format!("give a reason of at most {REASON_BYTES} bytes")));
    }
    Ok(reason)
}

#[cfg(test)]
mod tests;
