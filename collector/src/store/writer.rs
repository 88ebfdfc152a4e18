//! The one writer: a thread, a bounded queue, one transaction for whatever waits.
//!
//! Each work has a savepoint of its own, so that a bad one does not sink its neighbours; everyone is answered
//! after the commit only. An I/O error is never retried: all who wait fail, the writer stops, and the
//! process is told to end. Knows no rule but that `decide` comes between loading and applying.

use super::disk::Floor;
use super::engine::{Engine, Error};
use super::journal::Journal;
use super::ledger::Ledger;
use super::load::{self, Source};
use super::names::Names;
use super::table::agent;
use super::table::software::Dictionary;
use super::table::sweep;
use super::{Denied, apply};
use crate::decide::{decide, needs};
use crate::event::Actor;
use crate::register::refused::Refused;
use crate::work::{Context, Decision, Draft, Fresh, Known, Policy, Refusal, Reply, Row, Work};
use shared::id::{AgentId, CauseId};
use shared::unit::At;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};
use tokio::sync::{oneshot, watch};

/// Works in one transaction.
pub const BATCH_WORKS: usize = 128;
/// From this many works that wait on, the collector is busy and waits a little for more.
const BUSY_WORKS: usize = 8;
/// How long it waits for more, in milliseconds.
const WINDOW_MS: u64 = 2;
/// How often a work is decided anew when somebody else was faster.
const TRIES: usize = 4;
/// Seconds after which an asker who was turned away for lack of space may come back.
pub const FULL_RETRY_S: u32 = 60;

/// What is queued.
pub enum Job {
    /// A work and who waits for it.
    Work(Box<Work>, oneshot::Sender<Result<Reply, Denied>>),
    /// When agents were last heard, in the order of ids.
    Seen(Vec<(AgentId, At)>, oneshot::Sender<Result<(), Denied>>),
    /// Nothing comes after this.
    Stop,
}

/// What the queue tells those who want to add to it.
#[derive(Debug, Default)]
pub struct Gauge {
    /// Jobs that wait.
    pub waiting: AtomicUsize,
    /// Works done each second, as measured over the last batches; 0 before the first.
    pub rate: AtomicU64,
}

/// What is called with the rows of a commit.
pub type Committed = dyn Fn(&[Row]) + Send + Sync;

/// What the writer is given from outside.
#[derive(Clone)]
pub struct Outside {
    /// The collector's clock.
    pub clock: Arc<dyn Fn() -> At + Send + Sync>,
    /// 16 bytes that no two works share.
    pub seed: Arc<dyn Fn() -> [u8; 16] + Send + Sync>,
    /// What admins may set.
    pub policy: Policy,
    /// Called with the rows of a commit, after it and before anyone is answered.
    pub committed: Arc<Committed>,
    /// Since when an agent's silence counts, if that is known better than from the table.
    pub heard: Arc<dyn Fn(AgentId) -> Option<At> + Send + Sync>,
}

/// The writer's own state.
pub struct Writer<E> {
    pub engine: E,
    pub outside: Outside,
    pub floor: Floor,
    pub gauge: Arc<Gauge>,
    pub head: watch::Sender<u64>,
    /// Where revocations go as well, beside the database.
    pub ledger: Option<Ledger>,
    dictionary: Dictionary,
    journal: Journal,
    refused: Refused,
}

/// A job that was done within the transaction, and what its asker will be told.
enum Answer {
    Work(oneshot::Sender<Result<Reply, Denied>>, Result<Reply, Denied>),
    Seen(oneshot::Sender<Result<(), Denied>>),
}

impl Answer {
    fn send(self) {
        // An asker who went away is told nothing; what was done stays done.
        match self {
            Answer::Work(asker, answer) => drop(asker.send(answer)),
            Answer::Seen(asker) => drop(asker.send(Ok(()))),
        }
    }

    fn fail(self, denied: Denied) {
        match self {
            Answer::Work(asker, _) => drop(asker.send(Err(denied))),
            Answer::Seen(asker) => drop(asker.send(Err(denied))),
        }
    }
}

impl<E: Engine> Writer<E> {
    /// A writer on this connection.
    ///
    /// # Errors
    /// [`Error`].
    pub fn new(
        mut engine: E,
        outside: Outside,
        floor: Floor,
        gauge: Arc<Gauge>,
        head: watch::Sender<u64>,
    ) -> Result<Writer<E>, Error> {
        let journal = Journal::open(&mut engine)?;
        head.send_replace(journal.head());
        Ok(Writer {
            engine,
            outside,
            floor,
            gauge,
            head,
            ledger: None,
            dictionary: Dictionary::default(),
            journal,
            refused: Refused::default(),
        })
    }

    /// Works until it is told to stop.
    ///
    /// # Errors
    /// What made it stop before that; everyone who waited was told.
    pub fn run(mut self, queue: &Receiver<Job>) -> Result<(), Error> {
        while let Some((batch, stop)) = gather(queue) {
            self.gauge.waiting.fetch_sub(batch.len(), Ordering::Relaxed);
            let (started, works) = (Instant::now(), batch.len());
            if let Err(error) = self.batch(batch) {
                self.fail_queue(queue, &error);
                return Err(error);
            }
            self.measure(works, started.elapsed());
            // Everyone was answered: what was committed is durable in the log already.
            if let Err(error) = self.tidy(stop) {
                self.fail_queue(queue, &error);
                return Err(error);
            }
            if stop {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Moves the log where it is long, or all of it at the end. Without space it stays, and is tried again.
    fn tidy(&mut self, stop: bool) -> Result<(), Error> {
        match if stop { self.engine.rest() } else { self.engine.tidy() } {
            Err(error) if error.is_fatal() => Err(error),
            Err(error) => {
                tracing::warn!(%error, "the log could not be moved into the database; it is tried again");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    fn measure(&self, works: usize, took: Duration) {
        let now = u64::try_from(works).unwrap_or(u64::MAX).saturating_mul(1_000_000)
            / u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
        let before = self.gauge.rate.load(Ordering::Relaxed);
        let rate = if before == 0 { now } else { (before * 7 + now) / 8 };
        self.gauge.rate.store(rate.max(1), Ordering::Relaxed);
    }

    /// Does what is queued in one transaction and answers.
    ///
    /// # Errors
    /// Only what forbids to go on.
    pub fn batch(&mut self, batch: Vec<Job>) -> Result<(), Error> {
        let mut rows = Vec::new();
        let mut answers = Vec::with_capacity(batch.len());
        match self.transaction(batch, &mut answers, &mut rows) {
            Ok(head) => {
                self.journal.committed(head);
                if let Err(error) = self.note(&rows) {
                    answers.into_iter().for_each(|answer| answer.fail(denied(&error)));
                    return Err(error);
                }
                (self.outside.committed)(&rows);
                self.head.send_if_modified(|held| std::mem::replace(held, head) != head);
                answers.into_iter().for_each(Answer::send);
                Ok(())
            }
            Err(error) => {
                // After some errors SQLite has rolled back already; then this one says that there is none.
                let _ = self.engine.rollback();
                self.dictionary.forget();
                self.journal.roll_back(0);
                for answer in answers {
                    answer.fail(denied(&error));
                }
                if error.is_fatal() { Err(error) } else { Ok(()) }
            }
        }
    }

    /// Tells the ledger of what was revoked. On a full disk the next start does.
    fn note(&mut self, rows: &[Row]) -> Result<(), Error> {
        let Some(ledger) = &mut self.ledger else { return Ok(()) };
        match ledger.note(rows, (self.outside.clock)()) {
            Err(error) if error.kind() != ErrorKind::StorageFull => {
                Err(Error::Io(format!("{}: {error}", ledger.path().display())))
            }
            Err(error) => {
                tracing::warn!(%error, path = %ledger.path().display(), "a revocation is written at the next start");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    fn transaction(&mut self, batch: Vec<Job>, answers: &mut Vec<Answer>, rows: &mut Vec<Row>) -> Result<u64, Error> {
        let low = self.floor.is_low();
        let mut failed = self.engine.begin().err();
        for job in batch {
            match job {
                Job::Stop => {
                    let counted = self.refused.all();
                    failed = failed.or_else(|| self.tell(&counted).err());
                }
                Job::Seen(seen, asker) => {
                    answers.push(Answer::Seen(asker));
                    if failed.is_none() {
                        failed = self.seen(&seen).err();
                    }
                }
                Job::Work(work, asker) => {
                    let full = Err(Denied::Busy { retry_s: FULL_RETRY_S });
                    if failed.is_some() || (low && is_ingest(&work)) {
                        answers.push(Answer::Work(asker, full));
                        continue;
                    }
                    let done = self.work(&work);
                    let (answer, error) = match done {
                        Ok(Ok((reply, mut kept))) => {
                            rows.append(&mut kept);
                            (Ok(reply), None)
                        }
                        Ok(Err(denied)) => (Err(denied), None),
                        Err(error) => (full, Some(error)),
                    };
                    failed = error;
                    answers.push(Answer::Work(asker, answer));
                }
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        let counted = self.refused.due((self.outside.clock)());
        self.tell(&counted)?;
        let head = self.journal.write(&mut self.engine)?;
        self.engine.commit().map_err(|error| error.at("commit"))?;
        Ok(head)
    }

    /// Journals what no work asked for.
    fn tell(&mut self, drafts: &[Draft]) -> Result<(), Error> {
        if drafts.is_empty() {
            return Ok(());
        }
        let now = (self.outside.clock)();
        let cause = CauseId(Fresh::new(now, (self.outside.seed)()).uuid());
        let mut names = Names { engine: &mut self.engine, known: &Known::default(), rows: &[] };
        self.journal.tell(now, cause, drafts, &mut names)
    }

    fn seen(&mut self, seen: &[(AgentId, At)]) -> Result<(), Error> {
        seen.iter().try_for_each(|(id, at)| agent::put_seen(&mut self.engine, *id, *at))
    }

    /// One work in its savepoint. The inner result is what its asker is told; the outer one is an error of
    /// the whole transaction.
    fn work(&mut self, work: &Work) -> Result<Result<(Reply, Vec<Row>), Denied>, Error> {
        let now = (self.outside.clock)();
        let seed = (self.outside.seed)();
        let mark = self.journal.mark();
        for _ in 0..TRIES {
            self.engine.savepoint()?;
            let error = match self.decide(work, now, seed) {
                Ok(Ok(decision)) => {
                    self.engine.release()?;
                    let agent = if let Work::Report(report) = work { Some(report.agent) } else { None };
                    self.dictionary.keep(agent, now);
                    return Ok(Ok((decision.reply, decision.rows)));
                }
                Ok(Err(refusal)) => {
                    self.engine.rollback_work()?;
                    let cause = CauseId(Fresh::new(now, seed).uuid());
                    let refused = self.refused.note(&refusal, now);
                    let mut names = Names { engine: &mut self.engine, known: &Known::default(), rows: &[] };
                    self.journal.tell(now, cause, refused.as_slice(), &mut names)?;
                    return Ok(Err(Denied::Refused(refusal)));
                }
                Err(error) if error.is_fatal() || error == Error::Full => return Err(error),
                Err(error) => error,
            };
            self.engine.rollback_work()?;
            self.journal.roll_back(mark);
            self.dictionary.roll_back();
            if error != Error::Raced {
                return Ok(Err(Denied::Failed(error.to_string())));
            }
        }
        Ok(Err(Denied::Busy { retry_s: 1 }))
    }

    fn decide(&mut self, work: &Work, now: At, seed: [u8; 16]) -> Result<Result<Decision, Refusal>, Error> {
        let mut fresh = Fresh::new(now, seed);
        let cause = CauseId(fresh.uuid());
        let mut context = Context { now, fresh, policy: self.outside.policy.clone() };
        let mut source = Source {
            engine: &mut self.engine,
            dictionary: &mut self.dictionary,
            journal: &self.journal,
            heard: &*self.outside.heard,
            now,
        };
        let known = load::load(&mut source, &needs(work, &context.policy))?;
        // A report that trips over a bug of ours must fail alone, not stop the collector each time it comes.
        let decided = catch_unwind(AssertUnwindSafe(|| decide(work, &known, &mut context)));
        let decision = match decided {
            Err(_) => return Err(Error::Engine("a rule panicked; the log has the place".to_owned())),
            Ok(Err(refusal)) => return Ok(Err(refusal)),
            Ok(Ok(decision)) => decision,
        };
        apply::apply(&mut self.engine, &mut self.dictionary, &mut self.journal, (&known, &decision), cause, now)?;
        if *work == Work::Tick {
            sweep::step(&mut self.engine, &mut self.dictionary)?;
        }
        Ok(Ok(decision))
    }

    /// Keeps a row outside of any work.
    #[cfg(test)]
    pub fn put(&mut self, row: &Row) -> Result<(), Error> {
        let decision = Decision { rows: vec![row.clone()], ..Decision::new(Reply::Done) };
        let cause = CauseId(uuid::Uuid::nil());
        let known = Known::default();
        apply::apply(&mut self.engine, &mut self.dictionary, &mut self.journal, (&known, &decision), cause, At(0))
    }

    fn fail_queue(&self, queue: &Receiver<Job>, error: &Error) {
        while let Ok(job) = queue.try_recv() {
            match job {
                Job::Stop => {}
                Job::Work(_, asker) => drop(asker.send(Err(denied(error)))),
                Job::Seen(_, asker) => drop(asker.send(Err(denied(error)))),
            }
        }
    }
}

/// What those are told whose transaction failed.
fn denied(error: &Error) -> Denied {
    match error {
        Error::Full => Denied::Busy { retry_s: FULL_RETRY_S },
        Error::Busy(_) => Denied::Busy { retry_s: 5 },
        error if error.is_fatal() => Denied::Down(error.to_string()),
        error => Denied::Failed(error.to_string()),
    }
}

/// What machines send stops when space runs out; what people do goes on, so that they can help.
pub(super) fn is_ingest(work: &Work) -> bool {
    matches!(work, Work::Report(_)) || matches!(work.actor(), Some(Actor::Agent(_) | Actor::Join(_)))
}

/// Waits for a job, then takes what else waits; `true` if it is to stop after these. `None` when nobody can
/// send any more.
fn gather(queue: &Receiver<Job>) -> Option<(Vec<Job>, bool)> {
    let mut batch = Vec::new();
    let mut add = |job: Job| {
        let stop = matches!(job, Job::Stop);
        batch.push(job);
        (stop, batch.len())
    };
    let (mut stop, mut len) = add(queue.recv().ok()?);
    while !stop && len < BATCH_WORKS {
        let Ok(job) = queue.try_recv() else { break };
        (stop, len) = add(job);
    }
    let until = Instant::now() + Duration::from_millis(WINDOW_MS);
    while !stop && (BUSY_WORKS..BATCH_WORKS).contains(&len) {
        match queue.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(job) => (stop, len) = add(job),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
        }
    }
    Some((batch, stop))
}
