//! Probe `ports`: listening ports with their owners.

use super::{Every, Found, Os, Probe};
use crate::source::Source;
use shared::checkin::Problem;

/// The probe.
pub const PROBE: Probe = Probe {
    name: "ports",
    os: &[Os::Linux],
    every: Every::CheckIn,
    needs: "the owners of sockets of other users",
    mark: None,
    run,
};

fn run(_source: &dyn Source) -> Result<Found, Problem> {
    Ok(Found::default())
}
