//! What the service leaves for `status` to show: one small file, rewritten after each contact. Not synced:
//! a crash costs what a contact later is there again.

use crate::state::files::{self, FileError};
use serde::{Deserialize, Serialize};
use shared::checkin::Gap;
use shared::unit::At;
use std::path::Path;

/// The file is no larger than this, in bytes.
const STATUS_BYTES_MAX: usize = 64 * 1024;

/// How the service fares.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// When a contact last worked.
    pub last_contact: Option<At>,
    /// When a contact was last tried.
    pub last_try: Option<At>,
    /// What is wrong, in one line; absent while all is well.
    pub trouble: Option<String>,
    /// The collector will take nothing until a person decides.
    pub stopped: bool,
    /// Contacts that failed in a row.
    pub failures: u32,
    /// Seconds from one contact to the next.
    pub every_s: u32,
    /// Seconds by which this clock is ahead of the collector's.
    pub clock_ahead_s: Option<i64>,
    /// This is not the machine that the key was made on.
    pub moved: bool,
    /// Records that the collector refused, since enrollment.
    pub refused: u64,
    /// Records that were lost or folded and that no record told yet.
    pub untold: Option<Gap>,
}

impl Status {
    /// What the service left; the default if it never ran.
    pub fn load(state_dir: &Path) -> Status {
        let bytes = files::read(&state_dir.join("status.json"), STATUS_BYTES_MAX).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// Leaves it for `status`.
    ///
    /// # Errors
    /// The file could not be written.
    pub fn save(&self, state_dir: &Path) -> Result<(), FileError> {
        files::leave(&state_dir.join("status.json"), &serde_json::to_vec(self).unwrap_or_default())
    }
}
