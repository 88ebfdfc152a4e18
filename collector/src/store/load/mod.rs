//! Brings what a work needs to know, and nothing else: [`Needs`] in, [`Known`] out.
//!
//! One file per area. Does not know why anything is needed.

mod desk;
mod identity;
mod sections;

use super::engine::{Engine, Error};
use super::journal::Journal;
use super::table::software::Dictionary;
use super::table::{agent, asset, fault, once, section, token};
use crate::register::model::Candidate;
use crate::work::{Known, Needs};
use shared::id::{AgentId, AssetId};
use shared::unit::At;

/// What loading reads from, beside the needs.
pub struct Source<'a> {
    /// The writer's connection, inside the transaction.
    pub engine: &'a mut dyn Engine,
    /// What is known of versions.
    pub dictionary: &'a mut Dictionary,
    /// The events of this batch.
    pub journal: &'a Journal,
    /// When agents were last heard, where that is known better than from the table.
    pub heard: &'a dyn Fn(AgentId) -> Option<At>,
    /// The collector's clock.
    pub now: At,
}

/// Loads what is needed.
///
/// # Errors
/// [`Error`].
pub fn load(source: &mut Source<'_>, needs: &Needs) -> Result<Known, Error> {
    let mut known = Known::default();
    identity::own(source, needs, &mut known)?;
    known.software_full = needs.agent.is_some_and(|agent| source.dictionary.is_full(agent, source.now));
    if let Some(asset) = known.own.as_ref().map(|own| own.asset.id) {
        for section in section::of(source.engine, asset)? {
            known.sections.insert(section.name.clone(), section);
        }
        sections::rows(source, asset, needs, &mut known)?;
        for fault in fault::open_of(source.engine, asset)? {
            known.faults.insert(fault.fingerprint.clone(), fault);
        }
    }
    identity::candidates(source, needs, &mut known)?;
    for &id in &needs.assets {
        if let Some(asset) = asset::by_id(source.engine, id)? {
            known.assets.insert(id, asset);
        }
    }
    desk::asked(source, needs, &mut known)?;
    if !needs.only_with_faults || !known.faults.is_empty() {
        desk::triage(source, needs, &mut known)?;
    }
    desk::quarantine(source, needs, &mut known)?;
    tokens(source.engine, needs, &mut known)?;
    if let Some((actor, key)) = &needs.once {
        known.once = once::memory(source.engine, actor, key)?;
    }
    Ok(known)
}

/// What an asset's identity is explained from: its own evidence, and the assets that share some of it.
///
/// # Errors
/// [`Error`].
pub fn identity(engine: &mut dyn Engine, id: AssetId, now: At) -> Result<Option<(Candidate, Known)>, Error> {
    let mut source =
        Source { engine, dictionary: &mut Dictionary::default(), journal: &Journal::default(), heard: &|_| None, now };
    let Some(own) = identity::by_asset(&mut source, id)? else { return Ok(None) };
    let needs = Needs { evidence: own.evidence.clone(), ..Needs::default() };
    let mut known = Known::default();
    identity::candidates(&mut source, &needs, &mut known)?;
    known.candidates.retain(|candidate| candidate.asset.id != id);
    Ok(Some((own, known)))
}

fn tokens(engine: &mut dyn Engine, needs: &Needs, known: &mut Known) -> Result<(), Error> {
    if let Some(id) = needs.join_token {
        known.join_token = token::join(engine, id)?;
    }
    if let Some((token, key)) = &needs.first_key {
        known.enrolled = agent::by_first_key(engine, *token, key)?;
    }
    if let Some(id) = needs.api_token {
        known.api_token = token::api(engine, id)?;
    }
    Ok(())
}
