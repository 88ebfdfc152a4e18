//! What was told, section by section, on disk: the rows of `show --all`, of a section that the collector
//! wants whole while its probe fails, and of the digests after a restart.
//!
//! One file per section, a whole part as JSON under zstd, so that a changed package rewrites one file of
//! some tens of kilobytes. Written without fsync: a file that a crash takes costs one section sent whole.

use crate::collect::Sections;
use crate::state::files::{self, FileError};
use shared::checkin::{Part, Rows, State};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

/// A file of this folder unpacks to no more than this, in bytes.
const SECTION_BYTES_MAX: usize = 32 * 1024 * 1024;

/// zstd's level and window (128 KiB), for little memory.
const PACK_LEVEL: i32 = 1;
const WINDOW_LOG: u32 = 17;

/// The folder.
#[derive(Debug, Clone)]
pub struct ToldStore {
    dir: PathBuf,
}

impl ToldStore {
    /// The store in a state directory; made when first written to.
    pub fn new(state_dir: &Path) -> ToldStore {
        ToldStore { dir: state_dir.join("told") }
    }

    fn path(&self, section: &str) -> PathBuf {
        self.dir.join(format!("{section}.json.zst"))
    }

    /// The section as it was told; `None` if it was not, or if its file is damaged.
    pub fn load(&self, section: &str) -> Option<Part> {
        let packed = files::read(&self.path(section), SECTION_BYTES_MAX).ok()?;
        let text = zstd::bulk::decompress(&packed, SECTION_BYTES_MAX).ok()?;
        serde_json::from_slice(&text).ok().filter(|part: &Part| part.section == section && part.put.is_some())
    }

    /// All sections, in the order of their names.
    pub fn load_all(&self) -> Vec<Part> {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut sections: Vec<String> =
            names.filter_map(|name| name.strip_suffix(".json.zst").map(str::to_owned)).collect();
        sections.sort_unstable();
        sections.iter().filter_map(|section| self.load(section)).collect()
    }

    /// All sections but those that nobody here tells any more: these are forgotten. Whether there were any.
    ///
    /// # Errors
    /// A file could not be removed.
    pub fn load_known(&self, is_known: impl Fn(&str) -> bool) -> Result<(Vec<Part>, bool), FileError> {
        files::clear_temporaries(&self.dir);
        let (known, unknown): (Vec<Part>, Vec<Part>) =
            self.load_all().into_iter().partition(|part| is_known(&part.section));
        unknown.iter().try_for_each(|part| files::remove(&self.path(&part.section)))?;
        Ok((known, !unknown.is_empty()))
    }

    /// Forgets everything.
    ///
    /// # Errors
    /// The folder could not be removed.
    pub fn clear(&self) -> Result<(), FileError> {
        match fs::remove_dir_all(&self.dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(FileError::of(&self.dir, "remove")(error))
            }
            _ => Ok(()),
        }
    }

    /// Takes up a part that was told; `sections` is the look that it came from.
    ///
    /// # Errors
    /// The file could not be written; the old one is removed then, because a wrong one is worse than none.
    pub fn save(&self, part: &Part, sections: &Sections) -> Result<(), FileError> {
        files::make_dir(&self.dir)?;
        // As it is: thousands of packages in one more copy would be the most memory that an agent ever takes.
        if matches!(part.rows(), Rows::Whole(_)) {
            return self.put(part);
        }
        let mut held = BTreeMap::new();
        if matches!(part.rows(), Rows::Same) {
            held.extend(self.load(&part.section).map(|old| (part.section.clone(), old)));
        }
        fold_into(&mut held, part, sections);
        match held.get(&part.section) {
            Some(whole) => self.put(whole),
            None => files::remove(&self.path(&part.section)),
        }
    }

    fn put(&self, whole: &Part) -> Result<(), FileError> {
        let path = self.path(&whole.section);
        let packed = pack(whole).map_err(FileError::of(&path, "pack"));
        packed.and_then(|packed| files::leave(&path, &packed)).inspect_err(|_| {
            // If not even that works, the digest shows at the next start that it is an old one.
            let _ = fs::remove_file(&path);
        })
    }
}

/// Without the text as a whole in between.
fn pack(whole: &Part) -> io::Result<Vec<u8>> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), PACK_LEVEL)?;
    encoder.window_log(WINDOW_LOG)?;
    let mut text = BufWriter::new(encoder);
    serde_json::to_writer(&mut text, whole)?;
    text.into_inner().map_err(io::IntoInnerError::into_error)?.finish()
}

/// Brings the whole sections in `held` up to date with a part of a look.
pub fn fold_into(held: &mut BTreeMap<String, Part>, part: &Part, sections: &Sections) {
    let new = sections.get(&part.section).filter(|new| new.state == State::Seen);
    let rows = match (&part.put, part.base, new) {
        (_, _, Some(new)) => Some(new.items.values().cloned().collect()),
        (Some(put), None, None) => Some(put.clone()),
        _ => held.remove(&part.section).filter(|old| old.digest == part.digest).and_then(|old| old.put),
    };
    match rows {
        Some(rows) => {
            let whole = Part { base: None, put: Some(rows), del: Vec::new(), ..part.clone() };
            held.insert(part.section.clone(), whole);
        }
        None => {
            held.remove(&part.section);
        }
    }
}
