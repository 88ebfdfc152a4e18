//! Typed pairs: which relation may stand between which ends, and that a pair is linked once. Both ends
//! are subjects of the events, so that both timelines tell of it.

use super::model::{End, Kind, Link, Rel};
use crate::event::{Actor, Event, Subject};
use crate::work::{Context, Decision, Known, Needs, Refusal, Reply, Row};
use shared::id::LinkId;

/// What may stand at an end.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// Any asset.
    Asset,
    /// A ticket of one of these kinds.
    Ticket(&'static [Kind]),
    /// Something in another tool.
    External,
}

const ANY: Place = Place::Ticket(Kind::ALL);
const INCIDENT: Place = Place::Ticket(&[Kind::Incident]);
const REQUEST: Place = Place::Ticket(&[Kind::Request]);
const PROBLEM: Place = Place::Ticket(&[Kind::Problem]);
const CHANGE: Place = Place::Ticket(&[Kind::Change]);

/// Every pair that may be linked, read from the first end to the second.
const PAIRS: &[(Place, Rel, Place)] = &[
    (ANY, Rel::Affects, Place::Asset),
    (ANY, Rel::CausedBy, ANY),
    (INCIDENT, Rel::Duplicates, INCIDENT),
    (REQUEST, Rel::Duplicates, REQUEST),
    (PROBLEM, Rel::Duplicates, PROBLEM),
    (CHANGE, Rel::Duplicates, CHANGE),
    (
        Place::Ticket(&[Kind::Request, Kind::Problem, Kind::Change]),
        Rel::Resolves,
        Place::Ticket(&[Kind::Incident, Kind::Problem]),
    ),
    (CHANGE, Rel::Implements, Place::Ticket(&[Kind::Incident, Kind::Request, Kind::Problem])),
    (Place::Asset, Rel::Fulfils, REQUEST),
    (Place::Asset, Rel::DependsOn, Place::Asset),
    (Place::Asset, Rel::AttachedTo, Place::Asset),
    (INCIDENT, Rel::Recurs, INCIDENT),
    (ANY, Rel::Relates, ANY),
    (Place::Asset, Rel::Relates, Place::Asset),
    (Place::Asset, Rel::Relates, ANY),
    (ANY, Rel::Relates, Place::External),
    (Place::Asset, Rel::Relates, Place::External),
    (ANY, Rel::TrackedBy, Place::External),
    (Place::Asset, Rel::TrackedBy, Place::External),
];

/// Both directions of `relates` are one pair: it is kept with the lesser end first.
fn ordered<'a>(from: &'a End, rel: Rel, to: &'a End) -> (&'a End, Rel, &'a End) {
    if rel == Rel::Relates && to < from { (to, rel, from) } else { (from, rel, to) }
}

/// What must be known to link a pair.
pub fn needs(from: &End, rel: Rel, to: &End) -> Needs {
    let (from, rel, to) = ordered(from, rel, to);
    let mut needs = Needs { pair: Some((from.clone(), rel, to.clone())), ..Needs::default() };
    for end in [from, to] {
        match end {
            End::Asset(id) => needs.assets.push(*id),
            End::Ticket(id) => needs.tickets.push(*id),
            End::External(_) => {}
        }
    }
    needs
}

/// Links a pair. A pair that is linked already stays as it is and is the answer.
///
/// # Errors
/// [`Refusal::NotFound`] for an end, [`Refusal::Invalid`] for a pair that makes no sense.
pub fn add(
    actor: &Actor,
    (from, rel, to): (&End, Rel, &End),
    known: &Known,
    context: &mut Context,
) -> Result<Decision, Refusal> {
    let (from, rel, to) = ordered(from, rel, to);
    for end in [from, to] {
        let there = match end {
            End::Asset(id) => known.assets.contains_key(id),
            End::Ticket(id) => known.tickets.contains_key(id),
            End::External(_) => true,
        };
        if !there {
            return Err(Refusal::NotFound(end.to_string().replacen(':', " ", 1)));
        }
    }
    if from == to {
        return Err(Refusal::invalid("to", "must be another than `from`"));
    }
    let fits = |pair: &&(Place, Rel, Place)| pair.1 == rel && fits(pair.0, from, known) && fits(pair.2, to, known);
    if PAIRS.iter().find(fits).is_none() {
        return Err(Refusal::invalid("rel", format!("no such pair; {rel} goes {}", directions(rel))));
    }
    if let Some(link) = &known.pair {
        return Ok(Decision::new(Reply::Link { link: link.clone(), new: false }));
    }
    let mut decision = Decision::new(Reply::Done);
    let link = tie(actor, (from.clone(), rel, to.clone()), context, &mut decision);
    decision.reply = Reply::Link { link, new: true };
    Ok(decision)
}

/// Takes a link away.
///
/// # Errors
/// [`Refusal::NotFound`].
pub fn remove(actor: &Actor, id: LinkId, known: &Known) -> Result<Decision, Refusal> {
    let link = known.link.as_ref().ok_or_else(|| Refusal::NotFound(format!("link {id}")))?;
    let mut decision = Decision::new(Reply::Done);
    decision.tell(actor, subjects(link), Event::LinkRemoved { link: link.clone() });
    decision.keep(Row::Unlink(id));
    Ok(decision)
}

/// Adds a link to a decision. Rules and acts that made sure of the ends call it directly.
pub(super) fn tie(
    actor: &Actor,
    (from, rel, to): (End, Rel, End),
    context: &mut Context,
    decision: &mut Decision,
) -> Link {
    let source = match actor {
        Actor::Rule(name) => (*name).to_owned(),
        _ => "human".to_owned(),
    };
    let link = Link { id: LinkId(context.fresh.uuid()), from, rel, to, source, created: context.now };
    decision.tell(actor, subjects(&link), Event::LinkAdded { link: link.clone() });
    decision.keep(Row::Link(link.clone()));
    link
}

fn subjects(link: &Link) -> Vec<Subject> {
    [&link.from, &link.to]
        .into_iter()
        .filter_map(|end| match end {
            End::Asset(id) => Some(Subject::Asset(*id)),
            End::Ticket(id) => Some(Subject::Ticket(*id)),
            End::External(_) => None,
        })
        .collect()
}

fn fits(place: Place, end: &End, known: &Known) -> bool {
    match (place, end) {
        (Place::Asset, End::Asset(_)) | (Place::External, End::External(_)) => true,
        (Place::Ticket(kinds), End::Ticket(id)) => {
            known.tickets.get(id).is_some_and(|ticket| kinds.contains(&ticket.kind))
        }
        _ => false,
    }
}

fn directions(rel: Rel) -> String {
    let name = |place: Place| match place {
        Place::Asset => "an asset".to_owned(),
        Place::External => "something external".to_owned(),
        Place::Ticket(kinds) if kinds.len() == Kind::ALL.len() => "any ticket".to_owned(),
        Place::Ticket(kinds) => kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(" or "),
    };
    let all: Vec<String> = PAIRS
        .iter()
        .filter(|pair| pair.1 == rel)
        .map(|pair| format!("from {} to {}", name(pair.0), name(pair.2)))
        .collect();
    all.join(", ")
}
