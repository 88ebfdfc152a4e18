//! Tables `agent`, `seen` and `held`.

use super::{lost, put_rev};
use crate::register::model::{Agent, AgentState, Cert};
use crate::store::cells::{Cells, all, json, one};
use crate::store::engine::{Cell, Engine, Error, Sql};
use crate::store::sum;
use shared::checkin::{Goodbye, Stream};
use shared::id::{AgentId, JoinTokenId};
use shared::unit::At;

/// Records that are held back for one agent at most, one per stream.
const HELD_RECORDS: usize = 8;

/// The columns that [`read`] reads, in its order.
macro_rules! columns {
    () => {
        "a.sum, a.id, a.rev, a.state, a.reason, a.name, a.version, a.token, a.labels, a.source, a.enrolled, a.first_key, \
         a.current_generation, a.current_fingerprint, a.current_expires, a.next_generation, a.next_fingerprint, \
         a.next_expires, a.roots, a.recoveries, a.asset, a.stream, a.seq, a.record, a.root, a.goodbye"
    };
}
pub(crate) use columns;

/// The columns that [`read_seen`] reads, in its order.
macro_rules! seen_columns {
    () => {
        "n.sum, n.agent, n.at"
    };
}
pub(crate) use seen_columns;

const PUT: Sql = Sql("insert into agent (id, rev, state, reason, name, version, token, labels, source, enrolled, \
     first_key, current_generation, current_fingerprint, current_expires, next_generation, next_fingerprint, \
     next_expires, roots, recoveries, asset, stream, seq, record, root, goodbye, sum) \
     values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, \
     ?23, ?24, ?25, ?26) \
     on conflict (id) do update set rev = excluded.rev, state = excluded.state, reason = excluded.reason, \
     name = excluded.name, version = excluded.version, labels = excluded.labels, source = excluded.source, \
     current_generation = excluded.current_generation, current_fingerprint = excluded.current_fingerprint, \
     current_expires = excluded.current_expires, next_generation = excluded.next_generation, \
     next_fingerprint = excluded.next_fingerprint, next_expires = excluded.next_expires, \
     roots = excluded.roots, recoveries = excluded.recoveries, asset = excluded.asset, \
     stream = excluded.stream, seq = excluded.seq, record = excluded.record, root = excluded.root, \
     goodbye = excluded.goodbye, sum = excluded.sum \
     where agent.rev = excluded.rev - 1");

/// Writes an agent.
///
/// # Errors
/// [`Error`]; [`Error::Raced`].
pub fn put(engine: &mut dyn Engine, agent: &Agent) -> Result<(), Error> {
    if agent.rev == 1 {
        let sql = Sql("insert into seen (agent, at, sum) values (?1, ?2, ?3) on conflict do nothing");
        engine.run(sql, &sum::with([agent.id.into(), Cell::Null]))?;
    }
    let (current_generation, current_fingerprint, current_expires) = cert_cells(agent.current.as_ref());
    let (next_generation, next_fingerprint, next_expires) = cert_cells(agent.next.as_ref());
    put_rev(
        engine,
        PUT,
        &sum::with([
            agent.id.into(),
            agent.rev.into(),
            agent.state.name().into(),
            (&agent.reason).into(),
            (&agent.name).into(),
            (&agent.version).into(),
            agent.token.into(),
            json(&agent.labels)?,
            (&agent.source).into(),
            agent.enrolled.into(),
            (&agent.first_key).into(),
            current_generation,
            current_fingerprint,
            current_expires,
            next_generation,
            next_fingerprint,
            next_expires,
            u32::from(agent.roots).into(),
            agent.recoveries.into(),
            agent.asset.into(),
            agent.stream.into(),
            agent.seq.into(),
            agent.record.into(),
            agent.root.into(),
            agent.goodbye.map(goodbye_name).into(),
        ]),
    )
}

fn cert_cells(cert: Option<&Cert>) -> (Cell, Cell, Cell) {
    match cert {
        None => (Cell::Null, Cell::Null, Cell::Null),
        Some(cert) => (cert.generation.into(), (&cert.fingerprint).into(), cert.expires.into()),
    }
}

/// Reads an agent from [`columns`].
pub fn read(cells: &[Cell]) -> Result<Agent, Error> {
    read_from(&mut Cells::new("agent", cells))
}

/// Reads an agent where its columns are the next of a longer row.
pub fn read_from(c: &mut Cells<'_>) -> Result<Agent, Error> {
    c.sum(25)?;
    Ok(Agent {
        id: c.parse()?,
        rev: c.u64()?,
        state: c.name(AgentState::of)?,
        reason: c.string()?,
        name: c.string()?,
        version: c.string()?,
        token: c.parse()?,
        labels: c.json()?,
        source: c.string()?,
        enrolled: c.at()?,
        first_key: c.string()?,
        current: read_cert(c)?,
        next: read_cert(c)?,
        roots: c.small()?,
        recoveries: c.small()?,
        asset: c.opt_parse()?,
        stream: c.opt_digest()?,
        seq: c.u64()?,
        record: c.digest()?,
        root: c.digest()?,
        goodbye: read_goodbye(c)?,
    })
}

fn read_cert(c: &mut Cells<'_>) -> Result<Option<Cert>, Error> {
    let (generation, fingerprint, expires) = (c.opt_int()?, c.opt_string()?, c.opt_at()?);
    match (generation, fingerprint, expires) {
        (None, None, None) => Ok(None),
        (Some(generation), Some(fingerprint), Some(expires)) => {
            Ok(Some(Cert { generation: generation.cast_unsigned(), fingerprint, expires }))
        }
        _ => Err(c.damaged("half of a certificate")),
    }
}

/// Reads a goodbye from its column.
pub fn read_goodbye(c: &mut Cells<'_>) -> Result<Option<Goodbye>, Error> {
    match c.opt_text()? {
        None => Ok(None),
        Some("shutdown") => Ok(Some(Goodbye::Shutdown)),
        Some("sleep") => Ok(Some(Goodbye::Sleep)),
        Some("stop") => Ok(Some(Goodbye::Stop)),
        Some(other) => Err(c.damaged(format!("unknown goodbye {other:?}"))),
    }
}

fn goodbye_name(goodbye: Goodbye) -> &'static str {
    match goodbye {
        Goodbye::Shutdown => "shutdown",
        Goodbye::Sleep => "sleep",
        Goodbye::Stop => "stop",
    }
}

/// Keeps when an agent was last heard; an earlier time never takes the place of a later one.
///
/// # Errors
/// [`Error`].
pub fn put_seen(engine: &mut dyn Engine, agent: AgentId, at: At) -> Result<(), Error> {
    let sql = Sql("insert into seen (agent, at, sum) values (?1, ?2, ?3) \
         on conflict (agent) do update set at = excluded.at, sum = excluded.sum \
         where seen.at is null or seen.at < excluded.at");
    engine.run(sql, &sum::with([agent.into(), at.into()])).map(|_| ())
}

/// Reads when this agent was last heard from [`seen_columns`]; none where it never was, or there is no agent.
pub fn read_seen(c: &mut Cells<'_>, agent: Option<AgentId>) -> Result<Option<At>, Error> {
    match (c.opt_sum(2)?, agent) {
        (true, _) => {
            c.text()?;
            c.opt_at()
        }
        (false, None) => Ok(None),
        (false, Some(agent)) => Err(lost("seen", agent)),
    }
}

/// When this agent was last heard, as far as that was flushed.
///
/// # Errors
/// [`Error`].
pub fn seen(engine: &mut dyn Engine, agent: AgentId) -> Result<Option<At>, Error> {
    let sql = Sql("select sum, agent, at from seen where agent = ?1");
    let found = one(engine, sql, &[agent.into()], |cells| read_seen(&mut Cells::new("seen", cells), Some(agent)))?;
    found.ok_or_else(|| lost("seen", agent))
}

/// Keeps the latest record of a quarantined agent's stream, and of its latest streams only.
///
/// # Errors
/// [`Error`].
pub fn put_held(engine: &mut dyn Engine, agent: AgentId, stream: Stream, record: &str, now: At) -> Result<(), Error> {
    let put = Sql("insert into held (agent, stream, at, record, sum) values (?1, ?2, ?3, ?4, ?5) \
         on conflict (agent, stream) do update set at = excluded.at, record = excluded.record, sum = excluded.sum");
    engine.run(put, &sum::with([agent.into(), stream.into(), now.into(), record.into()]))?;
    let list = Sql("select stream from held where agent = ?1 order by at desc, stream");
    let streams = all(engine, list, &[agent.into()], |cells| Cells::new("held", cells).digest())?;
    for old in streams.iter().skip(HELD_RECORDS) {
        engine.run(Sql("delete from held where agent = ?1 and stream = ?2"), &[agent.into(), (*old).into()])?;
    }
    Ok(())
}

/// An agent.
///
/// # Errors
/// [`Error`].
pub fn by_id(engine: &mut dyn Engine, id: AgentId) -> Result<Option<Agent>, Error> {
    let sql = Sql(concat!("select ", columns!(), " from agent a where a.id = ?1"));
    let found = one(engine, sql, &[id.into()], read)?;
    if found.is_none() {
        unknown(engine, id)?;
    }
    Ok(found)
}

/// That an agent that was not found never was: nobody is turned away as a stranger because a key is damaged.
///
/// # Errors
/// [`Error::Damaged`] where it is known when it was heard.
pub fn unknown(engine: &mut dyn Engine, id: AgentId) -> Result<(), Error> {
    match one(engine, Sql("select 1 from seen where agent = ?1"), &[id.into()], |_| Ok(()))? {
        Some(()) => Err(lost("agent", id)),
        None => Ok(()),
    }
}

/// The agent that came with this token and key.
///
/// # Errors
/// [`Error`].
pub fn by_first_key(engine: &mut dyn Engine, token: JoinTokenId, key: &str) -> Result<Option<Agent>, Error> {
    let sql = Sql(concat!("select ", columns!(), " from agent a where a.token = ?1 and a.first_key = ?2"));
    one(engine, sql, &[token.into(), key.into()], read)
}
