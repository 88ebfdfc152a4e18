//! What the agent keeps in memory as a service, after its first report to a collector on this machine.

use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long the first report may take.
const REPORT_MAX: Duration = Duration::from_secs(30);
/// Between two looks at whether it was made.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A process, and a folder, that end with the measurement.
struct Running(Child);
struct Folder(PathBuf);

impl Drop for Running {
    fn drop(&mut self) {
        // Best effort: it was measured.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Its proportional set size in KiB: all of it, and what of that is no file's.
///
/// # Errors
/// A step that did not work, or no report in time.
#[expect(clippy::disallowed_methods, reason = "another process is watched, which tells nobody when it is so far")]
pub fn pss_kib(agent: &Path, muster: &Path) -> Result<(u64, u64)> {
    let folder = Folder(std::env::temp_dir().join(format!("muster-resident-{}", std::process::id())));
    let at = |name: &str| folder.0.join(name);
    std::fs::create_dir(&folder.0).with_context(|| folder.0.display().to_string())?;
    std::fs::create_dir(at("agent"))?;
    let shown = folder.0.display();
    std::fs::write(
        at("muster.toml"),
        format!(
            "state_dir = \"{shown}/collector\"\nagent_listen = \"127.0.0.1:0\"\nweb_listen = \"127.0.0.1:0\"\n\
             admin_socket = \"{shown}/admin.sock\"\nnames = [\"127.0.0.1\"]\n"
        ),
    )?;
    std::fs::write(at("agent.toml"), format!("state_dir = \"{shown}/agent\"\n"))?;

    let mut collector = Command::new(muster);
    collector.args(["serve", "--config"]).arg(at("muster.toml")).stdout(Stdio::piped());
    let mut collector = Running(collector.spawn().context("muster serve")?);
    let mut line = String::new();
    BufReader::new(collector.0.stdout.take().context("its output")?).read_line(&mut line)?;
    succeeds(
        Command::new(muster)
            .args(["join", "create", "--file"])
            .arg(at("join.json"))
            .env("MUSTER_SOCKET", at("admin.sock")),
    )?;
    let ours = || {
        let mut command = Command::new(agent);
        command.arg("--config").arg(at("agent.toml")).stdin(Stdio::null()).stdout(Stdio::null());
        command
    };
    succeeds(ours().args(["enroll", "--join"]).arg(at("join.json")))?;

    let service = Running(ours().arg("run").spawn().context("muster-agent run")?);
    let until = Instant::now() + REPORT_MAX;
    while !std::fs::read_to_string(at("agent/status.json")).is_ok_and(|text| text.contains("\"last_contact\":1")) {
        if Instant::now() > until {
            bail!("the agent made no report in {} s", REPORT_MAX.as_secs());
        }
        std::thread::sleep(LOOK_EVERY);
    }
    // The status is written just before the turn ends.
    std::thread::sleep(LOOK_EVERY);
    let path = format!("/proc/{}/smaps_rollup", service.0.id());
    let text = std::fs::read_to_string(&path).context(path)?;
    Ok((amount(&text, "Pss:")?, amount(&text, "Pss_Anon:")?))
}

fn succeeds(command: &mut Command) -> Result<()> {
    let out = command.stdin(Stdio::null()).output().with_context(|| format!("{command:?}"))?;
    if !out.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&out.stderr).trim());
    }
    Ok(())
}

fn amount(smaps: &str, name: &str) -> Result<u64> {
    let value = smaps.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB")?.parse().ok());
    value.with_context(|| format!("no {name} in smaps_rollup"))
}
