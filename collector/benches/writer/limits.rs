//! The writer's rates beside those of the programs that measure the limits of this machine, in the same run: the
//! same work (one package of a machine in another version) by SQL alone, with the same commits.
//!
//! The programs are no part of this repository. Where their folder is, they are built from it, in the target folder;
//! the first time that takes minutes. Where it is not, this says so. Knows how the one that fits is run and what
//! it prints; does not know what it does.

use std::io::Error;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the programs are, beside the checkout.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/bench/limits");
/// The one that makes a durable commit of so many changed packages.
const PROGRAM: &str = "sqlite_bench";
/// Machines in its database, and how long it measures each size of commit, in seconds.
const MACHINES: &str = "2000";
const SECONDS: &str = "4";

/// What was measured of the writer: agents at once, deltas a second, CPU of one in microseconds.
pub type Measured = (usize, f64, f64);

/// A size of commit, reports a second, CPU of one in microseconds.
type Limit = (usize, f64, f64);

/// Builds, runs, prints ratios.
pub fn compare(writer: &[Measured], place: &Path) {
    if !Path::new(FOLDER).join("Cargo.toml").exists() {
        println!("SKIP ratio to the limits' programs: they are not at {FOLDER}");
        return;
    }
    let limits = match build(place).and_then(|program| run(&program, place)) {
        Ok(limits) => limits,
        Err(error) => return println!("SKIP ratio to the limits' programs: {error}"),
    };
    for (batch, limit, limit_cpu) in limits {
        println!("{PROGRAM}, {batch} a commit: {limit:.0} reports/s ({limit_cpu:.0} us CPU)");
        // As many agents as may wait for one commit; the writer takes at most 128.
        let like = writer.iter().filter(|(agents, ..)| *agents <= batch.max(1) * 2).max_by_key(|(agents, ..)| *agents);
        if let Some((agents, rate, cpu)) = like {
            println!(
                "{agents:3} agents at once / {PROGRAM}, {batch} a commit: {:.2} in CPU, {:.2} in rate",
                limit_cpu / cpu,
                rate / limit
            );
        }
    }
}

/// Cargo writes its lock beside the manifest: so the manifest is a link in a folder of our own.
fn build(place: &Path) -> Result<PathBuf, Error> {
    let (package, folder) = (place.join("limits"), Path::new(FOLDER).canonicalize()?);
    std::fs::create_dir(&package)?;
    for name in ["Cargo.toml", "src"] {
        symlink(folder.join(name), package.join(name))?;
    }
    let own = std::env::current_exe()?;
    let target = own.ancestors().nth(3).ok_or(Error::other("no target folder"))?.join("limits");
    println!("building {PROGRAM} of {FOLDER}; the first time takes minutes");
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--quiet", "--release", "--bin", PROGRAM]).current_dir(&package);
    let built = cargo.arg("--target-dir").arg(&target).status()?;
    if built.success() { Ok(target.join("release").join(PROGRAM)) } else { Err(Error::other("it does not build")) }
}

fn run(program: &Path, place: &Path) -> Result<Vec<Limit>, Error> {
    let database = place.join("limits.db");
    let say = |verb: &str, rest: &[&str]| {
        let out = Command::new(program).args([verb, "post"]).arg(&database).arg(MACHINES).args(rest).output()?;
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        if out.status.success() { Ok(text) } else { Err(Error::other(format!("{verb}: {}", out.status))) }
    };
    say("build", &[])?;
    let limits: Vec<Limit> = say("change", &[SECONDS])?.lines().filter_map(parse).collect();
    if limits.is_empty() { Err(Error::other("it prints no figures that are known")) } else { Ok(limits) }
}

/// `change post n=2000 changed blob batch=100  commits/s=  55.1 reports/s=  5510.0 cpu=   120.1us/report …`
fn parse(line: &str) -> Option<Limit> {
    let field = |name: &str| {
        let (_, rest) = line.split_once(name)?;
        let rest = rest.trim_start();
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        rest[..end].parse::<f64>().ok()
    };
    Some((field("batch=")? as usize, field("reports/s=")?, field("cpu=")?))
}
