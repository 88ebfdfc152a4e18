//! Clocks: what time it is, and how long ago something was. The pure parts are handed both.

use rustix::time::{ClockId, clock_gettime};
use shared::unit::At;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// No collector's certificate is older than this program: 2026-11-01. A machine whose clock lies before
/// it judges certificates as of this moment, so that a dead clock battery does not silence it.
pub const BUILT: At = At(1_793_491_200 * shared::unit::SECOND_US);

/// The time now by this machine's clock; before 1970 counts as 1970.
#[expect(clippy::disallowed_methods, reason = "the one place that asks the clock")]
pub fn now() -> At {
    let us = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    At(i64::try_from(us).unwrap_or(i64::MAX))
}

/// Time since boot, sleep included (CLOCK_BOOTTIME): only this measures intervals, because the wall
/// clock jumps and CLOCK_MONOTONIC stands still while a laptop sleeps.
pub fn uptime() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), nanos)
}

/// How long this thread was on a CPU.
pub fn on_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// A random number, for jitter and names; a kernel that gives none gives 0, which only costs jitter.
pub fn random() -> u64 {
    getrandom::u64().unwrap_or(0)
}
