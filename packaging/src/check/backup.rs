//! What `muster backup create` costs a fleet that reports: machines over mutual TLS, at a rate that the collector bears,
//! first alone and then beside one backup after the other. What was written must be good; a copy that was cut or
//! altered must be refused.

use super::content;
use super::fleet::{self, Collector, Machine};
use anyhow::{Context, Result, ensure};
use clap::Args;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Machines that report.
const MACHINES: usize = 100;
/// Throughput may drop so far, in percent.
const DROP_PERCENT: f64 = 20.0;
/// Bytes of a page of the database.
const PAGE_BYTES: usize = 4096;
/// Places in which a copy is altered.
const ALTERED: u64 = 40;

/// How much and how long.
#[derive(Args)]
pub struct Backup {
    /// Reports a second.
    #[arg(long, default_value_t = 1000)]
    rate: u32,
    /// How long each part is measured, in seconds.
    #[arg(long, default_value_t = 15)]
    seconds: u64,
    /// A collector to check instead of one that is built now with the release profile.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

/// Measures and prints.
///
/// # Errors
/// A figure that was missed, or a step that could not be run.
pub fn run(backup: &Backup) -> Result<()> {
    if cfg!(debug_assertions) && backup.binary.is_none() {
        return super::as_released();
    }
    let binary = match &backup.binary {
        Some(binary) => binary.clone(),
        None => super::build(&["collector"])?.join("muster"),
    };
    let place = tempfile::tempdir().context("a temporary directory")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    ensure!(runtime.block_on(measure(backup, &binary, place.path()))?, "a figure was missed");
    Ok(())
}

async fn measure(backup: &Backup, binary: &Path, dir: &Path) -> Result<bool> {
    let (collector, _) = Collector::start(binary, dir)?;
    let told = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    let each = Duration::from_secs(1) * u32::try_from(MACHINES)? / backup.rate.max(1);
    for machine in fleet::enroll(&collector, MACHINES, dir).await? {
        tasks.spawn(report(machine, collector.agents_url(), each, told.clone()));
    }
    let span = Duration::from_secs(backup.seconds);
    // The first reports are larger than what is measured.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let alone = rate(&told, tokio::time::sleep(span)).await;
    let (command, folder) = ((binary.to_owned(), dir.join("muster.toml")), dir.to_owned());
    let copies = tokio::task::spawn_blocking(move || copies(&command.0, &command.1, &folder, span));
    let (beside, copies) = {
        let (before, began) = (told.load(Ordering::Relaxed), Instant::now());
        let copies = copies.await.context("backups")??;
        ((told.load(Ordering::Relaxed) - before) as f64 / began.elapsed().as_secs_f64(), copies)
    };
    ensure!(tasks.try_join_next().is_none(), "a machine stopped");
    drop(tasks);
    let bytes = std::fs::metadata(dir.join("copy-0.db"))?.len();
    println!(
        "     {alone:.0} reports/s alone, {beside:.0} beside {copies} backups one after the other, the first of {bytes} bytes"
    );
    let drop = (1.0 - beside / alone) * 100.0;
    let mut good = super::figure("69 throughput lost beside backups", drop.max(0.0), "%", DROP_PERCENT);
    good &= refused(binary, &dir.join("copy-0.db"), bytes)?;
    collector.kill()?;
    Ok(good)
}

/// Reports a second while this lasts.
async fn rate(told: &AtomicU64, lasts: impl Future<Output = ()>) -> f64 {
    let (before, began) = (told.load(Ordering::Relaxed), Instant::now());
    lasts.await;
    (told.load(Ordering::Relaxed) - before) as f64 / began.elapsed().as_secs_f64()
}

async fn report(mut machine: Machine, url: String, each: Duration, told: Arc<AtomicU64>) -> Result<()> {
    let mut every = tokio::time::interval(each);
    loop {
        every.tick().await;
        if machine.is_settled() {
            machine.install();
        }
        told.fetch_add(u64::from(machine.say(&url).await?), Ordering::Relaxed);
    }
}

/// One backup after the other for so long; how many.
fn copies(binary: &Path, config: &Path, dir: &Path, span: Duration) -> Result<u32> {
    let (end, mut made) = (Instant::now() + span, 0);
    while Instant::now() < end {
        let mut create = Command::new(binary);
        create.args(["backup", "create", "--config"]).arg(config).arg(dir.join(format!("copy-{made}.db")));
        let out = create.output()?;
        ensure!(out.status.success(), "backup create: {}", String::from_utf8_lossy(&out.stderr));
        made += 1;
    }
    Ok(made)
}

/// Whether a good copy is good, and each bad one is refused, with its sum beside it and without.
fn refused(binary: &Path, copy: &Path, bytes: u64) -> Result<bool> {
    let asked = |file: &Path, more: &[&str]| -> Result<bool> {
        Ok(Command::new(binary).args(["backup", "verify"]).args(more).arg(file).output()?.status.success())
    };
    let verify = |file: &Path| asked(file, &[]);
    let whole = verify(copy)?;
    println!("{} 69 backup verify of a whole copy", if whole { "PASS" } else { "FAIL" });
    let text = std::fs::read(copy)?;
    let (bad, bare) = (copy.with_extension("bad"), copy.with_extension("bare"));
    let beside = |file: &Path| std::path::PathBuf::from(format!("{}.sha256", file.display()));
    std::fs::copy(beside(copy), beside(&bad))?;
    std::fs::copy(copy, &bare)?;
    let alone = verify(&bare)?;
    println!("{} 69 a copy without its sum is refused", if alone { "FAIL" } else { "PASS" });
    let held = content::of(copy)?;
    let (mut taken, mut same, mut alone_same, mut alone_other) = (0, 0, 0, 0);
    for place in 0..ALTERED {
        let mut altered = text.clone();
        let at = usize::try_from((bytes - 1) * (place * 2 + 1) / (2 * ALTERED))?;
        if let Some(byte) = altered.get_mut(at) {
            *byte ^= 0x10;
        }
        std::fs::write(&bad, &altered)?;
        taken += u32::from(verify(&bad)?);
        std::fs::rename(&bad, &bare)?;
        let good = asked(&bare, &["--without-sum"])?;
        if content::of(&bare).is_ok_and(|found| found == held) {
            same += 1;
            alone_same += u32::from(good);
        } else if good {
            println!("     byte {at} of page {}, {} of it", at / PAGE_BYTES + 1, at % PAGE_BYTES);
            alone_other += 1;
        }
    }
    println!("     {same} of {ALTERED} alterations are of no content; without a sum {alone_same} of these are taken");
    let content = "69 copies of another content that are taken for good without a sum";
    let content = super::figure(content, f64::from(alone_other), "", 0.0);
    let altered = super::figure("69 altered copies that are taken for good", f64::from(taken), "", 0.0);
    let mut taken = 0;
    for cut in [1, 4096, text.len() / 2] {
        std::fs::write(&bad, text.get(..text.len() - cut).unwrap_or_default())?;
        taken += u32::from(verify(&bad)?);
    }
    Ok(super::figure("69 cut copies that are taken for good", f64::from(taken), "", 0.0)
        && altered
        && content
        && whole
        && !alone)
}
