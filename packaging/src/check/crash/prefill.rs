//! A register that is full before the first kill: assets with software, through the collector's own library, in the
//! state directory of a collector that has run once. Does not know what is measured.

use crate::check::fleet::part;
use anyhow::{Context, Result, bail};
use collector::clock;
use collector::event::Actor;
use collector::register::model::JoinToken;
use collector::store::{Options, Store};
use collector::work::{Act, Reply, Report, Work};
use shared::checkin::{Record, State};
use shared::digest::{self, Digest};
use shared::evidence::{Evidence, Kind, SECTION};
use shared::fact::Item;
use shared::id::{AgentId, JoinTokenId};
use shared::software::{Package, SECTION_DPKG};
use shared::unit::At;
use std::path::Path;
use tokio::task::JoinSet;

/// Packages of each machine.
const PACKAGES: usize = 300;
/// Machines come from so many base images.
const IMAGES: usize = 8;
/// Works at the same time, so that a commit has many.
const AT_ONCE: usize = 64;
/// The token that they come with.
const TOKEN: &str = "0197c0de-0000-7000-8000-000000000001";
/// It lives so long, in seconds.
const TOKEN_S: i64 = 3_600;

/// Puts so many machines with a first report into the database in this state directory.
pub(super) async fn fill(state: &Path, assets: usize) -> Result<()> {
    let store = Store::open(Options::new(&state.join("muster.db"), clock::now))?;
    let token = JoinToken {
        id: TOKEN.parse::<JoinTokenId>().map_err(|error| anyhow::anyhow!(error))?,
        rev: 1,
        hash: [7; 32],
        created: clock::now(),
        creator: "local:0".into(),
        expires: clock::now().plus_secs(TOKEN_S),
        uses: u32::try_from(assets)?,
        used: 0,
        cidr: None,
        approve: false,
        labels: std::collections::BTreeMap::default(),
        revoked: false,
    };
    let (id, hash) = (token.id, token.hash);
    let create = Act::CreateJoinToken { token: Box::new(token) };
    store.submit(Work::Act { actor: Actor::Local(0), act: create }).await?;
    let mut tasks = JoinSet::new();
    for number in 0..assets {
        if tasks.len() >= AT_ONCE {
            tasks.join_next().await.context("a machine")???;
        }
        let store = store.clone();
        tasks.spawn(async move { machine(&store, id, hash, number).await });
    }
    while let Some(done) = tasks.join_next().await {
        done.context("a machine")??;
    }
    store.close().await;
    Ok(())
}

async fn machine(store: &Store, token: JoinTokenId, hash: [u8; 32], number: usize) -> Result<()> {
    let (fingerprint, name, source) = (format!("key-{number}"), format!("full-{number}"), [127, 0, 0, 1].into());
    let act = Act::Enroll { token, hash, fingerprint, name, version: "0.1.0".into(), source };
    let Reply::Granted { agent, .. } = store.submit(Work::Act { actor: Actor::Join(token), act }).await? else {
        bail!("machine {number} is not let in");
    };
    store.submit(Work::Report(Box::new(report(agent, number)))).await?;
    Ok(())
}

fn report(agent: AgentId, number: usize) -> Report {
    let value = format!("maker|model|full-{number}");
    let evidence = vec![Item::from(Evidence { kind: Kind::SystemSerial, value })];
    let packages: Vec<Item> = (0..PACKAGES).map(|package| item(package, number % IMAGES)).collect();
    let (known, software) = (digest::section_of(&evidence), digest::section_of(&packages));
    let root = digest::root([(SECTION_DPKG, State::Seen, software), (SECTION, State::Seen, known)]);
    let sections = vec![part(SECTION_DPKG, software, None, packages), part(SECTION, known, None, evidence)];
    let record = Record { seq: 1, at: At(0), root, sections, gap: None };
    let hash = digest::of_bytes(&number.to_be_bytes());
    Report { agent, stream: Digest([1; 16]), record, hash, moved: false }
}

fn item(package: usize, image: usize) -> Item {
    let (name, version) = (format!("full-{package}"), format!("1.{image}-1"));
    Package { manager: "dpkg", name: &name, version: &version, arch: Some("amd64"), ..Package::default() }.into()
}
