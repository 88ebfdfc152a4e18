//! Whether a fleet that enrolls and reports for the first time all at once is in the register, whole: machines with
//! inventories of different sizes, over mutual TLS, under the limits that a collector has by default.
//!
//! At the end every machine must have an asset of its own with exactly the packages and disks that it told. Does not
//! know how a machine is found out; only what it says.

use super::fleet::{self, Collector, Machine, Shape};
use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::Value;
use shared::enroll::JoinFile;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Before a machine that was put off asks again.
const AGAIN: Duration = Duration::from_millis(200);
/// A machine that is put off more often is lost.
const TRIES_MAX: u32 = 300;

/// How many, and how many at once.
#[derive(Args)]
pub struct Enroll {
    /// How many machines.
    #[arg(long, default_value_t = 1000)]
    agents: usize,
    /// How many of them at once; 0 is all.
    #[arg(long, default_value_t = 0)]
    at_once: usize,
    /// A collector to check instead of one that is built now.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

/// What the register holds of the machines.
#[derive(Default)]
struct Count {
    lost: usize,
    wrong: usize,
    rows: usize,
}

/// Enrolls and compares.
///
/// # Errors
/// A machine that is missing or has other rows than it told, or a step that could not be run.
pub fn run(enroll: &Enroll) -> Result<()> {
    if cfg!(debug_assertions) && enroll.binary.is_none() {
        return super::as_released();
    }
    let binary = match &enroll.binary {
        Some(binary) => binary.clone(),
        None => super::build(&["collector"])?.join("muster"),
    };
    // A thousand machines that are told to wait would fill the screen.
    agent::log::set_level(agent::log::Level::Error);
    let place = tempfile::tempdir().context("a temporary directory")?;
    // Two, so that machines are really beside each other.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (collector, _) = Collector::start_with(&binary, place.path(), "127.0.0.1", "")?;
    let began = Instant::now();
    let machines = runtime.block_on(all(enroll, &collector, place.path()))?;
    let seconds = began.elapsed().as_secs_f64();
    let count = compare(&collector, &machines)?;
    let parallel = if enroll.at_once == 0 { enroll.agents } else { enroll.at_once };
    let good = machines.len() == enroll.agents && count.lost == 0 && count.wrong == 0;
    println!(
        "{} {} agents enrolled and reported, {parallel} at once, in {seconds:.1} s: lost {}, wrong counts {}, {} rows compared",
        if good { "PASS" } else { "FAIL" },
        enroll.agents,
        enroll.agents - machines.len() + count.lost,
        count.wrong,
        count.rows
    );
    collector.kill()?;
    ensure!(good, "a figure was missed");
    Ok(())
}

/// Every machine that got its identity and whose first report was taken.
async fn all(enroll: &Enroll, collector: &Collector, dir: &Path) -> Result<Vec<Machine>> {
    let join = Arc::new(fleet::join(collector, enroll.agents)?);
    let most = if enroll.at_once == 0 { enroll.agents } else { enroll.at_once };
    let places = Arc::new(Semaphore::new(most));
    let mut tasks = JoinSet::new();
    for number in 0..enroll.agents {
        let (join, places, dir) = (join.clone(), places.clone(), dir.join(format!("agent-{number}")));
        let url = collector.agents_url();
        tasks.spawn(async move {
            let _place = places.acquire_owned().await?;
            one(number, &join, &dir, &url).await
        });
    }
    let mut machines = Vec::new();
    while let Some(machine) = tasks.join_next().await {
        match machine.context("a machine")? {
            Ok(machine) => machines.push(machine),
            Err(error) => println!("     a machine is lost: {error:#}"),
        }
    }
    Ok(machines)
}

async fn one(number: usize, join: &JoinFile, dir: &Path, url: &str) -> Result<Machine> {
    let mut machine = Machine::enroll(number, shape(number), join, dir).await?;
    for _ in 0..TRIES_MAX {
        if machine.say(url).await? {
            return Ok(machine);
        }
        tokio::time::sleep(AGAIN).await;
    }
    anyhow::bail!("machine {number} was put off {TRIES_MAX} times")
}

/// No two neighbours have as many packages, the same versions and as many disks.
fn shape(number: usize) -> Shape {
    let number = number as u64;
    Shape { packages: 20 + number * 37 % 181, first: number, disks: number % 5 }
}

fn compare(collector: &Collector, machines: &[Machine]) -> Result<Count> {
    let agents = collector.pages("/v1/agents")?;
    let assets: BTreeMap<&str, &str> =
        agents.iter().filter_map(|agent| Some((agent["id"].as_str()?, agent["asset"].as_str()?))).collect();
    let mut own = BTreeSet::new();
    let mut count = Count::default();
    for machine in machines {
        let Some(asset) = assets.get(machine.id().as_str()).filter(|asset| own.insert(**asset)) else {
            count.lost += 1;
            continue;
        };
        let software = collector.pages(&format!("/v1/assets/{asset}/software"))?;
        let text = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
        let packages: BTreeSet<_> = software.iter().map(|row| (text(row, "name"), text(row, "version"))).collect();
        let items = collector.pages(&format!("/v1/assets/{asset}/items"))?;
        let disks = items.iter().filter(|item| item["kind"] == "disk").map(|item| text(item, "key"));
        let disks: Vec<String> = disks.collect();
        let same = packages.len() == software.len()
            && packages == machine.packages().into_iter().collect()
            && disks.len() == machine.disks().len()
            && disks.iter().collect::<BTreeSet<_>>() == machine.disks().iter().collect();
        count.wrong += usize::from(!same);
        count.rows += packages.len() + disks.len();
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_differ() {
        let shapes: BTreeSet<_> = (0..181).map(shape).map(|shape| (shape.packages, shape.disks)).collect();
        assert_eq!(shapes.len(), 181);
        assert!(shapes.iter().all(|(packages, _)| (20..=200).contains(packages)));
    }
}
