//! How the program ends: the exit codes that scripts may rely on, and the one-line error behind each.
//!
//! Knows no cause: whoever fails chooses the code and says what, where, and what to do next.

use std::fmt;

/// Exit codes. They are part of the interface: a code keeps its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// Something failed that no other code names.
    Failure = 1,
    /// The command line is wrong (clap's own code).
    Usage = 2,
    /// The configuration is wrong.
    Config = 3,
    /// There is no identity yet.
    NotEnrolled = 4,
    /// The collector refused.
    Refused = 5,
    /// The collector could not be reached.
    Unreachable = 6,
    /// The other side is not the collector that this agent trusts.
    Untrusted = 7,
    /// The state directory or the disk under it.
    State = 8,
}

/// The table of codes for `--help`.
pub const HELP: &str = "\
Exit codes:
  0  done
  1  failure not named below
  2  wrong command line
  3  wrong configuration
  4  not enrolled
  5  refused by the collector
  6  collector out of reach
  7  collector not trusted (its certificate is not from the pinned CA, or names another host)
  8  state directory not usable (missing, not writable, in use, disk full, damaged)";

/// Why the program ends: one line and a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fail {
    /// The exit code.
    pub code: Code,
    /// What, where, and what to do next.
    pub text: String,
}

impl Fail {
    /// A failure with its line.
    pub fn new(code: Code, text: impl Into<String>) -> Fail {
        Fail { code, text: text.into() }
    }
}

impl fmt::Display for Fail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Fail {}
