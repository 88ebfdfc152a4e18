//! `muster doctor`: looks at everything that a collector on this host needs, and says what to do.
//!
//! Reads only; works while the collector runs. Each check is a line; a failed one does not end the others.

use super::exit::{Code, Failure};
use super::offline::{self, Settings};
use super::output::{self, Column, Format};
use crate::clock;
use crate::config::Config;
use crate::pki::files::{AGENT_CA, DEPLOYMENT, SERVER_CA};
use crate::store::{OpenError, check, disk};
use clap::Args;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use shared::unit::At;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;

/// What `muster doctor` may be told.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  muster doctor\n  muster doctor --config /etc/muster/muster.toml --output json\n\nEnds with 1 where a check failed. Run it as the user of the collector, or as root."
)]
pub struct Doctor {
    #[command(flatten)]
    settings: Settings,
}

/// A certificate that ends within this time is worth a warning.
const SOON_S: i64 = 90 * 86_400;
/// Free space below so many times the floor is worth a warning.
const SOON_FLOORS: u64 = 2;
const MIB: u64 = 1024 * 1024;

const COLUMNS: &[Column] = &[("CHECK", "check"), ("STATE", "state"), ("FOUND", "found"), ("WHAT TO DO", "advice")];

/// How a check came out: what was found, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Found {
    Good(String),
    Warning(String, &'static str),
    Failed(String, String),
}

impl Found {
    fn failed(found: impl Into<String>, advice: impl Into<String>) -> Found {
        Found::Failed(found.into(), advice.into())
    }

    fn row(&self, check: &str) -> Value {
        let (state, found, advice) = match self {
            Found::Good(found) => ("ok", found.as_str(), ""),
            Found::Warning(found, advice) => ("warning", found.as_str(), *advice),
            Found::Failed(found, advice) => ("failed", found.as_str(), advice.as_str()),
        };
        json!({"check": check, "state": state, "found": found, "advice": advice})
    }
}

/// Runs the verb.
///
/// # Errors
/// [`Code::Failed`] if a check failed.
pub fn run(doctor: &Doctor, format: Format) -> Result<(), Failure> {
    let checks = match doctor.settings.read() {
        Ok(config) => checks(&config, clock::now()),
        Err(failure) => vec![("config", Found::failed(failure.message, "correct it; nothing else was looked at"))],
    };
    let rows: Vec<Value> = checks.iter().map(|(name, found)| found.row(name)).collect();
    output::list(format, COLUMNS, &rows)?;
    match checks.iter().filter(|(_, found)| matches!(found, Found::Failed(..))).count() {
        0 => Ok(()),
        failed => Err(Failure::new(Code::Failed, format!("{failed} of {} checks failed", checks.len()))),
    }
}

fn checks(config: &Config, now: At) -> Vec<(&'static str, Found)> {
    let pki = config.state_dir.join("pki");
    let mut checks = vec![
        ("config", Found::Good(format!("agents {}, web {}", config.agent_listen, config.web_listen))),
        ("collector", collector(&config.admin_socket)),
        ("state directory", state_dir(&config.state_dir)),
    ];
    if matches!(checks.last(), Some((_, Found::Failed(..)))) {
        return checks;
    }
    let ballast = disk::ballast(&config.state_dir);
    checks.push(("free space", disk::space(&config.state_dir).map_or_else(|e| denied(&e), |it| space(it, ballast))));
    checks.push(("database", database(&offline::database(config))));
    if matches!(fs::symlink_metadata(pki.join(DEPLOYMENT)), Err(error) if error.kind() == ErrorKind::NotFound) {
        checks.push(("keys", Found::Good("none yet; `muster serve` makes them".into())));
        return checks;
    }
    for (keys, end, file) in [
        ("keys of collectors", "certificates of collectors", SERVER_CA),
        ("keys of agents", "certificates of agents", AGENT_CA),
    ] {
        checks.push((keys, private(&pki.join(file))));
        checks.push((end, certificate(&pki.join(file), now)));
    }
    checks
}

fn collector(socket: &Path) -> Found {
    match UnixStream::connect(socket) {
        Ok(_) => Found::Good(format!("answers at {}", socket.display())),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            let advice = "run this as root or as a member of the group muster-admin";
            Found::Warning(format!("{}: {error}", socket.display()), advice)
        }
        Err(_) => Found::Good(format!("does not run (nobody at {})", socket.display())),
    }
}

fn state_dir(path: &Path) -> Found {
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_dir() => {
            Found::failed(format!("{} is not a directory", path.display()), "set state_dir to a directory")
        }
        Ok(metadata) => {
            let mode = metadata.permissions().mode() & 0o777;
            if let Err(error) = rustix::fs::access(path, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK) {
                return denied(&error.into());
            }
            match mode & 0o007 {
                0 => Found::Good(path.display().to_string()),
                _ => Found::Warning(format!("{} is open to all (mode {mode:o})", path.display()), "chmod 750"),
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let advice = "start `muster serve` once, create it for the user of muster, or set state_dir";
            Found::failed(format!("{}: is missing", path.display()), advice)
        }
        Err(error) => denied(&error),
    }
}

fn denied(error: &std::io::Error) -> Found {
    Found::failed(error.to_string(), "run this as the user of the collector, or as root")
}

fn space(space: disk::Space, ballast: u64) -> Found {
    let kept = match ballast {
        0 => "no ballast is kept".to_owned(),
        bytes => format!("{} MiB of ballast", bytes / MIB),
    };
    let text = format!("{} MiB free, {} MiB must stay free, {kept}", space.free / MIB, space.floor / MIB);
    if space.free < space.floor {
        return Found::failed(text, "free space: nothing is taken from agents until then");
    }
    if space.free < space.floor.saturating_mul(SOON_FLOORS) {
        return Found::Warning(text, "free space before agents are turned away");
    }
    Found::Good(text)
}

fn database(path: &Path) -> Found {
    match check::file(path) {
        Ok(findings) => match findings.as_slice() {
            [] => Found::Good("whole".into()),
            [first, more @ ..] => Found::failed(
                if more.is_empty() { first.to_string() } else { format!("{first}; and {} more", more.len()) },
                "keep a copy, then `muster backup restore` the last good backup",
            ),
        },
        Err(OpenError::Missing(_)) => Found::Good("none yet; `muster serve` makes it".into()),
        Err(error) => {
            let text = error.to_string();
            let (found, advice) = text.split_once("; ").unwrap_or((&text, "look at the file"));
            Found::failed(found, advice)
        }
    }
}

fn private(path: &Path) -> Found {
    match fs::symlink_metadata(path) {
        Ok(metadata) => mode(metadata.permissions().mode(), path),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Found::failed(format!("{} is missing", path.display()), "restore the folder pki from a backup")
        }
        Err(error) => denied(&error),
    }
}

fn mode(mode: u32, path: &Path) -> Found {
    match mode & 0o077 {
        0 => Found::Good("for their owner alone".into()),
        _ => Found::failed(
            format!("others may use the key (mode {:o})", mode & 0o777),
            format!("chmod 600 {}", path.display()),
        ),
    }
}

fn certificate(path: &Path, now: At) -> Found {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) => return denied(&error),
    };
    let advice = "restore the folder pki from a backup";
    let Ok(der) = CertificateDer::from_pem_slice(&text) else {
        return Found::failed(format!("{}: no certificate in it", path.display()), advice);
    };
    match x509_parser::parse_x509_certificate(&der) {
        Ok((_, certificate)) => end(certificate.validity().not_after.timestamp(), now),
        Err(error) => Found::failed(format!("{}: {error}", path.display()), advice),
    }
}

fn end(end_s: i64, now: At) -> Found {
    let day = jiff::Timestamp::from_second(end_s)
        .map_or_else(|_| end_s.to_string(), |time| time.strftime("%Y-%m-%d").to_string());
    if end_s <= now.secs() {
        return Found::failed(
            format!("ended on {day}"),
            "make a new authority: move pki away and enroll every agent again",
        );
    }
    if end_s - now.secs() < SOON_S {
        return Found::Warning(format!("end on {day}"), "plan a new authority: every agent will enroll again");
    }
    Found::Good(format!("until {day}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::Authority;

    fn state(found: &Found) -> String {
        found.row("x")["state"].as_str().unwrap_or_default().to_owned()
    }

    #[test]
    fn bounds_are_where_the_collector_has_them() {
        let at = |free| state(&space(disk::Space { free, floor: 100, ballast: 0 }, 0));
        assert_eq!([at(99), at(100), at(199), at(200)], ["failed", "warning", "warning", "ok"]);
        let now = At(1_700_000_000_000_000);
        let at = |after_s| state(&end(now.secs() + after_s, now));
        assert_eq!([at(0), at(1), at(SOON_S - 1), at(SOON_S)], ["failed", "warning", "warning", "ok"]);
        let at = |bits| state(&mode(bits, Path::new("key")));
        assert_eq!([at(0o100_600), at(0o400), at(0o640), at(0o604)], ["ok", "ok", "failed", "failed"]);
    }

    #[test]
    fn a_healthy_collector_is_told_from_one_with_open_keys_and_a_broken_database() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o750)).expect("a mode");
        let text = format!("state_dir = {0:?}\nadmin_socket = \"{1}/sock\"\n", folder.path(), folder.path().display());
        let config = crate::config::parse(&text, "test", |_| None).expect("settings");
        let states = || {
            let found = checks(&config, clock::now());
            let states = found.iter().filter(|(name, _)| *name != "free space");
            states.map(|(name, found)| format!("{name}: {}", state(found))).collect::<Vec<_>>()
        };
        assert_eq!(states(), ["config: ok", "collector: ok", "state directory: ok", "database: ok", "keys: ok"]);
        Authority::open(&folder.path().join("pki"), clock::now()).expect("an authority");
        drop(crate::store::open::writer(&folder.path().join("muster.db"), clock::now()).expect("a database"));
        assert!(states().iter().all(|line| line.ends_with(": ok")), "{:?}", states());
        let key = folder.path().join("pki").join(AGENT_CA);
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("a mode");
        fs::write(folder.path().join("muster.db"), "broken").expect("a file");
        let failed: Vec<_> = states().into_iter().filter(|line| line.ends_with("failed")).collect();
        assert_eq!(failed, ["database: failed", "keys of agents: failed"]);
    }
}
