//! The tape: what one machine answered, as one text file that diffs in review (its format is told in `tape/text.rs`).
//!
//! Knows answers by their questions. Does not know what an answer means, nor where the text is kept.

mod text;

pub use text::TapeError;

use super::{Answer, Ask, Command, Miss, Source, Space, Stat, Table};
use shared::unit::At;
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Answers on one tape; an inventory makes some 1,500, one more for each process and service.
pub const TAPE_ANSWERS: usize = 400_000;
/// A tape as text, in bytes.
pub const TAPE_BYTES: usize = 256 * 1024 * 1024;

/// What was asked of a machine, and what came back. What is not on a tape is absent.
///
/// Also made by hand, for tests: `Tape::new().file("/etc/hostname", "web1\n").denied("/etc/shadow")`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tape {
    os: String,
    answers: BTreeMap<Ask, Result<Answer, Miss>>,
}

impl Default for Tape {
    fn default() -> Tape {
        Tape::new()
    }
}

impl Tape {
    /// An empty tape of a Linux machine.
    pub fn new() -> Tape {
        Tape::of("linux")
    }

    /// An empty tape of a machine with that operating system: a lower-case word.
    pub fn of(os: &str) -> Tape {
        Tape { os: os.to_owned(), answers: BTreeMap::new() }
    }

    /// Reads a tape from its text.
    ///
    /// # Errors
    /// [`TapeError`] names the first line that is not as the format says, or that passes a bound.
    pub fn parse(text: &str) -> Result<Tape, TapeError> {
        text::parse(text)
    }

    /// Writes the tape; the same tape always gives the same text.
    pub fn to_text(&self) -> String {
        text::to_text(self)
    }

    /// The operating system it was recorded on: `linux`.
    pub fn os(&self) -> &str {
        &self.os
    }

    /// The answer to a question, if it was asked.
    pub fn answer(&self, ask: &Ask) -> Option<&Result<Answer, Miss>> {
        self.answers.get(ask)
    }

    /// Questions and answers in the order of the questions.
    pub fn answers(&self) -> impl Iterator<Item = (&Ask, &Result<Answer, Miss>)> {
        self.answers.iter()
    }

    /// Keeps an answer in place of an older one. Names are sorted, as [`Ask::Dir`] promises.
    pub fn put(&mut self, ask: Ask, mut answer: Result<Answer, Miss>) {
        if let Ok(Answer::Names(names)) = &mut answer {
            names.sort_unstable();
        }
        self.answers.insert(ask, answer);
    }

    fn with(mut self, ask: Ask, answer: Result<Answer, Miss>) -> Tape {
        self.put(ask, answer);
        self
    }

    /// Adds a file.
    #[must_use]
    pub fn file(self, path: &str, bytes: impl AsRef<[u8]>) -> Tape {
        self.with(Ask::File(path.to_owned()), Ok(Answer::Bytes(bytes.as_ref().to_vec())))
    }

    /// Adds a folder with its names.
    #[must_use]
    pub fn dir(self, path: &str, names: &[&str]) -> Tape {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        self.with(Ask::Dir(path.to_owned()), Ok(Answer::Names(names)))
    }

    /// Adds a symbolic link.
    #[must_use]
    pub fn link(self, path: &str, target: &str) -> Tape {
        self.with(Ask::Link(path.to_owned()), Ok(Answer::Target(target.to_owned())))
    }

    /// Adds what a path is.
    #[must_use]
    pub fn stat(self, path: &str, stat: Stat) -> Tape {
        self.with(Ask::Stat(path.to_owned()), Ok(Answer::Stat(stat)))
    }

    /// Adds the space of a filesystem.
    #[must_use]
    pub fn space(self, path: &str, space: Space) -> Tape {
        self.with(Ask::Space(path.to_owned()), Ok(Answer::Space(space)))
    }

    /// Adds a table of the kernel's network configuration.
    #[must_use]
    pub fn netlink(self, table: Table, bytes: impl AsRef<[u8]>) -> Tape {
        self.with(Ask::Netlink(table), Ok(Answer::Bytes(bytes.as_ref().to_vec())))
    }

    /// Adds what a command prints.
    #[must_use]
    pub fn command(self, command: Command, bytes: impl AsRef<[u8]>) -> Tape {
        self.with(Ask::Command(command), Ok(Answer::Bytes(bytes.as_ref().to_vec())))
    }

    /// Sets the time.
    #[must_use]
    pub fn clock(self, now: At) -> Tape {
        self.with(Ask::Clock, Ok(Answer::Clock(now)))
    }

    /// Sets who asks.
    #[must_use]
    pub fn user(self, uid: u32) -> Tape {
        self.with(Ask::User, Ok(Answer::User(uid)))
    }

    /// A path that may not be read, as a file, a folder or a link.
    #[must_use]
    pub fn denied(self, path: &str) -> Tape {
        self.missing(path, &Miss::Denied)
    }

    /// A path that breaks when read, as a file, a folder or a link.
    #[must_use]
    pub fn failed(self, path: &str, detail: &str) -> Tape {
        self.missing(path, &Miss::Failed(detail.to_owned()))
    }

    fn missing(self, path: &str, miss: &Miss) -> Tape {
        [Ask::File, Ask::Dir, Ask::Link]
            .into_iter()
            .fold(self, |tape, ask| tape.with(ask(path.to_owned()), Err(miss.clone())))
    }
}

impl Source for Tape {
    fn get(&self, ask: &Ask) -> Result<Answer, Miss> {
        self.answers.get(ask).cloned().unwrap_or(Err(Miss::Absent))
    }
}

/// Asks another source and keeps what it answered.
pub struct Recorder<'a> {
    source: &'a dyn Source,
    tape: RefCell<Tape>,
}

impl<'a> Recorder<'a> {
    /// Records what `source` answers from now on, on a machine with that operating system.
    pub fn new(source: &'a dyn Source, os: &str) -> Recorder<'a> {
        Recorder { source, tape: RefCell::new(Tape::of(os)) }
    }

    /// What was recorded.
    pub fn into_tape(self) -> Tape {
        self.tape.into_inner()
    }
}

impl Source for Recorder<'_> {
    /// The first answer is kept and given again, so that the probes of one recording agree with its replay.
    /// Beyond [`TAPE_ANSWERS`] it answers without recording.
    fn get(&self, ask: &Ask) -> Result<Answer, Miss> {
        if let Some(answer) = self.tape.borrow().answer(ask) {
            return answer.clone();
        }
        let answer = self.source.get(ask);
        let mut tape = self.tape.borrow_mut();
        if tape.answers.len() < TAPE_ANSWERS {
            tape.put(ask.clone(), answer.clone());
        }
        answer
    }
}

#[cfg(test)]
mod tests;
