//! One identity in two places. Does not know how the collector tells them apart.

use super::certificates::{agent_params, self_signed};
use super::house::{House, until};
use super::wire::{Caller, Line, Tls};
use super::{Security, Seen};
use agent::key::Key;
use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use shared::enroll::recovery_text;
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

/// Seconds between check-ins of both copies.
const INTERVAL_S: u64 = 5;
/// What the collector's memory may grow by, in KiB.
const RSS_KIB: u64 = 5 * 1024;
/// Strangers that say they are A.
const STRANGERS: usize = 1000;
/// Until the incident is there.
const INCIDENT: Duration = Duration::from_secs(5);

/// 9: two copies of one agent are quarantined, at a cost that does not grow; strangers quarantine nobody.
pub(super) fn clone(_: &Security) -> Result<Seen> {
    let house = House::open("")?;
    let mut first = house.world.join("first");
    let settings =
        std::fs::read_to_string(&first.config)?.replace("checkin_s = 1", &format!("checkin_s = {INTERVAL_S}"));
    std::fs::write(&first.config, &settings)?;
    first.start(&[]);
    house.world.event("baseline", 0);
    let agents = house.world.rows("/v1/agents")?;
    let id = agents.first().and_then(|agent| agent["id"].as_str()).context("an agent")?.to_owned();
    strangers(&house, &id, &first.state)?;
    let state = house.agent(&id)?["state"].clone();
    ensure!(state == "active", "after {STRANGERS} strangers A is {state}");

    let mut second = house.world.stranger("second");
    std::fs::write(&second.config, settings.replace("/first\"", "/second\""))?;
    copy(&first.state, &second.state)?;
    let asset = house.asset_of(&id)?;
    let columns = || columns(&house, &asset);
    let (before, rss) = (columns()?, house.rss_kib()?);
    let began = Instant::now();
    second.start(&[]);
    // Two copies differ as soon as there is something to tell: here a port that both see.
    let _port = TcpListener::bind("127.0.0.1:0")?;
    let mut peak = rss;
    let mut found = None;
    while began.elapsed() < Duration::from_secs(2 * INTERVAL_S) {
        peak = peak.max(house.rss_kib()?);
        if found.is_none() && house.agent(&id)?["state"] == "quarantined" {
            found = Some(began.elapsed());
        }
        crate::check::pause(Duration::from_millis(100));
    }
    let found =
        found.with_context(|| format!("after 2 intervals A is {:?}", house.agent(&id).map(|a| a["state"].clone())))?;
    let after = columns()?;
    ensure!(before == after, "fields flipped: {before} to {after}");
    let rise = peak - rss;
    ensure!(rise < RSS_KIB, "the collector grew by {rise} KiB");
    let mut incidents = Vec::new();
    until(INCIDENT, || {
        incidents = about(&house, &id)?;
        Ok(!incidents.is_empty())
    })?;
    ensure!(
        incidents.len() == 1,
        "{} incidents for the quarantine, not 1 ({STRANGERS} strangers: A stayed active; quarantined after {:.1} s, fields \
         unchanged, + {rise} KiB)",
        incidents.len(),
        found.as_secs_f64()
    );
    Ok(Seen::Pass(format!(
        "{STRANGERS} strangers: A stayed active; copied directory: quarantined {:.1} s after the second started (2 intervals \
         are {} s), 1 incident, 0 fields flipped, collector + {rise} KiB",
        found.as_secs_f64(),
        2 * INTERVAL_S
    )))
}

/// Half of them show A's name in TLS, half A's certificate without its key.
fn strangers(house: &House, id: &str, state: &Path) -> Result<()> {
    let pair = self_signed(agent_params(house, id)?)?;
    let forged = Tls::new(&house.trust, Some((&pair.certificate, &pair.key)))?;
    let certificate = CertificateDer::from_pem_slice(&std::fs::read(state.join("cert.pem"))?)?;
    let mut web = Caller::new(house.web(), &house.stranger()?);
    for _ in 0..STRANGERS / 2 {
        let answer = Line::open(house.agents(), &forged).and_then(|mut line| line.get("/v1/settings"));
        ensure!(answer.is_err(), "a forged certificate is answered {answer:?}");
        let key = Key::generate()?;
        let csr = key.request()?;
        let body = json!({
            "certificate": STANDARD.encode(&certificate),
            "csr": STANDARD.encode(&csr),
            "generation": 1,
            "signature": STANDARD.encode(key.sign(&recovery_text(1, &csr))?),
        });
        let answer = web.post("/v1/recover", &body)?;
        ensure!(matches!(answer.status, 403 | 429), "a recovery without the key is answered {}", answer.status);
    }
    Ok(())
}

/// What the register says of an asset, but for when it was heard.
fn columns(house: &House, asset: &str) -> Result<Value> {
    let all = house.world.get(&format!("/v1/assets/{asset}"))?;
    let names = [
        "name",
        "class",
        "maker",
        "model",
        "serial",
        "os_name",
        "os_version",
        "kernel",
        "arch",
        "cpu",
        "memory_bytes",
        "addresses",
        "tag",
        "owner",
        "location",
        "criticality",
        "lifecycle",
        "agent",
    ];
    Ok(names.iter().map(|name| ((*name).to_owned(), all[name].clone())).collect::<serde_json::Map<_, _>>().into())
}

/// Incidents about the quarantine of this agent: their text or their frozen evidence names it.
fn about(house: &House, id: &str) -> Result<Vec<Value>> {
    let mut tickets = house.world.rows("/v1/tickets?kind=incident")?;
    tickets.retain(|ticket| {
        let text = ticket.to_string();
        text.contains("quarantine") || text.contains(id)
    });
    Ok(tickets)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            std::fs::create_dir_all(&target)?;
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
