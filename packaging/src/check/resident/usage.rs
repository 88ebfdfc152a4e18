//! What a process and its children have used so far, as `/proc/PID` tells it (proc(5)). Knows nothing of who they are.

use anyhow::{Context, Result};
use std::path::Path;

/// Counters since the start, and memory now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// On a CPU, in nanoseconds: of all threads that there are, and of children that have ended.
    pub(super) cpu_ns: u64,
    /// Each time that a thread waited for something and went on.
    pub(super) wakeups: u64,
    /// Written to disks.
    pub(super) write_bytes: u64,
    /// Proportional share of memory, in KiB.
    pub(super) pss_kib: u64,
    /// Resident memory, in KiB.
    pub(super) rss_kib: u64,
    /// Most resident memory of any of them, in KiB.
    pub(super) peak_kib: u64,
}

/// Ticks of a second in `/proc/PID/stat` are 100 on every architecture.
const NS_PER_TICK: u64 = 10_000_000;

impl Usage {
    /// Of the process and of all that descend from it.
    ///
    /// # Errors
    /// It is not there, or belongs to somebody else.
    pub(super) fn of(pid: u32) -> Result<Usage> {
        let mut all = Usage::default();
        for pid in family(pid)? {
            let one = Usage::of_one(pid).with_context(|| format!("process {pid}"))?;
            all.cpu_ns += one.cpu_ns;
            all.wakeups += one.wakeups;
            all.write_bytes += one.write_bytes;
            all.pss_kib += one.pss_kib;
            all.rss_kib += one.rss_kib;
            all.peak_kib = all.peak_kib.max(one.peak_kib);
        }
        Ok(all)
    }

    fn of_one(pid: u32) -> Result<Usage> {
        let dir = Path::new("/proc").join(pid.to_string());
        let read = |name: &str| std::fs::read_to_string(dir.join(name)).context(name.to_owned());
        let mut usage = Usage { cpu_ns: children_ns(&read("stat")?).context("stat")?, ..Usage::default() };
        for thread in std::fs::read_dir(dir.join("task"))? {
            let thread = thread?.path();
            let read = |name: &str| std::fs::read_to_string(thread.join(name)).context(name.to_owned());
            let first = |text: &str| text.split_whitespace().next().and_then(|word| word.parse::<u64>().ok());
            usage.cpu_ns += first(&read("schedstat")?).context("schedstat")?;
            usage.wakeups += amount(&read("status")?, "voluntary_ctxt_switches:")?;
        }
        usage.write_bytes = amount(&read("io")?, "write_bytes:")?;
        usage.pss_kib = amount(&read("smaps_rollup")?, "Pss:")?;
        usage.rss_kib = amount(&read("status")?, "VmRSS:")?;
        usage.peak_kib = amount(&read("status")?, "VmHWM:")?;
        Ok(usage)
    }
}

/// The process, its children, and theirs.
fn family(pid: u32) -> Result<Vec<u32>> {
    let mut all = vec![pid];
    let mut next = 0;
    while let Some(pid) = all.get(next).copied() {
        let path = format!("/proc/{pid}/task/{pid}/children");
        let text = std::fs::read_to_string(&path).context(path)?;
        all.extend(text.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        next += 1;
    }
    Ok(all)
}

/// The number in `Pss:    1234 kB`.
pub(super) fn amount(text: &str, name: &str) -> Result<u64> {
    let found = text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok());
    found.with_context(|| format!("no {name}"))
}

/// Fields 16 and 17: what children used that have ended; the second field, in brackets, may hold anything.
fn children_ns(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(13);
    let ticks = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(ticks * NS_PER_TICK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_used_something() {
        let usage = Usage::of(std::process::id()).expect("our own");
        assert!(usage.cpu_ns > 0 && usage.pss_kib > 0 && usage.peak_kib >= usage.rss_kib, "{usage:?}");
    }

    #[test]
    fn lines_are_read() {
        assert_eq!(children_ns("1 (a) b) S 0 1 1 0 -1 4 1 2 3 4 100 50 7 2 20 0"), Some(90_000_000));
        assert_eq!(amount("Rss:  9 kB\nPss:   12 kB\n", "Pss:").ok(), Some(12));
        assert!(amount("", "Pss:").is_err());
    }
}
