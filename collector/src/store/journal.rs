//! The journal: numbered without holes, in the order of commits, written last before the commit.
//!
//! What the works of a batch tell is held here until then, so that a work that is taken back leaves no hole,
//! and so that several collectors on one database hold the lock that numbering needs only for a moment.

use super::cells::{Cells, all, json, one};
use super::engine::{Cell, Engine, Error, Sql};
use super::names::Names;
use super::sum;
use crate::event::Entry;
use crate::work::Draft;
use shared::id::CauseId;
use shared::unit::At;

/// The columns that [`read`] reads, in its order.
macro_rules! columns {
    () => {
        "e.sum, e.seq, e.at, e.actor, e.actor_name, e.cause, e.subjects, e.subject_names, e.body"
    };
}
pub(crate) use columns;

/// What will be journalled with the next commit. Belongs to the writer.
#[derive(Debug, Default)]
pub struct Journal {
    /// The last number that was committed.
    head: u64,
    pending: Vec<Pending>,
}

#[derive(Debug)]
struct Pending {
    at: At,
    actor: String,
    by: String,
    cause: CauseId,
    kind: String,
    subjects: Vec<String>,
    about: Vec<String>,
    body: String,
}

impl Journal {
    /// The journal as it is in the database.
    ///
    /// # Errors
    /// [`Error`].
    pub fn open(engine: &mut dyn Engine) -> Result<Journal, Error> {
        Ok(Journal { head: head(engine)?, pending: Vec::new() })
    }

    /// The last number that was committed.
    pub fn head(&self) -> u64 {
        self.head
    }

    /// How much is pending: where a work begins.
    pub fn mark(&self) -> usize {
        self.pending.len()
    }

    /// Takes back what was told since the mark.
    pub fn roll_back(&mut self, mark: usize) {
        self.pending.truncate(mark);
    }

    /// Takes events for the next commit.
    ///
    /// # Errors
    /// [`Error::Engine`] if an event cannot be written as JSON, which no event does.
    pub fn tell(&mut self, at: At, cause: CauseId, events: &[Draft], names: &mut Names<'_>) -> Result<(), Error> {
        for draft in events {
            let failed = |e: serde_json::Error| Error::Engine(format!("JSON of an event: {e}"));
            let body = serde_json::to_string(&draft.event).map_err(failed)?;
            self.pending.push(Pending {
                at,
                actor: draft.actor.to_string(),
                by: names.actor(&draft.actor)?,
                cause,
                kind: kind(&body)?.to_owned(),
                subjects: draft.subjects.iter().map(ToString::to_string).collect(),
                about: draft.subjects.iter().map(|subject| names.subject(subject)).collect::<Result<_, _>>()?,
                body,
            });
        }
        Ok(())
    }

    /// Numbers and writes what is pending; the last step of a transaction. Returns the head as it will be.
    ///
    /// # Errors
    /// [`Error`].
    pub fn write(&self, engine: &mut dyn Engine) -> Result<u64, Error> {
        let mut seq = self.head;
        let put =
            Sql("insert into journal (seq, at, actor, actor_name, cause, subjects, subject_names, body, sum, kind) \
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)");
        let index = Sql("insert into journal_subject (subject, seq) values (?1, ?2) on conflict do nothing");
        for pending in &self.pending {
            seq += 1;
            let mut params = sum::with([
                seq.into(),
                pending.at.into(),
                (&pending.actor).into(),
                (&pending.by).into(),
                pending.cause.into(),
                pending.subjects.join(" ").into(),
                json(&pending.about)?,
                (&pending.body).into(),
            ]);
            params.push((&pending.kind).into());
            engine.run(put, &params)?;
            for subject in &pending.subjects {
                engine.run(index, &[subject.into(), seq.into()])?;
            }
        }
        Ok(seq)
    }

    /// The transaction was committed.
    pub fn committed(&mut self, head: u64) {
        self.head = head;
        self.pending.clear();
    }

    /// The latest events of a subject as JSON, newest first, those of this batch among them.
    ///
    /// # Errors
    /// [`Error`].
    pub fn recent(&self, engine: &mut dyn Engine, subject: &str, limit: usize) -> Result<Vec<String>, Error> {
        let mut texts = Vec::new();
        for (seq, pending) in (self.head + 1..).zip(&self.pending).collect::<Vec<_>>().into_iter().rev() {
            if texts.len() < limit && pending.subjects.iter().any(|held| held == subject) {
                texts.push(text(&pending.entry(seq)?)?);
            }
        }
        let rest = i64::try_from(limit.saturating_sub(texts.len())).unwrap_or(i64::MAX);
        let sql = Sql(concat!(
            "select ",
            columns!(),
            " from journal_subject x join journal e on e.seq = x.seq where x.subject = ?1 order by x.seq desc limit ?2"
        ));
        for entry in all(engine, sql, &[subject.into(), rest.into()], read)? {
            texts.push(text(&about(entry, subject)?)?);
        }
        Ok(texts)
    }
}

impl Pending {
    fn entry(&self, seq: u64) -> Result<Entry, Error> {
        let damaged = |e: serde_json::Error| Error::Engine(format!("JSON of an event: {e}"));
        Ok(Entry {
            seq,
            at: self.at,
            actor: self.actor.clone(),
            by: self.by.clone(),
            cause: self.cause,
            subjects: self.subjects.clone(),
            about: self.about.clone(),
            event: serde_json::from_str(&self.body).map_err(damaged)?,
        })
    }
}

/// The tag under which an event is serialised: serde writes it first.
fn kind(body: &str) -> Result<&str, Error> {
    let kind = body.strip_prefix(r#"{"kind":""#).and_then(|rest| rest.split('"').next());
    kind.ok_or_else(|| Error::Engine("an event does not start with its kind".to_owned()))
}

fn text(entry: &Entry) -> Result<String, Error> {
    serde_json::to_string(entry).map_err(|e| Error::Engine(format!("JSON of an event: {e}")))
}

/// Reads an entry from [`columns`].
pub fn read(cells: &[Cell]) -> Result<Entry, Error> {
    let mut c = Cells::new("journal", cells);
    c.sum(8)?;
    Ok(Entry {
        seq: c.u64()?,
        at: c.at()?,
        actor: c.string()?,
        by: c.string()?,
        cause: c.parse()?,
        subjects: c.text()?.split_whitespace().map(str::to_owned).collect(),
        about: c.json()?,
        event: c.json()?,
    })
}

/// An entry that a timeline led to: it is about whose timeline that is.
pub fn about(entry: Entry, subject: &str) -> Result<Entry, Error> {
    if entry.subjects.iter().any(|held| held == subject) {
        return Ok(entry);
    }
    let what = format!("entry {} stands in the timeline of {subject}, which it is not about", entry.seq);
    Err(Error::Damaged { table: "journal_subject", what })
}

/// That an entry, read from [`columns`] and its kind, is what was written.
pub fn check(cells: &[Cell]) -> Result<(), Error> {
    read(cells)?;
    let mut c = Cells::new("journal", cells.get(cells.len().saturating_sub(2)..).unwrap_or_default());
    let (body, held) = (c.text()?, c.text()?);
    if kind(body).is_ok_and(|kind| kind == held) {
        Ok(())
    } else {
        Err(c.damaged("an entry is of another kind than its column says"))
    }
}

/// The last number of the journal; 0 if nothing ever happened.
///
/// # Errors
/// [`Error`].
pub fn head(engine: &mut dyn Engine) -> Result<u64, Error> {
    let last = one(engine, Sql("select max(seq) from journal"), &[], |cells| Cells::new("journal", cells).opt_int())?;
    Ok(last.flatten().unwrap_or(0).cast_unsigned())
}
