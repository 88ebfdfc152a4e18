//! How agents find back: one whose certificate has ended, and one whose certificate the register does not know
//! because it was restored from a backup.
//!
//! Both proved that they have the key of a certificate which our CA made for them; whether they did is not judged
//! here. The CA writes a certificate's generation into it, so an agent cannot claim a later one than it was given.

use super::admit::{PENDING_S, grant, next_cert, speaking};
use super::custody;
use super::model::{Agent, AgentState, Cert};
use crate::event::{Actor, Event, Subject};
use crate::work::{Context, Decision, Known, Refusal, Reply, Row};
use std::net::IpAddr;

/// Seconds after the end of its certificate within which an agent may recover: 90 days.
pub(super) const RECOVERY_S: i64 = 90 * 86_400;
/// How often an agent may recover, without having renewed in time in between, before a person has to approve it.
const RECOVERIES: u32 = 3;

/// What a recovering agent asks for.
pub struct Asks<'a> {
    /// What its ended certificate says.
    pub old: &'a Cert,
    /// The generation that it says it has.
    pub generation: u64,
    /// Of its new key.
    pub fingerprint: &'a str,
    /// From where it asks.
    pub source: IpAddr,
}

/// Takes an agent back whose certificate has ended; it proved that it has that certificate's key.
///
/// # Errors
/// [`Refusal::Enroll`] for whoever has to join again; a conflict while the certificate is still good.
pub fn recover(agent: &Agent, asks: &Asks<'_>, context: &Context) -> Result<Decision, Refusal> {
    let refuse =
        |why| Err(Refusal::Enroll { why, from: asks.source, name: agent.name.clone(), token: Some(agent.token) });
    if agent.state == AgentState::Pending && agent.current.is_some() {
        return waiting(agent, asks, context).or_else(refuse);
    }
    let Ok(current) = speaking(agent) else { return refuse("recovery: the agent may not speak") };
    let known = [agent.next.as_ref(), Some(current)].into_iter().flatten();
    let (held, is_new) = match known.into_iter().find(|cert| cert.fingerprint == asks.old.fingerprint) {
        Some(held) => (held, false),
        None if is_later(agent, asks.old) => (asks.old, true),
        None => return refuse("recovery: that certificate was superseded"),
    };
    if held.generation != asks.generation {
        return refuse("recovery: another generation");
    }
    if context.now < held.expires {
        return Err(Refusal::Conflict("the certificate is still good: renew it on the agents' port".to_owned()));
    }
    let granted = agent.next.as_ref().filter(|next| next.fingerprint == asks.fingerprint);
    if let Some(next) = granted.filter(|next| context.now < next.expires) {
        return Ok(Decision::new(Reply::Granted { agent: agent.id, cert: next.clone(), new: false }));
    }
    if context.now.secs_since(held.expires) > RECOVERY_S {
        return refuse("recovery: away for more than 90 days");
    }
    let cert = next_cert(held, asks.fingerprint, context);
    let mut decision = match agent.state {
        _ if agent.recoveries < RECOVERIES => recovered(agent, held, cert),
        AgentState::Active => wait(agent, held, cert, context),
        _ => return refuse("recovery: quarantined, and recovered too often"),
    };
    if is_new {
        adopted(agent, held, &mut decision);
    }
    Ok(decision)
}

fn recovered(agent: &Agent, held: &Cert, cert: Cert) -> Decision {
    let event = Event::AgentRecovered {
        generation: cert.generation,
        fingerprint: cert.fingerprint.clone(),
        expires: cert.expires,
    };
    let agent = Agent { current: Some(held.clone()), ..agent.clone() };
    grant(&agent, cert, agent.recoveries + 1, event)
}

/// An agent that waits for approval asks again.
fn waiting(agent: &Agent, asks: &Asks<'_>, context: &Context) -> Result<Decision, &'static str> {
    let (Some(current), Some(next)) = (&agent.current, &agent.next) else {
        return Err("recovery: the agent may not speak");
    };
    if current.fingerprint != asks.old.fingerprint || current.generation != asks.generation {
        return Err("recovery: that certificate was superseded");
    }
    if context.now > next.expires {
        return Ok(wait(agent, current, next_cert(current, asks.fingerprint, context), context));
    }
    if next.fingerprint != asks.fingerprint {
        return Err("recovery: another key waits for approval");
    }
    Ok(Decision::new(Reply::Pending { agent: agent.id }))
}

/// It recovered too often in a row: a person has to compare its new key.
fn wait(agent: &Agent, held: &Cert, cert: Cert, context: &Context) -> Decision {
    let mut decision = Decision::new(Reply::Pending { agent: agent.id });
    let event = Event::AgentRecoveryPending { fingerprint: cert.fingerprint.clone(), recoveries: agent.recoveries };
    let subjects = [Subject::Agent(agent.id)].into_iter().chain(agent.asset.map(Subject::Asset));
    decision.tell(&Actor::Agent(agent.id), subjects, event);
    decision.keep(Row::Agent(Box::new(Agent {
        rev: agent.rev + 1,
        state: AgentState::Pending,
        reason: format!("waits for approval: recovered {} times in a row", agent.recoveries),
        current: Some(held.clone()),
        next: Some(Cert { expires: context.now.plus_secs(PENDING_S), ..cert }),
        ..agent.clone()
    })));
    decision
}

/// An agent that may speak shows a certificate that is none of those the register knows: it is adopted if it was
/// given out after them, else two machines have one key.
///
/// # Errors
/// [`Refusal::Barred`].
pub fn unknown(agent: &Agent, cert: &Cert, roots: u16, source: IpAddr, known: &Known) -> Result<Decision, Refusal> {
    speaking(agent)?;
    let mut decision = Decision::new(Reply::Done);
    if [&agent.current, &agent.next].into_iter().flatten().any(|held| held.fingerprint == cert.fingerprint) {
        // Another connection was faster.
        return Ok(decision);
    }
    if !is_later(agent, cert) {
        return custody::forked(agent, &format!("a superseded certificate was used from {source}"), known);
    }
    adopted(agent, cert, &mut decision);
    decision.keep(Row::Agent(Box::new(Agent {
        rev: agent.rev + 1,
        current: Some(cert.clone()),
        next: None,
        roots,
        ..agent.clone()
    })));
    Ok(decision)
}

fn adopted(agent: &Agent, cert: &Cert, decision: &mut Decision) {
    let event = Event::AgentCertificateAdopted {
        generation: cert.generation,
        fingerprint: cert.fingerprint.clone(),
        expires: cert.expires,
    };
    let subjects = [Subject::Agent(agent.id)].into_iter().chain(agent.asset.map(Subject::Asset));
    decision.tell(&Actor::Rule("restore"), subjects, event);
}

/// Whether a certificate was given out after all that are known. Its end says nothing about that: how long
/// certificates live may have been changed in between.
fn is_later(agent: &Agent, cert: &Cert) -> bool {
    cert.generation > agent.generation()
}

#[cfg(test)]
mod tests;
