//! A small register with something in every table, made through the store as machines and people make it.

use anyhow::{Context, Result, bail};
use collector::desk::model::Kind;
use collector::event::Actor;
use collector::register::model::{ApiToken, JoinToken};
use collector::store::{Options, Store};
use collector::work::{Act, AssetEdit, NewTicket, Reply, Report, Work};
use shared::checkin::{Part, Record, State};
use shared::digest::{self, Digest};
use shared::evidence::{Evidence, Kind as EvidenceKind};
use shared::fact::Item;
use shared::health::{CHECKS, Reading};
use shared::id::{AgentId, AssetId};
use shared::software::Package;
use shared::unit::At;
use std::collections::BTreeMap;
use std::path::Path;

const MACHINES: u8 = 12;
const PACKAGES: u32 = 30;
const NOW: At = At(1_800_000_000_000_000);
const KIM: Actor = Actor::Local(1000);

/// Makes the register and packs it into one file.
///
/// # Errors
/// A work that was refused.
pub fn make(path: &Path) -> Result<()> {
    let runtime = tokio::runtime::Runtime::new().context("a runtime")?;
    runtime.block_on(async {
        let store = Store::open(Options::new(path, || NOW).floor_bytes(0))?;
        let token = token()?;
        act(&store, KIM, Act::CreateJoinToken { token: Box::new(token.clone()) }).await?;
        act(&store, KIM, Act::CreateApiToken { token: Box::new(api_token()?) }).await?;
        for number in 0..MACHINES {
            machine(&store, &token, number).await?;
        }
        store.close().await;
        anyhow::Ok(())
    })?;
    let connection = rusqlite::Connection::open(path)?;
    // The log is in the file then, and what is read is the file alone.
    connection.execute_batch("pragma journal_mode = delete; vacuum")?;
    Ok(())
}

async fn act(store: &Store, actor: Actor, act: Act) -> Result<Reply> {
    store.submit(Work::Act { actor, act }).await.context("a work")
}

/// One machine with its software, parts and a fault; a person edits it, and writes tickets about it.
async fn machine(store: &Store, token: &JoinToken, number: u8) -> Result<()> {
    let enroll = Act::Enroll {
        token: token.id,
        hash: token.hash,
        fingerprint: format!("key-{number}"),
        name: format!("host-{number}"),
        version: "0.1.0".into(),
        source: "192.0.2.1".parse()?,
    };
    let Reply::Granted { agent, .. } = act(store, Actor::Join(token.id), enroll).await? else {
        bail!("an agent is granted")
    };
    store.submit(Work::Report(Box::new(report(agent, number)))).await.context("a report")?;
    store.flush_seen(vec![(agent, NOW)]).await.context("seen")?;
    let asset: Option<AssetId> = store
        .read(
            move |engine| Ok(collector::store::read::agents::by_id(engine, agent)?.and_then(|(agent, _)| agent.asset)),
        )
        .await?;
    let asset = asset.context("an asset")?;
    let edit = AssetEdit { owner: Some(Some(format!("owner {number}"))), ..AssetEdit::default() };
    act(store, KIM, Act::EditAsset { asset, rev: None, edit }).await?;
    let ticket = NewTicket {
        kind: Kind::Incident,
        title: format!("Machine {number} is loud"),
        description: "It was quiet yesterday, and nobody opened it.".into(),
        impact: Some(2),
        urgency: Some(2),
        assignee: Some("kim".into()),
        requester: None,
        fields: BTreeMap::new(),
        assets: vec![asset],
    };
    let Reply::Ticket(ticket) = act(store, KIM, Act::OpenTicket(Box::new(ticket))).await? else {
        bail!("a ticket is opened")
    };
    act(store, KIM, Act::CommentTicket { ticket: ticket.id, text: "It is the fan.".into() }).await?;
    Ok(())
}

fn report(agent: AgentId, number: u8) -> Report {
    let serial = Evidence { kind: EvidenceKind::SystemSerial, value: format!("Maker|Model|S{number}") };
    let packages = (0..PACKAGES).map(|n| {
        let version = format!("1.{}-1", n % 7 + u32::from(number % 2));
        let name = format!("package-{n}");
        Package {
            manager: "dpkg",
            name: &name,
            version: &version,
            arch: Some("amd64"),
            publisher: Some("Debian"),
            ..Package::default()
        }
        .into()
    });
    let disks = (0..4).map(|n| Item { size: Some(1 << 40), ..Item::new("disk", format!("wwn-{number}-{n}")) });
    let check = &CHECKS[5];
    let reading = Reading {
        check: check.name.into(),
        resource: String::new(),
        value: 1,
        total: None,
        identity: None,
        detail: Some("a new kernel".into()),
    };
    let mut sections = vec![
        part("disks", disks.collect()),
        part("dpkg", packages.collect()),
        part("evidence", vec![serial.into()]),
        part(check.section, vec![reading.into()]),
    ];
    sections.sort_by(|a, b| a.section.cmp(&b.section));
    let root = digest::root(sections.iter().map(|part| (part.section.as_ref(), State::Seen, part.digest)));
    let record = Record { seq: 1, at: NOW, root, sections, gap: None };
    Report { agent, stream: Digest([number; 16]), record, hash: Digest([1; 16]), moved: false }
}

fn part(section: &str, put: Vec<Item>) -> Part {
    Part {
        section: section.into(),
        state: State::Seen,
        digest: digest::section_of(&put),
        base: None,
        put: Some(put),
        del: Vec::new(),
        problems: Vec::new(),
        truncated: false,
    }
}

fn token() -> Result<JoinToken> {
    Ok(JoinToken {
        id: "00000000-0000-7000-8000-000000000001".parse().context("an id")?,
        rev: 1,
        hash: [7; 32],
        created: NOW,
        creator: "local:1000".into(),
        expires: NOW.plus_secs(3_600),
        uses: u32::from(MACHINES),
        used: 0,
        cidr: None,
        approve: false,
        labels: BTreeMap::from([("site".to_owned(), "Zürich".to_owned())]),
        revoked: false,
    })
}

fn api_token() -> Result<ApiToken> {
    Ok(ApiToken {
        id: "00000000-0000-7000-8000-000000000002".parse().context("an id")?,
        rev: 1,
        hash: [9; 32],
        name: "export".into(),
        scopes: vec!["assets:read".into()],
        created: NOW,
        creator: "local:1000".into(),
        expires: NOW.plus_secs(3_600),
        cidr: None,
        revoked: false,
    })
}
