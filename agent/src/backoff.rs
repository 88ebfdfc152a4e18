//! Which probes rest because they took more than they may, and for how long. Pure: `now` comes from outside.

use crate::probes::{Every, Probe};
use shared::checkin::{Problem, Why};
use std::collections::BTreeMap;
use std::time::Duration;

/// No rest is longer.
const REST_MAX: Duration = Duration::from_secs(86_400);
/// A rest doubles so often at once where a probe seems to have ended the whole agent.
const DOUBLED_BY_AN_END: u32 = 6;

/// Probes at rest.
#[derive(Debug, Default)]
pub struct Backoff(BTreeMap<&'static str, Rest>);

#[derive(Debug)]
struct Rest {
    /// Runs that went wrong in a row; a run that ended the agent counts for several.
    times: u32,
    until: Duration,
    why: &'static str,
}

impl Backoff {
    /// The probe ran: well, or longer or larger than it may.
    pub fn ran(&mut self, probe: &Probe, overran: bool, now: Duration) {
        if overran {
            self.rest(probe, 0, "it took more time or memory than a probe may", now);
        } else if !self.0.is_empty() {
            self.0.remove(probe.name);
        }
    }

    /// The agent ended, by a watchdog, a lack of memory or an error of its own, while the probe ran.
    pub fn ended_by(&mut self, probe: &Probe, now: Duration) {
        self.rest(probe, DOUBLED_BY_AN_END, "the agent was ended while it ran", now);
    }

    fn rest(&mut self, probe: &Probe, more: u32, why: &'static str, now: Duration) {
        let times = self.0.get(probe.name).map_or(0, |rest| rest.times).saturating_add(more);
        // The first rest costs it at least one turn at the usual intervals.
        let first = Duration::from_secs(match probe.every {
            Every::Sample => 60,
            Every::CheckIn => 600,
            Every::Hour => 7200,
        });
        let until = now.saturating_add(first.saturating_mul(1 << times.min(16)).min(REST_MAX));
        self.0.insert(probe.name, Rest { times: times.saturating_add(1), until, why });
    }

    /// Why a probe does not run now. The text is the same as long as it rests: time would make it news each time.
    pub fn rests(&self, probe: &Probe, now: Duration) -> Option<Problem> {
        let rest = self.0.get(probe.name).filter(|rest| now < rest.until)?;
        Some(Problem::new(Why::Failed, probe.name).detail(rest.why))
    }

    /// Probes that rest or are on probation, and why.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.0.iter().map(|(name, rest)| (*name, rest.why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(name: &str) -> &'static Probe {
        crate::probes::find(name).expect("a probe")
    }

    fn hourly() -> &'static Probe {
        crate::probes::PROBES.iter().find(|probe| probe.every == Every::Hour).expect("an hourly probe")
    }

    #[test]
    fn rests_double_up_to_a_day_and_end_with_a_good_run() {
        let (mut backoff, probe, mut now) = (Backoff::default(), hourly(), Duration::from_secs(50));
        let mut hours = Vec::new();
        for _ in 0..6 {
            backoff.ran(probe, true, now);
            let begin = now;
            while backoff.rests(probe, now).is_some() {
                now += Duration::from_secs(3600);
            }
            hours.push((now - begin).as_secs() / 3600);
        }
        assert_eq!(hours, [2, 4, 8, 16, 24, 24]);
        assert_eq!(backoff.all().map(|(name, _)| name).collect::<Vec<_>>(), [probe.name]);
        assert!(backoff.rests(self::probe("health_self"), now).is_none());
        backoff.ran(probe, false, now);
        assert_eq!(backoff.all().count(), 0);
        backoff.ran(probe, true, now);
        assert!(backoff.rests(probe, now + Duration::from_secs(7199)).is_some());
        assert!(backoff.rests(probe, now + Duration::from_secs(7200)).is_none());
    }

    #[test]
    fn what_ended_the_agent_rests_longer_at_once() {
        let (mut backoff, hour) = (Backoff::default(), Duration::from_secs(3600));
        backoff.ended_by(probe("health_disks"), hour);
        let problem = backoff.rests(probe("health_disks"), hour * 2).expect("it rests");
        assert_eq!(problem.detail, "the agent was ended while it ran");
        assert!(backoff.rests(probe("health_disks"), hour * 3).is_none());
        backoff.ended_by(hourly(), hour);
        assert!(backoff.rests(hourly(), hour * 24).is_some());
    }
}
