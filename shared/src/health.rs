//! Typed facts: health readings.
//!
//! A reading says how one resource fares on one check: a value out of a total, in the check's unit. One that
//! could not be taken is a row without a value: nothing is known of it, and what it showed last stands. The
//! agent tells it again when it moved one step or crossed a threshold; whether that is a fault, only the
//! collector decides.

use crate::fact::Item;
use std::collections::BTreeMap;

/// Whether a section holds readings. Every health probe has a section of its own, so that one which fails
/// does not take the others' readings with it.
pub fn is_section(name: &str) -> bool {
    name.starts_with("health_")
}

/// Readings of filesystems.
const DISKS: &str = "health_disks";
/// Readings of units.
const SERVICES: &str = "health_services";
/// Readings of memory.
const MEMORY: &str = "health_memory";
/// Whether the machine waits for a restart.
const REBOOT: &str = "health_reboot";
/// What the agent itself costs.
pub const SECTION_SELF: &str = "health_self";
/// The section that the agent itself writes from the collector's clock, not by a probe.
pub const SECTION_CLOCK: &str = "health_clock";

/// One kind of check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Check {
    /// Its name: `disk_space` …
    pub name: &'static str,
    /// The section that tells of it, named after its probe: `health_disks` …
    pub section: &'static str,
    /// What `value` counts.
    pub unit: &'static str,
    /// The value from which on the agent tells at once, and the collector sees a fault.
    pub raise: i64,
    /// The value below which the fault has passed.
    pub clear: i64,
    /// How far a value must move to be told again.
    pub step: i64,
    /// What a person calls it.
    pub title: &'static str,
}

/// Every check that this version knows. One line adds one: name, section, unit, raise and clear, step, title.
pub const CHECKS: &[Check] = &[
    Check::new("disk_space", DISKS, "percent", (90, 85), 1, "Disk space"),
    Check::new("disk_inodes", DISKS, "percent", (90, 85), 1, "Inodes"),
    Check::new("failed_unit", SERVICES, "state", (1, 1), 1, "Unit failed"),
    Check::new("memory_pressure", MEMORY, "percent", (40, 20), 5, "Memory pressure"),
    Check::new("clock_skew", SECTION_CLOCK, "seconds", (300, 60), 30, "Clock skew"),
    Check::new("reboot_required", REBOOT, "state", (1, 1), 1, "Reboot required"),
    // What the agent may cost: 1 % of a core, 32 MiB. The others have room for odd machines.
    Check::new("agent_cpu", SECTION_SELF, "permille", (10, 5), 5, "Agent's own CPU"),
    Check::new("agent_memory", SECTION_SELF, "kib", (32_768, 24_576), 1024, "Agent's own memory"),
    Check::new("agent_peak", SECTION_SELF, "kib", (131_072, 98_304), 8192, "Agent's peak memory"),
    Check::new("agent_wakeups", SECTION_SELF, "per_hour", (7200, 3600), 600, "Agent's wake-ups"),
    Check::new("agent_sent", SECTION_SELF, "kib_per_hour", (16_384, 8192), 256, "Agent's traffic"),
    Check::new("agent_slowest_probe", SECTION_SELF, "ms", (10_000, 5000), 2500, "Agent's slowest probe"),
    Check::new("agent_probe", SECTION_SELF, "state", (1, 1), 1, "Agent's probe rests"),
];

impl Check {
    const fn new(
        name: &'static str,
        section: &'static str,
        unit: &'static str,
        (raise, clear): (i64, i64),
        step: i64,
        title: &'static str,
    ) -> Check {
        Check { name, section, unit, raise, clear, step, title }
    }
}

/// The check of that name.
pub fn check(name: &str) -> Option<&'static Check> {
    CHECKS.iter().find(|check| check.name == name)
}

/// The thresholds in [`CHECKS`], by name.
pub fn default_thresholds() -> BTreeMap<String, i64> {
    CHECKS.iter().map(|check| (check.name.to_owned(), check.raise)).collect()
}

/// How one resource fares on one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The check's name.
    pub check: String,
    /// Which resource: a mount point, a unit; empty where there is but one.
    pub resource: String,
    /// The value, in the check's unit.
    pub value: i64,
    /// Out of how much, in bytes or pieces, where that says something.
    pub total: Option<i64>,
    /// The resource's lasting identity where its name may be reused: a filesystem's UUID.
    pub identity: Option<String>,
    /// One line for people: what exactly is the matter.
    pub detail: Option<String>,
}

impl From<Reading> for Item {
    /// Key: `check:resource`.
    fn from(reading: Reading) -> Item {
        Item { size: reading.total, ..Item::new("reading", format!("{}:{}", reading.check, reading.resource)) }
            .with("value", Some(reading.value))
            .with("identity", reading.identity)
            .with("detail", reading.detail)
    }
}

/// How many pieces the total of a reading is, where it is no amount of bytes: inodes.
pub fn pieces(item: &Item) -> Option<i64> {
    Reading::from_item(item).filter(|reading| reading.check == "disk_inodes")?.total
}

/// The row of a reading that could not be taken: it has no value, and `why` says for what reason. It is neither
/// good nor bad, and the row must not be missing, because a missing one says that the resource is gone.
pub fn unread(check: &str, resource: &str, identity: Option<String>, why: &str) -> Item {
    Item::new("reading", format!("{check}:{resource}"))
        .with("identity", identity)
        .with("detail", Some(format!("it could not be read: {why}")))
}

/// Check and resource that a row tells of, with a value or without: the resource by its lasting identity
/// where its name may be reused.
pub fn subject(item: &Item) -> Option<(&str, &str)> {
    let (check, resource) = item.key.split_once(':')?;
    Some((check, item.text("identity").unwrap_or(resource)))
}

impl Reading {
    /// Reads an item of the section back; nothing of one that could not be taken.
    pub fn from_item(item: &Item) -> Option<Reading> {
        let (check, resource) = item.key.split_once(':')?;
        Some(Reading {
            check: check.to_owned(),
            resource: resource.to_owned(),
            value: item.int("value")?,
            total: item.size,
            identity: item.text("identity").map(str::to_owned),
            detail: item.text("detail").map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_survives_its_item() {
        let reading = Reading {
            check: "disk_space".into(),
            resource: "/srv/a:b".into(),
            value: 91,
            total: Some(1 << 40),
            identity: Some("uuid".into()),
            detail: None,
        };
        let item = Item::from(reading.clone());
        assert_eq!(subject(&item), Some(("disk_space", "uuid")));
        assert_eq!(Reading::from_item(&item), Some(reading));
    }

    #[test]
    fn a_reading_that_could_not_be_taken_has_no_value_and_the_same_subject() {
        let item = unread("disk_space", "/srv/a:b", None, "denied");
        assert_eq!((Reading::from_item(&item), subject(&item)), (None, Some(("disk_space", "/srv/a:b"))));
        let named = unread("disk_space", "/srv", Some("uuid".into()), "denied");
        assert_eq!(subject(&named), Some(("disk_space", "uuid")));
    }

    #[test]
    fn inodes_are_pieces_and_space_is_bytes() {
        let item = |check: &str| {
            Item { size: Some(7), ..Item::new("reading", format!("{check}:/")) }.with("value", Some(3_i64))
        };
        assert_eq!((pieces(&item("disk_inodes")), pieces(&item("disk_space"))), (Some(7), None));
        assert_eq!(pieces(&Item { size: Some(7), ..Item::new("disk", "disk_inodes:/") }), None);
    }

    #[test]
    fn a_check_clears_no_higher_than_it_raises_and_has_a_section() {
        for check in CHECKS {
            assert!(check.clear <= check.raise && check.step > 0, "{}", check.name);
            assert!(is_section(check.section), "{}", check.name);
        }
    }
}
