//! A real `muster serve` in a directory of its own, on ports of the system's choice: started, asked over the
//! admin socket, killed. Does not know what is asked.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Until it answers.
const START: Duration = Duration::from_secs(30);
/// Between two looks at whether it does.
const LOOK: Duration = Duration::from_millis(2);
/// Until it answers a question.
const ASK: Duration = Duration::from_secs(30);
/// Rows of a page.
const PAGE_ROWS: usize = 500;

/// A collector that answers; killed when it is dropped.
pub(in crate::check) struct Collector {
    child: Child,
    agents: SocketAddr,
    web: SocketAddr,
    socket: PathBuf,
}

impl Collector {
    /// Starts one on what lies in `dir`, and says after how long it answered. A short interval, so that connections
    /// stay open between check-ins, and no bound on their rate.
    pub(in crate::check) fn start(binary: &Path, dir: &Path) -> Result<(Collector, Duration)> {
        Collector::start_with(binary, dir, "127.0.0.1", OPEN)
    }

    /// Starts one that listens at `address`, with these settings beside those of its places. It comes back to the
    /// ports that it had in `dir` before.
    pub(in crate::check) fn start_with(
        binary: &Path,
        dir: &Path,
        address: &str,
        settings: &str,
    ) -> Result<(Collector, Duration)> {
        let began = Instant::now();
        let (mut child, state, socket) = spawn(binary, dir, address, settings)?;
        while began.elapsed() < START {
            if let Some((agents, web)) = addresses(&state, child.id()) {
                fs::write(dir.join("ports"), format!("{} {}", agents.port(), web.port())).context("the ports")?;
                return Ok((Collector { child, agents, web, socket }, began.elapsed()));
            }
            if let Some(status) = child.try_wait().context("the collector")? {
                bail!("the collector ended instead of answering: {status}");
            }
            crate::check::pause(LOOK);
        }
        child.kill().context("the collector")?;
        child.wait().context("the collector")?;
        bail!("the collector did not answer within {} s", START.as_secs())
    }

    /// Starts one and kills it after this span, wherever it is then.
    pub(in crate::check) fn start_and_kill(binary: &Path, dir: &Path, after: Duration) -> Result<()> {
        let (mut child, ..) = spawn(binary, dir, "127.0.0.1", OPEN)?;
        crate::check::pause(after);
        child.kill().context("kill")?;
        child.wait().context("wait")?;
        Ok(())
    }

    /// Base URL of the agents' port.
    pub(in crate::check) fn agents_url(&self) -> String {
        format!("https://{}", self.agents)
    }

    /// The agents' port.
    pub(in crate::check) fn agents(&self) -> SocketAddr {
        self.agents
    }

    /// The web and enroll port.
    pub(in crate::check) fn web(&self) -> SocketAddr {
        self.web
    }

    /// Its process.
    pub(in crate::check) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did by itself within this span.
    pub(in crate::check) fn ended_within(&mut self, span: Duration) -> Result<Option<ExitStatus>> {
        let began = Instant::now();
        loop {
            match self.child.try_wait().context("the collector")? {
                None if began.elapsed() < span => crate::check::pause(LOOK),
                status => return Ok(status),
            }
        }
    }

    /// SIGKILL, and waits until it is gone.
    pub(in crate::check) fn kill(mut self) -> Result<()> {
        self.child.kill().context("kill")?;
        self.child.wait().context("wait")?;
        Ok(())
    }

    /// Asks over the admin socket: JSON in, JSON out; null where there is no content.
    pub(in crate::check) fn ask(&self, method: &str, path: &str, body: &str) -> Result<Value> {
        let mut stream = UnixStream::connect(&self.socket).context("the admin socket")?;
        stream.set_read_timeout(Some(ASK)).context("the admin socket")?;
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.write_all((head + body).as_bytes()).context("the admin socket")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).context("the admin socket")?;
        let (head, body) = answer.split_once("\r\n\r\n").context("an HTTP answer")?;
        ensure!(head.starts_with("HTTP/1.1 2"), "{method} {path}: {head}: {body}");
        if head.starts_with("HTTP/1.1 204") {
            return Ok(Value::Null);
        }
        serde_json::from_str(body).with_context(|| format!("{method} {path}"))
    }

    /// Every row of a list.
    pub(in crate::check) fn pages(&self, path: &str) -> Result<Vec<Value>> {
        let (mut rows, mut after) = (Vec::new(), String::new());
        loop {
            let mut answer = self.ask("GET", &format!("{path}?limit={PAGE_ROWS}{after}"), "")?;
            if let Some(items) = answer["items"].as_array_mut() {
                rows.append(items);
            }
            match answer["next"].as_str() {
                None => return Ok(rows),
                Some(next) => after = format!("&cursor={next}"),
            }
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        // It is gone already where it was killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A short interval, so that connections stay open between check-ins, and no bound on their rate.
const OPEN: &str =
    "agents.checkin_s = 2\nlimits.checkin_every_ms = 0\nlimits.checkins_a_second = 0\nlimits.per_address = 10000\n";

/// A process that starts, its state directory and its socket.
fn spawn(binary: &Path, dir: &Path, address: &str, settings: &str) -> Result<(Child, PathBuf, PathBuf)> {
    let (state, socket, config) = (dir.join("state"), dir.join("admin.sock"), dir.join("muster.toml"));
    let ports = fs::read_to_string(dir.join("ports")).unwrap_or_default();
    let (agents, web) = ports.split_once(' ').unwrap_or(("0", "0"));
    let text = format!(
        "state_dir = {state:?}\nadmin_socket = {socket:?}\nagent_listen = \"{address}:{agents}\"\n\
         web_listen = \"{address}:{web}\"\nnames = [\"{address}\"]\nshort_times = true\n{settings}"
    );
    fs::write(&config, text).context("the settings")?;
    let log = File::options().create(true).append(true).open(dir.join("log")).context("the log")?;
    let child = Command::new(binary)
        .args(["serve", "--config"])
        .arg(&config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .with_context(|| binary.display().to_string())?;
    Ok((child, state, socket))
}

/// Where this process listens for agents and on the web; none before it does, whatever an earlier one left behind.
fn addresses(state: &Path, pid: u32) -> Option<(SocketAddr, SocketAddr)> {
    let text = fs::read_to_string(state.join("addresses.json")).ok()?;
    let addresses: Value = serde_json::from_str(&text).ok()?;
    let place = |name: &str| addresses[name].as_str()?.parse().ok();
    (addresses["pid"].as_u64() == Some(u64::from(pid))).then(|| Some((place("agents")?, place("web")?)))?
}
