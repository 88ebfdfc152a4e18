//! The settings as they stand in the file: every key, its default, nothing checked yet.
//!
//! Adding a key is one field here, and one line in `config` that checks it. `short_times` is for tests: it
//! takes the lower bounds off intervals and lifetimes.

use super::{Error, nearest};
use crate::work::Policy;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// The top of the file.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct File {
    pub(super) state_dir: PathBuf,
    pub(super) agent_listen: SocketAddr,
    pub(super) web_listen: SocketAddr,
    pub(super) admin_socket: PathBuf,
    pub(super) names: Option<Vec<String>>,
    pub(super) agent_url: Option<String>,
    pub(super) enroll_url: Option<String>,
    pub(super) log: String,
    pub(super) short_times: bool,
    pub(super) agents: Agents,
    pub(super) faults: Faults,
    pub(super) limits: Limits,
}

/// `[agents]`
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Agents {
    pub(super) checkin_s: i64,
    pub(super) health_s: i64,
    pub(super) certificate_s: i64,
}

/// `[faults]`
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Faults {
    pub(super) reports: i64,
    pub(super) hold_s: i64,
    pub(super) clear_s: i64,
    pub(super) reopen_s: i64,
    pub(super) open_incidents: i64,
    pub(super) thresholds: BTreeMap<String, Threshold>,
}

/// `[faults.thresholds.<check>]`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Threshold {
    pub(super) raise: i64,
    pub(super) clear: i64,
}

/// `[limits]`
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Limits {
    pub(super) connections: i64,
    pub(super) per_address: i64,
    pub(super) checkin_burst: i64,
    pub(super) checkin_every_ms: i64,
    pub(super) checkins_a_second: i64,
    pub(super) refused_a_minute: i64,
}

impl Default for File {
    fn default() -> File {
        let any = |port| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
        File {
            state_dir: "/var/lib/muster".into(),
            agent_listen: any(8443),
            web_listen: any(8444),
            admin_socket: "/run/muster/admin.sock".into(),
            names: None,
            agent_url: None,
            enroll_url: None,
            log: "text".into(),
            short_times: false,
            agents: Agents::default(),
            faults: Faults::default(),
            limits: Limits::default(),
        }
    }
}

impl Default for Agents {
    fn default() -> Agents {
        let policy = Policy::default();
        Agents {
            checkin_s: policy.settings.checkin_s.into(),
            health_s: policy.settings.health_s.into(),
            certificate_s: policy.certificate_s,
        }
    }
}

impl Default for Faults {
    fn default() -> Faults {
        let policy = Policy::default();
        Faults {
            reports: policy.fault_reports.into(),
            hold_s: policy.fault_s,
            clear_s: policy.clear_s,
            reopen_s: policy.reopen_s,
            open_incidents: i64::try_from(policy.open_incidents).unwrap_or(i64::MAX),
            thresholds: BTreeMap::new(),
        }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 12_000,
            per_address: 64,
            checkin_burst: 10,
            checkin_every_ms: 10_000,
            checkins_a_second: 2000,
            refused_a_minute: 10,
        }
    }
}

/// Refuses a key that does not exist, with its whole name and the nearest one that does.
pub(super) fn known_keys(table: &toml::Table, origin: &str) -> Result<(), Error> {
    let known = keys();
    let names: Vec<&str> = known.iter().map(String::as_str).collect();
    for key in flat("", table) {
        if !names.contains(&key.as_str()) && !key.starts_with("faults.thresholds.") {
            let hint = nearest::hint(&key, &names);
            return Err(Error::UnknownKey { origin: origin.to_owned(), key, hint });
        }
    }
    Ok(())
}

/// Every key there is, from the fields above.
pub(super) fn keys() -> Vec<String> {
    let all = File {
        names: Some(vec![String::new()]),
        agent_url: Some(String::new()),
        enroll_url: Some(String::new()),
        ..File::default()
    };
    let mut keys = toml::Table::try_from(all).map(|table| flat("", &table)).unwrap_or_default();
    keys.push("faults.thresholds".into());
    keys
}

fn flat(prefix: &str, table: &toml::Table) -> Vec<String> {
    let mut keys = Vec::new();
    for (name, value) in table {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            toml::Value::Table(inner) => keys.extend(flat(&key, inner)),
            _ => keys.push(key),
        }
    }
    keys
}
