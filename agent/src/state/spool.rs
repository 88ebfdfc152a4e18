//! The spool: records that the collector does not hold yet, on disk, in order, within a quota.
//!
//! Appended and synced one by one; a torn or damaged tail is cut when the spool is opened. Over quota the
//! oldest records that were never sent are folded into their successors (see [`fold`]), those in which a
//! reading crossed a threshold last. What was sent once stays as it was, because the collector may hold it.
//! Where the disk takes nothing, the newest state waits in memory. Every loss is told in a gap.
//!
//! The file takes no more than half of the quota, so that it can be rewritten within it.

pub mod fold;
pub mod frame;

use crate::log;
use crate::state::files::FileError;
use frame::{Decoded, Frame};
use shared::checkin::Record;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Free space on the disk below which nothing is spooled: the smaller of these bytes …
const FREE_BYTES_MIN: u64 = 512 * 1024 * 1024;
/// … and this part of the disk.
const FREE_PART_MIN: u64 = 20;

/// What the spool may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Bytes on disk, rewriting included.
    pub bytes: u64,
    /// Records.
    pub records: usize,
}

/// A record in memory because the disk did not take it.
#[derive(Debug, Clone, PartialEq)]
struct InMemory {
    record: Record,
    urgent: bool,
}

/// Where a record went.
#[derive(Debug)]
pub enum Kept {
    /// On disk: it survives a crash.
    OnDisk,
    /// In memory only; says why.
    InMemory(FileError),
}

/// The queue.
#[derive(Debug)]
pub struct Spool {
    path: PathBuf,
    file: File,
    frames: Vec<Frame>,
    end: u64,
    quota: Quota,
    /// At most two: one that may have been sent, one into which the rest is folded.
    memory: Vec<InMemory>,
    /// Bytes that were cut off when the spool was opened.
    cut_bytes: u64,
    /// Records that could not be read since this was last asked.
    lost: u64,
    /// The file got its name anew, which the disk has not kept yet.
    unnamed: bool,
}

impl Spool {
    /// Opens or makes the spool; cuts what is damaged, leaves out what is acknowledged.
    ///
    /// # Errors
    /// The file cannot be opened, read or cut.
    pub fn open(path: &Path, quota: Quota, acknowledged: u64) -> Result<Spool, FileError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(path).map_err(FileError::of(path, "open"))?;
        let length = file.metadata().map_err(FileError::of(path, "read"))?.len();
        let (frames, end) = scan(&file, length).map_err(FileError::of(path, "read"))?;
        if end < length {
            file.set_len(end).and_then(|()| file.sync_all()).map_err(FileError::of(path, "cut"))?;
        }
        let path = path.to_owned();
        let (memory, cut_bytes) = (Vec::new(), length - end);
        let mut spool = Spool { path, file, frames, end, quota, memory, cut_bytes, lost: 0, unnamed: false };
        spool.acknowledge(acknowledged);
        Ok(spool)
    }

    /// How many records wait.
    pub fn len(&self) -> usize {
        self.frames.iter().filter(|frame| !frame.aside).count() + self.memory.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that the file takes.
    pub fn file_bytes(&self) -> u64 {
        self.end
    }

    /// Bytes that were cut off when the spool was opened.
    pub fn cut_bytes(&self) -> u64 {
        self.cut_bytes
    }

    /// The number of the last record that is known here, waiting or set aside.
    pub fn last_seq(&self) -> Option<u64> {
        let in_memory = self.memory.last().map(|kept| kept.record.seq);
        in_memory.or(self.frames.last().map(|frame| frame.seq))
    }

    /// Puts a record at the end. `sent` is the last number that may have reached the collector.
    pub fn append(&mut self, record: Record, urgent: bool, sent: u64) -> Kept {
        // What is in memory goes first, so that the order stays.
        let mut waiting = std::mem::take(&mut self.memory);
        waiting.push(InMemory { record, urgent });
        let mut error = None;
        let mut left = waiting.into_iter();
        for mut kept in left.by_ref() {
            if let Err(why) = self.append_to_file(&mut kept, sent) {
                error = Some(why);
                self.memory.push(kept);
                break;
            }
        }
        for kept in left {
            self.keep_in_memory(kept, sent);
        }
        error.map_or(Kept::OnDisk, Kept::InMemory)
    }

    fn keep_in_memory(&mut self, new: InMemory, sent: u64) {
        match self.memory.pop() {
            Some(old) if old.record.seq > sent => {
                let urgent = old.urgent || new.urgent;
                self.memory.push(InMemory { record: fold::records(old.record, new.record, "disk_full"), urgent });
            }
            Some(old) => self.memory.extend([old, new]),
            None => self.memory.push(new),
        }
    }

    fn append_to_file(&mut self, kept: &mut InMemory, sent: u64) -> Result<(), FileError> {
        enough_space(&self.path).map_err(FileError::of(&self.path, "write"))?;
        self.keep_name()?;
        let mut bytes = self.encode(kept)?;
        if self.is_over(bytes.len() as u64) {
            self.make_room(sent, bytes.len() as u64)?;
        }
        // Not even the newest of the old ones fits beside the new one.
        while self.is_over(bytes.len() as u64) {
            let Some(last) = self.frames.last().copied().filter(|last| last.seq > sent && !last.aside) else {
                return Err(FileError::of(&self.path, "write")(io::ErrorKind::QuotaExceeded.into()));
            };
            // Read first: one that cannot be read stays, and is counted as lost when the spool is opened next.
            kept.record = fold::dropped(self.read(&last)?, kept.record.clone(), "quota");
            self.frames.pop();
            self.end = last.offset;
            bytes = self.encode(kept)?;
        }
        let written = self.file.set_len(self.end).and_then(|()| self.file.write_all_at(&bytes, self.end));
        if let Err(why) = written.and_then(|()| self.file.sync_data()) {
            // Half a frame at the end would be cut at the next start; cut it now.
            let _ = self.file.set_len(self.end);
            return Err(FileError::of(&self.path, "write")(why));
        }
        self.push(kept, bytes.len() as u64);
        Ok(())
    }

    fn encode(&self, kept: &InMemory) -> Result<Vec<u8>, FileError> {
        let error = || FileError::of(&self.path, "encode");
        let payload = serde_json::to_vec(&kept.record).map_err(|why| error()(why.into()))?;
        if payload.len() > frame::PAYLOAD_BYTES_MAX {
            return Err(error()(io::ErrorKind::InvalidData.into()));
        }
        Ok(frame::encode(kept.record.seq, kept.urgent, &payload))
    }

    fn push(&mut self, kept: &InMemory, bytes: u64) {
        let (seq, urgent) = (kept.record.seq, kept.urgent);
        self.frames.push(Frame { seq, urgent, aside: false, offset: self.end, bytes });
        self.end += bytes;
    }

    fn is_over(&self, length: u64) -> bool {
        self.frames.len() >= self.quota.records || self.end + length > self.quota.bytes / 2
    }

    /// The next records to send, oldest first: at most `records` and about `bytes` of JSON, at least one.
    /// A second record in memory waits until the first is acknowledged, for it still grows. A record that cannot be
    /// read is lost with all that follow it on disk, as it is when the spool is opened: see [`Spool::take_lost`].
    pub fn batch(&mut self, records: usize, bytes: u64) -> Vec<Record> {
        let (mut batch, mut total, mut damaged) = (Vec::new(), 0, None);
        for (at, frame) in self.frames.iter().enumerate().filter(|(_, frame)| !frame.aside) {
            total += frame.bytes;
            if batch.len() >= records || (total > bytes && !batch.is_empty()) {
                return batch;
            }
            match self.read(frame) {
                Ok(record) => batch.push(record),
                Err(error) => {
                    log::warn(&error.to_string());
                    damaged = Some(at);
                    break;
                }
            }
        }
        if let Some(at) = damaged {
            self.cut(at);
        }
        batch.extend(self.memory.first().filter(|_| batch.is_empty()).map(|kept| kept.record.clone()));
        batch
    }

    /// How many records were found to be unreadable, or behind one that was, since this was last asked.
    pub fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }

    /// Drops the frame at this place and those that follow it.
    fn cut(&mut self, at: usize) {
        let dropped = self.frames.split_off(at);
        self.end = dropped.first().map_or(self.end, |first| first.offset);
        self.lost += dropped.iter().filter(|frame| !frame.aside).count() as u64;
        // If not even that works, the next append tries again, and opening cuts it for good.
        let _ = self.file.set_len(self.end);
    }

    fn read(&self, frame: &Frame) -> Result<Record, FileError> {
        let mut bytes = vec![0; usize::try_from(frame.bytes).unwrap_or(0)];
        self.file.read_exact_at(&mut bytes, frame.offset).map_err(FileError::of(&self.path, "read"))?;
        let record = match frame::decode(&bytes, frame.offset) {
            Decoded::Frame(found, payload) if found.seq == frame.seq => serde_json::from_slice(payload).ok(),
            _ => None,
        };
        record.ok_or_else(|| FileError::of(&self.path, "read")(io::ErrorKind::InvalidData.into()))
    }

    /// Lets go of every record up to and including `seq`.
    pub fn acknowledge(&mut self, seq: u64) {
        self.frames.retain(|frame| frame.seq > seq);
        self.memory.retain(|kept| kept.record.seq > seq);
        self.shrink();
    }

    fn shrink(&mut self) {
        // Without a sync: what comes back after a crash is known by its number.
        if self.frames.iter().all(|frame| frame.aside) && self.end > 0 && self.file.set_len(0).is_ok() {
            self.frames.clear();
            self.end = 0;
        }
    }

    /// Marks a record as never to be sent again; its successors stay.
    ///
    /// # Errors
    /// The mark could not be written; it holds until the agent ends.
    pub fn set_aside(&mut self, seq: u64) -> Result<(), FileError> {
        self.memory.retain(|kept| kept.record.seq != seq);
        let Some(frame) = self.frames.iter_mut().find(|frame| frame.seq == seq) else { return Ok(()) };
        frame.aside = true;
        let marked = self.file.write_all_at(&[1], frame.offset + frame::STATE_OFFSET);
        let marked = marked.and_then(|()| self.file.sync_data()).map_err(FileError::of(&self.path, "write"));
        self.shrink();
        marked
    }

    /// Drops everything: the stream it belonged to has ended.
    pub fn clear(&mut self) {
        self.acknowledge(u64::MAX);
    }

    /// Rewrites the file to three quarters of what it may take, for a frame of `length` bytes.
    fn make_room(&mut self, sent: u64, length: u64) -> Result<(), FileError> {
        let bytes = (self.quota.bytes / 2 * 3 / 4).saturating_sub(length);
        let records = self.quota.records * 3 / 4;
        for effort in [Effort::FoldQuiet, Effort::FoldAll, Effort::Drop] {
            self.rewrite(sent, effort, bytes, records)?;
            if self.end <= bytes && self.frames.len() <= records {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Writes a new file in which as many of the oldest unsent records are folded or dropped as it takes.
    fn rewrite(&mut self, sent: u64, effort: Effort, bytes: u64, records: usize) -> Result<(), FileError> {
        let path = self.path.with_extension("new");
        self.rewrite_to(path.clone(), sent, effort, bytes, records).inspect_err(|_| {
            // Half of a new file would only take space, and there may be little.
            let _ = std::fs::remove_file(&path);
        })
    }

    fn rewrite_to(
        &mut self,
        path: PathBuf,
        sent: u64,
        effort: Effort,
        bytes: u64,
        records: usize,
    ) -> Result<(), FileError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true).mode(0o600);
        let file = options.open(&path).map_err(FileError::of(&path, "create"))?;
        let mut new = Spool { path, file, frames: Vec::new(), end: 0, memory: Vec::new(), ..*self };
        // What is left to copy if nothing more is folded.
        let (mut left_bytes, mut left_records) = (self.end, self.frames.len());
        let mut waiting: Option<InMemory> = None;
        for frame in self.frames.iter().filter(|frame| !frame.aside) {
            let next = InMemory { record: self.read(frame)?, urgent: frame.urgent };
            let enough = new.end + left_bytes <= bytes && new.frames.len() + left_records <= records;
            left_bytes = left_bytes.saturating_sub(frame.bytes);
            left_records = left_records.saturating_sub(1);
            waiting = Some(match waiting {
                Some(old) if !enough && old.record.seq > sent && effort.may_go(&old) => {
                    let urgent = old.urgent || next.urgent;
                    let record = match effort {
                        Effort::Drop => fold::dropped(old.record, next.record, "quota"),
                        _ => fold::records(old.record, next.record, "quota"),
                    };
                    InMemory { record, urgent }
                }
                Some(old) => {
                    new.copy(&old)?;
                    next
                }
                None => next,
            });
        }
        if let Some(last) = waiting {
            new.copy(&last)?;
        }
        new.file.sync_all().map_err(FileError::of(&new.path, "write"))?;
        std::fs::rename(&new.path, &self.path).map_err(FileError::of(&self.path, "replace"))?;
        (self.file, self.frames, self.end, self.unnamed) = (new.file, new.frames, new.end, true);
        self.keep_name()
    }

    /// Until the disk has kept the new file's name, a power cut brings the old file back.
    fn keep_name(&mut self) -> Result<(), FileError> {
        if self.unnamed {
            crate::state::files::sync_dir_of(&self.path)?;
            self.unnamed = false;
        }
        Ok(())
    }

    /// Appends to a file that is being made: no quota, no sync.
    fn copy(&mut self, kept: &InMemory) -> Result<(), FileError> {
        let bytes = self.encode(kept)?;
        self.file.write_all_at(&bytes, self.end).map_err(FileError::of(&self.path, "write"))?;
        self.push(kept, bytes.len() as u64);
        Ok(())
    }
}

/// How far room is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effort {
    /// Fold records in which no reading crossed a threshold.
    FoldQuiet,
    /// Fold all.
    FoldAll,
    /// Drop: the collector will ask for what it then lacks.
    Drop,
}

impl Effort {
    fn may_go(self, kept: &InMemory) -> bool {
        self != Effort::FoldQuiet || !kept.urgent
    }
}

/// The frames of a file and where the last whole one ends.
fn scan(file: &File, length: u64) -> io::Result<(Vec<Frame>, u64)> {
    let (mut frames, mut end) = (Vec::<Frame>::new(), 0);
    let mut buffer = vec![0; frame::HEADER_BYTES];
    while end < length {
        let rest = usize::try_from(length - end).unwrap_or(usize::MAX);
        buffer.truncate(rest.min(frame::HEADER_BYTES));
        file.read_exact_at(&mut buffer, end)?;
        if let Decoded::Short(needed) = frame::decode(&buffer, end) {
            buffer.resize(needed.min(rest), 0);
            file.read_exact_at(&mut buffer, end)?;
        }
        match frame::decode(&buffer, end) {
            Decoded::Frame(frame, _) if frames.last().is_none_or(|last| last.seq < frame.seq) => {
                end += frame.bytes;
                frames.push(frame);
            }
            _ => break,
        }
        buffer.resize(frame::HEADER_BYTES, 0);
    }
    Ok((frames, end))
}

/// Refuses to fill a disk that is nearly full.
fn enough_space(path: &Path) -> io::Result<()> {
    let space = rustix::fs::statvfs(path)?;
    let available = space.f_bavail.saturating_mul(space.f_frsize);
    let total = space.f_blocks.saturating_mul(space.f_frsize);
    if available < FREE_BYTES_MIN.min(total / FREE_PART_MIN) {
        return Err(io::ErrorKind::StorageFull.into());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
