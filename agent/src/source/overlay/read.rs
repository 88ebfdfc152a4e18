//! Reads a tape that root wrote, and trusts nothing about the file: it must be a regular one of root's that nobody
//! else can write to, reached through no link, and no larger than root makes it.

use crate::source::tape::Tape;
use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// A root tape is no larger, in bytes.
pub const BYTES: usize = 1024 * 1024;

/// Which tape is there: root writes each into a file of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version(u64, i64, u64, i64);

/// The version of the tape that is there, if one is.
pub fn version(path: &Path) -> Option<Version> {
    let stat = rustix::fs::lstat(path).ok()?;
    Some(Version(stat.st_ino, stat.st_mtime, stat.st_mtime_nsec, stat.st_size))
}

/// The tape; `None` where there is no file.
///
/// # Errors
/// Why it is not to be trusted or understood.
pub fn tape(path: &Path) -> Result<Option<Tape>, String> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let fd = match rustix::fs::openat(CWD, path, flags, Mode::empty()) {
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        Err(Errno::LOOP) => return Err("it is a link".to_owned()),
        Err(errno) => return Err(errno.to_string()),
        Ok(fd) => fd,
    };
    let stat = rustix::fs::fstat(&fd).map_err(|errno| errno.to_string())?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err("it is no regular file".to_owned());
    }
    if stat.st_uid != 0 || stat.st_mode & 0o022 != 0 {
        return Err("others than root can write to it".to_owned());
    }
    let limit = u64::try_from(BYTES).unwrap_or(u64::MAX);
    // One more, so that its end is met without another buffer.
    let mut bytes = Vec::with_capacity(usize::try_from(stat.st_size).unwrap_or(BYTES).min(BYTES) + 1);
    File::from(fd).take(limit + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() > BYTES {
        return Err(format!("it is larger than {BYTES} bytes"));
    }
    let text = String::from_utf8(bytes).map_err(|_| "it is no text".to_owned())?;
    Tape::parse(&text).map(Some).map_err(|error| error.to_string())
}
