//! Putting a backup back: what was there is moved aside, and what was revoked since stays revoked.
//!
//! A backup remembers agents that were revoked since, and join tokens that were used up. So before the copy takes
//! the place of the database, the rules run on it: what the ledger and the database that goes know as revoked is
//! revoked, every join token is ended, and the journal says so.

use super::backup::{BackupError, Pace, Sum, Verified, copy, remove, rename, verify, with_suffix};
use super::disk::Floor;
use super::engine::{Engine as _, Error};
use super::ledger::{self, Ledger, Revoked};
use super::open::{self, Lock, OpenError};
use super::page::{LIMIT_ROWS_MAX, Page};
use super::sqlite::Sqlite;
use super::writer::{BATCH_WORKS, Gauge, Job, Outside, Writer};
use super::{Denied, random, read, scrub};
use crate::event::Actor;
use crate::register::model::AgentState;
use crate::work::{Act, Policy, Work};
use shared::unit::At;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::{oneshot, watch};

/// What is said of an agent that the backup knew as good.
const REASON: &str = "revoked before the register was restored";

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The copy.
    pub copy: Verified,
    /// Agents that were revoked since.
    pub agents: usize,
    /// API tokens that were revoked since.
    pub api_tokens: usize,
    /// Join tokens that were ended.
    pub join_tokens: usize,
}

/// Puts a verified backup in the place of a database that nobody has open. What was there is moved to `aside`, in
/// the same directory, where nothing may be yet. `uid` is who does it, `now` when.
///
/// # Errors
/// [`BackupError`]; [`OpenError::Locked`] while a collector runs.
pub fn restore(
    (copy_from, asked): (&Path, Sum),
    database: &Path,
    aside: &Path,
    uid: u32,
    now: At,
) -> Result<Restored, BackupError> {
    let _lock = Lock::take(database)?;
    if aside.exists() {
        return Err(BackupError::Exists(aside.to_owned()));
    }
    let verified = verify(copy_from, asked)?;
    let mut ledger = Ledger::beside(database)
        .map_err(|error| BackupError::File { path: database.with_file_name(ledger::FILE), error })?;
    // The database that goes may know more than the ledger, or may be unreadable: that is why it goes.
    if let Ok(mut engine) = open::reader(database)
        && let Ok(known) = ledger::known(&mut engine)
        && let Err(error) = ledger.add(known, now)
    {
        return Err(BackupError::File { path: ledger.path().to_owned(), error });
    }
    let temporary = with_suffix(database, ".restore");
    for ending in ["", "-wal", "-shm"] {
        remove(&with_suffix(&temporary, ending));
    }
    let made = copy(copy_from, &temporary, Pace::Full)
        .and_then(|()| replay(&temporary, &ledger, (uid, now)).map_err(|error| failed(&temporary, error)))
        .and_then(|counts| replace(&temporary, database, aside).map(|()| counts));
    match made {
        Ok((agents, api_tokens, join_tokens)) => Ok(Restored { copy: verified, agents, api_tokens, join_tokens }),
        Err(error) => {
            remove(&temporary);
            Err(error)
        }
    }
}

fn failed(path: &Path, error: Error) -> BackupError {
    BackupError::Database { path: path.to_owned(), error }
}

/// The copy takes the place of the database.
fn replace(temporary: &Path, database: &Path, aside: &Path) -> Result<(), BackupError> {
    if database.exists() {
        // The log belongs to the database that goes: it is moved into it first, and would damage the new one.
        if let Ok(engine) = Sqlite::writer(database) {
            drop(engine);
        }
        for ending in ["-wal", "-shm"] {
            let from = with_suffix(database, ending);
            if from.exists() {
                rename(&from, &with_suffix(aside, ending))?;
            }
        }
        rename(database, aside)?;
    }
    rename(temporary, database)?;
    let path = database.to_owned();
    scrub::forget(database).map_err(|error| BackupError::File { path, error })
}

/// Revokes, ends and journals on the copy. Gives the numbers of agents, API tokens and join tokens.
fn replay(copy: &Path, ledger: &Ledger, (uid, now): (u32, At)) -> Result<(usize, usize, usize), Error> {
    let unopened = |error: OpenError| Error::Engine(error.to_string());
    let mut engine = open::writer(copy, now).map_err(unopened)?;
    let revoked: BTreeSet<Revoked> = ledger.held().collect();
    let agents: Vec<_> = read::agents::fleet(&mut engine)?
        .into_iter()
        .filter(|(agent, _)| agent.state != AgentState::Revoked && revoked.contains(&Revoked::Agent(agent.id)))
        .map(|(agent, _)| Act::Revoke { agent: agent.id, reason: REASON.to_owned() })
        .collect();
    let api_tokens: Vec<_> = read::tokens::api_all(&mut engine)?
        .into_iter()
        .filter(|token| !token.revoked && revoked.contains(&Revoked::ApiToken(token.id)))
        .map(|token| Act::RevokeApiToken { token: token.id })
        .collect();
    let join_tokens = join_tokens(&mut engine)?;
    let counts = (agents.len(), api_tokens.len(), join_tokens.len());
    let number = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let head = super::journal::head(&mut engine)?;
    let restored =
        Act::Restored { head, agents: number(counts.0), api_tokens: number(counts.1), join_tokens: number(counts.2) };
    let acts = agents.into_iter().chain(api_tokens).chain(join_tokens).chain([restored]);
    let works = acts.map(|act| Work::Act { actor: Actor::Local(uid), act }).collect();
    run(engine, copy, works, now)?;
    Ok(counts)
}

/// Ends of all join tokens that may still be used.
fn join_tokens(engine: &mut Sqlite) -> Result<Vec<Act>, Error> {
    let mut acts = Vec::new();
    let mut page = Page { limit: Some(LIMIT_ROWS_MAX), after: None };
    loop {
        let found = read::tokens::join_list(engine, &page)?;
        let alive = found.rows.iter().filter(|token| !token.revoked);
        acts.extend(alive.map(|token| Act::RevokeJoinToken { token: token.id }));
        match found.next {
            Some(next) => page.after = Some(next),
            None => return Ok(acts),
        }
    }
}

fn run(engine: Sqlite, copy: &Path, works: Vec<Work>, now: At) -> Result<(), Error> {
    let outside = Outside {
        clock: Arc::new(move || now),
        seed: Arc::new(random),
        policy: Policy::default(),
        committed: Arc::new(|_| {}),
        heard: Arc::new(|_| None),
    };
    let folder = copy.parent().unwrap_or(Path::new(".")).to_owned();
    let mut writer =
        Writer::new(engine, outside, Floor::new(folder, Some(0)), Arc::new(Gauge::default()), watch::channel(0).0)?;
    for works in works.chunks(BATCH_WORKS) {
        let (jobs, answers): (Vec<Job>, Vec<_>) = works.iter().map(|work| job(work.clone())).unzip();
        writer.batch(jobs)?;
        for mut answer in answers {
            match answer.try_recv() {
                Ok(Ok(_)) => {}
                Ok(Err(denied)) => return Err(Error::Engine(denied.to_string())),
                Err(error) => return Err(Error::Engine(error.to_string())),
            }
        }
    }
    writer.engine.rest()
}

type Answer = oneshot::Receiver<Result<crate::work::Reply, Denied>>;

fn job(work: Work) -> (Job, Answer) {
    let (asker, answer) = oneshot::channel();
    (Job::Work(Box::new(work), asker), answer)
}
