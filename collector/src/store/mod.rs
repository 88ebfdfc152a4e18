//! The only SQL.
//!
//! Knows: how to load what a work needs, keep what was decided, number the journal, and answer reads. Does
//! not know any rule but that `work::decide` is to be called between loading and keeping.

pub mod engine;

use crate::work::{Refusal, Reply, Work};
use engine::Engine;

/// A database, its one writer and its readers. Cheap to clone.
#[derive(Clone)]
pub struct Store {}

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
    /// The writer has stopped after an I/O error; the process is about to end.
    #[error("the collector is stopping: {0}")]
    Down(String),
}

impl Store {
    /// Queues a work and waits until it is decided and durable.
    ///
    /// # Errors
    /// [`Denied`]: nothing was done.
    pub async fn submit(&self, _work: Work) -> Result<Reply, Denied> {
        Ok(Reply::Done)
    }

    /// Runs a read on a connection that sees a consistent state.
    ///
    /// # Errors
    /// What the read fails with, or that no connection could be had.
    pub async fn read<T: Send + 'static>(
        &self,
        _read: impl FnOnce(&mut dyn Engine) -> Result<T, engine::Error> + Send + 'static,
    ) -> Result<T, engine::Error> {
        Err(engine::Error::Closed)
    }

    /// The highest journal number that is durable; changes wake those who wait on it.
    pub fn head(&self) -> tokio::sync::watch::Receiver<u64> {
        tokio::sync::watch::channel(0).1
    }
}
