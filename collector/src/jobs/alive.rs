//! Tells the service manager that the collector is alive.

use super::{Job, Run};
use crate::notify;

pub(super) const JOB: Job = Job {
    name: "alive",
    every: |_| notify::watchdog(),
    run: |_| -> Run {
        Box::pin(async {
            notify::say(notify::ALIVE);
            Ok(())
        })
    },
};
