//! What comes into the core from outside: the moment, where ids come from, and what admins may set.

use sha2::{Digest as _, Sha256};
use shared::unit::At;
use std::collections::BTreeMap;
use uuid::Uuid;

/// Makes ids: UUIDv7 whose random part is a hash of a seed from outside and a counter.
#[derive(Debug, Clone)]
pub struct Fresh {
    now: At,
    seed: [u8; 16],
    made: u64,
}

impl Fresh {
    /// Ids of this moment. `seed` is 16 random bytes from outside, or fixed in a test.
    pub fn new(now: At, seed: [u8; 16]) -> Fresh {
        Fresh { now, seed, made: 0 }
    }

    /// The next id.
    pub fn uuid(&mut self) -> Uuid {
        let mut hasher = Sha256::new_with_prefix(self.seed);
        hasher.update(self.made.to_be_bytes());
        self.made += 1;
        let hash = hasher.finalize();
        let mut random = [0; 10];
        random.copy_from_slice(&hash[..10]);
        let millis = u64::try_from(self.now.0.div_euclid(1000)).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }
}

/// What comes in from outside the core.
#[derive(Debug, Clone)]
pub struct Context {
    /// The collector's clock.
    pub now: At,
    /// Where ids come from.
    pub fresh: Fresh,
    /// What admins may set.
    pub policy: Policy,
}

/// What admins may set. Every default is what `muster serve` uses without a config file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Settings that agents are to hold.
    pub settings: shared::checkin::Settings,
    /// How long a certificate of an agent lives, in seconds (7 days).
    pub certificate_s: i64,
    /// Reports in a row that make a fault hold.
    pub fault_reports: u32,
    /// Seconds after which it holds with fewer reports.
    pub fault_s: i64,
    /// Seconds of good readings after which it has passed with fewer than `fault_reports` good reports.
    pub clear_s: i64,
    /// Seconds within which the same fault reopens its incident.
    pub reopen_s: i64,
    /// Raise and clear values per check that differ from the shipped ones.
    pub thresholds: BTreeMap<String, (i64, i64)>,
    /// Automatic incidents per asset that may be open.
    pub open_incidents: usize,
    /// Automatic incidents per asset that may be opened within 24 hours.
    pub day_incidents: usize,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            settings: shared::checkin::Settings::default(),
            certificate_s: 7 * 86_400,
            fault_reports: 2,
            fault_s: 600,
            clear_s: 900,
            reopen_s: 86_400,
            thresholds: BTreeMap::new(),
            open_incidents: 10,
            day_incidents: 20,
        }
    }
}
