//! How much identifiers say about which machine this is: weights, matches, contradictions, learned junk.
//!
//! Strong identifiers count 4, medium ones 2, weak ones and junk 0. Two machines contradict each other
//! when both have identifiers of one strong kind and none in common. What follows from that for an agent
//! and its asset is decided in `identity`.

use super::junk;
use super::model::Candidate;
use serde::{Deserialize, Serialize};
use shared::evidence::{Evidence, Kind};
use shared::id::AssetId;
use std::collections::{BTreeMap, BTreeSet};

/// From this score on an asset is the same machine, if nothing contradicts.
pub const MATCH: u32 = 4;
/// Assets that must hold an identifier, and contradict each other, before it is junk.
const LEARNED: usize = 3;

/// What a kind of identifier counts when it agrees. A container's own id is what it is known by; chassis,
/// host name and machine id are too easily shared or changed to identify anything.
pub fn weight(kind: Kind) -> u32 {
    match kind {
        Kind::SystemSerial
        | Kind::SmbiosUuid
        | Kind::BoardSerial
        | Kind::TpmEk
        | Kind::CloudInstance
        | Kind::Container => 4,
        Kind::DiskWwn | Kind::DiskSerial | Kind::PermanentMac | Kind::ModuleSerial => 2,
        Kind::ChassisSerial | Kind::MachineId | Kind::Hostname => 0,
    }
}

/// Kinds of which a machine has one that never changes: where two differ, there are two machines (or a new
/// main board). A container gets a new id whenever it is made anew, so that alone contradicts nothing.
const LASTING: [Kind; 5] = [Kind::SystemSerial, Kind::SmbiosUuid, Kind::BoardSerial, Kind::TpmEk, Kind::CloudInstance];

/// A UUID with its first three fields in the other byte order; `None` where it is none.
pub fn swapped(uuid: &str) -> Option<String> {
    let b = *uuid::Uuid::try_parse(uuid).ok()?.as_bytes();
    let swapped =
        [b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]];
    Some(uuid::Uuid::from_bytes(swapped).hyphenated().to_string())
}

/// The value by which identifiers are compared: firmware and hypervisors disagree on the byte order of
/// UUIDs, so both orders stand for one.
pub fn canonical(evidence: &Evidence) -> String {
    match evidence.kind {
        Kind::SmbiosUuid => match swapped(&evidence.value) {
            Some(other) => other.min(evidence.value.clone()),
            None => evidence.value.clone(),
        },
        _ => evidence.value.clone(),
    }
}

/// Whether this is the evidence of a container.
pub fn is_container(evidence: &[Evidence]) -> bool {
    evidence.iter().any(|one| one.kind == Kind::Container)
}

/// The identifiers that count: no junk, and of a container only its own id, because the hardware that it
/// sees is its host's.
pub fn usable(evidence: &[Evidence]) -> Vec<Evidence> {
    let container = is_container(evidence);
    let counts = |one: &&Evidence| junk::why(one).is_none() && (!container || one.kind == Kind::Container);
    evidence.iter().filter(counts).cloned().collect()
}

fn values(evidence: &[Evidence], kind: Kind) -> BTreeSet<String> {
    evidence.iter().filter(|one| one.kind == kind).map(canonical).collect()
}

/// One strong kind of which both sides have identifiers, and none in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contradiction {
    /// The kind.
    pub kind: String,
    /// What the asset has.
    pub held: String,
    /// What was told.
    pub told: String,
}

/// Where two sets of usable identifiers contradict each other.
pub fn contradictions(told: &[Evidence], held: &[Evidence]) -> Vec<Contradiction> {
    let first = |evidence: &[Evidence], kind: Kind| {
        evidence.iter().find(|one| one.kind == kind).map(|one| one.value.clone()).unwrap_or_default()
    };
    differing(told, held)
        .map(|kind| Contradiction { kind: kind.name().to_owned(), held: first(held, kind), told: first(told, kind) })
        .collect()
}

/// The kinds by which two sets of usable identifiers cannot be of one machine.
fn differing(told: &[Evidence], held: &[Evidence]) -> impl Iterator<Item = Kind> {
    LASTING.into_iter().filter(|kind| {
        let (a, b) = (values(told, *kind), values(held, *kind));
        !a.is_empty() && !b.is_empty() && a.is_disjoint(&b)
    })
}

/// Identifiers that both have, each with what it counts. A disk has a WWN and a serial and is still one
/// disk: of the two only the kind with more matches counts.
pub fn matches(told: &[Evidence], held: &[Evidence]) -> Vec<(Evidence, u32)> {
    let theirs: BTreeSet<(Kind, String)> = held.iter().map(named).collect();
    let common: Vec<&Evidence> = told.iter().filter(|one| theirs.contains(&named(one))).collect();
    let count = |kind: Kind| common.iter().filter(|one| one.kind == kind).count();
    let idle = if count(Kind::DiskWwn) >= count(Kind::DiskSerial) { Kind::DiskSerial } else { Kind::DiskWwn };
    let worth = |kind: Kind| if kind == idle { 0 } else { weight(kind) };
    common.into_iter().map(|one| (one.clone(), worth(one.kind))).collect()
}

/// What the fleet says about identifiers: how many assets hold each, and which of the known holders contradict
/// each other. Everything is looked at once, however many identifiers are asked about.
struct Crowd {
    /// How many assets hold an identifier, in whatever form.
    holders: BTreeMap<(Kind, String), u64>,
    /// All identifiers of each asset.
    assets: Vec<BTreeSet<(Kind, String)>>,
    /// By which kinds two of those assets, by their places, contradict each other.
    apart: BTreeMap<(usize, usize), BTreeSet<Kind>>,
}

impl Crowd {
    fn new(candidates: &[Candidate], own: Option<&Candidate>, holders: &BTreeMap<Evidence, u64>) -> Crowd {
        let mut crowd = Crowd { holders: BTreeMap::new(), assets: Vec::new(), apart: BTreeMap::new() };
        for (one, count) in holders {
            *crowd.holders.entry(named(one)).or_default() += count;
        }
        if crowd.holders.values().all(|count| *count < LEARNED as u64) {
            return crowd;
        }
        let all: Vec<&Candidate> = candidates.iter().chain(own).collect();
        let good: Vec<Vec<Evidence>> = all.iter().map(|one| usable(&one.evidence)).collect();
        for (b, held) in good.iter().enumerate() {
            for (a, told) in good.iter().enumerate().take(b) {
                crowd.apart.insert((a, b), differing(told, held).collect());
            }
        }
        crowd.assets = all.iter().map(|one| one.evidence.iter().map(named).collect()).collect();
        crowd
    }

    /// Whether an identifier is junk that only this fleet could tell: at least three assets hold it that
    /// contradict each other by other strong identifiers.
    fn learned(&self, evidence: &Evidence) -> bool {
        let name = named(evidence);
        if self.holders.get(&name).is_none_or(|count| *count < LEARNED as u64) {
            return false;
        }
        let differ = |a: usize, b: usize| {
            self.apart.get(&(a, b)).is_some_and(|kinds| kinds.iter().any(|kind| *kind != evidence.kind))
        };
        let mut apart: Vec<usize> = Vec::new();
        for (b, _) in self.assets.iter().enumerate().filter(|(_, held)| held.contains(&name)) {
            if apart.iter().all(|a| differ(*a, b)) {
                apart.push(b);
            }
        }
        apart.len() >= LEARNED
    }
}

/// An identifier as it is compared.
pub fn named(evidence: &Evidence) -> (Kind, String) {
    (evidence.kind, canonical(evidence))
}

/// How one asset compares with what was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The asset.
    pub asset: AssetId,
    /// The sum of what agrees.
    pub score: u32,
    /// Identifiers that agree, `kind value`, with what each counts.
    pub agrees: Vec<(String, u32)>,
    /// Where both cannot be one machine.
    pub contradicts: Vec<Contradiction>,
    /// The same in words.
    pub why: String,
}

/// What was told, weighed against every asset that has some of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weighed {
    /// Identifiers that count.
    pub usable: Vec<Evidence>,
    /// Identifiers that do not, and why.
    pub junk: Vec<(Evidence, &'static str)>,
    /// Assets, the best match first.
    pub lines: Vec<Line>,
}

/// Weighs evidence. `own` is the asset that it came from, if that is known: it is not among the lines.
pub fn weigh(
    told: &[Evidence],
    candidates: &[Candidate],
    own: Option<&Candidate>,
    holders: &BTreeMap<Evidence, u64>,
) -> Weighed {
    let mut junk: Vec<(Evidence, &'static str)> =
        told.iter().filter_map(|one| junk::why(one).map(|why| (one.clone(), why))).collect();
    let crowd = Crowd::new(candidates, own, holders);
    let (bad, good): (Vec<Evidence>, Vec<Evidence>) = usable(told).into_iter().partition(|one| crowd.learned(one));
    junk.extend(bad.into_iter().map(|one| (one, "learned: assets that are different machines have it")));
    let mut lines: Vec<Line> = candidates.iter().map(|candidate| line(&good, told, candidate)).collect();
    lines.retain(|line| !line.agrees.is_empty());
    lines.sort_by(|a, b| b.score.cmp(&a.score).then(a.asset.cmp(&b.asset)));
    Weighed { usable: good, junk, lines }
}

fn line(usable_told: &[Evidence], told: &[Evidence], candidate: &Candidate) -> Line {
    let held = usable(&candidate.evidence);
    let agrees = matches(usable_told, &held);
    let mut contradicts = contradictions(usable_told, &held);
    if is_container(told) != is_container(&candidate.evidence) {
        contradicts.push(Contradiction {
            kind: "container".into(),
            held: container(&candidate.evidence),
            told: container(told),
        });
    }
    let score = agrees.iter().map(|(_, worth)| worth).sum();
    let why = words(&agrees, &contradicts, score);
    let agrees = agrees.into_iter().map(|(one, worth)| (format!("{} {}", one.kind, one.value), worth)).collect();
    Line { asset: candidate.asset.id, score, agrees, contradicts, why }
}

fn container(evidence: &[Evidence]) -> String {
    evidence.iter().find(|one| one.kind == Kind::Container).map_or("none", |one| one.value.as_str()).to_owned()
}

fn words(agrees: &[(Evidence, u32)], contradicts: &[Contradiction], score: u32) -> String {
    let same: Vec<String> = agrees.iter().map(|(one, worth)| format!("{} {} ({worth})", one.kind, one.value)).collect();
    let mut text = format!("score {score}: same {}", same.join(", "));
    if !contradicts.is_empty() {
        text.push_str("; but ");
        text.push_str(&differ(contradicts));
    }
    text
}

/// Contradictions in words.
pub fn differ(contradicts: &[Contradiction]) -> String {
    let each: Vec<String> =
        contradicts.iter().map(|one| format!("{} was {} and is {}", one.kind, one.held, one.told)).collect();
    each.join(", ")
}

#[cfg(test)]
mod tests;
