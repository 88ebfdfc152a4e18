//! When agents were last heard, from memory to the database: all at once, in the order of ids.
//!
//! Done once a minute, when the collector stops, and before a question about it is answered from the database,
//! so that a list and what it is filtered by say the same.

use crate::fleet::Fleet;
use crate::store::Store;

/// Flushes what was heard since the last time.
///
/// # Errors
/// Why the store did not take it; it is flushed with the next one.
pub async fn flush(store: &Store, fleet: &Fleet) -> Result<(), String> {
    // One at a time: whoever asks beside another flush is answered after it, too.
    let _flushing = fleet.flushing().await;
    let heard = fleet.take_unflushed();
    if heard.is_empty() {
        return Ok(());
    }
    let flushed = store.flush_seen(heard.clone()).await;
    flushed.map_err(|error| {
        heard.iter().for_each(|(agent, at)| fleet.hear(*agent, *at));
        error.to_string()
    })
}
