//! The configuration: one TOML file, read once, checked once. Without a file the defaults hold.
//!
//! Knows which keys there are and their bounds. Does not know identities or secrets: none is ever here.

use crate::exit::{Code, Fail};
use crate::log::Level;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Where the configuration is unless `--config` names another place.
pub const DEFAULT_PATH: &str = "/etc/muster/agent.toml";

/// A configuration file is no larger than this, in bytes.
const CONFIG_BYTES_MAX: usize = 64 * 1024;

/// Everything that can be set on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where identity, spool and what was told are kept.
    pub state_dir: PathBuf,
    /// The tape on which the role *probe* tells what only root may read.
    pub root_tape: PathBuf,
    /// The least important log lines that are written: `error`, `warn`, `info`, `debug`.
    pub log: Level,
    /// Probes that do not run; their sections say so.
    pub disabled: Vec<String>,
    /// Seconds between check-ins, whatever the collector says: 1 to 86,400. Below 10 only a test makes sense.
    pub checkin_s: Option<u32>,
    /// Seconds between health samples, whatever the collector says: 1 to 3,600.
    pub health_s: Option<u32>,
    /// Bytes that the spool may take on disk: 1 MiB to 64 MiB.
    pub spool_bytes: u64,
    /// Records that the spool may hold: 10 to 10,000.
    pub spool_records: usize,
    /// An HTTP proxy to go through, `http://host:port`; the environment's is not used.
    pub proxy: Option<String>,
}

/// The keys, for suggestions.
pub(crate) const KEYS: &[&str] =
    &["state_dir", "root_tape", "log", "disabled", "checkin_s", "health_s", "spool_bytes", "spool_records", "proxy"];

impl Default for Config {
    fn default() -> Config {
        Config {
            state_dir: PathBuf::from("/var/lib/muster-agent"),
            root_tape: PathBuf::from("/run/muster-agent/root.tape"),
            log: Level::Info,
            disabled: Vec::new(),
            checkin_s: None,
            health_s: None,
            spool_bytes: shared::limit::SPOOL_BYTES,
            spool_records: shared::limit::SPOOL_RECORDS,
            proxy: None,
        }
    }
}

/// Reads the file named, or the default one if it is there.
///
/// # Errors
/// Exit code [`Code::Config`]: a named file is not there, a file is not readable, not TOML, has an unknown
/// key or a value out of bounds.
pub fn load(path: Option<&Path>) -> Result<Config, Fail> {
    let (path, must) = path.map_or((Path::new(DEFAULT_PATH), false), |path| (path, true));
    let bytes = match crate::state::files::read(path, CONFIG_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(error) if error.is_absent() && !must => return Ok(Config::default()),
        Err(error) => return Err(Fail::new(Code::Config, error.to_string())),
    };
    parse(&String::from_utf8_lossy(&bytes)).map_err(|why| Fail::new(Code::Config, format!("{}{why}", path.display())))
}

/// Reads a configuration's text. The error starts with `:LINE:` or `:` so that it may follow a path.
fn parse(text: &str) -> Result<Config, String> {
    let config: Config = toml::from_str(text).map_err(|error| explain(text, &error))?;
    check(&config)?;
    Ok(config)
}

fn explain(text: &str, error: &toml::de::Error) -> String {
    let start = error.span().map_or(0, |span| span.start).min(text.len());
    let line = text.as_bytes().iter().take(start).filter(|&&byte| byte == b'\n').count() + 1;
    let message = error.message().lines().next().unwrap_or_default();
    match message.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next()) {
        Some(key) => format!(":{line}: unknown key `{key}`; did you mean `{}`?", nearest(key, KEYS)),
        None => format!(":{line}: {message}; correct it, or remove the line for the default"),
    }
}

fn check(config: &Config) -> Result<(), String> {
    let within = |key: &str, value: Option<u64>, min: u64, max: u64| match value {
        Some(value) if value < min || value > max => Err(format!(": `{key}` is {value}; set it from {min} to {max}")),
        _ => Ok(()),
    };
    within("checkin_s", config.checkin_s.map(u64::from), 1, 86_400)?;
    within("health_s", config.health_s.map(u64::from), 1, 3600)?;
    within("spool_bytes", Some(config.spool_bytes), 1024 * 1024, shared::limit::SPOOL_BYTES)?;
    let records = u64::try_from(config.spool_records).unwrap_or(u64::MAX);
    within("spool_records", Some(records), 10, u64::try_from(shared::limit::SPOOL_RECORDS).unwrap_or(u64::MAX))?;
    for (key, path) in [("state_dir", &config.state_dir), ("root_tape", &config.root_tape)] {
        if !path.is_absolute() {
            return Err(format!(": `{key}` must be an absolute path"));
        }
    }
    if let Some(proxy) = config.proxy.as_deref().filter(|proxy| !proxy.starts_with("http://")) {
        return Err(format!(": `proxy` is {proxy:?}; it must look like http://host:port"));
    }
    for name in &config.disabled {
        if crate::probes::find(name).is_none() {
            return Err(format!(": `disabled` names no probe: {name:?}; did you mean {:?}?", nearest_probe(name)));
        }
    }
    Ok(())
}

/// The probe whose name is most like the one given.
pub fn nearest_probe(name: &str) -> String {
    let names: Vec<&str> = crate::probes::PROBES.iter().map(|probe| probe.name).collect();
    nearest(name, &names).to_owned()
}

fn nearest<'a>(name: &str, names: &[&'a str]) -> &'a str {
    names.iter().copied().min_by_key(|known| distance(name, known)).unwrap_or_default()
}

/// Edits (insert, remove, replace one byte) from one word to the other; words are cut at 64 bytes.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (&a.as_bytes()[..a.len().min(64)], &b.as_bytes()[..b.len().min(64)]);
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut above_left = i;
        let mut left = i + 1;
        for (cell, y) in row.iter_mut().skip(1).zip(b) {
            let here = (above_left + usize::from(x != y)).min(left + 1).min(*cell + 1);
            above_left = std::mem::replace(cell, here);
            left = here;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_is_the_default() {
        assert_eq!(parse("").expect("valid"), Config::default());
    }

    #[test]
    fn a_whole_file() {
        let config =
            parse("state_dir = \"/x\"\nlog = \"debug\"\ndisabled = [\"users\"]\ncheckin_s = 10\n").expect("valid");
        assert_eq!((config.log, config.checkin_s), (Level::Debug, Some(10)));
        assert_eq!(config.disabled, ["users"]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line_and_the_remedy() {
        for (text, expected) in [
            ("log = \"info\"\nspool_byte = 1\n", ":2: unknown key `spool_byte`; did you mean `spool_bytes`?"),
            ("statedir = \"/x\"", ":1: unknown key `statedir`; did you mean `state_dir`?"),
            ("checkin_s = 0", ": `checkin_s` is 0; set it from 1 to 86400"),
            ("state_dir = \"x\"", ": `state_dir` must be an absolute path"),
            ("disabled = [\"user\"]", ": `disabled` names no probe: \"user\"; did you mean \"users\"?"),
        ] {
            assert_eq!(parse(text).expect_err(text), expected);
        }
        let not_toml = parse("a\nb = = 1").expect_err("not TOML");
        assert!(not_toml.starts_with(":1: "), "{not_toml}");
        let wrong_type = parse("\nlog = \"loud\"").expect_err("no such level");
        assert!(wrong_type.starts_with(":2: ") && wrong_type.contains("loud"), "{wrong_type}");
    }

    #[test]
    fn a_named_file_must_be_there() {
        let fail = load(Some(Path::new("/nonexistent/agent.toml"))).expect_err("not there");
        assert_eq!(fail.code, Code::Config);
        assert!(fail.text.starts_with("/nonexistent/agent.toml: cannot read"), "{fail}");
    }
}
