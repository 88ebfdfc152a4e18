//! Room on the disk that is kept for the next identity: a certificate is renewed every few days, which takes
//! new files, and a disk may be full for longer than a certificate lives. The reserve is a file that is given
//! up when a write finds no room, and made again when there is some.
//!
//! Random bytes, because a file system that packs would keep nothing free for zeros. Not certain everywhere:
//! others may take what is given up first, and with snapshots (btrfs, ZFS) it may not become free at all.

use crate::state::files::{self, FileError};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Enough for key, certificate and grant on a file system with blocks of 16 KiB, in bytes.
const RESERVE_BYTES: usize = 64 * 1024;

/// The reserve of a state directory.
#[derive(Debug, Clone)]
pub struct Reserve {
    path: PathBuf,
}

impl Reserve {
    /// Where it is; it need not be there.
    pub fn new(state_dir: &Path) -> Reserve {
        Reserve { path: state_dir.join("reserve") }
    }

    /// Makes it unless it is there.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn keep(&self) -> Result<(), FileError> {
        let whole = u64::try_from(RESERVE_BYTES).unwrap_or(u64::MAX);
        if fs::metadata(&self.path).is_ok_and(|meta| meta.len() == whole) {
            return Ok(());
        }
        let mut bytes = vec![0; RESERVE_BYTES];
        getrandom::fill(&mut bytes)
            .map_err(|error| FileError::of(&self.path, "fill")(std::io::Error::other(error.to_string())))?;
        files::replace(&self.path, &bytes)
    }

    /// Writes something; where the disk is full, gives the reserve up and tries once more.
    ///
    /// # Errors
    /// The disk takes nothing all the same.
    pub fn write(&self, write: impl Fn() -> Result<(), FileError>) -> Result<(), FileError> {
        match write() {
            Err(error) if matches!(error.source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => {
                files::remove(&self.path)?;
                write()
            }
            written => written,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_takes_one_more_identity() {
        let dir = tempfile::tempdir().expect("a folder");
        let (reserve, file) = (Reserve::new(dir.path()), dir.path().join("reserve"));
        reserve.keep().expect("room");
        assert_eq!(fs::metadata(&file).expect("there").len(), 65_536);
        // A disk that is full while the reserve is there.
        let key = dir.path().join("next-key.pem");
        let write = || match file.exists() {
            true => Err(FileError::of(&key, "write")(ErrorKind::StorageFull.into())),
            false => files::replace(&key, b"key"),
        };
        reserve.write(write).expect("written");
        assert!(key.exists() && !file.exists());
        // Another trouble does not cost the reserve.
        reserve.keep().expect("room again");
        let denied = || Err(FileError::of(&key, "write")(ErrorKind::PermissionDenied.into()));
        reserve.write(denied).expect_err("denied");
        assert!(file.exists());
    }
}
