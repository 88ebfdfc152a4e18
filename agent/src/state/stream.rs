//! The stream of records from this agent to its collector: what was told, what waits, how far it got. Keeps
//! disk and memory in step, in an order that survives a crash between any two steps: whole sections, record
//! into the spool, position; and the position again before anything is sent. What a crash takes, the collector
//! asks for, because its root differs then.
//!
//! Knows no network and no clock.

use crate::collect::Sections;
use crate::exit::{Code, Fail};
use crate::log;
use crate::probes;
use crate::settle::{Readings, Thresholds};
use crate::state::files::{self, FileError};
use crate::state::lock::Lock;
use crate::state::position::{Position, PositionFile};
use crate::state::spool::{Kept, Quota, Spool, fold};
use crate::state::told::ToldStore;
use crate::sync::Sync;
use shared::checkin::{Answer, CheckIn, Gap, Record};
use shared::digest::Digest;
use shared::unit::At;
use shared::{evidence, health};
use std::path::{Path, PathBuf};

/// Refused records that are kept for people to look at; older ones are removed.
const REFUSED_MAX: usize = 16;

/// The stream.
pub struct Stream {
    dir: PathBuf,
    sync: Sync,
    readings: Readings,
    told: ToldStore,
    spool: Spool,
    position: Position,
    file: PositionFile,
    /// Missing records that no record told yet.
    untold: Option<Gap>,
    /// The position in memory is ahead of the one on disk.
    behind: bool,
    /// Nobody else makes records of this stream.
    _lock: Lock,
}

/// How much waits and how much was lost, for `status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// Records in the spool.
    pub records: usize,
    /// Bytes of the spool's file.
    pub bytes: u64,
}

impl Stream {
    /// Opens the stream of a state directory, or starts a new one if there is none or it is damaged.
    /// `untold` is what the last run knew to be missing.
    ///
    /// # Errors
    /// The state directory cannot be used, or another agent uses it ([`Code::State`]).
    pub fn open(dir: &Path, quota: Quota, now: At, untold: Option<Gap>) -> Result<Stream, Fail> {
        let fail = |error: FileError| Fail::new(Code::State, error.to_string());
        let lock = Lock::take(dir)?;
        files::clear_temporaries(dir);
        if files::is_open_to_others(dir) {
            let advice = "keys and inventory lie there; `chmod 700` closes it";
            log::warn(&format!("{}: others than its owner may look into it: {advice}", dir.display()));
        }
        let (file, position) = PositionFile::open(&dir.join("position")).map_err(fail)?;
        let told = ToldStore::new(dir);
        let acknowledged = position.map_or(0, |position| position.acknowledged);
        let mut spool = Spool::open(&dir.join("spool"), quota, acknowledged).map_err(fail)?;
        let (mut sync, mut readings, mut behind) = (Sync::default(), Readings::default(), false);
        let position = match position {
            Some(position) => {
                let (known, forgotten) = told.load_known(is_told).map_err(fail)?;
                for part in known {
                    sync.remember(&part);
                    readings.remember(&part.section, part.put.iter().flatten());
                }
                if forgotten {
                    // A record that names every section lets go of the others at the collector too.
                    sync.want(&["*".to_owned()]);
                }
                position
            }
            None => {
                spool.clear();
                told.clear().map_err(fail)?;
                let position = Position { stream: Digest(new_stream()?), ..Position::default() };
                // On a full disk the agent starts all the same, and nothing is sent until it can be written.
                if let Err(error) = file.write(&position) {
                    log::error(&format!("{error}; nothing is sent until it can be written"));
                    behind = true;
                }
                position
            }
        };
        // A file that was synced is no use without its name: a power cut would take all that waits.
        files::sync_dir_of(&dir.join("position")).map_err(fail)?;
        let dir = dir.to_owned();
        let mut stream = Stream { dir, sync, readings, told, spool, position, file, untold, behind, _lock: lock };
        stream.find_losses(now);
        Ok(stream)
    }

    /// Records that were made and are neither here nor at the collector: their disk was full or is damaged.
    fn find_losses(&mut self, now: At) {
        let known = self.spool.last_seq().unwrap_or(0).max(self.position.acknowledged);
        let lost = self.position.made.saturating_sub(known);
        if self.spool.cut_bytes() > 0 {
            log::warn(&format!("spool: cut {} damaged bytes off its end", self.spool.cut_bytes()));
        }
        if lost > 0 {
            log::warn(&format!("spool: {lost} records are lost; the next one will say so"));
            self.is_missing(Gap { records: lost, from: now, to: now, reason: "damaged".into() });
        }
        self.position.made = self.position.made.max(known);
    }

    fn is_missing(&mut self, gap: Gap) {
        self.untold = Some(match self.untold.take() {
            Some(before) => fold::gaps(before, gap),
            None => gap,
        });
    }

    /// Missing records that no record told yet.
    pub fn untold(&self) -> Option<&Gap> {
        self.untold.as_ref()
    }

    /// What waits.
    pub fn waiting(&self) -> Waiting {
        Waiting { records: self.spool.len(), bytes: self.spool.file_bytes() }
    }

    /// How far the stream got.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The root digest of all that was told.
    pub fn root(&self) -> Digest {
        self.sync.root()
    }

    /// Whether the collector asked for this section.
    pub fn owes(&self, section: &str) -> bool {
        self.sync.owed().any(|name| name == section)
    }

    /// Whether the collector asked for anything.
    pub fn owes_any(&self) -> bool {
        self.sync.owed().next().is_some()
    }

    /// Calms the readings of a new look; says whether one crossed a threshold.
    pub fn settle(&self, sections: &mut Sections, thresholds: &Thresholds) -> bool {
        self.readings.settle(sections, thresholds)
    }

    /// Whether a new look differs from what was told in one of these sections.
    pub fn differs(&self, sections: &Sections, names: &[&str]) -> bool {
        let some = sections.iter().filter(|(name, _)| names.contains(&name.as_str()));
        self.sync.differs(&some.map(|(name, section)| (name.clone(), section.clone())).collect())
    }

    /// Makes records of what differs in a new look and of what is owed; returns how many.
    pub fn tell(&mut self, sections: &Sections, urgent: bool, at: At) -> usize {
        let mut made = 0;
        loop {
            let told = &self.told;
            let Some(changes) = self.sync.changes(sections, &|name| told.load(name)) else { break };
            let seq = self.position.made.saturating_add(1);
            for part in &changes.parts {
                let cut = changes.cut.contains_key(&part.section);
                let sections = if cut { &changes.cut } else { sections };
                if let Err(error) = self.told.save(part, sections) {
                    log::debug(&error.to_string());
                }
                if let Some(section) = sections.get(&part.section).filter(|_| part.put.is_some()) {
                    self.readings.remember(&part.section, section.items.values());
                }
            }
            let gap = self.untold.take();
            let record = Record { seq, at, root: changes.root, sections: changes.parts, gap };
            let on_disk = self.append(record, urgent);
            made += 1;
            if !changes.more {
                break;
            }
            if !on_disk {
                // Memory holds two records and folds the rest, and what was cut for being too large for a record
                // is too large when it is folded. The rest comes when this has gone: all is looked at again.
                self.sync.want(&["*".to_owned()]);
                break;
            }
        }
        made
    }

    /// Puts the next record into the spool; whether it is on disk.
    fn append(&mut self, record: Record, urgent: bool) -> bool {
        self.position.made = record.seq;
        let kept = self.spool.append(record, urgent, self.position.sent);
        if let Kept::InMemory(error) = &kept {
            log::warn(&format!("{error}; the newest state waits in memory"));
        }
        self.save_position();
        matches!(kept, Kept::OnDisk)
    }

    fn save_position(&mut self) {
        let written = self.file.write(&self.position);
        self.behind = written.is_err();
        if let Err(error) = written {
            log::error(&format!("{error}; nothing is sent until it can be written"));
        }
    }

    /// The next check-in: the oldest records that wait. Once it is returned it may have been sent. Records that
    /// turn out to be unreadable are told as missing in one of their own, at once, so that they are counted once.
    ///
    /// # Errors
    /// The position could not be written: nothing may be sent.
    pub fn check_in(&mut self, records: usize, bytes: u64, now: At) -> Result<CheckIn, FileError> {
        let mut batch = self.spool.batch(records, bytes);
        let lost = self.spool.take_lost();
        if lost > 0 {
            log::warn(&format!("spool: {lost} records are lost; the next one says so"));
            self.is_missing(Gap { records: lost, from: now, to: now, reason: "damaged".into() });
            let (seq, gap) = (self.position.made.saturating_add(1), self.untold.take());
            self.append(Record { seq, at: now, root: self.sync.root(), sections: Vec::new(), gap }, false);
            batch = self.spool.batch(records, bytes);
        }
        let last = batch.last().map_or(0, |record| record.seq);
        if last > self.position.sent || self.behind {
            let position = Position { sent: last.max(self.position.sent), ..self.position };
            self.file.write(&position)?;
            (self.position, self.behind) = (position, false);
        }
        let (stream, seq, root) = (self.position.stream, self.position.made, self.sync.root());
        Ok(CheckIn { stream, seq, root, moved: false, goodbye: None, records: batch })
    }

    /// Takes up an answer; whether it let go of a record, or none waited.
    pub fn taken(&mut self, answer: &Answer) -> bool {
        let before = self.spool.len();
        let held = answer.seq.min(self.position.made);
        if held > self.position.acknowledged {
            self.position.acknowledged = held;
            self.save_position();
        }
        self.spool.acknowledge(held);
        self.sync.want(&answer.want);
        before == 0 || self.spool.len() < before
    }

    /// Sets a refused record aside for people to look at; its loss is told in the next record.
    pub fn refused(&mut self, record: &Record) {
        let kept = self.keep_refused(record).and_then(|()| self.spool.set_aside(record.seq));
        if let Err(error) = kept {
            log::warn(&error.to_string());
        }
        let gap = Gap { records: 1, from: record.at, to: record.at, reason: "refused".into() };
        self.is_missing(match record.gap.clone() {
            Some(before) => fold::gaps(before, gap),
            None => gap,
        });
    }

    fn keep_refused(&self, record: &Record) -> Result<(), FileError> {
        let dir = self.dir.join("refused");
        files::make_dir(&dir)?;
        let names = std::fs::read_dir(&dir).map_err(FileError::of(&dir, "read"))?;
        let mut old: Vec<PathBuf> = names.flatten().map(|entry| entry.path()).collect();
        old.sort_unstable();
        for path in old.iter().rev().skip(REFUSED_MAX - 1) {
            files::remove(path)?;
        }
        let path = dir.join(format!("{:020}.json", record.seq));
        files::replace(&path, &serde_json::to_vec(record).unwrap_or_default())
    }
}

/// Whether this version tells a section of that name; another version's would stay as they are for ever.
fn is_told(section: &str) -> bool {
    probes::find(section).is_some() || [evidence::SECTION, health::SECTION_CLOCK].contains(&section)
}

fn new_stream() -> Result<[u8; 16], Fail> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| Fail::new(Code::Failure, format!("no randomness: {error}")))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
