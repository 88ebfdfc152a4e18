//! `muster-agent once` on this machine against what its own tools say: equal sets of facts, and each difference
//! with the rule that explains it.
//!
//! Each tool is asked before and after the agent, so that what changed meanwhile is known to have. A rule is code
//! that looks for itself; a difference for which no rule holds is a failure. A tool that is not there, or says
//! nothing, is skipped with its reason.

mod compare;
mod network;
mod people;
mod software;
mod storage;
mod system;

use anyhow::{Context, Result, ensure};
use clap::Args;
use compare::{Facts, Judged, judge};
use shared::fact::Item;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Which agent.
#[derive(Args)]
pub struct Here {
    /// An agent to check instead of one that is built now.
    #[arg(long, value_name = "FILE")]
    agent: Option<PathBuf>,
}

/// A tool: what is asked of it, which facts its texts and our items hold, and why they may differ.
struct Tool {
    name: &'static str,
    /// Commands, or files by their paths; all texts go to `theirs` in this order.
    asks: &'static [&'static [&'static str]],
    theirs: fn(&[String]) -> Option<Facts>,
    ours: fn(&Report) -> Facts,
    rules: &'static [Rule],
}

/// Why a difference is none, and how that is checked.
struct Rule {
    why: &'static str,
    holds: fn(&Difference<'_>) -> bool,
}

/// One fact of which the two say different things.
struct Difference<'a> {
    name: &'a str,
    theirs: Option<&'a str>,
    ours: Option<&'a str>,
    /// All that the tool says.
    all: &'a Facts,
    /// All that the agent says.
    own: &'a Facts,
}

/// What the agent tells, by section.
struct Report(BTreeMap<String, Vec<Item>>);

impl Report {
    fn items(&self, section: &str) -> &[Item] {
        self.0.get(section).map_or(&[], Vec::as_slice)
    }
}

const TOOLS: &[&Tool] = &[
    &software::DPKG_QUERY,
    &storage::LSBLK,
    &storage::FINDMNT,
    &storage::DF,
    &network::IP,
    &network::SS,
    &system::OS_RELEASE,
    &system::UNAME,
    &system::LSCPU,
    &system::FREE,
    &people::GETENT,
    &people::WHO,
    &software::SYSTEMCTL,
];

/// Compares and prints.
///
/// # Errors
/// A difference that nothing explains, or an agent that does not run.
pub fn run(here: &Here) -> Result<()> {
    let agent = match &here.agent {
        Some(agent) => agent.clone(),
        None => super::build(&["agent"])?.join("muster-agent"),
    };
    let before: Vec<_> = TOOLS.iter().map(|tool| ask(tool)).collect();
    let report = report(&agent)?;
    let mut good = true;
    for (tool, before) in TOOLS.iter().zip(before) {
        let both = before.and_then(|before| Ok((before, ask(tool)?)));
        match both {
            Ok((before, after)) => good &= show(tool, &judge(&before, &after, &(tool.ours)(&report), tool.rules)),
            Err(why) => println!("SKIP {}: {why}", tool.name),
        }
    }
    ensure!(good, "a difference has no explanation");
    Ok(())
}

fn report(agent: &Path) -> Result<Report> {
    let out = Command::new(agent).args(["once", "--output", "json"]).output();
    let out = out.with_context(|| agent.display().to_string())?;
    ensure!(out.status.success(), "muster-agent once: {}", String::from_utf8_lossy(&out.stderr).trim());
    let mut told: serde_json::Value = serde_json::from_slice(&out.stdout).context("its JSON")?;
    let sections = told["sections"].as_object_mut().context("sections")?;
    let mut report = BTreeMap::new();
    for (name, section) in sections {
        let items = section["items"].take();
        report.insert(name.clone(), serde_json::from_value(items).with_context(|| format!("items of {name}"))?);
    }
    Ok(Report(report))
}

/// The tool's facts, or why there are none.
fn ask(tool: &Tool) -> Result<Facts, String> {
    let mut texts = Vec::new();
    for ask in tool.asks {
        texts.push(say(ask)?);
    }
    (tool.theirs)(&texts).ok_or_else(|| "its answer was not understood".to_owned())
}

/// What a command prints, or what a file holds.
fn say(ask: &[&str]) -> Result<String, String> {
    let (first, rest) = ask.split_first().ok_or("nothing to ask")?;
    if first.starts_with('/') {
        return std::fs::read_to_string(first).map_err(|error| error.to_string());
    }
    let out = Command::new(first).args(rest).env("LC_ALL", "C").output();
    let out = out.map_err(|error| format!("it does not start: {error}"))?;
    if !out.status.success() {
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        return Err(format!("{}: {}", out.status, said.lines().next().unwrap_or("no reason given")));
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

fn show(tool: &Tool, judged: &Judged) -> bool {
    let good = judged.unexplained.is_empty();
    println!(
        "{} {}: {} compared, {} equal, {} explained, {} unexplained",
        if good { "PASS" } else { "FAIL" },
        tool.name,
        judged.equal + judged.explained() + judged.unexplained.len(),
        judged.equal,
        judged.explained(),
        judged.unexplained.len(),
    );
    for line in &judged.unexplained {
        println!("       UNEXPLAINED {line}");
    }
    for (why, lines) in &judged.explained {
        println!("       {}: {why}", lines.len());
        for line in lines {
            println!("         {line}");
        }
    }
    good
}

/// An attribute as text.
fn attr(item: &Item, name: &str) -> Option<String> {
    item.attrs.get(name).map(ToString::to_string)
}

/// One fact more, where there is a value.
fn put(facts: &mut Facts, name: impl Into<String>, value: Option<impl Into<String>>) {
    if let Some(value) = value {
        facts.insert(name.into(), value.into());
    }
}
