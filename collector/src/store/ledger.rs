//! What a backup cannot know: agents and API tokens that were revoked after it was made. An append-only file beside
//! the database, which a restore replays; without it a restored register would let them in again.
//!
//! A line is `time kind id check`: microseconds UTC, `agent` or `api_token`, its id, and the first 8 bytes of the
//! SHA-256 of what stands before, so that a line that was cut short or altered counts for nothing. A line is durable
//! before the one who revoked is answered; lines that a crash kept from the file are added at the next start.

use super::cells::{Cells, all};
use super::engine::{Engine, Error, Sql};
use crate::durable;
use crate::register::model::AgentState;
use crate::work::Row;
use sha2::{Digest as _, Sha256};
use shared::id::{AgentId, ApiTokenId};
use shared::unit::At;
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// The file's name.
pub const FILE: &str = "revocations.log";
/// A line has about 90 bytes: room for a million.
const BYTES_MAX: u64 = 96 * 1024 * 1024;

/// Something that was revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Revoked {
    /// An agent.
    Agent(AgentId),
    /// An API token.
    ApiToken(ApiTokenId),
}

impl Revoked {
    fn of(row: &Row) -> Option<Revoked> {
        match row {
            Row::Agent(agent) if agent.state == AgentState::Revoked => Some(Revoked::Agent(agent.id)),
            Row::ApiToken(token) if token.revoked => Some(Revoked::ApiToken(token.id)),
            _ => None,
        }
    }

    fn text(self) -> String {
        match self {
            Revoked::Agent(id) => format!("agent {id}"),
            Revoked::ApiToken(id) => format!("api_token {id}"),
        }
    }

    fn read(line: &str) -> Option<Revoked> {
        let (said, check) = line.rsplit_once(' ')?;
        if check != self::check(said) {
            return None;
        }
        match said.split(' ').collect::<Vec<_>>().as_slice() {
            [_, "agent", id] => id.parse().ok().map(Revoked::Agent),
            [_, "api_token", id] => id.parse().ok().map(Revoked::ApiToken),
            _ => None,
        }
    }
}

fn check(said: &str) -> String {
    Sha256::digest(said.as_bytes()).first_chunk::<8>().map_or_else(String::new, |start| crate::hex::of(start))
}

/// The file, and what it holds.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    held: BTreeSet<Revoked>,
    /// This process knows that the disk has kept the file's name.
    named: bool,
}

impl Ledger {
    /// The ledger beside a database; there need be no file yet.
    ///
    /// # Errors
    /// Those of reading it; one that is far too large is refused.
    pub fn beside(database: &Path) -> std::io::Result<Ledger> {
        let path = database.with_file_name(FILE);
        let mut bytes = Vec::new();
        match File::open(&path) {
            Ok(file) => file.take(BYTES_MAX + 1).read_to_end(&mut bytes).map(drop)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        if u64::try_from(bytes.len()).is_ok_and(|len| len > BYTES_MAX) {
            return Err(std::io::Error::other(format!("larger than {BYTES_MAX} bytes; move it away")));
        }
        let text = String::from_utf8_lossy(&bytes);
        Ok(Ledger { path, held: text.lines().filter_map(Revoked::read).collect(), named: false })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Everything in it.
    pub fn held(&self) -> impl Iterator<Item = Revoked> + '_ {
        self.held.iter().copied()
    }

    /// Adds what these rows revoke, durably.
    ///
    /// # Errors
    /// Those of writing it: what was not written is not held, and is added at the next start.
    pub fn note(&mut self, rows: &[Row], now: At) -> std::io::Result<()> {
        self.add(rows.iter().filter_map(Revoked::of).collect(), now)
    }

    /// Adds these, durably; those that are held already are not written again.
    ///
    /// # Errors
    /// As [`note`](Self::note).
    pub fn add(&mut self, revoked: BTreeSet<Revoked>, now: At) -> std::io::Result<()> {
        let fresh: Vec<Revoked> = revoked.difference(&self.held).copied().collect();
        if fresh.is_empty() {
            return Ok(());
        }
        let is_new = !self.path.exists();
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path)?;
        // In front of what is new stands an end of line, should the last one have been cut short.
        let mut text = String::from(if is_new { "" } else { "\n" });
        for one in &fresh {
            let At(at) = now;
            let said = format!("{at} {}", one.text());
            text.push_str(&format!("{said} {}\n", check(&said)));
        }
        file.write_all(text.as_bytes())?;
        file.sync_data()?;
        // Not only of a file that is new: whoever made it may have got no further.
        if !self.named {
            durable::sync_folder_of(&self.path)?;
            self.named = true;
        }
        self.held.extend(fresh);
        Ok(())
    }
}

/// Everything that a database knows as revoked.
///
/// # Errors
/// [`Error`].
pub fn known(engine: &mut dyn Engine) -> Result<BTreeSet<Revoked>, Error> {
    let agents = Sql("select id from agent where state = 'revoked'");
    let agents = all(engine, agents, &[], |cells| Cells::new("agent", cells).parse().map(Revoked::Agent))?;
    let tokens = Sql("select id from api_token where revoked");
    let tokens = all(engine, tokens, &[], |cells| Cells::new("api_token", cells).parse().map(Revoked::ApiToken))?;
    Ok(agents.into_iter().chain(tokens).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use uuid::Uuid;

    #[test]
    fn a_line_that_was_cut_short_or_altered_counts_for_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let database = folder.path().join("muster.db");
        let agent = |n| Revoked::Agent(AgentId(Uuid::from_u128(n)));
        let token = Revoked::ApiToken(ApiTokenId(Uuid::from_u128(7)));
        let mut ledger = Ledger::beside(&database).expect("none yet");
        ledger.add([agent(1), token].into(), At(5)).expect("written");
        ledger.add([agent(1)].into(), At(6)).expect("held already");
        let path = ledger.path().to_owned();
        let text = fs::read_to_string(&path).expect("a file");
        assert_eq!(text.lines().count(), 2);
        fs::write(&path, &text[..text.len() - 9]).expect("cut short");
        let mut ledger = Ledger::beside(&database).expect("read");
        assert_eq!(ledger.held().collect::<Vec<_>>(), [agent(1)]);
        ledger.add([agent(2)].into(), At(7)).expect("written");
        let held: Vec<_> = Ledger::beside(&database).expect("read").held().collect();
        assert_eq!(held, [agent(1), agent(2)]);
        fs::write(&path, text.replacen("01 ", "02 ", 1)).expect("altered");
        assert_eq!(Ledger::beside(&database).expect("read").held().collect::<Vec<_>>(), [token]);
    }
}
