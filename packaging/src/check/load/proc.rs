//! What a process has used so far, as `/proc/PID` tells it (proc(5)).

use anyhow::{Context, Result};
use std::time::Duration;

/// Ticks of `utime` and `stime` in a second: 100 on every architecture that we build for.
const TICKS_PER_S: u64 = 100;

/// Processor time of all its threads, to 10 ms.
pub(in crate::check) fn cpu(pid: u32) -> Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let text = std::fs::read_to_string(&path).context(path)?;
    parse_stat(&text).context("a stat line")
}

/// Resident memory now and at most, in KiB.
pub(in crate::check) fn resident_kib(pid: u32) -> Result<(u64, u64)> {
    let path = format!("/proc/{pid}/status");
    let text = std::fs::read_to_string(&path).context(path)?;
    let field = |name: &str| text.lines().find_map(|l| l.strip_prefix(name)?.trim().strip_suffix(" kB")?.parse().ok());
    Ok((field("VmRSS:").context("VmRSS")?, field("VmHWM:").context("VmHWM")?))
}

/// `utime` and `stime` are fields 14 and 15; the second, in brackets, may hold anything.
fn parse_stat(text: &str) -> Option<Duration> {
    let mut fields = text.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let ticks = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 1000 / TICKS_PER_S))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_is_skipped() {
        let line = "42 (a) b) S 1 42 42 0 -1 4194560 100 0 0 0 150 25 7 8 20 0 3 0 99 1000 50";
        assert_eq!(parse_stat(line), Some(Duration::from_millis(1750)));
    }
}
