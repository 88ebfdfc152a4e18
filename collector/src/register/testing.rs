//! For tests: a store in memory that loads what a work needs and keeps what was decided, and an agent that
//! keeps its side of the check-in. Both are as small as they can be and share no code with what they test.

use super::model::*;
use crate::decide;
use crate::desk::model::{Kind, Link, Ticket};
use crate::event::{Actor, Event};
use crate::work::{
    Act, Context, Decision, Draft, Fresh, Known, Needs, Policy, Refusal, Reply, Report, Row, Rows, Work,
};
use shared::checkin::{Part, Record, State, Stream};
use shared::digest::{self, Digest};
use shared::evidence::{self, Evidence};
use shared::fact::Item;
use shared::id::{AgentId, ApiTokenId, AssetId, JoinTokenId, LinkId, TicketId};
use shared::software;
use shared::unit::At;
use std::collections::{BTreeMap, BTreeSet};

/// A store in memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct World {
    pub(crate) now: At,
    pub(crate) policy: Policy,
    seed: u128,
    pub(crate) agents: BTreeMap<AgentId, Agent>,
    pub(crate) heard: BTreeMap<AgentId, At>,
    pub(crate) assets: BTreeMap<AssetId, Asset>,
    pub(crate) evidence: BTreeMap<AssetId, Vec<Evidence>>,
    pub(crate) addresses: BTreeMap<AssetId, Vec<String>>,
    pub(crate) sections: BTreeMap<(AssetId, String), Section>,
    pub(crate) items: BTreeMap<(AssetId, String), Items>,
    pub(crate) faults: BTreeMap<String, Fault>,
    pub(crate) tickets: BTreeMap<TicketId, Ticket>,
    pub(crate) links: BTreeMap<LinkId, Link>,
    pub(crate) join_tokens: BTreeMap<JoinTokenId, JoinToken>,
    pub(crate) api_tokens: BTreeMap<ApiTokenId, ApiToken>,
    pub(crate) held: BTreeMap<(AgentId, Stream), String>,
    pub(crate) journal: Vec<Draft>,
    /// Software rows of all assets, by number.
    dictionary: Vec<Item>,
}

impl World {
    pub(crate) fn new() -> World {
        World { now: At::from_secs(1_800_000_000), ..World::default() }
    }

    pub(crate) fn later(&mut self, seconds: i64) {
        self.now = self.now.plus_secs(seconds);
    }

    pub(crate) fn context(&mut self) -> Context {
        self.seed += 1;
        Context { now: self.now, fresh: Fresh::new(self.now, self.seed.to_be_bytes()), policy: self.policy.clone() }
    }

    /// An active agent without an asset.
    pub(crate) fn enrolled(&mut self, name: &str) -> AgentId {
        let mut context = self.context();
        let id = AgentId(context.fresh.uuid());
        let key = format!("key of {name}");
        let cert = Cert { generation: 1, fingerprint: key.clone(), expires: self.now.plus_secs(7 * 86_400) };
        let agent = Agent {
            id,
            rev: 1,
            state: AgentState::Active,
            reason: String::new(),
            name: name.into(),
            version: "0.1.0".into(),
            token: JoinTokenId(context.fresh.uuid()),
            labels: BTreeMap::new(),
            source: "192.0.2.1".into(),
            enrolled: self.now,
            first_key: key,
            current: Some(cert),
            next: None,
            roots: 0,
            recoveries: 0,
            asset: None,
            stream: None,
            seq: 0,
            record: Digest::default(),
            root: Digest::default(),
            goodbye: None,
        };
        self.agents.insert(id, agent);
        id
    }

    pub(crate) fn submit(&mut self, work: &Work) -> Result<Reply, Refusal> {
        let known = self.load(&decide::needs(work, &self.policy));
        let mut context = self.context();
        let decision = decide::decide(work, &known, &mut context)?;
        if let Work::Report(report) = work {
            self.heard.insert(report.agent, self.now);
        }
        Ok(self.apply(decision))
    }

    /// As an admin, or as whoever the act is about: actors are not judged here.
    pub(crate) fn act(&mut self, act: Act) -> Result<Reply, Refusal> {
        self.submit(&Work::Act { actor: Actor::Local(0), act })
    }

    pub(crate) fn load(&self, needs: &Needs) -> Known {
        let mut known = Known {
            agent: needs.agent.and_then(|id| self.agents.get(&id)).cloned(),
            heard: needs.agent.and_then(|id| self.heard.get(&id)).copied(),
            ..Known::default()
        };
        let own = known.agent.as_ref().and_then(|agent| agent.asset);
        if let Some(own) = own {
            known.own = self.candidate(own);
            known.sections = self.heads(own);
            known.faults = self
                .faults
                .iter()
                .filter(|(_, fault)| fault.asset == own)
                .map(|(a, b)| (a.clone(), b.clone()))
                .collect();
            for (section, rows) in &needs.sections {
                self.rows(own, section, rows, &mut known);
            }
        }
        let holds = |asset: &AssetId, one: &Evidence| self.evidence.get(asset).is_some_and(|all| all.contains(one));
        let count = |one: &Evidence| self.assets.keys().filter(|asset| holds(asset, one)).count() as u64;
        known.holders =
            needs.evidence.iter().map(|one| (one.clone(), count(one))).filter(|(_, count)| *count > 0).collect();
        let found =
            self.assets.keys().filter(|id| Some(**id) != own && needs.evidence.iter().any(|one| holds(id, one)));
        known.candidates = found.take(8).filter_map(|id| self.candidate(*id)).collect();
        known.assets = needs.assets.iter().filter_map(|id| Some((*id, self.assets.get(id)?.clone()))).collect();
        known.join_token = needs.join_token.and_then(|id| self.join_tokens.get(&id)).cloned();
        known.api_token = needs.api_token.and_then(|id| self.api_tokens.get(&id)).cloned();
        known.enrolled = needs.first_key.as_ref().and_then(|(token, key)| {
            self.agents.values().find(|agent| agent.token == *token && agent.first_key == *key).cloned()
        });
        known.numbers = Kind::ALL
            .iter()
            .map(|kind| (*kind, 1 + self.tickets.values().filter(|one| one.kind == *kind).count() as u64))
            .collect();
        known.tickets = self.tickets.clone();
        known.links = self.links.values().cloned().collect();
        known
    }

    fn candidate(&self, id: AssetId) -> Option<Candidate> {
        let asset = self.assets.get(&id)?.clone();
        let agent = asset.agent.and_then(|id| Some((self.agents.get(&id)?.clone(), self.heard.get(&id).copied())));
        Some(Candidate { asset, evidence: self.evidence.get(&id).cloned().unwrap_or_default(), agent })
    }

    pub(crate) fn heads(&self, asset: AssetId) -> BTreeMap<String, Section> {
        self.sections
            .iter()
            .filter(|((of, _), _)| *of == asset)
            .map(|((_, name), head)| (name.clone(), head.clone()))
            .collect()
    }

    fn rows(&self, asset: AssetId, section: &str, rows: &Rows, known: &mut Known) {
        let held = self.items.get(&(asset, section.to_owned())).cloned().unwrap_or_default();
        if !software::SECTIONS.contains(&section) {
            let keep = |key: &String| match rows {
                Rows::None => false,
                Rows::Keys(keys) => keys.contains(key),
                Rows::All => true,
            };
            known.items.insert(section.to_owned(), held.into_iter().filter(|(key, _)| keep(key)).collect());
            return;
        }
        let mut out = Software::default();
        for (key, item) in held {
            let id = self.dictionary.iter().position(|row| *row == item).map_or(-1, |at| at as i64);
            let version = item.text("version").unwrap_or("").to_owned();
            let touched = match rows {
                Rows::None => continue,
                Rows::Keys(keys) => keys.contains(&key),
                Rows::All => true,
            };
            if touched {
                out.touched.insert(key, Installed { id, version, row: digest::row(&item) });
            } else {
                out.others.push((id, digest::row(&item)));
            }
        }
        known.software.insert(section.to_owned(), out);
    }

    pub(crate) fn apply(&mut self, decision: Decision) -> Reply {
        let mut once = BTreeSet::new();
        for row in &decision.rows {
            let name = match row {
                Row::Agent(agent) => agent.id.to_string(),
                Row::Asset(asset) => asset.id.to_string(),
                Row::Ticket(ticket) => ticket.id.to_string(),
                Row::Counted { ticket, .. } => ticket.to_string(),
                Row::JoinToken(token) => token.id.to_string(),
                Row::ApiToken(token) => token.id.to_string(),
                _ => continue,
            };
            assert!(once.insert(name), "two rows of one thing would race each other: {row:?}");
        }
        for row in decision.rows {
            self.keep(row);
        }
        self.journal.extend(decision.events);
        decision.reply
    }

    fn keep(&mut self, row: Row) {
        match row {
            Row::Agent(agent) => {
                let before = self.agents.get(&agent.id).map_or(0, |held| held.rev);
                assert_eq!(agent.rev, before + 1, "revision of agent {}", agent.id);
                self.agents.insert(agent.id, *agent);
            }
            Row::Asset(asset) => {
                let before = self.assets.get(&asset.id).map_or(0, |held| held.rev);
                assert_eq!(asset.rev, before + 1, "revision of asset {}", asset.id);
                self.assets.insert(asset.id, *asset);
            }
            Row::Evidence(asset, evidence) => drop(self.evidence.insert(asset, evidence)),
            Row::Addresses(asset, addresses) => drop(self.addresses.insert(asset, addresses)),
            Row::Section(asset, head) => drop(self.sections.insert((asset, head.name.clone()), head)),
            Row::DropSection { asset, section } => {
                self.sections.remove(&(asset, section.clone()));
                self.items.remove(&(asset, section));
            }
            Row::Items { asset, section, put, del, whole } => {
                let held = self.items.entry((asset, section)).or_default();
                if whole {
                    held.clear();
                }
                del.iter().for_each(|key| drop(held.remove(key)));
                held.extend(put.into_iter().map(|item| (item.key.clone(), item)));
            }
            Row::Software { asset, section, keep, add } => {
                let kept = keep.into_iter().map(|id| self.dictionary[usize::try_from(id).expect("a number")].clone());
                let rows: Items = kept.chain(add.iter().cloned()).map(|item| (item.key.clone(), item)).collect();
                self.dictionary.extend(add);
                self.items.insert((asset, section), rows);
            }
            Row::Fault(fault) => drop(self.faults.insert(fault.fingerprint.clone(), fault)),
            Row::DropFault { fingerprint, .. } => drop(self.faults.remove(&fingerprint)),
            Row::Ticket(ticket) => drop(self.tickets.insert(ticket.id, *ticket)),
            Row::Counted { ticket, count, last_seen } => {
                let ticket = self.tickets.get_mut(&ticket).expect("a ticket");
                (ticket.count, ticket.last_seen) = (count, Some(last_seen));
            }
            Row::Comment(_) | Row::Once(_) | Row::ForgetOnce(_) => {}
            Row::Link(link) => drop(self.links.insert(link.id, link)),
            Row::Unlink(id) => drop(self.links.remove(&id)),
            Row::JoinToken(token) => drop(self.join_tokens.insert(token.id, token)),
            Row::ApiToken(token) => drop(self.api_tokens.insert(token.id, token)),
            Row::Held { agent, stream, record } => drop(self.held.insert((agent, stream), record)),
        }
    }

    /// Rows of one section of an asset.
    pub(crate) fn held(&self, asset: AssetId, section: &str) -> Items {
        self.items.get(&(asset, section.to_owned())).cloned().unwrap_or_default()
    }

    pub(crate) fn asset_of(&self, agent: AgentId) -> AssetId {
        self.agents[&agent].asset.expect("the agent has an asset")
    }

    /// Takes what was journalled since the last time.
    pub(crate) fn told(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.journal).into_iter().map(|draft| draft.event).collect()
    }

    /// The kinds of what was journalled since the last time.
    pub(crate) fn kinds(&mut self) -> Vec<String> {
        self.told().iter().map(kind).collect()
    }
}

/// The name of an event's kind.
pub(crate) fn kind(event: &Event) -> String {
    let json = serde_json::to_value(event).expect("json");
    json["kind"].as_str().expect("a kind").to_owned()
}

/// A machine with an agent: its sections, and what it told of them.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    pub(crate) agent: AgentId,
    pub(crate) stream: Stream,
    pub(crate) seq: u64,
    pub(crate) moved: bool,
    /// What the machine is; `None` for a section that cannot be read.
    pub(crate) truth: BTreeMap<String, Option<Items>>,
    told: BTreeMap<String, (State, Items)>,
    whole: BTreeSet<String>,
    digests: bool,
}

impl Machine {
    pub(crate) fn new(agent: AgentId) -> Machine {
        let (truth, told) = (BTreeMap::new(), BTreeMap::new());
        Machine {
            agent,
            stream: Digest([1; 16]),
            seq: 0,
            moved: false,
            truth,
            told,
            whole: BTreeSet::new(),
            digests: false,
        }
    }

    /// The same machine under another key and without state: its disk was wiped.
    pub(crate) fn wiped(&self, agent: AgentId) -> Machine {
        Machine { truth: self.truth.clone(), ..Machine::new(agent) }
    }

    pub(crate) fn set(&mut self, section: &str, items: impl IntoIterator<Item = Item>) {
        let items = items.into_iter().map(|item| (item.key.clone(), item)).collect();
        self.truth.insert(section.into(), Some(items));
    }

    pub(crate) fn put(&mut self, section: &str, item: Item) {
        let rows = self.truth.entry(section.into()).or_default().get_or_insert_default();
        rows.insert(item.key.clone(), item);
    }

    pub(crate) fn identify(&mut self, evidence: &[(evidence::Kind, &str)]) {
        let items = evidence.iter().map(|(kind, value)| Item::from(Evidence { kind: *kind, value: (*value).into() }));
        self.set(evidence::SECTION, items.collect::<Vec<_>>());
    }

    fn lose_state(&mut self, stream: u8) {
        (self.told, self.seq, self.stream) = (BTreeMap::new(), 0, Digest([stream; 16]));
        (self.whole, self.digests) = (BTreeSet::new(), false);
    }

    /// The agent lost all it had on disk but its key.
    pub(crate) fn restart(&mut self, stream: u8) {
        self.lose_state(stream);
    }

    /// A version of the agent that no longer has this section.
    pub(crate) fn forget(&mut self, section: &str) {
        self.truth.remove(section);
        self.told.remove(section);
    }

    /// The rows of a section as they were told last.
    pub(crate) fn last(&self, section: &str) -> Option<&Items> {
        self.told.get(section).map(|(_, rows)| rows)
    }

    pub(crate) fn root(&self) -> Digest {
        digest::root(
            self.told.iter().map(|(name, (state, items))| (name.as_str(), *state, digest::section_of(items.values()))),
        )
    }

    /// The next record: what differs from what was told, and what was asked for.
    pub(crate) fn record(&mut self, at: At) -> Record {
        let mut sections = Vec::new();
        for (name, now) in self.truth.clone() {
            let told = self.told.get(&name).cloned();
            let state = if now.is_some() { State::Seen } else { State::Failed };
            let rows = now.or(told.as_ref().map(|(_, rows)| rows.clone())).unwrap_or_default();
            let whole = told.is_none() || self.whole.contains(&name);
            let old = told.clone().map(|(_, rows)| rows).unwrap_or_default();
            let same = told.is_some_and(|(was, was_rows)| was == state && was_rows == rows);
            if same && !whole && !self.digests {
                continue;
            }
            let put: Vec<Item> =
                rows.iter().filter(|(key, item)| old.get(*key) != Some(item)).map(|(_, item)| item.clone()).collect();
            let del: Vec<String> = old.keys().filter(|key| !rows.contains_key(*key)).cloned().collect();
            let changed = !put.is_empty() || !del.is_empty();
            let delta = changed && !whole;
            sections.push(Part {
                section: name.clone(),
                state,
                digest: digest::section_of(rows.values()),
                base: delta.then(|| digest::section_of(old.values())),
                put: if whole { Some(rows.values().cloned().collect()) } else { delta.then_some(put) },
                del: if delta { del } else { Vec::new() },
                problems: Vec::new(),
                truncated: false,
            });
            self.told.insert(name, (state, rows));
        }
        (self.whole, self.digests) = (BTreeSet::new(), false);
        self.seq += 1;
        Record { seq: self.seq, at, root: self.root(), sections, gap: None }
    }

    pub(crate) fn want(&mut self, want: &[String]) {
        for name in want {
            match name.as_str() {
                "*" => self.digests = true,
                name => drop(self.whole.insert(name.to_owned())),
            }
        }
    }

    pub(crate) fn report(&self, record: &Record) -> Work {
        let hash = digest::of_bytes(&serde_json::to_vec(record).expect("json"));
        Work::Report(Box::new(Report {
            agent: self.agent,
            stream: self.stream,
            record: record.clone(),
            hash,
            moved: self.moved,
        }))
    }

    /// One check-in that arrives; what it is answered is taken up.
    pub(crate) fn check_in(&mut self, world: &mut World) -> Result<Vec<String>, Refusal> {
        let record = self.record(world.now);
        let Reply::Report { want, .. } = world.submit(&self.report(&record))? else { panic!("a report's answer") };
        self.want(&want);
        Ok(want)
    }

    /// Check-ins until nothing is wanted.
    pub(crate) fn settle(&mut self, world: &mut World) {
        for _ in 0..6 {
            if self.check_in(world).expect("taken").is_empty() {
                return;
            }
        }
        panic!("the collector still wants something");
    }
}

/// A laptop with hardware of its own, told apart by `n`.
pub(crate) fn laptop(agent: AgentId, n: u32) -> Machine {
    use evidence::Kind::*;
    let mut machine = Machine::new(agent);
    let name = format!("host-{n}");
    let evidence = [
        (SystemSerial, format!("LENOVO|20XW|PF{n:06}")),
        (SmbiosUuid, format!("4c4c4544-0052-3510-8054-{n:012x}")),
        (BoardSerial, format!("LENOVO|L1HF{n:06}")),
        (ChassisSerial, format!("LENOVO|CH{n:06}")),
        (DiskWwn, format!("eui.002538{n:010x}")),
        (DiskSerial, format!("MZVL2512|S64D{n:06}")),
        (PermanentMac, format!("00:1b:21:00:00:{n:02x}")),
        (ModuleSerial, format!("Samsung|M471|3A{n:06}")),
        (ModuleSerial, format!("Samsung|M471|3B{n:06}")),
        (Hostname, name.clone()),
        (MachineId, format!("{n:032x}")),
    ];
    machine.identify(&evidence.iter().map(|(kind, value)| (*kind, value.as_str())).collect::<Vec<_>>());
    let os = Item { label: Some("Debian GNU/Linux 12 (bookworm)".into()), ..Item::new("os", "os") };
    machine.set("os", [os.with("hostname", Some(name)).with("kernel", Some("6.1.0-1")).with("arch", Some("x86_64"))]);
    machine.set(
        "system",
        [
            Item {
                maker: Some("LENOVO".into()),
                model: Some("ThinkPad X1".into()),
                serial: Some(format!("PF{n:06}")),
                ..Item::new("system", "system")
            },
            Item::new("chassis", "chassis").with("form", Some("Notebook")),
        ],
    );
    machine.set("dpkg", (0..12).map(|i| package(&format!("pkg{i}"), "1.0")));
    machine.set(
        "disks",
        [Item {
            serial: Some(format!("S64D{n:06}")),
            label: Some("nvme0n1".into()),
            ..Item::new("disk", format!("eui.002538{n:010x}"))
        }],
    );
    machine
}

pub(crate) fn package(name: &str, version: &str) -> Item {
    let package =
        software::Package { manager: "dpkg", name, version, arch: Some("amd64"), ..software::Package::default() };
    package.into()
}

pub(crate) fn reading(check: &str, resource: &str, value: i64) -> Item {
    let reading = shared::health::Reading {
        check: check.into(),
        resource: resource.into(),
        value,
        total: None,
        identity: None,
        detail: None,
    };
    reading.into()
}
