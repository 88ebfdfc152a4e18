//! What people, tools and agents may ask for. Words only: what is allowed, the rules say.

use crate::desk::model::{End, Kind, Rel};
use crate::register::model::{ApiToken, Cert, Declared, JoinToken};
use crate::work::rotation::Rotation;
use shared::checkin::Goodbye;
use shared::id::{AgentId, ApiTokenId, AssetId, JoinTokenId, LinkId, TicketId};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What people, tools and agents may ask for, other than reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// An agent comes with a join token. The secret was hashed, the request's signature verified.
    Enroll { token: JoinTokenId, hash: [u8; 32], fingerprint: String, name: String, version: String, source: IpAddr },
    /// An agent asks for a certificate with a new key.
    Renew { agent: AgentId, fingerprint: String },
    /// An agent used the certificate that it was handed last, together with roots of this revision.
    NextUsed { agent: AgentId, roots: u16 },
    /// The certificate that an agent uses was handed to it together with roots of this revision.
    HasRoots { agent: AgentId, roots: u16 },
    /// An agent whose certificate ended proves that it has the key, and asks for a new one.
    /// `old` is what its certificate says, `generation` what itself says.
    Recover { agent: AgentId, old: Cert, generation: u64, fingerprint: String, source: IpAddr },
    /// An agent used a certificate of our CA that is neither of those it is known to have: an earlier one, or
    /// one that was given out after the backup which the register was restored from.
    Unknown { agent: AgentId, cert: Cert, roots: u16, source: IpAddr },
    /// An agent says that it is of this version.
    Upgraded { agent: AgentId, version: String },
    /// An agent shows that two machines share one state.
    Forked { agent: AgentId, detail: String },
    /// An agent says that all is as its last record said: counts for faults that wait to hold or to pass.
    /// Submitted only for agents that have such faults; other beats touch no table.
    Beat { agent: AgentId },
    /// An agent says that it will be silent.
    Goodbye { agent: AgentId, why: Goodbye },
    /// An agent waiting for approval is let in; the fingerprint must be the one it showed.
    Approve { agent: AgentId, fingerprint: String },
    /// An agent may no longer speak.
    Revoke { agent: AgentId, reason: String },
    /// A person decides on a quarantined agent.
    Resolve { agent: AgentId, how: Resolution, reason: String },
    /// The register was restored from a backup whose journal ends at `head`; so many were revoked on it.
    Restored { head: u64, agents: u64, api_tokens: u64, join_tokens: u64 },
    /// A join token is made.
    CreateJoinToken { token: Box<JoinToken> },
    /// A join token is ended.
    RevokeJoinToken { token: JoinTokenId },
    /// An API token is made.
    CreateApiToken { token: Box<ApiToken> },
    /// An API token is ended.
    RevokeApiToken { token: ApiTokenId },
    /// A step of a rotation of the CA.
    RotateCa(Box<Rotation>),
    /// Declared columns of an asset: the outer `Some` is "to be changed", the inner the new value.
    EditAsset { asset: AssetId, rev: Option<u64>, edit: AssetEdit },
    /// A ticket is opened.
    OpenTicket(Box<NewTicket>),
    /// Columns of a ticket.
    EditTicket { ticket: TicketId, rev: Option<u64>, edit: TicketEdit },
    /// A step of the ticket's process.
    MoveTicket { ticket: TicketId, rev: Option<u64>, to: String, reason: String, fields: BTreeMap<String, String> },
    /// Something is written on a ticket.
    CommentTicket { ticket: TicketId, text: String },
    /// Two things are linked.
    AddLink { from: End, rel: Rel, to: End },
    /// A link is taken away.
    RemoveLink { link: LinkId },
}

/// What a person may decide on a quarantined agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// It is right after all: it keeps its asset and its stream starts anew.
    Keep,
    /// It is another machine: it gets an asset of its own.
    Split,
    /// It is revoked; both copies enroll again.
    Reenroll,
}

/// Declared columns to change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AssetEdit {
    /// Inventory tag.
    pub tag: Option<Option<String>>,
    /// Who answers for it.
    pub owner: Option<Option<String>>,
    /// Where it is.
    pub location: Option<Option<String>>,
    /// 1 to 4.
    pub criticality: Option<Option<u8>>,
}

impl AssetEdit {
    /// The layer after the edit.
    #[must_use]
    pub fn over(&self, declared: &Declared) -> Declared {
        fn pick<T: Clone>(edit: &Option<Option<T>>, old: &Option<T>) -> Option<T> {
            edit.clone().unwrap_or_else(|| old.clone())
        }
        Declared {
            tag: pick(&self.tag, &declared.tag),
            owner: pick(&self.owner, &declared.owner),
            location: pick(&self.location, &declared.location),
            criticality: pick(&self.criticality, &declared.criticality),
        }
    }
}

/// A ticket to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTicket {
    /// Which kind.
    pub kind: Kind,
    /// One line.
    pub title: String,
    /// More.
    pub description: String,
    /// 1 to 3; the process's default otherwise.
    pub impact: Option<u8>,
    /// 1 to 3; the process's default otherwise.
    pub urgency: Option<u8>,
    /// Who works on it.
    pub assignee: Option<String>,
    /// Who asked for it.
    pub requester: Option<String>,
    /// What only its kind has.
    pub fields: BTreeMap<String, String>,
    /// Assets it concerns: linked with `affects`.
    pub assets: Vec<AssetId>,
}

/// Columns of a ticket to change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TicketEdit {
    /// One line.
    pub title: Option<String>,
    /// More.
    pub description: Option<String>,
    /// 1 to 3.
    pub impact: Option<u8>,
    /// 1 to 3.
    pub urgency: Option<u8>,
    /// Who works on it.
    pub assignee: Option<Option<String>>,
    /// Who asked for it.
    pub requester: Option<Option<String>>,
    /// What only its kind has; an empty value takes the field away.
    pub fields: BTreeMap<String, String>,
}
