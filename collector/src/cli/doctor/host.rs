//! What this machine gives the collector: the state directory, space, addresses, the clock.

use super::found::Found;
use crate::config::Config;
use crate::serve::ADDRESSES;
use crate::store::disk;
use serde_json::Value;
use shared::unit::At;
use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

/// Free space below so many times the floor is worth a warning.
pub(super) const SOON_FLOORS: u64 = 2;
/// A file that is so much younger than now was written under another clock, in seconds.
pub(super) const AHEAD_S: i64 = 60;
/// How long a port may take to answer.
const ANSWER: Duration = Duration::from_secs(2);
const MIB: u64 = 1024 * 1024;

/// The state directory.
pub(super) fn state_dir(path: &Path) -> Found {
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_dir() => {
            Found::fail(format!("{} is not a directory", path.display()), "set state_dir to a directory")
        }
        Ok(metadata) => {
            let mode = metadata.permissions().mode() & 0o777;
            if let Err(error) = rustix::fs::access(path, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK) {
                return Found::denied(&error.into());
            }
            match mode & 0o007 {
                0 => Found::pass(path.display().to_string()),
                _ => {
                    let advice = format!("chmod 750 {}", path.display());
                    Found::warn(format!("{} is open to all (mode {mode:o})", path.display()), advice)
                }
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let advice = "start `muster serve` once, create it for the user of muster, or set state_dir";
            Found::fail(format!("{} is missing", path.display()), advice)
        }
        Err(error) => Found::denied(&error),
    }
}

/// Free space, against the floor under which nothing is taken from agents.
pub(super) fn space(space: &disk::Space, ballast: u64) -> Found {
    let kept = match ballast {
        0 => "no ballast is kept".to_owned(),
        bytes => format!("{} MiB of ballast", bytes / MIB),
    };
    // Without the ballast, its room must stay free as well.
    let floor = if ballast > 0 { space.floor } else { space.floor.saturating_add(space.ballast) };
    let text = format!("{} MiB free, {} MiB must stay free, {kept}", space.free / MIB, floor / MIB);
    if space.free < floor {
        return Found::fail(text, "free space: nothing is taken from agents until then");
    }
    if space.free < floor.saturating_mul(SOON_FLOORS) {
        return Found::warn(text, "free space before agents are turned away");
    }
    Found::pass(text)
}

/// The addresses that a collector which runs has taken; port 0 in the settings is another one each time.
pub(super) fn bound(config: &Config) -> [SocketAddr; 2] {
    let text = fs::read(config.state_dir.join(ADDRESSES)).unwrap_or_default();
    let told: Value = serde_json::from_slice(&text).unwrap_or_default();
    let of = |name: &str, set: SocketAddr| told[name].as_str().and_then(|text| text.parse().ok()).unwrap_or(set);
    [of("agents", config.agent_listen), of("web", config.web_listen)]
}

/// A port of a collector that runs: it must answer.
pub(super) fn answers(address: SocketAddr) -> Found {
    let mut there = address;
    match address.ip() {
        IpAddr::V4(any) if any.is_unspecified() => there.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(any) if any.is_unspecified() => there.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    match TcpStream::connect_timeout(&there, ANSWER) {
        Ok(_) => Found::pass(format!("{address} answers")),
        Err(error) => Found::fail(
            format!("{address} does not answer: {error}"),
            "look at this machine's packet filter, then at the collector's log",
        ),
    }
}

/// A port of a collector that does not run: it must be free.
pub(super) fn is_free(key: &str, address: SocketAddr) -> Found {
    match TcpListener::bind(address) {
        Ok(_) if address.port() == 0 => Found::pass("any free port"),
        Ok(_) => Found::pass(format!("{address} is free")),
        Err(error) => {
            let advice = match error.kind() {
                ErrorKind::AddrInUse => format!("stop the program that has it, or set another {key}"),
                ErrorKind::PermissionDenied => format!("set {key} to a port above 1023, or allow this one to muster"),
                _ => format!("set {key} to an address that this machine has"),
            };
            Found::fail(format!("{address}: {error}"), advice)
        }
    }
}

/// The clock, against the last time at which the database was written.
pub(super) fn clock(database: &Path, now: At) -> Found {
    let written = fs::metadata(database).and_then(|metadata| metadata.modified()).ok();
    let written_s = written
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .and_then(|since| i64::try_from(since.as_secs()).ok());
    ahead(written_s.unwrap_or_default(), now)
}

pub(super) fn ahead(written_s: i64, now: At) -> Found {
    let time =
        |at_s: i64| jiff::Timestamp::from_second(at_s).map_or_else(|_| at_s.to_string(), |time| time.to_string());
    if written_s - now.secs() > AHEAD_S {
        return Found::warn(
            format!("{} is before {}, when the database was last written", time(now.secs()), time(written_s)),
            "set the clock and keep it right (chrony, systemd-timesyncd): certificates and presence go by it",
        );
    }
    Found::pass(time(now.secs()))
}
