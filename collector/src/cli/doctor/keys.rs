//! The authority's files: who may read them, when their certificates end, and where their rotation stands.

use super::found::Found;
use crate::pki::Error;
use crate::pki::rotation::{Phase, State};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use shared::unit::At;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// A root that ends within this time is worth a warning, in seconds: a rotation takes its time.
pub(super) const SOON_S: i64 = 365 * 86_400;
/// A rotation that is under way for longer is worth a warning, in seconds.
pub(super) const ROTATING_S: i64 = 30 * 86_400;
const RESTORE: &str = "restore the folder pki from a backup";

/// There is a register, and its keys are gone.
pub(super) fn lost(pki: &Path, database: &Path) -> Found {
    Found::fail(format!("{} is missing beside {}", pki.display(), database.display()), RESTORE)
}

/// Which roots count cannot be told.
pub(super) fn unreadable(error: &Error) -> Found {
    match error {
        Error::File { error, .. } => Found::denied(error),
        other => Found::fail(other.to_string(), RESTORE),
    }
}

/// Whether a rotation was left unfinished.
pub(super) fn rotation(state: &State, now: At) -> Found {
    let (phase, Some(since)) = (state.phase(), state.since) else { return Found::pass("never yet") };
    let told = format!("{} since {}", phase.name(), day(since.secs()));
    let next = format!("`muster ca show`, then `muster ca {}`", phase.following().name());
    match phase {
        Phase::Settled => Found::pass(told),
        Phase::Prepared if now.secs_since(since) > ROTATING_S => {
            Found::warn(told, format!("go on with it: {next}; or `muster ca abandon`"))
        }
        _ if now.secs_since(since) > ROTATING_S => Found::warn(told, format!("go on with it: {next}")),
        _ => Found::pass(format!("{told}; next: {next}")),
    }
}

fn day(at_s: i64) -> String {
    jiff::Timestamp::from_second(at_s).map_or_else(|_| at_s.to_string(), |time| time.strftime("%Y-%m-%d").to_string())
}

/// Whether a key is its owner's alone.
pub(super) fn private(path: &Path) -> Found {
    match fs::symlink_metadata(path) {
        Ok(metadata) => mode(metadata.permissions().mode(), path),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Found::fail(format!("{} is missing", path.display()), RESTORE)
        }
        Err(error) => Found::denied(&error),
    }
}

pub(super) fn mode(mode: u32, path: &Path) -> Found {
    match mode & 0o077 {
        0 => Found::pass("for their owner alone"),
        _ => Found::fail(
            format!("others may use the key (mode {:o})", mode & 0o777),
            format!("chmod 600 {}", path.display()),
        ),
    }
}

/// When the certificate in a file ends.
pub(super) fn certificate(path: &Path, now: At) -> Found {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) => return Found::denied(&error),
    };
    let Ok(der) = CertificateDer::from_pem_slice(&text) else {
        return Found::fail(format!("{}: no certificate in it", path.display()), RESTORE);
    };
    match x509_parser::parse_x509_certificate(&der) {
        Ok((_, certificate)) => {
            let validity = certificate.validity();
            life(validity.not_before.timestamp(), validity.not_after.timestamp(), now)
        }
        Err(error) => Found::fail(format!("{}: {error}", path.display()), RESTORE),
    }
}

pub(super) fn life(start_s: i64, end_s: i64, now: At) -> Found {
    if now.secs() < start_s {
        return Found::fail(
            format!("not good before {}", day(start_s)),
            "set this machine's clock: it is behind the day on which the certificate was made",
        );
    }
    if end_s <= now.secs() {
        return Found::fail(
            format!("ended on {}", day(end_s)),
            "make a new authority: move pki away and enroll every agent again",
        );
    }
    if end_s - now.secs() < SOON_S {
        let advice = "rotate the roots: `muster ca prepare`, or go on with it";
        return Found::warn(format!("end on {}", day(end_s)), advice);
    }
    Found::pass(format!("until {}", day(end_s)))
}
