//! The desk's nouns, as the rules see them.

use crate::register::model::names;
use serde::{Deserialize, Serialize};
use shared::id::{AssetId, CommentId, LinkId, TicketId};
use shared::unit::At;
use std::collections::BTreeMap;
use std::fmt;

names! {
    /// The four kinds of ticket.
    Kind {
        /// Something broke.
        Incident = "incident",
        /// Somebody wants something.
        Request = "request",
        /// Why things break.
        Problem = "problem",
        /// Something is to be done to infrastructure.
        Change = "change",
    }
}

impl Kind {
    /// The prefix of its tickets' keys.
    pub fn prefix(self) -> &'static str {
        match self {
            Kind::Incident => "INC",
            Kind::Request => "REQ",
            Kind::Problem => "PRB",
            Kind::Change => "CHG",
        }
    }
}

/// One ticket of any kind. What only one kind has is in `fields`, checked by that kind's process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// Its id.
    pub id: TicketId,
    /// Its number within its kind; with the prefix it is what people say: `INC-17`.
    pub number: u64,
    /// Revision, the ETag.
    pub rev: u64,
    /// Which kind.
    pub kind: Kind,
    /// Where it stands: a state of its kind's process.
    pub state: String,
    /// One line.
    pub title: String,
    /// More.
    pub description: String,
    /// 1 service or site, 2 group, 3 one person.
    pub impact: u8,
    /// 1 work stopped, 2 degraded, 3 can wait.
    pub urgency: u8,
    /// 1 to 5, from both.
    pub priority: u8,
    /// Who works on it.
    pub assignee: Option<String>,
    /// Who asked for it.
    pub requester: Option<String>,
    /// When it was opened.
    pub opened: At,
    /// Last written.
    pub updated: At,
    /// How it was resolved: a code of the process.
    pub resolution_code: Option<String>,
    /// How it was resolved, in words.
    pub resolution_text: Option<String>,
    /// What only its kind has: `risk`, `plan`, `window_start`, `hold_reason` …
    pub fields: BTreeMap<String, String>,
    /// The rule that opened it; none when a person did.
    pub rule: Option<String>,
    /// The fault it was opened for.
    pub fingerprint: Option<String>,
    /// How many reports told of the fault.
    pub count: u64,
    /// When the fault was last told.
    pub last_seen: Option<At>,
    /// A person worked on it: rules no longer move it.
    pub touched: bool,
    /// The evidence as it was when the ticket was opened; JSON, never changed after.
    pub snapshot: Option<String>,
}

impl Ticket {
    /// What people call it: `INC-17`.
    pub fn key(&self) -> String {
        format!("{}-{}", self.kind.prefix(), self.number)
    }
}

/// Something written on a ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comment {
    /// Its id.
    pub id: CommentId,
    /// The ticket.
    pub ticket: TicketId,
    /// When.
    pub at: At,
    /// Who.
    pub actor: String,
    /// What.
    pub text: String,
}

/// One end of a link.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// `asset:<id>`.
    Asset(AssetId),
    /// `ticket:<id>`.
    Ticket(TicketId),
    /// A ticket of another tool, `jira:OPS-12`, or a URL (`https://…`): shown, never fetched.
    External(String),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Asset(id) => write!(f, "asset:{id}"),
            End::Ticket(id) => write!(f, "ticket:{id}"),
            End::External(text) => f.write_str(text),
        }
    }
}

impl std::str::FromStr for End {
    type Err = String;

    /// Anything that is not `asset:<id>` or `ticket:<id>` is external: `system:KEY` or an http(s) URL.
    fn from_str(text: &str) -> Result<End, String> {
        let bad = |why: &str| Err(format!("not an end of a link: {text:?}: {why}"));
        if text.len() > 512 || text.chars().any(char::is_control) {
            return bad("at most 512 bytes, no control characters");
        }
        match text.split_once(':') {
            Some(("asset", id)) => id.parse().map(End::Asset).map_err(|e| e.to_string()),
            Some(("ticket", id)) => id.parse().map(End::Ticket).map_err(|e| e.to_string()),
            Some(("http" | "https", rest)) if rest.len() > 2 && rest.starts_with("//") => {
                Ok(End::External(text.to_owned()))
            }
            Some((system, key))
                if !key.is_empty()
                    && !key.starts_with("//")
                    && !system.is_empty()
                    && !matches!(system, "http" | "https" | "javascript" | "data" | "file")
                    && system.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-') =>
            {
                Ok(End::External(text.to_owned()))
            }
            _ => bad("expected asset:ID, ticket:ID, system:KEY (jira:OPS-12) or an http(s) URL"),
        }
    }
}

impl Serialize for End {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for End {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<End, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

names! {
    /// How two things are linked, read from the first end to the second.
    Rel {
        /// The ticket concerns the asset.
        Affects = "affects",
        /// The ticket comes from the other ticket.
        CausedBy = "caused_by",
        /// The ticket is the same as the other.
        Duplicates = "duplicates",
        /// The ticket puts an end to the other.
        Resolves = "resolves",
        /// The change is how the other ticket is carried out.
        Implements = "implements",
        /// The asset is what the request asked for.
        Fulfils = "fulfils",
        /// The asset needs the other.
        DependsOn = "depends_on",
        /// The asset is plugged into the other.
        AttachedTo = "attached_to",
        /// The incident happened again.
        Recurs = "recurs",
        /// Both are about the same.
        Relates = "relates",
        /// The other tool's ticket stands for this one there.
        TrackedBy = "tracked_by",
    }
}

/// A typed pair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Its id.
    pub id: LinkId,
    /// The first end.
    pub from: End,
    /// How.
    pub rel: Rel,
    /// The second end.
    pub to: End,
    /// `human` or the rule that made it.
    pub source: String,
    /// When it was made.
    pub created: At,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_of_links_are_read_and_written_the_same() {
        for text in ["jira:OPS-12", "https://tickets.example/1?a=b", "asset:0197c0de-0000-7000-8000-000000000001"] {
            assert_eq!(text.parse::<End>().map(|end| end.to_string()), Ok(text.to_owned()));
        }
        for text in
            ["", "OPS-12", "jira:", "javascript:alert(1)", "asset:1", "jira:a\nb", "file:///etc/passwd", "http:x"]
        {
            assert!(text.parse::<End>().is_err(), "{text:?}");
        }
    }
}
