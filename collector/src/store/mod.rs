//! The only SQL.
//!
//! Knows: how to load what a work needs, keep what was decided, number the journal, and answer reads. Does
//! not know any rule but that `work::decide` is to be called between loading and keeping.
//!
//! | file | is |
//! | --- | --- |
//! | `engine`, `sqlite` | what a database does, and the one that does it |
//! | `schema`, `migrations/`, `open` | the tables, and the ways in which opening them fails |
//! | `table/` | how each noun lies in its table |
//! | `load/`, `apply`, `names`, `journal`, `writer` | one work: what it needs, what was decided, what is told, and the commit |
//! | `page`, `read/` | reads of the API, one file per noun |
//! | `sum` | what tells a row that changed by itself |
//! | `backup`, `restore`, `ledger` | copies, and what outlives them |
//! | `check`, `scrub` | whether what is stored is right |

mod apply;
pub mod backup;
mod cells;
pub mod check;
mod codec;
pub mod disk;
mod down;
pub mod engine;
mod journal;
mod ledger;
pub mod load;
mod names;
pub mod open;
pub mod page;
pub mod read;
mod readers;
pub mod restore;
mod schema;
pub mod scrub;
mod sortkey;
mod sqlite;
pub mod sum;
mod table;
mod writer;

use crate::event::Actor;
use crate::work::{Policy, Refusal, Reply, Row, Work};
use down::Down;
use engine::Engine;
pub use ledger::FILE as REVOCATIONS;
pub use open::OpenError;
use readers::Readers;
use shared::id::AgentId;
use shared::unit::At;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::{oneshot, watch};
use writer::{Gauge, Job, Outside, Writer};

/// Works that may wait.
const QUEUE_WORKS: usize = 4_096;
/// Places in the queue that machines may not take: 10 %, so that people are never locked out.
const QUEUE_RESERVE: usize = QUEUE_WORKS / 10;
/// Seconds to stay away at least when the queue is full.
const RETRY_S: u32 = 5;

/// A database, its one writer and its readers. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    queue: SyncSender<Job>,
    gauge: Arc<Gauge>,
    head: watch::Receiver<u64>,
    readers: Readers,
    thread: Mutex<Option<JoinHandle<()>>>,
    down: Arc<Down>,
    path: PathBuf,
    /// The first thing that a scrub found, until the next start.
    damaged: OnceLock<String>,
    /// The store is being closed: who reads for long is to end.
    closing: Arc<AtomicBool>,
}

/// What a store is opened with.
pub struct Options {
    path: PathBuf,
    outside: Outside,
    floor_bytes: Option<u64>,
    ballast: bool,
    deployment: Option<String>,
    on_down: Box<dyn FnOnce(String) + Send>,
}

impl Options {
    /// The database in this file, with this clock; nobody else is told of commits.
    pub fn new(path: &Path, clock: impl Fn() -> At + Send + Sync + 'static) -> Options {
        Options {
            path: path.to_owned(),
            outside: Outside {
                clock: Arc::new(clock),
                seed: Arc::new(random),
                policy: Policy::default(),
                committed: Arc::new(|_| {}),
                heard: Arc::new(|_| None),
            },
            floor_bytes: None,
            ballast: false,
            deployment: None,
            on_down: Box::new(|_| {}),
        }
    }

    /// What admins may set for the rules.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Options {
        self.outside.policy = policy;
        self
    }

    /// Is called with the rows of each commit, after it and before anyone is answered. Must be quick.
    #[must_use]
    pub fn committed(mut self, committed: impl Fn(&[Row]) + Send + Sync + 'static) -> Options {
        self.outside.committed = Arc::new(committed);
        self
    }

    /// Tells since when an agent's silence counts, where that is later than what was flushed. Must be quick.
    #[must_use]
    pub fn heard(mut self, heard: impl Fn(AgentId) -> Option<At> + Send + Sync + 'static) -> Options {
        self.outside.heard = Arc::new(heard);
        self
    }

    /// Is called once if the writer stops by itself, with the reason: the process must end, or it would go on
    /// without being able to keep anything.
    #[must_use]
    pub fn on_down(mut self, on_down: impl FnOnce(String) + Send + 'static) -> Options {
        self.on_down = Box::new(on_down);
        self
    }

    /// Bytes that must stay free on the disk for machines to be listened to.
    #[must_use]
    pub fn floor_bytes(mut self, bytes: u64) -> Options {
        self.floor_bytes = Some(bytes);
        self
    }

    /// Keeps a file beside the database that is removed when the disk is nearly full.
    #[must_use]
    pub fn ballast(mut self) -> Options {
        self.ballast = true;
        self
    }

    /// The deployment whose keys lie beside the database: one that belongs to another is refused.
    #[must_use]
    pub fn deployment(mut self, id: String) -> Options {
        self.deployment = Some(id);
        self
    }

    /// Where ids come from: 16 bytes that no two calls share.
    #[must_use]
    pub fn seed(mut self, seed: impl Fn() -> [u8; 16] + Send + Sync + 'static) -> Options {
        self.outside.seed = Arc::new(seed);
        self
    }
}

/// 16 random bytes of the system. Without them no id can be made: then nothing may be written.
fn random() -> [u8; 16] {
    let mut seed = [0; 16];
    match getrandom::fill(&mut seed) {
        Ok(()) => seed,
        Err(error) => panic!("the system gives no random bytes: {error}"),
    }
}

/// Why a submitted work was not done.
#[derive(Debug, thiserror::Error)]
pub enum Denied {
    /// The rules refused it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The queue is full, or the disk nearly: nothing was done, try again later.
    #[error("the collector is busy; try again in {retry_s} s")]
    Busy {
        /// Seconds to wait.
        retry_s: u32,
    },
    /// What is stored is damaged: nothing is taken from machines until a good backup was restored.
    #[error("the register is damaged and takes nothing from agents until it is restored: {0}")]
    ReadOnly(String),
    /// This work cannot be done, others can: a row it needs is damaged, or a rule has a bug.
    #[error("this could not be done: {0}")]
    Failed(String),
    /// The database failed; the process is about to end. Whether it was done after all, the next start tells: ask
    /// again with the same report id or idempotency key.
    #[error("the collector is stopping: {0}")]
    Down(String),
}

impl Store {
    /// Opens the database, makes it or brings it up to date, and starts its writer.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(options: Options) -> Result<Store, OpenError> {
        let Options { path, outside, floor_bytes, ballast, deployment, on_down } = options;
        let lock = open::Lock::take(&path)?;
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut floor = disk::Floor::new(directory.to_owned(), floor_bytes);
        if ballast {
            // Before anything else is written: on a full disk this makes room for the log.
            floor.keep_ballast();
        }
        let mut engine = open::writer(&path, (outside.clock)())?;
        let damaged = OnceLock::new();
        if let Some(what) = scrub::held(&path, (outside.clock)())? {
            found(&damaged, &what);
        }
        if let Some(id) = &deployment {
            open::belongs(&mut engine, &path, id)?;
        }
        let now = (outside.clock)();
        let ledger = open::ledger(&mut engine, &path, now)?;
        let (head_sender, head) = watch::channel(0);
        let gauge = Arc::new(Gauge::default());
        let mut writer = Writer::new(engine, outside, floor, Arc::clone(&gauge), head_sender)
            .map_err(|error| OpenError::Other { path: path.clone(), error })?;
        writer.ledger = Some(ledger);
        let (queue, jobs) = sync_channel(QUEUE_WORKS);
        let database = path.clone();
        let down = Arc::new(Down::new(Box::new(move |why| {
            open::suspect(&database, &why);
            on_down(why);
        })));
        let held = Arc::clone(&down);
        let thread = std::thread::Builder::new().name("writer".to_owned()).spawn(move || {
            let _lock = lock;
            let end = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| writer.run(&jobs)));
            let why = match end {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error.to_string(),
                Err(_) => "the writer panicked".to_owned(),
            };
            held.fall(&why);
        });
        let thread = thread.map_err(|error| OpenError::io(&path, &error))?;
        let readers = Readers::new(path.clone(), Arc::clone(&down));
        let thread = Mutex::new(Some(thread));
        Ok(Store {
            inner: Arc::new(Inner {
                queue,
                gauge,
                head,
                readers,
                thread,
                down,
                path,
                damaged,
                closing: Arc::default(),
            }),
        })
    }

    /// Queues a work and waits until it is decided and durable.
    ///
    /// # Errors
    /// [`Denied`]: nothing was done.
    pub async fn submit(&self, work: Work) -> Result<Reply, Denied> {
        if let Some(what) = self.inner.damaged.get()
            && writer::is_ingest(&work)
        {
            return Err(Denied::ReadOnly(what.clone()));
        }
        let people = matches!(work, Work::Tick) || work.actor().is_some_and(is_people);
        let waiting = self.inner.gauge.waiting.load(Ordering::Relaxed);
        if !people && waiting >= QUEUE_WORKS - QUEUE_RESERVE {
            return Err(self.busy(waiting));
        }
        let (asker, answer) = oneshot::channel();
        self.queue(Job::Work(Box::new(work), asker))?;
        answer.await.unwrap_or_else(|_| Err(self.stopped()))
    }

    /// Keeps when agents were last heard. Not a work: nothing is decided and nothing journalled.
    ///
    /// # Errors
    /// [`Denied`]: nothing was done.
    pub async fn flush_seen(&self, mut seen: Vec<(AgentId, At)>) -> Result<(), Denied> {
        if seen.is_empty() {
            return Ok(());
        }
        seen.sort_unstable();
        let (asker, answer) = oneshot::channel();
        self.queue(Job::Seen(seen, asker))?;
        answer.await.unwrap_or_else(|_| Err(self.stopped()))
    }

    fn queue(&self, job: Job) -> Result<(), Denied> {
        if self.inner.down.why().is_some() {
            return Err(self.stopped());
        }
        self.inner.gauge.waiting.fetch_add(1, Ordering::Relaxed);
        self.inner.queue.try_send(job).map_err(|error| {
            let waiting = self.inner.gauge.waiting.fetch_sub(1, Ordering::Relaxed);
            match error {
                TrySendError::Full(_) => self.busy(waiting),
                TrySendError::Disconnected(_) => self.stopped(),
            }
        })
    }

    /// When what waits will be done, at least; and up to twice that, so that not all come back at once.
    fn busy(&self, waiting: usize) -> Denied {
        let rate = self.inner.gauge.rate.load(Ordering::Relaxed).max(1);
        let backlog = u64::try_from(waiting).unwrap_or(u64::MAX) / rate;
        let least = u32::try_from(backlog).unwrap_or(u32::MAX).clamp(RETRY_S, 3_600);
        let [a, b, ..] = random();
        Denied::Busy { retry_s: least + u32::from(u16::from_be_bytes([a, b])) % (least + 1) }
    }

    fn stopped(&self) -> Denied {
        Denied::Down(self.inner.down.why().unwrap_or_else(|| "the database is closed".to_owned()))
    }

    /// Runs a read on a connection that sees a consistent state.
    ///
    /// # Errors
    /// What the read fails with, or that no connection could be had.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut dyn Engine) -> Result<T, engine::Error> + Send + 'static,
    ) -> Result<T, engine::Error> {
        self.inner.readers.read(read).await
    }

    /// Reads everything through, on a connection of its own. From the first finding on nothing is taken from machines.
    ///
    /// # Errors
    /// [`OpenError`] where it could not be read to its end.
    pub async fn scrub(&self, now: At) -> Result<scrub::Scrubbed, OpenError> {
        if self.is_closing() {
            return Err(self.unscrubbed("the store is being closed"));
        }
        let (path, closing) = (self.inner.path.clone(), Arc::clone(&self.inner.closing));
        let stop = move || closing.load(Ordering::Relaxed);
        let done = tokio::task::spawn_blocking(move || scrub::scrub(&path, now, stop)).await;
        let scrubbed = done.unwrap_or_else(|error| Err(self.unscrubbed(&error.to_string())))?;
        scrubbed.findings.iter().for_each(|what| found(&self.inner.damaged, what));
        Ok(scrubbed)
    }

    fn unscrubbed(&self, why: &str) -> OpenError {
        let error = engine::Error::Engine(format!("a scrub did not end: {why}"));
        OpenError::Other { path: self.inner.path.clone(), error }
    }

    /// The store is about to be closed: a scrub ends now, and none begins.
    pub fn end_scrub(&self) {
        self.inner.closing.store(true, Ordering::Relaxed);
    }

    /// Whether it was told to.
    pub fn is_closing(&self) -> bool {
        self.inner.closing.load(Ordering::Relaxed)
    }

    /// How the last scrub came out.
    pub fn scrubbed(&self) -> Option<scrub::Scrubbed> {
        scrub::last(&self.inner.path)
    }

    /// The highest journal number that is durable; changes wake those who wait on it.
    pub fn head(&self) -> watch::Receiver<u64> {
        self.inner.head.clone()
    }

    /// Does what is queued, then stops the writer and closes the database.
    pub async fn close(&self) {
        self.end_scrub();
        // A writer that is gone already, or a queue that stays full, is not worth more than the wait below.
        let queue = self.inner.queue.clone();
        let thread = self.inner.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(thread) = thread else { return };
        self.inner.gauge.waiting.fetch_add(1, Ordering::Relaxed);
        let ended = tokio::task::spawn_blocking(move || {
            let _ = queue.send(Job::Stop);
            thread.join()
        });
        if ended.await.is_err() {
            tracing::error!("the writer could not be waited for");
        }
        self.inner.readers.close();
    }
}

/// Something is damaged; the first thing is told to machines.
fn found(damaged: &OnceLock<String>, what: &str) {
    tracing::error!(what, "the register is damaged: agents are turned away until a good backup is restored");
    damaged.get_or_init(|| what.to_owned());
}

fn is_people(actor: &Actor) -> bool {
    actor.is_person() || matches!(actor, Actor::Rule(_))
}

#[cfg(test)]
mod tests;
