//! All that the API tells of a register, row by row.

use anyhow::Result;
use collector::store::engine::{Engine, Error};
use collector::store::open;
use collector::store::page::Page;
use collector::store::read::{agents, assets, events, faults, links, software, tickets, tokens};
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::path::Path;

/// Rows of one page; the register has fewer of everything.
const ROWS: usize = 500;

/// Rows in words, each with what it is.
type Told = BTreeSet<String>;
/// What a good register tells.
pub struct Right {
    /// What there is to ask for.
    ids: Told,
    /// Every list.
    lists: Vec<Told>,
}

/// One list.
type List = fn(&mut dyn Engine, &Told) -> Result<Told, Error>;

fn words<T: Debug>(what: &str, rows: Vec<T>) -> Told {
    rows.into_iter().map(|row| format!("{what} {row:?}")).collect()
}

fn page() -> Page {
    Page { after: None, limit: Some(ROWS) }
}

/// Every list by itself, so that one that fails hides no other. Those of an asset or ticket are read for all that are
/// known to be there.
const LISTS: &[List] = &[
    |e, _| Ok(words("agent", agents::list(e, &agents::Filter::default(), &page())?.rows)),
    |e, _| Ok(words("asset", assets::list(e, &assets::AssetFilter::default(), assets::Sort::Name, &page())?.rows)),
    |e, _| Ok(words("fault", faults::list(e, &faults::FaultFilter::default(), &page())?.rows)),
    |e, _| Ok(words("link", links::list(e, None, None, &page())?.rows)),
    |e, _| Ok(words("ticket", tickets::list(e, &tickets::TicketFilter::default(), &page())?.rows)),
    |e, _| Ok(words("join token", tokens::join_list(e, &page())?.rows)),
    |e, _| Ok(words("API token", tokens::api_list(e, &page())?.rows)),
    |e, _| Ok(words("event", events::list(e, &events::EventFilter::default(), ROWS)?)),
    |e, _| {
        let titles = software::titles(e, None, None, &page())?.rows;
        let versions = titles.into_iter().flat_map(|title| {
            let name = (title.manager, title.name, title.arch);
            title.versions.into_iter().map(move |version| (name.clone(), version.version, version.publisher))
        });
        Ok(words("version", versions.collect()))
    },
    |e, known| {
        each(known, "asset", |id| {
            let filter = events::EventFilter { subject: Some(format!("asset:{id}")), ..events::EventFilter::default() };
            Ok(words("event", events::list(e, &filter, ROWS)?))
        })
    },
    |e, known| each(known, "asset", |id| Ok(words(id, assets::items(e, asset(id)?, None, &page())?.rows))),
    |e, known| each(known, "asset", |id| Ok(words(id, assets::sections(e, asset(id)?)?))),
    |e, known| each(known, "asset", |id| Ok(words(id, assets::addresses(e, asset(id)?)?))),
    |e, known| each(known, "asset", |id| Ok(words(id, software::of_asset(e, asset(id)?, None, &page())?.rows))),
    |e, known| one(known, "agent", |id| agents::by_id(e, id.parse().map_err(|_| Error::Cursor)?)),
    |e, known| one(known, "asset", |id| assets::by_id(e, asset(id)?)),
    |e, known| one(known, "ticket", |id| tickets::by_id(e, id.parse().map_err(|_| Error::Cursor)?)),
    |e, known| {
        each(known, "ticket", |id| {
            let id = id.parse().map_err(|_| Error::Cursor)?;
            Ok(words("comment", tickets::comments(e, id, &page())?.rows))
        })
    },
];

fn asset(id: &str) -> Result<shared::id::AssetId, Error> {
    id.parse().map_err(|_| Error::Cursor)
}

/// A list of each thing of this kind; the first that fails is enough.
fn each(known: &Told, what: &str, mut list: impl FnMut(&str) -> Result<Told, Error>) -> Result<Told, Error> {
    let mut told = Told::new();
    for id in known.iter().filter_map(|known| known.strip_prefix(what)?.strip_prefix(" id ")) {
        told.append(&mut list(id)?);
    }
    Ok(told)
}

/// What is told of each thing of this kind when it is asked for alone; of one that cannot be read nothing.
fn one<T: Debug>(known: &Told, what: &str, mut read: impl FnMut(&str) -> Result<T, Error>) -> Result<Told, Error> {
    let ids = known.iter().filter_map(|known| known.strip_prefix(what)?.strip_prefix(" id "));
    Ok(ids.filter_map(|id| Some(format!("alone {what} {id} {:?}", read(id).ok()?))).collect())
}

/// All that a good register tells.
///
/// # Errors
/// One that is not good.
pub fn all(path: &Path) -> Result<Right> {
    let mut engine = open::reader(path)?;
    let mut ids = Told::new();
    let assets = assets::list(&mut engine, &assets::AssetFilter::default(), assets::Sort::Id, &page())?.rows;
    ids.extend(assets.iter().map(|row| format!("asset id {}", row.asset.id)));
    let tickets = tickets::list(&mut engine, &tickets::TicketFilter::default(), &page())?.rows;
    ids.extend(tickets.iter().map(|ticket| format!("ticket id {}", ticket.id)));
    let agents = agents::fleet(&mut engine)?;
    ids.extend(agents.iter().map(|(agent, _)| format!("agent id {}", agent.id)));
    let lists = LISTS.iter().map(|list| list(&mut engine, &ids)).collect::<Result<_, _>>()?;
    Ok(Right { ids, lists })
}

/// What a flipped bit made of what is told.
#[derive(Debug, Default)]
pub struct Wrong {
    /// A row that is told and was never written.
    pub told: Option<String>,
    /// A row that is missing in a list that is told for whole.
    pub left_out: Option<String>,
}

/// What is wrong with what is told. What cannot be read is told by nobody.
pub fn wrong(path: &Path, right: &Right) -> Wrong {
    let Ok(mut engine) = open::reader(path) else { return Wrong::default() };
    let mut wrong = Wrong::default();
    for (list, whole) in LISTS.iter().zip(&right.lists) {
        let Ok(told) = list(&mut engine, &right.ids) else { continue };
        wrong.told = wrong.told.or_else(|| told.difference(whole).next().cloned());
        // Of what is asked for alone every answer counts by itself.
        let left_out = || whole.difference(&told).find(|row| !row.starts_with("alone ")).cloned();
        wrong.left_out = wrong.left_out.or_else(left_out);
    }
    wrong
}
