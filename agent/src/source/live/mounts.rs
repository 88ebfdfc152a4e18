//! Whether the mounts of this namespace are still those that were read. Does not know them.
//!
//! The kernel tells of each mount and unmount (poll(2) on `/proc/self/mountinfo`, proc_pid_mountinfo(5)). It does not
//! tell that a filesystem made itself read-only after an error: so they may differ without a word after the time in
//! which a report, which looks at them in any case, is usually due.

use crate::clock;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::fs::OFlags;
use std::cell::{Cell, OnceCell};
use std::time::Duration;

const FILE: &str = "/proc/self/mountinfo";
/// Longer than the usual interval of check-ins and its jitter.
const SILENT: Duration = Duration::from_secs(330);

/// Watches them from the first question on.
#[derive(Debug, Default)]
pub struct Mounts {
    file: OnceCell<Option<OwnedFd>>,
    /// When it was last said that they may differ.
    said: Cell<Option<Duration>>,
}

impl Mounts {
    /// Whether they may differ from when this last said so. Ask before they are read.
    pub fn may_differ(&self) -> bool {
        let now = clock::uptime();
        let changed = self.has_changed();
        let recent = self.said.get().is_some_and(|said| now.saturating_sub(said) < SILENT);
        if !changed && recent {
            return false;
        }
        self.said.set(Some(now));
        true
    }

    /// The kernel notes for each open file which change it has told.
    fn has_changed(&self) -> bool {
        let Some(file) = self.file.get_or_init(|| super::open(FILE, OFlags::empty()).ok()) else { return true };
        let mut asked = [PollFd::new(file, PollFlags::PRI)];
        match poll(&mut asked, Some(&Timespec::default())) {
            Ok(0) => false,
            // Something happened, or it cannot be known.
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_just_read_does_not_differ() {
        let mounts = Mounts::default();
        assert!(mounts.may_differ(), "nothing was read yet");
        // Others may mount and unmount meanwhile, but not each time.
        assert!((0..100).any(|_| !mounts.may_differ()));
        mounts.said.set(clock::uptime().checked_sub(SILENT));
        assert!(mounts.may_differ(), "they were silent for too long");
    }
}
