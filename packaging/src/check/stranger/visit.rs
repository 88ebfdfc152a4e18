//! A command that runs as a terminal would run it: its lines are shown as they come, and Ctrl-C reaches all of it.

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

/// What cargo says of each crate, which is not shown.
const CRATES: [&str; 3] = ["Compiling ", "Downloading ", "Downloaded "];

/// The command, in a process group of its own; killed when it is dropped.
pub(super) struct Visit {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Visit {
    pub(super) fn start(mut command: Command) -> Result<Visit> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
        let mut child = command.spawn().context("the command does not start")?;
        let out = BufReader::new(child.stdout.take().context("its output")?);
        Ok(Visit { child, out })
    }

    /// Shows and gives the lines, up to one that holds `last`, else to the end.
    pub(super) fn read_until(&mut self, last: Option<&str>) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        loop {
            let mut bytes = Vec::new();
            if self.out.read_until(b'\n', &mut bytes).context("its output")? == 0 {
                return Ok(lines);
            }
            let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
            if !CRATES.iter().any(|word| line.trim_start().starts_with(word)) {
                println!("       | {line}");
            }
            let found = last.is_some_and(|last| line.contains(last));
            lines.push(line);
            if found {
                return Ok(lines);
            }
        }
    }

    /// Ctrl-C.
    pub(super) fn interrupt(&self) -> Result<()> {
        killpg(self.group()?, Signal::SIGINT).context("SIGINT")
    }

    /// Waits for the end.
    pub(super) fn end(&mut self) -> Result<ExitStatus> {
        self.child.wait().context("wait")
    }

    fn group(&self) -> Result<Pid> {
        Ok(Pid::from_raw(i32::try_from(self.child.id()).context("a process id")?))
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        // Only where a step failed is it still there; then nothing of it may stay.
        if matches!(self.child.try_wait(), Ok(None))
            && let Ok(group) = self.group()
        {
            let _ = killpg(group, Signal::SIGKILL);
            let _ = self.child.wait();
        }
    }
}
