//! The program `muster-agent` and its process: found, enrolled, kept running, stopped with a goodbye.

use super::place::Place;
use super::progress::Progress;
use crate::cli::exit::{Code, Failure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};

/// The name of the program.
const PROGRAM: &str = "muster-agent";
/// The agent's exit code for "not enrolled".
const NOT_ENROLLED: i32 = 4;
/// The agent's exit code for "refused by the collector": it has an identity.
const REFUSED: i32 = 5;
/// How often an agent that ends is started again.
const RESTARTS: u32 = 3;
/// An agent that ran this long is healthy again.
const HEALTHY: Duration = Duration::from_secs(60);
/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(10);
/// Bytes at the end of a log in which its last line is looked for.
const TAIL_BYTES: u64 = 4096;

/// The agent of a quickstart.
pub(super) struct Agent {
    program: PathBuf,
    settings: PathBuf,
    log: PathBuf,
    child: Option<Child>,
}

/// The program that was asked for, or the one beside this one.
pub(super) fn find(asked: Option<&Path>, here: Option<&Path>) -> Result<PathBuf, Failure> {
    let beside = here.and_then(Path::parent).map(|folder| folder.join(PROGRAM));
    match asked.map(Path::to_owned).or(beside) {
        Some(path) if path.is_file() => Ok(std::path::absolute(path)?),
        Some(path) => {
            let text = format!(
                "{}: there is no agent; build it with `cargo build -p agent`, or say where it is with --agent PATH",
                path.display()
            );
            Err(Failure::new(Code::NotFound, text))
        }
        None => Err(Failure::new(Code::NotFound, "where is the agent? say so with --agent PATH")),
    }
}

impl Agent {
    /// The agent of this place, not running yet.
    pub(super) fn new(program: PathBuf, place: &Place) -> Agent {
        Agent { program, settings: place.agent_settings(), log: place.agent_log(), child: None }
    }

    /// Its id; `None` before it enrolled.
    pub(super) async fn identity(&self) -> Result<Option<String>, Failure> {
        let output = self.ask(&["status".as_ref(), "--output".as_ref(), "json".as_ref()]).await?;
        match output.status.code() {
            Some(NOT_ENROLLED) => Ok(None),
            Some(0 | REFUSED) => {
                let status: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
                let id = status.get("agent").and_then(Value::as_str).map(str::to_owned);
                id.map(Some)
                    .ok_or_else(|| Failure::new(Code::Failed, format!("{PROGRAM} status: no agent in its answer")))
            }
            _ => Err(complaint("status", &output)),
        }
    }

    /// Enrolls with a join file.
    pub(super) async fn enroll(&self, join: &Path) -> Result<(), Failure> {
        let output = self.ask(&["enroll".as_ref(), "--join".as_ref(), join]).await?;
        if output.status.success() { Ok(()) } else { Err(complaint("enroll", &output)) }
    }

    async fn ask(&self, args: &[&Path]) -> Result<Output, Failure> {
        self.command().args(args).stdin(Stdio::null()).output().await.map_err(|error| self.unstartable(&error))
    }

    /// In a process group of its own: Ctrl-C is for us, who then let it say goodbye. The service manager that
    /// may have started us is none of its business.
    #[expect(clippy::disallowed_methods, reason = "the one program that is started: the agent of a quickstart")]
    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--config").arg(&self.settings).env_remove("NOTIFY_SOCKET").process_group(0).kill_on_drop(true);
        command
    }

    fn unstartable(&self, error: &std::io::Error) -> Failure {
        Failure::new(Code::Failed, format!("{}: cannot be started: {error}", self.program.display()))
    }

    fn start(&self) -> Result<Child, Failure> {
        let failed = |error: std::io::Error| Failure::new(Code::Failed, format!("{}: {error}", self.log.display()));
        let log = OpenOptions::new().append(true).open(&self.log).map_err(failed)?;
        let also = log.try_clone().map_err(failed)?;
        let started = self.command().arg("run").stdin(Stdio::null()).stdout(log).stderr(also).spawn();
        started.map_err(|error| self.unstartable(&error))
    }

    /// Keeps it running; starts it again a few times. Returns only when it cannot be kept. May be dropped and
    /// called again: the process goes on meanwhile.
    pub(super) async fn keep(&mut self, progress: &Progress) -> Failure {
        let mut restarts = 0;
        loop {
            let child = match self.child.take().map_or_else(|| self.start(), Ok) {
                Ok(child) => self.child.insert(child),
                Err(failure) => return failure,
            };
            let began = Instant::now();
            let ended = child.wait().await;
            self.child = None;
            let how = ended.map_or_else(|error| error.to_string(), |status| status.to_string());
            let failure = self.complaint(&format!("the agent ended ({how})"));
            restarts = next(restarts, began.elapsed());
            if restarts > RESTARTS {
                return failure;
            }
            let pause = pause(restarts);
            progress.done(&format!("{}; starting it again in {} s", failure.message, pause.as_secs()));
            tokio::time::sleep(pause).await;
        }
    }

    /// A failure with the last line of the agent's log.
    pub(super) fn complaint(&self, what: &str) -> Failure {
        let line = tail(&self.log).unwrap_or_default();
        let line = last_line(&line);
        Failure::new(Code::Failed, format!("{what}; its last words: {line}; more in {}", self.log.display()))
    }

    /// Stops it with a goodbye to the collector.
    pub(super) async fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid
            && let Err(error) = kill_process(pid, Signal::TERM)
        {
            tracing::warn!(%error, "the agent could not be told to stop");
        }
        if tokio::time::timeout(GOODBYE, child.wait()).await.is_err() {
            tracing::warn!("the agent did not stop in time and is killed");
            // It may have ended just now.
            let _ = child.kill().await;
        }
    }
}

/// The restarts so far, when it ended after this time.
fn next(restarts: u32, ran: Duration) -> u32 {
    if ran >= HEALTHY { 1 } else { restarts + 1 }
}

/// Before the first restart one second, then twice as long each time.
fn pause(restarts: u32) -> Duration {
    Duration::from_secs(1 << restarts.saturating_sub(1).min(RESTARTS))
}

fn complaint(verb: &str, output: &Output) -> Failure {
    let text = String::from_utf8_lossy(&output.stderr);
    Failure::new(Code::Failed, format!("{PROGRAM} {verb}: {} ({})", last_line(&text), output.status))
}

fn tail(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let bytes = file.metadata()?.len();
    file.seek(SeekFrom::Start(bytes.saturating_sub(TAIL_BYTES)))?;
    let mut tail = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut tail)?;
    Ok(String::from_utf8_lossy(&tail).into_owned())
}

fn last_line(text: &str) -> &str {
    text.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or("none")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_agent_is_one_line_that_says_how_to_get_it() {
        let failure = find(None, Some(Path::new("/nonexistent/muster"))).expect_err("missing");
        assert_eq!(failure.code, Code::NotFound);
        assert!(
            failure
                .message
                .starts_with("/nonexistent/muster-agent: there is no agent; build it with `cargo build -p agent`")
        );
        let here = std::env::current_exe().expect("this program");
        assert_eq!(find(Some(&here), None).expect("there"), here);
    }

    #[test]
    fn restarts_are_few_and_slower_each_time_until_it_ran_well() {
        assert_eq!([1, 2, 3].map(|n| pause(n).as_secs()), [1, 2, 4]);
        assert_eq!(next(RESTARTS, Duration::ZERO), RESTARTS + 1);
        assert_eq!(next(RESTARTS, HEALTHY), 1);
    }

    #[test]
    fn the_last_words_are_the_last_line_that_says_something() {
        assert_eq!(last_line("a\nb \n\n"), "b");
        assert_eq!(last_line(" \n"), "none");
    }
}
