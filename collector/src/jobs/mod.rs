//! What happens by time: one file per job and one line in [`JOBS`]. A job that fails says so and is tried again
//! next time. Does not know: rules; what follows from the time passing is decided by the core.

mod alive;
mod certificate;
mod flush;
mod scrub;
mod tick;

use crate::fleet::Fleet;
use crate::pki::tls::Certificate;
use crate::stop::Stop;
use crate::store::Store;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// What jobs work on. Cheap to clone.
#[derive(Clone)]
pub struct Hands {
    /// Where work goes.
    pub store: Store,
    /// The agents, in memory.
    pub fleet: Arc<Fleet>,
    /// The certificate of both ports.
    pub certificate: Arc<Certificate>,
    /// Seconds between check-ins of an agent.
    pub checkin_s: u32,
}

/// One run of a job.
type Run = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// Something that is done again and again.
pub struct Job {
    /// Its name, in the log.
    pub name: &'static str,
    /// How often; `None` where it is not wanted.
    pub every: fn(&Hands) -> Option<Duration>,
    /// Does it once.
    pub run: fn(Hands) -> Run,
}

/// Every job.
pub const JOBS: &[Job] = &[flush::JOB, tick::JOB, certificate::JOB, alive::JOB, scrub::JOB];

/// Starts every job; each ends when the collector stops.
pub fn start(hands: &Hands, stop: &Stop) {
    for job in JOBS {
        let Some(every) = (job.every)(hands) else { continue };
        let hands = hands.clone();
        stop.spawn(|mut stop| async move {
            while tokio::time::timeout(every, stop.wait()).await.is_err() {
                if let Err(error) = (job.run)(hands.clone()).await {
                    tracing::warn!(job = job.name, %error, "a job failed; it is tried again");
                }
            }
        });
    }
}
