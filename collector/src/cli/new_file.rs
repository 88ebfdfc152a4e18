//! A file for a secret: for its owner alone, never over one that is there, and made before the secret is, so that
//! no secret is made that nobody can keep.

use super::exit::{Code, Failure};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// A new, empty file; taken away again unless something is kept in it.
#[derive(Debug)]
pub struct NewFile {
    path: PathBuf,
    file: File,
    kept: bool,
}

impl NewFile {
    /// Makes it.
    ///
    /// # Errors
    /// [`Code::Conflict`] if there is such a file; else what hindered it, with the path.
    pub fn create(path: &Path) -> Result<NewFile, Failure> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let file = file.map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => {
                let text = format!("{}: exists already; choose another name, or remove it first", path.display());
                Failure::new(Code::Conflict, text)
            }
            _ => Failure::new(Code::Failed, format!("{}: {error}", path.display())),
        })?;
        Ok(NewFile { path: path.to_owned(), file, kept: false })
    }

    /// Writes the text and leaves the file there. Gives its path.
    ///
    /// # Errors
    /// What hindered it, with the path.
    pub fn keep(mut self, text: &str) -> Result<PathBuf, Failure> {
        let written = self.file.write_all(text.as_bytes());
        written.map_err(|error| Failure::new(Code::Failed, format!("{}: {error}", self.path.display())))?;
        self.kept = true;
        Ok(self.path.clone())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.kept {
            // Empty, and of no use to anybody; if it stays, the next attempt says so.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_secret_is_private_and_replaces_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        drop(NewFile::create(&path).expect("new"));
        assert!(!path.exists(), "nothing was kept in it");
        NewFile::create(&path).expect("new").keep("secret").expect("kept");
        let mode = fs::metadata(&path).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode, fs::read_to_string(&path).expect("text").as_str()), (0o600, "secret"));
        assert_eq!(NewFile::create(&path).expect_err("there already").code, Code::Conflict);
        assert_eq!(fs::read_to_string(&path).expect("as it was"), "secret");
    }
}
