//! Probe `health_memory`: health: whether work waits for memory.
//!
//! The kernel measures that itself: `some avg60` of PSI (linux Documentation/accounting/psi.rst) is the share
//! of the last minute in which some task waited for memory. Where the kernel does not measure it (before
//! 4.20, or `psi=0`, the default of RHEL and Raspberry Pi OS) it is estimated: what is in use says nothing of it,
//! since a healthy machine uses all its memory, but once less than a tenth of memory and swap could still be had
//! ([`estimate`]), work is about to wait. The reading's `detail` says so.

use super::{Every, Found, Os, Probe};
use crate::source::{Miss, Source};
use shared::checkin::{Problem, Why};
use shared::fact::Item;
use shared::health::{self, Reading};

/// The probe.
pub const PROBE: Probe =
    Probe { name: "health_memory", os: &[Os::Linux], every: Every::Sample, needs: "", mark: None, run };

const CHECK: &str = "memory_pressure";
const PATH: &str = "/proc/pressure/memory";
const MEMINFO: &str = "/proc/meminfo";
const ESTIMATED: &str = "estimated from what is left of memory and swap: this kernel does not measure pressure";

fn run(source: &dyn Source) -> Result<Found, Problem> {
    let text = match source.text(PATH) {
        Ok(text) => text,
        // Switched off, the file is there and reading it is "not supported".
        Err(miss @ (Miss::Absent | Miss::Failed(_))) => {
            let problem = miss.problem(PATH).detail("this kernel does not measure memory pressure");
            let value = source.text(MEMINFO).ok().and_then(|text| estimate(&text));
            let item = value.map(|value| reading(value, Some(ESTIMATED)));
            // What is not measured has not become good.
            let item = item.unwrap_or_else(|| health::unread(CHECK, "", None, "not measured"));
            return Ok(Found { items: vec![item], problems: vec![problem] });
        }
        Err(miss) => return Err(miss.problem(PATH)),
    };
    let value = parse(&text).ok_or_else(|| Problem::new(Why::Malformed, PATH).detail("no `some avg60=`"))?;
    Ok(Found { items: vec![reading(value, None)], problems: Vec::new() })
}

fn reading(value: i64, detail: Option<&str>) -> Item {
    let detail = detail.map(str::to_owned);
    Reading { check: CHECK.to_owned(), resource: String::new(), value, total: None, identity: None, detail }.into()
}

/// Percent, from what is left of memory and swap together (`/proc/meminfo`): 0 while it is a tenth or more, 100
/// where it is nothing, so that the usual threshold of 40 is reached at 6 % and left at 8 %.
pub fn estimate(text: &str) -> Option<i64> {
    let kib = |name: &str| -> Option<i128> {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        value.split_ascii_whitespace().next()?.parse().ok().filter(|kib| *kib >= 0)
    };
    let swap = kib("SwapFree").zip(kib("SwapTotal")).filter(|(free, total)| free <= total);
    let (free, total) = swap.unwrap_or((0, 0));
    let left = kib("MemAvailable")?.checked_add(free)?;
    let all = kib("MemTotal").filter(|all| *all > 0)?.checked_add(total)?;
    let left = left.checked_mul(1000)?.checked_div(all)?;
    i64::try_from(100 - left).ok().map(|value| value.clamp(0, 100))
}

/// Percent, rounded, of `some avg10=0.00 avg60=1.51 avg300=0.60 total=1234`.
pub fn parse(text: &str) -> Option<i64> {
    let line = text.lines().find_map(|line| line.strip_prefix("some "))?;
    let value = line.split_whitespace().find_map(|field| field.strip_prefix("avg60="))?;
    let (whole, hundredths) = value.split_once('.').unwrap_or((value, "0"));
    let whole: i64 = whole.parse().ok().filter(|whole| (0..=100).contains(whole))?;
    let up = hundredths.bytes().next().is_some_and(|digit| (b'5'..=b'9').contains(&digit));
    Some((whole + i64::from(up)).min(100))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tape::Tape;
    use proptest::prelude::*;

    #[test]
    fn pressure_is_a_rounded_percentage() {
        let of = |avg60: &str| {
            parse(&format!("some avg10=9.00 avg60={avg60} avg300=8.00 total=1\nfull avg10=0.00 avg60=99.00 total=0\n"))
        };
        assert_eq!(["0.00", "1.49", "1.50", "39.99", "100.00"].map(of), [0, 1, 2, 40, 100].map(Some));
        assert_eq!(["", "-1.00", "101.00", "x"].map(of), [None; 4]);
        assert_eq!(parse("full avg60=1.00"), None);
    }

    #[test]
    fn a_kernel_that_does_not_measure_is_a_hole_not_a_failure() {
        for tape in [Tape::new(), Tape::new().failed(PATH, "not supported")] {
            let found = run(&tape).expect("found");
            assert_eq!(found.items.iter().map(Reading::from_item).collect::<Vec<_>>(), [None], "a row without a value");
            assert_eq!(found.problems.len(), 1);
        }
        assert_eq!(run(&Tape::new().file(PATH, "odd")).map_err(|problem| problem.why), Err(Why::Malformed));
    }

    #[test]
    fn what_is_not_measured_is_estimated_and_marked() {
        let meminfo = |available: u32| {
            format!(
                "MemTotal: 600 kB\nMemFree: 1 kB\nMemAvailable: {available} kB\nSwapTotal: 400 kB\nSwapFree: 30 kB\n"
            )
        };
        assert_eq!([600, 70, 50, 30, 0].map(|available| estimate(&meminfo(available))), [0, 0, 20, 40, 70].map(Some));
        assert_eq!(estimate("MemTotal: 600 kB\n"), None);
        let tape = Tape::new().failed(PATH, "not supported").file(MEMINFO, meminfo(30));
        let found = run(&tape).expect("found");
        let reading = Reading::from_item(&found.items[0]).expect("a reading");
        assert_eq!((reading.value, reading.detail.as_deref()), (40, Some(ESTIMATED)));
        assert_eq!(found.problems.len(), 1);
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "some (avg60=)?.{0,30}") {
            parse(&text);
            estimate(&text);
        }
    }
}
