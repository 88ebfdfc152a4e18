//! Join tokens and API tokens: made and ended. Their secrets are never seen here, only hashes.

use super::model::{ApiToken, JoinToken};
use crate::event::{Actor, Event, Subject};
use crate::net;
use crate::work::{Decision, Refusal, Reply, Row};
use std::collections::BTreeSet;

/// Seconds that a join token may live: 30 days.
const JOIN_S: i64 = 30 * 86_400;
/// Seconds that an API token may live: one year.
const API_S: i64 = 366 * 86_400;
/// Agents that may come with one join token.
const USES: u32 = 100_000;
/// Labels of a join token.
const LABELS: usize = 16;
/// Bytes of names and values.
const NAME_BYTES: usize = 128;

/// Keeps a join token.
///
/// # Errors
/// A field that is out of its bounds.
pub fn create_join(actor: &Actor, token: &JoinToken) -> Result<Decision, Refusal> {
    if token.uses == 0 || token.uses > USES {
        return Err(Refusal::invalid("uses", format!("1 to {USES}")));
    }
    lives(token.expires.secs_since(token.created), JOIN_S)?;
    network(token.cidr.as_deref())?;
    if token.labels.len() > LABELS || token.labels.iter().any(|(name, value)| !is_name(name) || !is_name(value)) {
        return Err(Refusal::invalid("labels", format!("at most {LABELS}, each of 1 to {NAME_BYTES} printable bytes")));
    }
    let mut decision = Decision::new(Reply::Done);
    let event = Event::JoinTokenCreated {
        uses: token.uses,
        expires: token.expires,
        cidr: token.cidr.clone(),
        approve: token.approve,
        labels: token.labels.clone(),
    };
    decision.tell(actor, [Subject::JoinToken(token.id)], event);
    decision.keep(Row::JoinToken(token.clone()));
    Ok(decision)
}

/// Ends a join token. Doing it twice is no error.
///
/// # Errors
/// None today.
pub fn revoke_join(actor: &Actor, token: &JoinToken) -> Result<Decision, Refusal> {
    let mut decision = Decision::new(Reply::Done);
    if !token.revoked {
        decision.tell(actor, [Subject::JoinToken(token.id)], Event::JoinTokenRevoked {});
        decision.keep(Row::JoinToken(JoinToken { rev: token.rev + 1, revoked: true, ..token.clone() }));
    }
    Ok(decision)
}

/// Keeps an API token. One that is made with another (`maker`) is never broader than that one.
///
/// # Errors
/// A field that is out of its bounds, or beyond the maker's.
pub fn create_api(actor: &Actor, token: &ApiToken, maker: Option<&ApiToken>) -> Result<Decision, Refusal> {
    if !is_name(&token.name) {
        return Err(Refusal::invalid("name", format!("1 to {NAME_BYTES} printable bytes: what the token is for")));
    }
    if token.scopes.is_empty() {
        return Err(Refusal::invalid("scopes", "at least one, such as assets:read"));
    }
    let mut named = BTreeSet::new();
    if let Some(scope) = token.scopes.iter().find(|scope| !named.insert(*scope)) {
        return Err(Refusal::invalid("scopes", format!("{scope} stands there twice; name each scope once")));
    }
    lives(token.expires.secs_since(token.created), API_S)?;
    network(token.cidr.as_deref())?;
    if let Actor::Token(id) = actor {
        let maker = maker.filter(|maker| maker.id == *id && !maker.revoked);
        within(token, maker.ok_or_else(|| Refusal::NotFound(format!("API token {id}")))?)?;
    }
    let mut decision = Decision::new(Reply::Done);
    let event =
        Event::ApiTokenCreated { name: token.name.clone(), scopes: token.scopes.clone(), expires: token.expires };
    decision.tell(actor, [Subject::ApiToken(token.id)], event);
    decision.keep(Row::ApiToken(token.clone()));
    Ok(decision)
}

/// Ends an API token. Doing it twice is no error.
///
/// # Errors
/// None today.
pub fn revoke_api(actor: &Actor, token: &ApiToken) -> Result<Decision, Refusal> {
    let mut decision = Decision::new(Reply::Done);
    if !token.revoked {
        decision.tell(actor, [Subject::ApiToken(token.id)], Event::ApiTokenRevoked { name: token.name.clone() });
        decision.keep(Row::ApiToken(ApiToken { rev: token.rev + 1, revoked: true, ..token.clone() }));
    }
    Ok(decision)
}

/// Nobody gives more than they have: neither what it opens, nor from where, nor for how long.
fn within(token: &ApiToken, maker: &ApiToken) -> Result<(), Refusal> {
    let beyond = |field: &str, why: String| Refusal::Beyond { field: field.to_owned(), why };
    if let Some(scope) = token.scopes.iter().find(|scope| !maker.scopes.contains(scope)) {
        let why = format!("your token does not have {scope}; it may give {}", maker.scopes.join(", "));
        return Err(beyond("scopes", why));
    }
    if let Some(outer) = &maker.cidr
        && !token.cidr.as_deref().is_some_and(|inner| net::is_part(inner, outer))
    {
        return Err(beyond("cidr", format!("your token is good within {outer} only; name that or a part of it")));
    }
    let most = maker.expires.secs_since(token.created);
    if token.expires > maker.expires {
        return Err(beyond("ttl_s", format!("your token itself ends before that; at most {most} seconds")));
    }
    Ok(())
}

fn lives(seconds: i64, at_most: i64) -> Result<(), Refusal> {
    if !(1..=at_most).contains(&seconds) {
        return Err(Refusal::invalid("ttl_s", format!("1 to {at_most} seconds ({} days)", at_most / 86_400)));
    }
    Ok(())
}

fn network(cidr: Option<&str>) -> Result<(), Refusal> {
    match cidr {
        Some(cidr) if !net::is_network(cidr) => {
            Err(Refusal::invalid("cidr", format!("{cidr:?} is no network: write 192.0.2.0/24 or 2001:db8::/32")))
        }
        _ => Ok(()),
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= NAME_BYTES && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod broader;
#[cfg(test)]
mod tests;
