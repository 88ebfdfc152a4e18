//! The wall clock, for the shell around the core. The core is handed `now` and never asks.

use shared::unit::At;
use std::time::{SystemTime, UNIX_EPOCH};

/// This moment by the machine's clock.
#[expect(clippy::disallowed_methods, reason = "the one place that asks the clock")]
pub fn now() -> At {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    At(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
