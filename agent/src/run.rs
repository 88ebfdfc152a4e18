//! The service: looks at the machine when something is due, tells what differs, and sleeps.
//!
//! One thread. A look blocks it for some tens of milliseconds, which is what the watchdog is there to judge.

use crate::backoff::Backoff;
use crate::clock;
use crate::collect::{self, Sections};
use crate::config::Config;
use crate::contact::{Contact, Ended};
use crate::exit::{Code, Fail};
use crate::log;
use crate::machine::Fingerprint;
use crate::os;
use crate::own::Own;
use crate::probes::{Found, PROBES, Probe};
use crate::schedule::{self, Due, Schedule};
use crate::service::{self, Signals, Watchdog, Wish};
use crate::sleep::Sleeper;
use crate::source::Source;
use crate::state::identity::Vault;
use crate::state::lock::Lock;
use crate::state::marker::Marker;
use crate::state::spool::Quota;
use crate::state::status::Status;
use crate::state::stream::Stream;
use crate::strain;
use shared::checkin::Goodbye;
use shared::health::{self, Reading, SECTION_CLOCK};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// How often an agent without an identity looks for one.
const IDENTITY_WAIT: Duration = Duration::from_secs(5);

/// An enrolled agent at work.
pub struct Agent {
    config: Config,
    source: Box<dyn Source>,
    stream: Stream,
    contact: Contact,
    schedule: Schedule,
    marks: BTreeMap<&'static str, String>,
    every: Duration,
    status: Status,
    backoff: Backoff,
    marker: Marker,
    own: Own,
    /// The last look at everything was one at all that the source can ever tell.
    whole: bool,
}

impl Agent {
    /// Takes up identity and stream; `None` while there is no identity.
    ///
    /// # Errors
    /// The state directory cannot be used, or another agent uses it.
    pub fn open(config: &Config, source: Box<dyn Source>) -> Result<Option<Agent>, Fail> {
        let state = |error: crate::state::files::FileError| Fail::new(Code::State, error.to_string());
        let vault = Vault::open(&config.state_dir).map_err(state)?;
        if vault.current()?.is_none() {
            return Ok(None);
        }
        let status = Status::load(&config.state_dir);
        let quota = Quota { bytes: config.spool_bytes, records: config.spool_records };
        let stream = Stream::open(&config.state_dir, quota, clock::now(), status.untold.clone())?;
        // Only now is it ours: another agent may have renewed it a moment ago.
        let Some(identity) = vault.current()? else { return Ok(None) };
        let contact = Contact::new(&config.state_dir, vault, identity, config.proxy.as_deref())?;
        let schedule = Schedule::new(clock::uptime());
        let every = Duration::from_secs(u64::from(config.checkin_s.unwrap_or(contact.settings().checkin_s)));
        let (config, marks, own) = (config.clone(), BTreeMap::new(), Own::default());
        let (backoff, marker) = take_up_marker();
        let whole = false;
        let agent =
            Agent { config, source, stream, contact, schedule, marks, every, status, backoff, marker, own, whole };
        Ok(Some(agent))
    }

    /// How the agent fares.
    pub fn status(&self) -> &Status {
        &self.status
    }

    /// How long nothing is due.
    pub fn wait(&self) -> Duration {
        self.schedule.wait(clock::uptime())
    }

    /// Everything is due now.
    pub fn report_now(&mut self) {
        self.schedule.at_once(clock::uptime());
    }

    /// Does what is due.
    pub async fn turn(&mut self) {
        let now = clock::uptime();
        let mut due = self.schedule.due(now);
        if due.sample {
            let health_s = self.config.health_s.unwrap_or(self.contact.settings().health_s);
            self.schedule.sampled(now, Duration::from_secs(u64::from(health_s)));
            if !due.contact && !self.status.stopped && self.sample() {
                self.schedule.hurry(now);
                due = self.schedule.due(now);
            }
        }
        if due.contact {
            due.hour &= !self.puts_off(due.hour, now);
            self.check_in(due).await;
            os::give_back();
        }
    }

    /// Whether a look at everything waits for a better moment.
    fn puts_off(&self, due: bool, now: Duration) -> bool {
        let strain = if due && self.schedule.may_put_off(now) { strain::ask(&*self.source) } else { None };
        if let Some(why) = strain {
            log::debug(&format!("a look at the whole machine is put off: {why}"));
        }
        strain.is_some()
    }

    /// Looks at the machine's health; makes a record if something crossed a threshold.
    fn sample(&mut self) -> bool {
        let due = Due { sample: true, ..Due::default() };
        let mut sections = self.look(due);
        let crossed = self.stream.settle(&mut sections, &self.contact.settings().thresholds);
        crossed && self.tell(&sections, true) > 0
    }

    /// Makes records. A gap that one of them tells is noted as told at once: whatever ends this process, it is
    /// not to be told twice.
    fn tell(&mut self, sections: &Sections, urgent: bool) -> usize {
        let made = self.stream.tell(sections, urgent, clock::now());
        if self.status.untold.as_ref() != self.stream.untold() {
            self.status.untold = self.stream.untold().cloned();
            self.save_status();
        }
        made
    }

    fn save_status(&self) {
        if let Err(error) = self.status.save(&self.config.state_dir) {
            log::debug(&error.to_string());
        }
    }

    /// Looks at what is due, tells it, and plans the next contact.
    pub async fn check_in(&mut self, due: Due) {
        let looked_at_all = self.look_and_tell(due);
        let mut ended = self.contact.talk(&mut self.stream).await;
        // What the collector lacks it gets at once, not an interval later; once, so that no loop can come of it.
        if matches!(ended, Ended::Done(_)) && self.stream.owes_any() {
            self.look_and_tell(Due::default());
            ended = self.contact.talk(&mut self.stream).await;
        }
        if looked_at_all {
            self.schedule.looked(clock::uptime());
        }
        self.own.sent(self.contact.take_sent_bytes(), clock::uptime());
        self.plan(&ended);
        self.note(&ended);
    }

    /// One look and the records that come of it; whether everything was looked at.
    fn look_and_tell(&mut self, mut due: Due) -> bool {
        // What root tells has come, an hour before anybody would look again.
        due.hour |= due.contact && !self.whole && self.source.is_whole();
        let mut sections = self.look(due);
        // Evidence follows from several sections: if one of them changed, it is gathered anew at once.
        if due.contact && !due.hour && self.stream.differs(&sections, collect::evidence::FROM) {
            due.hour = true;
            drop(sections);
            sections = self.look(due);
        }
        self.recognise(&sections);
        if let Some(ahead_s) = self.contact.ahead_s().filter(|_| due.contact) {
            sections.insert(SECTION_CLOCK.to_owned(), clock_section(ahead_s));
        }
        let urgent = self.stream.settle(&mut sections, &self.contact.settings().thresholds);
        self.tell(&sections, urgent);
        due.hour
    }

    /// Runs the probes that are due or owed and whose marks have changed.
    fn look(&mut self, due: Due) -> Sections {
        if due.contact {
            self.source.renew();
        }
        let stream = &self.stream;
        let mut probes = schedule::probes(PROBES, due, &|name| stream.owes(name), &self.config.disabled);
        let mut marks = Vec::new();
        probes.retain(|probe| {
            let mark = probe.mark.and_then(|mark| mark(&*self.source));
            let same = mark.is_some() && self.marks.get(probe.name) == mark.as_ref();
            marks.push((probe.name, mark));
            due.hour || stream.owes(probe.name) || !same
        });
        let mut sections = self.run(probes);
        // Also of a probe that failed: what fails is tried again when its mark changes, not at every sample.
        for (name, mark) in marks.into_iter().filter(|(name, _)| sections.contains_key(*name)) {
            match mark {
                Some(mark) => self.marks.insert(name, mark),
                None => self.marks.remove(name),
            };
        }
        if due.hour {
            collect::complete(&*self.source, &mut sections, &self.config.disabled);
            self.whole = self.source.is_whole();
        }
        self.source.rest();
        sections
    }

    /// Runs these probes but for those that rest, whose sections say so.
    fn run(&mut self, mut probes: Vec<&'static Probe>) -> Sections {
        let now = clock::uptime();
        let mut resting = Sections::new();
        probes.retain(|probe| match self.backoff.rests(probe, now) {
            Some(problem) => resting.insert(probe.name.to_owned(), collect::seal(probe.name, Err(problem))).is_some(),
            None => true,
        });
        let (mut sections, costs) = collect::watched(&*self.source, &probes, &mut |name| self.marker.set(name));
        self.marker.set("");
        for (probe, spent) in probes.iter().zip(&costs) {
            if spent.overran {
                let (ms, kib) = (spent.wall.as_millis(), spent.bytes / 1024);
                log::warn(&format!("probe {} took {ms} ms and read {kib} KiB; it rests for a while", probe.name));
            }
            self.backoff.ran(probe, spent.overran, clock::uptime());
            self.own.ran(spent);
        }
        sections.append(&mut resting);
        if let Some(section) = sections.get_mut(health::SECTION_SELF) {
            self.own.add(section, self.backoff.all());
        }
        sections
    }

    /// Compares the machine with the one that the key was made on.
    fn recognise(&mut self, sections: &Sections) {
        let Some(evidence) = sections.get(shared::evidence::SECTION) else { return };
        let stored = &self.contact.identity().stored;
        let now = Fingerprint::of(stored.granted.agent, evidence);
        if stored.machine.is_empty() {
            self.contact.remember_machine(now);
        } else {
            let moved = stored.machine.is_other(&now);
            if moved && !self.contact.moved {
                log::error(
                    "this is not the machine that the key was made on; the collector is told, and a person decides there (`muster agents resolve`)",
                );
            }
            self.contact.moved = moved;
        }
    }

    fn plan(&mut self, ended: &Ended) {
        let (now, random) = (clock::uptime(), clock::random());
        match ended {
            Ended::Done(answer) => {
                let every_s = self.config.checkin_s.unwrap_or(answer.next_s.clamp(10, 86_400));
                self.every = Duration::from_secs(u64::from(every_s));
                self.schedule.contacted(now, self.every, random);
            }
            Ended::Later(after_s, _) => {
                let after = after_s.map(|seconds| Duration::from_secs(u64::from(seconds)));
                self.schedule.failed(now, after, self.every, random);
            }
            Ended::Stopped(_) => self.schedule.stopped(now, self.every, random),
        }
    }

    /// Logs a change for better or worse, and leaves the status.
    fn note(&mut self, ended: &Ended) {
        let trouble = match ended {
            Ended::Done(_) => None,
            Ended::Later(_, why) => Some(why.clone()),
            Ended::Stopped(why) => Some(format!("the collector takes nothing from this agent: {why}")),
        };
        match &trouble {
            None if self.status.trouble.is_some() => log::info("the collector holds everything again"),
            Some(why) if self.status.trouble.as_ref() != Some(why) => {
                let waits = self.stream.waiting().records;
                log::warn(&format!("check-in: {why}; {waits} records wait"));
            }
            _ => {}
        }
        let now = clock::now();
        let last_contact = if trouble.is_none() { Some(now) } else { self.status.last_contact };
        self.status = Status {
            last_contact,
            last_try: Some(now),
            trouble,
            stopped: matches!(ended, Ended::Stopped(_)),
            failures: self.schedule.failures(),
            every_s: u32::try_from(self.every.as_secs()).unwrap_or(u32::MAX),
            clock_ahead_s: self.contact.ahead_s(),
            moved: self.contact.moved,
            refused: self.status.refused.saturating_add(self.contact.take_refused()),
            untold: self.stream.untold().cloned(),
        };
        self.save_status();
    }

    /// Tells the collector that there will be silence.
    pub async fn say_goodbye(&mut self, goodbye: Goodbye) {
        if !self.status.stopped {
            self.contact.say_goodbye(&mut self.stream, goodbye).await;
        }
    }
}

/// What the process before left: a probe that ended it rests.
fn take_up_marker() -> (Backoff, Marker) {
    let mut backoff = Backoff::default();
    let (marker, ended_by) = Marker::open(service::runtime_dir().as_deref());
    if let Some(probe) = ended_by {
        log::warn(&format!("the agent was ended while probe {} ran; it rests for a while", probe.name));
        backoff.ended_by(probe, clock::uptime());
    }
    (backoff, marker)
}

/// The section `health_clock`: how far this clock is from the collector's. Below one step counts as none, for
/// the answer's way takes time too.
fn clock_section(ahead_s: i64) -> collect::Section {
    let step = health::check("clock_skew").map_or(1, |check| check.step);
    let off = i64::try_from(ahead_s.unsigned_abs()).unwrap_or(i64::MAX);
    let reading = Reading {
        check: "clock_skew".into(),
        resource: String::new(),
        value: if off < step { 0 } else { off },
        total: None,
        identity: None,
        detail: (off >= step).then(|| format!("this clock is {}", if ahead_s > 0 { "ahead" } else { "behind" })),
    };
    collect::seal(SECTION_CLOCK, Ok(Found { items: vec![reading.into()], problems: Vec::new() }))
}

/// Runs until a signal says stop. Without an identity it waits for one, so that the service may start first.
///
/// # Errors
/// The state directory cannot be used, or signals cannot be caught.
pub async fn run(config: &Config, source: &dyn Fn() -> Box<dyn Source>) -> Result<(), Fail> {
    let signals = Signals::catch().map_err(|error| Fail::new(Code::Failure, format!("signals: {error}")))?;
    service::notify("READY=1");
    let mut pulse = Pulse { signals, sleeper: Sleeper::new(), watchdog: Watchdog::new() };
    let ended = serve(config, source, &mut pulse).await;
    service::notify("STOPPING=1");
    ended
}

/// What the service does between two turns, and beside one.
struct Pulse {
    signals: Signals,
    sleeper: Sleeper,
    watchdog: Watchdog,
}

impl Pulse {
    /// Sleeps, with signs of life, until the time has passed or a signal comes.
    async fn rest(&mut self, span: Duration) -> Option<Wish> {
        let until = clock::uptime().saturating_add(span);
        loop {
            let now = clock::uptime();
            self.watchdog.alive(now);
            if now >= until {
                return None;
            }
            let wait = (until - now).min(self.watchdog.wait(now));
            tokio::select! {
                wish = self.signals.next() => return Some(wish),
                () = self.sleeper.sleep(wait) => {}
            }
        }
    }

    /// Does a turn, with signs of life while it waits for the network, unless a signal comes before its end.
    async fn during(&mut self, turn: impl Future<Output = ()>) -> Option<Wish> {
        let mut turn = std::pin::pin!(turn);
        loop {
            // The turn first: most have nothing to wait for, and need no timer.
            tokio::select! {
                biased;
                () = &mut turn => return None,
                wish = self.signals.next() => return Some(wish),
                () = self.sleeper.sleep(self.watchdog.wait(clock::uptime())) => self.watchdog.alive(clock::uptime()),
            }
        }
    }
}

async fn serve(config: &Config, source: &dyn Fn() -> Box<dyn Source>, pulse: &mut Pulse) -> Result<(), Fail> {
    let mut agent = match Agent::open(config, source())? {
        Some(agent) => agent,
        None => {
            log::warn("not enrolled; waiting for `muster-agent enroll --join FILE`");
            service::notify("STATUS=Not enrolled: waiting for muster-agent enroll");
            loop {
                if pulse.rest(IDENTITY_WAIT).await == Some(Wish::Stop) {
                    return Ok(());
                }
                if is_ours(&config.state_dir)?
                    && let Some(agent) = Agent::open(config, source())?
                {
                    break agent;
                }
            }
        }
    };
    let identity = &agent.contact.identity().stored.granted;
    log::info(&format!("agent {} reports to {}", identity.agent, identity.agent_url));
    service::notify("STATUS=Reporting");
    loop {
        let wish = match pulse.during(agent.turn()).await {
            Some(wish) => Some(wish),
            None => pulse.rest(agent.wait()).await,
        };
        match wish {
            Some(Wish::Stop) => {
                agent.say_goodbye(service::goodbye()).await;
                return Ok(());
            }
            Some(Wish::Report) => agent.report_now(),
            None => {}
        }
    }
}

/// Whether there is an identity, and whoever enrolled has gone.
fn is_ours(dir: &Path) -> Result<bool, Fail> {
    let vault = Vault::open(dir).map_err(|error| Fail::new(Code::State, error.to_string()))?;
    Ok(vault.current()?.is_some() && Lock::try_take(dir)?.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_off_says_by_how_much_and_which_way() {
        let reading = |ahead_s| {
            let section = clock_section(ahead_s);
            section.items.values().next().and_then(Reading::from_item).expect("a reading")
        };
        assert_eq!((reading(29).value, reading(29).detail), (0, None));
        assert_eq!((reading(-31).value, reading(-31).detail.as_deref()), (31, Some("this clock is behind")));
        assert_eq!(reading(i64::MIN).value, i64::MAX);
    }
}
