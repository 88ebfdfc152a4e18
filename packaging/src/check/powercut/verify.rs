//! A state directory after a power cut: whether the collector takes it up, whether it is right, and whether it holds
//! what was acknowledged. Does not know how it came about.

use super::disk::Files;
use super::ended::{self, Ended};
use super::record::Told;
use anyhow::{Context, Result, ensure};
use collector::pki::Authority;
use collector::store::{check, open};
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use shared::digest::Digest;
use shared::unit::At;
use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Acknowledged enrollments, records and endings that are not there.
    pub(super) lost: u64,
    /// Records that the journal tells twice.
    pub(super) twice: u64,
    /// How long it took to open.
    pub(super) start: Duration,
}

/// Puts the files into an empty directory, with the paths that they had below `from`.
///
/// # Errors
/// The disk of this check takes them not.
pub(super) fn lay(files: &Files, from: &Path, to: &Path) -> Result<()> {
    match fs::remove_dir_all(to) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error).context("the last directory"),
        _ => {}
    }
    fs::create_dir_all(to)?;
    for (path, content) in files {
        let path = to.join(path.strip_prefix(from).context("a path")?);
        match content {
            None => fs::DirBuilder::new().recursive(true).mode(0o700).create(&path)?,
            Some(content) => fs::write(&path, content)?,
        }
    }
    Ok(())
}

/// Opens what lies there as a start does and compares; `acknowledged` tells of each machine the last record that was,
/// none if not even its enrollment; `over` is what was told to have ended.
///
/// # Errors
/// What is corrupt: it does not open, or the check finds something.
pub(super) fn collector(
    state: &Path,
    machines: &[Told],
    acknowledged: &[Option<u64>],
    over: &[&Ended],
) -> Result<Found> {
    let ledger = ended::ledger(state)?;
    let began = Instant::now();
    let file = state.join("muster.db");
    Authority::open(&state.join("pki"), At(0)).context("keys")?;
    let mut engine = open::writer(&file, At(0)).context("start")?;
    let mut found = Found { start: began.elapsed(), ..Found::default() };
    let findings = check::check(&mut engine).context("check")?;
    ensure!(findings.is_empty(), "{findings:?}");
    drop(engine);
    found.lost += ended::lost(&file, &ledger, over)?;
    let held = Held::read(&file)?;
    for (machine, acknowledged) in machines.iter().zip(acknowledged) {
        let Some(acknowledged) = acknowledged else { continue };
        let Some((seq, root, asset)) = held.agents.get(&machine.id) else {
            found.lost += 1 + acknowledged;
            continue;
        };
        found.lost += acknowledged.saturating_sub(*seq);
        if let Some(told) = usize::try_from(*seq).ok().and_then(|seq| seq.checked_sub(1)) {
            ensure!(machine.roots.get(told).copied() == Some(*root), "agent {} at {seq} has root {root}", machine.id);
        }
        let asset = asset.clone().unwrap_or_default();
        for told in 2..=*seq {
            match held.upgrades.get(&(asset.clone(), crate::check::fleet::version_of(told))) {
                None => found.lost += u64::from(told <= *acknowledged),
                Some(times) => found.twice += times - 1,
            }
        }
    }
    Ok(found)
}

/// What the tables and the journal say of each agent.
struct Held {
    /// Last record, root, asset.
    agents: HashMap<String, (u64, Digest, Option<String>)>,
    /// How often each asset was told to have got each version.
    upgrades: HashMap<(String, String), u64>,
}

impl Held {
    fn read(file: &Path) -> Result<Held> {
        let database = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let mut held = Held { agents: HashMap::new(), upgrades: HashMap::new() };
        let mut rows = database.prepare("select id, seq, root, asset from agent")?;
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            let root: Vec<u8> = row.get(2)?;
            let root = Digest(root.as_slice().try_into().context("a root")?);
            held.agents.insert(row.get(0)?, (row.get::<_, i64>(1)?.cast_unsigned(), root, row.get(3)?));
        }
        let mut rows = database.prepare("select subjects, body from journal where kind = 'software_changed'")?;
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            let (subjects, body): (String, String) = (row.get(0)?, row.get(1)?);
            let body: Value = serde_json::from_str(&body).context("an event")?;
            let asset = subjects.split_whitespace().find_map(|subject| subject.strip_prefix("asset:"));
            let asset = asset.context("an asset")?.to_owned();
            let upgraded = body["upgraded"].as_array().into_iter().flatten();
            for version in upgraded.filter_map(|upgrade| upgrade["to"].as_str()) {
                *held.upgrades.entry((asset.clone(), version.to_owned())).or_default() += 1;
            }
        }
        Ok(held)
    }
}
