//! Every row against its sum, and what lies in two places against each other.

use super::{FINDINGS, Finding, damaged, stable};
use crate::store::cells::{Cells, all, one};
use crate::store::engine::{Cell, Engine, Error, Next, Sql};
use crate::store::sqlite::Sqlite;
use crate::store::table::{agent, asset, desk, fault, item, software, token};
use crate::store::{codec, journal, sortkey};

/// Reads a row; errs if it is not what was written.
type Read = fn(&[Cell]) -> Result<(), Error>;

/// Every table with sums but those of sections' heads and of software, which are read with their sections.
const TABLES: &[(Sql, Read)] = &[
    (Sql(concat!("select ", agent::columns!(), " from agent a")), |c| agent::read(c).map(drop)),
    (Sql("select sum, agent, at from seen"), |c| summed("seen", c, 2)),
    (Sql("select sum, agent, stream, at, record from held"), |c| summed("held", c, 4)),
    (Sql("select sum, actor, name, hash, at, told from idempotency_key"), |c| summed("idempotency_key", c, 5)),
    (Sql("select sum, kind, value, asset from evidence"), |c| summed("evidence", c, 3)),
    (Sql("select sum, address, asset from address"), |c| summed("address", c, 2)),
    (Sql("select sum, id from deployment"), |c| summed("deployment", c, 1)),
    (Sql("select sum, number, name, sha256, at from migration"), |c| summed("migration", c, 4)),
    (Sql(concat!("select ", asset::columns!(), " from asset s")), |c| asset::read(c).map(drop)),
    (Sql(concat!("select ", item::columns!(), " from item i")), |c| item::read(c).map(drop)),
    (Sql(concat!("select ", token::join_columns!(), " from join_token j")), |c| token::read_join(c).map(drop)),
    (Sql(concat!("select ", token::api_columns!(), " from api_token p")), |c| token::read_api(c).map(drop)),
    (Sql(concat!("select ", fault::columns!(), " from fault f")), |c| fault::read(c).map(drop)),
    (Sql(concat!("select ", desk::ticket_columns!(), " from ticket t")), |c| desk::read_ticket(c).map(drop)),
    (Sql("select sum, id, ticket, at, actor, text from comment"), |c| desk::read_comment(c).map(drop)),
    (Sql(concat!("select ", desk::link_columns!(), " from link l")), |c| desk::read_link(c).map(drop)),
    (Sql("select sum, id, name, manager, arch from title"), |c| summed("title", c, 4)),
    (
        Sql(concat!(
            "select ",
            software::columns!(),
            ", v.row_digest, v.body, t.manager, t.name, t.arch from version v left join title t on t.id = v.title"
        )),
        version,
    ),
    (Sql(concat!("select ", software::install_columns!(), " from install k")), packed),
    (Sql(concat!("select ", journal::columns!(), ", e.kind from journal e")), journal::check),
];

fn summed(table: &'static str, cells: &[Cell], columns: usize) -> Result<(), Error> {
    Cells::new(table, cells).sum(columns)
}

fn packed(cells: &[Cell]) -> Result<(), Error> {
    let mut c = Cells::new("install", cells);
    codec::unpack(software::packed(&mut c)?)
        .map(drop)
        .ok_or_else(|| c.damaged("the packed list of a section cannot be read"))
}

/// What a version's columns say, its body says too.
fn version(cells: &[Cell]) -> Result<(), Error> {
    let mut c = Cells::new("version", cells);
    c.sum(7)?;
    let (id, _title, version, key) = (c.int()?, c.int()?, c.string()?, c.bytes()?.to_vec());
    let (item_key, publisher, size) = (c.string()?, c.opt_string()?, c.opt_int()?);
    let item = software::body(&mut c)?;
    let (manager, name, arch) = (c.opt_string()?, c.opt_string()?, c.opt_string()?);
    let own = item.key.split('/').next().unwrap_or_default();
    let said = item.text("version").unwrap_or_default();
    let fits = (item_key, publisher, size) == (item.key.clone(), item.maker.clone(), item.size)
        && version == said
        && key == sortkey::of(own, said)
        && manager.as_deref() == Some(own)
        && name.as_deref() == Some(item.label.as_deref().unwrap_or(&item.key))
        && arch.as_deref() == Some(item.text("arch").unwrap_or_default());
    if fits { Ok(()) } else { Err(c.damaged(format!("number {id} and its title are not what its body says"))) }
}

/// Reads every row.
///
/// # Errors
/// [`Error`] if the database itself fails.
pub fn all_rows(engine: &mut Sqlite, findings: &mut Vec<Finding>) -> Result<(), Error> {
    for (sql, read) in TABLES {
        stable(engine, |engine| {
            engine.query(*sql, &[], &mut |cells| {
                if let Err(error) = read(cells) {
                    findings.push(damaged(&error)?);
                }
                Ok(if findings.len() < FINDINGS { Next::More } else { Next::Enough })
            })
        })?;
    }
    stable(engine, |engine| subjects(engine, findings))
}

/// What an entry is about stands in the timeline of each, and nothing else does.
fn subjects(engine: &mut dyn Engine, findings: &mut Vec<Finding>) -> Result<(), Error> {
    let count = Sql("select count(*) from journal_subject");
    let held = one(engine, count, &[], |cells| Cells::new("journal_subject", cells).int())?.unwrap_or(0);
    let (mut told, mut after) = (0_i64, 0_i64);
    loop {
        let sql = Sql("select e.seq, e.subjects from journal e where e.seq > ?1 order by e.seq limit 500");
        let entries = all(engine, sql, &[after.into()], |cells| {
            let mut c = Cells::new("journal", cells);
            Ok((c.int()?, c.string()?))
        })?;
        let Some((last, _)) = entries.last() else { break };
        after = *last;
        for (seq, subjects) in &entries {
            let mut named: Vec<&str> = subjects.split_whitespace().collect();
            named.sort_unstable();
            named.dedup();
            for subject in named {
                told += 1;
                let sql = Sql("select seq from journal_subject where subject = ?1 and seq = ?2");
                let found = one(engine, sql, &[subject.into(), (*seq).into()], |_| Ok(()))?;
                if found.is_none() && findings.len() < FINDINGS {
                    let what = format!("entry {seq} is missing in the timeline of {subject}");
                    findings.push(Finding { place: "journal_subject".into(), what });
                }
            }
        }
    }
    if told != held && findings.is_empty() {
        let what = format!("{held} rows, but entries are about {told} things");
        findings.push(Finding { place: "journal_subject".into(), what });
    }
    Ok(())
}
