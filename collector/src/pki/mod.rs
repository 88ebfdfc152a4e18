//! The built-in certificate authority: two roots, one for collectors and one for agents.
//!
//! Knows: keys, certificates, requests for them. Does not know: who may have one, which is decided by the
//! rules before anything is signed, nor anything of HTTP.
//!
//! | file | holds |
//! | --- | --- |
//! | [`files`] | the folder `pki` of the state directory: created whole or not at all |
//! | [`issue`] | what every certificate of ours looks like |
//! | [`proof`] | what others show: requests, certificates, signatures (pure) |
//! | [`tls`] | the TLS settings of both ports, and the server's certificate, renewed while running |

pub mod files;
pub mod issue;
pub mod proof;
pub mod tls;

use issue::Ca;
use rcgen::SubjectPublicKeyInfo;
use shared::id::AgentId;
use shared::unit::At;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use uuid::Uuid;

/// Why the authority cannot do it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read or written.
    #[error("{}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A file is not what was written, or is missing where it must be.
    #[error("{}: {what}; restore the folder from a backup (a new authority would lock out every agent)", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A certificate could not be made.
    #[error("certificate: {0}")]
    Sign(#[from] rcgen::Error),
    /// A name cannot stand in a certificate.
    #[error("names: {0:?} cannot stand in a certificate: use host names and IP addresses")]
    Name(String),
    /// TLS refuses the settings.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The operating system gave no randomness.
    #[error(transparent)]
    Randomness(#[from] crate::secret::NoRandomness),
}

struct Inner {
    deployment: Uuid,
    server: Ca,
    agents: Ca,
}

/// Both certificate authorities of this deployment. Cheap to clone.
#[derive(Clone)]
pub struct Authority(Arc<Inner>);

impl Authority {
    /// The authority in this folder; made when there is none yet.
    ///
    /// # Errors
    /// A folder that cannot be used, or that holds only a part of an authority.
    pub fn open(folder: &Path, now: At) -> Result<Authority, Error> {
        files::open(folder, now)
            .map(|(deployment, server, agents)| Authority(Arc::new(Inner { deployment, server, agents })))
    }

    /// What all agents of this register have in their certificates.
    pub fn deployment(&self) -> Uuid {
        self.0.deployment
    }

    /// The server CA's certificates (PEM), the present one first: what agents and tools are to trust.
    pub fn server_ca(&self) -> Vec<String> {
        vec![self.0.server.pem.clone()]
    }

    /// A certificate (PEM) for this agent and key. Nothing of the request but its public key is used.
    ///
    /// # Errors
    /// [`Error::Sign`], [`Error::Randomness`].
    pub fn sign_agent(
        &self,
        agent: AgentId,
        key: &SubjectPublicKeyInfo,
        generation: u64,
        now: At,
        expires: At,
    ) -> Result<String, Error> {
        let uri = proof::agent_uri(self.0.deployment, agent);
        issue::agent(&self.0.agents, &uri, key, generation, now, expires)
    }

    /// The server CA, for its TLS certificate.
    fn server(&self) -> &Ca {
        &self.0.server
    }

    /// The agent CA, for judging what agents show.
    fn agents(&self) -> &Ca {
        &self.0.agents
    }
}

#[cfg(test)]
mod tests;
