//! One cycle on a collector whose disk fails once: what it acknowledged must be there after a clean restart, an EIO
//! must have ended it, and a full disk must not.

use super::{Came, Fault, injected, options};
use crate::check::fleet::{self, Collector, Machine};
use crate::check::powercut::{Told, held, strace};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Records that are told before and after the renewal.
const RECORDS: u64 = 3;
/// How long it may take to end after an error.
const END: Duration = Duration::from_secs(3);
/// How long a call is made again that is turned away.
const PATIENCE: Duration = Duration::from_secs(3);
/// Before it is.
const AGAIN: Duration = Duration::from_millis(100);
/// The exit code of a database that cannot be used.
const DATABASE: i32 = 8;

/// What was acknowledged.
#[derive(Default)]
struct Progress {
    machine: Option<Machine>,
    roots: Vec<shared::digest::Digest>,
    /// The agent that was revoked.
    revoked: Option<String>,
}

pub(super) fn cycle(binary: &Path, fault: Fault, dir: &Path) -> Result<Came> {
    let (state, log) = (dir.join("state"), dir.join("faults"));
    std::fs::create_dir(&state)?;
    let script = strace::wrap(binary, dir, &options(fault, &files(&state), &log))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut progress = Progress::default();
    let (went, code) = match Collector::start(&script, dir) {
        Err(error) => {
            let code = exit_code(&error);
            (Err(error), Some(code))
        }
        Ok((mut collector, _)) => {
            let went = runtime.block_on(talk(&collector, dir, &mut progress));
            let mut code = None;
            if went.is_err() || (fault.error == "EIO" && !injected(&log).is_empty()) {
                code = collector.ended_within(END)?.map(|status| status.code());
            }
            collector.kill()?;
            (went, code)
        }
    };
    let failed = injected(&log);
    let Some(first) = failed.first() else {
        return Ok(match (went, code) {
            (Ok(()), None) => Came::Never,
            (went, code) => Came::Ill(format!("nothing failed, yet it ended with {code:?}: {went:?}")),
        });
    };
    runtime.block_on(after(binary, dir, progress)).with_context(|| format!("after {first}"))?;
    Ok(match (fault.error, code) {
        (_, Some(Some(DATABASE))) => Came::Well("ended with code 8 and restarted cleanly"),
        // A file that is opened in another way then, or not needed: nothing was written into nothing.
        ("EIO", None) if went.is_ok() && fault.call == "openat" => Came::Well("opened otherwise"),
        // SQLite's own sync of the folder; what it missed the store's sync, which comes after it, has done.
        ("EIO", None) if went.is_ok() && is_synced_after(&state, &log) => Came::Well("synced by the store"),
        ("ENOSPC", None) if went.is_ok() => Came::Well("kept working"),
        (_, Some(code)) => Came::Ill(format!("it ended with {code:?} after {first}")),
        (_, None) => Came::Ill(format!("it went on after {first}: {went:?}")),
    })
}

/// What the register lies in. The index of the log is memory; lock and ballast hold nothing.
fn files(state: &Path) -> Vec<PathBuf> {
    let mut files = vec![state.to_owned(), state.join("pki")];
    let names = ["muster.db", "muster.db-wal", "muster.db-journal", collector::store::REVOCATIONS];
    files.extend(names.map(|name| state.join(name)));
    for name in ["server-ca.pem", "agent-ca.pem", "deployment"] {
        files.extend([state.join("pki").join(name), state.join("pki").join(format!("{name}.new"))]);
    }
    files
}

/// Whether a sync of this folder failed and a later one did not.
fn is_synced_after(folder: &Path, log: &Path) -> bool {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let named = format!("<{}>)", folder.display());
    let mut syncs = text.lines().filter(|line| line.contains(" fsync(") && line.contains(&named));
    syncs.any(|line| line.ends_with("(INJECTED)")) && syncs.any(|line| line.ends_with("= 0"))
}

fn exit_code(error: &anyhow::Error) -> Option<i32> {
    error.to_string().rsplit("exit status: ").next().and_then(|code| code.trim().parse().ok())
}

/// Enrolls a machine, as often as it is turned away.
async fn join(collector: &Collector, dir: &Path, name: &str) -> Result<Machine> {
    let until = Instant::now() + PATIENCE;
    let mut try_number = 0;
    loop {
        let place = dir.join(format!("{name}-{try_number}"));
        std::fs::create_dir(&place)?;
        match fleet::enroll(collector, 1, &place).await {
            Ok(machines) => return machines.into_iter().next().context("a machine"),
            Err(error) if Instant::now() > until => return Err(error.context("enroll")),
            Err(_) => tokio::time::sleep(AGAIN).await,
        }
        try_number += 1;
    }
}

/// Revokes an agent, as often as that is turned away.
async fn revoke(collector: &Collector, agent: &str) -> Result<()> {
    let until = Instant::now() + PATIENCE;
    let path = format!("/v1/agents/{agent}/revoke");
    while let Err(error) = collector.ask("POST", &path, r#"{"reason": "stolen"}"#) {
        if Instant::now() > until {
            return Err(error.context("revoke"));
        }
        tokio::time::sleep(AGAIN).await;
    }
    Ok(())
}

/// Enrolls, reports, renews, reports; and revokes another that enrolled.
async fn talk(collector: &Collector, dir: &Path, progress: &mut Progress) -> Result<()> {
    let machine = join(collector, dir, "try").await?;
    progress.roots.push(machine.root_told());
    let machine = progress.machine.insert(machine);
    for _ in 0..RECORDS {
        tell(collector, machine, &mut progress.roots).await?;
    }
    let until = Instant::now() + PATIENCE;
    while let Err(error) = machine.renew().await {
        if Instant::now() > until {
            return Err(error.context("renew"));
        }
        tokio::time::sleep(AGAIN).await;
    }
    for _ in 0..RECORDS {
        tell(collector, machine, &mut progress.roots).await?;
    }
    let stolen = join(collector, dir, "stolen").await?.id();
    revoke(collector, &stolen).await?;
    progress.revoked = Some(stolen);
    Ok(())
}

/// Tells what waits, or something new, until it is taken.
async fn tell(collector: &Collector, machine: &mut Machine, roots: &mut Vec<shared::digest::Digest>) -> Result<()> {
    if machine.is_settled() {
        machine.install();
        roots.push(machine.root_told());
    }
    let until = Instant::now() + PATIENCE;
    while !machine.say(&collector.agents_url()).await? {
        anyhow::ensure!(Instant::now() < until, "record not taken");
        tokio::time::sleep(AGAIN).await;
    }
    Ok(())
}

/// A clean restart: what was acknowledged is there, and the machine goes on.
async fn after(binary: &Path, dir: &Path, mut progress: Progress) -> Result<()> {
    // On other ports: another cycle may have been given those that this one had.
    match std::fs::remove_file(dir.join("ports")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error).context("the ports"),
        _ => {}
    }
    let (collector, _) = Collector::start(binary, dir).context("no clean restart")?;
    if let Some(stolen) = &progress.revoked {
        let agents = collector.pages("/v1/agents")?;
        let is_revoked = |agent: &serde_json::Value| agent["id"] == stolen.as_str() && agent["state"] == "revoked";
        anyhow::ensure!(agents.iter().any(is_revoked), "agent {stolen} was revoked, and is good again");
        let ledger = std::fs::read_to_string(dir.join("state").join(collector::store::REVOCATIONS));
        anyhow::ensure!(ledger?.contains(stolen.as_str()), "the ledger knows nothing of agent {stolen}");
    }
    match &mut progress.machine {
        None => drop(fleet::enroll(&collector, 1, dir).await.context("enroll after a clean restart")?),
        Some(machine) => {
            let acknowledged = machine.acknowledged();
            tell(&collector, machine, &mut progress.roots).await.context("report after a clean restart")?;
            collector.kill()?;
            let told = Told { id: machine.id(), roots: progress.roots };
            let lost = held(&dir.join("state"), told, machine.acknowledged())?;
            anyhow::ensure!(lost == 0, "{lost} of {acknowledged} acknowledged records are lost or told twice");
        }
    }
    Ok(())
}
