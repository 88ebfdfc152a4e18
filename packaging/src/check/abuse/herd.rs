//! A fleet that comes back: the agent's own service loop, as often as there are agents, each with a state directory,
//! a tape of a machine and TLS of its own, against a collector that is killed and started again.
//!
//! Only time is short: agents check in every minute instead of every five, and the rate is as much lower. Does not know
//! when an agent comes: that its own schedule decides.

use super::Abuse;
use crate::check::fleet::{self, Collector};
use crate::check::promise::Seen;
use agent::config::Config;
use agent::enroll;
use agent::probes::PROBES;
use agent::run::Agent;
use agent::source::tape::Tape;
use agent::state::identity::Vault;
use anyhow::{Context, Result, ensure};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use shared::enroll::JoinFile;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, LocalSet};

/// Between two check-ins; a fifth of the default.
const EVERY_S: u64 = 60;
/// What is taken in a second, for each 2,000 agents: half as much again as comes when nothing is the matter.
const RATE: usize = 50;
const RATE_AGENTS: usize = 2_000;
/// How long the collector is away.
const AWAY: Duration = Duration::from_secs(30);
/// The longest wait of an agent that was told nothing is half an hour at the default interval.
const WINDOW_S: f64 = 1800.0 / 5.0;
/// The only probe that these agents run.
const PROBE: &str = "os";
/// How many enroll at once.
const AT_ONCE: usize = 32;

/// A try to check in.
struct Try {
    at: Instant,
    agent: usize,
    worked: bool,
}

type Tries = Rc<RefCell<Vec<Try>>>;

/// 66: after a restart agents come back without a stampede.
pub(super) fn restart(abuse: &Abuse) -> Result<Seen> {
    let files = abuse.agents as u64 * 4 + 500;
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if most < files {
        let why = format!("{files} open files are needed, and the hard limit is {most}");
        return Ok(Seen::Skip(why, "a herd after a restart".into()));
    }
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    let place = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, herd(abuse, place.path()))
}

async fn herd(abuse: &Abuse, dir: &Path) -> Result<Seen> {
    let rate = (RATE * abuse.agents).div_ceil(RATE_AGENTS);
    // One address for all of them; a real fleet has many.
    let settings =
        format!("agents.checkin_s = {EVERY_S}\nlimits.checkins_a_second = {rate}\nlimits.per_address = 10000\n");
    let binary = abuse.binary("muster")?;
    let (collector, _) = Collector::start_with(&binary, dir, "127.0.0.1", &settings)?;
    let began = Instant::now();
    enrolled(&collector, abuse.agents, dir).await?;
    println!("     {} agents enrolled in {:.0} s", abuse.agents, began.elapsed().as_secs_f64());
    let tries = Tries::default();
    for number in 0..abuse.agents {
        let after = Duration::from_secs(EVERY_S).mul_f64(number as f64 / abuse.agents as f64);
        tokio::task::spawn_local(serve(number, home(dir, number), after, tries.clone()));
    }
    // In the first interval they are spread over twice as long; then they come as they always do.
    tokio::time::sleep(Duration::from_secs(4 * EVERY_S)).await;
    let seen = seen(&tries.borrow(), Instant::now() - Duration::from_secs(2 * EVERY_S));
    ensure!(seen.in_at.len() == abuse.agents, "only {} of {} agents report", seen.in_at.len(), abuse.agents);
    let steady = seen.arrivals as f64 / (2 * EVERY_S) as f64;
    collector.kill()?;
    tokio::time::sleep(AWAY).await;
    tries.borrow_mut().clear();
    let (collector, _) = Collector::start_with(&binary, dir, "127.0.0.1", &settings)?;
    let up = Instant::now();
    let end = up + Duration::from_secs_f64(1.5 * WINDOW_S);
    while Instant::now() < end && self::seen(&tries.borrow(), up).in_at.len() < abuse.agents {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let seen = self::seen(&tries.borrow(), up);
    collector.kill()?;
    verdict(abuse.agents, rate, steady, &seen)
}

fn verdict(agents: usize, rate: usize, steady: f64, seen: &After) -> Result<Seen> {
    let window_s = WINDOW_S.max(agents as f64 / rate as f64);
    let last_s = seen.in_at.values().max().copied().unwrap_or_default().as_secs_f64();
    let mean = seen.tries as f64 / agents as f64;
    let text = format!(
        "{agents} agents every {EVERY_S} s ({steady:.0}/s), {rate}/s taken, collector away {} s: peak {} arrivals in a second (at most {}), \
         {mean:.2} tries (at most 1.2), {} of {agents} in, the last after {last_s:.0} s (at most {:.0})",
        AWAY.as_secs(),
        seen.peak,
        2 * rate,
        seen.in_at.len(),
        1.2 * window_s
    );
    let good = seen.in_at.len() == agents && seen.peak <= 2 * rate && mean <= 1.2 && last_s <= 1.2 * window_s;
    ensure!(good, "{text}");
    Ok(Seen::Pass(text))
}

/// What happened after a moment.
struct After {
    /// Arrivals, and in the busiest second.
    arrivals: usize,
    peak: usize,
    /// Tries of agents that were not in yet.
    tries: usize,
    /// When each agent was in, after that moment.
    in_at: BTreeMap<usize, Duration>,
}

fn seen(tries: &[Try], since: Instant) -> After {
    let mut after = After { arrivals: 0, peak: 0, tries: 0, in_at: BTreeMap::new() };
    let mut seconds: BTreeMap<u64, usize> = BTreeMap::new();
    for one in tries.iter().filter(|one| one.at >= since) {
        after.arrivals += 1;
        let second = seconds.entry((one.at - since).as_secs()).or_default();
        *second += 1;
        after.peak = after.peak.max(*second);
        if !after.in_at.contains_key(&one.agent) {
            after.tries += 1;
            if one.worked {
                after.in_at.insert(one.agent, one.at - since);
            }
        }
    }
    after
}

fn home(dir: &Path, number: usize) -> std::path::PathBuf {
    dir.join(format!("agent-{number}"))
}

async fn enrolled(collector: &Collector, agents: usize, dir: &Path) -> Result<()> {
    let join: Arc<JoinFile> = Arc::new(fleet::join(collector, agents)?);
    let doors = Arc::new(Semaphore::new(AT_ONCE));
    let mut tasks = JoinSet::new();
    for number in 0..agents {
        let (join, doors, home) = (join.clone(), doors.clone(), home(dir, number));
        tasks.spawn(async move {
            let _place = doors.acquire_owned().await?;
            std::fs::DirBuilder::new().mode(0o700).create(&home)?;
            let vault = Vault::open(&home)?;
            enroll::enroll(&join, &format!("agent-{number}"), &vault, None).await?;
            anyhow::Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.context("an agent")??;
    }
    Ok(())
}

/// The service, as its own loop has it.
async fn serve(number: usize, home: std::path::PathBuf, after: Duration, tries: Tries) {
    tokio::time::sleep(after).await;
    let disabled = PROBES.iter().map(|probe| probe.name).filter(|name| *name != PROBE).map(str::to_owned).collect();
    let config = Config { state_dir: home, disabled, health_s: Some(3600), ..Config::default() };
    let tape = Tape::new().file("/etc/os-release", "ID=debian\nVERSION_ID=12\n");
    let Ok(Some(mut agent)) = Agent::open(&config, Box::new(tape)) else { return };
    loop {
        let (before, at) = (agent.status().last_try, Instant::now());
        agent.turn().await;
        if agent.status().last_try != before {
            let worked = agent.status().trouble.is_none();
            tries.borrow_mut().push(Try { at, agent: number, worked });
        }
        tokio::time::sleep(agent.wait()).await;
    }
}
