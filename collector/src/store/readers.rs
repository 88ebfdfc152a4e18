//! A few connections that only read, each of which sees one consistent state for as long as a read takes.

use super::down::Down;
use super::engine::{Engine, Error, Sql};
use super::sqlite::Sqlite;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// Reads at the same time.
const CONNECTIONS: usize = 4;
/// How long a read waits for a connection, in seconds.
const WAIT_S: u64 = 10;
/// A read takes at most this long, in seconds: what takes longer would keep everyone else from reading.
const READ_S: u64 = 10;

/// Ends a read whose asker went away.
struct Asker(Arc<AtomicBool>);

impl Drop for Asker {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The connections.
pub struct Readers {
    path: PathBuf,
    idle: Arc<Mutex<Vec<Sqlite>>>,
    permits: Semaphore,
    down: Arc<Down>,
}

impl Readers {
    /// Readers of this database; connections are opened when they are wanted. A read that fails by the disk is an
    /// end for all, `down` hears of it.
    pub fn new(path: PathBuf, down: Arc<Down>) -> Readers {
        Readers { path, idle: Arc::default(), permits: Semaphore::new(CONNECTIONS), down }
    }

    /// Runs a read on a thread that may wait.
    ///
    /// # Errors
    /// What the read fails with; [`Error::Busy`] if all connections stay in use.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut dyn Engine) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let permit = tokio::time::timeout(Duration::from_secs(WAIT_S), self.permits.acquire()).await;
        let _permit = match permit {
            Ok(Ok(permit)) => permit,
            Ok(Err(_)) => return Err(Error::Closed),
            Err(_) => return Err(Error::Busy("all readers are in use".to_owned())),
        };
        let (path, idle, down) = (self.path.clone(), Arc::clone(&self.idle), Arc::clone(&self.down));
        let asker = Asker(Arc::default());
        let gone = Arc::clone(&asker.0);
        let done = tokio::task::spawn_blocking(move || {
            let held = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut engine = match held {
                Some(engine) => engine,
                None => opened(&path)?,
            };
            let until = Instant::now() + Duration::from_secs(READ_S);
            let end = move || gone.load(Ordering::Relaxed) || Instant::now() >= until;
            // A connection that could not be brought back to rest is not used again.
            let result = snapshot(&mut engine, end, read);
            if let Ok(Err(error)) | Err(error) = &result {
                down.judge(error);
            }
            let result = result?;
            let mut idle = idle.lock().unwrap_or_else(PoisonError::into_inner);
            if idle.len() < CONNECTIONS && !matches!(&result, Err(error) if error.is_fatal()) {
                idle.push(engine);
            }
            result
        });
        let done = done.await;
        drop(asker);
        done.map_err(|error| Error::Engine(format!("a read did not end: {error}")))?
    }

    /// Closes the connections that nobody uses.
    pub fn close(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// A connection that has its files open: that too few files may be open concerns this read alone.
fn opened(path: &Path) -> Result<Sqlite, Error> {
    let mut engine = Sqlite::reader(path)?;
    engine.has_tables()?;
    Ok(engine)
}

/// What the read gives, or fails with; the outer error is one of beginning or ending it. Only the read itself can be
/// ended early.
fn snapshot<T>(
    engine: &mut Sqlite,
    end: impl FnMut() -> bool + Send + 'static,
    read: impl FnOnce(&mut dyn Engine) -> Result<T, Error>,
) -> Result<Result<T, Error>, Error> {
    engine.run(Sql("begin"), &[])?;
    engine.end_when(end)?;
    let result = read(engine);
    engine.end_never()?;
    engine.rollback()?;
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::engine::Next;

    const ENDLESS: Sql = Sql("with recursive n (i) as (select 1 union all select i + 1 from n) select max(i) from n");

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_read_whose_asker_went_away_ends_and_gives_its_connection_back() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("muster.db");
        drop(crate::store::open::writer(&path, shared::unit::At(0)).expect("a database"));
        let readers = Readers::new(path, Arc::default());
        let endless = || readers.read(|engine| engine.query(ENDLESS, &[], &mut |_| Ok(Next::More)));
        for _ in 0..CONNECTIONS * 2 {
            assert!(tokio::time::timeout(Duration::from_millis(20), endless()).await.is_err(), "it does not end");
        }
        assert_eq!(readers.read(|_| Ok(7)).await, Ok(7));
    }
}
