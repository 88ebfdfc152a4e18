//! Free space: below the floor nothing more is taken from machines, so that people can still act.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a look at the disk is believed, in milliseconds.
const LOOK_MS: u64 = 1_000;
const MIB: u64 = 1024 * 1024;

/// The floor of the disk that the database is on.
#[derive(Debug)]
pub struct Floor {
    directory: PathBuf,
    /// Bytes that must stay free; none: by the size of the disk.
    bytes: Option<u64>,
    last: Option<(Instant, bool)>,
}

impl Floor {
    /// `bytes` must stay free on the disk of `directory`; by default 5 % of it, at least 4 MiB and at most 512.
    pub fn new(directory: PathBuf, bytes: Option<u64>) -> Floor {
        Floor { directory, bytes, last: None }
    }

    /// Whether there is less space than must stay free. A disk that cannot be asked is not low: writing to it
    /// will tell.
    pub fn is_low(&mut self) -> bool {
        if let Some((at, low)) = self.last
            && at.elapsed() < Duration::from_millis(LOOK_MS)
        {
            return low;
        }
        let low = space(&self.directory).is_ok_and(|space| space.free < self.bytes.unwrap_or(space.floor));
        self.last = Some((Instant::now(), low));
        low
    }
}

/// What is free on a disk, and what must be, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Free for those who are not root.
    pub free: u64,
    /// What must stay free where nothing else is set.
    pub floor: u64,
}

/// The space on the disk that a directory is on.
///
/// # Errors
/// Those of statvfs(3).
pub fn space(directory: &Path) -> std::io::Result<Space> {
    let stat = rustix::fs::statvfs(directory)?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    Ok(Space { free: bytes(stat.f_bavail), floor: floor(bytes(stat.f_blocks)) })
}

fn floor(size: u64) -> u64 {
    (size / 20).clamp(4 * MIB, 512 * MIB)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_follows_the_size_of_the_disk() {
        assert_eq!(floor(10 * MIB), 4 * MIB);
        assert_eq!(floor(1000 * MIB), 50 * MIB);
        assert_eq!(floor(1024 * 1024 * MIB), 512 * MIB);
    }

    #[test]
    fn a_disk_below_its_floor_is_low() {
        let here = std::env::temp_dir();
        assert!(Floor::new(here.clone(), Some(u64::MAX)).is_low());
        assert!(!Floor::new(here, Some(0)).is_low());
    }
}
