//! Points in time. Amounts are plain integers whose unit stands in their field's name (`size_bytes`).

use serde::{Deserialize, Serialize};

/// A point in time: microseconds since 1970-01-01T00:00:00Z, as the database stores it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct At(pub i64);

/// Microseconds in one second.
pub const SECOND_US: i64 = 1_000_000;

impl At {
    /// From whole seconds since the epoch.
    pub fn from_secs(seconds: i64) -> At {
        At(seconds.saturating_mul(SECOND_US))
    }

    /// Whole seconds since the epoch, rounded down.
    pub fn secs(self) -> i64 {
        self.0.div_euclid(SECOND_US)
    }

    /// This moment moved by `seconds`, kept within what the type can hold.
    pub fn plus_secs(self, seconds: i64) -> At {
        At(self.0.saturating_add(seconds.saturating_mul(SECOND_US)))
    }

    /// Seconds from `earlier` to this moment; negative when it is the later one.
    pub fn secs_since(self, earlier: At) -> i64 {
        self.0.saturating_sub(earlier.0).div_euclid(SECOND_US)
    }
}
