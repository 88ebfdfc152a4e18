//! The identity on disk, in the state directory, each file readable by its owner alone:
//!
//! | file | what |
//! | --- | --- |
//! | `identity.json` | who we are, where the collector is, which CA it has, when the certificate ends |
//! | `key.pem`, `cert.pem` | the key and certificate in use |
//! | `next-key.pem` | a key that was made and is not in use yet; it is on disk before anybody hears of it |
//! | `next-cert.pem`, `next.json` | what the collector granted to it; `next.json` is written last |
//!
//! The next becomes the current at its first success. Its key is renamed first: where `next.json` is there
//! and `next-key.pem` is not, that was interrupted, and opening finishes it. Knows no network.

use crate::exit::{Code, Fail};
use crate::key::Key;
use crate::machine::Fingerprint;
use crate::state::files::{self, FileError};
use crate::state::reserve::Reserve;
use serde::{Deserialize, Serialize};
use shared::enroll::Identity;
use shared::unit::At;
use std::fs;
use std::path::{Path, PathBuf};

/// An identity file is no larger than this, in bytes: a CA or two and some URLs.
const FILE_BYTES_MAX: usize = 256 * 1024;

/// The key in use.
const KEY: &str = "key.pem";
/// Everything that an identity leaves on disk: `seal` removes it.
const IDENTITY_FILES: &[&str] = &["next-key.pem", "next-cert.pem", "next.json", "key.pem", "cert.pem", "identity.json"];
/// What else belongs to the agent that was: its stream and what was told on it.
const STREAM_FILES: &[&str] =
    &["position", "spool", "spool.new", "sent.json", "status.json", "told", "refused", "reserve"];

/// An identity as it is stored; the key lies beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// What the collector granted.
    #[serde(flatten)]
    pub granted: Identity,
    /// When it was granted, by the collector's clock.
    pub granted_at: At,
    /// When to renew it, by the collector's clock.
    pub renew_at: At,
    /// The machine it was made on; empty until the first look at it.
    #[serde(default)]
    pub machine: Fingerprint,
    /// Of the next identity: the collector may have seen it, and then takes the one before for a copy.
    #[serde(default)]
    pub shown: bool,
}

/// An identity that can be shown: certificate and key.
#[derive(Clone)]
pub struct Usable {
    /// Who, where, until when.
    pub stored: Stored,
    /// The private key, PEM.
    pub key_pem: String,
}

/// Where identities are.
#[derive(Debug, Clone)]
pub struct Vault {
    dir: PathBuf,
}

/// The current identity or the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    Current,
    Next,
}

impl Which {
    fn names(self) -> [&'static str; 3] {
        match self {
            Which::Current => [KEY, "cert.pem", "identity.json"],
            Which::Next => ["next-key.pem", "next-cert.pem", "next.json"],
        }
    }
}

/// When to renew: at half of the lifetime, give or take a tenth of it; `random` spreads the fleet.
pub fn renew_at(granted_at: At, expires: At, random: u64) -> At {
    let life = i128::from(expires.0.saturating_sub(granted_at.0).max(0));
    let share = 400 + i128::from(random % 201);
    At(granted_at.0.saturating_add(i64::try_from(life * share / 1000).unwrap_or(0)))
}

impl Vault {
    /// The identities of a state directory; finishes a change that was interrupted.
    ///
    /// # Errors
    /// An interrupted change could not be finished.
    pub fn open(state_dir: &Path) -> Result<Vault, FileError> {
        let vault = Vault { dir: state_dir.to_owned() };
        if vault.is_interrupted() {
            vault.promote()?;
        }
        Ok(vault)
    }

    /// Whether the next identity has begun to be the current one: its key is, and its grant is not.
    fn is_interrupted(&self) -> bool {
        self.path("next.json").exists() && !self.path("next-key.pem").exists()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The identity in use; `None` before enrollment.
    ///
    /// # Errors
    /// It is there and cannot be read ([`Code::State`]).
    pub fn current(&self) -> Result<Option<Usable>, Fail> {
        self.load(Which::Current)
    }

    /// The identity that was granted and not used yet.
    ///
    /// # Errors
    /// As [`Vault::current`].
    pub fn next(&self) -> Result<Option<Usable>, Fail> {
        self.load(Which::Next)
    }

    fn load(&self, which: Which) -> Result<Option<Usable>, Fail> {
        let [key, _, json] = which.names();
        let text = match files::read(&self.path(json), FILE_BYTES_MAX) {
            Err(error) if error.is_absent() => return Ok(None),
            Err(error) => return Err(Fail::new(Code::State, error.to_string())),
            Ok(text) => text,
        };
        let stored = serde_json::from_slice(&text).map_err(|error| {
            let path = self.path(json);
            Fail::new(
                Code::State,
                format!("{}: damaged ({error}); run `muster-agent seal`, then enroll again", path.display()),
            )
        })?;
        let key =
            files::read(&self.path(key), FILE_BYTES_MAX).map_err(|error| Fail::new(Code::State, error.to_string()))?;
        Ok(Some(Usable { stored, key_pem: String::from_utf8_lossy(&key).into_owned() }))
    }

    /// The key for the next identity: the one on disk, so that a call whose answer was lost is repeated with
    /// the same key, or a new one that is on disk before this returns.
    ///
    /// # Errors
    /// No key could be made or written, or the one that is there cannot be read.
    pub fn next_key(&self) -> Result<Key, Fail> {
        let path = self.path("next-key.pem");
        if self.is_interrupted() {
            let json = self.path("next.json");
            let why = "what was granted is not in place yet; it is finished at the next start";
            return Err(Fail::new(Code::State, format!("{}: {why}", json.display())));
        }
        match files::read(&path, FILE_BYTES_MAX) {
            Ok(pem) => {
                if let Ok(key) = Key::from_pem(&String::from_utf8_lossy(&pem)) {
                    return Ok(key);
                }
            }
            Err(error) if error.is_absent() => {}
            // Another key would be another agent to the collector, which may have granted this one already.
            Err(error) => return Err(Fail::new(Code::State, error.to_string())),
        }
        files::make_dir(&self.dir).map_err(|error| Fail::new(Code::State, error.to_string()))?;
        let key = Key::generate().map_err(|error| Fail::new(Code::Failure, error.to_string()))?;
        let pem = key.to_pem();
        let written = self.reserve().write(|| files::replace(&path, pem.as_bytes()));
        written.map_err(|error| Fail::new(Code::State, error.to_string()))?;
        Ok(key)
    }

    /// Stores what was granted to the next key.
    ///
    /// # Errors
    /// It could not be written; the current identity is untouched.
    pub fn store_next(&self, stored: &Stored) -> Result<(), FileError> {
        let certificate = stored.granted.certificate.as_bytes();
        self.reserve().write(|| files::replace(&self.path("next-cert.pem"), certificate))?;
        self.update_next(stored)
    }

    /// Writes what is known of the next identity.
    ///
    /// # Errors
    /// It could not be written; what was known before stays.
    pub fn update_next(&self, stored: &Stored) -> Result<(), FileError> {
        self.reserve().write(|| files::replace(&self.path("next.json"), &json(stored)))
    }

    /// The room that is kept for the next identity.
    pub fn reserve(&self) -> Reserve {
        Reserve::new(&self.dir)
    }

    /// Makes the next identity the current one.
    ///
    /// # Errors
    /// A rename failed; opening the vault again finishes it.
    pub fn promote(&self) -> Result<(), FileError> {
        for (from, to) in Which::Next.names().into_iter().zip(Which::Current.names()) {
            match fs::rename(self.path(from), self.path(to)) {
                // It was renamed before the interruption.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                renamed => renamed.map_err(FileError::of(&self.path(to), "replace"))?,
            }
            // A disk may keep renames in any order, and a grant without its key is no identity.
            if to == KEY {
                files::sync_dir_of(&self.path(to))?;
            }
        }
        files::sync_dir_of(&self.path("identity.json"))
    }

    /// Forgets the next identity: the collector knows better.
    ///
    /// # Errors
    /// A file could not be removed.
    pub fn drop_next(&self) -> Result<(), FileError> {
        // The grant first, and durably: a grant without its key would look like an interrupted promotion.
        files::remove(&self.path("next.json"))?;
        files::sync_dir_of(&self.path("next.json"))?;
        ["next-cert.pem", "next-key.pem"].iter().try_for_each(|name| files::remove(&self.path(name)))
    }

    /// Writes what is known of the current identity.
    ///
    /// # Errors
    /// It could not be written; the old one stays.
    pub fn update(&self, stored: &Stored) -> Result<(), FileError> {
        files::replace(&self.path("identity.json"), &json(stored))
    }

    /// Removes stream and spool, which belong to the agent that was; the identity stays.
    ///
    /// # Errors
    /// A file could not be removed.
    pub fn forget_stream(&self) -> Result<(), FileError> {
        remove_all(&self.dir, STREAM_FILES)
    }

    /// Removes key, certificate, stream and spool: the machine is a golden image now. Names what was removed.
    ///
    /// # Errors
    /// A file could not be removed.
    pub fn seal(&self) -> Result<Vec<&'static str>, FileError> {
        let all = IDENTITY_FILES.iter().chain(STREAM_FILES).copied();
        let there = all.filter(|name| self.path(name).exists()).collect();
        // A crash while a key was written may have left it under another name.
        files::clear_temporaries(&self.dir);
        remove_all(&self.dir, IDENTITY_FILES)?;
        self.forget_stream()?;
        Ok(there)
    }
}

fn remove_all(dir: &Path, names: &[&str]) -> Result<(), FileError> {
    for name in names {
        let path = dir.join(name);
        if path.is_dir() {
            fs::remove_dir_all(&path).map_err(FileError::of(&path, "remove"))?;
        } else {
            files::remove(&path)?;
        }
    }
    if dir.exists() { files::sync_dir_of(&dir.join("position")) } else { Ok(()) }
}

fn json(stored: &Stored) -> Vec<u8> {
    // Serialising our own type into memory cannot fail.
    serde_json::to_vec_pretty(stored).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(generation: u64) -> Stored {
        let granted = Identity {
            agent: "0197c0de-0000-7000-8000-000000000001".parse().expect("an id"),
            generation,
            certificate: format!("certificate {generation}"),
            expires: At::from_secs(1000),
            server_ca: vec!["ca".into()],
            agent_url: "https://a".into(),
            enroll_url: "https://b".into(),
        };
        Stored { granted, granted_at: At(0), renew_at: At(1), machine: Fingerprint::default(), shown: false }
    }

    #[test]
    fn a_next_identity_becomes_current_even_if_interrupted_anywhere() {
        for renames in 0..=3 {
            let dir = tempfile::tempdir().expect("a folder");
            let vault = Vault::open(dir.path()).expect("opened");
            for generation in [1, 2] {
                let key = vault.next_key().expect("a key");
                assert_eq!(vault.next_key().expect("the same").to_pem(), key.to_pem());
                vault.store_next(&stored(generation)).expect("stored");
                if generation == 1 {
                    vault.promote().expect("promoted");
                }
            }
            let next = vault.next().expect("readable").expect("there");
            for (from, to) in Which::Next.names().into_iter().zip(Which::Current.names()).take(renames) {
                fs::rename(dir.path().join(from), dir.path().join(to)).expect("renamed");
            }
            // Another key would be a third identity's beside the second one's grant.
            assert_eq!(vault.next_key().is_err(), renames == 1 || renames == 2, "after {renames} renames");
            let vault = Vault::open(dir.path()).expect("opened");
            let current = vault.current().expect("readable").expect("there");
            assert_eq!(current.stored.granted.generation, if renames == 0 { 1 } else { 2 });
            if renames > 0 {
                assert_eq!(current.key_pem, next.key_pem);
                assert_eq!(fs::read_to_string(dir.path().join("cert.pem")).expect("there"), "certificate 2");
                assert!(vault.next().expect("readable").is_none());
            }
        }
    }

    #[test]
    fn a_key_that_cannot_be_read_is_not_replaced() {
        let dir = tempfile::tempdir().expect("a folder");
        let vault = Vault::open(dir.path()).expect("opened");
        fs::create_dir(dir.path().join("next-key.pem")).expect("what is no file");
        let fail = vault.next_key().err().expect("refused");
        assert_eq!(fail.code, Code::State);
        assert!(fail.text.contains("next-key.pem: cannot read"), "{fail}");
    }

    #[test]
    fn a_seal_leaves_nothing() {
        let dir = tempfile::tempdir().expect("a folder");
        let vault = Vault::open(dir.path()).expect("opened");
        vault.next_key().expect("a key");
        vault.store_next(&stored(1)).expect("stored");
        vault.promote().expect("promoted");
        fs::create_dir(dir.path().join("told")).expect("made");
        fs::write(dir.path().join("next-key.pem.0123456789abcdef.tmp"), "a key").expect("written");
        assert_eq!(vault.seal().expect("sealed"), ["key.pem", "cert.pem", "identity.json", "told"]);
        assert_eq!(fs::read_dir(dir.path()).expect("list").count(), 0);
    }

    #[test]
    fn renewal_is_at_half_of_the_lifetime_give_or_take_a_tenth() {
        let at = |random| renew_at(At::from_secs(1000), At::from_secs(2000), random).secs();
        assert_eq!((at(0), at(100), at(200), at(201)), (1400, 1500, 1600, 1400));
        assert_eq!(renew_at(At(5), At(3), 9), At(5));
    }
}
