//! A fleet in virtual time: what arrives at a collector that was away and takes so many a second again. Every agent
//! is a [`Schedule`]; the collector is a bucket that answers with `Retry-After` from its backlog, as the real one does.

use super::Schedule;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

const AGENTS: usize = 20_000;
const EVERY_S: u64 = 300;
/// Taken in a second: half as much again as comes when nothing is the matter.
const RATE: u64 = 100;
/// The longest wait of an agent that was told nothing.
const WINDOW_S: f64 = 1800.0;
/// As in the collector: who is turned away is told no less.
const RETRY_MS_MIN: u64 = 5_000;

/// What happened from the moment on at which the collector was back.
struct Seen {
    /// Arrivals in the busiest second.
    peak: u64,
    /// Tries of an agent until it was in, on average.
    tries: f64,
    /// Seconds until the last one was in.
    last_s: f64,
}

/// The same numbers in every run (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

/// A second's worth at once, then [`RATE`]; times in microseconds.
#[derive(Default)]
struct Bucket {
    full_at: u64,
    promised: u64,
}

impl Bucket {
    fn take(&mut self, now: u64, random: u64) -> Result<(), Duration> {
        let each = 1_000_000 / RATE;
        if self.full_at.max(now) - now <= 1_000_000 - each {
            self.full_at = self.full_at.max(now) + each;
            return Ok(());
        }
        self.promised = self.promised.max(now) + 2 * each;
        let least_ms = ((self.promised - now) / 1000).max(RETRY_MS_MIN);
        Err(Duration::from_secs((least_ms + random % least_ms).div_ceil(1000)))
    }
}

/// The collector is away for so long.
fn outage(away: Duration) -> Seen {
    let (mut random, every) = (Random(7), Duration::from_secs(EVERY_S));
    let mut queue = BinaryHeap::new();
    let mut agents: Vec<Schedule> = (0..AGENTS).map(|_| Schedule::new(Duration::ZERO)).collect();
    for (number, agent) in agents.iter_mut().enumerate() {
        agent.sampled(Duration::ZERO, Duration::MAX / 2);
        // All worked well, at moments of an interval that lies behind.
        let worked = Duration::from_millis(random.next() % (EVERY_S * 1000));
        agent.contacted(worked, every, random.next());
        queue.push(Reverse((agent.contact, number)));
    }
    let down = Duration::from_secs(2 * EVERY_S);
    let up = down + away;
    let (mut bucket, mut tries, mut arrivals) = (Bucket::default(), vec![0_u64; AGENTS], BTreeMap::new());
    let mut in_at: Vec<Option<Duration>> = vec![None; AGENTS];
    let mut missing = AGENTS;
    while let (true, Some(Reverse((now, number)))) = (missing > 0, queue.pop()) {
        let agent = &mut agents[number];
        if now >= down && now < up {
            agent.failed(now, None, every, random.next());
        } else {
            if now >= up {
                *arrivals.entry((now - up).as_secs()).or_insert(0) += 1;
                tries[number] += u64::from(in_at[number].is_none());
            }
            match bucket.take(u64::try_from(now.as_micros()).expect("short"), random.next()) {
                Ok(()) => {
                    if now >= up && in_at[number].is_none() {
                        in_at[number] = Some(now - up);
                        missing -= 1;
                    }
                    // The collector spreads them over a whole interval after its start, then over a fifth.
                    let spread_s = if now >= up && now < up + every { EVERY_S } else { EVERY_S / 5 };
                    let next = EVERY_S - spread_s / 2 + random.next() % spread_s;
                    agent.contacted(now, Duration::from_secs(next), random.next());
                }
                Err(told) => agent.failed(now, Some(told), every, random.next()),
            }
        }
        queue.push(Reverse((agent.contact, number)));
    }
    let last = in_at.iter().flatten().max().copied().unwrap_or_default();
    let mean = tries.iter().sum::<u64>() as f64 / AGENTS as f64;
    Seen { peak: arrivals.values().copied().max().unwrap_or(0), tries: mean, last_s: last.as_secs_f64() }
}

#[test]
fn a_fleet_comes_back_without_a_stampede() {
    for away_s in [5, 60, 300, 600, 3600] {
        let seen = outage(Duration::from_secs(away_s));
        let Seen { peak, tries, last_s } = seen;
        println!("away {away_s} s: peak {peak}/s, {tries:.3} tries, all in after {last_s:.0} s");
        assert!(peak <= 2 * RATE, "away {away_s} s: {peak} arrivals in a second");
        assert!(tries <= 1.2, "away {away_s} s: {tries} tries");
        assert!(last_s <= 1.2 * WINDOW_S, "away {away_s} s: the last after {last_s} s");
    }
}
