//! How a check came out: what was found, and what to do about it. Does not know any check.

use serde_json::{Value, json};

/// How a check came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// It is right.
    Pass(String),
    /// It works, and a person should look at it.
    Warn(String, String),
    /// It does not work.
    Fail(String, String),
}

impl Found {
    pub(super) fn pass(found: impl Into<String>) -> Found {
        Found::Pass(found.into())
    }

    pub(super) fn warn(found: impl Into<String>, advice: impl Into<String>) -> Found {
        Found::Warn(found.into(), advice.into())
    }

    pub(super) fn fail(found: impl Into<String>, advice: impl Into<String>) -> Found {
        Found::Fail(found.into(), advice.into())
    }

    /// What could not be looked at, mostly because this user may not.
    pub(super) fn denied(error: &std::io::Error) -> Found {
        let advice = match error.kind() {
            std::io::ErrorKind::PermissionDenied => "run this as the user of the collector, or as root",
            _ => "see what the system's log says of this disk",
        };
        Found::fail(error.to_string(), advice)
    }

    /// `PASS`, `WARN` or `FAIL`.
    pub(super) fn state(&self) -> &'static str {
        match self {
            Found::Pass(_) => "PASS",
            Found::Warn(..) => "WARN",
            Found::Fail(..) => "FAIL",
        }
    }

    /// As a row of the output.
    pub(super) fn row(&self, check: &str) -> Value {
        let (found, advice) = match self {
            Found::Pass(found) => (found.as_str(), ""),
            Found::Warn(found, advice) | Found::Fail(found, advice) => (found.as_str(), advice.as_str()),
        };
        json!({"check": check, "state": self.state(), "found": found, "advice": advice})
    }
}
