//! Doing a thing once though it is asked for twice: idempotency keys of `POST`.
//!
//! A caller who does not hear an answer asks again with the same key, and hears what was answered the first
//! time. The key is kept in the same commit as what it stands for, for [`KEPT_S`], under the actor who used it:
//! one actor's keys are nobody else's. What was refused left nothing behind and is decided anew. Does not know
//! HTTP: the digest of a request is made by whoever received it.

use super::{Act, Decision, Known, Refusal, Reply, Row};
use crate::desk::model::{Comment, Link, Ticket};
use crate::event::Actor;
use serde::{Deserialize, Serialize};
use shared::unit::At;

/// Seconds that a key is kept: 24 hours.
pub const KEPT_S: i64 = 86_400;
/// Bytes of a key, all of them printable ASCII.
pub const KEY_BYTES_MAX: usize = 255;
/// Keys of one actor that are kept at the same time.
pub const KEYS_MAX: u64 = 10_000;
/// The field that refusals name.
pub const FIELD: &str = "Idempotency-Key";

/// By what a second time is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once {
    /// The caller's key.
    pub key: String,
    /// SHA-256 of what was asked: method, path and body.
    pub hash: [u8; 32],
}

/// A key and what was answered under it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Whose key it is.
    pub actor: Actor,
    /// The key, and what was asked.
    pub once: Once,
    /// When that was.
    pub at: At,
    /// What was answered.
    pub told: Told,
}

/// What is known of the keys of one actor.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Memory {
    /// What was asked and answered under the key, and when.
    pub held: Option<([u8; 32], At, Told)>,
    /// Keys that are kept for the actor.
    pub keys: u64,
    /// When the oldest of them was used.
    pub oldest: Option<At>,
}

/// An answer that can be given again. Serialised for a day only: what another version cannot read is
/// [`Told::Lost`] to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// That it was done.
    Done,
    /// Something that cannot be told again.
    Lost,
    /// A secret, which is not kept: only which token it belongs to.
    Secret(String),
    /// A ticket as it was then, without its frozen evidence.
    Ticket(Box<Ticket>),
    /// A comment.
    Comment(Comment),
    /// A link, and whether it was new.
    Link {
        /// The link.
        link: Link,
        /// Whether it was new.
        new: bool,
    },
}

/// What was answered before to what is asked now, if it was; else there is room to keep an answer.
///
/// # Errors
/// [`Refusal::Invalid`] if the key was used for something else, [`Refusal::Conflict`] if the answer was a
/// secret, [`Refusal::TooMany`] if the actor has too many keys.
pub fn before(once: &Once, known: &Known, now: At) -> Result<Option<Reply>, Refusal> {
    let memory = &known.once;
    if let Some((hash, _, told)) = memory.held.as_ref().filter(|(_, at, _)| now.secs_since(*at) < KEPT_S) {
        if *hash != once.hash {
            let why = "this key was used for another request within 24 hours; \
                       use a new key for each act, and the same key only to repeat the same request";
            return Err(Refusal::invalid(FIELD, why));
        }
        return again(told).map(Some);
    }
    if memory.keys >= KEYS_MAX {
        let until = memory.oldest.map_or(KEPT_S, |at| KEPT_S - now.secs_since(at));
        return Err(Refusal::TooMany {
            why: format!("{KEYS_MAX} idempotency keys of yours are kept, each for 24 hours; come back later"),
            retry_s: u32::try_from(until.clamp(1, KEPT_S)).unwrap_or(u32::MAX),
        });
    }
    Ok(None)
}

fn again(told: &Told) -> Result<Reply, Refusal> {
    Ok(match told {
        Told::Done => Reply::Done,
        Told::Ticket(ticket) => Reply::Ticket(ticket.clone()),
        Told::Comment(comment) => Reply::Comment(comment.clone()),
        Told::Link { link, new } => Reply::Link { link: link.clone(), new: *new },
        Told::Lost => {
            let why = "this was done under this key, and its answer is not kept: read what it was about";
            return Err(Refusal::Conflict(why.to_owned()));
        }
        Told::Secret(token) => {
            return Err(Refusal::Conflict(format!(
                "token {token} was made under this key, and its secret is not kept; if it did not arrive, revoke \
                 that token and make another with a new key"
            )));
        }
    })
}

/// Keeps the key with what was decided.
pub fn keep(once: &Once, actor: &Actor, act: &Act, now: At, decision: &mut Decision) {
    let told = match act {
        Act::CreateApiToken { token } => Told::Secret(token.id.to_string()),
        Act::CreateJoinToken { token } => Told::Secret(token.id.to_string()),
        _ => match &decision.reply {
            Reply::Ticket(ticket) => Told::Ticket(Box::new(Ticket { snapshot: None, ..(**ticket).clone() })),
            Reply::Comment(comment) => Told::Comment(comment.clone()),
            Reply::Link { link, new } => Told::Link { link: link.clone(), new: *new },
            Reply::Done => Told::Done,
            Reply::Asset(_) | Reply::Report { .. } | Reply::Granted { .. } | Reply::Pending { .. } => Told::Lost,
        },
    };
    let kept = Kept { actor: actor.clone(), once: once.clone(), at: now, told };
    decision.keep(Row::Once(Box::new(kept)));
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: At = At(1_000_000_000_000);

    fn once(hash: u8) -> Once {
        Once { key: "k".into(), hash: [hash; 32] }
    }

    fn known(told: Told, age_s: i64) -> Known {
        let held = Some(([1; 32], NOW.plus_secs(-age_s), told));
        Known { once: Memory { held, keys: 1, oldest: None }, ..Known::default() }
    }

    #[test]
    fn the_same_is_told_again_and_another_is_refused() {
        assert_eq!(before(&once(1), &Known::default(), NOW), Ok(None));
        assert_eq!(before(&once(1), &known(Told::Done, 0), NOW), Ok(Some(Reply::Done)));
        let other = before(&once(2), &known(Told::Done, KEPT_S - 1), NOW);
        assert!(matches!(other, Err(Refusal::Invalid { field, .. }) if field == FIELD));
        // After a day the key is free, for the same and for another.
        assert_eq!(before(&once(2), &known(Told::Done, KEPT_S), NOW), Ok(None));
    }

    #[test]
    fn a_secret_is_not_told_again() {
        let refused = before(&once(1), &known(Told::Secret("t-1".into()), 5), NOW);
        assert!(matches!(refused, Err(Refusal::Conflict(why)) if why.contains("token t-1 was made")));
    }

    #[test]
    fn an_actor_has_room_for_so_many_keys() {
        let full = |keys| {
            let once = Memory { held: None, keys, oldest: Some(NOW.plus_secs(60 - KEPT_S)) };
            Known { once, ..Known::default() }
        };
        assert_eq!(before(&once(1), &full(KEYS_MAX - 1), NOW), Ok(None));
        let refused = before(&once(1), &full(KEYS_MAX), NOW);
        assert!(matches!(refused, Err(Refusal::TooMany { retry_s: 60, .. })), "{refused:?}");
        // Whoever repeats is answered though there is no room.
        let mut repeats = full(KEYS_MAX);
        repeats.once.held = Some(([1; 32], NOW, Told::Done));
        assert_eq!(before(&once(1), &repeats, NOW), Ok(Some(Reply::Done)));
    }
}
