//! What the service alone knows of its own cost: its slowest probe, those at rest, and what it sends. Becomes
//! readings in the section of the probe `health_self`, beside what the system tells of this process. Pure.

use crate::collect::{Section, Spent};
use shared::checkin::State;
use shared::fact::Item;
use shared::health::{self, Reading};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

/// The costs so far.
#[derive(Debug, Default)]
pub struct Own {
    /// The slowest run of a probe since this was last told.
    slowest: Option<(&'static str, Duration)>,
    /// Bytes of bodies sent since `begin`.
    sent_bytes: u64,
    /// The hour that is counted began, by the time since boot.
    begin: Option<Duration>,
    /// Sent in the last whole hour, in KiB.
    sent_kib: Option<u64>,
}

impl Own {
    /// A probe ran.
    pub fn ran(&mut self, spent: &Spent) {
        if self.slowest.is_none_or(|(_, wall)| spent.wall > wall) {
            self.slowest = Some((spent.probe, spent.wall));
        }
    }

    /// Bytes were sent.
    pub fn sent(&mut self, bytes: u64, now: Duration) {
        let begin = *self.begin.get_or_insert(now);
        let span = now.saturating_sub(begin);
        if span >= HOUR {
            let hourly = u128::from(self.sent_bytes) * 3600 / u128::from(span.as_secs().max(1));
            self.sent_kib = u64::try_from(hourly / 1024).ok();
            (self.sent_bytes, self.begin) = (0, Some(now));
        }
        self.sent_bytes = self.sent_bytes.saturating_add(bytes);
    }

    /// Adds it to the section of `health_self`, if that was seen. `resting` names probes and why they rest.
    pub fn add(&mut self, section: &mut Section, resting: impl Iterator<Item = (&'static str, &'static str)>) {
        if section.state != State::Seen {
            return;
        }
        let mut put = |item: Item| section.items.insert(item.key.clone(), item);
        if let Some((name, wall)) = self.slowest.take() {
            let ms = i64::try_from(wall.as_millis()).unwrap_or(i64::MAX);
            put(reading("agent_slowest_probe", "", ms, Some(name)).into());
        }
        put(match self.sent_kib.and_then(|kib| i64::try_from(kib).ok()) {
            Some(kib) => reading("agent_sent", "", kib, None).into(),
            None => health::unread("agent_sent", "", None, "it does not run for an hour yet"),
        });
        for (name, why) in resting {
            put(reading("agent_probe", name, 1, Some(why)).into());
        }
    }
}

fn reading(check: &str, resource: &str, value: i64, detail: Option<&str>) -> Reading {
    let (check, resource, detail) = (check.to_owned(), resource.to_owned(), detail.map(str::to_owned));
    Reading { check, resource, value, total: None, identity: None, detail }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect;
    use crate::probes::Found;

    fn told(own: &mut Own, resting: &[(&'static str, &'static str)]) -> Vec<(String, Option<i64>, String)> {
        let mut section = collect::seal("health_self", Ok(Found::default()));
        own.add(&mut section, resting.iter().copied());
        let row =
            |item: &Item| (item.key.clone(), item.int("value"), item.text("detail").unwrap_or_default().to_owned());
        section.items.values().map(row).collect()
    }

    #[test]
    fn the_slowest_probe_those_at_rest_and_the_traffic_of_an_hour_are_told() {
        let mut own = Own::default();
        let spent = |probe, ms| {
            let wall = Duration::from_millis(ms);
            Spent { probe, wall, cpu: wall, asks: 1, bytes: 1, overran: false }
        };
        for (probe, ms) in [("disks", 3), ("dpkg", 20), ("users", 9)] {
            own.ran(&spent(probe, ms));
        }
        own.sent(50 * 1024, HOUR);
        let row = |key: &str, value, detail: &str| (key.to_owned(), value, detail.to_owned());
        let unread = row("agent_sent:", None, "it could not be read: it does not run for an hour yet");
        assert_eq!(
            told(&mut own, &[("disks", "late")]),
            [row("agent_probe:disks", Some(1), "late"), unread.clone(), row("agent_slowest_probe:", Some(20), "dpkg"),]
        );
        assert_eq!(told(&mut own, &[]), [unread]);
        own.sent(10 * 1024, HOUR * 3);
        assert_eq!(told(&mut own, &[]), [row("agent_sent:", Some(25), "")]);
        own.sent(0, HOUR * 4);
        assert_eq!(told(&mut own, &[]), [row("agent_sent:", Some(10), "")]);
    }
}
