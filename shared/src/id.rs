//! Ids: UUIDv7 as text, one newtype per kind so that none is taken for another.
//!
//! Nothing here makes an id: randomness comes from outside (the pure core is handed its ids).

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// The text was not a UUID in its hyphenated form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadId(pub String);

impl fmt::Display for BadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not an id: {:?} (expected a UUID such as 0197c0de-0000-7000-8000-000000000001)", self.0)
    }
}

impl std::error::Error for BadId {}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0.hyphenated())
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                if text.len() != 36 {
                    return Err(BadId(text.chars().take(40).collect()));
                }
                Uuid::try_parse(text).map($name).map_err(|_| BadId(text.to_owned()))
            }
        }
    )+};
}

ids! {
    /// An enrolled agent. Never the key of an asset: a machine keeps its asset when its agent is reinstalled.
    AgentId
    /// One thing in the register.
    AssetId
    /// One ticket of any kind.
    TicketId
    /// One link between two things.
    LinkId
    /// One comment on a ticket.
    CommentId
    /// One join token (its secret is not part of it).
    JoinTokenId
    /// One API token (its secret is not part of it).
    ApiTokenId
    /// What a batch of events has in common: the work that caused them.
    CauseId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_its_text() {
        let text = "0197c0de-0000-7000-8000-000000000001";
        let id: AgentId = text.parse().expect("a UUID");
        assert_eq!(id.to_string(), text);
        assert_eq!(serde_json::to_string(&id).expect("text"), format!("\"{text}\""));
    }

    #[test]
    fn other_forms_of_a_uuid_are_refused() {
        for text in [
            "",
            "../B",
            "0197c0de00007000800000000000000",
            "{0197c0de-0000-7000-8000-000000000001}",
            "0197c0de-0000-7000-8000-00000000000\0",
        ] {
            assert!(text.parse::<AgentId>().is_err(), "{text:?}");
        }
    }
}
