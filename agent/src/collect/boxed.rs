//! The box that a probe runs in: so much time, and so many bytes of answers. Once either is spent every further
//! question fails, and so does the section, because half an answer would look like the whole truth.
//!
//! A question that the system never answers cannot be ended from here; that is what the service manager's watchdog
//! is for, and [`crate::state::marker`] remembers who asked.

use crate::clock;
use crate::probes::Found;
use crate::source::{Answer, Ask, Miss, Source};
use shared::checkin::{Problem, Why};
use shared::limit::DATABASE_BYTES;
use std::cell::Cell;
use std::time::Duration;

/// How long a probe may take.
const WALL_MAX: Duration = Duration::from_secs(10);
/// Bytes of all answers to one run of a probe: a package database as large as it may be, and half of another.
const BYTES_MAX: usize = DATABASE_BYTES / 2 * 3;

/// What one run of a probe took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent {
    /// The probe.
    pub probe: &'static str,
    /// From its begin to its end.
    pub wall: Duration,
    /// On a CPU, without what its commands took.
    pub cpu: Duration,
    /// Questions.
    pub asks: u32,
    /// Bytes of answers.
    pub bytes: usize,
    /// It took more than it may.
    pub overran: bool,
}

/// A source with a limit.
pub(super) struct Boxed<'a> {
    inner: &'a dyn Source,
    /// Time since boot.
    clock: fn() -> Duration,
    wall_begin: Duration,
    cpu_begin: Duration,
    asks: Cell<u32>,
    bytes: Cell<usize>,
    /// Why a question was refused.
    refused: Cell<Option<&'static str>>,
}

impl<'a> Boxed<'a> {
    pub(super) fn new(inner: &'a dyn Source, clock: fn() -> Duration) -> Boxed<'a> {
        let (wall_begin, cpu_begin) = (clock(), clock::on_cpu());
        let (asks, bytes, refused) = (Cell::new(0), Cell::new(0), Cell::new(None));
        Boxed { inner, clock, wall_begin, cpu_begin, asks, bytes, refused }
    }

    fn wall(&self) -> Duration {
        (self.clock)().saturating_sub(self.wall_begin)
    }

    /// What the run took, and what is left of what it found.
    pub(super) fn end(self, probe: &'static str, found: Result<Found, Problem>) -> (Result<Found, Problem>, Spent) {
        let (wall, bytes) = (self.wall(), self.bytes.get());
        let cpu = clock::on_cpu().saturating_sub(self.cpu_begin);
        let overran = wall > WALL_MAX || bytes > BYTES_MAX;
        let spent = Spent { probe, wall, cpu, asks: self.asks.get(), bytes, overran };
        match self.refused.get() {
            Some(why) => (Err(Problem::new(Why::Failed, probe).detail(why)), spent),
            None => (found, spent),
        }
    }
}

impl Source for Boxed<'_> {
    fn told_version(&self) -> Option<String> {
        self.inner.told_version()
    }

    fn get(&self, ask: &Ask) -> Result<Answer, Miss> {
        let why = if self.bytes.get() > BYTES_MAX {
            Some("it read more bytes than a probe may")
        } else if self.wall() > WALL_MAX {
            Some("it took longer than a probe may")
        } else {
            None
        };
        if let Some(why) = why {
            self.refused.set(Some(why));
            return Err(Miss::Failed(why.to_owned()));
        }
        self.asks.set(self.asks.get().saturating_add(1));
        let answer = self.inner.get(ask)?;
        let bytes = match &answer {
            Answer::Bytes(bytes) => bytes.len(),
            Answer::Names(names) => names.iter().map(String::len).sum(),
            Answer::Target(target) => target.len(),
            Answer::Stat(_) | Answer::Space(_) | Answer::Clock(_) | Answer::User(_) => 0,
        };
        self.bytes.set(self.bytes.get().saturating_add(bytes));
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::fact::Item;

    thread_local! {
        static NOW: Cell<u64> = const { Cell::new(0) };
    }

    fn now() -> Duration {
        Duration::from_secs(NOW.get())
    }

    /// Every question takes seconds.
    struct Slow(u64, usize);

    impl Source for Slow {
        fn get(&self, _ask: &Ask) -> Result<Answer, Miss> {
            NOW.set(NOW.get() + self.0);
            Ok(Answer::Bytes(vec![0; self.1]))
        }
    }

    fn run(slow: Slow, asks: usize) -> (Result<usize, String>, u32, bool) {
        let boxed = Boxed::new(&slow, now);
        let source: &dyn Source = &boxed;
        for _ in 0..asks {
            let _ = source.file("/a");
        }
        let found = Found { items: vec![Item::new("x", "y")], problems: Vec::new() };
        let (found, spent) = boxed.end("disks", Ok(found));
        (found.map(|found| found.items.len()).map_err(|problem| problem.detail), spent.asks, spent.overran)
    }

    #[test]
    fn a_probe_that_takes_too_long_fails_as_a_whole() {
        assert_eq!(run(Slow(5, 1), 2), (Ok(1), 2, false));
        assert_eq!(run(Slow(4, 1), 9), (Err("it took longer than a probe may".into()), 3, true));
        // Everything it asked was answered: that is the truth, only late.
        assert_eq!(run(Slow(11, 1), 1), (Ok(1), 1, true));
    }

    #[test]
    fn a_probe_that_reads_too_much_fails_as_a_whole() {
        let much = BYTES_MAX / 2 + 1;
        assert_eq!(run(Slow(0, much), 1), (Ok(1), 1, false));
        assert_eq!(run(Slow(0, much), 4), (Err("it read more bytes than a probe may".into()), 2, true));
    }
}
