//! `muster backup`: copies of the database, made while the collector runs or not, read through before they
//! count, and put back while it does not run.

use super::exit::{Code, Failure};
use super::offline::{self, LAST_BACKUP, Settings};
use super::output::{self, Column, Format};
use crate::clock;
use crate::pki::files::{DEPLOYMENT, FOLDER as PKI};
use crate::store::backup::{self, BackupError, Sum, Verified};
use crate::store::restore::{self, Restored};
use clap::{Args, Subcommand};
use serde_json::json;
use shared::unit::At;
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Copies of the database.
#[derive(Debug, Args)]
#[command(
    after_help = "A backup holds the database. Keep a copy of the folder `pki` of the state directory as well: it holds the keys\nby which agents know their collector (`backup create FILE --keys FOLDER` copies it; choose a new folder after each\nstep of a rotation). Where it is lost every agent enrolls again. Keep `revocations.log` too: a restore replays it."
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
        after_help = "Example:\n  muster backup create /var/backups/muster-$(date +%F).db\n\nAlso while the collector runs, at half pace. Beside the file lies FILE.sha256, which sha256sum -c checks as well.\nEnds with 7 where the file is there, with 8 where the database is not good."
    )]
    Create {
        /// The new file; one that is there is never replaced.
        file: PathBuf,
        /// Copy the keys to this folder as well, unless they are there already.
        #[arg(long, value_name = "FOLDER")]
        keys: Option<PathBuf>,
    },
    /// Read a copy through: its pages, its journal, the digest of every section.
    #[command(
        after_help = "Example:\n  muster backup verify /var/backups/muster-2026-01-31.db\n\nEnds with 8 where the copy is not good, or FILE.sha256 is not beside it. With --without-sum the\nrows alone decide, each against its own sum: ends with 0 and says so where they are good."
    )]
    Verify {
        /// The copy.
        file: PathBuf,
        /// Take a copy without FILE.sha256 for good if its rows are: bytes that belong to none are not checked then.
        #[arg(long)]
        without_sum: bool,
    },
    /// Put a copy in the place of the database; what was there is moved aside. Agents and API tokens that were revoked
    /// since the copy was made stay revoked, and no join token can be used any more.
    #[command(
        after_help = "Example:\n  systemctl stop muster && muster backup restore /var/backups/muster-2026-01-31.db\n\nEnds with 6 where there is no such copy, with 8 where it is not good, FILE.sha256 is not\nbeside it, or a collector has the database; the database is then as it was."
    )]
    Restore {
        /// The copy.
        file: PathBuf,
        /// Take a copy without FILE.sha256 if its rows are good: bytes that belong to none are not checked then.
        #[arg(long)]
        without_sum: bool,
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
        Verb::Create { file, keys } => {
            let config = backup.settings.read()?;
            // The collector goes first, also where there are few processors; it works where this cannot be had.
            let _ = rustix::process::nice(NICE);
            if let Some(folder) = keys {
                copy_keys(&config.state_dir.join(PKI), folder)?;
            }
            let database = offline::database(&config);
            let verified = backup::create(&database, file).map_err(failure)?;
            remember(&database, file, &verified)?;
            tell(format, "written and verified", file, &verified, None)
        }
        Verb::Verify { file, without_sum } => {
            let verified = backup::verify(file, sum(*without_sum)).map_err(failure)?;
            if !verified.summed {
                unsummed(file);
            }
            tell(format, "good", file, &verified, None)
        }
        Verb::Restore { file, without_sum } => {
            restore(format, (file, sum(*without_sum)), &offline::database(&backup.settings.read()?))
        }
    }
}

fn sum(may_be_missing: bool) -> Sum {
    if may_be_missing { Sum::IfThere } else { Sum::Needed }
}

fn unsummed(file: &Path) {
    output::remark(&format!("{}: no .sha256 beside the copy: only its rows were checked", file.display()));
}

/// How much a copy steps back behind other programs.
const NICE: i32 = 10;

fn restore(format: Format, (file, asked): (&Path, Sum), database: &Path) -> Result<(), Failure> {
    if !file.is_file() {
        return Err(Failure::new(Code::NotFound, format!("{}: there is no such file", file.display())));
    }
    let keys = database.with_file_name(PKI);
    let missing = belong(backup::deployment(file).map_err(failure)?, &keys)?;
    if let Some(folder) = database.parent() {
        let made = fs::DirBuilder::new().recursive(true).mode(0o750).create(folder);
        made.map_err(|error| Failure::new(Code::Database, format!("state_dir {}: {error}", folder.display())))?;
    }
    let now = clock::now();
    let aside = aside(database, now);
    let uid = rustix::process::getuid().as_raw();
    let Restored { copy, agents, api_tokens, join_tokens } =
        restore::restore((file, asked), database, &aside, uid, now).map_err(failure)?;
    offline::give_back(database)?;
    if !copy.summed {
        unsummed(file);
    }
    tell(format, "restored", database, &copy, Some(aside.as_path()).filter(|aside| aside.exists()))?;
    if format == Format::Table {
        output::say(&format!(
            "{agents} agents and {api_tokens} API tokens revoked again, {join_tokens} join tokens ended: make new ones"
        ))?;
    }
    if missing {
        output::remark(&format!("{} is missing: put back the folder that belongs to this database", keys.display()));
    }
    Ok(())
}

/// Whether the keys are missing; keys of another deployment are refused.
fn belong(found: Option<String>, keys: &Path) -> Result<bool, Failure> {
    let Some(found) = found else { return Ok(false) };
    match fs::read_to_string(keys.join(DEPLOYMENT)) {
        Ok(held) if held.trim() == found => Ok(false),
        Ok(held) => {
            let text = format!(
                "{} belongs to deployment {}, the backup to {found}: put back the folder that belongs to it first",
                keys.display(),
                held.trim()
            );
            Err(Failure::new(Code::Conflict, text))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(error) => Err(Failure::new(Code::Database, format!("{}: {error}", keys.display()))),
    }
}

/// Copies all files of the keys to a folder for its owner alone; those that are there must be the same. What is being
/// written just now is left out.
fn copy_keys(keys: &Path, folder: &Path) -> Result<(), Failure> {
    let failed =
        |path: &Path, error: std::io::Error| Failure::new(Code::Failed, format!("{}: {error}", path.display()));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| failed(folder, error))?;
    let listed = fs::read_dir(keys).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
    for entry in listed.map_err(|error| failed(keys, error))? {
        let (from, to) = (entry.path(), folder.join(entry.file_name()));
        if from.extension().is_some_and(|ending| ending == "new") || !entry.file_type().is_ok_and(|kind| kind.is_file())
        {
            continue;
        }
        let key = fs::read(&from).map_err(|error| failed(&from, error))?;
        match fs::read(&to) {
            Ok(held) if held == key => continue,
            Ok(_) => {
                let text = format!("{}: holds another key; choose another folder", to.display());
                return Err(Failure::new(Code::Conflict, text));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(failed(&to, error)),
        }
        let open = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&to);
        let written = open.and_then(|mut file| file.write_all(&key).and_then(|()| file.sync_all()));
        written.map_err(|error| failed(&to, error))?;
    }
    Ok(())
}

/// Tells `muster doctor` of the copy. That it cannot be told is no reason to call the copy a failure.
fn remember(database: &Path, file: &Path, copy: &Verified) -> Result<(), Failure> {
    let path = database.with_file_name(LAST_BACKUP);
    let whole = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let row = json!({"file": whole.to_string_lossy(), "at": clock::now(), "head": copy.head, "bytes": copy.bytes});
    let temporary = path.with_extension("json.new");
    if let Err(error) = fs::write(&temporary, format!("{row}\n")).and_then(|()| fs::rename(&temporary, &path)) {
        output::remark(&format!("{}: {error}; `muster doctor` will not know of this copy", path.display()));
        return Ok(());
    }
    offline::give_back(database)
}

fn tell(format: Format, what: &str, file: &Path, found: &Verified, aside: Option<&Path>) -> Result<(), Failure> {
    let file = file.to_string_lossy();
    if format != Format::Table {
        let row = json!({
            "file": file,
            "bytes": found.bytes,
            "head": found.head,
            "deployment": found.deployment,
            "summed": found.summed,
            "aside": aside.map(Path::to_string_lossy),
        });
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
        BackupError::Open(_)
        | BackupError::NotGood { .. }
        | BackupError::Altered { .. }
        | BackupError::NoSum { .. }
        | BackupError::Database { .. } => Code::Database,
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
        fs::create_dir(state.join(PKI)).expect("a folder");
        for name in ["deployment", "server-ca.pem", "server-ca-2.pem", "half.new"] {
            fs::write(state.join(PKI).join(name), name).expect("a key");
        }
        let keys = folder.path().join("keys");
        backup(&config, Verb::Create { file: copy.clone(), keys: Some(keys.clone()) }).expect("a copy");
        let mut copied: Vec<_> = fs::read_dir(&keys).expect("a folder").filter_map(Result::ok).collect();
        copied.sort_by_key(fs::DirEntry::file_name);
        let modes = copied.iter().map(|entry| entry.metadata().expect("a key").permissions().mode() & 0o777);
        assert_eq!(modes.collect::<Vec<_>>(), [0o600; 3], "all but the half one: {copied:?}");
        copy_keys(&state.join(PKI), &keys).expect("the same keys again");
        fs::write(keys.join("deployment"), "another").expect("a key");
        assert_eq!(copy_keys(&state.join(PKI), &keys).expect_err("another key").code, Code::Conflict);
        let mode = fs::metadata(&copy).expect("a copy").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        let again = backup(&config, Verb::Create { file: copy.clone(), keys: None }).expect_err("there already");
        assert_eq!(again.code, Code::Conflict);
        backup(&config, Verb::Verify { file: copy.clone(), without_sum: false }).expect("good");
        backup(&config, Verb::Restore { file: copy.clone(), without_sum: false }).expect("restored");
        let kept = fs::read_dir(&state).expect("a folder").filter_map(Result::ok);
        let kept = kept.filter(|entry| entry.file_name().to_string_lossy().starts_with("muster.db.before-restore-2"));
        assert_eq!(kept.count(), 1);
        fs::remove_dir_all(&state).expect("all lost");
        backup(&config, Verb::Restore { file: copy, without_sum: false }).expect("restored to nothing");
        assert!(state.join("muster.db").exists());
    }

    #[test]
    fn what_is_no_copy_ends_with_8() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("copy.db");
        let config = folder.path().join("muster.toml");
        let missing = backup(&config, Verb::Verify { file: file.clone(), without_sum: false }).expect_err("missing");
        assert_eq!(missing.code, Code::Database);
        let missing =
            restore(Format::Table, (&file, Sum::Needed), &folder.path().join("state/muster.db")).expect_err("missing");
        assert_eq!(missing.code, Code::NotFound);
        assert!(!folder.path().join("state").exists());
        fs::write(&file, "not a database at all").expect("a file");
        assert_eq!(
            backup(&config, Verb::Verify { file, without_sum: true }).expect_err("not one").code,
            Code::Database
        );
    }
}
