//! The journal, folded, is the tables: whatever is done in whatever order, what the events say stands where the
//! tables say that it stands.

use super::*;
use crate::desk::model::{End, Kind, Link, Rel, Ticket};
use crate::desk::process::{self, Need, Process, Shape};
use crate::event::{Entry, Event, Told};
use crate::register::testing::{Machine, laptop, reading};
use crate::store::page::Page;
use crate::store::read::{self, events::EventFilter};
use crate::work::{NewTicket, Resolution, TicketEdit};
use proptest::prelude::*;
use shared::digest::Digest;
use shared::id::{AgentId, AssetId, LinkId};
use std::collections::BTreeMap;
use std::sync::atomic::AtomicI64;

#[derive(Debug, Clone)]
enum Step {
    Enroll {
        approve: bool,
    },
    Approve(usize),
    Report {
        machine: usize,
        full: Option<bool>,
        disk: u8,
    },
    /// The machine's key, on the hardware of another and from a state of its own.
    Clone(usize),
    Fork(usize),
    Resolve(usize, usize),
    Revoke(usize),
    Open {
        kind: usize,
        asset: Option<usize>,
    },
    Move {
        ticket: usize,
        to: usize,
    },
    Assign(usize, bool, u8),
    Comment(usize),
    Link {
        from: usize,
        rel: usize,
        to: usize,
    },
    Unlink(usize),
    Tick(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let n = 0..6_usize;
    let one = prop_oneof![
        1 => any::<bool>().prop_map(|approve| Step::Enroll { approve }),
        1 => n.clone().prop_map(Step::Approve),
        16 => (n.clone(), any::<Option<bool>>(), 0..3_u8)
            .prop_map(|(machine, full, disk)| Step::Report { machine, full, disk }),
        1 => n.clone().prop_map(Step::Clone),
        1 => n.clone().prop_map(Step::Fork),
        2 => (n.clone(), 0..3_usize).prop_map(|(agent, how)| Step::Resolve(agent, how)),
        1 => n.clone().prop_map(Step::Revoke),
        2 => (0..4_usize, proptest::option::of(n.clone())).prop_map(|(kind, asset)| Step::Open { kind, asset }),
        16 => (n.clone(), 0..9_usize).prop_map(|(ticket, to)| Step::Move { ticket, to }),
        2 => (n.clone(), any::<bool>(), 1..4_u8).prop_map(|(ticket, on, urgency)| Step::Assign(ticket, on, urgency)),
        1 => n.clone().prop_map(Step::Comment),
        3 => (n.clone(), 0..Rel::ALL.len(), n.clone()).prop_map(|(from, rel, to)| Step::Link { from, rel, to }),
        1 => n.prop_map(Step::Unlink),
        4 => prop_oneof![0..600_i64, 0..12 * 86_400_i64].prop_map(Step::Tick),
    ];
    proptest::collection::vec(one, 20..120)
}

/// A store on a clock of its own, and what the test knows of it.
struct Play {
    _directory: TempDir,
    path: PathBuf,
    writer: Writer<Sqlite>,
    clock: Arc<AtomicI64>,
    machines: Vec<Machine>,
    tokens: u128,
}

impl Play {
    fn new() -> Play {
        let (directory, path) = place();
        let mut writer = writer(fresh(&path), &path);
        let clock = Arc::new(AtomicI64::new(NOW.0));
        let told = clock.clone();
        writer.outside.clock = Arc::new(move || At(told.load(Ordering::SeqCst)));
        Play { _directory: directory, path, writer, clock, machines: Vec::new(), tokens: 0 }
    }

    fn now(&self) -> At {
        At(self.clock.load(Ordering::SeqCst))
    }

    /// A refusal is an answer; that the store failed is not.
    fn submit(&mut self, work: Work) -> Option<Reply> {
        let (done, mut answers) = batch(&mut self.writer, vec![work]);
        assert_eq!(done, Ok(()));
        match answers.pop().expect("an answer") {
            Ok(reply) => Some(reply),
            Err(Denied::Refused(_)) => None,
            Err(denied) => panic!("{denied}"),
        }
    }

    fn act(&mut self, act: Act) -> Option<Reply> {
        self.submit(Work::Act { actor: KIM, act })
    }

    fn read<T>(&self, read: impl FnOnce(&mut dyn Engine) -> Result<T, Error>) -> T {
        read(&mut open::reader(&self.path).expect("a reader")).expect("read")
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Enroll { approve } => self.enroll(*approve),
            Step::Report { machine, full, disk } => self.report(*machine, *full, *disk),
            Step::Clone(machine) => self.copied(*machine),
            Step::Tick(seconds) => {
                self.clock.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
                self.submit(Work::Tick);
            }
            Step::Approve(agent) => self.of_agent(*agent, |agent, key| Act::Approve { agent, fingerprint: key }),
            Step::Fork(agent) => self.of_agent(*agent, |agent, _| Act::Forked { agent, detail: "two".into() }),
            Step::Revoke(agent) => self.of_agent(*agent, |agent, _| Act::Revoke { agent, reason: "sold".into() }),
            Step::Resolve(agent, how) => {
                let how = [Resolution::Keep, Resolution::Split, Resolution::Reenroll][*how];
                self.of_agent(*agent, |agent, _| Act::Resolve { agent, how, reason: "so it is".into() });
            }
            desk => self.desk(desk),
        }
    }

    fn desk(&mut self, step: &Step) {
        let (tickets, assets, links) = (self.tickets(), self.assets(), self.links());
        let pick = |at: &usize| tickets.get(at % tickets.len().max(1));
        let act = match step {
            Step::Open { kind, asset } => {
                let asset = asset.and_then(|at| assets.get(at % assets.len().max(1)).copied());
                Some(Act::OpenTicket(Box::new(NewTicket {
                    kind: Kind::ALL[*kind],
                    title: "t".into(),
                    description: String::new(),
                    impact: None,
                    urgency: None,
                    assignee: None,
                    requester: None,
                    fields: BTreeMap::new(),
                    assets: asset.into_iter().collect(),
                })))
            }
            Step::Move { ticket, to } => pick(ticket).map(|ticket| forward(ticket, *to)),
            Step::Assign(ticket, on, urgency) => pick(ticket).map(|ticket| {
                let assignee = Some(on.then(|| "ann".to_owned()));
                let edit = TicketEdit { assignee, urgency: Some(*urgency), ..TicketEdit::default() };
                Act::EditTicket { ticket: ticket.id, rev: None, edit }
            }),
            Step::Comment(ticket) => {
                pick(ticket).map(|ticket| Act::CommentTicket { ticket: ticket.id, text: "x".into() })
            }
            Step::Link { from, rel, to } => pick(from).map(|from| {
                let asset = assets.get(to % assets.len().max(1)).map(|asset| End::Asset(*asset));
                let other = pick(to).map(|ticket| End::Ticket(ticket.id));
                let rel = Rel::ALL[*rel];
                let to = if rel == Rel::Affects { asset } else { other };
                let to = to.unwrap_or(End::External("jira:OPS-1".into()));
                Act::AddLink { from: End::Ticket(from.id), rel, to }
            }),
            Step::Unlink(at) => links.get(at % links.len().max(1)).map(|link| Act::RemoveLink { link: link.id }),
            _ => None,
        };
        if let Some(act) = act {
            self.act(act);
        }
    }

    fn enroll(&mut self, approve: bool) {
        self.tokens += 1;
        let expires = self.now().plus_secs(3600);
        let token = JoinToken { approve, expires, created: self.now(), ..join_token(self.tokens) };
        self.act(Act::CreateJoinToken { token: Box::new(token.clone()) });
        let act = Act::Enroll {
            token: token.id,
            hash: token.hash,
            fingerprint: format!("key {}", self.tokens),
            name: format!("host-{}", self.tokens),
            version: "0.1.0".into(),
            source: "192.0.2.1".parse().expect("an address"),
        };
        let reply = self.submit(Work::Act { actor: Actor::Join(token.id), act }).expect("enrolled");
        let (Reply::Granted { agent, .. } | Reply::Pending { agent }) = reply else { panic!("{reply:?}") };
        // Every third machine is one that is there already, wiped and enrolled anew.
        let number = u32::try_from(self.tokens % 3).expect("small");
        self.machines.push(laptop(agent, number));
    }

    fn report(&mut self, machine: usize, full: Option<bool>, disk: u8) {
        let now = self.now();
        let count = self.machines.len().max(1);
        let Some(machine) = self.machines.get_mut(machine % count) else { return };
        if let Some(full) = full {
            machine.set("health_disks", [reading("disk_space", "/srv", if full { 97 } else { 20 })]);
        }
        machine.set("disks", [Item::new("disk", format!("wwn-{disk}"))]);
        let record = machine.record(now);
        let (work, agent) = (machine.report(&record), machine.agent);
        let reply = self.submit(work);
        let machine = self.machines.iter_mut().find(|machine| machine.agent == agent).expect("the machine");
        match reply {
            Some(Reply::Report { want, .. }) => machine.want(&want),
            _ => machine.want(&["*".to_owned()]),
        }
    }

    fn copied(&mut self, machine: usize) {
        let Some(machine) = self.machines.get(machine % self.machines.len().max(1)) else { return };
        let mut copy = laptop(machine.agent, 99);
        copy.stream = Digest([9; 16]);
        let record = copy.record(self.now());
        self.submit(copy.report(&record));
    }

    fn of_agent(&mut self, at: usize, act: impl FnOnce(AgentId, String) -> Act) {
        let agents = self.read(|engine| read::agents::fleet(engine));
        if let Some((agent, _)) = agents.get(at % agents.len().max(1)) {
            self.act(act(agent.id, agent.first_key.clone()));
        }
    }

    fn tickets(&self) -> Vec<Ticket> {
        let page = Page { after: None, limit: Some(500) };
        self.read(|engine| read::tickets::list(engine, &read::tickets::TicketFilter::default(), &page)).rows
    }

    fn assets(&self) -> Vec<AssetId> {
        let filter = read::assets::AssetFilter::default();
        let list =
            self.read(|engine| read::assets::list(engine, &filter, read::assets::Sort::Id, &Page::default())).rows;
        list.into_iter().map(|row| row.asset.id).collect()
    }

    fn links(&self) -> Vec<Link> {
        let page = Page { after: None, limit: Some(500) };
        self.read(|engine| read::links::list(engine, None, None, &page)).rows
    }
}

/// A move that the table has from where the ticket is, with all that can be given with it.
fn forward(ticket: &Ticket, at: usize) -> Act {
    let steps = process::allowed(ticket);
    let mut fields = BTreeMap::new();
    let mut set = |name: &str, value: &str| drop(fields.insert(name.to_owned(), value.to_owned()));
    let step = steps.get(at % steps.len().max(1));
    for need in step.map_or(&[][..], |step| step.needs) {
        match need {
            Need::Assignee => set("assignee", "kim"),
            Need::Code(codes) => set("resolution_code", codes[0]),
            Need::Text => set("resolution_text", "x"),
            Need::Window => {
                set("window_start", "2026-07-01T22:00:00Z");
                set("window_end", "2026-07-02T22:00:00Z");
            }
            Need::Field(name) => {
                let process = Process::of(ticket.kind);
                let field = process.fields.iter().find(|field| field.name == *name).expect("a field of the table");
                set(name, if let Shape::OneOf(values) = field.shape { values[0] } else { "words" });
            }
            _ => {}
        }
    }
    let to = step.map_or("new", |step| step.to).to_owned();
    Act::MoveTicket { ticket: ticket.id, rev: None, to, reason: "because".into(), fields }
}

/// What stands where: from the journal, and from the tables.
#[derive(Debug, Default, PartialEq)]
struct Present {
    agents: BTreeMap<String, String>,
    /// State, priority, assignee.
    tickets: BTreeMap<String, (String, i64, Option<String>)>,
    links: BTreeMap<LinkId, Link>,
    /// Fingerprints of those that hold.
    faults: Vec<String>,
    names: BTreeMap<String, Option<String>>,
}

fn folded(entries: &[Entry]) -> Present {
    let mut present = Present::default();
    for entry in entries {
        let Told::Known(event) = &entry.event else { panic!("an unknown event") };
        let of = |kind: &str| entry.subjects.iter().find(|subject| subject.starts_with(kind)).cloned();
        let mut agent = |state: &str| drop(present.agents.insert(of("agent:").expect("an agent"), state.to_owned()));
        match &**event {
            Event::AgentEnrolled { pending: true, .. } => agent("pending"),
            Event::AgentEnrolled { .. } | Event::AgentApproved {} => agent("active"),
            Event::AgentQuarantined { .. } => agent("quarantined"),
            Event::AgentSuperseded { .. } => agent("superseded"),
            Event::AgentResolved { how, .. } if how == "reenroll" => agent("revoked"),
            Event::AgentResolved { .. } => agent("active"),
            Event::AgentRevoked { .. } => agent("revoked"),
            Event::AssetCreated { name, .. } => {
                present.names.insert(of("asset:").expect("an asset"), Some(name.clone()));
            }
            Event::AssetChanged { changed } => {
                for change in changed.iter().filter(|change| change.field == "name") {
                    let name = change.to.as_ref().map(ToString::to_string);
                    present.names.insert(of("asset:").expect("an asset"), name);
                }
            }
            Event::TicketOpened { ticket } => {
                let held = (ticket.state.clone(), ticket.priority.into(), ticket.assignee.clone());
                present.tickets.insert(of("ticket:").expect("a ticket"), held);
            }
            Event::TicketMoved { from, to, .. } => {
                let held = present.tickets.get_mut(&of("ticket:").expect("a ticket")).expect("opened before");
                assert_eq!(held.0, *from, "a move starts where the ticket was");
                held.0.clone_from(to);
            }
            Event::TicketEdited { changed } => {
                let held = present.tickets.get_mut(&of("ticket:").expect("a ticket")).expect("opened before");
                for change in changed {
                    match (change.field.as_str(), &change.to) {
                        ("priority", Some(to)) => held.1 = to.to_string().parse().expect("a number"),
                        ("assignee", to) => held.2 = to.as_ref().map(ToString::to_string),
                        _ => {}
                    }
                }
            }
            Event::LinkAdded { link } => drop(present.links.insert(link.id, link.clone())),
            Event::LinkRemoved { link } => assert!(present.links.remove(&link.id).is_some(), "it was linked"),
            Event::FaultRaised { fault } => present.faults.push(fault.fingerprint.clone()),
            Event::FaultCleared { fault } => present.faults.retain(|held| *held != fault.fingerprint),
            _ => {}
        }
    }
    present.faults.sort_unstable();
    present
}

fn tables(play: &Play) -> Present {
    let page = Page { after: None, limit: Some(500) };
    play.read(|engine| {
        let agents = read::agents::fleet(engine)?;
        let tickets = read::tickets::list(engine, &read::tickets::TicketFilter::default(), &page)?.rows;
        let links = read::links::list(engine, None, None, &page)?.rows;
        let holding = ["raised", "passing"].map(str::to_owned).to_vec();
        let filter = read::faults::FaultFilter { asset: None, states: holding };
        let faults = read::faults::list(engine, &filter, &page)?.rows;
        let filter = read::assets::AssetFilter::default();
        let assets = read::assets::list(engine, &filter, read::assets::Sort::Id, &page)?.rows;
        let assets = assets.into_iter().map(|row| row.asset);
        Ok(Present {
            agents: agents.iter().map(|(agent, _)| (format!("agent:{}", agent.id), agent.state.to_string())).collect(),
            tickets: tickets
                .into_iter()
                .map(|ticket| {
                    (format!("ticket:{}", ticket.id), (ticket.state, ticket.priority.into(), ticket.assignee))
                })
                .collect(),
            links: links.into_iter().map(|link| (link.id, link)).collect(),
            faults: faults.into_iter().map(|fault| fault.fingerprint).collect(),
            names: assets.map(|asset| (format!("asset:{}", asset.id), asset.observed.name)).collect(),
        })
    })
}

fn journal(play: &Play) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    loop {
        let filter = EventFilter { after: entries.last().map(|entry| entry.seq), ..EventFilter::default() };
        let more = play.read(|engine| read::events::list(engine, &filter, 500));
        if more.is_empty() {
            return entries;
        }
        entries.extend(more);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, max_shrink_iters: 500, ..ProptestConfig::default() })]

    #[test]
    fn the_journal_folded_is_the_tables(steps in steps()) {
        let mut play = Play::new();
        for step in [Step::Enroll { approve: false }, Step::Report { machine: 0, full: None, disk: 0 }].iter().chain(&steps) {
            play.step(step);
        }
        let entries = journal(&play);
        prop_assert_eq!(folded(&entries), tables(&play));
        let ids = entries.iter().flat_map(|entry| entry.about.iter().chain([&entry.by]));
        prop_assert!(ids.into_iter().all(|name| Uuid::try_parse(name).is_err()), "people are shown names");
    }
}
