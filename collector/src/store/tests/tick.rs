//! What time alone brings about in a real database, and what is left there afterwards.

use super::*;
use crate::desk::model::Ticket;
use crate::register::testing::{Machine, laptop, reading};
use crate::store::page::Page;
use crate::store::read;
use shared::checkin::Goodbye;
use shared::id::AgentId;
use std::sync::atomic::AtomicI64;

/// A writer on a clock of its own, and a machine that it knows.
struct Play {
    writer: Writer<Sqlite>,
    clock: Arc<AtomicI64>,
    machine: Machine,
    _directory: TempDir,
}

impl Play {
    fn new() -> Play {
        let (directory, path) = place();
        let mut writer = writer(fresh(&path), &path);
        let clock = Arc::new(AtomicI64::new(NOW.0));
        let told = clock.clone();
        writer.outside.clock = Arc::new(move || At(told.load(Ordering::SeqCst)));
        let works = vec![create(1), enroll("key")];
        let Some(Ok(Reply::Granted { agent, .. })) = batch(&mut writer, works).1.pop() else { panic!("enrolled") };
        let mut play = Play { writer, clock, machine: laptop(agent, 1), _directory: directory };
        play.machine.set("health_memory", []);
        play.report();
        play
    }

    fn submit(&mut self, work: Work) -> Reply {
        let (done, mut answers) = batch(&mut self.writer, vec![work]);
        assert_eq!(done, Ok(()));
        answers.pop().expect("an answer").expect("done")
    }

    fn agent(&self) -> AgentId {
        self.machine.agent
    }

    fn report(&mut self) {
        let record = self.machine.record(At(self.clock.load(Ordering::SeqCst)));
        let Reply::Report { want, .. } = self.submit(self.machine.report(&record)) else { panic!("a report's answer") };
        self.machine.want(&want);
    }

    /// One report with memory pressure at this value.
    fn pressure(&mut self, value: i64) {
        self.machine.set("health_memory", [reading("memory_pressure", "", value)]);
        self.report();
    }

    fn tick(&mut self, seconds: i64) {
        self.clock.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
        self.submit(Work::Tick);
    }

    fn tickets(&mut self) -> Vec<Ticket> {
        let all = read::tickets::TicketFilter::default();
        read::tickets::list(&mut self.writer.engine, &all, &Page::default()).expect("tickets").rows
    }

    /// States of all faults in the table.
    fn faults(&mut self) -> Vec<String> {
        let all = read::faults::FaultFilter::default();
        let faults = read::faults::list(&mut self.writer.engine, &all, &Page::default()).expect("faults").rows;
        faults.iter().map(|fault| fault.state.to_string()).collect()
    }
}

#[test]
fn time_raises_a_fault_with_what_had_just_happened_to_the_machine() {
    let mut play = Play::new();
    play.pressure(90);
    play.tick(601);
    assert_eq!(play.faults(), ["raised"]);
    let snapshot = play.tickets()[0].snapshot.clone().expect("frozen");
    let snapshot: serde_json::Value = serde_json::from_str(&snapshot).expect("json");
    let kinds: Vec<&str> =
        snapshot["events"].as_array().expect("events").iter().filter_map(|e| e["event"]["kind"].as_str()).collect();
    assert_eq!(kinds, ["baseline", "agent_bound", "asset_created"]);
}

#[test]
fn time_proves_nothing_of_a_machine_that_said_goodbye() {
    let mut play = Play::new();
    play.pressure(90);
    let (agent, why) = (play.agent(), Goodbye::Sleep);
    play.submit(Work::Act { actor: Actor::Agent(agent), act: Act::Goodbye { agent, why } });
    play.tick(86_400);
    assert_eq!((play.faults(), play.tickets().len()), (vec!["pending".to_owned()], 0));
    play.submit(Work::Act { actor: Actor::Agent(agent), act: Act::Beat { agent } });
    assert_eq!((play.faults(), play.tickets().len()), (vec!["raised".to_owned()], 1), "it is back, and it is so still");
}

#[test]
fn time_proves_nothing_of_a_section_that_cannot_be_read() {
    let mut play = Play::new();
    play.pressure(90);
    play.tick(601);
    play.pressure(0);
    play.machine.truth.insert("health_memory".into(), None);
    play.report();
    play.tick(86_400);
    assert_eq!((play.faults(), play.tickets()[0].state.as_str()), (vec!["passing".to_owned()], "new"));
}

#[test]
fn what_has_passed_or_never_held_leaves_no_row() {
    let mut play = Play::new();
    play.pressure(90);
    play.pressure(0);
    assert_eq!(play.faults(), Vec::<String>::new());
    for value in [90, 91, 0, 1] {
        play.pressure(value);
    }
    assert_eq!((play.faults(), play.tickets()[0].state.as_str()), (Vec::new(), "resolved"));
}
