//! Flushes when agents were last heard.

use super::{Hands, Job, Run};
use crate::seen;
use std::time::Duration;

/// A crash loses at most this long of it, and the next beat of each agent brings it back.
const EVERY_S_MAX: u64 = 60;

pub(super) const JOB: Job = Job {
    name: "flush",
    every: |hands: &Hands| Some(Duration::from_secs(EVERY_S_MAX.min(hands.checkin_s.into()))),
    run: |hands| -> Run { Box::pin(async move { seen::flush(&hands.store, &hands.fleet).await }) },
};
