//! Probe `health_self`: health: what this agent itself costs.
//!
//! CPU is the mean over its life, in thousandths of one core, once it has lived for a minute: before that it
//! is the price of starting. Memory is the proportional share (PSS, proc_pid_smaps_rollup(5)), or where the
//! kernel does not tell it, all that is resident. Both move with every sample; how far they must move to be
//! told again, their checks say.

use super::{Every, Found, Os, Probe};
use crate::source::Source;
use shared::checkin::{Problem, Why};
use shared::health::Reading;

/// The probe.
pub const PROBE: Probe =
    Probe { name: "health_self", os: &[Os::Linux], every: Every::Sample, needs: "", mark: None, run };

const STAT: &str = "/proc/self/stat";
/// USER_HZ, in which the kernel tells times to programs: 100 on every architecture that this is built for
/// (linux include/asm-generic/param.h).
const TICKS_PER_SECOND: u64 = 100;
const LIVED_TICKS_MIN: u64 = 60 * TICKS_PER_SECOND;

fn run(source: &dyn Source) -> Result<Found, Problem> {
    let stat = source.text(STAT).map_err(|miss| miss.problem(STAT))?;
    let times = parse_stat(&stat).ok_or_else(|| Problem::new(Why::Malformed, STAT).detail("no times in it"))?;
    let mut found = Found::default();
    let uptime = source.text("/proc/uptime").ok().and_then(|text| parse_uptime(&text));
    if let Some(permille) = uptime.and_then(|now| permille(&times, now)) {
        found.items.push(reading("agent_cpu", permille).into());
    }
    let amount = |path: &str, name: &str| source.text(path).ok().and_then(|text| parse_kib(&text, name));
    match amount("/proc/self/smaps_rollup", "Pss:").or_else(|| amount("/proc/self/status", "VmRSS:")) {
        Some(kib) => found.items.push(reading("agent_memory", kib).into()),
        None => found.problems.push(Problem::new(Why::Absent, "/proc/self/smaps_rollup").detail("no memory in it")),
    }
    Ok(found)
}

fn reading(check: &str, value: i64) -> Reading {
    Reading { check: check.to_owned(), resource: String::new(), value, total: None, identity: None, detail: None }
}

/// Times of a process, in ticks.
#[derive(Debug, PartialEq, Eq)]
pub struct Times {
    /// On a CPU, in itself and in the kernel for it.
    pub used: u64,
    /// When it began, since boot.
    pub started: u64,
}

/// Fields 14, 15 and 22 of proc_pid_stat(5); the second, its name in parentheses, may hold anything.
pub fn parse_stat(text: &str) -> Option<Times> {
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let user: u64 = fields.nth(11)?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    let started = fields.nth(6)?.parse().ok()?;
    Some(Times { used: user.checked_add(system)?, started })
}

/// Ticks since boot of `12345.67 23456.78`.
pub fn parse_uptime(text: &str) -> Option<u64> {
    let (seconds, hundredths) = text.split_ascii_whitespace().next()?.split_once('.')?;
    let seconds: u64 = seconds.parse().ok()?;
    let hundredths: u64 = hundredths.get(..2)?.parse().ok()?;
    seconds.checked_mul(TICKS_PER_SECOND)?.checked_add(hundredths)
}

fn permille(times: &Times, now: u64) -> Option<i64> {
    let lived = now.checked_sub(times.started).filter(|lived| *lived >= LIVED_TICKS_MIN)?;
    i64::try_from(u128::from(times.used) * 1000 / u128::from(lived)).ok()
}

/// The amount in `Pss:    1234 kB`.
pub fn parse_kib(text: &str, name: &str) -> Option<i64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::live::Live;
    use crate::source::tape::Tape;
    use proptest::prelude::*;

    const STAT_TEXT: &str = "1 (odd) name) S 0 1 1 0 -1 4194560 1 2 3 4 250 50 9 9 20 0 4 0 1000 5 6 7";

    fn told(uptime: &str, memory: &str) -> Vec<(String, Option<i64>)> {
        let tape =
            Tape::new().file(STAT, STAT_TEXT).file("/proc/uptime", uptime).file("/proc/self/smaps_rollup", memory);
        let items = run(&tape).expect("found").items;
        items.iter().map(|item| (item.key.clone(), item.int("value"))).collect()
    }

    #[test]
    fn the_agent_tells_what_it_costs() {
        let memory = "55-77 ---p 0 [rollup]\nRss:  9000 kB\nPss:      4321 kB\nPss_Dirty: 1 kB\n";
        assert_eq!(
            told("110.00 7.00\n", memory),
            [("agent_cpu:".to_owned(), Some(30)), ("agent_memory:".to_owned(), Some(4321))]
        );
        assert_eq!(told("69.99 7.00\n", memory), [("agent_memory:".to_owned(), Some(4321))], "too young to say");
        assert_eq!(told("1.00 7.00\n", ""), [], "began in the future");
    }

    #[test]
    fn this_process_has_memory() {
        let found = run(&Live).expect("found");
        let memory = found.items.iter().find(|item| item.key == "agent_memory:").and_then(|item| item.int("value"));
        assert!(memory.is_some_and(|kib| kib > 0), "{found:?}");
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "([0-9]{1,20}[ .)(]){0,30}", other in ".{0,40}") {
            for text in [&text, &other] {
                if let (Some(times), Some(now)) = (parse_stat(text), parse_uptime(text)) {
                    permille(&times, now);
                }
                parse_kib(text, "");
            }
        }
    }
}
