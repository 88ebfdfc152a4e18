//! `muster quickstart`: a collector and an agent on this machine, in one folder, to try Muster in a minute.
//!
//! Knows the order: folder, collector, enrollment, agent, first inventory, and all of it backwards at the end.
//! Speaks to the collector as any client does, and to the agent by its command line.
//!
//! | file | knows |
//! | --- | --- |
//! | [`place`] | the folder: settings, ports, paths |
//! | [`agent`] | the program `muster-agent` and its process |
//! | [`inventory`] | what the API says of the agent's machine |
//! | [`progress`] | what people see meanwhile |

mod agent;
mod inventory;
mod place;
mod progress;

use super::client::{Client, Target};
use super::exit::{Code, Failure};
use super::new_file::NewFile;
use super::output::Format;
use super::{Session, assets};
use crate::{clock, serve};
use agent::Agent;
use clap::Args;
use place::Place;
use progress::Progress;
use serde_json::json;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tracing::Level;

/// What `muster quickstart` may be told.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  muster quickstart                    in ~/.local/share/muster-quickstart
  muster quickstart --dir /tmp/muster --agent target/debug/muster-agent

Stays until Ctrl-C. The same command goes on where it stopped; remove the folder to begin anew.
Works without root; as root the agent also tells serial numbers and memory modules.")]
pub struct Quickstart {
    /// Where everything is kept; without this $XDG_DATA_HOME/muster-quickstart or
    /// ~/.local/share/muster-quickstart.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The agent's program; without this `muster-agent` beside this one.
    #[arg(long, value_name = "PATH")]
    agent: Option<PathBuf>,
}

/// How long the first inventory may take.
const INVENTORY: Duration = Duration::from_secs(60);
/// How long the join token is good, in seconds: it is used at once.
const JOIN_S: u64 = 600;

/// Runs the verb.
///
/// # Errors
/// What hindered the collector or the agent.
pub fn run(args: &Quickstart, format: Format) -> Result<(), Failure> {
    let program = agent::find(args.agent.as_deref(), std::env::current_exe().ok().as_deref())?;
    let place = Place::open(&place::folder(args.dir.as_deref(), crate::env::os)?)?;
    start_log(&place)?;
    place.create(&place.agent_log())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(Code::Failed, format!("no threads: {error}")))?;
    runtime.block_on(stay(&place, Agent::new(program, &place), format))
}

/// The collector's own log goes to a file: the terminal is for what the visitor should see.
fn start_log(place: &Place) -> Result<(), Failure> {
    let file = place.create(&place.collector_log())?;
    tracing_subscriber::fmt().with_writer(Mutex::new(file)).with_max_level(Level::INFO).with_ansi(false).init();
    Ok(())
}

async fn stay(place: &Place, mut agent: Agent, format: Format) -> Result<(), Failure> {
    let unheard = |error: std::io::Error| Failure::new(Code::Failed, format!("signals cannot be received: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(unheard)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(unheard)?;
    let progress = Progress::new(format);
    let enrolled = agent.identity().await?;
    for told in place.settle(enrolled.is_some())? {
        progress.done(&told);
    }
    let mut running =
        serve::start(place.config()?, serve::Passed::default()).await.map_err(|failure| place.explain(failure))?;
    let target = Target { socket: place.socket(), url: None, token_file: None, ca: None };
    let session = Session { client: Client::new(&target)?, format };
    let ended = tokio::select! {
        ended = show(place, &mut agent, enrolled, &session, &progress) => ended.map(|never| match never {}),
        why = running.down() => Err(why),
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    };
    progress.begin("stopping");
    agent.stop().await;
    running.stop().await;
    progress.pause();
    if ended.is_ok() {
        progress.done(&format!("stopped; everything is kept in {}", place.dir.display()));
    }
    ended
}

async fn show(
    place: &Place,
    agent: &mut Agent,
    enrolled: Option<String>,
    session: &Session,
    progress: &Progress,
) -> Result<Infallible, Failure> {
    let config = place.config()?;
    progress.done(&format!("collector ready: agents {}, web {}", config.agent_url, config.enroll_url));
    let id = match enrolled {
        Some(id) => {
            progress.done("agent enrolled before");
            id
        }
        None => {
            progress.begin("the agent enrolls");
            let id = enroll(place, agent, session).await?;
            progress.done("agent enrolled");
            id
        }
    };
    let since = clock::now();
    progress.begin("the agent looks at this machine");
    let found = tokio::select! {
        found = tokio::time::timeout(INVENTORY, inventory::first(session, &id, since)) => found,
        gone = agent.keep(progress) => return Err(gone),
    };
    let found = found.map_err(|_| agent.complaint(&format!("no inventory within {} s", INVENTORY.as_secs())))??;
    progress.done(&format!("first inventory: {} sections, {} rows", found.sections, found.rows));
    progress.pause();
    let what = assets::Verb::Show { asset: found.asset, section: None, software: false };
    assets::run(session, what).await?;
    for line in place.hints(&std::env::args().next().unwrap_or_else(|| "muster".to_owned()), &found.name) {
        progress.done(&line);
    }
    let gone = agent.keep(progress).await;
    progress.done(&format!("{}; the collector stays until Ctrl-C", gone.message));
    std::future::pending().await
}

/// Enrolls as a person would: a join token in a file, and the agent's verb. Gives the agent's id.
async fn enroll(place: &Place, agent: &Agent, session: &Session) -> Result<String, Failure> {
    let body = json!({"ttl_s": JOIN_S, "uses": 1, "approve": false, "labels": {}});
    let answer = session.client.post("/v1/join-tokens", &body).await?.body;
    let join =
        answer.get("join").ok_or_else(|| Failure::new(Code::Failed, "the collector answered without a join file"))?;
    place.remove(&place.join())?;
    let text = serde_json::to_string_pretty(join).unwrap_or_default() + "\n";
    NewFile::create(&place.join())?.keep(&text)?;
    let enrolled = agent.enroll(&place.join()).await;
    place.remove(&place.join())?;
    enrolled?;
    agent.identity().await?.ok_or_else(|| Failure::new(Code::Failed, "the agent enrolled, and does not know it"))
}
