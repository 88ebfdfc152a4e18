//! Machines behind links that lose packets, reset connections and carry 64 kbit/s: each in a network namespace of its
//! own, all of it undone by the kernel when the check ends. Does not know what is reported.

use super::Abuse;
use crate::check::crash;
use crate::check::fleet::{self, Collector, Machine, Shape};
use crate::check::promise::Seen;
use agent::clock;
use agent::schedule::Schedule;
use anyhow::{Context, Result, bail, ensure};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Uid, gettid};
use shared::enroll::JoinFile;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

/// Machines, each behind a link of its own.
const MACHINES: usize = 6;
/// Where the collector listens in the check's own network.
const COLLECTOR: &str = "10.213.0.1";
/// Each direction loses so many of a hundred packets.
const LOSS_PERCENT: u32 = 30;
/// Of a thousand packets to the collector so many are answered with a reset.
const RESETS_PER_MILLE: u32 = 5;
/// What a link carries.
const RATE: &str = "64kbit";
/// Between two things to tell.
const EVERY: Duration = Duration::from_secs(5);
/// Between two looks at whether links are good again.
const LOOK: Duration = Duration::from_secs(1);
/// Until all have said what waits, once links are good again.
const SETTLE: Duration = Duration::from_secs(300);

/// 73: over bad links every report arrives, and none twice.
pub(super) fn bad(abuse: &Abuse) -> Result<Seen> {
    let what = "loss, resets and 64 kbit/s".to_owned();
    if !Uid::effective().is_root() {
        return Ok(Seen::Skip("network namespaces need root".into(), what));
    }
    for tool in ["nft", "tc", "ip"] {
        if Command::new(tool).arg("-V").output().is_err() {
            return Ok(Seen::Skip(format!("{tool} is not installed"), what));
        }
    }
    if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
        return Ok(Seen::Skip(format!("no network namespace can be made: {error}"), what));
    }
    sh("ip link set lo up")?;
    sh(&format!("ip address add {COLLECTOR}/32 dev lo"))?;
    let place = tempfile::tempdir()?;
    let settings = "agents.checkin_s = 10\nlimits.checkin_every_ms = 0\n";
    let (collector, _) = Collector::start_with(&abuse.binary("muster")?, place.path(), COLLECTOR, settings)?;
    let join = Arc::new(fleet::join(&collector, MACHINES)?);
    let healed = Arc::new(AtomicBool::new(false));
    let mut threads = Vec::new();
    for number in 0..MACHINES {
        let (tell, told) = sync_channel(1);
        let (link, linked) = sync_channel(1);
        let (join, url, healed) = (join.clone(), collector.agents_url(), healed.clone());
        let home = place.path().join(format!("agent-{number}"));
        threads.push(std::thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET)?;
            tell.send(gettid())?;
            linked.recv()?;
            behind(number, &join, &home, &url, &healed)
        }));
        let thread = told.recv().context("a machine has no network")?;
        sh(&format!("ip link add v{number} type veth peer name out0 netns {thread}"))?;
        sh(&format!("ip address add 10.213.1.{}/31 dev v{number}", number * 2))?;
        sh(&format!("ip link set v{number} up"))?;
        sh(&format!("tc qdisc add dev v{number} root tbf rate {RATE} burst 4kb latency 1s"))?;
        link.send(())?;
    }
    let end = Instant::now() + Duration::from_secs(60 * abuse.minutes);
    while Instant::now() < end && threads.iter().all(|thread| !thread.is_finished()) {
        crate::check::pause(Duration::from_secs(1));
    }
    healed.store(true, Ordering::Relaxed);
    let (mut machines, mut tries, mut failed) = (Vec::new(), 0, 0);
    for thread in threads {
        let Ok(told) = thread.join() else { bail!("a machine panicked") };
        let told = told?;
        tries += told.tries;
        failed += told.failed;
        machines.push(told.machine);
    }
    verdict(abuse, &collector, &machines, tries, failed)
}

fn verdict(abuse: &Abuse, collector: &Collector, machines: &[Machine], tries: u64, failed: u64) -> Result<Seen> {
    let count = crash::compare(collector, machines)?;
    let seen = format!(
        "{MACHINES} machines, {} min of {LOSS_PERCENT} % loss each way, resets of {RESETS_PER_MILLE} in 1,000 packets, {RATE}: {} reports, {tries} tries, \
         {failed} failed, {} reports sent more than once; lost {}, twice {}",
        abuse.minutes, count.acknowledged, count.resent, count.lost, count.duplicated
    );
    ensure!(count.lost == 0 && count.duplicated == 0 && count.acknowledged > MACHINES as u64 && failed > 0, "{seen}");
    Ok(Seen::Pass(seen))
}

/// A machine that told everything, and how hard that was.
struct Told {
    machine: Machine,
    tries: u64,
    failed: u64,
}

/// Enrolls over the good link, makes it bad, reports until it is good again and all is told.
fn behind(number: usize, join: &JoinFile, home: &Path, url: &str, healed: &AtomicBool) -> Result<Told> {
    sh("ip link set lo up")?;
    sh(&format!("ip address add 10.213.1.{}/31 dev out0", number * 2 + 1))?;
    sh("ip link set out0 up")?;
    sh(&format!("ip route add default via 10.213.1.{}", number * 2))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let machine = runtime.block_on(Machine::enroll(number, Shape::default(), join, home))?;
    sh("nft add table inet bad")?;
    sh("nft add chain inet bad in { type filter hook input priority 0 ; }")?;
    sh("nft add chain inet bad out { type filter hook output priority 0 ; }")?;
    sh(&format!(
        "nft add rule inet bad out meta l4proto tcp numgen random mod 1000 < {RESETS_PER_MILLE} reject with tcp reset"
    ))?;
    for chain in ["in", "out"] {
        sh(&format!("nft add rule inet bad {chain} numgen random mod 100 < {LOSS_PERCENT} drop"))?;
    }
    sh(&format!("tc qdisc add dev out0 root tbf rate {RATE} burst 4kb latency 1s"))?;
    runtime.block_on(report(machine, url, healed))
}

async fn report(machine: Machine, url: &str, healed: &AtomicBool) -> Result<Told> {
    let mut told = Told { machine, tries: 0, failed: 0 };
    let mut schedule = Schedule::new(clock::uptime());
    schedule.sampled(clock::uptime(), Duration::from_secs(86_400));
    let mut end = None;
    loop {
        if healed.load(Ordering::Relaxed) && end.is_none() {
            sh("nft delete table inet bad")?;
            sh("tc qdisc delete dev out0 root")?;
            end = Some(Instant::now() + SETTLE);
            schedule.at_once(clock::uptime());
        }
        if told.machine.is_settled() {
            if end.is_some() {
                return Ok(told);
            }
            told.machine.install();
        }
        ensure!(end.is_none_or(|end| Instant::now() < end), "a report did not arrive over a good link");
        if !schedule.due(clock::uptime()).contact {
            tokio::time::sleep(schedule.wait(clock::uptime()).min(LOOK)).await;
            continue;
        }
        told.tries += 1;
        match told.machine.say(url).await? {
            true => schedule.contacted(clock::uptime(), EVERY, clock::random()),
            false => {
                told.failed += 1;
                schedule.failed(clock::uptime(), None, EVERY, clock::random());
            }
        }
    }
}

/// Runs a command without quotes in the network of this thread.
fn sh(command: &str) -> Result<()> {
    let mut words = command.split(' ');
    let out =
        Command::new(words.next().unwrap_or_default()).args(words).output().with_context(|| command.to_owned())?;
    ensure!(out.status.success(), "{command}: {}", String::from_utf8_lossy(&out.stderr));
    Ok(())
}
