//! Files of the state directory: read whole with a bound, written so that a crash leaves the old or the
//! new content, never a part. Knows nothing of what is in them.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

/// How the name of a file ends that is being written.
const TEMPORARY: &str = ".tmp";

/// A file could not be read or written: says which, and what would help.
#[derive(Debug, thiserror::Error)]
#[error("{}: cannot {doing}: {source}; {}", path.display(), advice(source))]
pub struct FileError {
    /// Which file.
    pub path: PathBuf,
    /// `read`, `write` …
    pub doing: &'static str,
    /// What the system said.
    pub source: io::Error,
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "run as the user that owns it, or give that user the folder",
        io::ErrorKind::NotFound => "create it, or name another place in the configuration",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            "free some space or raise the limit"
        }
        io::ErrorKind::InvalidData => "it is larger than it can rightly be; move it away",
        _ => "look at the disk it is on",
    }
}

impl FileError {
    /// An error about a path, for use with `map_err`.
    pub fn of(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> FileError {
        let path = path.to_owned();
        move |source| FileError { path, doing, source }
    }

    /// Whether the file is not there.
    pub fn is_absent(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }
}

/// Makes a folder (and its parents) that only its owner may enter, durably; one that is there stays as it is.
///
/// # Errors
/// It could not be made, or the folder that it lies in could not be synced.
pub fn make_dir(path: &Path) -> Result<(), FileError> {
    let made = path.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists());
    let made: Vec<&Path> = made.collect();
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(FileError::of(path, "create"))?;
    made.into_iter().try_for_each(sync_dir_of)
}

/// A file's bytes, if they are no more than `max`.
///
/// # Errors
/// Not there, not readable, or larger than the bound (`InvalidData`).
pub fn read(path: &Path, max: usize) -> Result<Vec<u8>, FileError> {
    let file = File::open(path).map_err(FileError::of(path, "read"))?;
    let mut bytes = Vec::new();
    let limit = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit).read_to_end(&mut bytes).map_err(FileError::of(path, "read"))?;
    if bytes.len() > max {
        let too_large = io::Error::new(io::ErrorKind::InvalidData, format!("more than {max} bytes"));
        return Err(FileError::of(path, "read")(too_large));
    }
    Ok(bytes)
}

/// Puts a file in place at once, readable by its owner alone: temporary file, fsync, rename, fsync of the
/// folder. A new inode every time, so a reader of the old one keeps the old content.
///
/// # Errors
/// Any step failed; the old file is then still there.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    put(path, bytes, true, false)?;
    sync_dir_of(path)
}

/// As [`replace`], without waiting for the disk: for what a crash may take.
///
/// # Errors
/// Any step failed; the old file is then still there.
pub fn leave(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    put(path, bytes, false, false)
}

/// As [`replace`], for the group of the folder to read: mode 0640.
///
/// # Errors
/// The file is a link, or any step failed; the old file is then still there.
pub fn share(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    if fs::symlink_metadata(path).is_ok_and(|meta| meta.is_symlink()) {
        return Err(FileError::of(path, "replace")(io::Error::other("it is a link")));
    }
    put(path, bytes, true, true)?;
    sync_dir_of(path)
}

/// The temporary file has a name that nobody can guess and is made anew (`O_EXCL`, which follows no link):
/// some files are written to folders where others may write too.
fn put(path: &Path, bytes: &[u8], sync: bool, shared: bool) -> Result<(), FileError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{:016x}{TEMPORARY}", crate::clock::random()));
    let temporary = path.with_file_name(name);
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary);
    let mut file = made.map_err(FileError::of(path, "write"))?;
    let written = (|| {
        file.write_all(bytes)?;
        if shared {
            give_to_group(&file, path)?;
        }
        if sync {
            file.sync_all()?;
        }
        fs::rename(&temporary, path)
    })();
    if written.is_err() {
        // What is left of the temporary file would only take space; that it cannot be removed changes nothing.
        let _ = fs::remove_file(&temporary);
    }
    written.map_err(FileError::of(path, "write"))
}

/// The group is asked for before it is changed: in a folder of that group, or where it is the writer's own, that takes no
/// privilege.
fn give_to_group(file: &File, path: &Path) -> io::Result<()> {
    let group = fs::metadata(dir_of(path))?.gid();
    if file.metadata()?.gid() != group {
        fchown(file, None, Some(group))?;
    }
    file.set_permissions(fs::Permissions::from_mode(0o640))
}

fn dir_of(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Removes the temporary files that a crash left in a folder of ours.
pub fn clear_temporaries(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(|name| name.ends_with(TEMPORARY)) {
            // One that cannot be removed only takes space.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Whether others than the owner may enter or read a folder; `false` if it is not there.
pub fn is_open_to_others(dir: &Path) -> bool {
    fs::metadata(dir).is_ok_and(|meta| meta.mode() & 0o077 != 0)
}

/// Makes renames and removals in a file's folder durable.
///
/// # Errors
/// The folder could not be opened or synced.
pub fn sync_dir_of(path: &Path) -> Result<(), FileError> {
    let dir = dir_of(path);
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(FileError::of(dir, "sync"))
}

/// Removes a file; one that is not there is as good.
///
/// # Errors
/// It is there and could not be removed.
pub fn remove(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FileError::of(path, "remove")(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_file_is_private_and_new() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("key.pem");
        replace(&path, b"one").expect("written");
        let first = fs::metadata(&path).expect("there");
        assert_eq!(first.permissions().mode() & 0o777, 0o600);
        let open = File::open(&path).expect("open");
        replace(&path, b"two").expect("written");
        assert_ne!(fs::metadata(&path).expect("there").ino(), first.ino());
        assert_eq!(read(&path, 3).expect("read"), b"two");
        drop(open);
        assert!(read(&path, 2).expect_err("too large").to_string().contains("more than 2 bytes"));
        assert_eq!(fs::read_dir(dir.path()).expect("list").count(), 1);
    }

    #[test]
    fn no_link_that_others_planted_is_followed() {
        let dir = tempfile::tempdir().expect("a folder");
        let (path, victim) = (dir.path().join("web1.tape"), dir.path().join("victim"));
        fs::write(&victim, "precious").expect("written");
        for planted in ["web1.tape.tmp", "web1.tmp", "web1.tape"] {
            std::os::unix::fs::symlink(&victim, dir.path().join(planted)).expect("planted");
        }
        replace(&path, b"tape").expect("written");
        assert_eq!(fs::read_to_string(&victim).expect("there"), "precious");
        assert!(fs::symlink_metadata(&path).expect("there").is_file());
    }

    #[test]
    fn whatever_is_left_is_private_and_leftovers_go() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("status.json");
        leave(&path, b"{}").expect("written");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        fs::write(dir.path().join("key.pem.0123.tmp"), "secret").expect("written");
        clear_temporaries(dir.path());
        assert_eq!(fs::read_dir(dir.path()).expect("list").count(), 1);
        let open = |mode| fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode)).expect("changed");
        for (mode, others) in [(0o755, true), (0o710, true), (0o700, false)] {
            open(mode);
            assert_eq!(is_open_to_others(dir.path()), others, "{mode:o}");
        }
    }

    #[test]
    fn what_is_not_there_is_told_apart() {
        let dir = tempfile::tempdir().expect("a folder");
        let error = read(&dir.path().join("none"), 10).expect_err("absent");
        assert!(error.is_absent());
        remove(&dir.path().join("none")).expect("as good");
    }
}
