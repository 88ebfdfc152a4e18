//! The agent, its asset, and other assets that its evidence points to.

use super::Source;
use crate::register::model::{Asset, Candidate};
use crate::store::cells::{Cells, all, one};
use crate::store::engine::{Cell, Engine, Error, Sql};
use crate::store::table::agent::read_seen;
use crate::store::table::{agent, asset};
use crate::work::{Known, Needs};
use shared::id::{AgentId, AssetId};
use shared::unit::At;

/// Assets that evidence points to, at most.
const CANDIDATES: usize = 8;
/// Holders of one identifier are counted up to here: junk is held by far fewer already.
const HOLDERS: i64 = 1_000;

/// The agent, when it was heard, and its asset.
pub fn own(source: &mut Source<'_>, needs: &Needs, known: &mut Known) -> Result<(), Error> {
    let Some(id) = needs.agent else { return Ok(()) };
    known.agent = agent::by_id(source.engine, id)?;
    known.heard = heard(source, id)?;
    let Some(held) = known.agent.as_ref().and_then(|agent| agent.asset) else { return Ok(()) };
    if let Some(asset) = asset::by_id(source.engine, held)? {
        known.own = Some(candidate(source, asset)?);
    }
    Ok(())
}

/// An asset with what it is known by.
pub fn by_asset(source: &mut Source<'_>, id: AssetId) -> Result<Option<Candidate>, Error> {
    asset::by_id(source.engine, id)?.map(|asset| candidate(source, asset)).transpose()
}

/// How many assets hold each identifier, and those assets, the rarest identifiers first.
pub fn candidates(source: &mut Source<'_>, needs: &Needs, known: &mut Known) -> Result<(), Error> {
    let own = known.own.as_ref().map(|own| own.asset.id);
    let mut found: Vec<(i64, &shared::evidence::Evidence)> = Vec::new();
    for evidence in &needs.evidence {
        let sql = Sql("select count(*) from (select 1 from evidence where kind = ?1 and value = ?2 limit ?3) as held");
        let params = [evidence.kind.name().into(), (&evidence.value).into(), HOLDERS.into()];
        let holders = one(source.engine, sql, &params, |cells| Cells::new("evidence", cells).int())?.unwrap_or(0);
        if holders > 0 {
            known.holders.insert(evidence.clone(), holders.cast_unsigned());
            found.push((holders, evidence));
        }
    }
    found.sort();
    let mut ids: Vec<AssetId> = Vec::new();
    for (_, evidence) in found {
        if ids.len() >= CANDIDATES {
            break;
        }
        let sql = Sql("select asset from evidence where kind = ?1 and value = ?2 order by asset limit ?3");
        let bound = i64::try_from(CANDIDATES + 1).unwrap_or(i64::MAX);
        let params: [Cell; 3] = [evidence.kind.name().into(), (&evidence.value).into(), bound.into()];
        for id in all(source.engine, sql, &params, |cells| Cells::new("evidence", cells).parse::<AssetId>())? {
            if Some(id) != own && !ids.contains(&id) && ids.len() < CANDIDATES {
                ids.push(id);
            }
        }
    }
    for id in ids {
        if let Some(asset) = asset::by_id(source.engine, id)? {
            known.candidates.push(candidate(source, asset)?);
        }
    }
    Ok(())
}

fn candidate(source: &mut Source<'_>, asset: Asset) -> Result<Candidate, Error> {
    let evidence = asset::evidence(source.engine, asset.id)?;
    let mut agent = None;
    if let Some(id) = asset.agent
        && let Some(found) = agent::by_id(source.engine, id)?
    {
        agent = Some((found, heard(source, id)?));
    }
    Ok(Candidate { asset, evidence, agent })
}

/// The later of what the table and what memory say.
fn heard(source: &mut Source<'_>, id: AgentId) -> Result<Option<At>, Error> {
    Ok(seen(source.engine, id)?.max((source.heard)(id)))
}

fn seen(engine: &mut dyn Engine, id: AgentId) -> Result<Option<At>, Error> {
    one(engine, Sql("select sum, agent, at from seen where agent = ?1"), &[id.into()], |cells| {
        read_seen(&mut Cells::new("seen", cells))
    })
    .map(Option::flatten)
}
