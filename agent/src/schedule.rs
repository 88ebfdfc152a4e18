//! What is due when. Pure: `now` is time since boot (sleep included), random numbers come from outside.

use crate::probes::{Every, Os, Probe};
use std::time::Duration;

/// How often everything is looked at, whatever the marks say.
const HOUR: Duration = Duration::from_secs(3600);
/// A look at everything is not put off for longer.
const PATIENCE: Duration = HOUR;
/// After the start, while nothing worked yet, tries are closer together: the network may only be coming up.
const EARLY: Duration = Duration::from_secs(300);
/// The first wait is drawn from this, early.
const EARLY_BASE: Duration = Duration::from_secs(2);
/// Early, no wait is longer than this.
const EARLY_CAP: Duration = Duration::from_secs(60);
/// The first wait is drawn from one interval, later, and from no more than this: those who met an outage then come
/// back no closer together than they would have come anyway.
const BASE: Duration = Duration::from_secs(300);
/// No wait is longer than this, so that all are back half an hour after a collector is.
const CAP: Duration = Duration::from_secs(1800);
/// Whatever a collector asks for, no wait is longer than this and a quarter.
const TOLD_MAX: Duration = Duration::from_secs(3600);
/// What cannot wait is tried again after this since the last try that failed, and up to a quarter more.
const HURRY: Duration = Duration::from_secs(60);
/// No wait is shorter than this.
const WAIT_MIN: Duration = Duration::from_secs(1);

/// What is due now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Due {
    /// A health sample.
    pub sample: bool,
    /// A check-in.
    pub contact: bool,
    /// A look at everything.
    pub hour: bool,
}

/// When things are due next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    started: Duration,
    sample: Duration,
    contact: Duration,
    hour: Duration,
    /// Until when a look at everything may be put off.
    patience: Duration,
    /// Before this what cannot wait is not tried again.
    floor: Duration,
    /// Contacts that failed in a row.
    failures: u32,
    /// At least one contact worked.
    worked: bool,
}

impl Schedule {
    /// At the start everything is due.
    pub fn new(now: Duration) -> Schedule {
        Schedule {
            started: now,
            sample: now,
            contact: now,
            hour: now,
            patience: now,
            floor: now,
            failures: 0,
            worked: false,
        }
    }

    /// What is due.
    pub fn due(&self, now: Duration) -> Due {
        let contact = now >= self.contact;
        Due { sample: now >= self.sample, contact, hour: contact && now >= self.hour }
    }

    /// How long nothing is due.
    pub fn wait(&self, now: Duration) -> Duration {
        self.sample.min(self.contact).saturating_sub(now)
    }

    /// A sample was taken.
    pub fn sampled(&mut self, now: Duration, every: Duration) {
        self.sample = now + every;
    }

    /// Everything was looked at.
    pub fn looked(&mut self, now: Duration) {
        (self.hour, self.patience) = (now + HOUR, now + HOUR + PATIENCE);
    }

    /// Whether a look at everything may wait for a better moment. The first one may not, nor one that a person
    /// asked for.
    pub fn may_put_off(&self, now: Duration) -> bool {
        now < self.patience
    }

    /// A contact worked; the next is in `every`, give or take a twentieth, so that machines that were started
    /// together drift apart.
    pub fn contacted(&mut self, now: Duration, every: Duration, random: u64) {
        (self.failures, self.worked, self.floor) = (0, true, now);
        self.contact = now + every.mul_f64(0.95) + below(every.mul_f64(0.1), random);
    }

    /// A contact failed. Obeys `retry_after`, else waits a random part of a time that doubles (full jitter), so
    /// that a fleet does not come back at once. `every` bounds the first wait: short intervals mean impatience.
    pub fn failed(&mut self, now: Duration, retry_after: Option<Duration>, every: Duration, random: u64) {
        let early = !self.worked && now.saturating_sub(self.started) < EARLY;
        let base = if early { EARLY_BASE } else { BASE.min(every) };
        let most = base.saturating_mul(1 << self.failures.min(12)).min(if early { EARLY_CAP } else { CAP });
        self.failures = self.failures.saturating_add(1);
        let wait = match retry_after {
            // A little later than told, or all who were told the same come together.
            Some(told) => told.min(TOLD_MAX) + below(told.min(TOLD_MAX) / 4, random),
            None => below(most, random),
        };
        self.contact = now + wait.max(WAIT_MIN);
        // Who was told when to come is not earlier for any reason.
        self.floor = if retry_after.is_some() { self.contact } else { now + HURRY + below(HURRY / 4, random) };
    }

    /// The collector does not want to hear us until a person decided: twelve intervals, an hour at most.
    pub fn stopped(&mut self, now: Duration, every: Duration, random: u64) {
        let most = every.saturating_mul(12).min(HOUR);
        self.contact = now + (most / 2 + below(most / 2, random)).max(WAIT_MIN);
        self.floor = self.contact;
    }

    /// Something cannot wait; but who was told to wait, waits, and after a try that failed a minute passes.
    pub fn hurry(&mut self, now: Duration) {
        self.contact = self.contact.min(self.floor.max(now));
    }

    /// A person asks for a contact now, with a look at everything.
    pub fn at_once(&mut self, now: Duration) {
        (self.contact, self.hour, self.patience) = (now, now, now);
    }

    /// Contacts that failed in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

/// A random duration below `most`.
fn below(most: Duration, random: u64) -> Duration {
    let most = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(random.checked_rem(most).unwrap_or(0))
}

/// The probes that run now: on this system, not disabled, due or owed.
pub fn probes(
    all: &'static [Probe],
    due: Due,
    owed: &dyn Fn(&str) -> bool,
    disabled: &[String],
) -> Vec<&'static Probe> {
    let is_due = |probe: &Probe| match probe.every {
        Every::Sample => due.sample || due.contact,
        Every::CheckIn => due.contact,
        Every::Hour => due.hour,
    };
    all.iter()
        .filter(|probe| probe.os.contains(&Os::Linux) && !disabled.iter().any(|name| name == probe.name))
        .filter(|probe| is_due(probe) || owed(probe.name))
        .collect()
}

#[cfg(test)]
mod herd;

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn at_the_start_everything_is_due_then_by_interval() {
        let mut schedule = Schedule::new(s(100));
        assert_eq!(schedule.due(s(100)), Due { sample: true, contact: true, hour: true });
        schedule.sampled(s(100), s(15));
        schedule.looked(s(100));
        schedule.contacted(s(100), s(300), 0);
        assert_eq!(schedule.wait(s(100)), s(15));
        assert_eq!(schedule.due(s(385)), Due { sample: true, contact: true, hour: false });
        schedule.contacted(s(385), s(300), 29_999);
        assert_eq!(schedule.due(s(385 + 314)), Due { sample: true, contact: false, hour: false });
        // After a night's sleep everything is due.
        assert_eq!(schedule.due(s(30_000)), Due { sample: true, contact: true, hour: true });
    }

    #[test]
    fn a_look_at_everything_is_put_off_for_an_hour_at_most() {
        let mut schedule = Schedule::new(s(100));
        assert!(!schedule.may_put_off(s(100)), "the first");
        schedule.looked(s(100));
        schedule.contacted(s(100), s(300), 0);
        assert!(schedule.due(s(3700)).hour && schedule.may_put_off(s(3700)));
        assert!(schedule.may_put_off(s(7299)) && !schedule.may_put_off(s(7300)));
        schedule.at_once(s(4000));
        assert!(!schedule.may_put_off(s(4000)), "a person asked");
    }

    #[test]
    fn waits_double_up_to_half_an_hour_with_full_jitter() {
        let mut schedule = Schedule::new(s(0));
        schedule.contacted(s(0), s(300), 0);
        let mut waits = Vec::new();
        for _ in 0..8 {
            schedule.failed(s(1000), None, s(300), u64::MAX - 615);
            waits.push((schedule.contact - s(1000)).as_secs());
        }
        assert!(
            waits.iter().zip([300, 600, 1200, 1800, 1800, 1800, 1800, 1800]).all(|(wait, most)| *wait < most.max(2))
        );
        schedule.failed(s(1000), None, s(300), 0);
        assert_eq!(schedule.contact, s(1001));
    }

    #[test]
    fn early_tries_are_close_together() {
        let mut schedule = Schedule::new(s(0));
        schedule.sampled(s(0), s(9999));
        for _ in 0..20 {
            schedule.failed(s(10), None, s(300), 59_999);
            assert!(schedule.wait(s(10)) <= s(60));
        }
    }

    #[test]
    fn retry_after_is_obeyed_even_in_a_hurry() {
        let mut schedule = Schedule::new(s(0));
        schedule.sampled(s(0), s(9999));
        schedule.failed(s(0), Some(s(40)), s(300), 3);
        schedule.hurry(s(1));
        assert_eq!(schedule.wait(s(0)), Duration::from_millis(40_003));
        schedule.contacted(s(50), s(300), 0);
        schedule.hurry(s(60));
        assert!(schedule.due(s(60)).contact);
    }

    #[test]
    fn what_cannot_wait_is_tried_a_minute_after_a_failure_and_no_sooner() {
        let mut schedule = Schedule::new(s(0));
        schedule.contacted(s(0), s(300), 0);
        // The longest wait that the first failure may bring, then a fault twenty seconds later.
        schedule.failed(s(1000), None, s(300), 299_999);
        assert_eq!(schedule.contact, s(1299) + Duration::from_millis(999));
        schedule.hurry(s(1020));
        let first = schedule.contact;
        assert!((s(1060)..s(1075)).contains(&first), "{first:?}");
        schedule.hurry(s(1030));
        assert_eq!(schedule.contact, first, "one more fault moves nothing");
        // It fails again: the next one is a minute later again, however many faults there are.
        schedule.failed(first, None, s(300), 599_999);
        assert!(schedule.contact > first + s(500));
        for after_s in [1, 20, 59] {
            schedule.hurry(first + s(after_s));
            assert!(schedule.contact >= first + s(60), "{after_s}");
        }
        assert!(schedule.contact < first + s(75));
        // A fault long after the failure does not wait, one before an early try does not put that off.
        schedule.failed(s(5000), None, s(300), 299_999);
        schedule.hurry(s(5100));
        assert_eq!(schedule.contact, s(5100));
        schedule.failed(s(6000), None, s(300), 2000);
        schedule.hurry(s(6001));
        assert_eq!(schedule.contact, s(6002));
        // Turned away until a person decides.
        schedule.stopped(s(7000), s(300), 5);
        let stopped = schedule.contact;
        schedule.hurry(s(7100));
        assert_eq!(schedule.contact, stopped);
    }

    #[test]
    fn probes_run_when_due_or_owed_unless_disabled() {
        let names = |due, owed: &'static str, disabled: &[String]| -> Vec<&str> {
            probes(crate::probes::PROBES, due, &|name| name == owed, disabled).iter().map(|probe| probe.name).collect()
        };
        let sample = Due { sample: true, ..Due::default() };
        assert!(names(sample, "", &[]).iter().all(|name| name.starts_with("health_")));
        assert!(names(sample, "dpkg", &[]).contains(&"dpkg"));
        assert!(!names(sample, "dpkg", &["dpkg".into()]).contains(&"dpkg"));
        let all = Due { sample: true, contact: true, hour: true };
        assert_eq!(names(all, "", &[]).len(), crate::probes::PROBES.len());
    }
}
