//! How agents come in, and how they get their certificates: enrollment, approval, renewal.
//!
//! What a certificate says and who signs it is not known here; a grant names the agent, the key and the end.
//! Every reason to refuse an enrollment has one answer; the journal keeps the reason.

use super::model::{Agent, AgentState, Cert, JoinToken};
use super::recover::RECOVERY_S;
use crate::event::{Actor, Event, Subject};
use crate::net;
use crate::work::{Context, Decision, Known, Refusal, Reply, Row};
use shared::digest::Digest;
use shared::id::{AgentId, JoinTokenId};
use std::net::IpAddr;
use subtle::ConstantTimeEq;

/// Seconds that an agent may wait for its approval: 7 days.
pub(super) const PENDING_S: i64 = 7 * 86_400;
/// Characters of a name that a machine claims.
const NAME_CHARS: usize = 255;

/// A newcomer, as it presents itself.
pub struct Newcomer<'a> {
    /// The token it shows.
    pub token: JoinTokenId,
    /// SHA-256 of the secret it shows.
    pub hash: &'a [u8; 32],
    /// Of its key.
    pub fingerprint: &'a str,
    /// What it calls itself.
    pub name: &'a str,
    /// The agent's version.
    pub version: &'a str,
    /// From where it comes.
    pub source: IpAddr,
}

/// Lets a newcomer in, gives it its identity again, or refuses it.
///
/// # Errors
/// [`Refusal::Enroll`], with the reason for the journal.
pub fn enroll(newcomer: &Newcomer<'_>, known: &Known, context: &mut Context) -> Result<Decision, Refusal> {
    let token = known.join_token.as_ref();
    let refuse = |why| {
        Err(Refusal::Enroll {
            why,
            from: newcomer.source,
            name: newcomer.name.chars().take(NAME_CHARS).collect(),
            token: token.map(|token| token.id),
        })
    };
    let Some(token) = token else { return refuse("no such token") };
    if !bool::from(token.hash.ct_eq(newcomer.hash)) {
        return refuse("wrong secret");
    }
    if token.revoked {
        return refuse("token revoked");
    }
    if let Some(agent) = &known.enrolled {
        return again(agent, newcomer, token, context).or_else(refuse);
    }
    if context.now >= token.expires {
        return refuse("token expired");
    }
    if token.used >= token.uses {
        return refuse("token used up");
    }
    if token.cidr.as_deref().is_some_and(|cidr| !net::within(newcomer.source, cidr)) {
        return refuse("source outside the token's network");
    }
    Ok(admit(newcomer, token, context))
}

/// The same token and key: the same identity, and no second use.
fn again(
    agent: &Agent,
    newcomer: &Newcomer<'_>,
    token: &JoinToken,
    context: &Context,
) -> Result<Decision, &'static str> {
    let now = context.now;
    match (agent.state, &agent.current) {
        (AgentState::Pending, None) if now.secs_since(agent.enrolled) > PENDING_S => {
            Err("waited too long for approval")
        }
        (AgentState::Pending, None) => Ok(Decision::new(Reply::Pending { agent: agent.id })),
        (AgentState::Active, Some(cert)) if cert.fingerprint != newcomer.fingerprint => {
            Err("the agent has another key by now")
        }
        (AgentState::Active, Some(cert)) if now < cert.expires => {
            Ok(Decision::new(Reply::Granted { agent: agent.id, cert: cert.clone(), new: false }))
        }
        // It was approved and did not fetch its certificate in time.
        (AgentState::Active, Some(cert)) if agent.stream.is_none() && now.secs_since(cert.expires) <= RECOVERY_S => {
            let cert = Cert { expires: now.plus_secs(context.policy.certificate_s), ..cert.clone() };
            let mut decision = Decision::new(Reply::Granted { agent: agent.id, cert: cert.clone(), new: false });
            let event = Event::AgentRenewed {
                generation: cert.generation,
                fingerprint: cert.fingerprint.clone(),
                expires: cert.expires,
            };
            decision.tell(&Actor::Join(token.id), [Subject::Agent(agent.id)], event);
            decision.keep(Row::Agent(Box::new(Agent { rev: agent.rev + 1, current: Some(cert), ..agent.clone() })));
            Ok(decision)
        }
        (AgentState::Active, _) => Err("the agent's certificate has ended: it has to recover"),
        _ => Err("the agent may not speak"),
    }
}

fn admit(newcomer: &Newcomer<'_>, token: &JoinToken, context: &mut Context) -> Decision {
    let id = AgentId(context.fresh.uuid());
    let cert = first_cert(newcomer.fingerprint, context);
    let agent = Agent {
        id,
        rev: 1,
        state: if token.approve { AgentState::Pending } else { AgentState::Active },
        reason: if token.approve { "waits for approval".to_owned() } else { String::new() },
        name: newcomer.name.chars().take(NAME_CHARS).collect(),
        version: newcomer.version.chars().take(NAME_CHARS).collect(),
        token: token.id,
        labels: token.labels.clone(),
        source: newcomer.source.to_string(),
        enrolled: context.now,
        first_key: newcomer.fingerprint.to_owned(),
        current: (!token.approve).then(|| cert.clone()),
        next: None,
        // Its first certificate says better, once it is used.
        roots: 0,
        recoveries: 0,
        asset: None,
        stream: None,
        seq: 0,
        record: Digest::default(),
        root: Digest::default(),
        goodbye: None,
    };
    let reply = match token.approve {
        true => Reply::Pending { agent: id },
        false => Reply::Granted { agent: id, cert, new: true },
    };
    let mut decision = Decision::new(reply);
    let event = Event::AgentEnrolled {
        name: agent.name.clone(),
        version: agent.version.clone(),
        source: agent.source.clone(),
        fingerprint: agent.first_key.clone(),
        pending: token.approve,
    };
    decision.tell(&Actor::Join(token.id), [Subject::Agent(id), Subject::JoinToken(token.id)], event);
    decision.keep(Row::Agent(Box::new(agent)));
    decision.keep(Row::JoinToken(JoinToken { rev: token.rev + 1, used: token.used + 1, ..token.clone() }));
    decision
}

fn first_cert(fingerprint: &str, context: &Context) -> Cert {
    let expires = context.now.plus_secs(context.policy.certificate_s);
    Cert { generation: 1, fingerprint: fingerprint.to_owned(), expires }
}

/// Lets a waiting agent in: its next try to enroll or to recover gets its certificate.
///
/// # Errors
/// It does not wait, or shows another key than the admin saw.
pub fn approve(actor: &Actor, agent: &Agent, fingerprint: &str, context: &Context) -> Result<Decision, Refusal> {
    if agent.state != AgentState::Pending {
        return Err(Refusal::Conflict(format!("agent {} does not wait for approval: it is {}", agent.id, agent.state)));
    }
    let until = match &agent.next {
        Some(waiting) => waiting.expires,
        None => agent.enrolled.plus_secs(PENDING_S),
    };
    if context.now > until {
        return Err(Refusal::Conflict(format!("agent {} waited for more than 7 days; it has to ask again", agent.id)));
    }
    if !fingerprint.eq_ignore_ascii_case(agent.key()) {
        return Err(Refusal::invalid(
            "fingerprint",
            "not the key that this agent showed; compare with `muster-agent status` there",
        ));
    }
    let mut decision = Decision::new(Reply::Done);
    decision.tell(actor, [Subject::Agent(agent.id)], Event::AgentApproved {});
    let expires = context.now.plus_secs(context.policy.certificate_s);
    decision.keep(Row::Agent(Box::new(Agent {
        rev: agent.rev + 1,
        state: AgentState::Active,
        reason: String::new(),
        current: agent.current.clone().or_else(|| Some(first_cert(&agent.first_key, context))),
        next: agent.next.clone().map(|next| Cert { expires, ..next }),
        recoveries: 0,
        ..agent.clone()
    })));
    Ok(decision)
}

/// Hands out the next certificate. The present one stays good until the next was used, so that a lost answer
/// locks nobody out.
///
/// # Errors
/// [`Refusal::Barred`]; or the key is the present one.
pub fn renew(agent: &Agent, fingerprint: &str, context: &Context) -> Result<Decision, Refusal> {
    let current = speaking(agent)?;
    if current.fingerprint == fingerprint {
        return Err(Refusal::invalid("csr", "a renewal needs a new key"));
    }
    if let Some(next) = agent.next.as_ref().filter(|next| next.fingerprint == fingerprint) {
        return Ok(Decision::new(Reply::Granted { agent: agent.id, cert: next.clone(), new: false }));
    }
    let cert = next_cert(current, fingerprint, context);
    let event = Event::AgentRenewed {
        generation: cert.generation,
        fingerprint: cert.fingerprint.clone(),
        expires: cert.expires,
    };
    // Agents renew at half of a certificate's life, a tenth earlier or later. One that does is back for good; one
    // that renews at once after it recovered has shown nothing yet.
    let left_s = current.expires.secs_since(context.now);
    let in_time = left_s.saturating_mul(5) <= context.policy.certificate_s.saturating_mul(3);
    Ok(grant(agent, cert, if in_time { 0 } else { agent.recoveries }, event))
}

/// The agent used the certificate that it was handed last: the one before is good no more.
///
/// # Errors
/// None today.
pub fn promote(agent: &Agent, roots: u16) -> Result<Decision, Refusal> {
    let mut decision = Decision::new(Reply::Done);
    if let Some(next) = &agent.next {
        decision.keep(Row::Agent(Box::new(Agent {
            rev: agent.rev + 1,
            current: Some(next.clone()),
            next: None,
            roots,
            ..agent.clone()
        })));
    }
    Ok(decision)
}

/// The agent used its certificate, which was handed out together with these roots.
///
/// # Errors
/// None today.
pub fn has_roots(agent: &Agent, roots: u16) -> Result<Decision, Refusal> {
    let mut decision = Decision::new(Reply::Done);
    if roots > agent.roots {
        decision.keep(Row::Agent(Box::new(Agent { rev: agent.rev + 1, roots, ..agent.clone() })));
    }
    Ok(decision)
}

/// The certificate of an agent that may have another.
pub(super) fn speaking(agent: &Agent) -> Result<&Cert, Refusal> {
    match (agent.state, &agent.current) {
        (AgentState::Active | AgentState::Quarantined, Some(cert)) => Ok(cert),
        (state, _) => Err(Refusal::Barred(state.name())),
    }
}

pub(super) fn next_cert(held: &Cert, fingerprint: &str, context: &Context) -> Cert {
    let expires = context.now.plus_secs(context.policy.certificate_s);
    Cert { generation: held.generation + 1, fingerprint: fingerprint.to_owned(), expires }
}

pub(super) fn grant(agent: &Agent, cert: Cert, recoveries: u32, event: Event) -> Decision {
    let mut decision = Decision::new(Reply::Granted { agent: agent.id, cert: cert.clone(), new: true });
    decision.tell(&Actor::Agent(agent.id), [Subject::Agent(agent.id)], event);
    decision.keep(Row::Agent(Box::new(Agent { rev: agent.rev + 1, next: Some(cert), recoveries, ..agent.clone() })));
    decision
}

#[cfg(test)]
mod tests;
