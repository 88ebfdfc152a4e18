//! Tells the core that time has passed.

use super::{Job, Run};
use crate::store::Denied;
use crate::work::Work;
use std::time::Duration;

pub(super) const JOB: Job = Job {
    name: "tick",
    every: |_| Some(Duration::from_secs(30)),
    run: |hands| -> Run {
        Box::pin(async move {
            let told = hands.store.submit(Work::Tick).await;
            told.map(|_| ()).map_err(|error: Denied| error.to_string())
        })
    },
};
