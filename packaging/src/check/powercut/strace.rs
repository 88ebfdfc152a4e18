//! A program under strace, started as if it were the program itself. Does not know what is traced, or why.

use anyhow::{Context, Result, bail, ensure};
use std::ffi::OsString;
use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Until strace has written its last line.
const END: Duration = Duration::from_secs(60);
/// Between two looks at whether it has.
const LOOK: Duration = Duration::from_millis(20);
/// Enough of the end of a trace to see its last line, in bytes.
const TAIL_BYTES: i64 = 200;

/// Whether it is here, and may trace.
pub(in crate::check) fn is_here() -> bool {
    let mut probe = Command::new("strace");
    probe.args(["-D", "-f", "-o", "/dev/null", "true"]).stdout(Stdio::null()).stderr(Stdio::null());
    probe.status().is_ok_and(|status| status.success())
}

/// A script in `dir` that runs `binary` under strace with these options. The tracer is no parent of the program, so
/// that the process that was started is the program.
///
/// # Errors
/// The script cannot be written.
pub(in crate::check) fn wrap(binary: &Path, dir: &Path, options: &[OsString]) -> Result<PathBuf> {
    let quoted = |word: &std::ffi::OsStr| format!("'{}'", word.to_string_lossy().replace('\'', r"'\''"));
    let options: Vec<String> = options.iter().map(|option| quoted(option)).collect();
    let script = dir.join("traced");
    let text =
        format!("#!/bin/sh\nexec strace -D -f -q {} -- {} \"$@\"\n", options.join(" "), quoted(binary.as_os_str()));
    // By another process: one that other threads start meanwhile would inherit the open file for a moment, and what is
    // open for writing cannot be run (ETXTBSY of execve(2)).
    let mut write = Command::new("sh");
    write.args(["-c", r#"umask 077 && printf %s "$1" > "$0" && chmod 700 "$0""#]).arg(&script).arg(&text);
    let written = write.status().context("a script")?;
    ensure!(written.success(), "{} cannot be written", script.display());
    Ok(script)
}

/// Waits until the trace of a program that has ended is whole.
///
/// # Errors
/// It does not become whole in time.
pub(in crate::check) fn finished(log: &Path) -> Result<()> {
    let until = Instant::now() + END;
    let mut before = None;
    while Instant::now() < until {
        let mut file = fs::File::open(log).context("the trace")?;
        let length = file.metadata()?.len();
        let back = TAIL_BYTES.min(i64::try_from(length)?);
        let mut tail = Vec::new();
        file.seek(SeekFrom::End(-back))?;
        file.read_to_end(&mut tail)?;
        if tail.ends_with(b"+++\n") && before == Some(length) {
            return Ok(());
        }
        before = Some(length);
        crate::check::pause(LOOK);
    }
    bail!("strace did not end its log {}", log.display());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_can_be_run_while_others_are_written_and_started() {
        let place = tempfile::tempdir().expect("a directory");
        let run = |thread: usize| {
            for _ in 0..200 {
                let dir = place.path().join(thread.to_string());
                fs::create_dir_all(&dir).expect("a directory");
                let script = wrap(Path::new("true"), &dir, &[]).expect("a script");
                let mut started = Command::new(&script);
                started.env("PATH", "").stdout(Stdio::null()).stderr(Stdio::null());
                started.status().expect("it can be started");
                fs::remove_file(&script).expect("removed");
            }
        };
        std::thread::scope(|scope| (0..6).for_each(|thread| drop(scope.spawn(move || run(thread)))));
    }
}
