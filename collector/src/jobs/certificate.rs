//! Renews the certificate that both ports show, at half of its life.

use super::{Job, Run};
use crate::clock;
use std::time::Duration;

pub(super) const JOB: Job = Job {
    name: "certificate",
    every: |_| Some(Duration::from_secs(3600)),
    run: |hands| -> Run {
        Box::pin(async move {
            if hands.certificate.renew(clock::now()).map_err(|error| error.to_string())? {
                tracing::info!("the server certificate was renewed");
            }
            Ok(())
        })
    },
};
