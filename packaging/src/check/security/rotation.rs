//! A rotation of the certificate authority under agents that run: what they report by afterwards, and that the old roots
//! open no door. Does not know how it is done.

use super::house::{House, until};
use super::wire::{Line, Tls};
use super::{Security, Seen};
use agent::source::Table;
use agent::source::tape::Tape;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;
use tests::Agent;

/// The machines.
const NAMES: [&str; 3] = ["one", "two", "three"];
/// Seconds that a certificate lives; it is renewed after half of them.
const LIFE_S: u64 = 20;
/// Renewals of their own accord that are waited for.
const RENEWALS: usize = 3;
/// Until all agents have new roots: two check-ins of one second, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// 13: prepare, activate, retire under three agents that run; then all report under the new CA, and the old is refused.
pub(super) fn rotation(_: &Security) -> Result<Seen> {
    let house = House::open(&format!("agents.certificate_s = {LIFE_S}"))?;
    let machines: Vec<Machine> = NAMES.iter().map(|name| Machine::start(&house, name)).collect::<Result<_>>()?;
    for name in NAMES {
        house.world.event_where("asset_created", 0, |event| event["event"]["name"] == *name);
    }
    // Its certificate is good, and it is told nothing.
    let quiet = house.member("quiet")?;
    ensure!(settings(&house, &quiet.tls)? == Some(200), "before, the certificate opens the door");
    let old = house.trust.clone();
    for (step, following) in [("prepare", "activate"), ("activate", "retire"), ("retire", "prepare")] {
        let body = if step == "prepare" { json!({}) } else { json!({"force": true}) };
        ensure!(step == "prepare" || is_refused(&house, step), "{step} does not wait for the agent that is behind");
        // The answer is empty; whether it was taken is seen below.
        let _ = house.world.ask("POST", &format!("/v1/ca/{step}"), &body);
        let shown = house.world.get("/v1/ca")?;
        ensure!(shown["following"] == following, "{step} was not taken: {shown}");
        let behind = || Ok(house.world.get("/v1/ca")?["ready"] == NAMES.len());
        ensure!(until(PATIENCE, behind)?, "not all agents got the roots: {}", house.world.get("/v1/ca")?);
    }
    let new = house.world.json(&["join", "create"])["server_ca"].clone();
    let new: Vec<String> = serde_json::from_value(new)?;
    ensure!(new.len() == 1 && new != old, "a join file holds another root than the new one");
    let knowing = Tls::new(&new, Some((&quiet.certificate, &quiet.key)))?;
    let status = settings(&house, &knowing)?;
    ensure!(status.is_none(), "a certificate of the old CA is answered {status:?}");
    ensure!(Line::open(house.agents(), &Tls::new(&old, None)?).is_err(), "the collector is known by the old server CA");
    renewed_and_reporting(&house, &machines, &new)
}

/// Waits for the renewals, has every machine change, and looks at what the agents hold and say.
fn renewed_and_reporting(house: &House, machines: &[Machine], new: &[String]) -> Result<Seen> {
    let retired = house.world.head();
    for machine in machines {
        let subject = format!("agent:{}", machine.identity()?["agent"].as_str().context("an id")?);
        let mut after = retired;
        for _ in 0..RENEWALS {
            let event = house.world.event_where("agent_renewed", after, |event| event["subjects"][0] == *subject);
            after = event["seq"].as_u64().context("a number")?;
        }
    }
    let head = house.world.head();
    for machine in machines {
        let name = format!("{}-later", machine.name);
        std::fs::write(&machine.tape, tape(machine.name, &name))?;
        house.world.event_where("asset_changed", head, |event| event.to_string().contains(&name));
        let held = machine.identity()?["server_ca"].clone();
        ensure!(held == json!(new), "{} trusts more than the new server CA", machine.name);
        let log = std::fs::read_to_string(machine.agent.state.with_extension("log"))?;
        let bad: Vec<&str> = log.lines().filter(|line| line.contains("warn") || line.contains("error")).collect();
        ensure!(bad.is_empty(), "{} says {bad:?}", machine.name);
    }
    for kind in ["agent_recovered", "agent_quarantined"] {
        ensure!(house.events(kind)?.is_empty(), "the journal has {kind}");
    }
    let steps = ["ca_prepared", "ca_activated", "ca_retired"].map(|kind| house.events(kind).map(|told| told.len()));
    let steps: Vec<usize> = steps.into_iter().collect::<Result<_>>()?;
    ensure!(steps == [1, 1, 1], "the journal tells of {steps:?} steps");
    Ok(Seen::Pass(format!(
        "{} running agents of this version (no other was released) went through prepare, activate and retire: {RENEWALS} \
         renewals later each reports and trusts the new server CA alone, 0 warnings, 0 recoveries; activate and retire \
         waited for an agent that was behind until they were forced; its certificate of the old CA is refused in the \
         handshake, and the old server CA no longer knows the collector",
        machines.len()
    )))
}

/// A machine with an agent.
struct Machine {
    name: &'static str,
    agent: Agent,
    tape: PathBuf,
}

impl Machine {
    fn start(house: &House, name: &'static str) -> Result<Machine> {
        let path = house.world.path(&format!("{name}.tape"));
        std::fs::write(&path, tape(name, name))?;
        let mut agent = house.world.join(name);
        agent.start(&["--tape", path.to_str().context("a path")?]);
        Ok(Machine { name, agent, tape: path })
    }

    fn identity(&self) -> Result<Value> {
        Ok(serde_json::from_slice(&std::fs::read(self.agent.state.join("identity.json"))?)?)
    }
}

/// A machine of this serial and host name, as a tape.
fn tape(serial: &str, hostname: &str) -> String {
    let dmi =
        [("sys_vendor", "HP"), ("product_name", "EliteBook 840"), ("product_sku", "SKU-1"), ("product_serial", serial)];
    let files = dmi.map(|(name, _)| name);
    let mut tape = Tape::of("linux")
        .user(0)
        .denied("/sys/firmware/dmi/tables/DMI")
        .dir("/sys/class/dmi/id", &files)
        .dir("/sys/block", &[])
        .netlink(Table::Links, b"")
        .netlink(Table::Addresses, b"")
        .netlink(Table::Routes, b"")
        .file("/proc/self/mountinfo", "")
        .link("/proc/self/ns/pid", "pid:[4026531836]")
        // The host's name is told with its system.
        .file("/etc/os-release", "ID=debian\nNAME=Debian\nVERSION_ID=\"12\"\n")
        .file("/proc/sys/kernel/hostname", format!("{hostname}\n"));
    for (name, value) in dmi {
        tape = tape.file(&format!("/sys/class/dmi/id/{name}"), format!("{value}\n"));
    }
    tape.to_text()
}

/// The status of a question on the agents' port; none where no answer comes.
fn settings(house: &House, tls: &Tls) -> Result<Option<u16>> {
    let Ok(mut line) = Line::open(house.agents(), tls) else { return Ok(None) };
    Ok(line.get("/v1/settings").ok().map(|answer| answer.status))
}

fn is_refused(house: &House, step: &str) -> bool {
    house.world.run(&["ca", step]).status.code() == Some(7)
}
