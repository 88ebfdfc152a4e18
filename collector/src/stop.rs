//! How everything that runs in the collector learns that it is to end, and how it is known that all have ended.

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Held by whatever runs until the collector stops.
#[derive(Clone)]
pub struct Stop {
    signal: watch::Receiver<bool>,
    _working: mpsc::Sender<()>,
}

/// Ends all who hold a [`Stop`].
pub struct Stopper {
    signal: watch::Sender<bool>,
    ended: mpsc::Receiver<()>,
}

/// Both ends.
pub fn pair() -> (Stopper, Stop) {
    let (signal, heard) = watch::channel(false);
    let (working, ended) = mpsc::channel(1);
    (Stopper { signal, ended }, Stop { signal: heard, _working: working })
}

impl Stop {
    /// Returns when it is time to end.
    pub async fn wait(&mut self) {
        // An error means that nobody is left to say it: end as well.
        let _ = self.signal.wait_for(|stop| *stop).await;
    }

    /// Runs something beside what runs; a stop waits until it has ended.
    #[expect(clippy::disallowed_methods, reason = "the one place that spawns: what is spawned here holds a `Stop`")]
    pub fn spawn<F>(&self, work: impl FnOnce(Stop) -> F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        tokio::spawn(work(self.clone()))
    }
}

impl Stopper {
    /// Says that it is time to end, and returns when all who held a [`Stop`] have.
    pub async fn stop(&mut self) {
        // Nobody to hear it is as good as all of them ended.
        let _ = self.signal.send(true);
        let _ = self.ended.recv().await;
    }
}

/// What a wait comes to, or none if it is time to end before. Without a [`Stop`] (a request that came over no
/// connection) there is no end.
pub async fn or_end<T>(stop: Option<&mut Stop>, wait: impl Future<Output = T>) -> Option<T> {
    let Some(stop) = stop else { return Some(wait.await) };
    tokio::select! {
        came = wait => Some(came),
        () = stop.wait() => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_wait_ends_with_the_collector() {
        let (mut stopper, stop) = pair();
        let held = stop.spawn(|mut stop| async move { or_end(Some(&mut stop), std::future::pending::<()>()).await });
        drop(stop);
        stopper.stop().await;
        assert_eq!(held.await.expect("it ends"), None);
        assert_eq!(or_end(None, async { 1 }).await, Some(1));
    }

    #[tokio::test]
    async fn stopping_waits_for_all() {
        let (mut stopper, stop) = pair();
        let tasks: Vec<_> = (0..3).map(|_| stop.spawn(|mut stop| async move { stop.wait().await })).collect();
        drop(stop);
        stopper.stop().await;
        for task in tasks {
            assert!(task.await.is_ok());
        }
    }
}
