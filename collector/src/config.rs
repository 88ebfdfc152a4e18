//! The settings of `muster serve`: one struct, validated once, before anything is opened.
//!
//! Works without a file. A key that does not exist is refused by name, with the nearest one that does. A few
//! keys may be set by the environment, which wins over the file. Knows: keys, bounds, defaults. Does not know:
//! what the settings are used for.

mod file;
mod nearest;

use crate::work::Policy;
use file::File;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

/// Where the settings are when nothing else is said.
pub const PATH: &str = "/etc/muster/muster.toml";
/// A file of settings is small.
const FILE_BYTES: u64 = 1024 * 1024;

/// Keys that the environment may set.
pub const ENVIRONMENT: &[(&str, &str)] = &[
    ("MUSTER_STATE_DIR", "state_dir"),
    ("MUSTER_AGENT_LISTEN", "agent_listen"),
    ("MUSTER_WEB_LISTEN", "web_listen"),
    ("MUSTER_ADMIN_SOCKET", "admin_socket"),
];

/// Every setting, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Database, authority, addresses.
    pub state_dir: PathBuf,
    /// Where agents come in.
    pub agent_listen: SocketAddr,
    /// Where people, tools and enrolling agents come in.
    pub web_listen: SocketAddr,
    /// Where admins of this host come in.
    pub admin_socket: PathBuf,
    /// What this collector is called from outside: names and addresses in its certificate, and in `Host`.
    pub names: Vec<String>,
    /// Base URL of the agents' port, for join files.
    pub agent_url: String,
    /// Base URL of the web and enroll port, for join files.
    pub enroll_url: String,
    /// How log lines are written.
    pub log: Log,
    /// What admins may set for the rules.
    pub policy: Policy,
    /// Bounds on connections and rates.
    pub limits: Limits,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Log {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Bounds on connections and rates that differ between places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections of all kinds.
    pub connections: usize,
    /// Connections from one address on the web and enroll port.
    pub per_address: usize,
    /// Check-ins of one agent that may come at once.
    pub checkin_burst: u32,
    /// Milliseconds after which one more may come; 0 is no bound.
    pub checkin_every_ms: u32,
    /// Check-ins of all agents in a second; 0 is no bound.
    pub checkins_a_second: u32,
    /// Refused enrollments a minute from one neighbourhood; 0 is no bound.
    pub refused_a_minute: u32,
}

/// Why the settings are refused: one line that names the key.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("{}: {error}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It is not TOML.
    #[error("{origin}: {what}")]
    Malformed {
        /// The file, or the name of an environment variable.
        origin: String,
        /// What and where.
        what: String,
    },
    /// There is no such key.
    #[error("{origin}: unknown key `{key}`{hint}")]
    UnknownKey {
        /// The file.
        origin: String,
        /// With its tables: `limits.burst`.
        key: String,
        /// `; did you mean …?`
        hint: String,
    },
    /// The value is not right.
    #[error("{origin}: {key}: {why}")]
    Value {
        /// The file.
        origin: String,
        /// With its tables.
        key: String,
        /// What would be right.
        why: String,
    },
}

/// Reads the settings: the file (which may be missing only where it was not asked for), then the environment.
///
/// # Errors
/// [`Error`].
pub fn read(asked: Option<&Path>, env: impl Fn(&str) -> Option<String>) -> Result<Config, Error> {
    let path = asked.unwrap_or(Path::new(PATH));
    let unreadable = |error| Error::Unreadable { path: path.to_owned(), error };
    let text = match std::fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && asked.is_none() => String::new(),
        Err(error) => return Err(unreadable(error)),
        Ok(metadata) if metadata.len() > FILE_BYTES => {
            return Err(unreadable(io::Error::other(format!("larger than {FILE_BYTES} bytes"))));
        }
        Ok(_) => std::fs::read_to_string(path).map_err(unreadable)?,
    };
    parse(&text, &path.display().to_string(), env)
}

/// Makes settings of a text and the environment.
///
/// # Errors
/// [`Error`].
pub fn parse(text: &str, origin: &str, env: impl Fn(&str) -> Option<String>) -> Result<Config, Error> {
    let mut table: toml::Table = text.parse().map_err(|error| malformed(origin, &error))?;
    file::known_keys(&table, origin)?;
    for (variable, key) in ENVIRONMENT {
        if let Some(value) = env(variable) {
            table.insert((*key).to_owned(), toml::Value::String(value));
        }
    }
    let file: File = table.try_into().map_err(|error| malformed(origin, &error))?;
    check(file).map_err(|(key, why)| Error::Value { origin: origin.to_owned(), key: key.to_owned(), why })
}

fn malformed(origin: &str, error: &toml::de::Error) -> Error {
    let what = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    Error::Malformed { origin: origin.to_owned(), what }
}

type Wrong = (&'static str, String);

fn check(file: File) -> Result<Config, Wrong> {
    let names = names(file.names)?;
    let first = names.iter().find(|name| !name.starts_with("*."));
    let url = |key, given: Option<String>, listen: SocketAddr| match given {
        None => match first {
            Some(name) => Ok(format!("https://{}:{}", bracketed(name), listen.port())),
            None => Err((key, "must be set where all `names` begin with *.".to_owned())),
        },
        Some(url) if url.starts_with("https://") && !url.ends_with('/') => Ok(url),
        Some(_) => Err((key, "must be like https://host:port, without a slash at the end".to_owned())),
    };
    Ok(Config {
        agent_url: url("agent_url", file.agent_url, file.agent_listen)?,
        enroll_url: url("enroll_url", file.enroll_url, file.web_listen)?,
        policy: policy(file.agents, file.faults, file.short_times)?,
        limits: limits(file.limits)?,
        log: match file.log.as_str() {
            "text" => Log::Text,
            "json" => Log::Json,
            _ => return Err(("log", "must be \"text\" or \"json\"".into())),
        },
        state_dir: absolute("state_dir", file.state_dir)?,
        admin_socket: absolute("admin_socket", file.admin_socket)?,
        agent_listen: file.agent_listen,
        web_listen: file.web_listen,
        names,
    })
}

fn absolute(key: &'static str, path: PathBuf) -> Result<PathBuf, Wrong> {
    if path.is_absolute() { Ok(path) } else { Err((key, "must be an absolute path".into())) }
}

fn names(given: Option<Vec<String>>) -> Result<Vec<String>, Wrong> {
    let names = given.unwrap_or_else(|| {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let host = if is_name(&host) { host } else { "localhost".to_owned() };
        vec![host, "localhost".into(), "127.0.0.1".into(), "::1".into()]
    });
    if names.is_empty() || names.len() > 64 {
        return Err(("names", "must hold 1 to 64 host names or addresses".into()));
    }
    match names.iter().find(|name| name.parse::<IpAddr>().is_err() && !is_name(name)) {
        Some(wrong) => Err(("names", format!("{wrong:?} is neither a host name nor an address"))),
        None => Ok(names.into_iter().map(|name| name.to_ascii_lowercase()).collect()),
    }
}

/// A host name as of RFC 1123, or `*.` before one.
fn is_name(name: &str) -> bool {
    let name = name.strip_prefix("*.").unwrap_or(name);
    let label = |label: &str| {
        let inner = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        (1..=63).contains(&label.len()) && inner && !label.starts_with('-') && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

fn bracketed(name: &str) -> String {
    if name.contains(':') { format!("[{name}]") } else { name.to_owned() }
}

fn limits(file: file::Limits) -> Result<Limits, Wrong> {
    let number = |key: &'static str, value: i64, least: i64, most: i64| {
        within(key, value, least, most).map(|value| usize::try_from(value).unwrap_or(usize::MAX))
    };
    let small = |key, value, least, most| number(key, value, least, most).map(|n| u32::try_from(n).unwrap_or(u32::MAX));
    Ok(Limits {
        connections: number("limits.connections", file.connections, 16, 1_000_000)?,
        per_address: number("limits.per_address", file.per_address, 1, 1_000_000)?,
        checkin_burst: small("limits.checkin_burst", file.checkin_burst, 1, 1_000_000)?,
        checkin_every_ms: small("limits.checkin_every_ms", file.checkin_every_ms, 0, 86_400_000)?,
        checkins_a_second: small("limits.checkins_a_second", file.checkins_a_second, 0, 1_000_000)?,
        refused_a_minute: small("limits.refused_a_minute", file.refused_a_minute, 0, 1_000_000)?,
    })
}

fn policy(agents: file::Agents, faults: file::Faults, short: bool) -> Result<Policy, Wrong> {
    let least = |seconds: i64| if short { 1 } else { seconds };
    let seconds = |key, value: i64, from: i64, to: i64| within(key, value, least(from), to);
    let mut policy = Policy {
        certificate_s: seconds("agents.certificate_s", agents.certificate_s, 3600, 90 * 86_400)?,
        fault_s: seconds("faults.hold_s", faults.hold_s, 60, 86_400)?,
        clear_s: seconds("faults.clear_s", faults.clear_s, 60, 86_400)?,
        reopen_s: seconds("faults.reopen_s", faults.reopen_s, 60, 30 * 86_400)?,
        ..Policy::default()
    };
    let small = |value: i64| u32::try_from(value).unwrap_or(u32::MAX);
    policy.fault_reports = small(within("faults.reports", faults.reports, 1, 100)?);
    policy.open_incidents =
        usize::try_from(within("faults.open_incidents", faults.open_incidents, 1, 1000)?).unwrap_or(usize::MAX);
    policy.settings.checkin_s = small(seconds("agents.checkin_s", agents.checkin_s, 10, 86_400)?);
    policy.settings.health_s = small(seconds("agents.health_s", agents.health_s, 5, 3600)?);
    policy.thresholds = thresholds(faults.thresholds)?;
    for (check, (raise, _)) in &policy.thresholds {
        policy.settings.thresholds.insert(check.clone(), *raise);
    }
    Ok(policy)
}

fn thresholds(given: BTreeMap<String, file::Threshold>) -> Result<BTreeMap<String, (i64, i64)>, Wrong> {
    let mut thresholds = BTreeMap::new();
    for (name, threshold) in given {
        if shared::health::check(&name).is_none() {
            let known: Vec<&str> = shared::health::CHECKS.iter().map(|check| check.name).collect();
            return Err(("faults.thresholds", format!("there is no check {name:?}{}", nearest::hint(&name, &known))));
        }
        if threshold.clear > threshold.raise {
            return Err(("faults.thresholds", format!("{name}: clear must not be above raise")));
        }
        thresholds.insert(name, (threshold.raise, threshold.clear));
    }
    Ok(thresholds)
}

fn within(key: &'static str, value: i64, least: i64, most: i64) -> Result<i64, Wrong> {
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    Err((key, format!("{value} is out of bounds: {least} to {most}")))
}

#[cfg(test)]
mod tests;
