//! Free space: below the floor nothing more is taken from machines, so that people can still act.
//!
//! The ballast is a file that is there for nothing but to be removed when the floor is reached: the database, and
//! whoever puts things right, then have room even if something else fills the disk. Until there is room for it
//! again, nothing is taken from machines.

use rustix::fs::FallocateFlags;
use std::fs::{self, File};
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
    /// Where the ballast is, if one is kept.
    ballast: Option<PathBuf>,
    last: Option<(Instant, bool)>,
}

impl Floor {
    /// `bytes` must stay free on the disk of `directory`; by default 5 % of it, at least 4 MiB and at most 512.
    pub fn new(directory: PathBuf, bytes: Option<u64>) -> Floor {
        Floor { directory, bytes, ballast: None, last: None }
    }

    /// Keeps a ballast beside the database, from now on if there is room for it.
    pub fn keep_ballast(&mut self) {
        self.ballast = Some(self.directory.join(BALLAST));
        self.is_low();
    }

    /// Whether there is less space than must stay free. A disk that cannot be asked is not low: writing to it
    /// will tell.
    pub fn is_low(&mut self) -> bool {
        if let Some((at, low)) = self.last
            && at.elapsed() < Duration::from_millis(LOOK_MS)
        {
            return low;
        }
        let low = space(&self.directory).is_ok_and(|space| self.judge(space));
        self.last = Some((Instant::now(), low));
        low
    }

    /// Whether this is too little. Lets the ballast go, or keeps one again.
    fn judge(&mut self, space: Space) -> bool {
        let floor = self.bytes.unwrap_or(space.floor);
        let Some(path) = &self.ballast else { return space.free < floor };
        if ballast(&self.directory) > 0 {
            if space.free >= floor {
                return false;
            }
            match fs::remove_file(path) {
                Ok(()) => tracing::warn!("the disk is nearly full: the ballast was removed, agents are turned away"),
                Err(error) => tracing::error!(%error, path = %path.display(), "the ballast cannot be removed"),
            }
            return true;
        }
        if space.free >= floor.saturating_add(space.ballast.saturating_mul(2)) {
            if let Err(error) = fill(path, space.ballast) {
                tracing::warn!(%error, path = %path.display(), "no ballast is kept");
                self.ballast = None;
            }
            return false;
        }
        // Also after a restart: what the ballast gave back is for people.
        space.free < floor.saturating_add(space.ballast)
    }
}

/// The file's name.
const BALLAST: &str = "ballast";

/// Bytes of the ballast in this directory; 0 if there is none.
pub fn ballast(directory: &Path) -> u64 {
    fs::symlink_metadata(directory.join(BALLAST)).map_or(0, |metadata| metadata.len())
}

/// A file of which every block is really there. Nothing is left of one that did not become whole.
fn fill(path: &Path, bytes: u64) -> std::io::Result<()> {
    let file = File::create(path)?;
    let filled = rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, bytes.max(1));
    filled.map_err(|error| {
        // The first error says more than one of removing what it left.
        let _ = fs::remove_file(path);
        error.into()
    })
}

/// What is free on a disk, and what must be, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Free for those who are not root.
    pub free: u64,
    /// What must stay free where nothing else is set.
    pub floor: u64,
    /// What the ballast of this disk takes: 2 % of it, at most 64 MiB.
    pub ballast: u64,
}

/// The space on the disk that a directory is on.
///
/// # Errors
/// Those of statvfs(3).
pub fn space(directory: &Path) -> std::io::Result<Space> {
    let stat = rustix::fs::statvfs(directory)?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    let size = bytes(stat.f_blocks);
    Ok(Space { free: bytes(stat.f_bavail), floor: floor(size), ballast: (size / 50).min(64 * MIB) })
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
    fn the_ballast_goes_when_the_floor_is_reached_and_comes_back_with_room_for_it() {
        let place = tempfile::tempdir().expect("a directory");
        let held = || ballast(place.path());
        let mut floor = Floor::new(place.path().to_owned(), Some(100 * MIB));
        floor.ballast = Some(place.path().join(BALLAST));
        let mut free = |mib: u64| floor.judge(Space { free: mib * MIB, floor: 0, ballast: MIB });
        assert!(!free(101), "enough, but no room for a ballast");
        assert_eq!(held(), 0);
        assert!(!free(102));
        assert_eq!(held(), MIB);
        assert!(!free(100));
        assert!(free(99));
        assert_eq!(held(), 0);
        assert!(free(100), "what the ballast gave back is not for machines");
        assert!(!free(101));
        assert_eq!(held(), 0);
        assert!(!free(102));
        assert_eq!(held(), MIB);
    }

    #[test]
    fn a_disk_below_its_floor_is_low() {
        let here = std::env::temp_dir();
        assert!(Floor::new(here.clone(), Some(u64::MAX)).is_low());
        assert!(!Floor::new(here, Some(0)).is_low());
    }
}
