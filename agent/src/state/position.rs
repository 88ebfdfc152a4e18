//! How far the stream got: the one fact that must never go back, because a number used twice with another
//! content is a fork, and a fork quarantines the machine.
//!
//! One line of fixed length in one file, overwritten in place and synced: a sector is written whole or not
//! at all. On most file systems that needs no free space, so it works on a full disk too; those that never
//! overwrite (btrfs, ZFS) may refuse, and then nothing is sent until there is room. A line that is damaged
//! means the state is lost: a new stream.

use crate::state::crc::crc32;
use crate::state::files::FileError;
use shared::checkin::Stream;
use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// `position-1`, stream (32), three numbers of 20 digits, checksum (8), single spaces, line feed.
const LINE_BYTES: usize = 10 + 33 + 3 * 21 + 9 + 1;

/// Numbers on the stream; `acknowledged <= sent <= made` but after damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Position {
    /// Which stream.
    pub stream: Stream,
    /// The last record that was made.
    pub made: u64,
    /// The last record that may have reached the collector: from here back nothing may change.
    pub sent: u64,
    /// The last record that the collector said it holds.
    pub acknowledged: u64,
}

impl Position {
    fn line(&self) -> String {
        let text = format!("position-1 {} {:020} {:020} {:020} ", self.stream, self.made, self.sent, self.acknowledged);
        let sum = crc32(text.as_bytes());
        format!("{text}{sum:08x}\n")
    }

    fn parse(line: &str) -> Option<Position> {
        let mut words = line.strip_prefix("position-1 ")?.split_ascii_whitespace();
        let stream = words.next()?.parse().ok()?;
        let mut number = || words.next()?.parse().ok();
        let position = Position { stream, made: number()?, sent: number()?, acknowledged: number()? };
        (position.line() == line).then_some(position)
    }
}

/// The file.
#[derive(Debug)]
pub struct PositionFile {
    path: PathBuf,
    file: File,
}

impl PositionFile {
    /// Opens or makes the file, and reads the position; `None` if there was none or it is damaged.
    ///
    /// # Errors
    /// The file cannot be opened for writing, or not be read.
    pub fn open(path: &Path) -> Result<(PositionFile, Option<Position>), FileError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(path).map_err(FileError::of(path, "open"))?;
        let mut line = [0; LINE_BYTES];
        let position = match file.read_exact_at(&mut line, 0) {
            Ok(()) => std::str::from_utf8(&line).ok().and_then(Position::parse),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => None,
            // Not damage: the disk may give it at the next start, and a new stream would lose all that waits.
            Err(error) => return Err(FileError::of(path, "read")(error)),
        };
        Ok((PositionFile { path: path.to_owned(), file }, position))
    }

    /// Reads a position without opening it for writing, for `status`.
    pub fn peek(path: &Path) -> Option<Position> {
        let bytes = crate::state::files::read(path, LINE_BYTES).ok()?;
        Position::parse(std::str::from_utf8(&bytes).ok()?)
    }

    /// Writes the position and waits until the disk has it.
    ///
    /// # Errors
    /// The disk does not take it: nothing may be sent then.
    pub fn write(&self, position: &Position) -> Result<(), FileError> {
        let written = self.file.write_all_at(position.line().as_bytes(), 0);
        written.and_then(|()| self.file.sync_data()).map_err(FileError::of(&self.path, "write"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::digest::Digest;

    #[test]
    fn a_position_survives_its_file_and_damage_is_noticed() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("position");
        let (file, none) = PositionFile::open(&path).expect("made");
        assert_eq!(none, None);
        let position = Position { stream: Digest([7; 16]), made: u64::MAX, sent: 5, acknowledged: 4 };
        file.write(&position).expect("written");
        file.write(&Position { made: 6, ..position }).expect("written");
        assert_eq!(position.line().len(), LINE_BYTES);
        assert_eq!(PositionFile::peek(&path), Some(Position { made: 6, ..position }));
        let mut bytes = std::fs::read(&path).expect("there");
        bytes[50] ^= 1;
        std::fs::write(&path, bytes).expect("damaged");
        assert_eq!(PositionFile::open(&path).expect("open").1, None);
    }
}
