//! The agent, its asset, and other assets that its evidence points to.

use super::Source;
use crate::register::model::{Asset, Candidate};
use crate::store::cells::{Cells, all, one};
use crate::store::engine::{Cell, Error, Sql};
use crate::store::table::{agent, asset, lost};
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
    let Some(agent) = &known.agent else { return Ok(()) };
    known.heard = heard(source, id)?;
    let Some(held) = agent.asset else { return Ok(()) };
    let asset = asset::by_id(source.engine, held)?.ok_or_else(|| lost("asset", held))?;
    // It is its own agent's as a rule, and that was read just now.
    known.own = Some(match (&known.agent, known.heard) {
        (Some(agent), heard) if asset.agent == Some(agent.id) => {
            let evidence = asset::evidence(source.engine, asset.id)?;
            Candidate { asset, evidence, agent: Some((agent.clone(), heard)) }
        }
        _ => candidate(source, asset)?,
    });
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
        let sql = Sql("select sum, kind, value, asset from evidence where kind = ?1 and value = ?2 \
             order by asset limit ?3");
        let bound = i64::try_from(CANDIDATES + 1).unwrap_or(i64::MAX);
        let params: [Cell; 3] = [evidence.kind.name().into(), (&evidence.value).into(), bound.into()];
        let held = all(source.engine, sql, &params, |cells| {
            let mut c = Cells::new("evidence", cells);
            c.sum(3)?;
            let (_kind, _value) = (c.text()?, c.text()?);
            c.parse::<AssetId>()
        })?;
        for id in held {
            if Some(id) != own && !ids.contains(&id) && ids.len() < CANDIDATES {
                ids.push(id);
            }
        }
    }
    for id in ids {
        let asset = asset::by_id(source.engine, id)?.ok_or_else(|| lost("asset", id))?;
        known.candidates.push(candidate(source, asset)?);
    }
    Ok(())
}

fn candidate(source: &mut Source<'_>, asset: Asset) -> Result<Candidate, Error> {
    let evidence = asset::evidence(source.engine, asset.id)?;
    let mut agent = None;
    if let Some(id) = asset.agent {
        let found = agent::by_id(source.engine, id)?.ok_or_else(|| lost("agent", id))?;
        agent = Some((found, heard(source, id)?));
    }
    Ok(Candidate { asset, evidence, agent })
}

/// The later of what the table and what memory say.
fn heard(source: &mut Source<'_>, id: AgentId) -> Result<Option<At>, Error> {
    Ok(agent::seen(source.engine, id)?.max((source.heard)(id)))
}
