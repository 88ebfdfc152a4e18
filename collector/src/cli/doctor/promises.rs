//! What this machine and these settings make of the promises: one that is void here is a warning that says why.

use super::found::Found;
use crate::cli::offline::LAST_BACKUP;
use crate::config::Config;
use crate::serve::ADDRESSES;
use crate::store::{check, disk, scrub};
use rustix::process::{Resource, getrlimit};
use serde_json::Value;
use shared::unit::At;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// A backup that is older is worth a warning, in seconds.
pub(super) const BACKUP_S: i64 = 7 * 86_400;
/// A scrub that is older was missed, in seconds.
pub(super) const SCRUB_S: i64 = 2 * 86_400;
/// Files that are open beside connections.
const FILES: u64 = 64;
const DAY_S: i64 = 86_400;

/// Filesystems on which an acknowledged write may be gone, or locks do not hold: linux/magic.h, and what is wrong.
const DOUBTFUL: &[(u32, &str, &str)] = &[
    (0x0102_1994, "tmpfs", "lives in memory: all is gone when this machine ends"),
    (0x8584_58f6, "ramfs", "lives in memory: all is gone when this machine ends"),
    (0x794c_7630, "overlay", "belongs to a container: all is gone with it"),
    (0x6969, "nfs", "is on the network: locks and the log of the database are not safe there"),
    (0x517b, "smb", "is on the network: locks and the log of the database are not safe there"),
    (0xff53_4d42, "cifs", "is on the network: locks and the log of the database are not safe there"),
    (0xfe53_4d42, "smb2", "is on the network: locks and the log of the database are not safe there"),
];

/// All of them. Before there is a database nothing is promised yet.
pub(super) fn all(config: &Config, database: &Path, now: At) -> Vec<(&'static str, Found)> {
    let mut checks = vec![("filesystem", filesystem(&config.state_dir)), ("open files", files(config))];
    if fs::metadata(database).is_ok_and(|found| found.len() > 0) {
        checks.extend([
            ("journal", journal(database)),
            ("scrub", scrubbed(scrub::last(database).as_ref(), now)),
            ("ballast", ballast(disk::ballast(&config.state_dir))),
            ("backup", backup(database, now)),
        ]);
    }
    checks
}

fn filesystem(state_dir: &Path) -> Found {
    match rustix::fs::statfs(state_dir) {
        // The kernel's numbers have 32 bits, its field more on some machines.
        Ok(found) => kind(u32::try_from(found.f_type & 0xffff_ffff).unwrap_or_default()),
        Err(error) => Found::denied(&error.into()),
    }
}

pub(super) fn kind(magic: u32) -> Found {
    match DOUBTFUL.iter().find(|(doubtful, ..)| *doubtful == magic) {
        Some((_, name, why)) => Found::warn(
            format!("nothing is durable: the state directory's {name} {why}"),
            "put state_dir on a local disk",
        ),
        None => Found::pass("a local one, as far as the kernel tells"),
    }
}

/// How many files the collector may have open: that of the one that runs, else of this user.
fn files(config: &Config) -> Found {
    let told: Value =
        serde_json::from_slice(&fs::read(config.state_dir.join(ADDRESSES)).unwrap_or_default()).unwrap_or_default();
    let running = told["pid"].as_u64().and_then(|pid| fs::read_to_string(format!("/proc/{pid}/limits")).ok());
    let limit = match running.as_deref().and_then(open_files) {
        Some(limit) => limit,
        None => getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX),
    };
    room(limit, u64::try_from(config.limits.connections).unwrap_or(u64::MAX))
}

/// `Max open files            1024                 524288               files` of proc(5): the soft limit.
pub(super) fn open_files(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

pub(super) fn room(limit: u64, connections: u64) -> Found {
    if limit >= connections.saturating_add(FILES) {
        return Found::pass(format!("room for {connections} connections"));
    }
    Found::warn(
        format!("{limit} files may be open, too few for {connections} connections (limits.connections)"),
        format!("set LimitNOFILE={} for the service, or lower limits.connections", connections.saturating_add(FILES)),
    )
}

/// Every commit is synced to the log; that there is one is kept in the file.
fn journal(database: &Path) -> Found {
    match check::journal_mode(database) {
        Ok(mode) if mode == "wal" => Found::pass("wal, synced at each commit"),
        Ok(mode) => Found::warn(
            format!(
                "the database was set to journal_mode {mode} by another program: reads and writes wait for each other"
            ),
            "start muster once: it sets it right",
        ),
        // The check of the database says it.
        Err(_) => Found::pass("not looked at: the database cannot be read"),
    }
}

pub(super) fn scrubbed(last: Option<&scrub::Scrubbed>, now: At) -> Found {
    match last {
        None => Found::pass("none yet; a collector that runs reads all through once a day"),
        Some(last) => match last.findings.as_slice() {
            [first, ..] => Found::fail(
                format!("agents are turned away, damage was found: {first}"),
                "keep a copy, then `muster backup restore` the last good backup",
            ),
            [] if now.secs_since(last.at) > SCRUB_S => Found::warn(
                format!("damage is not found: all was last read through {} days ago", now.secs_since(last.at) / DAY_S),
                "keep the collector running; `muster doctor --deep` reads all now",
            ),
            [] => Found::pass("all was read through within two days"),
        },
    }
}

pub(super) fn ballast(bytes: u64) -> Found {
    match bytes {
        0 => Found::warn(
            "a full disk leaves people no room: no ballast is kept",
            "free space; the collector keeps one again when there is room",
        ),
        _ => Found::pass("kept"),
    }
}

/// How old the last backup is that was made here, and whether it lies on a disk of its own.
fn backup(database: &Path, now: At) -> Found {
    let told: Value =
        serde_json::from_slice(&fs::read(database.with_file_name(LAST_BACKUP)).unwrap_or_default()).unwrap_or_default();
    let (Some(file), Some(at)) = (told["file"].as_str().map(Path::new), told["at"].as_i64().map(At)) else {
        return aged(None, now);
    };
    let device = |path: &Path| fs::metadata(path).map(|found| found.dev());
    match (device(file), device(database)) {
        (Ok(copy), Ok(held)) if copy == held && now.secs_since(at) <= BACKUP_S => Found::warn(
            format!("one disk that dies takes both: {} is on the filesystem of the database", file.display()),
            "copy it, its .sha256 and the keys to another machine or disk",
        ),
        // Moved away since, as it should be, or not for this user to see.
        _ => aged(Some(at), now),
    }
}

pub(super) fn aged(at: Option<At>, now: At) -> Found {
    let advice = "`muster backup create FILE --keys FOLDER`, once a day by a timer";
    match at.map(|at| now.secs_since(at)) {
        None => Found::warn("a disk that dies takes all: no backup was made", advice),
        Some(age_s) if age_s > BACKUP_S => {
            Found::warn(format!("a disk that dies takes {} days: the last backup is so old", age_s / DAY_S), advice)
        }
        Some(_) => Found::pass("younger than 7 days"),
    }
}
