//! `muster migrate`: brings the database to the schema of this version, while no collector runs.
//!
//! `muster serve` does the same when it starts; this is for those who want to see it done first.

use super::exit::{Code, Failure};
use super::offline::{self, Settings};
use super::output::{self, Column, Format};
use crate::clock;
use crate::store::open;
use clap::Args;
use serde_json::json;

/// What `muster migrate` may be told.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  systemctl stop muster && muster backup create /var/backups/muster.db && muster migrate\n  muster migrate --config /etc/muster/muster.toml\n\nEnds with 8 where the database is newer than this muster, in use, or damaged; it is then as it was."
)]
pub struct Migrate {
    #[command(flatten)]
    settings: Settings,
}

const COLUMNS: &[Column] = &[("DATABASE", "database"), ("FROM", "from"), ("TO", "to")];

/// Runs the verb.
///
/// # Errors
/// A database that cannot be used.
pub fn run(migrate: &Migrate, format: Format) -> Result<(), Failure> {
    let database = offline::database(&migrate.settings.read()?);
    let migrated = open::migrate(&database, clock::now());
    let (from, to) = migrated.map_err(|error| Failure::new(Code::Database, error.to_string()))?;
    offline::give_back(&database)?;
    let row = json!({"database": database.to_string_lossy(), "from": from, "to": to});
    let what = if from == to { "nothing to do".to_owned() } else { format!("brought from schema {from}") };
    output::done(format, &format!("{}: schema {to}, {what}", database.display()), COLUMNS, &row)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn migrate(folder: &std::path::Path) -> Result<(), Failure> {
        let config = folder.join("muster.toml");
        std::fs::write(&config, format!("state_dir = {:?}\n", folder.to_string_lossy())).expect("a file");
        run(&Migrate { settings: Settings { config: Some(config) } }, Format::Table)
    }

    #[test]
    fn what_cannot_be_migrated_ends_with_8_and_stays_as_it_was() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = migrate(folder.path()).expect_err("no database");
        assert_eq!(error.code, Code::Database);
        assert!(error.message.contains("there is no database"), "{error:?}");
        let database = folder.path().join("muster.db");
        std::fs::write(&database, "something else entirely").expect("a file");
        let error = migrate(folder.path()).expect_err("no database of ours");
        assert!(error.message.contains("not a database of Muster"), "{error:?}");
        assert_eq!(std::fs::read(&database).expect("as it was"), b"something else entirely");
    }

    #[test]
    fn a_database_of_this_version_has_nothing_to_do() {
        let folder = tempfile::tempdir().expect("a folder");
        let database = folder.path().join("muster.db");
        drop(open::writer(&database, clock::now()).expect("a database"));
        migrate(folder.path()).expect("nothing to do");
        let _held = open::Lock::take(&database).expect("the lock");
        let error = migrate(folder.path()).expect_err("in use");
        assert!(error.message.contains("in use by another muster"), "{error:?}");
    }
}
