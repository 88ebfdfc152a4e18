//! `muster backup`: copies of the database, made while the collector runs or not, read through before they
//! count, and put back while it does not run.

use super::exit::{Code, Failure};
use super::offline::{self, Settings};
use super::output::{self, Column, Format};
use crate::clock;
use crate::store::backup::{self, BackupError, Verified};
use clap::{Args, Subcommand};
use serde_json::json;
use shared::unit::At;
use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// Copies of the database.
#[derive(Debug, Args)]
#[command(
    after_help = "A backup holds the database. Keep a copy of the folder `pki` of the state directory as well: it holds the keys\nby which agents know their collector, and changes only when the CA is rotated (muster ca)."
)]
pub struct Backup {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    verb: Verb,
}

/// What is done with a copy.
#[derive(Debug, Subcommand)]
enum Verb {
    /// Copy the database to a new file, and read the copy through.
    #[command(
        after_help = "Example:\n  muster backup create /var/backups/muster-$(date +%F).db\n\nAlso while the collector runs. Ends with 7 where the file is there, with 8 where the database is not good."
    )]
    Create {
        /// The new file; one that is there is never replaced.
        file: PathBuf,
    },
    /// Read a copy through: its pages, its journal, the digest of every section.
    #[command(
        after_help = "Example:\n  muster backup verify /var/backups/muster-2026-01-31.db\n\nEnds with 8 where the copy is not good."
    )]
    Verify {
        /// The copy.
        file: PathBuf,
    },
    /// Put a copy in the place of the database; what was there is moved aside.
    #[command(
        after_help = "Example:\n  systemctl stop muster && muster backup restore /var/backups/muster-2026-01-31.db\n\nEnds with 6 where there is no such copy, with 8 where it is not good or a collector has the database; the\ndatabase is then as it was."
    )]
    Restore {
        /// The copy.
        file: PathBuf,
    },
}

const COLUMNS: &[Column] = &[("FILE", "file"), ("BYTES", "bytes"), ("JOURNAL", "head"), ("MOVED ASIDE", "aside")];

/// Runs the verb.
///
/// # Errors
/// [`Code::Database`] for a database or copy that is not good, [`Code::Conflict`] for a file that is there,
/// [`Code::NotFound`] for one to restore that is not.
pub fn run(backup: &Backup, format: Format) -> Result<(), Failure> {
    match &backup.verb {
        Verb::Create { file } => {
            let database = offline::database(&backup.settings.read()?);
            let verified = backup::create(&database, file).map_err(failure)?;
            tell(format, "written and verified", file, &verified, None)
        }
        Verb::Verify { file } => tell(format, "good", file, &backup::verify(file).map_err(failure)?, None),
        Verb::Restore { file } => {
            let database = offline::database(&backup.settings.read()?);
            restore(format, file, &database)
        }
    }
}

fn restore(format: Format, file: &Path, database: &Path) -> Result<(), Failure> {
    if !file.is_file() {
        return Err(Failure::new(Code::NotFound, format!("{}: there is no such file", file.display())));
    }
    if let Some(folder) = database.parent() {
        let made = fs::DirBuilder::new().recursive(true).mode(0o750).create(folder);
        made.map_err(|error| Failure::new(Code::Database, format!("state_dir {}: {error}", folder.display())))?;
    }
    let aside = aside(database, clock::now());
    let verified = backup::restore(file, database, &aside).map_err(failure)?;
    offline::give_back(database)?;
    tell(format, "restored", database, &verified, Some(aside.as_path()).filter(|aside| aside.exists()))
}

fn tell(format: Format, what: &str, file: &Path, found: &Verified, aside: Option<&Path>) -> Result<(), Failure> {
    let file = file.to_string_lossy();
    if format != Format::Table {
        let row =
            json!({"file": file, "bytes": found.bytes, "head": found.head, "aside": aside.map(Path::to_string_lossy)});
        return output::one(format, COLUMNS, &row);
    }
    output::say(&format!("{file}: {what}; {} bytes, journal up to {}", found.bytes, found.head))?;
    aside.map_or(Ok(()), |aside| output::say(&format!("what was there is now {}", aside.display())))
}

/// Where a database goes that is replaced: beside itself, with the time.
fn aside(database: &Path, now: At) -> PathBuf {
    let time = jiff::Timestamp::from_second(now.secs())
        .map_or_else(|_| now.secs().to_string(), |time| time.strftime("%Y%m%dT%H%M%SZ").to_string());
    let mut name = database.as_os_str().to_owned();
    name.push(format!(".before-restore-{time}"));
    PathBuf::from(name)
}

fn failure(error: BackupError) -> Failure {
    let code = match &error {
        BackupError::Exists(_) => Code::Conflict,
        BackupError::File { .. } => Code::Failed,
        BackupError::Open(_) | BackupError::NotGood { .. } | BackupError::Database { .. } => Code::Database,
    };
    Failure::new(code, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::open;
    use std::os::unix::fs::PermissionsExt as _;

    fn backup(config: &Path, verb: Verb) -> Result<(), Failure> {
        run(&Backup { settings: Settings { config: Some(config.to_owned()) }, verb }, Format::Table)
    }

    #[test]
    fn the_name_of_what_was_there_tells_when() {
        let path = aside(Path::new("/var/lib/muster/muster.db"), At(1_700_000_000_000_000));
        assert_eq!(path, Path::new("/var/lib/muster/muster.db.before-restore-20231114T221320Z"));
    }

    #[test]
    fn a_copy_is_private_never_replaced_and_put_back_with_what_was_there_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let (state, config) = (folder.path().join("state"), folder.path().join("muster.toml"));
        fs::create_dir(&state).expect("a folder");
        fs::write(&config, format!("state_dir = {:?}\n", state.to_string_lossy())).expect("a file");
        drop(open::writer(&state.join("muster.db"), clock::now()).expect("a database"));
        let copy = folder.path().join("copy.db");
        backup(&config, Verb::Create { file: copy.clone() }).expect("a copy");
        let mode = fs::metadata(&copy).expect("a copy").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        let again = backup(&config, Verb::Create { file: copy.clone() }).expect_err("there already");
        assert_eq!(again.code, Code::Conflict);
        backup(&config, Verb::Verify { file: copy.clone() }).expect("good");
        backup(&config, Verb::Restore { file: copy.clone() }).expect("restored");
        let kept = fs::read_dir(&state).expect("a folder").filter_map(Result::ok);
        let kept = kept.filter(|entry| entry.file_name().to_string_lossy().starts_with("muster.db.before-restore-2"));
        assert_eq!(kept.count(), 1);
        fs::remove_dir_all(&state).expect("all lost");
        backup(&config, Verb::Restore { file: copy }).expect("restored to nothing");
        assert!(state.join("muster.db").exists());
    }

    #[test]
    fn what_is_no_copy_ends_with_8() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("copy.db");
        let config = folder.path().join("muster.toml");
        let missing = backup(&config, Verb::Verify { file: file.clone() }).expect_err("missing");
        assert_eq!(missing.code, Code::Database);
        let missing = restore(Format::Table, &file, &folder.path().join("state/muster.db")).expect_err("missing");
        assert_eq!(missing.code, Code::NotFound);
        assert!(!folder.path().join("state").exists());
        fs::write(&file, "not a database at all").expect("a file");
        assert_eq!(backup(&config, Verb::Verify { file }).expect_err("not one").code, Code::Database);
    }
}
