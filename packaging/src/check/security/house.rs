//! A collector for one check, and what checks look at from outside: its database (read-only, beside the live one), its
//! memory, its journal. Does not know what is checked.

use super::wire::{Answer, Line, Tls};
use agent::key::Key;
use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tests::World;

/// Between two looks at something that is waited for.
const LOOK: Duration = Duration::from_millis(20);

/// A collector of its own.
pub(super) struct House {
    pub(super) world: World,
    /// The server CA (PEM).
    pub(super) trust: Vec<String>,
}

/// An enrolled identity, in the check's hands.
pub(super) struct Member {
    pub(super) id: String,
    pub(super) certificate: String,
    pub(super) key: String,
    pub(super) tls: Tls,
}

impl House {
    /// Opens one with more settings.
    pub(super) fn open(settings: &str) -> Result<House> {
        let world = World::with(settings);
        let ca = world.read("collector/pki/server-ca.pem");
        let start = ca.find("-----BEGIN CERTIFICATE-----").context("the server CA has no certificate")?;
        let trust = vec![ca.get(start..).unwrap_or_default().to_owned()];
        Ok(House { world, trust })
    }

    pub(super) fn agents(&self) -> SocketAddr {
        self.world.address("agents")
    }

    pub(super) fn web(&self) -> SocketAddr {
        self.world.address("web")
    }

    /// TLS without a certificate of one's own.
    pub(super) fn stranger(&self) -> Result<Tls> {
        Tls::new(&self.trust, None)
    }

    /// A connection to the web and enroll port.
    pub(super) fn to_web(&self) -> Result<Line> {
        Line::open(self.web(), &self.stranger()?)
    }

    /// A join token: its id and its text.
    pub(super) fn join_token(&self, body: &Value) -> Result<(String, String)> {
        let made = self.world.ask("POST", "/v1/join-tokens", body)?;
        Ok((text(&made["id"])?, text(&made["join"]["token"])?))
    }

    /// Enrolls with this token and request (DER).
    pub(super) fn enroll(&self, token: &str, csr: &[u8], name: &str) -> Result<Answer> {
        let body = json!({"token": token, "csr": STANDARD.encode(csr), "name": name, "version": "0.1.0"});
        self.to_web()?.post("/v1/enroll", &body)
    }

    /// Enrolls a new identity of this name.
    pub(super) fn member(&self, name: &str) -> Result<Member> {
        let key = Key::generate()?;
        let (_, token) = self.join_token(&json!({}))?;
        let answer = self.enroll(&token, &key.request()?, name)?;
        ensure!(answer.status == 201, "enrollment was answered {}: {}", answer.status, answer.text());
        self.identity(&answer, &key)
    }

    /// The identity that an answer grants to this key.
    pub(super) fn identity(&self, answer: &Answer, key: &Key) -> Result<Member> {
        let (granted, key) = (answer.json(), key.to_pem());
        let certificate = text(&granted["certificate"])?;
        let tls = Tls::new(&self.trust, Some((&certificate, &key)))?;
        Ok(Member { id: text(&granted["agent"])?, certificate, key, tls })
    }

    /// The agent as the API shows it.
    pub(super) fn agent(&self, id: &str) -> Result<Value> {
        self.world.get(&format!("/v1/agents/{id}"))
    }

    /// The asset that the agent speaks for.
    pub(super) fn asset_of(&self, id: &str) -> Result<String> {
        text(&self.agent(id)?["asset"]).with_context(|| format!("agent {id} has no asset"))
    }

    /// Events of a kind.
    pub(super) fn events(&self, kind: &str) -> Result<Vec<Value>> {
        self.world.rows(&format!("/v1/events?kind={kind}"))
    }

    /// The collector's resident memory, in KiB.
    pub(super) fn rss_kib(&self) -> Result<u64> {
        rss_kib(self.world.collector_pid().context("no collector")?)
    }

    /// The database, for reading beside the collector.
    pub(super) fn database(&self) -> Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let database = Connection::open_with_flags(self.world.path("collector/muster.db"), flags)?;
        database.busy_timeout(Duration::from_secs(10))?;
        Ok(database)
    }

    /// SHA-256 over every row of every table, in one read transaction.
    pub(super) fn content(&self) -> Result<String> {
        let database = self.database()?;
        database.execute_batch("begin")?;
        let mut hash = Sha256::new();
        for table in tables(&database)? {
            let mut rows = Vec::new();
            each_row(&database, &table, |row| rows.push(row.join("\u{1f}")))?;
            rows.sort_unstable();
            hash.update(table.as_bytes());
            rows.iter().for_each(|row| hash.update(row.as_bytes()));
        }
        Ok(hex(&hash.finalize()))
    }

    /// SHA-256 over `sqlite_master`.
    pub(super) fn schema(&self) -> Result<String> {
        let mut hash = Sha256::new();
        let mut rows = Vec::new();
        each_row(&self.database()?, "sqlite_master", |row| rows.push(row.join("\u{1f}")))?;
        rows.sort_unstable();
        rows.iter().for_each(|row| hash.update(row.as_bytes()));
        Ok(hex(&hash.finalize()))
    }
}

/// Resident memory of a process, in KiB.
pub(super) fn rss_kib(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).context("/proc")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    line.trim().trim_end_matches("kB").trim().parse().context("VmRSS")
}

/// The tables of a database.
pub(super) fn tables(database: &Connection) -> Result<Vec<String>> {
    let mut statement = database.prepare("select name from sqlite_master where type = 'table' order by name")?;
    let names = statement.query_map([], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

/// Hands over every row of a table, its cells as text; bytes as hexadecimal.
pub(super) fn each_row(database: &Connection, table: &str, mut each: impl FnMut(Vec<String>)) -> Result<()> {
    // A name out of the schema, not from outside; a table cannot be a parameter.
    let mut statement = database.prepare(&["select * from \"", table, "\""].concat())?;
    let columns = statement.column_count();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let cell = |at| row.get_ref(at).map(cell);
        each((0..columns).map(cell).collect::<Result<_, _>>()?);
    }
    Ok(())
}

fn cell(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "null".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
        ValueRef::Blob(bytes) => hex(bytes),
    }
}

/// Bytes as hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A text out of JSON.
pub(super) fn text(value: &Value) -> Result<String> {
    value.as_str().map(str::to_owned).with_context(|| format!("{value} is no text"))
}

/// Looks until it is so, or time is up; says whether it was.
pub(super) fn until(time: Duration, mut so: impl FnMut() -> Result<bool>) -> Result<bool> {
    let end = Instant::now() + time;
    loop {
        if so()? {
            return Ok(true);
        }
        if Instant::now() > end {
            return Ok(false);
        }
        crate::check::pause(LOOK);
    }
}
