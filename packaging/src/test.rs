//! All tests, in the order in which they are cheapest to fail: format, lints, build, tests, licences.

use anyhow::{Context, Result, bail};
use std::process::Command;
use std::time::Instant;

/// Runs everything. `golden` rewrites what tests compare with.
///
/// # Errors
/// The first step that failed, by name.
pub fn run(golden: bool) -> Result<()> {
    optional("fmt", "rustfmt", &["fmt", "--all", "--check"])?;
    optional("clippy", "clippy", &["clippy", "--quiet", "--workspace", "--all-targets"])?;
    cargo("build", &["build", "--quiet", "--workspace", "--bins"], golden)?;
    cargo("test", &["test", "--workspace", "--no-fail-fast"], golden)?;
    optional("deny", "cargo-deny", &["deny", "--config", ".deny.toml", "check", "bans", "licenses", "sources"])?;
    Ok(())
}

/// A step that needs a tool which not every Rust installation has: skipped with the reason where it is missing.
fn optional(step: &str, tool: &str, args: &[&str]) -> Result<()> {
    let there = Command::new("cargo").args([args[0], "--version"]).output().is_ok_and(|out| out.status.success());
    if !there {
        println!("SKIP {step}: {tool} is not installed");
        return Ok(());
    }
    cargo(step, args, false)
}

fn cargo(step: &str, args: &[&str], golden: bool) -> Result<()> {
    println!("== {step}: cargo {}", args.join(" "));
    let start = Instant::now();
    let mut command = Command::new("cargo");
    command.args(args);
    if golden {
        command.env("UPDATE_GOLDEN", "1");
    }
    let status = command.status().with_context(|| format!("{step}: cargo does not start"))?;
    if !status.success() {
        bail!("{step} failed");
    }
    println!("== {step}: ok, {} s", start.elapsed().as_secs());
    Ok(())
}
