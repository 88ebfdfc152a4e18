//! A world for stories: the real binaries, a folder of their own, ports that the system chooses.
//!
//! Knows how to start, ask and stop them. Waits by the event feed's long poll, never by sleeping. Does not
//! know what a story is about.
#![forbid(unsafe_code)]

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Seconds that a story waits for one thing.
const WAIT_S: u64 = 60;

/// A folder with a collector in it.
pub struct World {
    /// The folder.
    pub dir: TempDir,
    collector: Option<Child>,
}

/// An agent of a world.
pub struct Agent {
    /// Its configuration file.
    pub config: PathBuf,
    /// Where it keeps its state.
    pub state: PathBuf,
    running: Option<Child>,
}

/// Where binaries are, if somebody said so.
static BINARIES: OnceLock<PathBuf> = OnceLock::new();

/// Takes binaries from this folder, for the rest of the process; the first who says so is right.
pub fn take_binaries_from(folder: PathBuf) {
    let _ = BINARIES.set(folder);
}

/// The path of a built binary: in the folder that was said, else above the tests'.
pub fn binary(name: &str) -> PathBuf {
    let folder = BINARIES.get_or_init(|| {
        let own = std::env::current_exe().expect("own path");
        own.parent().and_then(Path::parent).expect("target folder").to_owned()
    });
    let path = folder.join(name);
    assert!(path.exists(), "{} is not built: run `cargo build --workspace --bins` first", path.display());
    path
}

/// Whether this runs as root, which some stories need; prints why they skip otherwise.
pub fn is_root(story: &str) -> bool {
    let uid = Command::new("id").arg("-u").output().map(|out| out.stdout).unwrap_or_default();
    let root = uid.trim_ascii() == b"0";
    if !root {
        println!("SKIP {story}: needs root");
    }
    root
}

impl World {
    /// A world whose collector runs, with times short enough for a story.
    pub fn start() -> World {
        World::with("")
    }

    /// The same, with more settings; those of a table are written `agents.certificate_s = 60`.
    pub fn with(settings: &str) -> World {
        let dir = tempfile::tempdir().expect("a folder");
        let at = dir.path().display();
        let config = format!(
            "state_dir = \"{at}/collector\"\nagent_listen = \"127.0.0.1:0\"\nweb_listen = \"127.0.0.1:0\"\n\
             admin_socket = \"{at}/admin.sock\"\nnames = [\"localhost\", \"127.0.0.1\"]\nshort_times = true\n\
             agents.checkin_s = 1\nagents.health_s = 1\n\
             limits.checkin_every_ms = 0\nlimits.per_address = 5000\nlimits.refused_a_minute = 0\n{settings}\n"
        );
        std::fs::write(dir.path().join("muster.toml"), config).expect("settings");
        let mut world = World { dir, collector: None };
        world.start_collector();
        world
    }

    /// Starts the collector and waits until it says that it answers.
    pub fn start_collector(&mut self) {
        let mut command = Command::new(binary("muster"));
        command.args(["serve", "--config"]).arg(self.path("muster.toml")).stderr(self.log("collector.log"));
        self.launch(command);
    }

    /// The same by a command of the story, which becomes the collector.
    pub fn launch(&mut self, mut command: Command) {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("muster starts");
        let mut line = String::new();
        let out = child.stdout.take().expect("its output");
        BufReader::new(out).read_line(&mut line).expect("its first line");
        assert!(line.contains("ready"), "{line:?}: {}", self.read("collector.log"));
        self.collector = Some(child);
        self.keep_ports();
    }

    /// Writes the ports that the system chose into the settings: agents come back to them after a restart.
    fn keep_ports(&self) {
        let mut config = self.read("muster.toml");
        for (key, name) in [("agent_listen", "agents"), ("web_listen", "web")] {
            let address = self.address(name);
            config = config.replace(&format!("{key} = \"127.0.0.1:0\""), &format!("{key} = \"{address}\""));
        }
        std::fs::write(self.path("muster.toml"), config).expect("settings");
    }

    /// Where the collector's port `agents` or `web` is.
    pub fn address(&self, port: &str) -> SocketAddr {
        let addresses: Value = serde_json::from_str(&self.read("collector/addresses.json")).expect("addresses");
        addresses[port].as_str().and_then(|address| address.parse().ok()).expect("an address")
    }

    /// The collector's process, while it runs.
    pub fn collector_pid(&self) -> Option<u32> {
        self.collector.as_ref().map(Child::id)
    }

    /// Waits until the collector ends by itself; gives its exit code.
    pub fn collector_end(&mut self) -> Option<i32> {
        self.collector.take().expect("a collector").wait().expect("it ends").code()
    }

    /// Ends the collector as an admin would.
    pub fn stop_collector(&mut self) {
        if let Some(child) = self.collector.take() {
            end(child, "-TERM");
        }
    }

    /// Kills the collector as a power cut would.
    pub fn kill_collector(&mut self) {
        if let Some(child) = self.collector.take() {
            end(child, "-KILL");
        }
    }

    /// A file of the world.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A file's text, for messages.
    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    fn log(&self, name: &str) -> Stdio {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(self.path(name)).expect("a log");
        Stdio::from(file)
    }

    /// Runs `muster` over the admin socket.
    pub fn run(&self, args: &[&str]) -> Output {
        Command::new(binary("muster"))
            .args(args)
            .env("MUSTER_SOCKET", self.path("admin.sock"))
            .stdin(Stdio::null())
            .output()
            .expect("muster runs")
    }

    /// Runs `muster`, which must succeed; gives what it printed.
    pub fn muster(&self, args: &[&str]) -> String {
        let out = self.run(args);
        assert!(out.status.success(), "muster {}: {}", args.join(" "), String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    /// Runs `muster … --output json`.
    pub fn json(&self, args: &[&str]) -> Value {
        let text = self.muster(&[args, &["--output", "json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("muster {}: {e}: {text}", args.join(" ")))
    }

    /// `GET path` over the admin socket, for what the CLI has no verb for.
    pub fn get(&self, path: &str) -> Result<Value> {
        self.ask("GET", path, &Value::Null)
    }

    /// The same with any method and a body; `null` is none, in both directions.
    pub fn ask(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        ask(&self.path("admin.sock"), method, path, body)
    }

    /// Every row of a list.
    pub fn rows(&self, path: &str) -> Result<Vec<Value>> {
        let sign = if path.contains('?') { '&' } else { '?' };
        let (mut rows, mut after) = (Vec::new(), String::new());
        loop {
            let mut page = self.get(&format!("{path}{sign}limit=500{after}"))?;
            if let Some(items) = page["items"].as_array_mut() {
                rows.append(items);
            }
            match page["next"].as_str() {
                None => return Ok(rows),
                Some(next) => after = format!("&cursor={next}"),
            }
        }
    }

    /// The number of the latest event.
    pub fn head(&self) -> u64 {
        let mut after = 0;
        loop {
            let page = self.get(&format!("/v1/events?after={after}&limit=500")).expect("events");
            match page["items"].as_array().and_then(|items| items.last()) {
                Some(last) => after = last["seq"].as_u64().expect("a number"),
                None => return after,
            }
        }
    }

    /// The first event of a kind after `after`, as soon as there is one.
    pub fn event(&self, kind: &str, after: u64) -> Value {
        self.event_where(kind, after, |_| true)
    }

    /// The first event of a kind after `after` that is meant, as soon as there is one.
    pub fn event_where(&self, kind: &str, after: u64, meant: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + Duration::from_secs(WAIT_S);
        let mut after = after;
        while Instant::now() < until {
            let page = self.get(&format!("/v1/events?kind={kind}&after={after}&wait_s=10")).expect("events");
            for event in page["items"].as_array().into_iter().flatten() {
                if meant(event) {
                    return event.clone();
                }
                after = event["seq"].as_u64().expect("a number");
            }
        }
        panic!("no {kind} in {WAIT_S} s; collector: {}", self.read("collector.log"));
    }

    /// An agent that has joined and does not run yet.
    pub fn join(&self, name: &str) -> Agent {
        let agent = self.stranger(name);
        let file = self.path(&format!("{name}.json"));
        self.muster(&["join", "create", "--file", file.to_str().expect("a path")]);
        let out = agent.run(&["enroll", "--join", file.to_str().expect("a path")]);
        assert!(out.status.success(), "enroll: {}", String::from_utf8_lossy(&out.stderr));
        assert!(!file.exists(), "the join file is deleted after use");
        agent
    }

    /// An agent that has not joined.
    pub fn stranger(&self, name: &str) -> Agent {
        let state = self.path(name);
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&state).expect("a folder");
        let config = self.path(&format!("{name}.toml"));
        std::fs::write(&config, format!("state_dir = \"{}\"\ncheckin_s = 1\nhealth_s = 1\n", state.display()))
            .expect("settings");
        Agent { config, state, running: None }
    }
}

impl Agent {
    /// Runs a verb of `muster-agent`.
    pub fn run(&self, args: &[&str]) -> Output {
        Command::new(binary("muster-agent"))
            .arg("--config")
            .arg(&self.config)
            .args(args)
            .stdin(Stdio::null())
            .output()
            .expect("muster-agent runs")
    }

    /// Starts the service; `args` go behind `run`.
    pub fn start(&mut self, args: &[&str]) {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.state.with_extension("log"));
        let child = Command::new(binary("muster-agent"))
            .arg("--config")
            .arg(&self.config)
            .arg("run")
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.expect("a log"))
            .spawn()
            .expect("muster-agent starts");
        self.running = Some(child);
    }

    /// Ends the service as a service manager would: it says goodbye.
    pub fn stop(&mut self) {
        if let Some(child) = self.running.take() {
            end(child, "-TERM");
        }
    }
}

/// Asks over an admin socket: JSON in, JSON out; `null` is no body.
pub fn ask(socket: &Path, method: &str, path: &str, body: &Value) -> Result<Value> {
    let mut stream = UnixStream::connect(socket).context("admin socket")?;
    stream.set_read_timeout(Some(Duration::from_secs(WAIT_S)))?;
    let body = if body.is_null() { String::new() } else { body.to_string() };
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer")?;
    if !head.starts_with("HTTP/1.1 2") {
        bail!("{method} {path}: {head}\n{body}");
    }
    if body.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_str(body).with_context(|| format!("{method} {path}: {body}"))
}

/// Sends a signal and waits for the end.
fn end(mut child: Child, signal: &str) {
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()), "kill {signal}");
    child.wait().expect("it ends");
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(mut child) = self.collector.take() {
            // Best effort: the test is over, passed or failed.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if let Some(mut child) = self.running.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
