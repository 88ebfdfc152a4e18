//! Opening, copying and checking files.

use super::*;
use crate::store::backup::{self, BackupError, Sum};
use crate::store::check;
use crate::store::open::{Lock, OpenError};
use crate::store::restore::restore;
use std::fs;

fn with(path: &Path, sql: &str) {
    rusqlite::Connection::open(path).expect("open").execute_batch(sql).expect("run");
}

#[test]
fn a_newer_schema_is_refused_untouched() {
    let (_directory, path) = place();
    drop(fresh(&path));
    with(&path, "insert into migration values (2, '002-later', 'x', 0, 0)");
    let before = fs::read(&path).expect("bytes");
    let refused = open::writer(&path, NOW).err().expect("a refusal");
    assert!(matches!(refused, OpenError::Newer { found: 2, known: 1, .. }), "{refused}");
    assert!(matches!(open::reader(&path), Err(OpenError::Newer { .. })));
    assert_eq!(fs::read(&path).expect("bytes"), before);
}

#[test]
fn other_files_are_refused_by_what_they_are() {
    let (directory, path) = place();
    fs::write(&path, "a".repeat(100)).expect("write");
    assert!(matches!(open::writer(&path, NOW), Err(OpenError::NotADatabase(_))));
    fs::write(&path, "short").expect("write");
    assert!(matches!(open::writer(&path, NOW), Err(OpenError::NotADatabase(_))));

    let foreign = directory.path().join("foreign.db");
    with(&foreign, "create table mine (a)");
    assert!(matches!(open::writer(&foreign, NOW), Err(OpenError::NotADatabase(_))));
    let altered = directory.path().join("altered.db");
    drop(fresh(&altered));
    with(&altered, "update migration set sha256 = 'x'");
    assert!(matches!(open::writer(&altered, NOW), Err(OpenError::Altered { .. })));
    assert!(matches!(open::reader(&directory.path().join("none.db")), Err(OpenError::Missing(_))));
    assert!(matches!(open::writer(Path::new("/none/muster.db"), NOW), Err(OpenError::Io { .. })));
}

#[test]
fn a_database_without_its_log_is_not_written() {
    // Never with a log; on a disk SQLite says it the same way, where the switch failed.
    let refused = Sqlite::writer(Path::new(":memory:")).err();
    assert!(matches!(&refused, Some(Error::Io(what)) if what.ends_with("journal_mode memory")), "{refused:?}");
}

#[test]
fn one_program_at_a_time_writes() {
    let (_directory, path) = place();
    let held = Lock::take(&path).expect("the lock");
    let Err(OpenError::Locked { pid, .. }) = Lock::take(&path) else { panic!("a second lock") };
    assert_eq!(pid, std::process::id().to_string());
    drop(held);
    Lock::take(&path).expect("the lock again");
}

#[test]
fn a_backup_is_verified_and_put_back() {
    let (directory, path) = place();
    let copy = directory.path().join("copy.db");
    let mut writer = writer(fresh(&path), &path);
    assert_eq!(batch(&mut writer, vec![create(1), create(2)]).0, Ok(()));
    assert_eq!(backup::create(&path, &copy).expect("a copy").head, 2);
    assert!(matches!(backup::create(&path, &copy), Err(BackupError::Exists(_))));
    assert_eq!(batch(&mut writer, vec![create(3)]).0, Ok(()));
    drop(writer);
    let aside = directory.path().join("muster.db.before-restore");
    assert_eq!(restore((&copy, Sum::Needed), &path, &aside, 0, NOW).expect("restored").copy.head, 2);
    assert_eq!(
        backup::verify(&path, Sum::IfThere).expect("good").head,
        5,
        "two tokens ended, and that it was restored"
    );
    assert_eq!(backup::verify(&aside, Sum::IfThere).expect("kept").head, 3);

    let bytes = fs::read(&copy).expect("a copy");
    fs::write(&copy, &bytes[..bytes.len() - 4096]).expect("cut short");
    assert!(matches!(backup::verify(&copy, Sum::Needed), Err(BackupError::Altered { .. })));
    fs::write(&copy, bytes).expect("whole again");
    assert!(backup::verify(&copy, Sum::Needed).expect("good").summed);
    fs::remove_file(directory.path().join("copy.db.sha256")).expect("the sum is gone");
    let other = directory.path().join("aside.db");
    with(&copy, "delete from journal_subject; delete from journal where seq = 1");
    assert!(matches!(backup::verify(&copy, Sum::Needed), Err(BackupError::NoSum { .. })));
    assert!(matches!(restore((&copy, Sum::Needed), &path, &other, 0, NOW), Err(BackupError::NoSum { .. })));
    let Err(BackupError::NotGood { finding, .. }) = backup::verify(&copy, Sum::IfThere) else {
        panic!("a hole is found")
    };
    assert_eq!(finding.to_string(), "journal: 1 entries, but the last is number 2");
    assert!(
        matches!(restore((&copy, Sum::Needed), &path, &aside, 0, NOW), Err(BackupError::Exists(taken)) if taken == aside)
    );
    let held = Lock::take(&path).expect("the lock");
    assert!(matches!(
        restore((&copy, Sum::Needed), &path, &aside, 0, NOW),
        Err(BackupError::Open(OpenError::Locked { .. }))
    ));
    drop(held);
}

#[test]
fn broken_pages_are_found() {
    let (_directory, path) = place();
    drop(fresh(&path));
    with(&path, "pragma wal_checkpoint(truncate); pragma journal_mode = delete");
    let mut bytes = fs::read(&path).expect("bytes");
    let middle = bytes.len() / 2;
    bytes[middle..middle + 4096].fill(0xa5);
    fs::write(&path, bytes).expect("write");
    let refused = open::writer(&path, NOW).err().expect("a refusal");
    assert!(matches!(refused, OpenError::Damaged { .. }), "looked at before anything is written: {refused}");
    let found = check::file(&path);
    assert!(found.as_ref().is_ok_and(|findings| !findings.is_empty()) || found.is_err(), "{found:?}");
}

#[test]
fn the_database_is_its_owners_alone_whoever_starts_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = tempfile::tempdir().expect("a folder");
    let path = place.path().join("muster.db");
    let mode = |path: &std::path::Path| std::fs::metadata(path).expect("a file").permissions().mode() & 0o777;
    drop(crate::store::open::writer(&path, At(0)).expect("a database"));
    assert_eq!(mode(&path), 0o600);
    // One that an earlier build made readable, with a log beside it.
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("a mode");
    let open = crate::store::open::writer(&path, At(0)).expect("a database");
    assert_eq!([mode(&path), mode(&path.with_extension("db-wal"))], [0o600, 0o600]);
    drop(open);
}
