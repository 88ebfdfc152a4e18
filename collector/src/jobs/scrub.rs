//! Reads the database through, once a day.

use super::{Job, Run};
use crate::clock;
use std::time::Duration;

/// A scrub that is younger is not repeated, in seconds: with the hour between two looks at it, a day at most.
const AGE_S: i64 = 23 * 3_600;

pub(super) const JOB: Job = Job {
    name: "scrub",
    every: |_| Some(Duration::from_secs(3_600)),
    run: |hands| -> Run {
        Box::pin(async move {
            let now = clock::now();
            if hands.store.scrubbed().is_some_and(|last| (0..AGE_S).contains(&now.secs_since(last.at))) {
                return Ok(());
            }
            match hands.store.scrub(now).await {
                Ok(done) if done.findings.is_empty() => tracing::info!("the database was read through: it is whole"),
                // Each finding was logged.
                Ok(_) => {}
                Err(_) if hands.store.is_closing() => {}
                Err(error) => return Err(error.to_string()),
            }
            Ok(())
        })
    },
};
