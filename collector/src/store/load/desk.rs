//! Tickets, links, faults that wait, and what opening a ticket takes.

use super::Source;
use crate::desk::model::{End, Kind};
use crate::event::Subject;
use crate::store::cells::{Cells, all, one};
use crate::store::engine::{Engine, Error, Sql};
use crate::store::table::desk::{link_columns, read_link, read_ticket, ticket, ticket_columns};
use crate::store::table::{asset, fault};
use crate::work::{Known, Needs};
use shared::id::AssetId;
use shared::unit::At;
use std::collections::BTreeSet;

/// Faults that one tick looks at.
const WAITING_FAULTS: usize = 1_024;
/// Links of one thing that a rule gets to see.
const LINKS: i64 = 1_000;
/// Tickets of one asset's faults that a rule gets to see.
const FAULT_TICKETS: i64 = 200;
/// How far back those go, in seconds.
const FAULT_TICKETS_S: i64 = 30 * 86_400;

/// What is asked for by its id.
pub fn asked(source: &mut Source<'_>, needs: &Needs, known: &mut Known) -> Result<(), Error> {
    for &id in &needs.tickets {
        if let Some(ticket) = ticket(source.engine, id)? {
            known.tickets.insert(id, ticket);
        }
    }
    if let Some(id) = needs.link {
        let sql = Sql(concat!("select ", link_columns!(), " from link l where l.id = ?1"));
        known.link = one(source.engine, sql, &[id.into()], read_link)?;
    }
    if let Some((from, rel, to)) = &needs.pair {
        let sql = Sql(concat!(
            "select ",
            link_columns!(),
            " from link l where l.from_end = ?1 and l.rel = ?2 and l.to_end = ?3"
        ));
        let params = [from.to_string().into(), rel.name().into(), to.to_string().into()];
        known.pair = one(source.engine, sql, &params, read_link)?;
    }
    if needs.waiting_faults {
        for fault in fault::waiting(source.engine, WAITING_FAULTS)? {
            if !known.assets.contains_key(&fault.asset)
                && let Some(asset) = asset::by_id(source.engine, fault.asset)?
            {
                known.assets.insert(asset.id, asset);
            }
            known.faults.insert(fault.fingerprint.clone(), fault);
        }
    }
    Ok(())
}

/// What opening, reopening and resolving tickets takes.
pub fn triage(source: &mut Source<'_>, needs: &Needs, known: &mut Known) -> Result<(), Error> {
    if needs.numbers {
        for &kind in Kind::ALL {
            known.numbers.insert(kind, next_number(source.engine, kind)?);
        }
    }
    let own = known.own.as_ref().map(|own| own.asset.id);
    let mut assets: BTreeSet<AssetId> = BTreeSet::new();
    assets.extend(own.filter(|_| needs.fault_tickets));
    if needs.waiting_faults {
        assets.extend(known.faults.values().map(|fault| fault.asset));
    }
    for &asset in &assets {
        fault_tickets(source, asset, known)?;
    }
    if let Some(asset) = own.filter(|_| needs.recent_events > 0) {
        let subject = Subject::Asset(asset).to_string();
        known.recent_events = source.journal.recent(source.engine, &subject, needs.recent_events)?;
    }
    if needs.links {
        assets.extend(&needs.assets);
        let ends = assets.into_iter().map(End::Asset).chain(needs.tickets.iter().copied().map(End::Ticket));
        links(source.engine, &ends.collect::<Vec<_>>(), known)?;
    }
    Ok(())
}

fn next_number(engine: &mut dyn Engine, kind: Kind) -> Result<u64, Error> {
    let sql = Sql("select max(number) from ticket where kind = ?1");
    let last = one(engine, sql, &[kind.name().into()], |cells| Cells::new("ticket", cells).opt_int())?;
    Ok(last.flatten().unwrap_or(0).cast_unsigned() + 1)
}

fn fault_tickets(source: &mut Source<'_>, asset: AssetId, known: &mut Known) -> Result<(), Error> {
    let sql = Sql(concat!(
        "select ",
        ticket_columns!(),
        " from fault f join ticket t on t.fingerprint = f.fingerprint \
         where f.asset = ?1 and t.opened >= ?2 order by t.opened desc limit ?3"
    ));
    let At(since) = source.now.plus_secs(-FAULT_TICKETS_S);
    let params = [asset.into(), since.into(), FAULT_TICKETS.into()];
    for ticket in all(source.engine, sql, &params, read_ticket)? {
        known.tickets.insert(ticket.id, ticket);
    }
    Ok(())
}

/// Links of these, each once, with the tickets at their other ends.
fn links(engine: &mut dyn Engine, ends: &[End], known: &mut Known) -> Result<(), Error> {
    let mut seen = BTreeSet::new();
    for end in ends {
        let from =
            Sql(concat!("select ", link_columns!(), " from link l where l.from_end = ?1 order by l.id limit ?2"));
        let to = Sql(concat!("select ", link_columns!(), " from link l where l.to_end = ?1 order by l.id limit ?2"));
        for sql in [from, to] {
            for link in all(engine, sql, &[end.to_string().into(), LINKS.into()], read_link)? {
                if seen.insert(link.id) {
                    known.links.push(link);
                }
            }
        }
    }
    let others: BTreeSet<_> = known.links.iter().flat_map(|link| [&link.from, &link.to]).cloned().collect();
    for end in others {
        if let End::Ticket(id) = end
            && !known.tickets.contains_key(&id)
            && let Some(found) = ticket(engine, id)?
        {
            known.tickets.insert(id, found);
        }
    }
    Ok(())
}
