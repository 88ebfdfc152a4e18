//! Probe `health_self`: health: what this agent itself costs.
//!
//! CPU and wake-ups are rates since the sample before, in thousandths of one core and times an hour; the first sample
//! of a process, which has none before it, is one that could not be taken: what was known before stands. Memory is the
//! proportional share (PSS, proc_pid_smaps_rollup(5)), or where the kernel does not tell it, all that is resident.
//! All of it moves with every sample; how far it must move to be told again, the checks say. What only the service
//! itself knows of its cost, it adds.

use super::{Every, Found, Os, Probe};
use crate::source::Source;
use shared::checkin::{Problem, Why};
use shared::health::{self, Reading};
use std::cell::Cell;

/// The probe.
pub const PROBE: Probe =
    Probe { name: "health_self", os: &[Os::Linux], every: Every::CheckIn, needs: "", mark: None, run };

const STAT: &str = "/proc/self/stat";
const STATUS: &str = "/proc/self/status";
/// USER_HZ, in which the kernel tells times to programs: 100 on every architecture that this is built for
/// (linux include/asm-generic/param.h).
const TICKS_PER_SECOND: u64 = 100;
/// Over less time, one look at the machine would seem to be all it does; what was found last stays.
const SPAN_TICKS_MIN: u64 = 60 * TICKS_PER_SECOND;

thread_local! {
    /// The last sample. Probes run on one thread.
    static LAST: Cell<Option<Sample>> = const { Cell::new(None) };
}

fn run(source: &dyn Source) -> Result<Found, Problem> {
    let stat = source.text(STAT).map_err(|miss| miss.problem(STAT))?;
    let times = parse_stat(&stat).ok_or_else(|| Problem::new(Why::Malformed, STAT).detail("no times in it"))?;
    let status = source.text(STATUS).unwrap_or_default();
    // Each time that it waited for something and went on.
    let wakeups = parse_amount(&status, "voluntary_ctxt_switches:").and_then(|count| u64::try_from(count).ok());
    let mut found = Found::default();
    let uptime = source.text("/proc/uptime").ok().and_then(|text| parse_uptime(&text));
    let sample = uptime.and_then(|at| sample(LAST.get(), &times, wakeups.unwrap_or(0), at));
    LAST.set(sample);
    let rates = sample.and_then(|sample| sample.rates);
    let mut put = |check: &str, value: Option<i64>| {
        found.items.push(match value {
            Some(value) => reading(check, value).into(),
            // Were the row missing, a fault that is held would pass with each start.
            None => health::unread(check, "", None, "no sample of this process before it"),
        });
    };
    put("agent_cpu", rates.map(|rates| rates.cpu_permille));
    if wakeups.is_some() {
        put("agent_wakeups", rates.map(|rates| rates.wakeups_hourly));
    }
    if let Some(kib) = parse_amount(&status, "VmHWM:") {
        put("agent_peak", Some(kib));
    }
    let rollup = source.text("/proc/self/smaps_rollup").ok();
    match rollup.and_then(|text| parse_amount(&text, "Pss:")).or_else(|| parse_amount(&status, "VmRSS:")) {
        Some(kib) => put("agent_memory", Some(kib)),
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

/// What was used up to a moment, in ticks, and the rates of the time before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sample {
    started: u64,
    used: u64,
    wakeups: u64,
    at: u64,
    rates: Option<Rates>,
}

/// What the process costs in a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rates {
    cpu_permille: i64,
    wakeups_hourly: i64,
}

/// The sample after `last`; `None` where the clock says that the process began in the future.
fn sample(last: Option<Sample>, times: &Times, wakeups: u64, at: u64) -> Option<Sample> {
    let Times { used, started } = *times;
    let new = |rates| (started <= at).then_some(Sample { started, used, wakeups, at, rates });
    // On a tape, and in no other place, the process may be another one.
    let Some(last) = last.filter(|last| last.started == started && last.at <= at && last.used <= used) else {
        return new(None);
    };
    let span = at - last.at;
    if span < SPAN_TICKS_MIN {
        return Some(last);
    }
    let rate = |amount: u64, per: u64| i64::try_from(u128::from(amount) * u128::from(per) / u128::from(span));
    let cpu = rate(used - last.used, 1000);
    let wakeups = rate(wakeups.saturating_sub(last.wakeups), 3600 * TICKS_PER_SECOND);
    new(cpu.ok().zip(wakeups.ok()).map(|(cpu_permille, wakeups_hourly)| Rates { cpu_permille, wakeups_hourly }))
}

/// The amount in `Pss:    1234 kB`, or in a line without a unit.
pub fn parse_amount(text: &str, name: &str) -> Option<i64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::live::Live;
    use crate::source::tape::Tape;
    use proptest::prelude::*;

    fn stat(used: u64) -> String {
        format!("1 (odd) name) S 0 1 1 0 -1 4194560 1 2 3 4 {used} 50 9 9 20 0 4 0 1000 5 6 7")
    }

    fn told(used: u64, wakeups: u64, uptime: &str, memory: &str) -> Vec<(String, Option<i64>)> {
        let status = format!("Name:\tx\nVmHWM:\t  8000 kB\nvoluntary_ctxt_switches:\t{wakeups}\n");
        let tape = Tape::new().file(STAT, stat(used)).file(STATUS, status).file("/proc/uptime", uptime);
        let items = run(&tape.file("/proc/self/smaps_rollup", memory)).expect("found").items;
        items.iter().map(|item| (item.key.clone(), item.int("value"))).collect()
    }

    #[test]
    fn the_agent_tells_what_it_costs_now() {
        let row = |name: &str, value| (name.to_owned(), value);
        let rates = |cpu, wakeups| {
            [row("agent_cpu:", cpu), row("agent_wakeups:", wakeups), row("agent_peak:", Some(8000))].to_vec()
        };
        let memory = "55-77 ---p 0 [rollup]\nRss:  9000 kB\nPss:      4321 kB\nPss_Dirty: 1 kB\n";
        let mut first = rates(None, None);
        first.push(row("agent_memory:", Some(4321)));
        assert_eq!(told(9000, 50, "110.00 7.00\n", memory), first, "none before it");
        assert_eq!(told(9300, 60, "210.00 7.00\n", ""), rates(Some(30), Some(360)));
        assert_eq!(told(9400, 70, "260.00 7.00\n", ""), rates(Some(30), Some(360)), "too early to say anew");
        // Days of rest do not hide a minute of work, and a minute of work is not told for days.
        assert_eq!(told(14_700, 60, "270.00 7.00\n", ""), rates(Some(900), Some(0)));
        assert_eq!(told(14_700, 61, "330.00 7.00\n", ""), rates(Some(0), Some(60)));
        assert_eq!(told(100, 0, "1.00 7.00\n", ""), rates(None, None), "began in the future");
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
                    let before = Sample { started: times.started, used: 0, wakeups: 0, at: 0, rates: None };
                    sample(Some(before), &times, now, now);
                }
                parse_amount(text, "");
            }
        }
    }
}
