//! The README's commands as somebody runs them who has nothing but a clone: in a bare Debian root, or on this
//! machine with a home of its own.
//!
//! Knows where the lines stand in the README, and how to give them a place; what they do is theirs alone.

mod place;
mod visit;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use place::{Home, Place, Root};
use std::path::{Path, PathBuf};
use std::time::Instant;
use visit::Visit;

/// What `quickstart` says last before it stays: from there on it is up.
const STAYS: &str = "stop: Ctrl-C";
/// What it says when it finds its data again.
const AGAIN: &str = "enrolled before";

/// A bare root to be a stranger in.
#[derive(Args)]
#[command(after_help = "\
Needs root, and a root of Debian with a C compiler and nothing of Rust. To make one:
  debootstrap --variant=minbase --include=gcc,libc6-dev,ca-certificates bookworm /srv/stranger
  cargo run -p packaging -- check stranger --root /srv/stranger

It sees this machine's Rust toolchain and the crates that were downloaded here, both read-only, and a clone of this
checkout as it is committed. What it builds is removed at the end; the root stays as bare as it was.")]
pub struct Stranger {
    /// The root.
    #[arg(long, value_name = "DIR")]
    root: PathBuf,
    /// Rust, instead of what `rustc --print sysroot` says.
    #[arg(long, value_name = "DIR")]
    toolchain: Option<PathBuf>,
    /// Cargo's home with the downloaded crates, instead of $CARGO_HOME or ~/.cargo.
    #[arg(long, value_name = "DIR")]
    cargo_home: Option<PathBuf>,
}

/// Both commands, on this machine.
#[derive(Args)]
pub struct Commands {
    /// Leave the second, the tests, out.
    #[arg(long)]
    no_test: bool,
}

/// As a stranger.
///
/// # Errors
/// A step that failed.
pub fn run(stranger: &Stranger) -> Result<()> {
    if !nix::unistd::Uid::effective().is_root() {
        println!("SKIP stranger: a mount namespace and a root of its own need root");
        return Ok(());
    }
    let root = Root::new(&stranger.root, stranger.toolchain.as_deref(), stranger.cargo_home.as_deref())?;
    starts_twice(&root)
}

/// On this machine, without what was built before.
///
/// # Errors
/// A step that failed.
pub fn commands(commands: &Commands) -> Result<()> {
    let home = Home::new()?;
    starts_twice(&home)?;
    if commands.no_test {
        return Ok(());
    }
    let line = place::line(&home.checkout(), "## Test it")?;
    let began = Instant::now();
    println!("     $ {line}");
    let mut visit = Visit::start(home.command(&line))?;
    visit.read_until(None)?;
    let status = visit.end()?;
    ensure!(status.success(), "`## Test it`: {status}");
    println!(
        "PASS `## Test it` on a tree without what `## Run it` did not build: {:.1} s",
        began.elapsed().as_secs_f64()
    );
    Ok(())
}

/// `## Run it`, an inventory beside it, its end by SIGINT, and all but the building again.
fn starts_twice(place: &impl Place) -> Result<()> {
    let line = place::line(&place.checkout(), "## Run it")?;
    ensure!(!place.checkout().join("target").exists(), "the clone has a target folder");
    for (which, expected) in [("first", None), ("second", Some(AGAIN))] {
        println!("     $ {line}");
        let began = Instant::now();
        let mut visit = Visit::start(place.command(&line))?;
        let said = visit.read_until(Some(STAYS))?;
        let took = began.elapsed().as_secs_f64();
        if !said.iter().any(|line| line.contains(STAYS)) {
            bail!("the {which} start ended without staying: {}", visit.end()?);
        }
        println!("PASS {which} start, from the command to the line that says how to stop it: {took:.1} s");
        if let Some(expected) = expected {
            ensure!(said.iter().any(|line| line.contains(expected)), "the {which} start did not find its data again");
            println!("PASS {which} start found its data again");
        } else {
            once(place)?;
        }
        let began = Instant::now();
        visit.interrupt()?;
        visit.read_until(None)?;
        let status = visit.end()?;
        ensure!(status.success(), "the {which} start, after SIGINT: {status}");
        println!("PASS {which} start, stopped by SIGINT: {:.2} s, {status}", began.elapsed().as_secs_f64());
    }
    Ok(())
}

fn once(place: &impl Place) -> Result<()> {
    let line = "target/release/muster-agent once";
    println!("     $ {line}");
    let began = Instant::now();
    let mut visit = Visit::start(place.command(line))?;
    let rows = visit.read_until(None)?.len();
    let status = visit.end()?;
    ensure!(status.success() && rows > 0, "muster-agent once: {status}, {rows} lines");
    println!("PASS muster-agent once beside it: {rows} lines in {:.2} s", began.elapsed().as_secs_f64());
    Ok(())
}

/// The checkout that this program was built from.
fn checkout() -> Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the checkout")
}
