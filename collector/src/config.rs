//! The settings of `muster serve`.

use crate::work::Policy;

/// Every setting, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// What admins may set for the rules.
    pub policy: Policy,
    /// Base URL of the agents' port, for join files.
    pub agent_url: String,
    /// Base URL of the web and enroll port, for join files.
    pub enroll_url: String,
}
