//! Tickets, links, faults that wait, and what opening a ticket takes.

use super::Source;
use crate::desk::model::{End, Kind, Link, Rel, Ticket};
use crate::desk::quarantine;
use crate::event::Subject;
use crate::register::model::AgentState;
use crate::store::cells::{Cells, all, one, select};
use crate::store::engine::{Engine, Error, Query, Sql};
use crate::store::read::any_of;
use crate::store::table::desk::{link_columns, read_link, read_ticket, ticket, ticket_for_rules, ticket_head};
use crate::store::table::{asset, fault};
use crate::work::{Known, Needs, Resting, When};
use shared::id::{AssetId, LinkId, TicketId};
use shared::unit::At;
use std::collections::BTreeSet;

/// Faults of one check that one tick looks at.
const WAITING_FAULTS: i64 = 256;
/// Links of one kind of one thing that a rule gets to see, the newest.
const LINKS: i64 = 200;
/// Tickets of rules on one thing that a rule gets to see, the open ones first, beside the newest of each open
/// fault: more than admins may allow to be open.
const RULE_TICKETS: i64 = 1_200;
/// Seconds for which a ticket that is over counts among those that were opened lately.
const LATELY_S: i64 = 86_400;
/// Tickets that rest in one state that one tick looks at.
const RESTING: i64 = 64;

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
    for Resting { kind, state, seconds } in &needs.resting {
        let sql = Sql(concat!(
            "select ",
            ticket_head!(),
            " from ticket t where t.state = ?1 and t.kind = ?2 and t.updated <= ?3 order by t.updated, t.id limit ?4"
        ));
        let At(before) = source.now.plus_secs(-seconds);
        let params = [(*state).into(), kind.name().into(), before.into(), RESTING.into()];
        for ticket in all(source.engine, sql, &params, read_ticket)? {
            see(ticket, known);
        }
    }
    if let Some((from, rel, to)) = &needs.pair {
        known.pair = pair(source.engine, from, *rel, to)?;
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
        rule_tickets(source, &asset.to_string(), known)?;
    }
    if !assets.is_empty() {
        // However many tickets an asset has: the one of a fault that is open now is always known.
        let prints: Vec<String> = known.faults.keys().cloned().collect();
        for print in prints {
            newest(source.engine, &print, known)?;
        }
    }
    for asset in own.into_iter().chain(assets.iter().copied()) {
        recent(source, asset, needs.recent_events, known)?;
    }
    if needs.links {
        assets.extend(&needs.assets);
        for asset in assets {
            known.links.append(&mut links_of_asset(source.engine, asset, &needs.open_states)?);
        }
        let rests = |ticket: &&Ticket| needs.resting.iter().any(|rest| rest.state == ticket.state);
        let resting: Vec<TicketId> = known.tickets.values().filter(rests).map(|ticket| ticket.id).collect();
        let tickets: Vec<TicketId> = needs.tickets.iter().copied().chain(resting).collect();
        links(source.engine, &tickets, known)?;
    }
    Ok(())
}

/// The latest events of an asset, unless they are known.
fn recent(source: &mut Source<'_>, asset: AssetId, limit: usize, known: &mut Known) -> Result<(), Error> {
    if limit > 0 && !known.recent_events.contains_key(&asset) {
        let subject = Subject::Asset(asset).to_string();
        known.recent_events.insert(asset, source.journal.recent(source.engine, &subject, limit)?);
    }
    Ok(())
}

fn next_number(engine: &mut dyn Engine, kind: Kind) -> Result<u64, Error> {
    let sql = Sql("select max(number) from ticket where kind = ?1");
    let last = one(engine, sql, &[kind.name().into()], |cells| Cells::new("ticket", cells).opt_int())?;
    Ok(last.flatten().unwrap_or(0).cast_unsigned() + 1)
}

/// The incidents of an agent's quarantine, and of that of its successor, with what opening another one takes. Their
/// links with the assets known are looked up pair by pair.
pub fn quarantine(source: &mut Source<'_>, needs: &Needs, known: &mut Known) -> Result<(), Error> {
    let Some(agent) = &known.agent else { return Ok(()) };
    let active = matches!(agent.state, AgentState::Active | AgentState::Pending);
    if needs.quarantine.is_none_or(|when| when == When::UnlessActive && active) {
        return Ok(());
    }
    let mut agents = BTreeSet::from([agent.id]);
    agents.extend(known.own.as_ref().and_then(|own| own.agent.as_ref()).map(|(agent, _)| agent.id));
    let mut assets: Vec<AssetId> = known.candidates.iter().map(|candidate| candidate.asset.id).collect();
    assets.extend(known.own.as_ref().map(|own| own.asset.id));
    for agent in agents {
        let mut tickets = rule_tickets(source, &agent.to_string(), known)?;
        tickets.extend(newest(source.engine, &quarantine::fingerprint(agent), known)?);
        for ticket in tickets {
            for &asset in &assets {
                known.links.extend(pair(source.engine, &End::Ticket(ticket), Rel::Affects, &End::Asset(asset))?);
            }
        }
    }
    known.numbers.insert(Kind::Incident, next_number(source.engine, Kind::Incident)?);
    if let Some(asset) = known.own.as_ref().map(|own| own.asset.id) {
        recent(source, asset, needs.recent_events, known)?;
    }
    Ok(())
}

/// Tickets that rules opened for a thing and that are open, may be reopened, or were opened lately: their
/// fingerprints begin with its id and a colon, which the semicolon follows.
fn rule_tickets(source: &mut Source<'_>, id: &str, known: &mut Known) -> Result<BTreeSet<TicketId>, Error> {
    let sql = Sql(concat!(
        "select ",
        ticket_head!(),
        " from ticket t where t.fingerprint >= ?1 and t.fingerprint < ?2 \
         and (t.state not in ('closed', 'cancelled') or t.opened > ?3) \
         order by t.state in ('resolved', 'closed', 'cancelled'), t.opened desc limit ?4"
    ));
    let At(lately) = source.now.plus_secs(-LATELY_S);
    let params = [format!("{id}:").into(), format!("{id};").into(), lately.into(), RULE_TICKETS.into()];
    let found = all(source.engine, sql, &params, read_ticket)?;
    let ids = found.iter().map(|ticket| ticket.id).collect();
    found.into_iter().for_each(|ticket| see(ticket, known));
    Ok(ids)
}

/// The newest ticket of a fingerprint.
fn newest(engine: &mut dyn Engine, fingerprint: &str, known: &mut Known) -> Result<Option<TicketId>, Error> {
    let sql = Sql(concat!(
        "select ",
        ticket_head!(),
        " from ticket t where t.fingerprint = ?1 order by t.opened desc limit 1"
    ));
    let found = one(engine, sql, &[fingerprint.into()], read_ticket)?;
    let id = found.as_ref().map(|ticket| ticket.id);
    found.into_iter().for_each(|ticket| see(ticket, known));
    Ok(id)
}

/// What was asked for by its id is known whole already.
fn see(ticket: Ticket, known: &mut Known) {
    known.tickets.entry(ticket.id).or_insert(ticket);
}

fn pair(engine: &mut dyn Engine, from: &End, rel: Rel, to: &End) -> Result<Option<Link>, Error> {
    let sql =
        Sql(concat!("select ", link_columns!(), " from link l where l.from_end = ?1 and l.rel = ?2 and l.to_end = ?3"));
    one(engine, sql, &[from.to_string().into(), rel.name().into(), to.to_string().into()], read_link)
}

/// Links of an asset with tickets in these states, the newest: however many tickets it ever had.
fn links_of_asset(engine: &mut dyn Engine, asset: AssetId, states: &[&str]) -> Result<Vec<Link>, Error> {
    let from = concat!(
        "select ",
        link_columns!(),
        " from link l join ticket t on t.id = substr(l.to_end, 8) and l.to_end = 'ticket:' || t.id where l.from_end = "
    );
    let to = concat!(
        "select ",
        link_columns!(),
        " from link l join ticket t on t.id = substr(l.from_end, 8) and l.from_end = 'ticket:' || t.id where l.to_end = "
    );
    let mut links = Vec::new();
    for sql in [from, to] {
        let mut query = Query::new(sql);
        query.push("?", [End::Asset(asset).to_string().into()]);
        any_of(&mut query, states, " and t.state in (");
        query.push(" order by l.id desc limit ?", [LINKS.into()]);
        links.append(&mut select(engine, &query, read_link)?);
    }
    Ok(links)
}

/// Links of these tickets, each once, with the tickets at the other ends of all links. The newest of each kind of
/// link: a rule that asks whether there is one of a kind is right however many others there are; one that asks for
/// one that leads to a ticket of some sort sees the newest [`LINKS`] of the kind only.
fn links(engine: &mut dyn Engine, tickets: &[TicketId], known: &mut Known) -> Result<(), Error> {
    let mut seen: BTreeSet<LinkId> = known.links.iter().map(|link| link.id).collect();
    for end in tickets.iter().copied().map(End::Ticket) {
        let from = Sql(concat!(
            "select ",
            link_columns!(),
            " from (select x.*, row_number() over (partition by x.rel order by x.id desc) as place \
             from link x where x.from_end = ?1) as l where l.place <= ?2 order by l.id desc"
        ));
        let to = Sql(concat!(
            "select ",
            link_columns!(),
            " from (select x.*, row_number() over (partition by x.rel order by x.id desc) as place \
             from link x where x.to_end = ?1) as l where l.place <= ?2 order by l.id desc"
        ));
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
            && let Some(found) = ticket_for_rules(engine, id)?
        {
            known.tickets.insert(id, found);
        }
    }
    Ok(())
}
