//! The live source with root's tape laid over it, for an agent that is not root.
//!
//! Knows where a live answer comes first, and where the sandbox of a service lies ([`Rooted`]). Every other
//! question goes to the machine alone. A tape of another boot, or older than three hours, or that others than
//! root could have written, counts for nothing: what it would tell is then denied, as without it. It is
//! read when the first answer is wanted and let go of when the look is over. Only the mounts, which every sample asks
//! for, are kept for as long as neither they nor the tape changed.

mod lay;
mod read;

use super::rooted::{self, Rooted};
use super::tape::Tape;
use super::{Answer, Ask, Miss, Source};
use crate::log;
use std::cell::{Ref, RefCell};
use std::path::PathBuf;

pub use read::BYTES as TAPE_BYTES;
use read::Version;

/// A tape may be so old, in seconds. It is made every hour, and may fail once.
const AGE_SECONDS_MAX: f64 = 3.0 * 3600.0;
/// This boot.
pub const BOOT: &str = "/proc/sys/kernel/random/boot_id";
/// Seconds since this boot, suspension included: no clock that people set.
pub const UPTIME: &str = "/proc/uptime";
/// What a user namespace maps.
const UID_MAP: &str = "/proc/self/uid_map";
const OWN_MOUNTS: &str = "/proc/self/mountinfo";
/// Bytes of mounts that are kept; more are made anew for each look.
const MOUNTS_BYTES: usize = 64 * 1024;

/// The machine, and what root told of it.
pub struct Overlay {
    live: Box<dyn Source>,
    file: PathBuf,
    /// `None`: not read for this look.
    held: RefCell<Option<Result<Tape, String>>>,
    /// Why there was no tape when that was last logged.
    said: RefCell<Option<String>>,
    /// Whether the mounts may differ from when this was last asked.
    mounts_differ: Box<dyn Fn() -> bool>,
    mounts: RefCell<Option<Mounts>>,
    /// This namespace's own, for one look: several probes ask for them.
    own: RefCell<Option<Vec<u8>>>,
}

/// The host's mounts, and the tape that they were made with.
struct Mounts {
    version: Version,
    bytes: Vec<u8>,
}

impl Overlay {
    /// Lays the tape in `file`, which need not be there, over `live`.
    pub fn new(live: Box<dyn Source>, file: PathBuf) -> Overlay {
        let (held, said, mounts, own) =
            (RefCell::default(), RefCell::default(), RefCell::default(), RefCell::default());
        Overlay { live, file, held, said, mounts, own, mounts_differ: Box::new(|| true) }
    }

    /// Keeps the host's mounts until `differ` says that they may be others.
    #[must_use]
    pub fn keep_mounts(self, differ: impl Fn() -> bool + 'static) -> Overlay {
        Overlay { mounts_differ: Box::new(differ), ..self }
    }

    fn tape(&self) -> Ref<'_, Option<Result<Tape, String>>> {
        if self.held.borrow().is_none() {
            let tape = read::tape(&self.file).and_then(|tape| match tape {
                Some(tape) => judge(&tape, &*self.live).map(|()| tape),
                None => Err("it is not there".to_owned()),
            });
            self.say(tape.as_ref().err());
            *self.held.borrow_mut() = Some(tape);
        }
        self.held.borrow()
    }

    /// Once for each reason.
    fn say(&self, why: Option<&String>) {
        let mut said = self.said.borrow_mut();
        if let Some(why) = why.filter(|why| said.as_ref() != Some(why)) {
            log::info(&format!("{}: {why}; what only root may read is not told", self.file.display()));
        }
        *said = why.cloned();
    }

    fn told(&self, ask: &Ask) -> Option<Answer> {
        match self.tape().as_ref() {
            Some(Ok(tape)) => tape.answer(ask)?.clone().ok(),
            _ => None,
        }
    }

    /// The live answer; root's, if it is hidden from us.
    fn hidden(&self, ask: &Ask) -> Result<Answer, Miss> {
        match self.live.get(ask) {
            Err(miss @ (Miss::Denied | Miss::Absent)) => self.told(ask).ok_or(miss),
            other => other,
        }
    }

    fn mounts(&self, ask: &Ask) -> Result<Answer, Miss> {
        // In this order: what changes after it was asked makes the next answer another one.
        let (differ, version) = ((self.mounts_differ)(), read::version(&self.file));
        let mut kept = self.mounts.borrow_mut();
        if let Some(kept) = kept.as_ref().filter(|kept| !differ && Some(kept.version) == version) {
            return Ok(Answer::Bytes(kept.bytes.clone()));
        }
        *kept = None;
        match self.hidden(ask) {
            Ok(Answer::Bytes(roots)) if self.live.get(ask).is_err() => {
                *self.own.borrow_mut() = None;
                let bytes = lay::mounts(&self.own_mounts()?, &roots);
                if let Some(version) = version.filter(|_| bytes.len() <= MOUNTS_BYTES) {
                    *kept = Some(Mounts { version, bytes: bytes.clone() });
                }
                Ok(Answer::Bytes(bytes))
            }
            other => other,
        }
    }

    fn own_mounts(&self) -> Result<Vec<u8>, Miss> {
        let mut held = self.own.borrow_mut();
        if let Some(bytes) = held.as_ref() {
            return Ok(bytes.clone());
        }
        let bytes = self.live.file(OWN_MOUNTS)?;
        *held = Some(bytes.clone()).filter(|bytes| bytes.len() <= MOUNTS_BYTES);
        Ok(bytes)
    }

    fn sockets(&self, ask: &Ask) -> Result<Answer, Miss> {
        match self.live.get(ask) {
            Ok(Answer::Bytes(own)) if !is_whole(&*self.live) => match self.told(ask) {
                Some(Answer::Bytes(roots)) => Ok(Answer::Bytes(lay::sockets(&own, &roots))),
                _ => Ok(Answer::Bytes(own)),
            },
            other => other,
        }
    }

    /// Those of our own, and where the others are hidden, those that root saw.
    fn processes(&self, ask: &Ask) -> Result<Answer, Miss> {
        match self.live.get(ask)? {
            Answer::Names(mut names) if !names.iter().any(|name| name == "1") => {
                if let Some(Answer::Names(roots)) = self.told(ask) {
                    names.extend(roots);
                    names.sort_unstable();
                    names.dedup();
                }
                Ok(Answer::Names(names))
            }
            other => Ok(other),
        }
    }
}

impl Source for Overlay {
    fn get(&self, ask: &Ask) -> Result<Answer, Miss> {
        match Rooted::of(ask) {
            None if matches!(ask, Ask::File(path) if path == OWN_MOUNTS) => self.own_mounts().map(Answer::Bytes),
            None => self.live.get(ask),
            Some(Rooted::Firmware | Rooted::Closed | Rooted::Process) => self.hidden(ask),
            Some(Rooted::Mounts) => self.mounts(ask),
            Some(Rooted::Sockets) => self.sockets(ask),
            Some(Rooted::Processes) => self.processes(ask),
        }
    }

    fn rest(&self) {
        *self.held.borrow_mut() = None;
        *self.own.borrow_mut() = None;
    }

    fn renew(&self) {
        *self.mounts.borrow_mut() = None;
    }

    fn is_whole(&self) -> bool {
        matches!(*self.tape(), Some(Ok(_)))
    }

    fn told_version(&self) -> Option<String> {
        read::version(&self.file).map(|version| format!("{version:?}"))
    }
}

/// Whether every user has a number here (user_namespaces(7)).
fn is_whole(live: &dyn Source) -> bool {
    let map = live.text(UID_MAP).unwrap_or_default();
    map.is_empty() || map.split_ascii_whitespace().nth(2) == Some("4294967295")
}

/// Whether a tape is of this boot and young enough.
fn judge(tape: &Tape, live: &dyn Source) -> Result<(), String> {
    let tape: &dyn Source = tape;
    if tape.text(BOOT).is_err() || tape.text(BOOT) != live.text(BOOT) {
        return Err("it is of another boot".to_owned());
    }
    let uptime = |source: &dyn Source| -> Option<f64> {
        source.text(UPTIME).ok()?.split_ascii_whitespace().next()?.parse().ok().filter(|at: &f64| at.is_finite())
    };
    match (uptime(tape), uptime(live)) {
        (Some(made), Some(now)) if (0.0..=AGE_SECONDS_MAX).contains(&(now - made)) => Ok(()),
        (Some(_), Some(_)) => Err("it is older than three hours; does muster-agent-probe.timer run?".to_owned()),
        _ => Err("it does not say when it was made".to_owned()),
    }
}

/// The path of the table of mounts, for the recording.
pub const MOUNTS: &str = rooted::MOUNTS;

#[cfg(test)]
mod tests;
