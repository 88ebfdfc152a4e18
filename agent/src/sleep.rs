//! A sleep that ends with one wake-up, and on time though the machine was suspended meanwhile. Does not know
//! what is waited for.
//!
//! The runtime's own timers come closer in steps, each of which wakes the process, and stand still while the
//! machine is suspended. A timer of the kernel's over CLOCK_BOOTTIME (timerfd_create(2), Linux 3.15) does neither.

use crate::os;
use rustix::fd::OwnedFd;
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use std::io::{Error, Result};
use std::time::Duration;
use tokio::io::unix::AsyncFd;

/// Without a timer of the kernel's no sleep is longer: the runtime's stand still with the machine.
const STEP_MAX: Duration = Duration::from_secs(15);

/// One timer, used again and again.
pub struct Sleeper(Option<AsyncFd<OwnedFd>>);

impl Sleeper {
    /// Takes a timer; where there is none, the runtime's have to do.
    pub fn new() -> Sleeper {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = rustix::time::timerfd_create(TimerfdClockId::Boottime, flags);
        Sleeper(timer.ok().and_then(os::watched))
    }

    /// Sleeps for `span`, or less: who must know looks at the clock.
    pub async fn sleep(&self, span: Duration) {
        // Of nothing the kernel would make "never".
        if span.is_zero() {
            return;
        }
        let done = match &self.0 {
            Some(timer) => wait(timer, span).await,
            None => Err(Error::other("no timer")),
        };
        if done.is_err() {
            tokio::time::sleep(span.min(STEP_MAX)).await;
        }
    }
}

impl Default for Sleeper {
    fn default() -> Sleeper {
        Sleeper::new()
    }
}

async fn wait(timer: &AsyncFd<OwnedFd>, span: Duration) -> Result<()> {
    let seconds = i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    let spec = Itimerspec {
        it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
        it_value: Timespec { tv_sec: seconds, tv_nsec: span.subsec_nanos().into() },
    };
    rustix::time::timerfd_settime(timer, TimerfdTimerFlags::empty(), &spec)?;
    let mut count = [0; 8];
    loop {
        let mut ready = timer.readable().await?;
        // An earlier sleep that nobody waited for may have left word of its end: then there is nothing to read.
        match ready.try_io(|timer| rustix::io::read(timer, &mut count).map_err(Error::from)) {
            Ok(read) => return read.map(drop),
            Err(_) => continue,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::uptime;

    #[test]
    fn a_sleep_that_was_given_up_does_not_shorten_the_next() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let sleeper = Sleeper::new();
            sleeper.sleep(Duration::ZERO).await;
            let short = Duration::from_millis(20);
            let early = tokio::time::timeout(Duration::from_millis(40), async {
                tokio::select! {
                    biased;
                    () = std::future::ready(()) => {},
                    () = sleeper.sleep(short) => {}
                }
                // Its end comes while this waits for something else.
                tokio::time::sleep(short).await;
            });
            early.await.expect("in time");
            let before = uptime();
            sleeper.sleep(Duration::from_millis(60)).await;
            assert!(uptime() - before >= Duration::from_millis(60));
        });
    }
}
