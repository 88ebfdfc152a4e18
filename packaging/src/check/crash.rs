//! Whether what was acknowledged survives `kill -9`: a real collector, machines that report as fast as they are
//! answered, and a kill at a random moment of every round.
//!
//! At the end every acknowledged record must be in the register exactly once: the versions held are the last
//! ones told, and the journal tells each upgrade once and has no holes. Does not know what a loss of power does:
//! the kernel lives on and writes what the process had handed to it.

mod prefill;

use super::fleet::{self, Collector, Machine};
use agent::clock;
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A round lasts at least this long after the collector answers, in milliseconds.
const ROUND_MS_MIN: u64 = 50;
/// And less than so many more.
const ROUND_MS_SPREAD: u64 = 600;
/// Before a call is made again while the collector is there.
const AGAIN: Duration = Duration::from_millis(20);
/// Until every machine got its last answer, after the last start.
const SETTLE: Duration = Duration::from_secs(60);
/// Of so many rounds, one is a kill while it starts, within this time in milliseconds.
const STARTING_ROUNDS: u64 = 4;
const STARTING_MS: u64 = 150;
/// A start after a kill may take this long, in seconds.
const START_S_MAX: f64 = 5.0;

/// How long and how wide.
#[derive(Args)]
pub struct Crash {
    /// How many times the collector is killed.
    #[arg(long, default_value_t = 50)]
    rounds: u32,
    /// How many machines report at once.
    #[arg(long, default_value_t = 16)]
    agents: usize,
    /// Assets with software that are in the register before the first kill.
    #[arg(long, default_value_t = 0)]
    assets: usize,
    /// A collector to check instead of one that is built now.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

/// What became of the records of all machines.
#[derive(Default)]
pub(super) struct Count {
    pub(super) acknowledged: u64,
    pub(super) lost: u64,
    pub(super) duplicated: u64,
    pub(super) resent: u64,
}

/// Kills and compares.
///
/// # Errors
/// A figure that was missed, or a step that could not be run.
pub fn run(crash: &Crash) -> Result<()> {
    let binary = match &crash.binary {
        Some(binary) => binary.clone(),
        None => super::build(&["collector"])?.join("muster"),
    };
    let place = tempfile::tempdir().context("a temporary directory")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let log = place.path().join("log");
    let good = runtime.block_on(rounds(crash, &binary, place.path())).with_context(|| {
        let log = std::fs::read_to_string(&log).unwrap_or_default();
        let tail: Vec<&str> = log.lines().rev().take(5).collect();
        format!("the collector's last words, latest first: {tail:#?}")
    })?;
    ensure!(good, "a figure was missed");
    Ok(())
}

/// Where the collector is, if it is, and whether what waits is the last to be sent.
#[derive(Debug, Clone, Default)]
struct Place {
    url: Option<String>,
    last: bool,
}

/// Reports until the last record is acknowledged.
async fn report(mut machine: Machine, mut place: watch::Receiver<Place>) -> Result<Machine> {
    loop {
        let Place { url: Some(url), last } = place.borrow_and_update().clone() else {
            place.changed().await.context("the check ended")?;
            continue;
        };
        if machine.is_settled() {
            if last {
                return Ok(machine);
            }
            machine.install();
        }
        if !machine.say(&url).await? {
            // It was killed, or starts: the next place is told, or the same call works soon.
            let _ = tokio::time::timeout(AGAIN, place.changed()).await;
        }
    }
}

async fn rounds(crash: &Crash, binary: &Path, dir: &Path) -> Result<bool> {
    let (mut collector, first) = Collector::start(binary, dir)?;
    if crash.assets > 0 {
        collector.kill()?;
        prefill::fill(&dir.join("state"), crash.assets).await.context("the register could not be filled")?;
        (collector, _) = Collector::start(binary, dir)?;
    }
    let mut starts = vec![first];
    let (tell, told) = watch::channel(Place::default());
    let mut machines = JoinSet::new();
    for machine in fleet::enroll(&collector, crash.agents, dir).await? {
        machines.spawn(report(machine, told.clone()));
    }
    let mut in_start = 0;
    for _ in 0..crash.rounds {
        tell.send_replace(Place { url: Some(collector.agents_url()), last: false });
        let after = Duration::from_millis(ROUND_MS_MIN + clock::random() % ROUND_MS_SPREAD);
        tokio::time::sleep(after).await;
        tell.send_replace(Place::default());
        collector.kill()?;
        if clock::random().is_multiple_of(STARTING_ROUNDS) {
            Collector::start_and_kill(binary, dir, Duration::from_millis(clock::random() % STARTING_MS))?;
            in_start += 1;
        }
        let start;
        (collector, start) = Collector::start(binary, dir)?;
        starts.push(start);
    }
    tell.send_replace(Place { url: Some(collector.agents_url()), last: true });
    let told = tokio::time::timeout(SETTLE, async {
        let mut told = Vec::new();
        while let Some(machine) = machines.join_next().await {
            told.push(machine.context("a machine")??);
        }
        anyhow::Ok(told)
    });
    let told = told.await.context("not every machine got its last answer in time")??;
    let count = compare(&collector, &told)?;
    collector.kill()?;
    println!("     {in_start} more kills while it started; {} assets were there before", crash.assets);
    Ok(verdict(crash, &count, &mut starts))
}

/// What is held and told against what each machine had acknowledged.
pub(super) fn compare(collector: &Collector, machines: &[Machine]) -> Result<Count> {
    let agents = collector.pages("/v1/agents")?;
    let asset_of = |id: &str| {
        let agent = agents.iter().find(|agent| agent["id"].as_str() == Some(id));
        agent.and_then(|agent| agent["asset"].as_str()).with_context(|| format!("agent {id} has no asset"))
    };
    let journal = upgrades(&collector.pages("/v1/events")?)?;
    let mut count = Count::default();
    for machine in machines {
        let asset = asset_of(&machine.id())?;
        let told = journal.get(&format!("asset:{asset}"));
        for seq in 2..=machine.acknowledged() {
            match told.and_then(|told| told.get(&fleet::version_of(seq))) {
                None => count.lost += 1,
                Some(times) => count.duplicated += times - 1,
            }
        }
        let held = collector.pages(&format!("/v1/assets/{asset}/software"))?;
        let held: BTreeMap<&str, &str> =
            held.iter().filter_map(|row| Some((row["name"].as_str()?, row["version"].as_str()?))).collect();
        let expected = machine.packages();
        count.lost += u64::try_from(
            expected.iter().filter(|(name, version)| held.get(name.as_str()) != Some(&version.as_str())).count(),
        )?;
        ensure!(held.len() <= expected.len(), "asset {asset} holds {} packages, not {}", held.len(), expected.len());
        count.acknowledged += machine.acknowledged();
        count.resent += machine.resent();
    }
    Ok(count)
}

/// How often the journal tells each version of an upgrade, by asset. A hole in the journal's numbers is an error.
fn upgrades(events: &[Value]) -> Result<BTreeMap<String, BTreeMap<String, u64>>> {
    let mut told: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    for (event, number) in events.iter().zip(1_u64..) {
        if event["seq"].as_u64() != Some(number) {
            bail!("the journal has {} where {number} should be", event["seq"]);
        }
        let subjects = event["subjects"].as_array().into_iter().flatten().filter_map(Value::as_str);
        for asset in subjects.filter(|subject| subject.starts_with("asset:")) {
            let upgraded = event["event"]["upgraded"].as_array().into_iter().flatten();
            for version in upgraded.filter_map(|upgrade| upgrade["to"].as_str()) {
                *told.entry(asset.to_owned()).or_default().entry(version.to_owned()).or_default() += 1;
            }
        }
    }
    Ok(told)
}

fn verdict(crash: &Crash, count: &Count, starts: &mut [Duration]) -> bool {
    starts.sort_unstable();
    let slowest = starts.last().copied().unwrap_or_default();
    let median = starts.get(starts.len() / 2).copied().unwrap_or_default();
    println!(
        "     {} kills, {} machines, {} records acknowledged, {} of them sent more than once",
        crash.rounds, crash.agents, count.acknowledged, count.resent
    );
    println!("     median start: {:.3} s", median.as_secs_f64());
    let whole = |name, value: u64| {
        println!("{} {name}: {value} (at most 0)", if value == 0 { "PASS" } else { "FAIL" });
        value == 0
    };
    let mut good = whole("acknowledged records that are lost", count.lost);
    good &= whole("records that are in the journal twice", count.duplicated);
    good &= super::figure("slowest start after a kill", slowest.as_secs_f64(), "s", START_S_MAX);
    good && count.acknowledged > 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn upgrade(seq: u64, to: &str) -> Value {
        json!({"seq": seq, "subjects": ["asset:a", "agent:b"], "event": {"kind": "software_changed", "upgraded": [{"to": to}]}})
    }

    #[test]
    fn an_upgrade_told_twice_is_counted_twice() {
        let told = upgrades(&[upgrade(1, "1.2"), upgrade(2, "1.3"), upgrade(3, "1.3")]).expect("a journal");
        assert_eq!(told["asset:a"], BTreeMap::from([("1.2".to_owned(), 1), ("1.3".to_owned(), 2)]));
    }

    #[test]
    fn a_hole_in_the_journal_is_an_error() {
        assert!(upgrades(&[upgrade(1, "1.2"), upgrade(3, "1.3")]).is_err());
        assert!(upgrades(&[upgrade(2, "1.2")]).is_err());
    }
}
