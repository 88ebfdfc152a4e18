//! Whether this is a container, whose kernel and hardware are its host's.
//!
//! Not a probe: `system` must not report the host's serials as its own, and `os` names the engine.

use crate::source::Source;

/// A container around the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// `docker`, `podman`, `lxc`, `systemd-nspawn`, `kubernetes`, `wsl` …; `other` where only the isolation shows.
    pub engine: String,
    /// The engine's id of it, if it can be seen from inside.
    pub id: Option<String>,
}

/// The container that the agent runs in, if it runs in one.
pub fn detect(_source: &dyn Source) -> Option<Container> {
    None
}
