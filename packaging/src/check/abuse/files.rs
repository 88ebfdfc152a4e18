//! What the agent reads and opens on its own machine: it listens nowhere, and what lies in the place of a file that it
//! reads (a link to another file, a pipe that nobody writes) is neither told nor waited for.

use super::Abuse;
use super::agents::Agent;
use crate::check::fleet::Collector;
use crate::check::promise::Seen;
use anyhow::{Context, Result, ensure};
use nix::unistd::Uid;
use std::process::Command;
use std::time::{Duration, Instant};

/// How long the service is watched.
const WATCHED: Duration = Duration::from_secs(30);
/// A run ends within this time, whatever it meets.
const ENDS: Duration = Duration::from_secs(30);
/// What must not be told.
const SECRET: &str = "c0ffee-secret-of-another-user";

/// 30: the agent listens nowhere.
pub(super) fn listens(abuse: &Abuse) -> Result<Seen> {
    if Command::new("ss").arg("-V").output().is_err() {
        return Ok(Seen::Skip("ss is not installed".into(), "what the agent listens on".into()));
    }
    let place = tempfile::tempdir()?;
    let settings = "agents.checkin_s = 1\nagents.health_s = 1\nlimits.checkin_every_ms = 0\n";
    let (collector, _) = Collector::start_with(&abuse.binary("muster")?, place.path(), "127.0.0.1", settings)?;
    let binary = abuse.binary("muster-agent")?;
    let agent = Agent::enroll(&binary, &collector, place.path(), "agent", "checkin_s = 1\nhealth_s = 1\n")?;
    let mut running = agent.run(&[], &[])?;
    let (own, theirs) = (format!("pid={},", running.id()), format!("pid={},", collector.pid()));
    let (end, mut looks) = (Instant::now() + WATCHED, 0);
    while Instant::now() < end {
        ensure!(!running.ended()?, "the agent ended: {}", agent.log());
        let mut collectors = 0;
        for sockets in ["-lntup", "-lxp"] {
            let out = Command::new("ss").arg(sockets).output()?;
            let text = String::from_utf8_lossy(&out.stdout).into_owned();
            let listening = text.lines().find(|line| line.contains(&own));
            ensure!(listening.is_none(), "the agent listens: {}", listening.unwrap_or_default());
            collectors += text.lines().filter(|line| line.contains(&theirs)).count();
        }
        // Or nothing was looked at.
        ensure!(collectors >= 3, "ss shows {collectors} sockets of the collector");
        looks += 1;
        crate::check::pause(Duration::from_secs(1));
    }
    ensure!(agent.status()["last_contact"].is_i64(), "the agent did not report: {}", agent.log());
    Ok(Seen::Pass(format!(
        "{looks} looks in {} s at an agent that ran all probes and reported: it listens on no port and no socket",
        WATCHED.as_secs()
    )))
}

/// 34: links and pipes in the place of files are not followed to what must not be told, and hold nobody.
///
/// What users own and a probe reads is what lies below their mount points and units; made here as files in a mount
/// namespace, so that nothing of this machine changes.
pub(super) fn planted(abuse: &Abuse) -> Result<Seen> {
    let what = "links and pipes in place of files that a probe reads".to_owned();
    if !Uid::effective().is_root() {
        return Ok(Seen::Skip("another view of this machine's files needs root".into(), what));
    }
    let place = tempfile::tempdir()?;
    let at = |name: &str| place.path().join(name).display().to_string();
    std::fs::write(at("secret"), format!("{SECRET}\n"))?;
    let ok = Command::new("mkfifo").arg(at("pipe")).status()?.success();
    ensure!(ok, "no pipe can be made");
    let binary = abuse.binary("muster-agent")?;
    let script = format!(
        "mount -t tmpfs none /etc/apt 2>/dev/null; mount --bind {pipe} /var/lib/dpkg/status 2>/dev/null; \
         mkdir -p /run/systemd/system/x.service.d && mount -t tmpfs none /run/systemd && \
         mkdir -p /run/systemd/system && ln -s {secret} /run/systemd/system/planted.service && \
         mkfifo /run/systemd/system/piped.service && ln -s {pipe} /run/systemd/system/pipelink.service && \
         exec {binary} once --output json",
        pipe = at("pipe"),
        secret = at("secret"),
        binary = binary.display()
    );
    let began = Instant::now();
    let limit = ENDS.as_secs().to_string();
    let out = Command::new("timeout")
        .args(["-k", "1", &limit, "unshare", "-m", "sh", "-c", &script])
        .output()
        .context("timeout, unshare")?;
    let took = began.elapsed();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    ensure!(
        out.status.success(),
        "once ended with {} after {:.1} s: {}",
        out.status,
        took.as_secs_f64(),
        String::from_utf8_lossy(&out.stderr)
    );
    ensure!(!text.contains(SECRET), "the target of a link was told");
    ensure!(text.contains("it is no regular file"), "nothing tells of the pipe: {}", text.len());
    Ok(Seen::Pass(format!(
        "units that are a link to another's file, a pipe, a link to a pipe, and a pipe as package database: the secret is not told, \
         once ends after {:.1} s (at most {limit})",
        took.as_secs_f64()
    )))
}
