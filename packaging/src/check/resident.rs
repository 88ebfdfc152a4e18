//! What the agent costs as a service, at samples of 15 s and check-ins of 300 s, beside peers that are asked as
//! often. Counted is each process with its threads and children: CPU as the scheduler counts it, and as wake-ups each
//! time that a thread waited for something, a disk too, and went on. A start is not part of what is measured; the one
//! look at everything that an hour has is asked for at the end (SIGHUP), and its CPU added to the hour's.
//!
//! With a root to boot it is the packaged service that is measured, in its sandbox; else the bare program.

mod packaged;
mod peers;
mod usage;

use super::scene::{Running, Scene};
use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use packaged::Packaged;
use peers::Port;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use usage::Usage;

/// How often the agent looks at the machine's health, and peers are asked.
const EVERY: Duration = Duration::from_secs(15);
/// The status is written just before the turn ends and memory is given back.
const SETTLE: Duration = Duration::from_secs(1);
/// A look at everything, and its report, take no longer.
const LOOK: Duration = Duration::from_secs(10);

/// The agent as a resident service.
#[derive(clap::Args)]
#[command(after_help = "\
With --root the agent is measured as its package installs it, in a container with its own systemd:
  cargo run -p packaging -- package --out /tmp/packages
  cargo run -p packaging -- check resident --root /srv/systemd --deb-dir /tmp/packages
See `check service --help` for how a root is made.")]
pub struct Resident {
    /// How long to measure.
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// The agent to measure, instead of one that is built now as it is shipped.
    #[arg(long, value_name = "FILE")]
    agent: Option<PathBuf>,
    /// A root of Debian that boots, to measure the packaged service in; it is copied, never changed.
    #[arg(long, value_name = "DIR", conflicts_with = "agent")]
    root: Option<PathBuf>,
    /// Packages for it, that were made before.
    #[arg(long, value_name = "DIR", requires = "root")]
    deb_dir: Option<PathBuf>,
}

/// Starts a peer with its files in a folder.
type Starts = fn(&Path) -> Result<(Running, Port)>;
/// The others, and how each is started.
const PEERS: [(&str, Starts); 2] = [("node_exporter", Port::node_exporter), ("zabbix_agentd", Port::zabbix)];

/// What is measured.
struct Measured {
    name: &'static str,
    /// The first of its processes.
    pid: u32,
    port: Option<Port>,
    begin: Usage,
    /// The largest of its proportional and resident memory, in KiB.
    pss_kib_max: u64,
    rss_kib_max: u64,
}

/// Measures.
///
/// # Errors
/// A figure that was missed, or a step that could not be run.
pub fn run(args: &Resident) -> Result<()> {
    if let Some(root) = &args.root {
        let packaged: Packaged = packaged::start(root, args.deb_dir.as_deref())?;
        super::pause(SETTLE);
        return measure(packaged.pid, args);
    }
    let agent = args.agent.clone().map_or_else(super::agent::build, Ok)?;
    let muster = super::agent::collector()?;
    let scene = Scene::start(&agent, &muster, "")?;
    let service = resident(&scene, "health_s = 15\ncheckin_s = 300\n")?;
    measure(service.id(), args)
}

/// Measures the agent that is process `pid`.
fn measure(pid: u32, args: &Resident) -> Result<()> {
    let start = Usage::of(pid)?;
    let mut all = vec![Measured::new("muster-agent", pid, None)?];
    let (memory, cpu) = (mib(start.pss_kib), ms(start.cpu_ns));
    println!("     muster-agent after its first report: PSS {memory:.2} MiB, CPU {cpu:.1} ms");
    let folder = tempfile::tempdir().context("a folder")?;
    let mut peers = Vec::new();
    // One after the other: each takes the first port that is free.
    for (name, start) in PEERS {
        let started = start(folder.path()).and_then(|(process, port)| {
            let measured = Measured::peer(name, process.id(), port)?;
            Ok((process, measured))
        });
        match started {
            Ok((process, measured)) => {
                peers.push(process);
                all.push(measured);
            }
            Err(why) => println!("SKIP {name}: {why:#}"),
        }
    }
    let begin = Instant::now();
    let span = Duration::from_secs(args.minutes * 60);
    while begin.elapsed() < span {
        super::pause(EVERY.min(span.saturating_sub(begin.elapsed())));
        all.iter_mut().try_for_each(Measured::look)?;
    }
    let hours = begin.elapsed().as_secs_f64() / 3600.0;
    let rates = all.iter().map(|one| one.rates(hours)).collect::<Result<Vec<Rates>>>()?;
    print(&all, &rates);
    let (ours, rate) = all.iter().zip(&rates).next().context("the agent")?;
    let look_ms = look_at_everything(pid)?;
    println!("     one look at everything and its report: CPU {look_ms:.1} ms");
    let hourly = rate.cpu_s_hourly + look_ms / 1000.0;
    let good = super::figure("resident, PSS at most", mib(ours.pss_kib_max), "MiB", 4.0)
        & super::figure("CPU of an hour, with one look at everything", hourly, "s", 0.2)
        & super::figure("CPU, mean", hourly / 36.0, "%", 1.0)
        & super::figure("wake-ups", rate.wakeups_s, "/s", 0.2)
        & super::figure("peak memory, RSS", mib(rate.peak_kib), "MiB", 32.0)
        & super::figure("disk writes of an hour", rate.write_mib_hourly, "MiB", 5.0);
    ensure!(good, "a figure was missed");
    Ok(())
}

/// Has the agent look at everything; what that took, in milliseconds of CPU.
fn look_at_everything(pid: u32) -> Result<f64> {
    let before = Usage::of(pid)?;
    kill(Pid::from_raw(i32::try_from(pid)?), Signal::SIGHUP).context("SIGHUP")?;
    super::pause(LOOK);
    let after = Usage::of(pid)?;
    ensure!(after.wakeups > before.wakeups + 1, "the agent did not look at everything");
    Ok(ms(after.cpu_ns.saturating_sub(before.cpu_ns)))
}

fn print(all: &[Measured], rates: &[Rates]) {
    let titles = ["PSS_MIB", "RSS_MIB", "PEAK_MIB", "CPU_S_H", "WAKEUPS_S", "WRITES_MIB_H"];
    println!("     {:16}{}", "", titles.map(|title| format!("{title:>13}")).concat());
    for (one, rate) in all.iter().zip(rates) {
        let memory = [one.pss_kib_max, one.rss_kib_max, rate.peak_kib].map(mib);
        let values = memory.into_iter().chain([rate.cpu_s_hourly, rate.wakeups_s, rate.write_mib_hourly]);
        println!("     {:16}{}", one.name, values.map(|value| format!("{value:>13.3}")).collect::<String>());
    }
}

impl Measured {
    fn new(name: &'static str, pid: u32, port: Option<Port>) -> Result<Measured> {
        let begin = Usage::of(pid)?;
        Ok(Measured { name, pid, port, begin, pss_kib_max: begin.pss_kib, rss_kib_max: begin.rss_kib })
    }

    fn look(&mut self) -> Result<()> {
        if let Some(port) = &self.port {
            port.ask().context(self.name)?;
        }
        let now = Usage::of(self.pid)?;
        self.pss_kib_max = self.pss_kib_max.max(now.pss_kib);
        self.rss_kib_max = self.rss_kib_max.max(now.rss_kib);
        Ok(())
    }

    /// A peer, once it answers.
    fn peer(name: &'static str, pid: u32, port: Port) -> Result<Measured> {
        let until = Instant::now() + EVERY;
        let bytes = loop {
            super::pause(SETTLE);
            match port.ask() {
                Err(_) if Instant::now() < until => {}
                asked => break asked?,
            }
        };
        println!("     {name} answers {bytes} bytes");
        Measured::new(name, pid, Some(port))
    }

    fn rates(&self, hours: f64) -> Result<Rates> {
        let end = Usage::of(self.pid)?;
        let hourly = |before: u64, after: u64| float(after.saturating_sub(before)) / hours;
        Ok(Rates {
            cpu_s_hourly: hourly(self.begin.cpu_ns, end.cpu_ns) / 1e9,
            wakeups_s: hourly(self.begin.wakeups, end.wakeups) / 3600.0,
            write_mib_hourly: hourly(self.begin.write_bytes, end.write_bytes) / 1_048_576.0,
            peak_kib: end.peak_kib,
        })
    }
}

/// What was used in a time.
struct Rates {
    cpu_s_hourly: f64,
    wakeups_s: f64,
    write_mib_hourly: f64,
    peak_kib: u64,
}

/// Starts the agent's service, and waits until its first report has arrived.
fn resident(scene: &Scene<'_>, settings: &str) -> Result<Running> {
    scene.join("agent", settings)?;
    let service = scene.run("agent", &[])?;
    scene.wait("agent/status.json", |text| {
        let status: serde_json::Value = serde_json::from_str(text).ok()?;
        status["last_contact"].as_i64()
    })?;
    super::pause(SETTLE);
    Ok(service)
}

/// The proportional set size of an agent after its first report, in KiB: all of it, and what of that is no file's.
///
/// # Errors
/// A step that did not work, or no report in time.
pub fn pss_kib(agent: &Path, muster: &Path) -> Result<(u64, u64)> {
    let scene = Scene::start(agent, muster, "")?;
    let service = resident(&scene, "")?;
    let path = format!("/proc/{}/smaps_rollup", service.id());
    let text = std::fs::read_to_string(&path).context(path)?;
    Ok((usage::amount(&text, "Pss:")?, usage::amount(&text, "Pss_Anon:")?))
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn float(value: u64) -> f64 {
    value as f64
}

fn mib(kib: u64) -> f64 {
    float(kib) / 1024.0
}

fn ms(ns: u64) -> f64 {
    float(ns) / 1e6
}
