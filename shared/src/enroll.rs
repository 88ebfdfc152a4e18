//! How an agent gets its identity, renews it, and finds back after a long absence.
//!
//! | call | port | who is known how |
//! | --- | --- | --- |
//! | `POST /v1/enroll` | web and enroll | by a join token |
//! | `POST /v1/recover` | web and enroll | by a signature with the key of an expired certificate |
//! | `POST /v1/renew` | agents | by the certificate of the connection |
//!
//! A certificate signing request gives its public key and nothing else: every other field is the
//! collector's choice. A certificate names the agent as the URI `muster://<deployment>/agent/<id>`.

use crate::id::AgentId;
use crate::unit::At;
use serde::{Deserialize, Serialize};

/// What `muster join create` writes and `muster-agent enroll` reads: where to go, whom to trust there,
/// and what to show. It contains a secret: a file with mode 0600, or standard input, never an argument.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinFile {
    /// The version of this format: 1.
    pub muster_join: u32,
    /// Base URL of the web and enroll port, `https://host:port`.
    pub enroll_url: String,
    /// Base URL of the agents' port, `https://host:port`.
    pub agent_url: String,
    /// The certificates (PEM) of the server CA: the present one and, during a rotation, the next.
    pub server_ca: Vec<String>,
    /// The join token: `mjt_<id>_<43 characters>_<crc>`.
    pub token: String,
}

/// The body of `POST /v1/enroll`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enroll {
    /// The join token.
    pub token: String,
    /// Certificate signing request: DER in base64, ECDSA P-256, at most 4 KiB.
    pub csr: String,
    /// What the machine calls itself; shown, never trusted.
    pub name: String,
    /// The agent's version.
    pub version: String,
}

/// The body of `POST /v1/renew`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Renew {
    /// A request for a new key, as in [`Enroll::csr`].
    pub csr: String,
}

/// The body of `POST /v1/recover`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recover {
    /// The expired certificate: DER in base64.
    pub certificate: String,
    /// A request for a new key, as in [`Enroll::csr`].
    pub csr: String,
    /// The generation the agent was last told.
    pub generation: u64,
    /// ECDSA P-256 with SHA-256 (ASN.1 DER, base64) by the expired certificate's key over [`recovery_text`].
    pub signature: String,
}

/// The bytes that a recovering agent signs. The new key is in them, so whoever replays the message gains
/// nothing; the generation is in them, so it counts once.
pub fn recovery_text(generation: u64, csr_der: &[u8]) -> Vec<u8> {
    let mut text = format!("muster-recover-1\n{generation}\n").into_bytes();
    text.extend_from_slice(csr_der);
    text
}

/// A granted identity: the answer (201 or 200) to all three calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Who the agent is from now on.
    pub agent: AgentId,
    /// Counts certificates; the collector knows a copy of an old state by a lower one.
    pub generation: u64,
    /// The agent's certificate, PEM.
    pub certificate: String,
    /// When it ends.
    pub expires: At,
    /// The server CA's certificates (PEM) to trust from now on.
    pub server_ca: Vec<String>,
    /// Base URL of the agents' port.
    pub agent_url: String,
    /// Base URL of the web and enroll port.
    pub enroll_url: String,
}

/// The answer (202) while an admin has not approved the agent yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// The id under which the admin sees it.
    pub agent: AgentId,
    /// SHA-256 of the public key (SubjectPublicKeyInfo), hexadecimal: what the admin compares.
    pub fingerprint: String,
    /// Seconds until the same call may be tried again.
    pub retry_s: u32,
}
