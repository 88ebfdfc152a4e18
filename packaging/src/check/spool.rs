//! Whether an outage of the collector costs more than it says: an agent's spool is filled while the collector is away
//! and the agent is killed again and again; when the collector is back, every record arrives once or is told in a
//! gap, the newest state is held, and each fault was raised once.
//!
//! The agent is its own library in a child of this program, because a real one takes days to say so much. Does not know
//! what the spool looks like.

use super::fleet::{self, Collector};
use super::powercut::dice::Dice;
use agent::client::{Client, Floor};
use agent::clock;
use agent::collect::{self, Sections};
use agent::deliver::{self, BATCH_BYTES, Outcome};
use agent::probes::Found;
use agent::state::identity::Vault;
use agent::state::position::PositionFile;
use agent::state::spool::Quota;
use agent::state::stream::Stream;
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use shared::evidence::{self, Evidence, Kind};
use shared::fact::Item;
use shared::health::Reading;
use shared::limit::{SPOOL_BYTES, SPOOL_RECORDS};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The agent lives at most so long between two kills, in milliseconds.
const LIFE_MS: u64 = 300;
/// Items that change from look to look, and bytes of each that cannot be packed.
const ITEMS: usize = 150;
const ITEM_BYTES: usize = 150;
/// One unit more has failed after so many records.
const UNIT_RECORDS: u64 = 8;
/// Failed units at most.
const UNITS_MAX: u64 = 50;
/// Records of a check-in.
const BATCH: usize = 256;
/// Until the collector holds everything.
const DELIVERY: Duration = Duration::from_secs(900);

/// How much, and how often.
#[derive(Debug, Clone, Args)]
pub struct Spool {
    /// The spool's quota, in bytes.
    #[arg(long, default_value_t = SPOOL_BYTES)]
    bytes: u64,
    /// How often the agent is killed while the collector is away.
    #[arg(long, default_value_t = 50)]
    kills: u32,
    /// A collector to check instead of one that is built now.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// The part that is killed.
    #[arg(long, hide = true, value_name = "DIR")]
    fill_in: Option<PathBuf>,
}

/// Fills, kills, delivers and compares.
///
/// # Errors
/// A figure that was missed, or a step that could not be run.
pub fn run(spool: &Spool) -> Result<()> {
    if let Some(state) = &spool.fill_in {
        return fill(state, quota(spool));
    }
    let binary = match &spool.binary {
        Some(binary) => binary.clone(),
        None => super::build(&["collector"])?.join("muster"),
    };
    let place = tempfile::tempdir().context("a temporary directory")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (collector, _) = Collector::start(&binary, place.path())?;
    drop(runtime.block_on(fleet::enroll(&collector, 1, place.path()))?);
    collector.kill()?;
    let state = place.path().join("agent-0");
    for _ in 0..spool.kills {
        let mut child = filler(spool, &state)?.spawn().context("the agent")?;
        super::pause(Duration::from_millis(clock::random() % LIFE_MS));
        child.kill().context("kill")?;
        child.wait().context("wait")?;
    }
    let status = filler(spool, &state)?.status().context("the agent")?;
    ensure!(status.success(), "the agent could not go on after its kills: {status}");
    let (collector, _) = Collector::start(&binary, place.path())?;
    let came = runtime.block_on(send(&collector, &state, quota(spool)))?;
    let good = compare(&collector, spool, &came)?;
    collector.kill()?;
    ensure!(good, "a figure was missed");
    Ok(())
}

fn quota(spool: &Spool) -> Quota {
    Quota { bytes: spool.bytes, records: SPOOL_RECORDS }
}

fn filler(spool: &Spool, state: &Path) -> Result<Command> {
    let mut child = Command::new(std::env::current_exe().context("own path")?);
    child.args(["check", "spool", "--bytes", &spool.bytes.to_string(), "--fill-in"]).arg(state);
    // What it warns of is what it is made to do.
    child.stdin(Stdio::null()).stderr(Stdio::null());
    Ok(child)
}

/// Makes records until old ones had to go twice.
fn fill(state: &Path, quota: Quota) -> Result<()> {
    let mut stream = Stream::open(state, quota, clock::now(), None)?;
    let (mut went, mut before) = (0, 0);
    while went < 2 {
        let made = stream.position().made;
        // By chance, not by number: a kill may have left a look that no record told yet.
        let sections = look(made, clock::random());
        stream.tell(&sections, made.is_multiple_of(UNIT_RECORDS), clock::now());
        let bytes = stream.waiting().bytes;
        went += u32::from(bytes < before);
        before = bytes;
    }
    Ok(())
}

/// The machine when so many records were made: some packages that change each time, and units that fail for good.
fn look(made: u64, seed: u64) -> Sections {
    let mut dice = Dice::new(seed);
    let mut text = || -> String {
        let mut byte = |_| char::from(b'0' + u8::try_from(dice.below(75)).unwrap_or(0));
        (0..ITEM_BYTES).map(&mut byte).filter(char::is_ascii_alphanumeric).collect()
    };
    let packages = (0..ITEMS).map(|number| {
        let mut item = Item::new("package", format!("package-{number}"));
        item.label = Some(text());
        item
    });
    let units = (0..units(made)).map(|number| Reading {
        check: "failed_unit".into(),
        resource: format!("unit-{number}.service"),
        value: 1,
        total: None,
        identity: None,
        detail: None,
    });
    let known = Evidence { kind: Kind::SystemSerial, value: "maker|model|spool".into() };
    let seal = |name: &str, items| (name.to_owned(), collect::seal(name, Ok(Found { items, problems: Vec::new() })));
    Sections::from([
        seal("network", packages.collect()),
        seal("health_services", units.map(Item::from).collect()),
        seal(evidence::SECTION, vec![Item::from(known)]),
    ])
}

fn units(made: u64) -> u64 {
    (made / UNIT_RECORDS).min(UNITS_MAX)
}

/// What came of the delivery.
struct Came {
    made: u64,
    waited: usize,
    arrived: u64,
    missing: u64,
    equal: bool,
    took: Duration,
}

/// Delivers all that waits, as the agent does, and then the newest look until its faults have stood.
async fn send(collector: &Collector, state: &Path, quota: Quota) -> Result<Came> {
    let identity = Vault::open(state)?.current()?.context("an identity")?;
    let client = Client::new(&identity.stored.granted.server_ca, Some(&identity), &Floor::new(), None)?;
    let mut stream = Stream::open(state, quota, clock::now(), None)?;
    let (began, waited) = (Instant::now(), stream.waiting().records);
    let (mut arrived, mut missing, mut equal) = (0, 0, false);
    for _ in 0..4 {
        loop {
            ensure!(began.elapsed() < DELIVERY, "{} records still wait", stream.waiting().records);
            let check_in = stream.check_in(BATCH, BATCH_BYTES, clock::now())?;
            let (body, packed) = deliver::pack(&check_in);
            match deliver::judge(client.post(&format!("{}/v1/checkin", collector.agents_url()), body, packed).await) {
                Outcome::Taken(answer) => {
                    arrived += u64::try_from(check_in.records.len())?;
                    let gaps = check_in.records.iter().filter_map(|record| record.gap.as_ref());
                    missing += gaps.map(|gap| gap.records).sum::<u64>();
                    ensure!(!answer.stale, "records that never came were held already");
                    equal = answer.root == stream.root();
                    stream.taken(&answer);
                }
                other => bail!("a check-in was answered {other:?}"),
            }
            if stream.waiting().records == 0 && !stream.owes_any() {
                break;
            }
            stream.tell(&look(stream.position().made, clock::random()), false, clock::now());
        }
        stream.tell(&look(stream.position().made, clock::random()), true, clock::now());
    }
    drop(stream);
    let position = PositionFile::peek(&state.join("position")).context("the position")?;
    let made = position.acknowledged;
    Ok(Came { made, waited, arrived, missing, equal, took: began.elapsed() })
}

fn compare(collector: &Collector, spool: &Spool, came: &Came) -> Result<bool> {
    let (mut lost, mut raised) = (0, BTreeMap::<String, u64>::new());
    for event in collector.pages("/v1/events")? {
        let event = &event["event"];
        if event["kind"] == "reports_lost" {
            lost += event["gap"]["records"].as_u64().context("a gap")?;
        }
        if event["kind"] == "fault_raised" {
            *raised.entry(event["fault"]["resource"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
        }
    }
    println!(
        "     quota {} KiB, {} kills: {} records made, {} waited and came in {:.1} s, {} were folded or dropped",
        spool.bytes / 1024,
        spool.kills,
        came.made,
        came.waited,
        came.took.as_secs_f64(),
        came.missing
    );
    let whole = |name: &str, holds: bool, seen: String| {
        println!("{} {name}: {seen}", if holds { "PASS" } else { "FAIL" });
        holds
    };
    let mut good = whole(
        "records that arrived + records in gaps = records made",
        came.arrived + came.missing == came.made && came.missing > 0,
        format!("{} + {} = {}", came.arrived, came.missing, came.made),
    );
    good &= whole("gaps in the journal", lost == came.missing, format!("{lost} records"));
    good &= whole("the newest state is held", came.equal, "the roots are equal".to_owned());
    let expected = units(came.made.saturating_sub(4));
    let once = raised.values().all(|&times| times == 1);
    let told = u64::try_from(raised.len())?;
    good &= whole("faults raised once each", once && told >= expected, format!("{told} of {expected}"));
    Ok(good)
}
