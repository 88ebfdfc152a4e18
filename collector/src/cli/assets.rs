//! `muster assets`: the machines in the register.

use super::Session;
use super::exit::{Code, Failure};
use super::output::{self, Column, Format};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

/// The machines in the register.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List assets. Every option narrows the list; text options match case-insensitively, `*` stands for anything.
    #[command(
        after_help = "Examples:\n  muster assets list --presence silent\n  muster assets list --os 'Debian*12*' --software 'openssl<3.0.15'\n  muster assets list --maker 'Dell*' --output csv > dell.csv\n\nAn empty list is no error: it ends with 0."
    )]
    List(Box<Filter>),
    /// Show one asset: what people and machines say of it, its items, tickets and links.
    #[command(
        after_help = "Examples:\n  muster assets show laptop-17\n  muster assets show 0197c0de-… --section disks\n  muster assets show laptop-17 --software --output csv\n\nEnds with 6 where there is no such asset or section, with 7 where several have the name."
    )]
    Show {
        /// Its id, name, tag or serial.
        asset: String,
        /// The rows of one section, instead: disks, network, ports …
        #[arg(long)]
        section: Option<String>,
        /// Its software, instead.
        #[arg(long, conflicts_with = "section")]
        software: bool,
    },
    /// Say why the register takes this asset for this machine: the evidence, its worth, and what contradicts.
    #[command(after_help = "Example:\n  muster assets explain laptop-17")]
    Explain {
        /// Its id, name, tag or serial.
        asset: String,
    },
    /// Tell what happened to an asset, newest last.
    #[command(
        after_help = "Examples:\n  muster assets timeline laptop-17\n  muster assets timeline laptop-17 --limit 1000 --output json"
    )]
    Timeline {
        /// Its id, name, tag or serial.
        asset: String,
        /// The latest so many events.
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Declare what no machine knows. An empty value takes a field away.
    #[command(
        after_help = "Examples:\n  muster assets edit laptop-17 --owner 'Ada Lovelace' --location 'Paris, 3rd floor'\n  muster assets edit laptop-17 --tag ''\n\nEnds with 2 where a value is not taken."
    )]
    Edit {
        /// Its id, name, tag or serial.
        asset: String,
        /// Inventory tag.
        #[arg(long)]
        tag: Option<String>,
        /// Who answers for it.
        #[arg(long)]
        owner: Option<String>,
        /// Where it is.
        #[arg(long)]
        location: Option<String>,
        /// 1 (most critical) to 4; 0 takes it away.
        #[arg(long)]
        criticality: Option<u8>,
    },
}

/// The closed list of filters.
#[derive(Debug, Args)]
pub struct Filter {
    /// computer, laptop, desktop, server, vm, container.
    #[arg(long)]
    class: Option<String>,
    /// Name, tag or serial contains this.
    #[arg(long, short)]
    query: Option<String>,
    /// Host name.
    #[arg(long)]
    name: Option<String>,
    /// Maker.
    #[arg(long)]
    maker: Option<String>,
    /// Model.
    #[arg(long)]
    model: Option<String>,
    /// Serial number.
    #[arg(long)]
    serial: Option<String>,
    /// Operating system.
    #[arg(long)]
    os: Option<String>,
    /// Has this software: `name`, or `name<version`, `name>=version`, `name=version`.
    #[arg(long)]
    software: Option<String>,
    /// Has this IP address.
    #[arg(long)]
    address: Option<String>,
    /// online, off, silent, stale, missing, never.
    #[arg(long)]
    presence: Option<String>,
    /// Heard since: `2h`, `7d`, or a time such as 2026-01-31T12:00:00Z.
    #[arg(long, value_name = "WHEN")]
    seen_since: Option<String>,
    /// Not heard since.
    #[arg(long, value_name = "WHEN")]
    seen_before: Option<String>,
    /// Lifecycle state.
    #[arg(long)]
    lifecycle: Option<String>,
    /// Inventory tag.
    #[arg(long)]
    tag: Option<String>,
    /// Who answers for it.
    #[arg(long)]
    owner: Option<String>,
    /// Where it is.
    #[arg(long)]
    location: Option<String>,
    /// At most this many; all by default.
    #[arg(long)]
    limit: Option<usize>,
}

const LIST: &[Column] = &[
    ("NAME", "name"),
    ("CLASS", "class"),
    ("MAKER", "maker"),
    ("MODEL", "model"),
    ("SERIAL", "serial"),
    ("OS", "os_name"),
    ("PRESENCE", "presence"),
    ("LAST SEEN", "last_seen"),
    ("OWNER", "owner"),
    ("ID", "id"),
];

const SHOW: &[Column] = &[
    ("id", "id"),
    ("name", "name"),
    ("class", "class"),
    ("lifecycle", "lifecycle"),
    ("presence", "presence"),
    ("last seen", "last_seen"),
    ("maker", "maker"),
    ("model", "model"),
    ("serial", "serial"),
    ("os", "os_name"),
    ("os version", "os_version"),
    ("kernel", "kernel"),
    ("architecture", "arch"),
    ("cpu", "cpu"),
    ("memory", "memory_bytes"),
    ("addresses", "addresses"),
    ("tag", "tag"),
    ("owner", "owner"),
    ("location", "location"),
    ("criticality", "criticality"),
    ("agent", "agent"),
    ("created", "created"),
];

const SECTIONS: &[Column] =
    &[("SECTION", "name"), ("STATE", "state"), ("ROWS", "rows"), ("CHANGED", "changed"), ("PROBLEMS", "problem_count")];

const ITEMS: &[Column] = &[
    ("KIND", "kind"),
    ("KEY", "key"),
    ("LABEL", "label"),
    ("MAKER", "maker"),
    ("MODEL", "model"),
    ("SERIAL", "serial"),
    ("SIZE", "size"),
    ("MORE", "attrs"),
];

const SOFTWARE: &[Column] = &[
    ("NAME", "name"),
    ("VERSION", "version"),
    ("ARCH", "arch"),
    ("MANAGER", "manager"),
    ("PUBLISHER", "publisher"),
    ("SIZE", "size"),
];

const EXPLAIN: &[Column] = &[("EVIDENCE", "kind"), ("VALUE", "value"), ("SCORE", "score"), ("WHY", "why")];

/// Runs the verb.
///
/// # Errors
/// What the collector answered.
pub async fn run(session: &Session, verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::List(filter) => list(session, *filter).await,
        Verb::Show { asset, section, software } => show(session, &asset, section, software).await,
        Verb::Explain { asset } => {
            let id = id(session, &asset).await?;
            let answer = session.client.get(&format!("/v1/assets/{id}/identity"), &[]).await?;
            if session.format == Format::Json {
                return output::one(session.format, EXPLAIN, &answer.body);
            }
            if let (Format::Table, Some(why)) = (session.format, answer.body.get("why").and_then(Value::as_str)) {
                output::say(why)?;
            }
            let rows = answer.body.get("evidence").and_then(Value::as_array).cloned().unwrap_or_default();
            output::list(session.format, EXPLAIN, &rows)
        }
        Verb::Timeline { asset, limit } => {
            let id = id(session, &asset).await?;
            super::events::timeline(session, &format!("/v1/assets/{id}/timeline"), limit).await
        }
        Verb::Edit { asset, tag, owner, location, criticality } => {
            let id = id(session, &asset).await?;
            let mut body = serde_json::Map::new();
            for (name, value) in [("tag", tag), ("owner", owner), ("location", location)] {
                if let Some(value) = value {
                    body.insert(name.to_owned(), if value.is_empty() { Value::Null } else { Value::String(value) });
                }
            }
            if let Some(value) = criticality {
                body.insert("criticality".to_owned(), if value == 0 { Value::Null } else { json!(value) });
            }
            if body.is_empty() {
                return Err(Failure::new(
                    Code::Usage,
                    "nothing to edit: give --tag, --owner, --location or --criticality",
                ));
            }
            let answer = session.client.patch(&format!("/v1/assets/{id}"), None, &Value::Object(body)).await?;
            output::one(session.format, SHOW, &answer.body)
        }
    }
}

async fn list(session: &Session, filter: Filter) -> Result<(), Failure> {
    let mut params = Vec::new();
    for (name, value) in [
        ("class", filter.class),
        ("q", filter.query),
        ("name", filter.name),
        ("maker", filter.maker),
        ("model", filter.model),
        ("serial", filter.serial),
        ("os", filter.os),
        ("software", filter.software),
        ("address", filter.address),
        ("presence", filter.presence),
        ("seen_since", filter.seen_since),
        ("seen_before", filter.seen_before),
        ("lifecycle", filter.lifecycle),
        ("tag", filter.tag),
        ("owner", filter.owner),
        ("location", filter.location),
    ] {
        if let Some(value) = value {
            params.push((name, value));
        }
    }
    let rows = super::pages(session, "/v1/assets", &params, filter.limit).await?;
    output::list(session.format, LIST, &rows)
}

async fn show(session: &Session, asset: &str, section: Option<String>, software: bool) -> Result<(), Failure> {
    let id = id(session, asset).await?;
    if let Some(section) = section {
        let path = format!("/v1/assets/{id}/items");
        let rows = super::pages(session, &path, &[("section", section.clone())], None).await?;
        if rows.is_empty() {
            must_have(session, &id, &section).await?;
        }
        return output::list(session.format, ITEMS, &rows);
    }
    if software {
        let rows = super::pages(session, &format!("/v1/assets/{id}/software"), &[], None).await?;
        return output::list(session.format, SOFTWARE, &rows);
    }
    let answer = session.client.get(&format!("/v1/assets/{id}"), &[]).await?;
    output::one(session.format, SHOW, &answer.body)?;
    if session.format == Format::Table {
        for (title, name, columns) in [
            ("Sections", "sections", SECTIONS),
            ("Links", "links", super::links::LIST),
            ("Faults", "faults", super::tickets::FAULTS),
        ] {
            let mut rows = answer.body.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
            super::links::call_by_name(session, &mut rows).await;
            output::part(title, columns, &rows)?;
        }
    }
    Ok(())
}

/// Tells a section without rows from one that the asset does not have.
async fn must_have(session: &Session, id: &str, section: &str) -> Result<(), Failure> {
    let asset = session.client.get(&format!("/v1/assets/{id}"), &[]).await?.body;
    let sections = asset.get("sections").and_then(Value::as_array).cloned().unwrap_or_default();
    let names: Vec<&str> = sections.iter().filter_map(|section| section.get("name")?.as_str()).collect();
    if names.contains(&section) {
        return Ok(());
    }
    Err(Failure::new(Code::NotFound, format!("no section {section:?}; this asset has {}", names.join(", "))))
}

/// The id of what a person called it: an id, or the one asset whose name, tag or serial that is.
///
/// # Errors
/// None such, or several.
pub async fn id(session: &Session, asset: &str) -> Result<String, Failure> {
    if super::is_id(asset) {
        return Ok(asset.to_owned());
    }
    for field in ["name", "tag", "serial"] {
        let rows = super::pages(session, "/v1/assets", &[(field, asset.to_owned())], Some(2)).await?;
        match rows.as_slice() {
            [] => {}
            [row] => return Ok(row.get("id").and_then(Value::as_str).unwrap_or_default().to_owned()),
            _ => {
                return Err(Failure::new(
                    Code::Conflict,
                    format!(
                        "several assets have the {field} {asset:?}: use an id (muster assets list --{field} {asset})"
                    ),
                ));
            }
        }
    }
    Err(Failure::new(Code::NotFound, format!("no asset {asset:?}: by id, name, tag or serial (muster assets list)")))
}
