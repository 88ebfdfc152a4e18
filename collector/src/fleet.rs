//! What every request of an agent needs to know, in memory: may it speak, with which key, what does the
//! register hold of it, when was it last heard.
//!
//! Loaded when the collector starts and kept up to date by what each commit wrote, before the asker is
//! answered: so a revocation bites on the next request, also on a connection that is already open. A beat is
//! answered from here and touches no table. Does not know: the database, how a request came in, any rule.

use crate::register::model::{Agent, AgentState, Fault, FaultState};
use crate::work::Row;
use shared::checkin::{Goodbye, Stream};
use shared::digest::Digest;
use shared::id::{AgentId, AssetId};
use shared::unit::At;
use std::collections::{HashMap, HashSet};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// One agent, as far as its requests need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Whether it may speak.
    pub state: AgentState,
    /// A person decided to keep it although it says that its machine is another one.
    pub kept: bool,
    /// The agent's version, as it said last.
    pub version: String,
    /// Fingerprint of the key in use.
    pub current: Option<String>,
    /// Fingerprint of the key that was handed out and not used yet.
    pub next: Option<String>,
    /// The highest generation of the agent's certificates, as far as is known.
    pub generation: u64,
    /// The revision of the roots that it has, as far as is known.
    pub roots: u16,
    /// The stream it is on.
    pub stream: Option<Stream>,
    /// The last record applied.
    pub seq: u64,
    /// The root digest held after it.
    pub root: Digest,
    /// The asset it speaks for.
    pub asset: Option<AssetId>,
    /// The last goodbye, until it is heard again.
    pub goodbye: Option<Goodbye>,
    /// When it was last heard.
    pub heard: Option<At>,
    /// Fields and words that it said since this process started and that are not known here.
    pub unknown: u64,
    /// `heard` is later than what the database holds.
    unflushed: bool,
}

/// Which of an agent's keys a connection proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// The one in use.
    Current,
    /// The one handed out last: it is in use from now on.
    Next,
    /// Any other: a certificate that was superseded, or given out after the backup that the register is from.
    Unknown,
}

impl Member {
    fn of(agent: &Agent, heard: Option<At>) -> Member {
        Member {
            state: agent.state,
            kept: agent.state == AgentState::Active && !agent.reason.is_empty(),
            version: agent.version.clone(),
            current: agent.current.as_ref().map(|cert| cert.fingerprint.clone()),
            next: agent.next.as_ref().map(|cert| cert.fingerprint.clone()),
            generation: agent.generation(),
            roots: agent.roots,
            stream: agent.stream,
            seq: agent.seq,
            root: agent.root,
            asset: agent.asset,
            goodbye: agent.goodbye,
            heard,
            unknown: 0,
            unflushed: false,
        }
    }

    /// Which key this fingerprint is.
    pub fn key(&self, fingerprint: &str) -> Key {
        if self.current.as_deref() == Some(fingerprint) {
            Key::Current
        } else if self.next.as_deref() == Some(fingerprint) {
            Key::Next
        } else {
            Key::Unknown
        }
    }
}

#[derive(Default)]
struct Inner {
    members: HashMap<AgentId, Member>,
    waiting: HashMap<AssetId, HashSet<String>>,
}

/// All agents.
#[derive(Default)]
pub struct Fleet {
    inner: RwLock<Inner>,
    flushing: tokio::sync::Mutex<()>,
}

impl Fleet {
    /// Held while what was heard goes to the database.
    pub async fn flushing(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.flushing.lock().await
    }

    /// Takes in what the database holds when the collector starts: every agent with when it was last heard, and
    /// the faults that wait to hold, to pass, or for an incident.
    pub fn load(&self, agents: &[(Agent, Option<At>)], waiting: &[Fault]) {
        let mut inner = self.write();
        for (agent, heard) in agents {
            inner.members.insert(agent.id, Member::of(agent, *heard));
        }
        for fault in waiting {
            inner.fault(fault);
        }
    }

    /// Takes over what a commit wrote. Called by the store after the commit and before any answer.
    pub fn committed(&self, rows: &[Row]) {
        if !rows.iter().any(|row| matches!(row, Row::Agent(_) | Row::Fault(_) | Row::DropFault { .. })) {
            return;
        }
        let mut inner = self.write();
        for row in rows {
            match row {
                Row::Agent(agent) => inner.agent(agent),
                Row::Fault(fault) => inner.fault(fault),
                Row::DropFault { asset, fingerprint } => inner.no_fault(*asset, fingerprint),
                _ => {}
            }
        }
    }

    /// This agent, as it is now.
    pub fn member(&self, agent: AgentId) -> Option<Member> {
        self.read().members.get(&agent).cloned()
    }

    /// When this agent was last heard.
    pub fn heard(&self, agent: AgentId) -> Option<At> {
        self.read().members.get(&agent).and_then(|member| member.heard)
    }

    /// Notes that this agent was heard.
    pub fn hear(&self, agent: AgentId, now: At) {
        if let Some(member) = self.write().members.get_mut(&agent) {
            member.heard = member.heard.max(Some(now));
            member.unflushed = true;
        }
    }

    /// Whether beats of this agent count for a fault.
    pub fn waits(&self, agent: AgentId) -> bool {
        let inner = self.read();
        let asset = inner.members.get(&agent).and_then(|member| member.asset);
        asset.is_some_and(|asset| inner.waiting.contains_key(&asset))
    }

    /// Notes how much of what this agent said is not known here.
    pub fn puzzle(&self, agent: AgentId, unknown: u64) {
        if let Some(member) = self.write().members.get_mut(&agent) {
            member.unknown = member.unknown.saturating_add(unknown);
        }
    }

    /// Agents that said what is not known here, in the order of ids.
    pub fn puzzling(&self) -> Vec<AgentId> {
        let inner = self.read();
        let mut agents: Vec<AgentId> =
            inner.members.iter().filter(|(_, member)| member.unknown > 0).map(|(id, _)| *id).collect();
        agents.sort_unstable();
        agents
    }

    /// Takes what is to be flushed: every agent heard since the last call, in the order of ids.
    pub fn take_unflushed(&self) -> Vec<(AgentId, At)> {
        let mut heard = Vec::new();
        for (id, member) in &mut self.write().members {
            if let (true, Some(at)) = (member.unflushed, member.heard) {
                member.unflushed = false;
                heard.push((*id, at));
            }
        }
        heard.sort_unstable();
        heard
    }

    /// How many agents there are.
    pub fn len(&self) -> usize {
        self.read().members.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    // A thread that panicked while holding the lock left single fields behind, each of them valid.
    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn agent(&mut self, agent: &Agent) {
        let before = self.members.get(&agent.id);
        let mut member = Member::of(agent, before.and_then(|member| member.heard));
        member.unflushed = before.is_some_and(|member| member.unflushed);
        member.unknown = before.map_or(0, |member| member.unknown);
        self.members.insert(agent.id, member);
    }

    fn fault(&mut self, fault: &Fault) {
        let waits = match fault.state {
            FaultState::Pending | FaultState::Passing => true,
            // Why it has no incident may be over by the next beat.
            FaultState::Raised => fault.ticket.is_none(),
            FaultState::Cleared => false,
        };
        if waits {
            self.waiting.entry(fault.asset).or_default().insert(fault.fingerprint.clone());
        } else {
            self.no_fault(fault.asset, &fault.fingerprint);
        }
    }

    fn no_fault(&mut self, asset: AssetId, fingerprint: &str) {
        if let Some(waiting) = self.waiting.get_mut(&asset) {
            waiting.remove(fingerprint);
            if waiting.is_empty() {
                self.waiting.remove(&asset);
            }
        }
    }
}

#[cfg(test)]
mod tests;
