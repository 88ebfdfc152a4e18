//! The check-in: the one exchange between an enrolled agent and its collector.
//!
//! `POST /v1/checkin` on the agents' port, JSON, plain or zstd. The agent says which stream it is on, how
//! far it got and what its root digest is; records carry what changed since the record before. A check-in
//! without records is a *beat*. The answer says what the collector holds, which sections it wants whole
//! (their base was not held, or the result did not have the digest that was said), when to come again and
//! what time it is.
//!
//! Order comes from `seq`, never from a clock. A record is applied at most once: the same `(stream, seq)`
//! with the same content is acknowledged again without effect; with another content it is a fork and the
//! answer is 409. A `seq` at or below what the collector holds is acknowledged as `stale`.
//!
//! Reserved names: `agent_id`, `asset_id` and `actor` anywhere at the top of the body or of a record are
//! refused with 400, because who speaks is known from TLS alone. Other unknown names are ignored.

use crate::digest::Digest;
use crate::fact::Item;
use crate::unit::At;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// 16 random bytes, new at enrollment and whenever the agent lost its state; written as a digest is.
pub type Stream = Digest;

/// Names that no body may carry.
pub const RESERVED: [&str; 3] = ["agent_id", "asset_id", "actor"];

/// How a probe fared. A failed section keeps the rows that were last seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The items are the truth, an empty list included.
    Seen,
    /// Nothing can be said; `problems` says why. So is a state of a later version: its rows are not ours to judge.
    #[serde(other)]
    Failed,
}

impl State {
    /// The byte that stands for it in the root digest.
    pub fn code(self) -> u8 {
        match self {
            State::Seen => 1,
            State::Failed => 2,
        }
    }

    /// Its name on the wire and in the database.
    pub fn name(self) -> &'static str {
        match self {
            State::Seen => "seen",
            State::Failed => "failed",
        }
    }
}

/// Why something could not be read: three different answers, and one for the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// It is not there.
    Absent,
    /// It is there and may not be read.
    Denied,
    /// It was read and is not what it should be.
    Malformed,
    /// Reading it broke, took too long or was too large; or a later version has a word of its own for it.
    #[serde(other)]
    Failed,
}

impl Why {
    /// Its name on the wire and for people.
    pub fn name(self) -> &'static str {
        match self {
            Why::Absent => "absent",
            Why::Denied => "denied",
            Why::Malformed => "malformed",
            Why::Failed => "failed",
        }
    }
}

/// Something a probe could not tell.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Problem {
    /// The kind of hole.
    pub why: Why,
    /// Which file, command or field.
    pub what: String,
    /// What was found instead, or what would help; one line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

impl Problem {
    /// A problem without detail.
    pub fn new(why: Why, what: impl Into<String>) -> Problem {
        Problem { why, what: what.into(), detail: String::new() }
    }

    /// The same problem with a detail.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Problem {
        self.detail = detail.into();
        self
    }
}

/// What one record says of one section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The section's name: that of its probe.
    pub section: String,
    /// Seen or failed.
    pub state: State,
    /// The section's digest after this part.
    pub digest: Digest,
    /// The digest that `put` and `del` start from; absent where `put` is the whole section.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Digest>,
    /// Items that are new or changed; absent where only the digest is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub put: Option<Vec<Item>>,
    /// Keys of items that are gone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub del: Vec<String>,
    /// Why the section failed, or what is missing from it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
    /// The section was cut at its limit.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

/// The three forms of a part.
#[derive(Debug, PartialEq, Eq)]
pub enum Rows<'a> {
    /// Only the digest is told.
    Same,
    /// All rows.
    Whole(&'a [Item]),
    /// What differs from `base`.
    Delta {
        /// The digest to start from.
        base: Digest,
        /// New or changed rows.
        put: &'a [Item],
        /// Keys of rows that are gone.
        del: &'a [String],
    },
}

impl Part {
    /// Which form this part has.
    pub fn rows(&self) -> Rows<'_> {
        match (&self.put, self.base) {
            (None, None) => Rows::Same,
            (put, Some(base)) => Rows::Delta { base, put: put.as_deref().unwrap_or(&[]), del: &self.del },
            (Some(put), None) => Rows::Whole(put),
        }
    }
}

/// Records that were lost before they could be sent, told in the next one that was kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// How many records are missing.
    pub records: u64,
    /// When the first of them was made.
    pub from: At,
    /// When the last of them was made.
    pub to: At,
    /// Why: `quota`, `disk_full`, `damaged`, `refused`.
    pub reason: String,
}

/// What changed between two moments on one machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its number in the stream, from 1, without holes but for those a gap tells.
    pub seq: u64,
    /// When the agent made it, by the agent's clock: shown, never used for order.
    pub at: At,
    /// The root digest after it.
    pub root: Digest,
    /// The sections that differ.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sections: Vec<Part>,
    /// What is missing before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<Gap>,
}

/// Why an agent will be silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Goodbye {
    /// The machine goes down.
    Shutdown,
    /// The machine goes to sleep.
    Sleep,
    /// Only the agent is stopped; or for a reason that a later version has a word for.
    #[serde(other)]
    Stop,
}

/// The body of a check-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckIn {
    /// Which stream `seq` counts on.
    pub stream: Stream,
    /// The number of the last record ever made on this stream; 0 before the first.
    pub seq: u64,
    /// The root digest after that record.
    pub root: Digest,
    /// Said when the machine is not the one that the key was made on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub moved: bool,
    /// Said last before silence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goodbye: Option<Goodbye>,
    /// In the order of `seq`; empty in a beat.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub records: Vec<Record>,
}

/// The answer to a check-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// What the collector holds after this check-in.
    pub root: Digest,
    /// The highest `seq` of the stream that the collector holds.
    pub seq: u64,
    /// Sections to be sent whole in the next record; `*` alone asks for the digests of all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub want: Vec<String>,
    /// Every record of this check-in was held already.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stale: bool,
    /// Seconds until the next check-in.
    pub next_s: u32,
    /// The collector's clock.
    pub now: At,
    /// The digest of the settings that the agent should hold.
    pub settings: Digest,
    /// Renew the certificate now, though it is not time: the collector's roots have changed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub renew: bool,
}

/// What a collector may set on an agent: bounded numbers, nothing that becomes a path, a format or a command.
/// `GET /v1/settings` on the agents' port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Seconds between check-ins, 10 to 86,400.
    pub checkin_s: u32,
    /// Seconds between health samples, 5 to 3,600.
    pub health_s: u32,
    /// Per health check: the value from which on a change is told at once, in the check's own unit.
    pub thresholds: BTreeMap<String, i64>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { checkin_s: 300, health_s: 15, thresholds: crate::health::default_thresholds() }
    }
}

impl Settings {
    /// These settings with every number brought within its bounds.
    #[must_use]
    pub fn bounded(mut self) -> Settings {
        self.checkin_s = self.checkin_s.clamp(10, 86_400);
        self.health_s = self.health_s.clamp(5, 3600);
        self
    }

    /// The digest by which both sides know that they hold the same settings.
    pub fn digest(&self) -> Digest {
        let mut text = format!("{} {}", self.checkin_s, self.health_s);
        for (check, value) in &self.thresholds {
            text.push_str(&format!("\n{check} {value}"));
        }
        crate::digest::of_bytes(text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beat_is_small() {
        let beat = CheckIn {
            stream: Digest([255; 16]),
            seq: 999_999,
            root: Digest([255; 16]),
            moved: false,
            goodbye: None,
            records: Vec::new(),
        };
        let text = serde_json::to_string(&beat).expect("json");
        assert!(text.len() <= 120, "{} bytes: {text}", text.len());
    }

    #[test]
    fn the_form_of_a_part_follows_from_its_fields() {
        let part = |text: &str| serde_json::from_str::<Part>(text).expect(text);
        let digest = "0".repeat(32);
        assert_eq!(part(&format!(r#"{{"section":"a","state":"seen","digest":"{digest}"}}"#)).rows(), Rows::Same);
        assert_eq!(
            part(&format!(r#"{{"section":"a","state":"seen","digest":"{digest}","put":[]}}"#)).rows(),
            Rows::Whole(&[])
        );
        let delta =
            part(&format!(r#"{{"section":"a","state":"seen","digest":"{digest}","base":"{digest}","del":["k"]}}"#));
        assert_eq!(delta.rows(), Rows::Delta { base: Digest::default(), put: &[], del: &["k".to_owned()] });
    }

    #[test]
    fn settings_are_bounded() {
        let wild = Settings { checkin_s: 0, health_s: u32::MAX, ..Settings::default() }.bounded();
        assert_eq!((wild.checkin_s, wild.health_s), (10, 3600));
    }
}
