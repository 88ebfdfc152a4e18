//! The store on real files: what goes in comes out, what is answered is durable, what fails says so.

mod broken;
mod desk;
mod flips;
mod fold;
mod lost;
mod once;
mod opening;
mod pages;
mod restored;
mod round;
mod scrubbed;
mod sweep;
mod tick;
mod works;

use super::engine::{Cell, Each, Engine, Error, Query, Sql};
use super::sqlite::Sqlite;
use super::writer::{Gauge, Job, Outside, Writer};
use super::{Denied, disk, open};
use crate::event::Actor;
use crate::register::model::JoinToken;
use crate::work::{Act, Policy, Reply, Work};
use shared::fact::Item;
use shared::id::JoinTokenId;
use shared::software::Package;
use shared::unit::At;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

const NOW: At = At(1_800_000_000_000_000);
const KIM: Actor = Actor::Local(1000);

/// A directory of its own and the database in it.
fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("muster.db");
    (directory, path)
}

fn outside() -> Outside {
    let made = AtomicU64::new(0);
    Outside {
        clock: Arc::new(|| NOW),
        seed: Arc::new(move || u128::from(made.fetch_add(1, Ordering::Relaxed)).to_be_bytes()),
        policy: Policy::default(),
        committed: Arc::new(|_| {}),
        heard: Arc::new(|_| None),
    }
}

/// A writer on the test's own thread.
fn writer<E: Engine>(engine: E, path: &Path) -> Writer<E> {
    let floor = disk::Floor::new(path.parent().expect("a directory").to_owned(), Some(0));
    let (head, _) = watch::channel(0);
    Writer::new(engine, outside(), floor, Arc::new(Gauge::default()), head).expect("a writer")
}

type Asked = oneshot::Receiver<Result<Reply, Denied>>;

fn job(work: Work) -> (Job, Asked) {
    let (asker, answer) = oneshot::channel();
    (Job::Work(Box::new(work), asker), answer)
}

/// The works in one batch, and what each was answered.
fn batch<E: Engine>(writer: &mut Writer<E>, works: Vec<Work>) -> (Result<(), Error>, Vec<Result<Reply, Denied>>) {
    let (jobs, answers): (Vec<Job>, Vec<Asked>) = works.into_iter().map(job).unzip();
    let done = writer.batch(jobs);
    (done, answers.into_iter().map(|mut answer| answer.try_recv().expect("an answer")).collect())
}

fn join_token(number: u128) -> JoinToken {
    JoinToken {
        id: JoinTokenId(Uuid::from_u128(number)),
        rev: 1,
        hash: [7; 32],
        created: NOW,
        creator: "local:1000".into(),
        expires: NOW.plus_secs(3600),
        uses: 10,
        used: 0,
        cidr: None,
        approve: false,
        labels: [("site".to_owned(), "Zürich".to_owned())].into(),
        revoked: false,
    }
}

fn create(number: u128) -> Work {
    Work::Act { actor: KIM, act: Act::CreateJoinToken { token: Box::new(join_token(number)) } }
}

/// A machine that joins with token 1 and this key.
fn enroll(key: &str) -> Work {
    let token = join_token(1);
    let act = Act::Enroll {
        token: token.id,
        hash: token.hash,
        fingerprint: key.into(),
        name: format!("host {key}"),
        version: "0.1.0".into(),
        source: "192.0.2.1".parse().expect("an address"),
    };
    Work::Act { actor: Actor::Join(token.id), act }
}

fn package(name: &str, version: &str) -> Item {
    Package {
        manager: "dpkg",
        name,
        version,
        arch: Some("amd64"),
        publisher: Some("Debian"),
        size_bytes: Some(1024),
        ..Package::default()
    }
    .into()
}

/// An engine that fails, or finds a row changed, where it is told to: the statement's start, and the error.
struct Trap {
    engine: Sqlite,
    springs: Arc<Mutex<Vec<(&'static str, Error)>>>,
}

impl Trap {
    fn spring(&self, sql: &str) -> Result<(), Error> {
        let mut springs = self.springs.lock().expect("a lock");
        match springs.iter().position(|(start, _)| sql.starts_with(start)) {
            Some(index) => Err(springs.remove(index).1),
            None => Ok(()),
        }
    }
}

impl Engine for Trap {
    fn run(&mut self, sql: Sql, params: &[Cell]) -> Result<usize, Error> {
        match self.spring(sql.0) {
            Ok(()) => self.engine.run(sql, params),
            Err(Error::Raced) => Ok(0),
            Err(error) => Err(error),
        }
    }

    fn query(&mut self, sql: Sql, params: &[Cell], each: &mut Each<'_>) -> Result<(), Error> {
        self.engine.query(sql, params, each)
    }

    fn select(&mut self, query: &Query, each: &mut Each<'_>) -> Result<(), Error> {
        self.engine.select(query, each)
    }

    fn define(&mut self, script: &'static str) -> Result<(), Error> {
        self.engine.define(script)
    }

    fn has_tables(&mut self) -> Result<bool, Error> {
        self.engine.has_tables()
    }

    fn rest(&mut self) -> Result<(), Error> {
        self.spring("rest").and_then(|()| self.engine.rest())
    }
}

fn fresh(path: &Path) -> Sqlite {
    open::writer(path, NOW).expect("a new database")
}
