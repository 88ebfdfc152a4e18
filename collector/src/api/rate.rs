//! How often somebody may do something: one number of 8 bytes for each who did (GCRA, the generic cell rate
//! algorithm of ITU-T I.371). Does not know: what is done.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Who is remembered at most; beyond it newcomers are not counted until others are forgotten.
const KEYS: usize = 1 << 20;
/// Forgetting those who did nothing lately is tried when there are this many, and again at each doubling.
const FIRST_SWEEP: usize = 4096;

/// A rate for each of many.
pub struct Rate<K> {
    every_us: u64,
    burst_us: u64,
    start: Instant,
    inner: Mutex<Inner<K>>,
}

struct Inner<K> {
    /// When each will have used up nothing, in microseconds since `start`.
    full_at: HashMap<K, u64>,
    sweep_at: usize,
}

impl<K: Eq + Hash> Rate<K> {
    /// `burst` at once, then one more every `every_us` microseconds; 0 is no bound.
    pub fn new(every_us: u64, burst: u32) -> Rate<K> {
        let inner = Inner { full_at: HashMap::new(), sweep_at: FIRST_SWEEP };
        let burst_us = every_us.saturating_mul(u64::from(burst.max(1)) - 1);
        Rate { every_us, burst_us, start: Instant::now(), inner: Mutex::new(inner) }
    }

    /// Whether this one may do it now, without counting it.
    ///
    /// # Errors
    /// Seconds until it may.
    pub fn peek(&self, key: &K, now: Instant) -> Result<(), u32> {
        let now = self.micros(now);
        self.wait(self.lock().full_at.get(key).copied().unwrap_or(0), now)
    }

    /// Counts that this one did it, whether it might or not.
    pub fn charge(&self, key: K, now: Instant) {
        if self.every_us == 0 {
            return;
        }
        let now = self.micros(now);
        let mut inner = self.lock();
        inner.sweep(now);
        if inner.full_at.len() < KEYS || inner.full_at.contains_key(&key) {
            let full_at = inner.full_at.entry(key).or_insert(now);
            *full_at = (*full_at).max(now).saturating_add(self.every_us);
        }
    }

    /// Counts it if it may be done now.
    ///
    /// # Errors
    /// Seconds until it may.
    pub fn take(&self, key: K, now: Instant) -> Result<(), u32> {
        self.peek(&key, now)?;
        self.charge(key, now);
        Ok(())
    }

    fn wait(&self, full_at: u64, now: u64) -> Result<(), u32> {
        let over = full_at.saturating_sub(now.saturating_add(self.burst_us));
        if self.every_us == 0 || over == 0 {
            return Ok(());
        }
        Err(u32::try_from(over.div_ceil(1_000_000)).unwrap_or(u32::MAX))
    }

    fn micros(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.start).as_micros()).unwrap_or(u64::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, Inner<K>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K> Inner<K> {
    fn sweep(&mut self, now: u64) {
        if self.full_at.len() >= self.sweep_at {
            self.full_at.retain(|_, full_at| *full_at > now);
            self.sweep_at = (self.full_at.len() * 2).max(FIRST_SWEEP);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_burst_then_one_at_a_time() {
        let rate = Rate::new(10_000_000, 10);
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!((0..10).map(|_| rate.take("a", at(0))).collect::<Vec<_>>(), vec![Ok(()); 10]);
        assert_eq!(rate.take("a", at(0)), Err(10));
        assert_eq!(rate.take("a", at(4)), Err(6));
        assert_eq!(rate.take("b", at(4)), Ok(()));
        assert_eq!(rate.take("a", at(11)), Ok(()));
        assert_eq!(rate.take("a", at(11)), Err(9));
    }

    #[test]
    fn zero_is_no_bound() {
        let rate = Rate::new(0, 1);
        assert!((0..1000).all(|_| rate.take("a", Instant::now()).is_ok()));
    }

    #[test]
    fn those_who_did_nothing_lately_are_forgotten() {
        let rate = Rate::new(1_000_000, 1);
        let start = Instant::now();
        for key in 0..FIRST_SWEEP {
            rate.charge(key, start);
        }
        rate.charge(0, start + Duration::from_secs(5));
        assert_eq!(rate.lock().full_at.len(), 1);
    }
}
