//! What the API shows of an asset. A promise to clients: fields are only ever added.

use super::App;
use crate::desk::model::Link;
use crate::register::model::{Candidate, Declared, Fault, Observed, Section};
use crate::register::presence::presence;
use crate::register::score::{Weighed, weight};
use crate::store::read::assets::AssetRow;
use serde::Serialize;
use serde_json::Value;
use shared::fact::Item;
use shared::health;
use shared::unit::At;

/// An asset in a list. Times are microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AssetView {
    /// Its id.
    pub id: String,
    /// Its revision, also its ETag.
    pub rev: u64,
    /// What it is.
    pub class: String,
    /// Where it is in its life.
    pub lifecycle: String,
    /// How lately it was heard: online, off, silent, stale, missing, never.
    pub presence: String,
    /// When its agent was last heard. In memory up to a minute before it is on disk.
    pub last_seen: Option<i64>,
    /// The agent that speaks for it.
    pub agent: Option<String>,
    /// When it came into the register.
    pub created: i64,
    /// When it was last written.
    pub updated: i64,
    /// Host name.
    pub name: Option<String>,
    /// Maker of the system.
    pub maker: Option<String>,
    /// Model of the system.
    pub model: Option<String>,
    /// Serial of the system.
    pub serial: Option<String>,
    /// Operating system.
    pub os_name: Option<String>,
    /// Its version.
    pub os_version: Option<String>,
    /// Kernel release.
    pub kernel: Option<String>,
    /// Architecture.
    pub arch: Option<String>,
    /// Processor.
    pub cpu: Option<String>,
    /// Memory in bytes.
    pub memory_bytes: Option<i64>,
    /// Inventory tag.
    pub tag: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Where it is.
    pub location: Option<String>,
    /// 1 (most critical) to 4.
    pub criticality: Option<u8>,
    /// The layer that machines tell.
    #[schema(value_type = Object)]
    pub observed: Observed,
    /// The layer that people declare.
    #[schema(value_type = Object)]
    pub declared: Declared,
}

impl AssetView {
    /// The view of a row. Who was heard since the last flush is known from memory.
    pub fn of(app: &App, row: AssetRow, now: At) -> AssetView {
        let AssetRow { asset, heard, goodbye } = row;
        let heard = heard.max(asset.agent.and_then(|agent| app.fleet.heard(agent)));
        let interval_s = i64::from(app.config.policy.settings.checkin_s);
        let (observed, declared) = (asset.observed, asset.declared);
        AssetView {
            id: asset.id.to_string(),
            rev: asset.rev,
            class: asset.class.to_string(),
            lifecycle: asset.lifecycle.to_string(),
            presence: presence(heard, goodbye, interval_s, now).to_string(),
            last_seen: heard.map(|at| at.0),
            agent: asset.agent.map(|agent| agent.to_string()),
            created: asset.created.0,
            updated: asset.updated.0,
            name: observed.name.clone(),
            maker: observed.maker.clone(),
            model: observed.model.clone(),
            serial: observed.serial.clone(),
            os_name: observed.os_name.clone(),
            os_version: observed.os_version.clone(),
            kernel: observed.kernel.clone(),
            arch: observed.arch.clone(),
            cpu: observed.cpu.clone(),
            memory_bytes: observed.memory_bytes,
            tag: declared.tag.clone(),
            owner: declared.owner.clone(),
            location: declared.location.clone(),
            criticality: declared.criticality,
            observed,
            declared,
        }
    }
}

/// An asset with all that is shown with it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct DetailView {
    /// The asset itself.
    #[serde(flatten)]
    pub asset: AssetView,
    /// Its addresses, without prefix.
    pub addresses: Vec<String>,
    /// Its sections.
    pub sections: Vec<SectionView>,
    /// Links that it is an end of, the newest first.
    pub links: Vec<LinkView>,
    /// Faults that have not passed.
    pub faults: Vec<FaultView>,
    /// Which of these lists have more than is shown here: `links` (all of them: `/v1/links?end=asset:ID`), `faults`.
    pub cut: Vec<String>,
}

/// What is held of one section.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct SectionView {
    /// Its name, that of its probe.
    pub name: String,
    /// seen, or failed: then its rows are those that were last seen.
    pub state: String,
    /// The digest that agent and collector compare.
    pub digest: String,
    /// How many rows.
    pub rows: u64,
    /// It was cut at its limit.
    pub truncated: bool,
    /// When it last changed.
    pub changed: i64,
    /// How many things could not be read.
    pub problem_count: usize,
    /// What could not be read, and why.
    pub problems: Vec<Value>,
}

impl From<Section> for SectionView {
    fn from(section: Section) -> SectionView {
        SectionView {
            state: section.state.name().to_owned(),
            digest: section.digest.to_string(),
            rows: section.rows,
            truncated: section.truncated,
            changed: section.changed.0,
            problem_count: section.problems.len(),
            problems: section.problems.iter().filter_map(|problem| serde_json::to_value(problem).ok()).collect(),
            name: section.name,
        }
    }
}

/// A link.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct LinkView {
    /// Its id.
    pub id: String,
    /// The first end: `asset:ID`, `ticket:ID`, `jira:OPS-12`, or a URL.
    pub from: String,
    /// How it is linked to the second.
    pub rel: String,
    /// The second end.
    pub to: String,
    /// `human`, or the rule that made it.
    pub source: String,
    /// When it was made.
    pub created: i64,
}

/// The view of a link.
pub fn link_view(link: Link) -> LinkView {
    LinkView {
        id: link.id.to_string(),
        from: link.from.to_string(),
        rel: link.rel.to_string(),
        to: link.to.to_string(),
        source: link.source,
        created: link.created.0,
    }
}

/// A fault.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct FaultView {
    /// The check.
    pub check: String,
    /// The resource.
    pub resource: String,
    /// pending, raised, passing, cleared.
    pub state: String,
    /// minor, major, critical.
    pub severity: String,
    /// The last value, in the check's unit.
    pub value: i64,
    /// One line.
    pub detail: String,
    /// The first bad reading.
    pub first: i64,
    /// The last bad reading.
    pub last: i64,
    /// The incident that was opened for it.
    pub ticket: Option<String>,
}

impl From<Fault> for FaultView {
    fn from(fault: Fault) -> FaultView {
        FaultView {
            state: fault.state.to_string(),
            severity: fault.severity.to_string(),
            value: fault.value,
            detail: fault.detail,
            first: fault.first.0,
            last: fault.last.0,
            ticket: fault.ticket.map(|ticket| ticket.to_string()),
            check: fault.check,
            resource: fault.resource,
        }
    }
}

/// One item of a section.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ItemView {
    /// Its section.
    pub section: String,
    /// Its kind.
    pub kind: String,
    /// Its key, unique in the section.
    pub key: String,
    /// What a person calls it.
    pub label: Option<String>,
    /// Who made it.
    pub maker: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// The serial number.
    pub serial: Option<String>,
    /// Its size in bytes. What is counted in pieces, as inodes are, stands in `attrs` as `total`.
    pub size: Option<i64>,
    /// Everything else that is configuration.
    pub attrs: Value,
    /// What changes all the time, as last told.
    pub now: Value,
}

impl ItemView {
    /// The view of an item of a section.
    pub fn of((section, mut item): (String, Item)) -> ItemView {
        if let Some(pieces) = health::pieces(&item) {
            item.size = None;
            item = item.with("total", Some(pieces));
        }
        ItemView {
            section,
            attrs: serde_json::to_value(&item.attrs).unwrap_or_default(),
            now: serde_json::to_value(&item.now).unwrap_or_default(),
            kind: item.kind.into_owned(),
            key: item.key,
            label: item.label,
            maker: item.maker,
            model: item.model,
            serial: item.serial,
            size: item.size,
        }
    }
}

/// One installed package.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct PackageView {
    /// Who installed it.
    pub manager: String,
    /// Its name.
    pub name: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// Its architecture.
    pub arch: Option<String>,
    /// Who maintains or publishes it.
    pub publisher: Option<String>,
    /// What it takes on disk, in bytes.
    pub size: Option<i64>,
    /// The source package, if named otherwise.
    pub source: Option<String>,
    /// The manager's category.
    pub category: Option<String>,
    /// One line on what it is.
    pub summary: Option<String>,
}

impl PackageView {
    /// The view of a package of a section.
    pub fn of((section, item): (String, Item)) -> PackageView {
        let text = |name: &str| item.text(name).map(str::to_owned);
        PackageView {
            manager: section,
            version: text("version"),
            arch: text("arch"),
            source: text("source"),
            category: text("category"),
            summary: text("summary"),
            size: item.size,
            name: item.label.clone(),
            publisher: item.maker.clone(),
        }
    }
}

/// Why the register takes an asset for this machine.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct IdentityView {
    /// In one line.
    pub why: String,
    /// What the asset is known by.
    pub evidence: Vec<EvidenceView>,
    /// Other assets that share some of it.
    pub others: Vec<OtherView>,
}

/// One identifier.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct EvidenceView {
    /// Its kind.
    pub kind: String,
    /// Its value.
    pub value: String,
    /// What it counts: 4 strong, 2 medium, 0 weak or junk.
    pub score: u32,
    /// Why it counts that.
    pub why: String,
}

/// Another asset that shares identifiers.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct OtherView {
    /// The asset.
    pub asset: String,
    /// The sum of what agrees.
    pub score: u32,
    /// In one line: what agrees and what contradicts.
    pub why: String,
}

impl IdentityView {
    /// The view of an explanation.
    pub fn of(own: &Candidate, weighed: Weighed) -> IdentityView {
        let junk =
            |held: &shared::evidence::Evidence| weighed.junk.iter().find(|(one, _)| one == held).map(|(_, why)| *why);
        let evidence: Vec<EvidenceView> = own
            .evidence
            .iter()
            .map(|held| {
                let (score, why) = match (junk(held), weight(held.kind)) {
                    (Some(why), _) => (0, why),
                    (None, 4) => (4, "strong"),
                    (None, 2) => (2, "medium"),
                    (None, score) => (score, "weak: tells no machine from another"),
                };
                EvidenceView {
                    kind: held.kind.name().to_owned(),
                    value: held.value.clone(),
                    score,
                    why: why.to_owned(),
                }
            })
            .collect();
        let strong = evidence.iter().filter(|one| one.score == 4).count();
        let agent = own.agent.as_ref().map_or_else(
            || "no agent speaks for it".to_owned(),
            |(agent, _)| format!("agent {} speaks for it", agent.id),
        );
        let why = format!("{agent}; known by {} identifiers, {strong} of them strong", evidence.len());
        let others = weighed.lines.into_iter().map(|line| OtherView {
            asset: line.asset.to_string(),
            score: line.score,
            why: line.why,
        });
        IdentityView { why, evidence, others: others.collect() }
    }
}
