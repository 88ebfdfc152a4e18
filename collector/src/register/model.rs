//! The register's nouns, as the rules see them. Rows of the database are private to the store; these are
//! what it loads and is told to keep.

use serde::{Deserialize, Serialize};
use shared::checkin::{Goodbye, Problem, State, Stream};
use shared::digest::Digest;
use shared::evidence::Evidence;
use shared::fact::Item;
use shared::id::{AgentId, ApiTokenId, AssetId, JoinTokenId, TicketId};
use shared::unit::At;
use std::collections::BTreeMap;

/// A closed set of names: the enum, its text both ways, and serde in snake case.
macro_rules! names {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$vdoc])* $variant,)+ }

        impl $name {
            /// All of them.
            pub const ALL: &[$name] = &[$($name::$variant,)+];

            /// Its text, in the API and the database.
            pub fn name(self) -> &'static str {
                match self { $($name::$variant => $text,)+ }
            }

            /// The one of that text.
            pub fn of(text: &str) -> Option<$name> {
                match text { $($text => Some($name::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}
pub(crate) use names;

names! {
    /// Whether an agent may speak. Read on every request.
    AgentState {
        /// Waits for an admin's approval; has no certificate that is good.
        Pending = "pending",
        /// Speaks.
        Active = "active",
        /// Speaks, but nothing it says is applied until a person decides.
        Quarantined = "quarantined",
        /// Another agent took its place on the same machine.
        Superseded = "superseded",
        /// Never speaks again.
        Revoked = "revoked",
    }
}

names! {
    /// Where an asset is in its life.
    Lifecycle {
        /// Wanted.
        Planned = "planned",
        /// Bought.
        Ordered = "ordered",
        /// Ready to be given out.
        InStock = "in_stock",
        /// Promised to a request.
        Reserved = "reserved",
        /// In use.
        Deployed = "deployed",
        /// Away for repair.
        InRepair = "in_repair",
        /// To be given back.
        ReturnPending = "return_pending",
        /// No longer used.
        Retired = "retired",
        /// Gone, with proof.
        Disposed = "disposed",
        /// Nobody knows where.
        Lost = "lost",
        /// Taken.
        Stolen = "stolen",
    }
}

names! {
    /// What an asset is.
    Class {
        /// A physical computer of unknown build.
        Computer = "computer",
        /// A portable computer.
        Laptop = "laptop",
        /// A desktop computer.
        Desktop = "desktop",
        /// A server.
        Server = "server",
        /// A virtual machine.
        Vm = "vm",
        /// A container that has an agent of its own.
        Container = "container",
    }
}

names! {
    /// How lately an asset was heard. Derived, never stored, and never the reason for a lifecycle move.
    Presence {
        /// Heard within two intervals.
        Online = "online",
        /// Said goodbye: switched off or asleep.
        Off = "off",
        /// Not heard for more than two intervals.
        Silent = "silent",
        /// Not heard for 14 days.
        Stale = "stale",
        /// Not heard for 45 days.
        Missing = "missing",
        /// Never heard.
        Never = "never",
    }
}

/// A certificate that an agent has or is about to use, known by its public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cert {
    /// Counts the agent's certificates, from 1.
    pub generation: u64,
    /// SHA-256 of the SubjectPublicKeyInfo, hexadecimal.
    pub fingerprint: String,
    /// When it ends.
    pub expires: At,
}

/// An enrolled agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// Its id.
    pub id: AgentId,
    /// Revision: 1 when new, one more with each write.
    pub rev: u64,
    /// Whether it may speak.
    pub state: AgentState,
    /// Why it is in that state, for people; when active, why a person kept or split it, until it no longer says
    /// that it moved and has an asset, else empty.
    pub reason: String,
    /// What the machine called itself when it enrolled.
    pub name: String,
    /// The agent's version, as it said last.
    pub version: String,
    /// The join token it came with.
    pub token: JoinTokenId,
    /// Labels of that token.
    pub labels: BTreeMap<String, String>,
    /// The address it enrolled from.
    pub source: String,
    /// When it enrolled.
    pub enrolled: At,
    /// The key it enrolled with (fingerprint): the same token and key give the same identity again.
    pub first_key: String,
    /// The certificate in use; none before the first.
    pub current: Option<Cert>,
    /// The certificate that was handed out and not used yet; while a recovery waits for approval, the key that
    /// asked, and until when it waits.
    pub next: Option<Cert>,
    /// The revision of the roots that were handed out with the certificate that it used last: so it has those.
    pub roots: u16,
    /// How often it was recovered after its certificate had ended, since it last renewed in time.
    pub recoveries: u32,
    /// The asset it speaks for.
    pub asset: Option<AssetId>,
    /// The stream it is on; none before the first record.
    pub stream: Option<Stream>,
    /// The last record applied.
    pub seq: u64,
    /// The digest of that record's bytes.
    pub record: Digest,
    /// The root digest held after it.
    pub root: Digest,
    /// The last goodbye, until it is heard again.
    pub goodbye: Option<Goodbye>,
}

impl Agent {
    /// Whether a person said that it speaks for another machine than it did, and it has not spoken since.
    pub fn is_split(&self) -> bool {
        self.state == AgentState::Active && self.asset.is_none() && !self.reason.is_empty()
    }

    /// The key that it is known by: while it waits for approval the one that is to be approved.
    pub fn key(&self) -> &str {
        let cert = if self.state == AgentState::Pending { self.next.as_ref() } else { self.current.as_ref() };
        cert.map_or(&self.first_key, |cert| &cert.fingerprint)
    }

    /// The highest generation of the certificates that it was given, as far as is known.
    pub fn generation(&self) -> u64 {
        [&self.current, &self.next].into_iter().flatten().map(|cert| cert.generation).max().unwrap_or(0)
    }
}

/// One thing in the register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asset {
    /// Its id.
    pub id: AssetId,
    /// Revision, the ETag.
    pub rev: u64,
    /// When it came into the register.
    pub created: At,
    /// Last written.
    pub updated: At,
    /// What it is.
    pub class: Class,
    /// Where it is in its life.
    pub lifecycle: Lifecycle,
    /// The agent that speaks for it.
    pub agent: Option<AgentId>,
    /// What machines say.
    pub observed: Observed,
    /// What people say.
    pub declared: Declared,
}

impl Asset {
    /// What people call it.
    pub fn title(&self) -> &str {
        let Observed { name, serial, .. } = &self.observed;
        let told = [name, &self.declared.tag, serial].into_iter().flatten().find(|text| !text.is_empty());
        told.map_or("an asset without a name", String::as_str)
    }
}

/// The observed layer's columns: what is filtered by. All else is in items.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Observed {
    /// Host name.
    pub name: Option<String>,
    /// Maker of the system.
    pub maker: Option<String>,
    /// Model of the system.
    pub model: Option<String>,
    /// Serial of the system.
    pub serial: Option<String>,
    /// Operating system as sold.
    pub os_name: Option<String>,
    /// Its version.
    pub os_version: Option<String>,
    /// Kernel release.
    pub kernel: Option<String>,
    /// Architecture.
    pub arch: Option<String>,
    /// Memory in bytes.
    pub memory_bytes: Option<i64>,
    /// The CPU's marketing name.
    pub cpu: Option<String>,
}

/// The declared layer's columns.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Declared {
    /// Inventory tag.
    pub tag: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Where it is.
    pub location: Option<String>,
    /// 1 (most critical) to 4.
    pub criticality: Option<u8>,
}

/// What the register holds of one section of one asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Its name.
    pub name: String,
    /// Seen or failed.
    pub state: State,
    /// The digest of the rows held; all zero while the section was never seen.
    pub digest: Digest,
    /// How many rows.
    pub rows: u64,
    /// What is missing, and why.
    pub problems: Vec<Problem>,
    /// It was cut at its limit.
    pub truncated: bool,
    /// A digest that the agent said while other rows are held: of a big drop that waits for its
    /// confirmation by the next report or, while failed, of what the agent has left of the section.
    pub held: Option<Digest>,
    /// When it last changed.
    pub changed: At,
}

/// One package that an asset has, as far as rules need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// The dictionary's number of this exact row.
    pub id: i64,
    /// Its version.
    pub version: String,
    /// Its row digest.
    pub row: Digest,
}

/// The software of one section of an asset.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Software {
    /// By key: the rows that the work touches, or all of them where it sends the whole section.
    pub touched: BTreeMap<String, Installed>,
    /// Number and row digest of all others.
    pub others: Vec<(i64, Digest)>,
}

/// An asset that evidence points to, with what is needed to judge it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The asset.
    pub asset: Asset,
    /// All evidence held for it.
    pub evidence: Vec<Evidence>,
    /// The agent that speaks for it, and when that was last heard.
    pub agent: Option<(Agent, Option<At>)>,
}

/// A health condition: from the first bad reading on, through the time it holds, to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The asset.
    pub asset: AssetId,
    /// The check.
    pub check: String,
    /// The resource, by the name that people know.
    pub resource: String,
    /// Asset, check and the resource's lasting identity: at most one open incident for each.
    pub fingerprint: String,
    /// Where it stands.
    pub state: FaultState,
    /// How bad.
    pub severity: Severity,
    /// The last value, in the check's unit.
    pub value: i64,
    /// One line for people.
    pub detail: String,
    /// The first bad reading, by the collector's clock.
    pub first: At,
    /// The last bad reading.
    pub last: At,
    /// Reports that said so in a row; while passing, reports that said the opposite.
    pub reports: u32,
    /// Since when readings are good, while `Passing`.
    pub good_since: Option<At>,
    /// The incident that was opened for it.
    pub ticket: Option<TicketId>,
}

/// A fault that a report or the time moved or told again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// As it is from now on.
    pub fault: Fault,
    /// Where it stood before; none when it is new.
    pub was: Option<FaultState>,
}

/// An agent was quarantined or let go, or more was heard of one that is: for the desk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Custody {
    /// The agent, as it was before.
    pub agent: Agent,
    /// What happened.
    pub step: CustodyStep,
}

/// A step into quarantine, within it, or out of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CustodyStep {
    /// It is quarantined from now on.
    Held {
        /// Why, in a word.
        reason: String,
        /// Why, at length.
        detail: String,
        /// The other asset that its evidence points to.
        other: Option<AssetId>,
    },
    /// It is quarantined, and more evidence came.
    Again,
    /// A person ended it.
    Ended {
        /// What the person decided.
        how: String,
        /// Why.
        reason: String,
    },
}

names! {
    /// Where a fault stands.
    FaultState {
        /// Bad, but not for long enough.
        Pending = "pending",
        /// It holds.
        Raised = "raised",
        /// It held, and readings are good, but not for long enough.
        Passing = "passing",
        /// It has passed.
        Cleared = "cleared",
    }
}

names! {
    /// How bad a fault is.
    Severity {
        /// Can wait.
        Minor = "minor",
        /// Degraded.
        Major = "major",
        /// Work stopped.
        Critical = "critical",
    }
}

/// A join token; its secret is held only as a hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinToken {
    /// Its id, part of its text.
    pub id: JoinTokenId,
    /// Revision.
    pub rev: u64,
    /// SHA-256 of the secret.
    pub hash: [u8; 32],
    /// When it was made.
    pub created: At,
    /// Who made it.
    pub creator: String,
    /// When it ends.
    pub expires: At,
    /// How many agents may come with it.
    pub uses: u32,
    /// How many came.
    pub used: u32,
    /// From where.
    pub cidr: Option<String>,
    /// Agents wait for approval.
    pub approve: bool,
    /// Labels for agents that come with it.
    pub labels: BTreeMap<String, String>,
    /// It was revoked.
    pub revoked: bool,
}

/// An API token; its secret is held only as a hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiToken {
    /// Its id, part of its text.
    pub id: ApiTokenId,
    /// Revision.
    pub rev: u64,
    /// SHA-256 of the secret.
    pub hash: [u8; 32],
    /// What it is for.
    pub name: String,
    /// What it may do: `assets:read` …
    pub scopes: Vec<String>,
    /// When it was made.
    pub created: At,
    /// Who made it.
    pub creator: String,
    /// When it ends.
    pub expires: At,
    /// From where it may be used.
    pub cidr: Option<String>,
    /// It was revoked.
    pub revoked: bool,
}

/// The items of a section, by key.
pub type Items = BTreeMap<String, Item>;
