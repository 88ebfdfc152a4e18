//! Files and folders that are there after a power cut: synced, and their names too. A write without the one may be
//! empty, a rename without the other may not have happened. Knows nothing of what is in them.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Result, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Puts a file in place that only its owner may read, whole or not at all; `temporary` lies in the same folder.
///
/// # Errors
/// Any step failed: the old file or the new one is there, and which of them a power cut leaves is open.
pub fn replace(path: &Path, temporary: &Path, text: &str) -> Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(temporary, path)?;
    sync_folder_of(path)
}

/// Makes a folder and those that it lies in; one that is there stays as it is.
///
/// # Errors
/// It could not be made, or the folder around it not be synced.
pub fn make_folder(path: &Path, mode: u32) -> Result<()> {
    let missing = path.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists());
    let missing: Vec<&Path> = missing.collect();
    DirBuilder::new().recursive(true).mode(mode).create(path)?;
    missing.into_iter().try_for_each(sync_folder_of)
}

/// Makes what was renamed, made or removed beside this file durable.
///
/// # Errors
/// The folder could not be opened or synced.
pub fn sync_folder_of(path: &Path) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_file_is_private_and_a_folder_comes_with_its_parents() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = place.path().join("a/b");
        make_folder(&folder, 0o700).expect("made");
        make_folder(&folder, 0o755).expect("as good");
        let (path, temporary) = (folder.join("state"), folder.join("state.new"));
        replace(&path, &temporary, "one").expect("written");
        replace(&path, &temporary, "two").expect("written");
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&path), temporary.exists()), (0o700, 0o600, false));
        assert_eq!(fs::read_to_string(&path).expect("there"), "two");
    }
}
