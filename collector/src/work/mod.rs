//! What may be asked of the core, what it must know for it, and what it decides.
//!
//! Only words: [`decide`](crate::decide) says who decides what. `now` and the source of ids come in with
//! [`Context`], so that the same work on the same knowledge always decides the same.

mod act;
mod context;
pub mod once;
pub mod rotation;

pub use act::{Act, AssetEdit, NewTicket, Resolution, TicketEdit};
pub use context::{Context, Fresh, Policy};

use crate::desk::model::{Comment, End, Kind, Link, Rel, Ticket};
use crate::event::{Actor, Event, Subject};
use crate::register::model::{
    Agent, ApiToken, Asset, Candidate, Cert, Custody, Fault, Items, JoinToken, Section, Software, Step,
};
use shared::checkin::{Record, Stream};
use shared::digest::Digest;
use shared::evidence::Evidence;
use shared::fact::Item;
use shared::id::{AgentId, ApiTokenId, AssetId, JoinTokenId, LinkId, TicketId};
use shared::unit::At;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// One thing to be decided and applied as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// One record of a check-in.
    Report(Box<Report>),
    /// Somebody wants something done.
    Act {
        /// Who.
        actor: Actor,
        /// What.
        act: Act,
    },
    /// The same, by somebody who may ask again without knowing whether it was done.
    Once {
        /// By what the second time is known.
        once: once::Once,
        /// Who.
        actor: Actor,
        /// What.
        act: Act,
    },
    /// Time has passed: faults that hold for long enough, automatic closings.
    Tick,
}

impl Work {
    /// Who wants it, where it is somebody's wish.
    pub fn actor(&self) -> Option<&Actor> {
        match self {
            Work::Act { actor, .. } | Work::Once { actor, .. } => Some(actor),
            Work::Report(_) | Work::Tick => None,
        }
    }
}

/// One record of a check-in, and what came with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Who speaks, known from TLS.
    pub agent: AgentId,
    /// The stream it is on.
    pub stream: Stream,
    /// The record.
    pub record: Record,
    /// The digest of the record's JSON.
    pub hash: Digest,
    /// The agent noticed that the machine is another one.
    pub moved: bool,
}

/// What a rule may want to know of a section: which rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rows {
    /// Only what is held about the section.
    None,
    /// Rows with these keys, and (for software) the digests of all others.
    Keys(Vec<String>),
    /// Every row.
    All,
}

/// What `decide` must know: named by the work alone, so that the store can load it in one go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Needs {
    /// This agent, its asset (with evidence, all section heads and all its open faults), and when it was last heard.
    pub agent: Option<AgentId>,
    /// Rows of these sections of the agent's asset (before that is known to change).
    pub sections: BTreeMap<String, Rows>,
    /// Up to 8 assets that hold one of these identifiers, the agent's own left out; those found by the
    /// identifiers that the fewest assets hold come first, so that junk crowds nobody out.
    pub evidence: Vec<Evidence>,
    /// How many assets hold each of those identifiers is told too; see [`Known::holders`].
    pub assets: Vec<AssetId>,
    /// These tickets.
    pub tickets: Vec<TicketId>,
    /// This link.
    pub link: Option<LinkId>,
    /// Whether this pair is linked already, found by the pair itself.
    pub pair: Option<(End, Rel, End)>,
    /// This join token.
    pub join_token: Option<JoinTokenId>,
    /// The agent that came with the token and this key.
    pub first_key: Option<(JoinTokenId, String)>,
    /// This API token.
    pub api_token: Option<ApiTokenId>,
    /// What this actor was told under this key, and how many keys are kept for them.
    pub once: Option<(Actor, String)>,
    /// The next free number of every kind of ticket.
    pub numbers: bool,
    /// Tickets that rules opened for the agent's asset, the newest of each open fault among them.
    pub fault_tickets: bool,
    /// The latest events (for a snapshot) of the agent's asset and of those of waiting faults: at most this many
    /// of each.
    pub recent_events: usize,
    /// Links of these assets and tickets, of the agent's asset when `fault_tickets` is set, of the assets of
    /// waiting faults and of resting tickets, with the tickets at their other ends. Of each kind of link of one
    /// thing a bounded number, the newest. Of an asset only links with tickets in `open_states`.
    pub links: bool,
    /// States of tickets that matter to the assets with which they are linked.
    pub open_states: Vec<&'static str>,
    /// The incidents that were opened for a quarantine of the agent, and of the one that speaks for its asset,
    /// with their links to the assets known, the next numbers and the asset's latest events.
    pub quarantine: Option<When>,
    /// `numbers`, `fault_tickets`, `recent_events` and `links` may be left out unless the agent's asset has
    /// an open fault: without one, this work opens and moves no ticket.
    pub only_with_faults: bool,
    /// Faults of any asset that wait for time to pass (a bounded number, those that wait longest), with their
    /// assets and those assets' tickets as `fault_tickets` has them: for a tick. Left out are those of which time
    /// proves nothing: the agent said goodbye, or the section that tells of them cannot be read.
    pub waiting_faults: bool,
    /// Tickets that nobody has written for so long in a state: a bounded number of each, the longest first, with
    /// their links if those are wanted.
    pub resting: Vec<Resting>,
}

/// Tickets of a kind that have been in a state, unwritten, for so many seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resting {
    /// The kind.
    pub kind: Kind,
    /// The state.
    pub state: &'static str,
    /// For how long.
    pub seconds: i64,
}

/// When something must be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Always.
    Always,
    /// Not while the agent is active: then this work does not put it into quarantine.
    UnlessActive,
}

/// What was loaded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Known {
    /// The agent.
    pub agent: Option<Agent>,
    /// When it was last heard.
    pub heard: Option<At>,
    /// Its asset with its evidence.
    pub own: Option<Candidate>,
    /// Heads of all sections of its asset.
    pub sections: BTreeMap<String, Section>,
    /// Rows of generic sections that were asked for.
    pub items: BTreeMap<String, Items>,
    /// Rows of software sections that were asked for.
    pub software: BTreeMap<String, Software>,
    /// The agent told more software that nobody had than it may for now: none is taken that its asset has not.
    pub software_full: bool,
    /// Other assets that hold some of the evidence.
    pub candidates: Vec<Candidate>,
    /// How many assets hold each identifier asked for (0 left out): learned junk is held by many.
    pub holders: BTreeMap<Evidence, u64>,
    /// Faults of the asset that are not cleared, by fingerprint.
    pub faults: BTreeMap<String, Fault>,
    /// Assets by id.
    pub assets: BTreeMap<AssetId, Asset>,
    /// Tickets by id: those asked for, and those of faults.
    pub tickets: BTreeMap<TicketId, Ticket>,
    /// The link.
    pub link: Option<Link>,
    /// The link that the pair has already.
    pub pair: Option<Link>,
    /// The join token.
    pub join_token: Option<JoinToken>,
    /// The agent of the token and key.
    pub enrolled: Option<Agent>,
    /// The API token.
    pub api_token: Option<ApiToken>,
    /// What is kept of the actor's idempotency keys.
    pub once: once::Memory,
    /// The next free number by kind of ticket.
    pub numbers: BTreeMap<Kind, u64>,
    /// The latest events of assets as JSON, newest first.
    pub recent_events: BTreeMap<AssetId, Vec<String>>,
    /// Links.
    pub links: Vec<Link>,
}

/// An event to be journalled; `actor` is a rule where it is not who asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Who.
    pub actor: Actor,
    /// What it is about.
    pub subjects: Vec<Subject>,
    /// What happened.
    pub event: Event,
}

/// A row to be kept, whole, as it is from now on. A row with a `rev` is written only if the one held has
/// the revision before it; else somebody else was faster and the work is decided again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// An agent.
    Agent(Box<Agent>),
    /// An asset.
    Asset(Box<Asset>),
    /// The evidence of an asset, all of it.
    Evidence(AssetId, Vec<Evidence>),
    /// The addresses of an asset, all of them, without prefix.
    Addresses(AssetId, Vec<String>),
    /// The head of a section.
    Section(AssetId, Section),
    /// Rows of a generic section: put, and delete by key; `whole` deletes all others.
    Items { asset: AssetId, section: String, put: Vec<Item>, del: Vec<String>, whole: bool },
    /// A section that the machine no longer has: its head and all its rows go.
    DropSection { asset: AssetId, section: String },
    /// The software of a section: numbers kept, and rows added.
    Software { asset: AssetId, section: String, keep: Vec<i64>, add: Vec<Item> },
    /// A fault that is not cleared, by its fingerprint.
    Fault(Fault),
    /// A fault that has passed, or never held.
    DropFault { asset: AssetId, fingerprint: String },
    /// A ticket.
    Ticket(Box<Ticket>),
    /// How often a ticket was told and when last, and nothing else of it: no new revision.
    Counted { ticket: TicketId, count: u64, last_seen: At },
    /// A comment.
    Comment(Comment),
    /// A link.
    Link(Link),
    /// A link that is gone.
    Unlink(LinkId),
    /// A join token.
    JoinToken(JoinToken),
    /// An API token.
    ApiToken(ApiToken),
    /// What was answered under an idempotency key.
    Once(Box<once::Kept>),
    /// Keys that were used before this time are no longer kept; a bounded number goes at once.
    ForgetOnce(At),
    /// A quarantined agent's latest record, held back (one per stream, bounded): JSON.
    Held { agent: AgentId, stream: Stream, record: String },
}

/// What the asker is told once everything is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// A record was taken, or was held already.
    Report { root: Digest, seq: u64, want: Vec<String>, stale: bool },
    /// An identity may be signed for this certificate.
    Granted { agent: AgentId, cert: Cert, new: bool },
    /// The agent waits for approval.
    Pending { agent: AgentId },
    /// The ticket as it is now.
    Ticket(Box<Ticket>),
    /// The comment as it was kept.
    Comment(Comment),
    /// The link as it is kept; whether it is new.
    Link { link: Link, new: bool },
    /// The asset as it is now.
    Asset(Box<Asset>),
    /// Nothing more to tell.
    Done,
}

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// For the journal, in order.
    pub events: Vec<Draft>,
    /// For the tables.
    pub rows: Vec<Row>,
    /// For the asker.
    pub reply: Reply,
    /// Faults of an asset that moved: for the desk, which takes them from here.
    pub faults: Option<Box<(Asset, Vec<Step>)>>,
    /// Agents that went into quarantine or out of it: for the desk, which takes them from here.
    pub custody: Vec<Custody>,
}

impl Decision {
    /// Nothing decided yet; the asker will be told `reply`.
    pub fn new(reply: Reply) -> Decision {
        Decision { events: Vec::new(), rows: Vec::new(), reply, faults: None, custody: Vec::new() }
    }

    /// Adds an event.
    pub fn tell(&mut self, actor: &Actor, subjects: impl IntoIterator<Item = Subject>, event: Event) {
        self.events.push(Draft { actor: actor.clone(), subjects: subjects.into_iter().collect(), event });
    }

    /// Adds a row.
    pub fn keep(&mut self, row: Row) {
        self.rows.push(row);
    }
}

/// Why a work is not done. Nothing of it is kept, except that refused enrollments are journalled
/// ([`Refused`](crate::register::refused::Refused)).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// 404.
    #[error("{0} not found")]
    NotFound(String),
    /// 412: the caller's copy is old.
    #[error("{what} was changed by somebody else: it is at revision {rev}; read it again")]
    Stale {
        /// What.
        what: String,
        /// Its revision now.
        rev: u64,
    },
    /// 409: it cannot be so, given what is there.
    #[error("{0}")]
    Conflict(String),
    /// 422: the input is not right.
    #[error("{field}: {why}")]
    Invalid {
        /// Which field.
        field: String,
        /// What is wrong, and what would be right.
        why: String,
    },
    /// 403: it is more than the asker has to give.
    #[error("{field}: {why}")]
    Beyond {
        /// Which field.
        field: String,
        /// What the asker has, and what to ask for.
        why: String,
    },
    /// 429: the asker has used up what there is for them, for now.
    #[error("{why}")]
    TooMany {
        /// What there is too much of, and what to do.
        why: String,
        /// Seconds after which there is room.
        retry_s: u32,
    },
    /// 403 with one body for all reasons; `why` is for the journal only.
    #[error("enrollment refused")]
    Enroll {
        /// The reason that the journal keeps.
        why: &'static str,
        /// From where.
        from: IpAddr,
        /// The name it claimed.
        name: String,
        /// The token, if there is one of that id.
        token: Option<JoinTokenId>,
    },
    /// 403: this agent may not speak.
    #[error("agent is {0}")]
    Barred(&'static str),
    /// 409: two machines use one identity. The agent is quarantined by the work that follows.
    #[error("fork: {0}")]
    Fork(String),
}

impl Refusal {
    /// An input that is not right: which field, what is wrong and what would be right.
    pub fn invalid(field: impl Into<String>, why: impl Into<String>) -> Refusal {
        Refusal::Invalid { field: field.into(), why: why.into() }
    }
}
