//! What the agent costs, beside a peer in the same run.

use crate::measure::{self, Cost};
use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs of each command.
const RUNS: usize = 11;

/// Measures the agent as it is shipped.
///
/// # Errors
/// A figure that was missed, or a step that could not be run.
pub fn run() -> Result<()> {
    let agent = build()?;
    let text = agent.to_string_lossy().into_owned();
    let mut good = size(&agent)?;

    let full = measure::median(RUNS, &[&text, "once", "--output", "json"])?;
    good &= super::figure("full inventory, CPU", ms(full), "ms", 40.0);
    good &= super::figure("full inventory, peak memory", mib(full), "MiB", 12.0);
    good &= children(&text)?;
    good &= instructions(&text)?;
    let muster = collector()?;
    good &= resident(&agent, &muster)?;
    good &= wire(&agent, &muster)?;
    let dpkg = measure::median(RUNS, &[&text, "once", "--only", "dpkg", "--output", "json"])?;
    println!("     dpkg alone, CPU: {:.2} ms", ms(dpkg));
    peer("dpkg-query", &["dpkg-query", "-W"], dpkg);
    peer("fusioninventory-agent", &["fusioninventory-inventory"], full);
    if !good {
        bail!("a figure was missed");
    }
    Ok(())
}

/// The agent as it is shipped.
pub(super) fn build() -> Result<PathBuf> {
    let status = Command::new("cargo")
        .args(["build", "--quiet", "--profile", "dist", "-p", "agent"])
        .status()
        .context("cargo")?;
    if !status.success() {
        bail!("the agent does not build");
    }
    let own = std::env::current_exe().context("own path")?;
    let target = own.parent().and_then(Path::parent).context("target folder")?;
    Ok(target.join("dist").join("muster-agent"))
}

fn size(agent: &Path) -> Result<bool> {
    let bytes = std::fs::metadata(agent).with_context(|| agent.display().to_string())?.len();
    let linked = Command::new("ldd").arg(agent).output().context("ldd")?;
    let linked = String::from_utf8_lossy(&linked.stdout).into_owned();
    let foreign: Vec<&str> = linked
        .lines()
        .map(str::trim)
        .filter(|line| !["linux-vdso", "libc.so", "libm.so", "ld-linux"].iter().any(|known| line.contains(known)))
        .collect();
    println!("{} libraries beyond libc: {foreign:?}", if foreign.is_empty() { "PASS" } else { "FAIL" });
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let mib = bytes as f64 / 1_048_576.0;
    Ok(super::figure("binary", mib, "MiB", 6.0) & foreign.is_empty())
}

/// The collector of the development build.
pub(super) fn collector() -> Result<PathBuf> {
    let status = Command::new("cargo").args(["build", "--quiet", "-p", "collector"]).status().context("cargo")?;
    if !status.success() {
        bail!("the collector does not build");
    }
    Ok(std::env::current_exe().context("own path")?.with_file_name("muster"))
}

/// The service, beside a collector.
fn resident(agent: &Path, muster: &Path) -> Result<bool> {
    let (all, anonymous) = super::resident::pss_kib(agent, muster)?;
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let (all, anonymous) = (all as f64 / 1024.0, anonymous as f64 / 1024.0);
    println!("     resident, anonymous part: {anonymous:.2} MiB");
    Ok(super::figure("resident after the first report, PSS", all, "MiB", 6.0))
}

/// What travels.
fn wire(agent: &Path, muster: &Path) -> Result<bool> {
    let bodies = super::wire::bodies(agent, muster)?;
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let figure = |name: &str, bytes: u64, at_most| super::figure(name, bytes as f64, "bytes", at_most);
    Ok(figure("first report, body", bodies.first, 80_000.0)
        & figure("nothing new, body", bodies.beat, 200.0)
        & figure("one package changed, body", bodies.package, 1500.0))
}

/// Counts what the inventory starts. Needs strace.
fn children(agent: &str) -> Result<bool> {
    let Ok(out) = Command::new("strace")
        .args(["-f", "-e", "trace=execve", "-o", "/dev/stdout", agent, "once", "--output", "json"])
        .output()
    else {
        println!("SKIP child processes: strace is not installed");
        return Ok(true);
    };
    let children = started(out.status.success(), &String::from_utf8_lossy(&out.stdout)).with_context(|| {
        format!("strace measured nothing (is ptrace forbidden here?): {}", String::from_utf8_lossy(&out.stderr))
    })?;
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    Ok(super::figure("child processes", children as f64, "", 0.0))
}

/// Programs that were started besides the agent; nothing where not even its own start was seen.
fn started(success: bool, trace: &str) -> Option<usize> {
    let execs = trace.lines().filter(|line| line.contains("execve(")).count();
    execs.checked_sub(1).filter(|_| success)
}

/// Counts user instructions of the package probe. Needs valgrind.
fn instructions(agent: &str) -> Result<bool> {
    let out = Command::new("valgrind")
        .args([
            "--tool=callgrind",
            "--callgrind-out-file=/dev/null",
            agent,
            "once",
            "--only",
            "dpkg",
            "--output",
            "json",
        ])
        .output();
    let Ok(out) = out else {
        println!("SKIP dpkg alone, instructions: valgrind is not installed");
        return Ok(true);
    };
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    // A count is printed also of a run that broke off.
    ensure!(out.status.success(), "valgrind or the agent failed: {}", text.trim());
    let count =
        text.lines().find_map(|line| line.split_once("Collected :")).and_then(|(_, n)| n.trim().parse::<f64>().ok());
    let count = count.with_context(|| format!("callgrind printed no count: {text}"))?;
    Ok(super::figure("dpkg alone, instructions", count / 1e6, "M", 8.0))
}

fn peer(name: &str, argv: &[&str], ours: Cost) {
    match measure::median(5, argv) {
        Ok(theirs) => println!(
            "     {name}: {:.1} ms CPU, {:.1} MiB; ours / theirs: CPU {:.3}, memory {:.3}",
            ms(theirs),
            mib(theirs),
            ms(ours) / ms(theirs),
            mib(ours) / mib(theirs)
        ),
        Err(why) => println!("SKIP {name}: {why:#}"),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn ms(cost: Cost) -> f64 {
    cost.cpu_us as f64 / 1000.0
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn mib(cost: Cost) -> f64 {
    cost.peak_kib as f64 / 1024.0
}

#[cfg(test)]
mod tests {
    use super::started;

    #[test]
    fn what_was_not_measured_is_no_figure() {
        assert_eq!(started(true, "7 execve(\"/a\") = 0\n7 +++ exited with 0 +++\n"), Some(0));
        assert_eq!(started(true, "7 execve(\"/a\") = 0\n8 execve(\"/b\") = 0\n"), Some(1));
        assert_eq!(started(false, "7 execve(\"/a\") = 0\n"), None);
        assert_eq!(started(true, "strace: ptrace: Operation not permitted\n"), None);
    }
}
