//! When agents were last heard, from memory to the database: all at once, in the order of ids.

use super::{Hands, Job, Run};
use std::time::Duration;

/// A crash loses at most this long of it, and the next beat of each agent brings it back.
const EVERY_S_MAX: u64 = 60;

pub(super) const JOB: Job = Job {
    name: "flush",
    every: |hands| Some(Duration::from_secs(EVERY_S_MAX.min(hands.checkin_s.into()))),
    run: |hands| -> Run { Box::pin(async move { flush(&hands).await }) },
};

/// Flushes what was heard since the last time.
///
/// # Errors
/// Why the store did not take it; it is flushed with the next one.
pub async fn flush(hands: &Hands) -> Result<(), String> {
    let heard = hands.fleet.take_unflushed();
    if heard.is_empty() {
        return Ok(());
    }
    let flushed = hands.store.flush_seen(heard.clone()).await;
    flushed.map_err(|error| {
        heard.iter().for_each(|(agent, at)| hands.fleet.hear(*agent, *at));
        error.to_string()
    })
}
