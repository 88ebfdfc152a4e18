//! The vocabulary of the journal: what can have happened.
//!
//! Serialised for ever and only ever extended: a variant or a field is never renamed, removed or given
//! another meaning. Readers keep kinds they do not know as they are. An event tells people and other tools
//! what happened; it is not the store of the present (that is in the tables, written in the same
//! transaction).

use crate::desk::model::{Link, Ticket};
use crate::register::model::{Fault, Lifecycle};
use serde::{Deserialize, Serialize};
use shared::checkin::{Gap, Problem};
use shared::fact::Value;
use shared::id::{AgentId, ApiTokenId, AssetId, CauseId, CommentId, JoinTokenId, TicketId};
use shared::unit::At;
use std::collections::BTreeMap;
use std::fmt;

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Actor {
    /// An admin on the collector's host, known by the kernel: `local:<uid>`.
    Local(u32),
    /// The holder of an API token: `token:<id>`.
    Token(ApiTokenId),
    /// An agent: `agent:<id>`.
    Agent(AgentId),
    /// Whoever showed this join token: `join:<id>`.
    Join(JoinTokenId),
    /// A rule of Muster's own: `rule:<name>`.
    Rule(&'static str),
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Actor::Local(uid) => write!(f, "local:{uid}"),
            Actor::Token(id) => write!(f, "token:{id}"),
            Actor::Agent(id) => write!(f, "agent:{id}"),
            Actor::Join(id) => write!(f, "join:{id}"),
            Actor::Rule(name) => write!(f, "rule:{name}"),
        }
    }
}

impl Actor {
    /// A person, or a tool on a person's behalf, rather than a machine or a rule.
    pub fn is_person(&self) -> bool {
        matches!(self, Actor::Local(_) | Actor::Token(_))
    }
}

/// What an event is about; an event may be about several things, and stands in the timeline of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// `asset:<id>`.
    Asset(AssetId),
    /// `agent:<id>`.
    Agent(AgentId),
    /// `ticket:<id>`.
    Ticket(TicketId),
    /// `join_token:<id>`.
    JoinToken(JoinTokenId),
    /// `api_token:<id>`.
    ApiToken(ApiTokenId),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Asset(id) => write!(f, "asset:{id}"),
            Subject::Agent(id) => write!(f, "agent:{id}"),
            Subject::Ticket(id) => write!(f, "ticket:{id}"),
            Subject::JoinToken(id) => write!(f, "join_token:{id}"),
            Subject::ApiToken(id) => write!(f, "api_token:{id}"),
        }
    }
}

/// One line of the journal, as it is stored and served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number, from 1, without holes, in the order of commits.
    pub seq: u64,
    /// When, by the collector's clock.
    pub at: At,
    /// Who, in the form of [`Actor`].
    pub actor: String,
    /// Who, as people called it then: a token's name, a host, `local:0`.
    pub by: String,
    /// What it has in common with the events of the same work.
    pub cause: CauseId,
    /// What it is about, in the form of [`Subject`].
    pub subjects: Vec<String>,
    /// The same as people called them then, one for one: a host, `INC-17`.
    pub about: Vec<String>,
    /// What happened; kinds of a later version are kept as they are.
    pub event: Told,
}

/// An event as read back: known to this version, or kept as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Told {
    /// A kind that this version knows.
    Known(Box<Event>),
    /// Any other.
    Other(Value),
}

/// A field that changed. `None` is "nothing there".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// Its name.
    pub field: String,
    /// Before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Value>,
    /// After.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Value>,
}

/// What an event says of an item: enough to know it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brief {
    /// The item's kind.
    pub kind: String,
    /// Its key.
    pub key: String,
    /// One line for people: `Samsung MZVL2512 S/N S64D… 512 GB`.
    pub title: String,
    /// Its serial, by which it can be found elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
}

/// One package that changed its version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upgrade {
    /// Name, with the architecture where it says something.
    pub name: String,
    /// Version before.
    pub from: String,
    /// Version after.
    pub to: String,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// A join token was made.
    JoinTokenCreated { uses: u32, expires: At, cidr: Option<String>, approve: bool, labels: BTreeMap<String, String> },
    /// A join token can no longer be used.
    JoinTokenRevoked {},
    /// An enrollment or a recovery was refused; the answer did not say why, this does. More of a kind within a
    /// minute are one event: their number, the network that they came from and the last name.
    EnrollRefused {
        why: String,
        source: String,
        name: String,
        #[serde(default = "one", skip_serializing_if = "is_one")]
        count: u64,
    },
    /// An API token was made.
    ApiTokenCreated { name: String, scopes: Vec<String>, expires: At },
    /// An API token can no longer be used.
    ApiTokenRevoked { name: String },
    /// The next roots of the authority were made and are handed out: SHA-256 of their certificates, hexadecimal.
    CaPrepared { revision: u16, server: String, agents: String },
    /// The next roots were abandoned before they ever signed, and their keys were destroyed; told are those that are left.
    CaAbandoned { revision: u16, server: String, agents: String },
    /// They sign from now on. So many agents do not know them and are locked out until they enroll again; the first
    /// of them by name.
    CaActivated { revision: u16, server: String, agents: String, locked_out: u64, names: Vec<String> },
    /// Those before are trusted no more, and their keys were destroyed; told are those that are left. So many agents
    /// still had a certificate by the old ones and are locked out until they enroll again; the first of them by name.
    CaRetired { revision: u16, server: String, agents: String, locked_out: u64, names: Vec<String> },
    /// The register was restored from a backup, whose journal ended at `head`. What was revoked since was revoked
    /// again, and every join token ended.
    Restored { head: u64, agents: u64, api_tokens: u64, join_tokens: u64 },
    /// A new agent has its identity, or waits for approval.
    AgentEnrolled { name: String, version: String, source: String, fingerprint: String, pending: bool },
    /// A waiting agent was let in.
    AgentApproved {},
    /// An agent got its next certificate.
    AgentRenewed { generation: u64, fingerprint: String, expires: At },
    /// An agent that was away past its certificate's end got a new one.
    AgentRecovered { generation: u64, fingerprint: String, expires: At },
    /// An agent asked for a new certificate for its ended one once too often; it waits for approval.
    AgentRecoveryPending { fingerprint: String, recoveries: u32 },
    /// An agent showed a later certificate of ours than the register knew: it was restored from a backup.
    AgentCertificateAdopted { generation: u64, fingerprint: String, expires: At },
    /// An agent is of another version than it was.
    AgentUpgraded { from: String, to: String },
    /// An agent may no longer speak.
    AgentRevoked { reason: String },
    /// An agent's reports are held back: two machines seem to use one key, or its hardware contradicts its asset.
    AgentQuarantined { reason: String, detail: String },
    /// A person decided on a quarantined agent.
    AgentResolved { how: String, reason: String },
    /// Another agent took this one's place on the same machine.
    AgentSuperseded { by: AgentId },
    /// An agent said that it will be silent.
    AgentGoodbye { why: String },
    /// Reports were lost before they could be sent.
    ReportsLost { gap: Gap },
    /// An asset came into the register.
    AssetCreated { name: String, class: String, why: String },
    /// An agent speaks for this asset from now on; `why` explains the match.
    AgentBound { agent: AgentId, why: String, score: u32 },
    /// The same hardware came back with a new agent.
    AssetReimaged { was: AgentId, why: String },
    /// The main board was replaced: its serial and UUID changed, the rest of the machine did not.
    MainboardReplaced { changed: Vec<Changed>, why: String },
    /// What was reported claims an identifier of another asset; nothing was merged.
    IdentityConflict { agent: AgentId, other: AssetId, evidence: String, why: String },
    /// The first report: what the register holds of the asset from now on, rows per section.
    Baseline { sections: BTreeMap<String, u64> },
    /// Observed columns of the asset changed: its name, OS, model …
    AssetChanged { changed: Vec<Changed> },
    /// People changed declared columns.
    AssetEdited { changed: Vec<Changed> },
    /// The lifecycle moved.
    AssetMoved { from: Lifecycle, to: Lifecycle, reason: String },
    /// Something is new.
    ItemAdded { section: String, item: Brief },
    /// Something is gone.
    ItemRemoved { section: String, item: Brief },
    /// One of a kind took another's place.
    ItemReplaced { section: String, removed: Brief, added: Brief },
    /// Something is configured differently.
    ItemChanged { section: String, item: Brief, changed: Vec<Changed> },
    /// More changed in one section than is told one by one.
    ItemsChanged { section: String, added: Vec<Brief>, removed: Vec<Brief>, changed: Vec<Brief> },
    /// Software came, went, or changed its version: one event a report and section.
    SoftwareChanged { section: String, installed: Vec<String>, removed: Vec<String>, upgraded: Vec<Upgrade> },
    /// A section can no longer be read; its rows stay as last seen.
    SectionFailed { section: String, problems: Vec<Problem> },
    /// A section can be read again.
    SectionRestored { section: String },
    /// More than half of a section disappeared at once: held until the next report confirms it.
    DropHeld { section: String, rows: u64, left: u64 },
    /// A fault holds.
    FaultRaised { fault: Fault },
    /// A fault has passed.
    FaultCleared { fault: Fault },
    /// A ticket was opened; as it was then, without its snapshot.
    TicketOpened { ticket: Box<Ticket> },
    /// A ticket moved along its process.
    TicketMoved { from: String, to: String, reason: String },
    /// Columns of a ticket changed.
    TicketEdited { changed: Vec<Changed> },
    /// Somebody wrote on a ticket.
    TicketCommented { comment: CommentId, text: String },
    /// Two things were linked.
    LinkAdded { link: Link },
    /// A link was taken away.
    LinkRemoved { link: Link },
}

fn one() -> u64 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_one(count: &u64) -> bool {
    *count == 1
}

impl Event {
    /// A ticket was opened. Its snapshot is left out: it holds events itself, and stands in the ticket for good.
    pub fn opened(ticket: &Ticket) -> Event {
        Event::TicketOpened { ticket: Box::new(Ticket { snapshot: None, ..ticket.clone() }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_carries_its_kind() {
        let event = Event::SectionRestored { section: "disks".into() };
        let text = serde_json::to_string(&event).expect("json");
        assert_eq!(text, r#"{"kind":"section_restored","section":"disks"}"#);
        assert_eq!(serde_json::from_str::<Told>(&text).expect("told"), Told::Known(Box::new(event)));
    }

    #[test]
    fn a_kind_of_a_later_version_is_kept() {
        let text = r#"{"kind":"asset_teleported","to":"Mars"}"#;
        let told: Told = serde_json::from_str(text).expect("told");
        assert!(matches!(told, Told::Other(_)));
        assert_eq!(serde_json::to_string(&told).expect("json"), text);
    }
}
