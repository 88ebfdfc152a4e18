//! What the verbs that need no running collector have in common: the settings, and whose the files are.

use super::exit::{Code, Failure};
use crate::config::{self, Config};
use crate::serve::DATABASE;
use crate::store::REVOCATIONS;
use clap::Args;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// What was copied last and when, for `muster doctor`; in the state directory.
pub const LAST_BACKUP: &str = "backup.json";

/// Where the collector's settings are.
#[derive(Debug, Clone, Args)]
pub struct Settings {
    /// The collector's settings; without this /etc/muster/muster.toml, which need not exist.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl Settings {
    /// Reads them.
    ///
    /// # Errors
    /// One line that names the key; [`Code::Config`].
    pub fn read(&self) -> Result<Config, Failure> {
        config::read(self.config.as_deref(), crate::env::text)
            .map_err(|error| Failure::new(Code::Config, error.to_string()))
    }
}

/// The database of a collector.
pub fn database(config: &Config) -> PathBuf {
    config.state_dir.join(DATABASE)
}

/// Root leaves the database and its lock to whom the state directory belongs: a file of root's own would keep
/// the service out.
///
/// # Errors
/// Those of chown(2), with the path.
pub fn give_back(database: &Path) -> Result<(), Failure> {
    let Some(folder) = database.parent().filter(|_| rustix::process::geteuid().is_root()) else { return Ok(()) };
    let owner = fs::metadata(folder)?;
    let beside = [REVOCATIONS, LAST_BACKUP].map(|name| database.with_file_name(name));
    for path in [database.to_owned(), database.with_extension("lock")].into_iter().chain(beside) {
        if path.exists() {
            std::os::unix::fs::chown(&path, Some(owner.uid()), Some(owner.gid()))
                .map_err(|error| Failure::new(Code::Failed, format!("{}: {error}", path.display())))?;
        }
    }
    Ok(())
}
