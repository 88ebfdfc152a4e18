//! Whether the machine has better things to do than to be looked at: it is short of CPU, disk or memory, or runs on
//! its battery. What follows from that, [`crate::schedule`] says.

use crate::source::Source;

/// PSI (linux Documentation/accounting/psi.rst): shares of the last ten seconds in which some task waited.
const PRESSURES: &[&str] = &["/proc/pressure/cpu", "/proc/pressure/io", "/proc/pressure/memory"];
/// Percent from which on a share is too much.
const WAITING_PERCENT: f64 = 40.0;
/// Where the kernel does not measure pressure: tasks for each processor.
const LOAD: f64 = 4.0;
/// Power supplies looked at.
const SUPPLIES_MAX: usize = 16;
const SUPPLIES: &str = "/sys/class/power_supply";

/// Whether a look at everything should wait, and why.
pub fn ask(source: &dyn Source) -> Option<&'static str> {
    let pressures: Vec<f64> = PRESSURES.iter().filter_map(|path| parse_pressure(&source.text(path).ok()?)).collect();
    let busy = match pressures.is_empty() {
        false => pressures.iter().any(|share| *share >= WAITING_PERCENT),
        true => {
            let load = source.text("/proc/loadavg").ok().and_then(|text| parse_load(&text));
            let processors = source.text("/sys/devices/system/cpu/online").ok().and_then(|text| parse_list(&text));
            load.zip(processors).is_some_and(|(load, processors)| load > LOAD * f64::from(processors))
        }
    };
    if busy {
        return Some("it is under pressure");
    }
    is_on_battery(source).then_some("it runs on its battery")
}

/// The share in `some avg10=1.23 avg60=…`.
pub fn parse_pressure(text: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix("some "))?;
    line.split_whitespace().find_map(|field| field.strip_prefix("avg10="))?.parse().ok()
}

/// The load of the last minute, in `0.20 0.18 0.12 1/80 11206`.
pub fn parse_load(text: &str) -> Option<f64> {
    text.split_whitespace().next()?.parse().ok()
}

/// How many numbers a list of the kernel's holds: `0-3,7`.
pub fn parse_list(text: &str) -> Option<u32> {
    text.trim().split(',').try_fold(0u32, |count, range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        count.checked_add(last.checked_sub(first)?.checked_add(1)?)
    })
}

/// Whether there is a mains supply, and none gives power.
fn is_on_battery(source: &dyn Source) -> bool {
    let mut mains = Vec::new();
    for name in source.names(SUPPLIES).unwrap_or_default().iter().take(SUPPLIES_MAX) {
        if source.text(&format!("{SUPPLIES}/{name}/type")).is_ok_and(|form| form == "Mains") {
            mains.push(source.text(&format!("{SUPPLIES}/{name}/online")).is_ok_and(|online| online == "0"));
        }
    }
    !mains.is_empty() && mains.into_iter().all(|off| off)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tape::Tape;

    #[test]
    fn pressure_or_else_load_is_strain() {
        let psi = |share: &str| {
            let calm = "some avg10=0.00 avg60=99.00 avg300=99.00 total=1\n";
            let text = format!("some avg10={share} avg60=0.00 avg300=0.00 total=1\nfull avg10=99.00\n");
            let tape = Tape::new().file("/proc/pressure/cpu", calm).file("/proc/pressure/io", text);
            // Where pressure is measured, many tasks alone say nothing.
            ask(&tape.file("/proc/loadavg", "99.00 0 0 1/1 1").file("/sys/devices/system/cpu/online", "0\n"))
        };
        assert_eq!((psi("39.99"), psi("40.00")), (None, Some("it is under pressure")));
        let load = |load: &str| {
            ask(&Tape::new().file("/proc/loadavg", load).file("/sys/devices/system/cpu/online", "0-1,4\n"))
        };
        assert_eq!((load("12.00 1 1 1/9 9"), load("12.01 1 1 1/9 9")), (None, Some("it is under pressure")));
        assert_eq!(ask(&Tape::new()), None);
        assert_eq!(
            [parse_list("0"), parse_list("0-3,7"), parse_list("3-0"), parse_list("")],
            [Some(1), Some(5), None, None]
        );
    }

    #[test]
    fn a_machine_without_its_mains_runs_on_its_battery() {
        let machine = |online: &str| {
            let tape =
                Tape::new().dir(SUPPLIES, &["AC", "BAT0"]).file("/sys/class/power_supply/BAT0/type", "Battery\n");
            ask(&tape
                .file("/sys/class/power_supply/AC/type", "Mains\n")
                .file("/sys/class/power_supply/AC/online", online))
        };
        assert_eq!((machine("1\n"), machine("0\n")), (None, Some("it runs on its battery")));
    }
}
