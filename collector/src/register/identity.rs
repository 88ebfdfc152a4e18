//! Which asset a report is about. Every answer says why, with the identifiers and their scores.
//!
//! - *A known key* speaks for its own asset. Where its evidence contradicts what the asset has, the main
//!   board was replaced if the new identifiers are nobody else's and the chassis, half of the memory
//!   modules or a permanent MAC agree; else two machines have one key.
//! - *A new key* takes over the one asset that matches, if that asset's agent cannot speak any more; all
//!   else is a new asset, and what it has in common with others is listed as a conflict.
//!
//! So an agent's claims never change another's asset. Not here: weights and junk (`score`), and what is
//! done with quarantined agents.

use super::model::{Agent, AgentState, Candidate};
use super::score::{self, Contradiction, Line, MATCH, Weighed, contradictions, differ, usable, weigh, weight};
use crate::work::Known;
use shared::evidence::{Evidence, Kind};
use shared::id::AssetId;
use shared::unit::At;
use std::collections::BTreeSet;

/// Missed check-ins after which an agent counts as gone.
const SILENT_INTERVALS: i64 = 3;

/// An identifier that another asset has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The other asset.
    pub other: AssetId,
    /// The identifiers, `kind value`.
    pub evidence: String,
    /// Why they were not taken for one machine.
    pub why: String,
}

/// What a known key's evidence says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Own {
    /// It is the machine that it was.
    Same,
    /// It has a new main board.
    Board(Vec<Contradiction>, String),
    /// It is another machine: why, and whose asset has its identifiers.
    Other(String, Option<AssetId>),
}

/// What a new key's evidence says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Newcomer {
    /// It is the machine of this asset, with a new agent.
    Is {
        /// The asset.
        asset: AssetId,
        /// The score.
        score: u32,
        /// Why.
        why: String,
    },
    /// It is a machine that was never seen.
    New {
        /// Why.
        why: String,
        /// What others have in common with it.
        conflicts: Vec<Conflict>,
    },
}

/// The identifiers by which candidates are looked up: those that count, UUIDs in both byte orders.
pub fn wanted(told: &[Evidence]) -> Vec<Evidence> {
    let mut out: BTreeSet<Evidence> = BTreeSet::new();
    for one in usable(told).into_iter().filter(|one| weight(one.kind) > 0) {
        if one.kind == Kind::SmbiosUuid {
            out.extend(score::swapped(&one.value).map(|value| Evidence { kind: one.kind, value }));
        }
        out.insert(one);
    }
    out.into_iter().collect()
}

/// Judges the evidence of a known key against its own asset.
pub fn own(told: &[Evidence], own: &Candidate, known: &Known) -> (Own, Vec<Conflict>) {
    let weighed = weigh(told, &known.candidates, Some(own), &known.holders);
    let held = usable(&own.evidence);
    let was_machine = held.iter().any(|one| one.kind != Kind::Container && weight(one.kind) >= MATCH);
    if score::is_container(told) && was_machine {
        let why = "the key of a machine is used in a container".to_owned();
        return (Own::Other(why, None), Vec::new());
    }
    let differs = contradictions(&weighed.usable, &held);
    let conflicts = claims(&weighed, &held, &own.evidence);
    if differs.is_empty() {
        return (Own::Same, conflicts);
    }
    let elsewhere = weighed.lines.iter().find(|line| line.score >= MATCH);
    let agrees = same_machine(&weighed.usable, &held);
    match (elsewhere, agrees) {
        (None, Some(agrees)) => {
            let why = format!("{}; but {agrees}", differ(&differs));
            (Own::Board(differs, why), conflicts)
        }
        (Some(line), _) => {
            let why = format!("{}; {} has them: {}", differ(&differs), name(line.asset, known), line.why);
            (Own::Other(why, Some(line.asset)), conflicts)
        }
        (None, None) => {
            let why = format!(
                "{}; and neither chassis serial nor half of the memory modules nor a permanent MAC agree",
                differ(&differs)
            );
            (Own::Other(why, None), conflicts)
        }
    }
}

/// Strong identifiers that were not known of this asset before and that others have.
fn claims(weighed: &Weighed, held: &[Evidence], all: &[Evidence]) -> Vec<Conflict> {
    let known: BTreeSet<(Kind, String)> = held.iter().chain(all).map(score::named).collect();
    let new: BTreeSet<String> = weighed
        .usable
        .iter()
        .filter(|one| !known.contains(&score::named(one)))
        .map(|one| format!("{} {}", one.kind, one.value))
        .collect();
    let conflict = |line: &Line| {
        let new: Vec<&str> = line
            .agrees
            .iter()
            .filter(|(text, worth)| *worth >= MATCH && new.contains(text))
            .map(|(text, _)| text.as_str())
            .collect();
        (!new.is_empty()).then(|| Conflict { other: line.asset, evidence: new.join(", "), why: line.why.clone() })
    };
    weighed.lines.iter().filter_map(conflict).collect()
}

/// What shows that it is the same machine although its board is another.
fn same_machine(told: &[Evidence], held: &[Evidence]) -> Option<String> {
    let of = |all: &[Evidence], kind: Kind| -> BTreeSet<String> {
        all.iter().filter(|one| one.kind == kind).map(|one| one.value.clone()).collect()
    };
    let common = |kind: Kind| of(told, kind).intersection(&of(held, kind)).cloned().collect::<Vec<_>>();
    if let Some(serial) = common(Kind::ChassisSerial).first() {
        return Some(format!("the chassis is the same: {serial}"));
    }
    let (modules, had) = (common(Kind::ModuleSerial), of(held, Kind::ModuleSerial).len());
    if !modules.is_empty() && modules.len() * 2 >= had {
        return Some(format!("{} of {had} memory modules are the same: {}", modules.len(), modules.join(", ")));
    }
    common(Kind::PermanentMac).first().map(|mac| format!("a network card is the same: {mac}"))
}

/// Judges the evidence of a key that speaks for no asset yet.
pub fn newcomer(told: &[Evidence], agent: &Agent, known: &Known, interval_s: i64, now: At) -> Newcomer {
    let weighed = weigh(told, &known.candidates, None, &known.holders);
    let candidate = |line: &Line| known.candidates.iter().find(|candidate| candidate.asset.id == line.asset);
    let parted = |line: &&Line| candidate(line).is_some_and(|candidate| is_parted(agent, candidate));
    let fits: Vec<&Line> = weighed
        .lines
        .iter()
        .filter(|line| line.score >= MATCH && line.contradicts.is_empty() && !parted(line))
        .collect();
    let mut blocked = None;
    if let [line] = fits.as_slice() {
        match candidate(line).map_or(Err("it is not there".to_owned()), |one| is_free(one, interval_s, now)) {
            Ok(free) => {
                return Newcomer::Is { asset: line.asset, score: line.score, why: format!("{}; {free}", line.why) };
            }
            Err(why) => blocked = Some(why),
        }
    }
    let reason = |line: &Line| match (&blocked, fits.len()) {
        _ if !line.contradicts.is_empty() => line.why.clone(),
        _ if parted(&line) => format!("{}; but a person said that this agent is another machine", line.why),
        (Some(why), _) => format!("{}; but {why}", line.why),
        (None, count) => format!("{}; but {count} assets match", line.why),
    };
    let strong = |line: &Line| line.score >= MATCH;
    let conflicts: Vec<Conflict> = weighed
        .lines
        .iter()
        .filter(|line| strong(line))
        .map(|line| {
            let all: Vec<&str> = line.agrees.iter().map(|(text, _)| text.as_str()).collect();
            Conflict { other: line.asset, evidence: all.join(", "), why: reason(line) }
        })
        .collect();
    let why = match (weighed.lines.first(), weighed.usable.iter().any(|one| weight(one.kind) > 0)) {
        (Some(line), _) if conflicts.is_empty() => {
            format!("no asset matches; the nearest is {}: {}", name(line.asset, known), line.why)
        }
        (Some(_), _) => "no asset can be taken for this machine; see the conflicts".to_owned(),
        (None, true) => "no asset has any of its identifiers".to_owned(),
        (None, false) => "it has no identifier that tells machines apart".to_owned(),
    };
    Newcomer::New { why, conflicts }
}

/// What people call an asset that evidence points to.
fn name(asset: AssetId, known: &Known) -> &str {
    let candidate = known.candidates.iter().find(|candidate| candidate.asset.id == asset);
    candidate.map_or("an asset", |candidate| candidate.asset.title())
}

/// Whether a person may have split this agent from the asset: then it never takes it back by itself, whoever
/// speaks for the asset by now.
fn is_parted(agent: &Agent, candidate: &Candidate) -> bool {
    agent.is_split() || candidate.agent.as_ref().is_some_and(|(other, _)| other.id == agent.id)
}

/// Whether another agent may take this asset over, and why.
fn is_free(candidate: &Candidate, interval_s: i64, now: At) -> Result<String, String> {
    let Some((agent, heard)) = &candidate.agent else { return Ok("no agent speaks for it".into()) };
    let silent_s = now.secs_since(heard.unwrap_or(agent.enrolled));
    match agent.state {
        AgentState::Revoked => Ok("its agent was revoked".to_owned()),
        AgentState::Superseded => Ok("its agent was superseded".to_owned()),
        AgentState::Quarantined => Err("its agent is quarantined".to_owned()),
        AgentState::Active | AgentState::Pending if agent.goodbye.is_some() => Ok("its agent said goodbye".to_owned()),
        AgentState::Active | AgentState::Pending if silent_s > SILENT_INTERVALS.saturating_mul(interval_s) => {
            Ok(format!("its agent has been silent for {silent_s} s"))
        }
        AgentState::Active | AgentState::Pending => {
            Err(format!("its agent still speaks for it, last {silent_s} s ago"))
        }
    }
}

/// What an asset is known by after a report: what was told, and of kinds that were not told what was held.
/// Evidence that cannot be read for once is not lost by that.
pub fn merged(told: &[Evidence], held: &[Evidence]) -> Vec<Evidence> {
    let kinds: BTreeSet<Kind> = told.iter().map(|one| one.kind).collect();
    let kept = held.iter().filter(|one| !kinds.contains(&one.kind));
    told.iter().chain(kept).cloned().collect::<BTreeSet<_>>().into_iter().collect()
}

/// Explains an asset's identity: what it is known by, what of that is junk, and which others share some of
/// it. For `GET /v1/assets/{id}/identity`; load with [`wanted`] of the asset's evidence.
pub fn explain(own: &Candidate, known: &Known) -> Weighed {
    weigh(&own.evidence, &known.candidates, None, &known.holders)
}

/// The agent that speaks for the asset in another's place, if there is one.
pub fn successor<'a>(agent: &Agent, known: &'a Known) -> Option<&'a Agent> {
    known.own.as_ref()?.agent.as_ref().map(|(other, _)| other).filter(|other| other.id != agent.id)
}

#[cfg(test)]
mod tests;
