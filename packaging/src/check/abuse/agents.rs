//! Real agents of a check: enrolled in folders of their own, run as services, watched from outside. Does not know what is
//! watched.

use crate::check::fleet::{self, Collector};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::fs::File;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(200);

/// An enrolled agent.
pub(super) struct Agent {
    binary: PathBuf,
    config: PathBuf,
    state: PathBuf,
    log: PathBuf,
}

/// A process that ends with the check.
pub(super) struct Running(Child);

impl Running {
    pub(super) fn id(&self) -> u32 {
        self.0.id()
    }

    /// Whether it ended by itself.
    pub(super) fn ended(&mut self) -> Result<bool> {
        Ok(self.0.try_wait()?.is_some())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Best effort: the check is over.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Agent {
    /// Enrolls one with these settings, in `dir`.
    pub(super) fn enroll(
        binary: &Path,
        collector: &Collector,
        dir: &Path,
        name: &str,
        settings: &str,
    ) -> Result<Agent> {
        let at = |end: &str| dir.join(format!("{name}{end}"));
        let agent = Agent { binary: binary.to_owned(), config: at(".toml"), state: at("-state"), log: at(".log") };
        std::fs::DirBuilder::new().mode(0o700).create(&agent.state)?;
        std::fs::write(&agent.config, format!("state_dir = {:?}\n{settings}", agent.state))?;
        std::fs::write(at(".json"), serde_json::to_vec(&fleet::join(collector, 1)?)?)?;
        let out = agent.command().args(["enroll", "--join"]).arg(at(".json")).output()?;
        ensure!(out.status.success(), "{name} is not enrolled: {}", String::from_utf8_lossy(&out.stderr));
        Ok(agent)
    }

    /// Its service, with more arguments and environment.
    pub(super) fn run(&self, args: &[&str], environment: &[(&str, &str)]) -> Result<Running> {
        let mut command = self.command();
        command.arg("run").args(args).envs(environment.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&self.log)?);
        Ok(Running(command.spawn().context("muster-agent run")?))
    }

    /// What its service left of itself.
    pub(super) fn status(&self) -> Value {
        let text = std::fs::read(self.state.join("status.json")).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// What its service logged.
    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its id in the register.
    pub(super) fn id(&self) -> Result<String> {
        let out = self.command().args(["status", "--output", "json"]).output()?;
        let status: Value = serde_json::from_slice(&out.stdout).context("status")?;
        status["agent"].as_str().map(str::to_owned).with_context(|| format!("no agent in {status}"))
    }

    /// A verb of its program, with its settings.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command.arg("--config").arg(&self.config);
        command
    }
}

/// Looks until it is so, or time is up; says whether it was.
pub(super) fn until(time: Duration, mut so: impl FnMut() -> Result<bool>) -> Result<bool> {
    let end = Instant::now() + time;
    while !so()? {
        if Instant::now() > end {
            return Ok(false);
        }
        crate::check::pause(LOOK);
    }
    Ok(true)
}
