//! Whatever is lost, repeated, reordered or forgotten on the way: in the end the register holds what the
//! machine has.

use super::super::model::Items;
use super::super::testing::*;
use crate::work::Reply;
use proptest::prelude::*;
use shared::checkin::{Gap, Record};
use shared::fact::Item;

const NAMES: [&str; 4] = ["disks", "users", "dpkg", "health_disks"];

#[derive(Debug, Clone)]
enum Step {
    /// A section as the machine has it from now on; `None` is one that cannot be read.
    Set(usize, Option<Vec<(u8, u8)>>),
    /// One row more, or another version of it.
    Put(usize, u8, u8),
    /// A record is made and arrives; its answer too, or not.
    Tell { answered: bool },
    /// A record is made and lost; the next one tells the gap, or not.
    Lose { told: bool },
    /// An old record arrives again.
    Repeat(usize),
    /// The agent loses its state.
    Forget,
    /// The register loses a section.
    Damage(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let rows = prop::collection::vec((0_u8..24, 0_u8..3), 0..24);
    prop_oneof![
        3 => (0..4_usize, prop::option::weighted(0.85, rows)).prop_map(|(name, rows)| Step::Set(name, rows)),
        4 => (0..4_usize, 0_u8..24, 0_u8..3).prop_map(|(name, key, value)| Step::Put(name, key, value)),
        6 => any::<bool>().prop_map(|answered| Step::Tell { answered }),
        1 => any::<bool>().prop_map(|told| Step::Lose { told }),
        2 => (0..8_usize).prop_map(Step::Repeat),
        1 => Just(Step::Forget),
        1 => (0..4_usize).prop_map(Step::Damage),
    ]
}

fn row(section: usize, key: u8, value: u8) -> Item {
    match NAMES[section] {
        "dpkg" => package(&format!("p{key}"), &value.to_string()),
        "health_disks" => reading("disk_space", &format!("/{key}"), i64::from(value)),
        name => Item::new(name, key.to_string()).with("value", Some(i64::from(value))),
    }
}

/// One machine, its register, and what is on the way between them.
struct Play {
    world: World,
    machine: Machine,
    sent: Vec<Record>,
    gap: Option<Gap>,
    /// A record whose answer was lost: an agent sends it again before any other.
    unanswered: Option<Record>,
    streams: u8,
}

impl Play {
    fn new() -> Play {
        let mut world = World::new();
        let machine = laptop(world.enrolled("host-1"), 1);
        Play { world, machine, sent: Vec::new(), gap: None, unanswered: None, streams: 1 }
    }

    fn deliver(&mut self, record: &Record) -> Vec<String> {
        let before = self.world.journal.len();
        let answer = self.world.submit(&self.machine.report(record)).expect("taken");
        let Reply::Report { want, stale, .. } = answer else { panic!("a report's answer") };
        assert!(!stale || self.world.journal.len() == before, "a stale record made an event");
        want
    }

    /// Sends again what was not answered.
    fn again(&mut self) {
        if let Some(record) = self.unanswered.take() {
            let want = self.deliver(&record);
            self.machine.want(&want);
        }
    }

    fn play(&mut self, step: &Step) {
        match step {
            Step::Set(name, None) => drop(self.machine.truth.insert(NAMES[*name].into(), None)),
            Step::Set(name, Some(rows)) => {
                let rows: Vec<Item> = rows.iter().map(|(key, value)| row(*name, *key, *value)).collect();
                self.machine.set(NAMES[*name], rows);
            }
            Step::Put(name, key, value) => self.machine.put(NAMES[*name], row(*name, *key, *value)),
            Step::Tell { answered } => {
                self.again();
                let mut record = self.machine.record(self.world.now);
                record.gap = self.gap.take();
                let want = self.deliver(&record);
                match answered {
                    true => self.machine.want(&want),
                    false => self.unanswered = Some(record.clone()),
                }
                self.sent.push(record);
            }
            Step::Lose { told } => {
                // The first record of a stream is kept: an agent repeats it until it is answered.
                if self.machine.seq > 0 {
                    let lost = self.machine.record(self.world.now);
                    let gap = Gap { records: 1, from: lost.at, to: lost.at, reason: "quota".into() };
                    self.gap = told.then_some(gap);
                }
            }
            Step::Repeat(back) => {
                if let Some(record) = self.sent.iter().rev().nth(*back).cloned() {
                    self.deliver(&record);
                }
            }
            Step::Forget => {
                self.streams += 1;
                self.machine.restart(self.streams);
                (self.sent, self.gap, self.unanswered) = (Vec::new(), None, None);
            }
            Step::Damage(name) => {
                if let Some(asset) = self.world.agents[&self.machine.agent].asset {
                    self.world.sections.remove(&(asset, NAMES[*name].to_owned()));
                    self.world.items.remove(&(asset, NAMES[*name].to_owned()));
                }
            }
        }
    }

    /// Everything works again: a few contacts later nothing is wanted.
    fn settle(&mut self) {
        self.again();
        for _ in 0..8 {
            let record = self.machine.record(self.world.now);
            let want = self.deliver(&record);
            self.machine.want(&want);
            if want.is_empty() {
                return;
            }
        }
        panic!("the collector still wants something");
    }
}

proptest! {
    #[test]
    fn the_register_ends_up_with_what_the_machine_has(steps in prop::collection::vec(step(), 0..40)) {
        let mut play = Play::new();
        steps.iter().for_each(|step| play.play(step));
        play.settle();
        let agent = &play.world.agents[&play.machine.agent];
        prop_assert_eq!(agent.root, play.machine.root());
        prop_assert_eq!(play.world.assets.len(), 1);
        let asset = agent.asset.expect("an asset");
        for (name, rows) in &play.machine.truth {
            let head = &play.world.sections[&(asset, name.clone())];
            let held = play.world.held(asset, name);
            // Of what cannot be read the register has what the agent saw last, unless that lost it, or unless more
            // than half of the rows would go by it.
            let seen = play.machine.last(name).filter(|rows| !rows.is_empty());
            let gone = |seen: &Items| held.keys().filter(|key| !seen.contains_key(*key)).count();
            let big = |seen: &Items| !name.starts_with("health") && held.len() >= 8 && gone(seen) * 2 > held.len();
            if let (None, Some(seen), Some(_)) = (rows, seen.filter(|seen| big(seen)), head.held) {
                prop_assert_eq!(head.held, Some(shared::digest::section_of(seen.values())));
            } else if let (None, Some(seen)) = (rows, seen) {
                prop_assert_eq!(&held, seen, "{}", name);
                prop_assert_eq!(head.held, None);
            }
            if let Some(rows) = rows {
                prop_assert_eq!(&held, rows, "{}", name);
                prop_assert_eq!(head.digest, shared::digest::section_of(rows.values()));
                prop_assert_eq!((head.rows, head.held), (rows.len() as u64, None));
            }
        }
    }
}

#[test]
fn rows_behind_a_failed_section_are_asked_for_once() {
    let mut play = Play::new();
    play.machine.set("disks", [row(0, 1, 1)]);
    play.settle();
    let asset = play.world.asset_of(play.machine.agent);
    play.machine.set("disks", [row(0, 2, 2)]);
    play.machine.record(play.world.now);
    play.machine.truth.insert("disks".into(), None);
    let failed = play.machine.record(play.world.now);
    assert_eq!(play.deliver(&failed), ["disks"]);
    // The answer was lost, and the same record asks again.
    assert_eq!(play.deliver(&failed), ["disks"]);
    let mut helpless = play.machine.clone();
    play.machine.want(&["disks".to_owned()]);
    // The record with the rows is lost as well: that one is missing is seen, and they are asked for again.
    play.machine.record(play.world.now);
    let next = play.machine.record(play.world.now);
    assert_eq!((next.sections.len(), play.deliver(&next)), (0, vec!["disks".to_owned()]));
    play.machine.want(&["disks".to_owned()]);
    play.settle();
    assert_eq!(play.world.held(asset, "disks").into_keys().collect::<Vec<_>>(), ["2"]);
    assert_eq!(play.world.sections[&(asset, "disks".to_owned())].held, None);

    // An agent that has the rows no more says its digest again, and is left alone.
    play.world.sections.entry((asset, "disks".to_owned())).and_modify(|head| {
        (head.digest, head.held) = (shared::digest::section_of([&row(0, 1, 1)]), Some(failed.sections[0].digest));
    });
    helpless.seq = play.machine.seq;
    helpless.want(&["*".to_owned()]);
    let mut record = helpless.record(play.world.now);
    record.sections.retain(|part| part.section == "disks");
    assert_eq!(record.sections[0].put, None);
    assert_eq!(play.deliver(&record), Vec::<String>::new());
}

#[test]
fn software_waits_while_its_agent_told_too_much_that_is_new() {
    let mut world = World::new();
    let mut machine = laptop(world.enrolled("host-1"), 1);
    machine.settle(&mut world);
    machine.put("dpkg", package("pkg1", "2.0"));
    machine.put("disks", Item::new("disk", "new"));
    let work = machine.report(&machine.clone().record(world.now));
    let known = crate::work::Known { software_full: true, ..world.load(&crate::decide::needs(&work, &world.policy)) };
    let decision = crate::decide::decide(&work, &known, &mut world.context()).expect("taken");
    let Reply::Report { want, .. } = &decision.reply else { panic!("a report's answer") };
    assert_eq!(want, &["dpkg"], "the section comes whole, later");
    let rows = |section: &str| {
        let of = |row: &crate::work::Row| matches!(row, crate::work::Row::Items { section: s, .. } | crate::work::Row::Software { section: s, .. } if s == section);
        decision.rows.iter().filter(|row| of(row)).count()
    };
    assert_eq!((rows("dpkg"), rows("disks")), (0, 1), "all else is taken");
}

#[test]
fn a_section_that_fails_loses_no_half_of_its_rows() {
    for left in [3, 7] {
        let mut play = Play::new();
        play.machine.set("disks", (0..10).map(|key| row(0, key, 1)));
        play.settle();
        let asset = play.world.asset_of(play.machine.agent);
        // What it saw last before it failed never arrived: it is asked for.
        play.machine.set("disks", (0..left).map(|key| row(0, key, 1)));
        play.machine.record(play.world.now);
        play.machine.truth.insert("disks".into(), None);
        play.settle();
        let held = play.world.held(asset, "disks").len();
        assert_eq!(held, if left == 3 { 10 } else { 7 });
        play.machine.set("disks", (0..left).map(|key| row(0, key, 1)));
        play.settle();
        play.settle();
        assert_eq!(play.world.held(asset, "disks").len(), usize::from(left), "it was confirmed");
    }
}

#[test]
fn an_answer_that_asks_again_after_a_gap_may_be_lost() {
    let mut play = Play::new();
    let before = [
        Step::Tell { answered: false },
        Step::Set(2, None),
        Step::Tell { answered: false },
        // The register loses the section while it fails: what the agent saw last is asked for.
        Step::Damage(2),
        Step::Tell { answered: true },
        Step::Tell { answered: true },
        // The record that has it is lost. The next one, of no section, shows the gap; its answer is lost too.
        Step::Lose { told: false },
        Step::Tell { answered: false },
    ];
    before.iter().for_each(|step| play.play(step));
    let asset = play.world.asset_of(play.machine.agent);
    let held = |play: &Play| (play.world.held(asset, "dpkg").len(), play.world.sections[&(asset, "dpkg".into())].rows);
    let record = play.unanswered.clone().expect("a record");
    assert_eq!((record.sections.len(), held(&play)), (0, (0, 0)));
    assert_eq!(play.deliver(&record), ["dpkg"], "repeated, it has the same answer");
    play.settle();
    assert_eq!(held(&play), (12, 12));
    assert_eq!(play.world.sections[&(asset, "dpkg".into())].held, None);
    assert_eq!(play.deliver(&record), Vec::<String>::new(), "nothing is open");
}
