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

/// All that a good register tells.
///
/// # Errors
/// One that is not good.
pub fn all(path: &Path) -> Result<Told> {
    let mut engine = open::reader(path)?;
    let mut told = Told::new();
    let assets = assets::list(&mut engine, &assets::AssetFilter::default(), assets::Sort::Id, &page())?.rows;
    told.extend(assets.iter().map(|row| format!("asset id {}", row.asset.id)));
    let tickets = tickets::list(&mut engine, &tickets::TicketFilter::default(), &page())?.rows;
    told.extend(tickets.iter().map(|ticket| format!("ticket id {}", ticket.id)));
    for list in LISTS {
        let mut rows = list(&mut engine, &told)?;
        told.append(&mut rows);
    }
    Ok(told)
}

/// A row that is told and was never written, if there is one. What cannot be read is told by nobody.
pub fn wrong(path: &Path, right: &Told) -> Option<String> {
    let mut engine = open::reader(path).ok()?;
    let told = LISTS.iter().filter_map(|list| list(&mut engine, right).ok()).flatten();
    told.into_iter().find(|row| !right.contains(row))
}
