//! What the agent keeps in memory as a service, after its first report to a collector on this machine.

use super::scene::Scene;
use anyhow::{Context, Result};
use std::path::Path;
use std::time::Duration;

/// The status is written just before the turn ends and memory is given back.
const SETTLE: Duration = Duration::from_secs(1);

/// Its proportional set size in KiB: all of it, and what of that is no file's.
///
/// # Errors
/// A step that did not work, or no report in time.
pub fn pss_kib(agent: &Path, muster: &Path) -> Result<(u64, u64)> {
    let scene = Scene::start(agent, muster, "")?;
    scene.join("agent", "")?;
    let service = scene.run("agent", &[])?;
    scene.wait("agent/status.json", |text| {
        let status: serde_json::Value = serde_json::from_str(text).ok()?;
        status["last_contact"].as_i64()
    })?;
    crate::check::pause(SETTLE);
    let path = format!("/proc/{}/smaps_rollup", service.id());
    let text = std::fs::read_to_string(&path).context(path)?;
    Ok((amount(&text, "Pss:")?, amount(&text, "Pss_Anon:")?))
}

fn amount(smaps: &str, name: &str) -> Result<u64> {
    let value = smaps.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB")?.parse().ok());
    value.with_context(|| format!("no {name} in smaps_rollup"))
}
