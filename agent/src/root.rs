//! What the role *probe* tells: a tape of what only root may read, and of nothing else.
//!
//! The probes themselves say what they need: those that name something in `needs` run once over a recorder, and of
//! the tape stays what [`Rooted`] lists and others could not read as well. Of descriptors only those of sockets that
//! listen stay: what else a process has open, and what it is called, is nobody's business. Pure, but for the asking.

use crate::probes::{PROBES, ports};
use crate::source::overlay::{BOOT, MOUNTS, TAPE_BYTES, UPTIME};
use crate::source::rooted::{PROCESSES, Rooted, SOCKETS};
use crate::source::tape::{Recorder, Tape};
use crate::source::{Answer, Ask, Miss, Source};
use std::collections::{BTreeMap, BTreeSet};

/// A root tape and what it lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// What only root may read.
    pub tape: Tape,
    /// Answers that did not fit into [`TAPE_BYTES`].
    pub cut: usize,
}

/// Asks what only root may.
pub fn record(source: &dyn Source) -> Told {
    let host = Host(source);
    let recorder = Recorder::new(&host, "linux");
    for probe in PROBES.iter().filter(|probe| !probe.needs.is_empty()) {
        // What a probe makes of the answers is not wanted here, only the answers.
        let _ = (probe.run)(&recorder);
    }
    for path in [BOOT, UPTIME, MOUNTS] {
        let _ = recorder.get(&Ask::File(path.to_owned()));
    }
    tell(&recorder.into_tape(), source)
}

/// The machine's network, also where this process has been given one of its own.
struct Host<'a>(&'a dyn Source);

impl Source for Host<'_> {
    fn get(&self, ask: &Ask) -> Result<Answer, Miss> {
        match ask {
            Ask::File(path) if SOCKETS.contains(&path.as_str()) => {
                let first = path.replacen("/proc/net/", "/proc/1/net/", 1);
                self.0.get(&Ask::File(first)).or_else(|_| self.0.get(ask))
            }
            _ => self.0.get(ask),
        }
    }
}

/// What of a recording is told. Where not everything fits, processes are left out first.
fn tell(recorded: &Tape, source: &dyn Source) -> Told {
    let mut kept: BTreeMap<(Option<Rooted>, Ask), Answer> = BTreeMap::new();
    for path in [BOOT, UPTIME] {
        let ask = Ask::File(path.to_owned());
        if let Some(Ok(answer)) = recorded.answer(&ask) {
            kept.insert((None, ask), answer.clone());
        }
    }
    for (ask, answer) in recorded.answers() {
        if let (Some(rooted), Ok(answer)) = (Rooted::of(ask), answer)
            && !matches!(rooted, Rooted::Processes | Rooted::Process | Rooted::Sockets)
            && !is_open(source, ask, rooted)
        {
            kept.insert((Some(rooted), ask.clone()), answer.clone());
        }
    }
    let mut listening = BTreeSet::new();
    for (path, _, state) in ports::TABLES {
        let ask = Ask::File((*path).to_owned());
        if let Some(Ok(Answer::Bytes(table))) = recorded.answer(&ask) {
            listening.extend(ports::parse(table, *state).0.into_iter().map(|socket| socket.inode));
            kept.insert((Some(Rooted::Sockets), ask), Answer::Bytes(ports::shorten(table, *state)));
        }
    }
    kept.extend(processes(recorded, &listening).into_iter().filter_map(|(ask, answer)| {
        let rooted = Rooted::of(&ask)?;
        Some(((Some(rooted), ask), answer))
    }));
    fit(kept)
}

/// The processes that have sockets which listen.
fn processes(recorded: &Tape, listening: &BTreeSet<u64>) -> BTreeMap<Ask, Answer> {
    let mut told = BTreeMap::new();
    let mut descriptors: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (ask, answer) in recorded.answers() {
        if let (Ask::Link(path), Ok(Answer::Target(target))) = (ask, answer)
            && let Some((folder, number)) = path.rsplit_once('/').filter(|(folder, _)| folder.ends_with("/fd"))
            && ports::parse_socket(target).is_some_and(|inode| listening.contains(&inode))
        {
            descriptors.entry(folder.to_owned()).or_default().push(number.to_owned());
            told.insert(ask.clone(), Answer::Target(target.clone()));
        }
    }
    let mut pids = Vec::new();
    for (folder, numbers) in descriptors {
        let process = folder.trim_end_matches("/fd").to_owned();
        for ask in [Ask::File(format!("{process}/comm")), Ask::Link(format!("{process}/exe"))] {
            if let Some(Ok(answer)) = recorded.answer(&ask) {
                told.insert(ask, answer.clone());
            }
        }
        pids.extend(process.rsplit('/').next().map(str::to_owned));
        told.insert(Ask::Dir(folder), Answer::Names(numbers));
    }
    told.insert(Ask::Dir(PROCESSES.to_owned()), Answer::Names(pids));
    told
}

/// Whether everybody may ask the same: the folders on the way may be searched by all, and a file be read. Where
/// that cannot be seen, root tells.
fn is_open(source: &dyn Source, ask: &Ask, rooted: Rooted) -> bool {
    let allows = |path: &str, bits: u32| source.stat(path).is_ok_and(|stat| stat.mode & bits == bits);
    let path = match (rooted, ask) {
        (Rooted::Firmware, Ask::File(path)) if !allows(path, 0o004) => return false,
        (Rooted::Firmware | Rooted::Closed, Ask::File(path) | Ask::Stat(path) | Ask::Space(path)) => path,
        // A service has mounts of its own, and may not see the first process.
        _ => return false,
    };
    let ends = path.match_indices('/').map(|(at, _)| at.max(1));
    ends.filter_map(|end| path.get(..end)).filter(|folder| folder != path).all(|folder| allows(folder, 0o001))
}

fn fit(kept: BTreeMap<(Option<Rooted>, Ask), Answer>) -> Told {
    let mut tape = Tape::new();
    let (mut bytes, mut cut) = (tape.to_text().len(), 0);
    for ((_, ask), answer) in kept {
        let mut one = Tape::new();
        one.put(ask.clone(), Ok(answer.clone()));
        let size = one.to_text().len();
        if bytes + size > TAPE_BYTES {
            cut += 1;
            continue;
        }
        bytes += size;
        tape.put(ask, Ok(answer));
    }
    Told { tape, cut }
}

#[cfg(test)]
mod tests;
