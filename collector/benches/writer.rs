//! What the store can do, as figures and as a ratio to bare SQLite in the same run.
//!
//! `cargo bench -p collector --bench writer [-- DIRECTORY]`; the directory is on the disk to be measured, by
//! default the system's temporary one. Durable one-package deltas per second through the whole writer (load,
//! decide, apply, journal, commit with `synchronous=FULL`) with as many agents at once as said; the same rows
//! written by hand-written statements in commits of 64; the ratio to the programs that measure this machine's limits,
//! where they are; and queries by software name and version over 10,000
//! assets. Wall rates depend on the disk and on neighbours: CPU for each delta and its ratio are the figures to keep.
#![expect(clippy::disallowed_methods, clippy::disallowed_macros, reason = "a benchmark is a program of its own")]

#[path = "writer/limits.rs"]
mod limits;

use collector::event::Actor;
use collector::register::model::JoinToken;
use collector::store::engine::Cell;
use collector::store::page::Page;
use collector::store::read::assets::{self, AssetFilter, Sort};
use collector::store::read::software::{Op, SoftwareFilter};
use collector::store::{Options, Store, sum};
use collector::work::{Act, Reply, Report, Work};
use shared::checkin::{Part, Record, State};
use shared::digest::{self, Digest};
use shared::evidence::{Evidence, Kind};
use shared::fact::Item;
use shared::id::{AgentId, JoinTokenId};
use shared::software::Package;
use shared::unit::At;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use uuid::Uuid;

const AGENTS: u128 = 256;
const PACKAGES: usize = 600;
const ASSETS: usize = 10_000;
/// Machines come from so many base images: each has all packages in a version of its own.
const IMAGES: u128 = 8;
/// The number of a version that the last asset alone has.
const RARE: i64 = 1_000_000;
const RUN: Duration = Duration::from_secs(4);
/// Durable one-package deltas a second that the writer has to reach.
const DELTAS_PER_S_MIN: f64 = 5_000.0;

fn now() -> At {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    At(i64::try_from(since.as_micros()).expect("a clock before the year 294,000"))
}

fn package(name: usize, version: u64) -> Item {
    Package {
        manager: "dpkg",
        name: &format!("package-{name}"),
        version: &format!("1.{version}-1"),
        arch: Some("amd64"),
        publisher: Some("Debian Maintainers"),
        size_bytes: Some(4096),
        summary: Some("a package of the benchmark"),
        ..Package::default()
    }
    .into()
}

/// One agent's side.
struct Machine {
    agent: AgentId,
    seq: u64,
    versions: Vec<u64>,
    rows: Vec<Digest>,
    evidence: Digest,
}

impl Machine {
    fn software(&self) -> Digest {
        digest::section(&mut self.rows.clone())
    }

    fn report(&mut self, sections: Vec<Part>, software: Digest) -> Work {
        self.seq += 1;
        let root = digest::root([("dpkg", State::Seen, software), ("evidence", State::Seen, self.evidence)]);
        let record = Record { seq: self.seq, at: At(0), root, sections, gap: None };
        let hash = digest::of_bytes(&self.seq.to_be_bytes());
        let report = Report { agent: self.agent, stream: Digest([1; 16]), record, hash, moved: false };
        Work::Report(Box::new(report))
    }

    fn first(&mut self) -> Work {
        let serial = Evidence { kind: Kind::SystemSerial, value: format!("Maker|Model|{}", self.agent) };
        let evidence = vec![Item::from(serial)];
        self.evidence = digest::section_of(&evidence);
        let rows: Vec<Item> = self.versions.iter().enumerate().map(|(name, version)| package(name, *version)).collect();
        self.rows = rows.iter().map(digest::row).collect();
        let software = self.software();
        let part = |section: &str, digest, put| Part {
            section: section.into(),
            state: State::Seen,
            digest,
            base: None,
            put: Some(put),
            del: Vec::new(),
            problems: Vec::new(),
            truncated: false,
        };
        self.report(vec![part("dpkg", software, rows), part("evidence", self.evidence, evidence)], software)
    }

    /// One package in another version: of 16, so that the dictionary is as warm as in a fleet.
    fn next(&mut self) -> Work {
        let base = self.software();
        let name = usize::try_from(self.seq).expect("small") * 7 % PACKAGES;
        self.versions[name] = (self.versions[name] + 1) % 16;
        let item = package(name, self.versions[name]);
        self.rows[name] = digest::row(&item);
        let software = self.software();
        let part = Part {
            section: "dpkg".into(),
            state: State::Seen,
            digest: software,
            base: Some(base),
            put: Some(vec![item]),
            del: Vec::new(),
            problems: Vec::new(),
            truncated: false,
        };
        self.report(vec![part], software)
    }
}

/// CPU time of the threads of this process with that name so far, in microseconds: what neighbours do not change.
fn cpu_us(name: &str) -> f64 {
    let mut total = 0.0;
    for task in std::fs::read_dir("/proc/self/task").expect("threads of this process").flatten() {
        let read = |file: &str| std::fs::read_to_string(task.path().join(file)).unwrap_or_default();
        if read("comm").trim() == name {
            let nanoseconds = read("schedstat").split(' ').next().and_then(|text| text.parse::<f64>().ok());
            total += nanoseconds.unwrap_or_default() / 1000.0;
        }
    }
    total
}

async fn enrol(store: &Store) -> Vec<Machine> {
    let token = JoinToken {
        id: JoinTokenId(Uuid::from_u128(1)),
        rev: 1,
        hash: [7; 32],
        created: now(),
        creator: "local:0".into(),
        expires: now().plus_secs(86_400),
        uses: 100_000,
        used: 0,
        cidr: None,
        approve: false,
        labels: Default::default(),
        revoked: false,
    };
    let (id, hash) = (token.id, token.hash);
    let create = Act::CreateJoinToken { token: Box::new(token) };
    store.submit(Work::Act { actor: Actor::Local(0), act: create }).await.expect("a token");
    let mut machines = Vec::new();
    for n in 0..AGENTS {
        let (fingerprint, name, source) = (format!("key-{n}"), format!("host-{n}"), [127, 0, 0, 1].into());
        let act = Act::Enroll { token: id, hash, fingerprint, name, version: "0.1.0".into(), source };
        let reply = store.submit(Work::Act { actor: Actor::Join(id), act }).await.expect("enrolled");
        let Reply::Granted { agent, .. } = reply else { panic!("granted: {reply:?}") };
        let mut machine = Machine {
            agent,
            seq: 0,
            versions: vec![(n % IMAGES) as u64; PACKAGES],
            rows: Vec::new(),
            evidence: Digest::default(),
        };
        store.submit(machine.first()).await.expect("the first report");
        machines.push(machine);
    }
    machines
}

/// Deltas per second with this many agents that wait for each answer. The reports are made before the clock runs.
async fn deltas(store: &Store, machines: &mut Vec<Machine>, agents: usize) -> (f64, f64) {
    let each = (40_000 / agents).clamp(50, 1_000);
    let idle = machines.split_off(agents);
    let mut queues = Vec::new();
    for mut machine in machines.drain(..) {
        let works: Vec<Work> = (0..each).map(|_| machine.next()).collect();
        queues.push((machine, works));
    }
    let (started, before) = (Instant::now(), cpu_us("writer"));
    let mut tasks = tokio::task::JoinSet::new();
    for (mut machine, works) in queues {
        let store = store.clone();
        tasks.spawn(async move {
            let mut done = 0_u32;
            let mut unsent = 0;
            for work in works {
                if started.elapsed() > RUN {
                    unsent += 1;
                    continue;
                }
                let Reply::Report { want, stale, .. } = store.submit(work).await.expect("taken") else {
                    panic!("a report's answer")
                };
                assert!(want.is_empty() && !stale, "{want:?}");
                done += 1;
            }
            // What was not sent did not happen.
            for seq in (machine.seq - unsent..machine.seq).rev() {
                let name = usize::try_from(seq).expect("small") * 7 % PACKAGES;
                machine.versions[name] = (machine.versions[name] + 15) % 16;
                machine.rows[name] = digest::row(&package(name, machine.versions[name]));
            }
            machine.seq -= unsent;
            (machine, done)
        });
    }
    let mut total = 0;
    while let Some(task) = tasks.join_next().await {
        let (machine, done) = task.expect("a task");
        total += done;
        machines.push(machine);
    }
    let rate = f64::from(total) / started.elapsed().as_secs_f64();
    machines.extend(idle);
    (rate, (cpu_us("writer") - before) / f64::from(total))
}

/// The rows of such a delta by hand: agent, section, packed list, journal and two subjects, 64 to a commit.
fn bare(path: &Path) -> (f64, f64) {
    let connection = rusqlite::Connection::open(path).expect("open");
    connection
        .execute_batch(
            "pragma journal_mode=wal; pragma synchronous=full; pragma wal_autocheckpoint=4000;
             create table agent (id text primary key, rev int, rest text);
             create table section (asset text, name text, digest blob, rest text, primary key (asset, name)) without rowid;
             create table install (asset text, section text, ids blob, primary key (asset, section));
             create table journal (seq integer primary key, at int, actor text, cause text, kind text, subjects text, body text);
             create index journal_actor on journal (actor, seq);
             create index journal_kind on journal (kind, seq);
             create table journal_subject (subject text, seq int, primary key (subject, seq)) without rowid;",
        )
        .expect("tables");
    let ids: Vec<String> = (0..AGENTS).map(|n| Uuid::from_u128(n << 64).to_string()).collect();
    let run = |sql: &str, params: &[&dyn rusqlite::ToSql]| {
        connection.prepare_cached(sql).expect("sql").execute(params).expect("run")
    };
    let (rest, body, packed) = ("x".repeat(500), "y".repeat(250), vec![1_u8; 700]);
    let started = Instant::now();
    let mut seq = 0_u32;
    while started.elapsed() < RUN {
        connection.execute_batch("begin immediate").expect("begin");
        for _ in 0..64 {
            let id = &ids[usize::try_from(seq).expect("small") * 7 % ids.len()];
            seq += 1;
            run(
                "insert into agent values (?1, ?2, ?3) on conflict do update set rev = excluded.rev",
                &[id, &seq, &rest],
            );
            run("insert or replace into section values (?1, 'dpkg', ?2, 'z')", &[id, &[0_u8; 16].as_slice()]);
            run("insert or replace into install values (?1, 'dpkg', ?2)", &[id, &packed]);
            run("insert into journal values (?1, 0, ?2, ?2, 'software_changed', ?2, ?3)", &[&seq, id, &body]);
            run("insert into journal_subject values (?1, ?2)", &[id, &seq]);
            run("insert into journal_subject values ('agent:' || ?1, ?2)", &[id, &seq]);
        }
        connection.execute_batch("commit").expect("commit");
    }
    (f64::from(seq) / started.elapsed().as_secs_f64(), cpu_us("bare") / f64::from(seq))
}

/// Fills the tables of the store with assets, each with the software of one of the base images.
fn fill(path: &Path) {
    let mut connection = rusqlite::Connection::open(path).expect("open");
    let transaction = connection.transaction().expect("begin");
    let images: Vec<Vec<i64>> = (0..IMAGES)
        .map(|image| {
            let mut select =
                transaction.prepare("select id from version where version = ?1 order by id").expect("the dictionary");
            let ids = select.query_map([format!("1.{image}-1")], |row| row.get(0)).expect("versions");
            ids.map(|id| id.expect("a number")).collect()
        })
        .collect();
    for n in 0..ASSETS {
        let id = Uuid::from_u128(u128::from(u32::MAX) << 96 | n as u128).to_string();
        let insert = "insert into asset (id, rev, created, updated, class, lifecycle, name, sum) \
             values (?1, 1, 0, 0, 'server', 'deployed', 'h', ?2)";
        transaction.execute(insert, rusqlite::params![id, asset_sum(&id)]).expect("an asset");
        let (mut packed, mut before) = (Vec::new(), 0);
        let rare = (n == ASSETS - 1).then_some(RARE);
        for id in images[n % images.len()].iter().copied().chain(rare) {
            let mut delta = id - before;
            before = id;
            while delta >= 128 {
                packed.push((delta & 127) as u8 | 128);
                delta >>= 7;
            }
            packed.push(delta as u8);
        }
        let sum = sum::of(&[id.as_str().into(), "dpkg".into(), Cell::Bytes(packed.clone())]);
        transaction
            .execute("insert into install values (?1, 'dpkg', ?2, ?3)", rusqlite::params![id, packed, sum])
            .expect("a list");
    }
    rare(&transaction);
    transaction.commit().expect("commit");
}

/// The sum of an asset of which only this is known.
fn asset_sum(id: &str) -> i64 {
    let known: [Cell; 8] = [
        id.into(),
        1_i64.into(),
        0_i64.into(),
        0_i64.into(),
        "server".into(),
        "deployed".into(),
        Cell::Null,
        "h".into(),
    ];
    sum::of(&[&known[..], &vec![Cell::Null; 13]].concat())
}

/// A title and its version that the last asset alone has.
fn rare(transaction: &rusqlite::Transaction<'_>) {
    let title = sum::of(&[RARE.into(), "dpkg".into(), "rare".into(), "amd64".into()]);
    let version: [Cell; 7] = [
        RARE.into(),
        RARE.into(),
        "1".into(),
        Cell::Bytes(Vec::new()),
        "dpkg/rare/amd64".into(),
        Cell::Null,
        Cell::Null,
    ];
    let put = |sql: &str, sum: i64| transaction.execute(sql, [RARE, sum]).expect("a title");
    put("insert into title values (?1, 'dpkg', 'rare', 'amd64', ?2)", title);
    let sql = "insert into version values (?1, ?1, '1', x'', x'00000000000000000000000000000000', 'dpkg/rare/amd64', \
         null, null, '{}', ?2)";
    put(sql, sum::of(&version));
}

async fn query(store: &Store, name: &str, op: Op, version: &str, limit: usize) {
    let version = Some((op, version.to_owned()));
    let software = Some(SoftwareFilter { name: name.into(), manager: None, version });
    let filter = AssetFilter { software, ..AssetFilter::default() };
    let page = Page { after: None, limit: Some(limit) };
    let mut times = Vec::new();
    let (mut rows, mut all) = (0, 0);
    for _ in 0..21 {
        let (filter, page) = (filter.clone(), page.clone());
        let started = Instant::now();
        let found = store.read(move |engine| assets::list(engine, &filter, Sort::Id, &page)).await.expect("a page");
        times.push(started.elapsed());
        rows = found.rows.len();
    }
    let filter_all = filter.clone();
    let started = Instant::now();
    all += store.read(move |engine| assets::count(engine, &filter_all)).await.expect("a count");
    let counted = started.elapsed();
    times.sort();
    println!(
        "query {name} {op:?} (page of {limit}): {rows} rows in {:?} (median of 21), all {all} counted in {counted:?}",
        times[10]
    );
}

/// Bytes of the database, what is not yet copied from its log included.
fn size(path: &Path) -> i64 {
    let connection = rusqlite::Connection::open(path).expect("open");
    let number = |pragma: &str| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0)).expect(pragma);
    number("page_count") * number("page_size")
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let directory = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let place = match directory {
        Some(directory) => tempfile::tempdir_in(directory),
        None => tempfile::tempdir(),
    }
    .expect("a directory");
    let path = place.path().join("muster.db");
    let store = Store::open(Options::new(&path, now)).expect("a store");
    let started = Instant::now();
    let mut machines = enrol(&store).await;
    let bytes = i64::try_from(AGENTS).map_or(0, |agents| size(&path) / agents);
    println!("database after the first reports: {bytes} bytes a machine, the dictionary and the journal included");
    println!(
        "{AGENTS} first reports of {PACKAGES} packages, one at a time: {:?} each",
        started.elapsed() / AGENTS as u32
    );
    let bare_path = place.path().join("bare.db");
    let thread = std::thread::Builder::new().name("bare".into()).spawn(move || bare(&bare_path));
    let (limit, limit_cpu) = thread.expect("a thread").join().expect("the limit");
    println!("bare SQLite, same rows, 64 a commit: {limit:.0} deltas/s ({limit_cpu:.0} us CPU)");
    let mut measured = Vec::new();
    for agents in [1, 16, 64, 128, 256] {
        let (rate, cpu) = deltas(&store, &mut machines, agents).await;
        measured.push((agents, rate, cpu));
        println!(
            "{agents:3} agents at once: {rate:.0} durable deltas/s ({cpu:.0} us CPU), {:.2} of the limit in CPU, {:.2} in rate",
            limit_cpu / cpu,
            rate / limit
        );
    }
    let best = measured.iter().map(|(_, rate, _)| *rate).fold(0.0, f64::max);
    let verdict = if best >= DELTAS_PER_S_MIN { "PASS" } else { "FAIL" };
    println!("{verdict} durable one-package deltas: {best:.0}/s (at least {DELTAS_PER_S_MIN:.0})");
    limits::compare(&measured, place.path());
    store.close().await;
    fill(&path);
    let store = Store::open(Options::new(&path, now)).expect("a store");
    query(&store, "package-300", Op::Lt, "1.4", 100).await;
    query(&store, "package-300", Op::Eq, "1.7-1", 500).await;
    query(&store, "package-300", Op::Gt, "1.6-1", 500).await;
    query(&store, "rare", Op::Lt, "2", 100).await;
    store.close().await;
}
