//! The limit: SQLite alone, with the pragmas of the collector's store, updating one row of a delta's size after
//! the other, so many in one durable commit. No journal, no rules, no network.

use super::proc;
use anyhow::{Context, Result};
use std::path::Path;
use std::time::{Duration, Instant};

/// Machines whose rows are updated in turn.
const MACHINES: u32 = 200;
/// What a row holds, in bytes: a packed list of 600 packages takes about as much.
const ROW_BYTES: usize = 700;

/// What was measured.
pub(super) struct Bare {
    /// Durable rows a second.
    pub(super) rate: f64,
    /// CPU of one row, in microseconds.
    pub(super) cpu_us: f64,
}

/// Updates for so long, `group` rows a commit.
pub(super) fn rows(file: &Path, group: u32, each: Duration) -> Result<Bare> {
    let connection = rusqlite::Connection::open(file).context("SQLite")?;
    connection.execute_batch(
        "pragma journal_mode=wal; pragma synchronous=full; pragma wal_autocheckpoint=4000;
         create table if not exists install (asset integer primary key, seq integer, ids blob);",
    )?;
    let mut update = connection.prepare(
        "insert into install values (?1, ?2, ?3) on conflict do update set seq = excluded.seq, ids = excluded.ids",
    )?;
    let list = vec![1_u8; ROW_BYTES];
    let (began, before) = (Instant::now(), proc::cpu(std::process::id())?);
    let mut seq = 0_u32;
    while began.elapsed() < each {
        connection.execute_batch("begin immediate")?;
        for _ in 0..group {
            seq += 1;
            update.execute(rusqlite::params![seq.wrapping_mul(7) % MACHINES, seq, list])?;
        }
        connection.execute_batch("commit")?;
    }
    let cpu = proc::cpu(std::process::id())?.saturating_sub(before);
    Ok(Bare { rate: f64::from(seq) / began.elapsed().as_secs_f64(), cpu_us: cpu.as_secs_f64() * 1e6 / f64::from(seq) })
}
