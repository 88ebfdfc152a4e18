//! What we own: pure rules about assets. Given what is known and what was reported, they say what
//! happened. They know no clock, no database and no randomness.
//!
//! | module | knows |
//! | --- | --- |
//! | [`report`] | which records count, and what a report needs |
//! | `apply` | one report, from the asset it is about to the answer |
//! | [`sync`], [`packages`] | a part of a record against the rows held |
//! | [`identity`], [`score`], [`junk`] | which asset it is, and why |
//! | [`diff`], [`brief`], [`observe`] | what changed, in words and columns |
//! | [`health`] | where faults stand |
//! | [`quarantine`] | what happens to a key that two machines use |
//! | [`admit`], [`recover`], [`custody`] | how agents come in, get certificates, find back, and go |
//! | [`refused`] | how often strangers may write into the journal that they were refused |
//! | [`rotation`] | whom a step of a rotation of the CA would lock out |
//! | [`tokens`], [`edit`] | what people make, end and declare |
//! | [`presence`] | how lately an asset was heard |

pub mod admit;
mod apply;
pub mod brief;
pub mod custody;
pub mod diff;
pub mod edit;
pub mod health;
pub mod identity;
pub mod junk;
pub mod model;
pub mod observe;
pub mod packages;
pub mod presence;
pub mod quarantine;
pub mod recover;
pub mod refused;
pub mod report;
pub mod rotation;
pub mod score;
pub mod sync;
#[cfg(test)]
pub(crate) mod testing;
pub mod tokens;

use crate::event::{Actor, Event};
use crate::work::{Act, Context, Decision, Known, Needs, Refusal, Reply, When};
use shared::id::AgentId;

/// What must be known to decide an act of the register.
pub fn needs(actor: &Actor, act: &Act) -> Needs {
    let of_agent = |agent: AgentId| Needs { agent: Some(agent), ..Needs::default() };
    match act {
        Act::Enroll { token, fingerprint, .. } => {
            Needs { join_token: Some(*token), first_key: Some((*token, fingerprint.clone())), ..Needs::default() }
        }
        Act::Beat { agent } => Needs {
            numbers: true,
            fault_tickets: true,
            recent_events: report::RECENT_EVENTS,
            links: true,
            only_with_faults: true,
            ..of_agent(*agent)
        },
        Act::Renew { agent, .. }
        | Act::NextUsed { agent, .. }
        | Act::HasRoots { agent, .. }
        | Act::Recover { agent, .. }
        | Act::Upgraded { agent, .. }
        | Act::Goodbye { agent, .. }
        | Act::Approve { agent, .. } => of_agent(*agent),
        Act::Forked { agent, .. } | Act::Unknown { agent, .. } => {
            Needs { quarantine: Some(When::Always), recent_events: report::RECENT_EVENTS, ..of_agent(*agent) }
        }
        Act::Revoke { agent, .. } | Act::Resolve { agent, .. } => {
            Needs { quarantine: Some(When::UnlessActive), ..of_agent(*agent) }
        }
        Act::RevokeJoinToken { token } => Needs { join_token: Some(*token), ..Needs::default() },
        Act::RevokeApiToken { token } => Needs { api_token: Some(*token), ..Needs::default() },
        Act::CreateApiToken { .. } => match actor {
            Actor::Token(maker) => Needs { api_token: Some(*maker), ..Needs::default() },
            _ => Needs::default(),
        },
        Act::EditAsset { asset, .. } => Needs { assets: vec![*asset], ..Needs::default() },
        _ => Needs::default(),
    }
}

/// Decides an act of the register.
///
/// # Errors
/// A [`Refusal`]: nothing is done.
pub fn decide(actor: &Actor, act: &Act, known: &Known, context: &mut Context) -> Result<Decision, Refusal> {
    let agent = |id: &AgentId| {
        known.agent.as_ref().filter(|agent| agent.id == *id).ok_or_else(|| Refusal::NotFound(format!("agent {id}")))
    };
    match act {
        Act::Enroll { token, hash, fingerprint, name, version, source } => {
            let newcomer = admit::Newcomer { token: *token, hash, fingerprint, name, version, source: *source };
            admit::enroll(&newcomer, known, context)
        }
        Act::Approve { agent: id, fingerprint } => admit::approve(actor, agent(id)?, fingerprint, context),
        Act::Renew { agent: id, fingerprint } => admit::renew(agent(id)?, fingerprint, context),
        Act::NextUsed { agent: id, roots } => admit::promote(agent(id)?, *roots),
        Act::HasRoots { agent: id, roots } => admit::has_roots(agent(id)?, *roots),
        Act::Recover { agent: id, old, generation, fingerprint, source } => {
            let asks = recover::Asks { old, generation: *generation, fingerprint, source: *source };
            recover::recover(agent(id)?, &asks, context)
        }
        Act::Forked { agent: id, detail } => custody::forked(agent(id)?, detail, known),
        Act::Unknown { agent: id, cert, roots, source } => recover::unknown(agent(id)?, cert, *roots, *source, known),
        Act::Upgraded { agent: id, version } => custody::upgraded(agent(id)?, version),
        Act::Beat { agent: id } => custody::beat(agent(id)?, known, context),
        Act::Goodbye { agent: id, why } => custody::goodbye(agent(id)?, *why),
        Act::Revoke { agent: id, reason } => custody::revoke(actor, agent(id)?, reason),
        Act::Resolve { agent: id, how, reason } => custody::resolve(actor, agent(id)?, *how, reason, known, context),
        Act::Restored { head, agents, api_tokens, join_tokens } => {
            let (head, agents, api_tokens, join_tokens) = (*head, *agents, *api_tokens, *join_tokens);
            let mut decision = Decision::new(Reply::Done);
            decision.tell(actor, [], Event::Restored { head, agents, api_tokens, join_tokens });
            Ok(decision)
        }
        Act::CreateJoinToken { token } => tokens::create_join(actor, token),
        Act::RevokeJoinToken { token: id } => {
            let token = known.join_token.as_ref().ok_or_else(|| Refusal::NotFound(format!("join token {id}")))?;
            tokens::revoke_join(actor, token)
        }
        Act::CreateApiToken { token } => tokens::create_api(actor, token, known.api_token.as_ref()),
        Act::RevokeApiToken { token: id } => {
            let token = known.api_token.as_ref().ok_or_else(|| Refusal::NotFound(format!("API token {id}")))?;
            tokens::revoke_api(actor, token)
        }
        Act::RotateCa(wanted) => rotation::decide(actor, wanted),
        Act::EditAsset { asset: id, rev, edit: change } => {
            let asset = known.assets.get(id).ok_or_else(|| Refusal::NotFound(format!("asset {id}")))?;
            edit::edit(actor, asset, *rev, change, context)
        }
        _ => Err(Refusal::Conflict("not an act of the register".to_owned())),
    }
}
