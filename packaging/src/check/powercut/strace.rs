//! A program under strace, started as if it were the program itself. Does not know what is traced, or why.

use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::PermissionsExt;
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
    fs::write(&script, text).context("a script")?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).context("a script")?;
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
