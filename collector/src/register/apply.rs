//! One round: a record that is to be taken, from the asset that it is about to the answer.

use super::identity::{Conflict, Newcomer, Own};
use super::model::{Agent, AgentState, Asset, Candidate, Class, Declared, Items, Lifecycle, Observed, Section};
use super::sync::{self, Change, Outcome};
use super::{diff, health, identity, observe, quarantine, score};
use crate::event::{Actor, Event, Subject};
use crate::work::{Context, Decision, Known, Refusal, Reply, Report, Row};
use shared::checkin::{Gap, Part, State};
use shared::digest::{self, Digest};
use shared::evidence::{self, Evidence};
use shared::fact::Item;
use shared::id::AssetId;
use std::collections::{BTreeMap, BTreeSet};

/// What is known of the round so far.
pub(super) struct Round<'a> {
    report: &'a Report,
    agent: &'a Agent,
    known: &'a Known,
    context: &'a mut Context,
    decision: Decision,
    /// What becomes of each part, in the record's order.
    outcomes: Vec<(&'a Part, Outcome)>,
    /// Heads of all sections of the asset, as they are after the round.
    heads: BTreeMap<String, Section>,
    want: BTreeSet<String>,
    /// Records before this one never arrived, and what they told may have been asked for.
    has_gap: bool,
}

impl<'a> Round<'a> {
    pub(super) fn new(report: &'a Report, agent: &'a Agent, known: &'a Known, context: &'a mut Context) -> Round<'a> {
        let mut seen = BTreeSet::new();
        let judge = |part: &'a Part| match seen.insert(part.section.as_str()) {
            true => (part, sync::judge(part, known.sections.get(&part.section), known, context.now)),
            // A section is told once in a record; what else is said of it comes whole.
            false => (part, Outcome::Wanted),
        };
        let outcomes = report.record.sections.iter().map(judge).collect();
        let decision = Decision::new(Reply::Done);
        Round {
            report,
            agent,
            known,
            context,
            decision,
            outcomes,
            heads: known.sections.clone(),
            want: BTreeSet::new(),
            has_gap: false,
        }
    }

    pub(super) fn run(mut self) -> Result<Decision, Refusal> {
        self.lost();
        let told = self.evidence();
        let own = self.known.own.as_ref().filter(|own| self.agent.asset == Some(own.asset.id));
        let (old, asset) = match own {
            Some(_) if self.is_unproven() => {
                self.want_all();
                let asset = self.agent.asset;
                return Ok(self.answer(asset));
            }
            Some(own) => {
                if let Err((detail, other)) = self.verify(own, told.as_deref()) {
                    let mut decision = Decision::new(Reply::Done);
                    quarantine::put(self.agent, ("contradiction", &detail), other, &mut decision);
                    return Ok(quarantine::hold(self.report, self.agent, decision));
                }
                (Some(own.asset.clone()), own.asset.clone())
            }
            None => match self.born(told.as_deref()) {
                Some(asset) => (None, asset),
                None => return Ok(self.answer(None)),
            },
        };
        if let Some(told) = &told {
            let held = own.map_or(&[][..], |own| &own.evidence);
            let merged = identity::merged(told, held);
            if own.is_none() || merged != held {
                self.decision.keep(Row::Evidence(asset.id, merged));
            }
        }
        let container = told.as_deref().is_some_and(score::is_container);
        let asset = self.observe(asset, old.as_ref(), container);
        self.sections(&asset);
        self.health(&asset);
        Ok(self.answer(Some(asset.id)))
    }

    fn tell(&mut self, subjects: impl IntoIterator<Item = Subject>, event: Event) {
        self.decision.tell(&Actor::Agent(self.agent.id), subjects, event);
    }

    /// Records that never arrived: told by the agent, or seen by a hole in `seq`.
    fn lost(&mut self) {
        let record = &self.report.record;
        let is_new = self.agent.stream.is_none() || self.agent.stream != Some(self.report.stream);
        let hole = record.seq.saturating_sub(self.agent.seq.saturating_add(1));
        let gap = match &record.gap {
            Some(gap) => gap.clone(),
            None if !is_new && hole > 0 => {
                Gap { records: hole, from: record.at, to: record.at, reason: "unexplained".to_owned() }
            }
            None => return,
        };
        let subjects: Vec<Subject> =
            [Subject::Agent(self.agent.id)].into_iter().chain(self.agent.asset.map(Subject::Asset)).collect();
        self.has_gap = true;
        self.tell(subjects, Event::ReportsLost { gap });
    }

    /// All evidence after the record, if it told any.
    fn evidence(&self) -> Option<Vec<Evidence>> {
        self.outcomes.iter().find_map(|(part, outcome)| match outcome {
            Outcome::Rows(_, Change::Items(_, new)) if part.section == evidence::SECTION => {
                Some(new.values().filter_map(Evidence::from_item).collect())
            }
            _ => None,
        })
    }

    /// Whether evidence was told that cannot be judged yet. Nothing else is applied before it is: it may show
    /// that all of the record is about another machine.
    fn is_unproven(&self) -> bool {
        let wanted = |(part, outcome): &(&Part, Outcome)| {
            part.section == evidence::SECTION && matches!(outcome, Outcome::Wanted)
        };
        self.outcomes.iter().any(wanted)
    }

    fn want_all(&mut self) {
        self.want.extend(self.report.record.sections.iter().map(|part| part.section.clone()));
    }

    /// Checks a known key against its asset. An error is what contradicts, and the asset that it points to.
    fn verify(&mut self, own: &Candidate, told: Option<&[Evidence]>) -> Result<(), (String, Option<AssetId>)> {
        let Some(told) = told else { return Ok(()) };
        let (verdict, conflicts) = identity::own(told, own, self.known);
        match verdict {
            Own::Same => {}
            Own::Other(detail, other) => return Err((detail, other)),
            Own::Board(changed, why) => {
                let changed = changed
                    .into_iter()
                    .map(|one| crate::event::Changed {
                        field: one.kind,
                        from: Some(one.held.into()),
                        to: Some(one.told.into()),
                    })
                    .collect();
                self.tell([Subject::Asset(own.asset.id)], Event::MainboardReplaced { changed, why });
            }
        }
        self.conflicts(own.asset.id, conflicts);
        Ok(())
    }

    fn conflicts(&mut self, asset: AssetId, conflicts: Vec<Conflict>) {
        let agent = self.agent.id;
        for Conflict { other, evidence, why } in conflicts {
            let subjects = [Subject::Asset(asset), Subject::Asset(other), Subject::Agent(agent)];
            self.tell(subjects, Event::IdentityConflict { agent, other, evidence, why });
        }
    }

    /// The asset of a key that speaks for none yet: a new one, or `None` where nothing can be applied now
    /// (it is bound to one that exists, or not enough was told).
    fn born(&mut self, told: Option<&[Evidence]>) -> Option<Asset> {
        let about = self.outcomes.iter().find(|(part, _)| part.section == evidence::SECTION);
        let unreadable = about.is_some_and(|(part, _)| part.state == State::Failed);
        if told.is_none() && !unreadable && (about.is_some() || !self.is_complete()) {
            // Without evidence a machine that was here before would become a second asset.
            if about.is_some() {
                self.want_all();
            } else {
                self.want.insert("*".to_owned());
            }
            return None;
        }
        let interval_s = i64::from(self.context.policy.settings.checkin_s);
        match identity::newcomer(told.unwrap_or(&[]), self.agent, self.known, interval_s, self.context.now) {
            Newcomer::Is { asset, score, why } => {
                self.bind(asset, score, &why);
                None
            }
            Newcomer::New { why, conflicts } => Some(self.create(&why, conflicts)),
        }
    }

    /// Takes an asset over. Its rows are not known now: every section comes whole in the next record, and is
    /// then compared with what the machine was before.
    fn bind(&mut self, asset: AssetId, score: u32, why: &str) {
        let Some(candidate) = self.known.candidates.iter().find(|one| one.asset.id == asset) else { return };
        let agent = self.agent.id;
        let next = Asset {
            rev: candidate.asset.rev + 1,
            updated: self.context.now,
            agent: Some(agent),
            ..candidate.asset.clone()
        };
        self.decision.keep(Row::Asset(Box::new(next)));
        if let Some((old, _)) = &candidate.agent {
            let subjects = [Subject::Asset(asset), Subject::Agent(old.id)];
            self.tell(subjects, Event::AssetReimaged { was: old.id, why: why.to_owned() });
            if matches!(old.state, AgentState::Active | AgentState::Pending) {
                self.tell([Subject::Agent(old.id), Subject::Asset(asset)], Event::AgentSuperseded { by: agent });
                self.decision.keep(Row::Agent(Box::new(Agent {
                    rev: old.rev + 1,
                    state: AgentState::Superseded,
                    reason: format!("the agent that enrolled as {} took its place", self.agent.name),
                    ..old.clone()
                })));
            }
        }
        let subjects = [Subject::Asset(asset), Subject::Agent(agent)];
        self.tell(subjects, Event::AgentBound { agent, why: why.to_owned(), score });
        self.want_all();
        self.decision.keep(Row::Agent(Box::new(self.spoke(Some(asset), Digest::default()))));
    }

    fn create(&mut self, why: &str, conflicts: Vec<Conflict>) -> Asset {
        let (id, agent) = (AssetId(self.context.fresh.uuid()), self.agent.id);
        let asset = Asset {
            id,
            rev: 0,
            created: self.context.now,
            updated: self.context.now,
            class: Class::Computer,
            lifecycle: Lifecycle::Deployed,
            agent: Some(agent),
            observed: Observed { name: Some(self.agent.name.clone()), ..Observed::default() },
            declared: Declared::default(),
        };
        let new = self.new_items();
        let told = self.evidence();
        let container = told.as_deref().is_some_and(score::is_container);
        let name = observe::columns(&asset.observed, &new).name.unwrap_or_default();
        let class = observe::class(asset.class, &new, container).name().to_owned();
        let subjects = [Subject::Asset(id), Subject::Agent(agent)];
        self.tell(subjects, Event::AssetCreated { name, class, why: why.to_owned() });
        self.tell(subjects, Event::AgentBound { agent, why: "its first report".to_owned(), score: 0 });
        self.conflicts(id, conflicts);
        asset
    }

    /// Generic sections that changed, as they are after the record.
    fn new_items(&self) -> observe::New<'_> {
        let rows = self.outcomes.iter().filter_map(|(part, outcome)| match outcome {
            Outcome::Rows(_, Change::Items(_, new)) => Some((part.section.as_str(), new)),
            _ => None,
        });
        rows.collect()
    }

    /// Brings the asset's columns up to date; tells what changed unless the asset is new.
    fn observe(&mut self, asset: Asset, old: Option<&Asset>, container: bool) -> Asset {
        let new = self.new_items();
        let next = Asset {
            observed: observe::columns(&asset.observed, &new),
            class: observe::class(asset.class, &new, container),
            ..asset
        };
        let addresses = new.get("network").map(|network| observe::addresses(network));
        if let Some(addresses) = addresses {
            self.decision.keep(Row::Addresses(next.id, addresses));
        }
        if old == Some(&next) {
            return next;
        }
        let next = Asset { rev: next.rev + 1, updated: self.context.now, ..next };
        if let Some(old) = old {
            let changed = observe::changes(old, &next);
            if !changed.is_empty() {
                self.tell([Subject::Asset(next.id)], Event::AssetChanged { changed });
            }
        }
        self.decision.keep(Row::Asset(Box::new(next.clone())));
        next
    }

    /// Heads, rows and events of every section.
    fn sections(&mut self, asset: &Asset) {
        let about = [Subject::Asset(asset.id)];
        let mut baseline: BTreeMap<String, u64> = BTreeMap::new();
        let mut events = Vec::new();
        let outcomes = std::mem::take(&mut self.outcomes);
        for (part, outcome) in &outcomes {
            let name = &part.section;
            let old = self.known.sections.get(name);
            let first = old.is_none_or(|head| head.digest == Digest::default());
            let head = match outcome {
                Outcome::Wanted => {
                    self.want.insert(name.clone());
                    continue;
                }
                Outcome::Held(head, rows, left) => {
                    self.want.insert(name.clone());
                    events.push(Event::DropHeld { section: name.clone(), rows: *rows, left: *left });
                    head
                }
                Outcome::Head(head) => head,
                Outcome::Asked(head) => {
                    self.want.insert(name.clone());
                    head
                }
                Outcome::Rows(head, change) => {
                    if !first {
                        events.extend(told(name, change, asset));
                    } else if self.agent.asset.is_none() || name != evidence::SECTION {
                        // Evidence told anew, after a person's decision, is nothing new to people.
                        baseline.insert(name.clone(), head.rows);
                    }
                    self.decision.rows.extend(rows(asset.id, name, change, old.is_none()));
                    head
                }
            };
            match (old.map(|old| old.state), head.state) {
                (Some(State::Seen), State::Failed) => {
                    events.push(Event::SectionFailed { section: name.clone(), problems: head.problems.clone() });
                }
                (Some(State::Failed), State::Seen) if !first => {
                    events.push(Event::SectionRestored { section: name.clone() });
                }
                _ => {}
            }
            if old != Some(head) {
                self.decision.keep(Row::Section(asset.id, head.clone()));
            }
            self.heads.insert(name.clone(), head.clone());
        }
        self.outcomes = outcomes;
        if !baseline.is_empty() {
            self.tell(about, Event::Baseline { sections: baseline });
        }
        for event in events {
            self.tell(about, event);
        }
        self.forget(asset.id);
    }

    /// Sections that the agent has no more, if the record names all that it has.
    fn forget(&mut self, asset: AssetId) {
        if !self.is_complete() {
            return;
        }
        let named: BTreeSet<&str> = self.report.record.sections.iter().map(|part| part.section.as_str()).collect();
        let gone: Vec<String> = self.heads.keys().filter(|name| !named.contains(name.as_str())).cloned().collect();
        for section in gone {
            self.heads.remove(&section);
            self.decision.keep(Row::DropSection { asset, section });
        }
    }

    /// Whether the record names every section that the agent has: then its root is that of its parts.
    fn is_complete(&self) -> bool {
        let parts: BTreeMap<&str, (State, Digest)> =
            self.report.record.sections.iter().map(|part| (part.section.as_str(), (part.state, part.digest))).collect();
        let root = digest::root(parts.iter().map(|(name, (state, digest))| (*name, *state, *digest)));
        !parts.is_empty() && root == self.report.record.root
    }

    fn health(&mut self, asset: &Asset) {
        let none = Items::new();
        let mut told: BTreeMap<&str, health::Told<'_>> = self
            .outcomes
            .iter()
            .filter(|(part, _)| shared::health::is_section(&part.section))
            .filter_map(|(part, outcome)| match outcome {
                Outcome::Rows(head, Change::Items(_, new)) if head.state == State::Seen => {
                    Some((part.section.as_str(), health::Told::Rows(new)))
                }
                Outcome::Head(head) if head.state == State::Seen => Some((part.section.as_str(), health::Told::Same)),
                _ => None,
            })
            .collect();
        let gone = self.known.sections.keys().filter(|name| !self.heads.contains_key(*name));
        told.extend(gone.map(|name| (name.as_str(), health::Told::Rows(&none))));
        let now = health::Now { at: self.context.now, policy: &self.context.policy };
        let failed = health::failed(self.heads.values());
        let steps = health::steps(asset.id, &self.known.faults, &told, &failed, now);
        if !steps.is_empty() {
            self.decision.faults = Some(Box::new((asset.clone(), steps)));
        }
    }

    /// The agent after this record.
    fn spoke(&self, asset: Option<AssetId>, root: Digest) -> Agent {
        Agent {
            rev: self.agent.rev + 1,
            asset,
            stream: Some(self.report.stream),
            seq: self.report.record.seq,
            record: self.report.hash,
            root,
            goodbye: None,
            reason: match self.report.moved || asset.is_none() {
                true => self.agent.reason.clone(),
                false => String::new(),
            },
            ..self.agent.clone()
        }
    }

    /// What is held now, and what is wanted.
    fn answer(mut self, asset: Option<AssetId>) -> Decision {
        let root = match asset {
            Some(_) => sync::root(self.heads.values()),
            None => Digest::default(),
        };
        let bound = self.decision.rows.iter().any(|row| matches!(row, Row::Agent(next) if next.id == self.agent.id));
        if !bound {
            let next = self.spoke(asset.or(self.agent.asset), root);
            self.decision.keep(Row::Agent(Box::new(next)));
        }
        if self.has_gap {
            self.want.extend(sync::open(&self.heads));
        }
        if self.want.is_empty() && root != self.report.record.root {
            self.want.insert("*".to_owned());
        }
        let want = self.want.into_iter().collect();
        self.decision.reply = Reply::Report { root, seq: self.report.record.seq, want, stale: false };
        self.decision
    }
}

/// What to tell about changed rows.
fn told(section: &str, change: &Change, asset: &Asset) -> Vec<Event> {
    match change {
        Change::Items(old, new) => diff::events(section, old, new),
        Change::Software(packages) => packages.event(section, asset.observed.arch.as_deref()).into_iter().collect(),
    }
}

/// The rows to keep, if any differ.
fn rows(asset: AssetId, section: &str, change: &Change, whole: bool) -> Option<Row> {
    let section = section.to_owned();
    match change {
        Change::Software(packages) if packages.is_nothing() && !whole => None,
        Change::Software(packages) => {
            Some(Row::Software { asset, section, keep: packages.keep.clone(), add: packages.add.clone() })
        }
        Change::Items(_, new) if whole => {
            Some(Row::Items { asset, section, put: new.values().cloned().collect(), del: Vec::new(), whole })
        }
        Change::Items(old, new) => {
            let put: Vec<Item> =
                new.iter().filter(|(key, item)| old.get(*key) != Some(item)).map(|(_, item)| item.clone()).collect();
            let del: Vec<String> = old.keys().filter(|key| !new.contains_key(*key)).cloned().collect();
            (!put.is_empty() || !del.is_empty()).then_some(Row::Items { asset, section, put, del, whole })
        }
    }
}
