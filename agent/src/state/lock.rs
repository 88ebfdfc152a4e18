//! One agent at a time: whoever writes to the state directory holds its lock. Two that shared a stream would
//! make the same record numbers with different content, which is a fork, and a fork quarantines the machine.
//!
//! flock(2) on an empty file that is never removed: the kernel lets go of it when the process ends, however it
//! ends. Readers (`status`, `show`, `check`) take no lock.

use crate::exit::{Code, Fail};
use crate::state::files::{self, FileError};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The lock, held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of a state directory, which is made if it is not there.
    ///
    /// # Errors
    /// Another agent holds it, or the directory cannot be used ([`Code::State`]).
    pub fn take(dir: &Path) -> Result<Lock, Fail> {
        Lock::try_take(dir)?.ok_or_else(|| {
            let advice = "stop it first (`systemctl stop muster-agent`)";
            Fail::new(Code::State, format!("another agent uses {}; {advice}", dir.display()))
        })
    }

    /// As [`Lock::take`]; `None` while another agent holds it.
    ///
    /// # Errors
    /// The directory cannot be used ([`Code::State`]).
    pub fn try_take(dir: &Path) -> Result<Option<Lock>, Fail> {
        let fail = |error: FileError| Fail::new(Code::State, error.to_string());
        files::make_dir(dir).map_err(fail)?;
        let path = dir.join("lock");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&path).map_err(FileError::of(&path, "open")).map_err(fail)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Lock { _file: file })),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(errno) => Err(fail(FileError::of(&path, "lock")(errno.into()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time() {
        let dir = tempfile::tempdir().expect("a folder");
        let lock = Lock::take(dir.path()).expect("free");
        let fail = Lock::take(dir.path()).expect_err("taken");
        assert_eq!(fail.code, Code::State);
        assert!(fail.text.starts_with("another agent uses "), "{fail}");
        drop(lock);
        Lock::take(dir.path()).expect("free again");
    }
}
