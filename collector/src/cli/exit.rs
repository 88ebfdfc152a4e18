//! Exit codes, decided in one place and the same for every verb.

use std::process::ExitCode;

/// How a verb ends when it fails: what to print, on one line, and the code to end with.
#[derive(Debug)]
pub struct Failure {
    /// The code.
    pub code: Code,
    /// What happened, and what to do next.
    pub message: String,
}

/// What went wrong, as a number for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// 0: whoever read the output has gone away (`| head`); nothing failed, and nobody is there to be told.
    Unread = 0,
    /// 1: it did not work.
    Failed = 1,
    /// 2: the command line is not right (clap's own code).
    Usage = 2,
    /// 3: the configuration is not right.
    Config = 3,
    /// 4: the collector cannot be reached.
    Unreachable = 4,
    /// 5: not allowed: no token, a wrong one, or one without the scope.
    Forbidden = 5,
    /// 6: there is no such thing.
    NotFound = 6,
    /// 7: it cannot be so, or somebody else was faster.
    Conflict = 7,
    /// 8: the database cannot be used: newer, broken, locked, full.
    Database = 8,
    /// 9: an address cannot be listened on.
    Address = 9,
}

/// For `--help`.
pub const HELP: &str = "Exit codes: 0 done, 1 failed, 2 wrong command line or value, 3 wrong configuration, 4 collector not reachable, \
5 not allowed, 6 not found, 7 conflict, 8 database not usable, 9 address not usable.";

impl Failure {
    /// A failure with its code.
    pub fn new(code: Code, message: impl Into<String>) -> Failure {
        Failure { code, message: message.into() }
    }

    /// Prints it on one line and gives the code to end with.
    pub fn end(&self) -> ExitCode {
        if self.code != Code::Unread {
            super::output::remark(&format!("muster: {}", self.message));
        }
        ExitCode::from(self.code as u8)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure::new(Code::Failed, error.to_string())
    }
}
