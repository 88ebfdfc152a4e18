//! What the journal keeps of refused enrollments: so much that an admin sees them, so little that strangers cannot
//! fill a disk with them.
//!
//! The first of a kind (network, reason, token) within a minute is told at once; those that follow are counted and
//! told in one event when the minute is over. When many networks try at once, those beyond the first few are counted
//! together. Counts that wait are in memory: a crash loses them. Does not know: who is refused, and why.

use crate::event::{Actor, Event, Subject};
use crate::net::neighbourhood;
use crate::work::{Draft, Refusal};
use shared::id::JoinTokenId;
use shared::unit::At;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Kinds that are told one by one within a minute.
const KINDS: usize = 16;
/// Seconds within which refusals of a kind are counted together.
const WINDOW_S: i64 = 60;

/// Network (none: many), reason, token.
type Kind = (Option<IpAddr>, &'static str, Option<JoinTokenId>);

/// What was not told yet.
#[derive(Debug)]
struct Count {
    since: At,
    more: u64,
    name: String,
}

/// Refusals of the last minute.
#[derive(Debug, Default)]
pub struct Refused {
    counts: BTreeMap<Kind, Count>,
}

impl Refused {
    /// What is to be told at once of a refusal, if anything.
    pub fn note(&mut self, refusal: &Refusal, now: At) -> Option<Draft> {
        let Refusal::Enroll { why, from, name, token } = refusal else { return None };
        let own: Kind = (Some(neighbourhood(*from)), *why, *token);
        let kind = match self.counts.contains_key(&own) || self.counts.len() < KINDS {
            true => own,
            false => (None, *why, None),
        };
        if let Some(count) = self.counts.get_mut(&kind) {
            count.more += 1;
            count.name.clone_from(name);
            return None;
        }
        let alone = kind.0.is_some();
        self.counts.insert(kind, Count { since: now, more: u64::from(!alone), name: name.clone() });
        alone.then(|| draft(why, from.to_string(), name.clone(), *token, 1))
    }

    /// What was counted in minutes that are over.
    pub fn due(&mut self, now: At) -> Vec<Draft> {
        let over = |count: &mut Count| !(0..WINDOW_S).contains(&now.secs_since(count.since));
        let over: Vec<(Kind, Count)> = self.counts.extract_if(.., |_, count| over(count)).collect();
        over.into_iter().filter(|(_, count)| count.more > 0).map(told).collect()
    }

    /// Everything that was counted.
    pub fn all(&mut self) -> Vec<Draft> {
        let all = std::mem::take(&mut self.counts);
        all.into_iter().filter(|(_, count)| count.more > 0).map(told).collect()
    }
}

fn told(((network, why, token), count): (Kind, Count)) -> Draft {
    let source = match network {
        Some(IpAddr::V4(network)) => format!("{network}/24"),
        Some(IpAddr::V6(network)) => format!("{network}/64"),
        None => "many networks".to_owned(),
    };
    draft(why, source, count.name, token, count.more)
}

fn draft(why: &str, source: String, name: String, token: Option<JoinTokenId>, count: u64) -> Draft {
    let event = Event::EnrollRefused { why: why.to_owned(), source, name, count };
    Draft { actor: Actor::Rule("enroll"), subjects: token.map(Subject::JoinToken).into_iter().collect(), event }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(from: &str, why: &'static str) -> Refusal {
        Refusal::Enroll { why, from: from.parse().expect("an address"), name: "host".into(), token: None }
    }

    fn counted(drafts: Vec<Draft>) -> Vec<(String, u64)> {
        let one = |draft: Draft| match draft.event {
            Event::EnrollRefused { source, count, .. } => (source, count),
            other => panic!("{other:?}"),
        };
        drafts.into_iter().map(one).collect()
    }

    #[test]
    fn refusals_of_a_kind_are_two_events_a_minute() {
        let mut refused = Refused::default();
        let at = At::from_secs;
        let first = refused.note(&refusal("192.0.2.7", "wrong secret"), at(0));
        assert_eq!(counted(first.into_iter().collect()), [("192.0.2.7".to_owned(), 1)]);
        for n in 0..500 {
            assert_eq!(refused.note(&refusal(&format!("192.0.2.{}", n % 250), "wrong secret"), at(n / 10)), None);
        }
        assert!(refused.note(&refusal("192.0.2.7", "token expired"), at(50)).is_some());
        assert_eq!(refused.due(at(59)), []);
        assert_eq!(counted(refused.due(at(60))), [("192.0.2.0/24".to_owned(), 500)]);
        assert!(refused.note(&refusal("192.0.2.7", "wrong secret"), at(61)).is_some());
        assert_eq!(refused.note(&refusal("192.0.2.8", "wrong secret"), at(61)), None);
        assert_eq!(counted(refused.all()), [("192.0.2.0/24".to_owned(), 1)]);
    }

    #[test]
    fn however_many_networks_try_memory_and_journal_are_bounded() {
        let mut refused = Refused::default();
        let now = At::from_secs(0);
        let mut told = 0;
        for n in 0..20_000_u32 {
            let from = IpAddr::V4((0x0A00_0000 + n * 256).into()).to_string();
            told += usize::from(refused.note(&refusal(&from, "no such token"), now).is_some());
        }
        assert_eq!((told, refused.counts.len()), (KINDS, KINDS + 1));
        assert_eq!(counted(refused.due(At::from_secs(60))), [("many networks".to_owned(), 20_000 - KINDS as u64)]);
        assert!(refused.counts.is_empty());
    }
}
