//! How many check-ins of all agents are taken in a second, and when those come back that are not: after an outage a
//! whole fleet may come at once. Does not know: who asks, what is said.
//!
//! A bucket that fills at the rate (GCRA, as in [`super::rate`]). Who finds it empty is promised a time behind all
//! who were promised one before, at half the rate: the other half is for those who come as they always do.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Whoever is turned away is told to wait at least so long, in milliseconds.
const RETRY_MS_MIN: u64 = 5_000;
/// And no longer than this; until then those before it may have given up.
const RETRY_MS_MAX: u64 = 1_800_000;

/// The door for all check-ins.
pub struct Herd {
    /// Microseconds for each; 0 is no bound.
    each_us: u64,
    start: Instant,
    inner: Mutex<Times>,
}

/// Microseconds since the start.
#[derive(Default)]
struct Times {
    /// When the bucket is full again.
    full_at: u64,
    /// The last time that somebody was promised.
    promised: u64,
}

impl Herd {
    /// So many in a second, and as many at once; 0 is no bound.
    pub fn new(a_second: u32) -> Herd {
        Herd {
            each_us: 1_000_000_u64.checked_div(a_second.into()).unwrap_or(0),
            start: Instant::now(),
            inner: Mutex::default(),
        }
    }

    /// Lets one in.
    ///
    /// # Errors
    /// Seconds until it may come back: from its promised time on, and up to twice as long.
    pub fn enter(&self, now: Instant, random: u32) -> Result<(), u32> {
        let now = u64::try_from(now.saturating_duration_since(self.start).as_micros()).unwrap_or(u64::MAX);
        let mut times = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        times.enter(now, self.each_us, random)
    }
}

impl Times {
    fn enter(&mut self, now: u64, each_us: u64, random: u32) -> Result<(), u32> {
        let full_at = self.full_at.max(now);
        if each_us == 0 || full_at - now <= 1_000_000_u64.saturating_sub(each_us) {
            self.full_at = full_at + each_us;
            return Ok(());
        }
        let last = now + RETRY_MS_MAX * 1000;
        self.promised = (self.promised.max(now) + 2 * each_us).min(last);
        let least_ms = ((self.promised - now) / 1000).max(RETRY_MS_MIN);
        let wait_ms = least_ms + u64::from(random) % least_ms;
        Err(u32::try_from(wait_ms.div_ceil(1000)).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seconds_worth_at_once_then_at_the_rate() {
        let mut times = Times::default();
        let each = 10_000;
        assert!((0..100).all(|_| times.enter(5, each, 0).is_ok()));
        assert_eq!(times.enter(5, each, 0), Err(5));
        assert_eq!(times.enter(5 + each, each, 0), Ok(()));
        assert_eq!(times.enter(5 + each, each, 4_999), Err(10));
    }

    #[test]
    fn who_is_turned_away_is_told_to_come_behind_the_others() {
        let mut times = Times::default();
        let waits: Vec<u32> = (0..10_100).filter_map(|_| times.enter(0, 10_000, 0).err()).collect();
        assert_eq!((waits.len(), waits.first(), waits.last()), (10_000, Some(&5), Some(&200)));
        // Half of what is taken in a second: 50 are told the same second.
        assert_eq!(waits.iter().filter(|wait| **wait == 100).count(), 50);
        assert!(times.enter(0, 10_000, u32::MAX).is_err_and(|wait| (200..=401).contains(&wait)));
    }

    #[test]
    fn no_bound_is_no_bound() {
        let herd = Herd::new(0);
        assert!((0..100_000).all(|_| herd.enter(Instant::now(), 0).is_ok()));
    }
}
