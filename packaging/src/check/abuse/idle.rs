//! What an agent costs that has nothing new to tell, on a machine with 3,000 packages. Does not know what it does.

use super::Abuse;
use super::agents::{Agent, until};
use crate::check::fleet::Collector;
use crate::check::load::proc;
use crate::check::promise::Seen;
use agent::source::tape::Tape;
use anyhow::{Context, Result, ensure};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// Packages of the machine.
const PACKAGES: usize = 3_000;
/// Resident memory, in MiB.
const RSS_MIB: f64 = 32.0;
/// Of one processor, in percent.
const CPU_PERCENT: f64 = 1.0;
/// Written to disk in an hour, in MiB.
const WRITTEN_MIB: f64 = 5.0;
/// Until the first report is told.
const FIRST: Duration = Duration::from_secs(30);

/// 75: it costs next to nothing.
pub(super) fn cost(abuse: &Abuse) -> Result<Seen> {
    let place = tempfile::tempdir()?;
    // The default intervals: a check-in every five minutes, a sample every 15 s.
    let (collector, _) = Collector::start_with(&abuse.binary("muster")?, place.path(), "127.0.0.1", "")?;
    let tape = place.path().join("machine.tape");
    std::fs::write(&tape, machine().to_text())?;
    let agent = Agent::enroll(&abuse.binary("muster-agent")?, &collector, place.path(), "agent", "")?;
    let running = agent.run(&["--tape", &tape.to_string_lossy()], &[])?;
    let told = until(FIRST, || Ok(agent.status()["last_contact"].is_i64()))?;
    ensure!(told, "it did not report: {}", agent.log());
    let pid = running.id();
    let (cpu, written) = (proc::cpu(pid)?, written(pid)?);
    let end = Instant::now() + Duration::from_secs(60 * abuse.minutes);
    let mut rss_mib = 0_f64;
    while Instant::now() < end {
        crate::check::pause(Duration::from_secs(1));
        rss_mib = rss_mib.max(proc::resident_kib(pid)?.0 as f64 / 1024.0);
    }
    let seconds = 60.0 * abuse.minutes as f64;
    let cpu_percent = (proc::cpu(pid)? - cpu).as_secs_f64() / seconds * 100.0;
    let mib = (self::written(pid)? - written) as f64 / 1_048_576.0 * 3600.0 / seconds;
    let seen = format!(
        "{} min idle with {PACKAGES} packages: RSS at most {rss_mib:.1} MiB (at most {RSS_MIB}), CPU {cpu_percent:.3} % (at most {CPU_PERCENT}), \
         {mib:.2} MiB written in an hour at that rate (at most {WRITTEN_MIB})",
        abuse.minutes
    );
    ensure!(rss_mib <= RSS_MIB && cpu_percent <= CPU_PERCENT && mib <= WRITTEN_MIB, "{seen}");
    Ok(Seen::Pass(seen))
}

/// A machine with packages and nothing else.
fn machine() -> Tape {
    let mut status = String::new();
    for number in 0..PACKAGES {
        // Writing to a String does not fail.
        let _ = write!(
            status,
            "Package: package-{number}\nStatus: install ok installed\nArchitecture: amd64\nMaintainer: Somebody <a@example.org>\n\
             Version: 1.{number}-1\nDescription: the package of number {number}\n and a long text about it\n\n"
        );
    }
    Tape::new().file("/var/lib/dpkg/status", &status).file("/etc/os-release", "ID=debian\nVERSION_ID=12\n")
}

/// Bytes that it had written to a disk (proc(5), `io`).
fn written(pid: u32) -> Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/io")).context("/proc/PID/io")?;
    let bytes = text.lines().find_map(|line| line.strip_prefix("write_bytes:")?.trim().parse().ok());
    bytes.context("write_bytes")
}
