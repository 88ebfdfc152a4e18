//! The agent's state directory after a power cut: no record that was made durable is lost without a gap, and no
//! number is used again with another content, which a collector would take for a fork.
//!
//! A child makes, sends and lets go of records through the agent's own library, under strace, and marks each step in a
//! file of its own, so that the trace has steps and writes in one order. Does not know a network: answers are made
//! here.

use super::dice::Dice;
use super::disk::Files;
use super::trace::{self, Op, Trace};
use super::{Pattern, Powercut, Sum, memory, points, replay, strace, verify};
use agent::collect::{self, Sections};
use agent::probes::Found;
use agent::state::spool::Quota;
use agent::state::stream::Stream;
use anyhow::{Context, Result, ensure};
use shared::checkin::{Answer, Gap, Record};
use shared::digest::{self, Digest};
use shared::fact::Item;
use shared::unit::At;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// Looks at the machine that the child makes.
const LOOKS: usize = 400;
/// Small enough to be reached while the collector is away.
const QUOTA: Quota = Quota { bytes: 64 * 1024, records: 40 };
/// Records and bytes of a check-in.
const BATCH: (usize, u64) = (16, 256 * 1024);
/// Sections that change.
const SECTIONS: [&str; 4] = ["dpkg", "ports", "services", "users"];

/// What the child had done.
#[derive(Debug, Default)]
struct Done {
    stream: Option<String>,
    /// The last record that was made.
    made: u64,
    /// The last record that the collector holds.
    held: u64,
    /// What was sent, by number.
    sent: BTreeMap<u64, String>,
}

/// The part that is traced: makes a state directory and marks in `dir`.
///
/// # Errors
/// The state directory cannot be used.
pub(super) fn work(dir: &Path, seed: u64) -> Result<()> {
    let (state, mut dice) = (dir.join("state"), Dice::new(seed));
    let mut marks = File::create(dir.join("marks")).context("marks")?;
    // At once, in one write.
    let mut mark = |text: String| marks.write_all(text.as_bytes()).context("marks");
    let mut stream = Stream::open(&state, QUOTA, At(0), None)?;
    mark(format!("stream {}\n", stream.position().stream))?;
    let mut sections = Sections::new();
    for look in 0..LOOKS {
        let name = SECTIONS.get(dice.below(SECTIONS.len())).context("a section")?;
        change(&mut sections, name, look, &mut dice);
        stream.tell(&sections, dice.below(5) == 0, At(0));
        mark(format!("made {}\n", stream.position().made))?;
        // The collector is away for a quarter of the time, long enough to fill the spool.
        if look % 160 < 40 || dice.below(3) > 0 {
            continue;
        }
        let check_in = stream.check_in(BATCH.0, BATCH.1, At(0))?;
        let sent = check_in.records.iter().map(|record| format!("sent {} {}\n", record.seq, hash(record)));
        mark(sent.collect())?;
        // Some answers are lost, whatever the collector made of it.
        if let (Some(last), true) = (check_in.records.last(), dice.below(4) > 0) {
            mark(format!("held {}\n", last.seq))?;
            stream.taken(&answer(last.seq, check_in.root));
        }
        if dice.below(12) == 0 {
            let untold = stream.untold().cloned();
            drop(stream);
            stream = Stream::open(&state, QUOTA, At(0), untold)?;
        }
    }
    Ok(())
}

/// One item more, or another value of one.
fn change(sections: &mut Sections, name: &str, look: usize, dice: &mut Dice) {
    let mut items: Vec<Item> =
        sections.get(name).map(|held| held.items.values().cloned().collect()).unwrap_or_default();
    let mut item = Item::new("package", format!("{name}-{}", dice.below(30)));
    item.label = format!("{look} ").repeat(1 + dice.below(100)).into();
    items.retain(|held| held.key != item.key);
    items.push(item);
    sections.insert(name.to_owned(), collect::seal(name, Ok(Found { items, problems: Vec::new() })));
}

fn hash(record: &Record) -> String {
    digest::of_bytes(&serde_json::to_vec(record).unwrap_or_default()).to_string()
}

fn answer(seq: u64, root: Digest) -> Answer {
    Answer {
        root,
        seq,
        want: Vec::new(),
        stale: false,
        renew: false,
        next_s: 60,
        now: At(0),
        settings: Digest::default(),
    }
}

/// Records the child, cuts and compares; whether all holds.
pub(super) fn check(powercut: &Powercut) -> Result<bool> {
    let place = tempfile::tempdir().context("a temporary directory")?;
    let trace = record(place.path(), powercut.seed)?;
    let root = fs::canonicalize(place.path())?;
    let marks = marks(&trace)?;
    let mut dice = Dice::new(powercut.seed);
    let told = marks.iter().filter(|(_, text)| !text.starts_with("stream")).map(|(line, _)| line + 1);
    let cuts = points(&trace, told, powercut.points, &mut dice);
    println!("     {} calls on the agent's files recorded, {} steps", trace.calls.len(), marks.len());
    let (_shm, laid) = memory()?;
    let mut sum = Sum::default();
    replay(&trace, &[&root, &root.join("state")], &cuts, |cut, disk| {
        let done = Done::of(marks.iter().filter(|(line, _)| *line < cut).map(|(_, text)| text.as_str()))?;
        for pattern in Pattern::ALL.iter().take(powercut.patterns.into()) {
            let files: Files = disk.cut(*pattern, &mut dice);
            verify::lay(&files, &root, &laid)?;
            sum.add(recovered(&laid.join("state"), &done), || {
                format!("agent, cut before line {cut}, {pattern:?}, seed {}", powercut.seed)
            });
        }
        Ok(())
    })?;
    Ok(sum.verdict("agent: ", powercut.seed, !marks.is_empty()))
}

fn record(dir: &Path, seed: u64) -> Result<Trace> {
    agent::state::files::make_dir(&dir.join("state"))?;
    let log = tempfile::NamedTempFile::new().context("a trace")?;
    let options = ["--seccomp-bpf", "-y", "-xx", "-ttt", "-s", trace::STRING_BYTES, "-e", trace::CALLS, "-o"];
    let options: Vec<_> = options.iter().map(Into::into).chain([log.path().as_os_str().to_owned()]).collect();
    let scripts = tempfile::tempdir().context("a temporary directory")?;
    let script = strace::wrap(&std::env::current_exe().context("own path")?, scripts.path(), &options)?;
    let mut child = Command::new(script);
    child.args(["check", "powercut", "--seed", &seed.to_string(), "--agent-in"]).arg(fs::canonicalize(dir)?);
    ensure!(child.status().context("the recorded part")?.success(), "the recorded part failed");
    strace::finished(log.path())?;
    let lines = BufReader::new(File::open(log.path())?).lines().map(|line| line.context("the trace"));
    trace::parse(lines, &fs::canonicalize(dir)?, |_| false)
}

/// What was marked, and on which line.
fn marks(trace: &Trace) -> Result<Vec<(usize, String)>> {
    let opened = trace.calls.iter().find_map(|call| match &call.op {
        Op::Open { path, fd, .. } if path.ends_with("marks") => Some(*fd),
        _ => None,
    });
    let opened = opened.context("no marks")?;
    let mut marks = Vec::new();
    for call in &trace.calls {
        if let (Op::Write { fd, data, .. }, Some(ended)) = (&call.op, call.ended)
            && *fd == opened
        {
            let text = std::str::from_utf8(data).context("marks")?;
            marks.extend(text.lines().map(|line| (ended, line.to_owned())));
        }
    }
    Ok(marks)
}

impl Done {
    fn of<'a>(marks: impl Iterator<Item = &'a str>) -> Result<Done> {
        let mut done = Done::default();
        for mark in marks {
            match mark.split(' ').collect::<Vec<_>>().as_slice() {
                ["stream", stream] => done.stream = Some((*stream).to_owned()),
                ["made", seq] => done.made = seq.parse()?,
                ["held", seq] => done.held = seq.parse()?,
                ["sent", seq, hash] => drop(done.sent.insert(seq.parse()?, (*hash).to_owned())),
                _ => anyhow::bail!("the mark {mark:?}"),
            }
        }
        Ok(done)
    }
}

/// What an agent that starts there sends, and what it makes next.
fn recovered(state: &Path, done: &Done) -> Result<verify::Found> {
    let began = Instant::now();
    let mut stream = Stream::open(state, QUOTA, At(0), None)?;
    let mut found = verify::Found { start: began.elapsed(), ..verify::Found::default() };
    let position = stream.position();
    if done.stream.as_ref().is_some_and(|held| *held != position.stream.to_string()) {
        // A new stream forks nothing, but what waited is gone without a word.
        found.lost = done.made - done.held;
        return Ok(found);
    }
    let mut sections = Sections::new();
    change(&mut sections, "os", LOOKS, &mut Dice::new(1));
    stream.tell(&sections, false, At(0));
    let (mut seen, mut missing) = (BTreeSet::new(), 0);
    let mut count = |gap: Option<&Gap>| missing += gap.map_or(0, |gap| gap.records);
    while stream.waiting().records > 0 {
        let check_in = stream.check_in(usize::MAX, u64::MAX, At(0))?;
        let last = check_in.records.last().context("records wait and none is sent")?.seq;
        for record in check_in.records.iter().filter(|record| record.seq > done.held) {
            seen.insert(record.seq);
            count(record.gap.as_ref());
        }
        for record in &check_in.records {
            let before = done.sent.get(&record.seq);
            ensure!(before.is_none_or(|before| *before == hash(record)), "a fork: {} has another content", record.seq);
        }
        ensure!(stream.taken(&answer(last, check_in.root)), "an answer lets go of nothing");
    }
    count(stream.untold());
    let newest = stream.position().made;
    ensure!(newest > done.made, "the next record is {newest}, and {} was made", done.made);
    let gone = (done.held + 1..=newest).filter(|seq| !seen.contains(seq)).count();
    let gone = u64::try_from(gone)?;
    found.lost = gone.saturating_sub(missing);
    found.twice = missing.saturating_sub(gone);
    Ok(found)
}
