//! Probes: each reads one kind of fact. A file here is a pure `parse_*` over text or bytes, then a few
//! lines that ask; no file knows which OS it runs on, opens anything itself or imports another probe.
//!
//! To add a probe: a new file, and a line in [`PROBES`].
//!
//! `arch`, `container`, `cpuinfo`, `jedec`, `mounts`, `placeholder`, `rtnetlink`, `smbios` and `udev` are no probes
//! but what several of them share: pure functions over a source, a text or bytes.

pub mod arch;
pub mod container;
pub mod cpu;
pub mod cpuinfo;
pub mod disks;
pub mod dpkg;
pub mod filesystems;
pub mod health_disks;
pub mod health_memory;
pub mod health_reboot;
pub mod health_self;
pub mod health_services;
pub mod jedec;
pub mod memory;
pub mod mounts;
pub mod network;
pub mod os;
pub mod placeholder;
pub mod ports;
pub mod rtnetlink;
pub mod services;
pub mod smbios;
pub mod system;
pub mod udev;
pub mod units;
pub mod users;

use crate::source::Source;
use shared::checkin::Problem;
use shared::fact::Item;

/// Operating systems that probes are made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Os {
    /// Linux.
    Linux,
}

/// How often a probe is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Every {
    /// At each health sample.
    Sample,
    /// At each check-in.
    CheckIn,
    /// Once an hour, and at start.
    Hour,
}

/// What a probe found. Holes are data: what could not be read is a problem beside the items that could.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    /// The section's items; keys are unique.
    pub items: Vec<Item>,
    /// What is missing, and why.
    pub problems: Vec<Problem>,
}

/// One part of the agent that reads one kind of fact, and the section of the same name.
pub struct Probe {
    /// Its name and its section's.
    pub name: &'static str,
    /// Where it makes sense.
    pub os: &'static [Os],
    /// How often it is due.
    pub every: Every,
    /// What it cannot tell without root, for people; empty where root tells no more.
    pub needs: &'static str,
    /// A cheap fingerprint of what the probe reads: while it stays the same, the probe need not run again.
    pub mark: Option<fn(&dyn Source) -> Option<String>>,
    /// Asks, parses, answers. An `Err` fails the section: nothing is known, the rows last seen stay.
    pub run: fn(&dyn Source) -> Result<Found, Problem>,
}

/// Every probe, in the order in which they run and are shown.
pub const PROBES: &[Probe] = &[
    system::PROBE,
    cpu::PROBE,
    memory::PROBE,
    disks::PROBE,
    filesystems::PROBE,
    network::PROBE,
    os::PROBE,
    users::PROBE,
    dpkg::PROBE,
    ports::PROBE,
    services::PROBE,
    health_disks::PROBE,
    health_services::PROBE,
    health_memory::PROBE,
    health_reboot::PROBE,
    health_self::PROBE,
];

/// The probe of that name.
pub fn find(name: &str) -> Option<&'static Probe> {
    PROBES.iter().find(|probe| probe.name == name)
}
