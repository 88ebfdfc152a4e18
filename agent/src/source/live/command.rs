//! Runs one of the listed commands: no shell, no input, an empty environment, a time limit.

use crate::source::{Command, Miss};
use rustix::process::{Pid, Signal, kill_process_group};
use shared::limit::FILE_BYTES;
use std::io::{ErrorKind, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

/// How long a command may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Between two looks whether a program that closed its output has ended, which it nearly always has.
const PAUSE: Duration = Duration::from_millis(1);

/// What the command prints.
///
/// # Errors
/// Absent when the program is not installed, denied when it may not be run, failed when it ends with an
/// error, prints more than [`FILE_BYTES`] or takes longer than ten seconds.
pub(super) fn output(command: Command) -> Result<Vec<u8>, Miss> {
    run(command.argv(), TIMEOUT)
}

#[expect(clippy::disallowed_methods, reason = "the one place that starts a program, of a closed list")]
fn run(argv: &[&str], timeout: Duration) -> Result<Vec<u8>, Miss> {
    let (program, arguments) = argv.split_first().ok_or_else(|| Miss::Failed("no program".to_owned()))?;
    let mut child = std::process::Command::new(program)
        .args(arguments)
        .env_clear()
        .env("LC_ALL", "C")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        // A group of its own, so that what the command starts ends with it.
        .process_group(0)
        .spawn()
        .map_err(|error| match error.kind() {
            ErrorKind::NotFound => Miss::Absent,
            ErrorKind::PermissionDenied => Miss::Denied,
            _ => Miss::Failed(error.to_string()),
        })?;
    let deadline = Instant::now() + timeout;
    let printed = child.stdout.take().map_or(Ok(Vec::new()), |stdout| read(stdout, timeout));
    match printed.and_then(|printed| Ok((printed, end(&mut child, deadline, timeout)?))) {
        Ok((printed, status)) if status.success() => Ok(printed),
        Ok((_, status)) => Err(Miss::Failed(format!("{program} ended with {status}"))),
        Err(miss) => {
            kill(child);
            Err(miss)
        }
    }
}

/// How it ended. A program may close its output and stay.
#[expect(
    clippy::disallowed_methods,
    reason = "once in a thousand runs, for a program that closed its output and has not ended yet"
)]
fn end(child: &mut Child, deadline: Instant, timeout: Duration) -> Result<ExitStatus, Miss> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(PAUSE),
            Ok(None) => return Err(late(timeout)),
            Err(error) => return Err(Miss::Failed(error.to_string())),
        }
    }
}

fn late(timeout: Duration) -> Miss {
    Miss::Failed(format!("it took longer than {} ms", timeout.as_millis()))
}

/// Reads in a thread of its own, because a read of a pipe cannot be given a time limit.
fn read(stdout: ChildStdout, timeout: Duration) -> Result<Vec<u8>, Miss> {
    let (sender, receiver) = sync_channel(1);
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = stdout.take(FILE_BYTES as u64 + 1).read_to_end(&mut bytes).map(|_| bytes);
        // Nobody listens any more after the time limit.
        let _ = sender.send(read);
    });
    match receiver.recv_timeout(timeout) {
        Ok(Ok(bytes)) if bytes.len() > FILE_BYTES => {
            Err(Miss::Failed(format!("it prints more than the limit of {FILE_BYTES} bytes")))
        }
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) => Err(Miss::Failed(error.to_string())),
        Err(RecvTimeoutError::Timeout) => Err(late(timeout)),
        Err(RecvTimeoutError::Disconnected) => Err(Miss::Failed("its reader ended".to_owned())),
    }
}

fn kill(mut child: Child) {
    // Both may find it gone already, which is as well.
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = child.kill();
    // In a thread, because a process that hangs in the kernel cannot be killed until it comes back.
    std::thread::spawn(move || child.wait());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_gets_no_environment_but_the_locale() {
        let printed = run(&["/usr/bin/env"], TIMEOUT).expect("env runs");
        assert_eq!(String::from_utf8(printed).expect("text"), "LC_ALL=C\n");
    }

    #[test]
    fn what_does_not_end_is_killed_with_its_children() {
        for script in ["sleep 100 & sleep 100", "exec >&-; sleep 100"] {
            let miss = run(&["/bin/sh", "-c", script], Duration::from_millis(200)).expect_err("killed");
            assert_eq!(miss, Miss::Failed("it took longer than 200 ms".to_owned()));
        }
    }

    #[test]
    fn what_prints_without_end_is_cut_off() {
        let miss = run(&["/bin/cat", "/dev/zero"], TIMEOUT).expect_err("too much");
        assert_eq!(miss, Miss::Failed(format!("it prints more than the limit of {FILE_BYTES} bytes")));
    }

    #[test]
    fn missing_and_failing_programs_are_told_apart() {
        assert_eq!(run(&["/nowhere/program"], TIMEOUT), Err(Miss::Absent));
        assert_eq!(run(&["/etc/passwd"], TIMEOUT), Err(Miss::Denied));
        let miss = run(&["/bin/false"], TIMEOUT).expect_err("fails");
        assert_eq!(miss, Miss::Failed("/bin/false ended with exit status: 1".to_owned()));
    }
}
