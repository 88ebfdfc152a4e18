//! A real collector in a folder of its own, and agents that joined it; all end with the measurement. Does not
//! know what is measured.

use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long one thing may take.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// Between two looks whether it came.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A process that ends with the measurement.
pub(super) struct Running(Child);

impl Running {
    pub(super) fn new(child: Child) -> Running {
        Running(child)
    }

    pub(super) fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Best effort: it was measured.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A folder with a collector that runs.
pub(super) struct Scene<'a> {
    agent: &'a Path,
    muster: &'a Path,
    // Fields are dropped in this order: first the collector, then its folder.
    _collector: Running,
    folder: tempfile::TempDir,
}

impl<'a> Scene<'a> {
    /// Starts the collector `muster` with these settings beside those of its places.
    ///
    /// # Errors
    /// It does not start.
    pub(super) fn start(agent: &'a Path, muster: &'a Path, settings: &str) -> Result<Scene<'a>> {
        let folder = tempfile::tempdir().context("a folder")?;
        let shown = folder.path().display();
        std::fs::write(
            folder.path().join("muster.toml"),
            format!(
                "state_dir = \"{shown}/collector\"\nagent_listen = \"127.0.0.1:0\"\nweb_listen = \"127.0.0.1:0\"\n\
                 admin_socket = \"{shown}/admin.sock\"\nnames = [\"127.0.0.1\"]\n{settings}"
            ),
        )?;
        let mut collector = Command::new(muster);
        collector.args(["serve", "--config"]).arg(folder.path().join("muster.toml")).stdout(Stdio::piped());
        let mut collector = collector.spawn().with_context(|| muster.display().to_string())?;
        let out = collector.stdout.take().context("its output")?;
        let collector = Running(collector);
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        if !line.contains("ready") {
            bail!("the collector did not start: {line:?}");
        }
        Ok(Scene { agent, muster, _collector: collector, folder })
    }

    /// A path in the folder.
    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Joins an agent with these settings beside that of its place, which is the folder `name`.
    ///
    /// # Errors
    /// The collector does not give a token, or does not take the agent.
    pub(super) fn join(&self, name: &str, settings: &str) -> Result<()> {
        std::fs::create_dir(self.at(name))?;
        let config = format!("state_dir = \"{}\"\n{settings}", self.at(name).display());
        std::fs::write(self.config(name), config)?;
        let file = self.at(&format!("{name}.json"));
        let mut token = Command::new(self.muster);
        token.args(["join", "create", "--file"]).arg(&file).env("MUSTER_SOCKET", self.at("admin.sock"));
        succeeds(&mut token)?;
        succeeds(self.command(name).args(["enroll", "--join"]).arg(&file))
    }

    /// Starts the agent's service; its log is the file `NAME.log`.
    ///
    /// # Errors
    /// It does not start.
    pub(super) fn run(&self, name: &str, args: &[&str]) -> Result<Running> {
        let log = std::fs::File::create(self.at(&format!("{name}.log")))?;
        let mut command = self.command(name);
        command.arg("run").args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Ok(Running(command.spawn().context("muster-agent run")?))
    }

    /// Waits until `found` finds something in a file of the folder.
    ///
    /// # Errors
    /// It does not in time.
    pub(super) fn wait<T>(&self, file: &str, found: impl Fn(&str) -> Option<T>) -> Result<T> {
        let until = Instant::now() + WAIT_MAX;
        loop {
            let text = std::fs::read_to_string(self.at(file)).unwrap_or_default();
            match found(&text) {
                Some(value) => return Ok(value),
                None if Instant::now() > until => {
                    bail!("nothing in {} s; {file} says: {text}", WAIT_MAX.as_secs())
                }
                None => crate::check::pause(LOOK_EVERY),
            }
        }
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.agent);
        command.arg("--config").arg(self.config(name));
        command
    }

    fn config(&self, name: &str) -> PathBuf {
        self.at(&format!("{name}.toml"))
    }
}

fn succeeds(command: &mut Command) -> Result<()> {
    let out = command.stdin(Stdio::null()).output().with_context(|| format!("{command:?}"))?;
    if !out.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&out.stderr).trim());
    }
    Ok(())
}
