//! A source over a folder that holds another machine's files, and recordings unpacked into one.

use agent::source::{Answer, Ask, Miss, Source};
use std::io::{ErrorKind, Write as _};
use std::path::{Component, Path, PathBuf};

/// The folder is `/`.
pub struct Folder(pub PathBuf);

impl Folder {
    fn path(&self, path: &str) -> PathBuf {
        self.0.join(path.trim_start_matches('/'))
    }
}

impl Source for Folder {
    fn get(&self, ask: &Ask) -> Result<Answer, Miss> {
        let miss = |error: std::io::Error| match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => Miss::Absent,
            ErrorKind::PermissionDenied => Miss::Denied,
            _ => Miss::Failed(error.to_string()),
        };
        match ask {
            Ask::File(path) => std::fs::read(self.path(path)).map(Answer::Bytes).map_err(miss),
            Ask::Dir(path) => {
                let entries = std::fs::read_dir(self.path(path)).map_err(miss)?;
                let mut names: Vec<String> =
                    entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
                names.sort();
                Ok(Answer::Names(names))
            }
            Ask::Link(path) => {
                let target = std::fs::read_link(self.path(path)).map_err(miss)?;
                Ok(Answer::Target(target.to_string_lossy().into_owned()))
            }
            _ => Err(Miss::Absent),
        }
    }
}

/// Says that a test compares nothing, and why: past the harness, which keeps what a test prints that passes.
pub fn skip(why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIP: {why}");
}

/// The data set of recordings; none where this checkout has none beside it.
pub fn data(path: &str) -> Option<PathBuf> {
    let full = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data").join(path);
    if !full.exists() {
        skip(&format!("no recordings at {}: nothing is compared", full.display()));
        return None;
    }
    Some(full)
}

/// Unpacks one archive into a folder of its own, but for what no probe asks for (thousands of small files);
/// the folder inside it that holds `sys` is the machine.
#[expect(clippy::disallowed_methods, reason = "unpacks a recording")]
pub fn unpack(archive: &Path, into: &Path, without: &[&str]) -> Folder {
    let excluded = without.iter().map(|pattern| format!("--exclude={pattern}"));
    let mut tar = std::process::Command::new("tar");
    let status = tar.args(excluded).arg("-xf").arg(archive).arg("-C").arg(into).status().expect("tar");
    assert!(status.success(), "{}", archive.display());
    let inside = std::fs::read_dir(into).expect("unpacked").flatten().map(|entry| entry.path());
    let root = inside.into_iter().find(|path| path.join("sys").is_dir()).expect("a folder with sys");
    assert!(root.components().all(|part| part != Component::ParentDir));
    Folder(root)
}

/// Files of a folder whose names end in `suffix`, sorted.
pub fn files(folder: &Path, suffix: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("a folder")
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.to_string_lossy().ends_with(suffix))
        .collect();
    files.sort();
    files
}

/// A line of the summary of all recordings, which `cargo run -p packaging -- check recordings` collects.
pub fn summary(what: &str, files: usize, compared: usize, equal: usize, explained: usize) {
    let unexplained = compared - equal - explained;
    println!(
        "recordings: {what}: {files} files, {compared} facts compared, {equal} equal, {explained} explained, \
         {unexplained} unexplained"
    );
}
