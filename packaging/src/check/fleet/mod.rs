//! Machines that exist only to talk, and a real collector to talk to: what the long checks share.

mod collector;
pub(super) mod line;
mod machine;

pub(super) use collector::Collector;
pub(super) use machine::{Machine, Shape, part, version_of};

use anyhow::{Context, Result};
use shared::enroll::JoinFile;
use std::path::Path;

/// As many machines, enrolled one after another with one token; their identities lie in `dir`.
pub(super) async fn enroll(collector: &Collector, machines: usize, dir: &Path) -> Result<Vec<Machine>> {
    let join = join(collector, machines)?;
    let mut enrolled = Vec::with_capacity(machines);
    for number in 0..machines {
        enrolled.push(Machine::enroll(number, Shape::default(), &join, &dir.join(format!("agent-{number}"))).await?);
    }
    Ok(enrolled)
}

/// A join file that is good for so many machines.
pub(super) fn join(collector: &Collector, machines: usize) -> Result<JoinFile> {
    let body = format!(r#"{{"uses": {machines}, "ttl_s": 3600}}"#);
    let answer = collector.ask("POST", "/v1/join-tokens", &body)?;
    serde_json::from_value(answer["join"].clone()).context("a join file")
}
