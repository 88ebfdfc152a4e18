//! The built-in certificate authority: two roots, one for collectors and one for agents.
//!
//! Knows: keys, certificates, requests for them. Does not know: who may have one, which is decided by the
//! rules before anything is signed, nor anything of HTTP.
//!
//! | file | holds |
//! | --- | --- |
//! | [`files`] | the folder `pki` of the state directory: each change is whole or has not happened |
//! | [`issue`] | what every certificate of ours looks like |
//! | [`rotation`] | which roots are present, next and old (pure) |
//! | [`proof`] | what others show: requests, certificates, signatures (pure) |
//! | [`tls`] | the TLS settings of both ports, and the server's certificate, renewed while running |

pub mod files;
pub mod issue;
pub mod proof;
pub mod rotation;
pub mod tls;

use issue::{Ca, Count};
use rcgen::SubjectPublicKeyInfo;
use rotation::{Phase, State, Step};
use rustls::server::danger::ClientCertVerifier;
use shared::id::AgentId;
use shared::unit::At;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
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
    /// Another step of a rotation follows.
    #[error("the roots are {}: this step does not follow", .0.name())]
    Order(Phase),
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

/// The roots of one number.
pub struct Pair {
    /// Signs collectors.
    pub server: Ca,
    /// Signs agents.
    pub agents: Ca,
}

/// The roots that count at one moment. Whoever signs and hands out roots with it does both by the same.
pub struct Roots {
    deployment: Uuid,
    state: State,
    present: Pair,
    other: Option<Pair>,
    verifier: Arc<dyn ClientCertVerifier>,
}

impl Roots {
    fn load(folder: &Path, deployment: Uuid, state: State) -> Result<Roots, Error> {
        let present = files::pair(folder, state.present)?;
        let other = state.other().map(|number| files::pair(folder, number)).transpose()?;
        let verifier = tls::agent_verifier([&present].into_iter().chain(&other))?;
        Ok(Roots { deployment, state, present, other, verifier })
    }

    /// Which they are.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Those that sign.
    pub fn present(&self) -> &Pair {
        &self.present
    }

    /// The next ones, or the old ones.
    pub fn other(&self) -> Option<&Pair> {
        self.other.as_ref()
    }

    /// The server CA's certificates (PEM), the present one first: what agents and tools are to trust.
    pub fn server_ca(&self) -> Vec<String> {
        [&self.present].into_iter().chain(&self.other).map(|pair| pair.server.pem.clone()).collect()
    }

    /// Whether an agent's certificate of this revision is still trusted. A connection that is open, or a session
    /// that is resumed, shows no certificate again.
    pub fn is_trusted(&self, revision: u16) -> bool {
        revision >= self.state.floor
    }

    /// Whether an agent whose certificate is of this revision is to be handed other roots than it has.
    pub fn is_behind(&self, revision: u16) -> bool {
        revision < self.state.revision
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
        let uri = proof::agent_uri(self.deployment, agent);
        let count = Count { generation, roots: self.state.revision };
        issue::agent(&self.present.agents, &uri, key, count, now, expires)
    }

    /// Judges what agents show.
    fn verifier(&self) -> &Arc<dyn ClientCertVerifier> {
        &self.verifier
    }
}

struct Inner {
    folder: PathBuf,
    deployment: Uuid,
    roots: RwLock<Arc<Roots>>,
}

/// Both certificate authorities of this deployment. Cheap to clone.
#[derive(Clone)]
pub struct Authority(Arc<Inner>);

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Authority({})", self.0.deployment)
    }
}

impl Authority {
    /// The authority in this folder; made when there is none yet.
    ///
    /// # Errors
    /// A folder that cannot be used, or that holds only a part of an authority.
    pub fn open(folder: &Path, now: At) -> Result<Authority, Error> {
        let (deployment, state) = files::open(folder, now)?;
        let roots = RwLock::new(Arc::new(Roots::load(folder, deployment, state)?));
        Ok(Authority(Arc::new(Inner { folder: folder.to_owned(), deployment, roots })))
    }

    /// What all agents of this register have in their certificates.
    pub fn deployment(&self) -> Uuid {
        self.0.deployment
    }

    /// The roots that count now.
    pub fn roots(&self) -> Arc<Roots> {
        // The lock is held for no more than a copy: nothing panics under it.
        self.0.roots.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The server CA's certificates (PEM), the present one first: what agents and tools are to trust.
    pub fn server_ca(&self) -> Vec<String> {
        self.roots().server_ca()
    }

    /// Writes a step of a rotation down, so that it counts from the next start on; [`Authority::take_up`] makes it
    /// count now, [`Authority::undo`] takes it back. One at a time: the caller sees to that.
    ///
    /// # Errors
    /// [`Error::Order`] where another step follows; else nothing counts that did not before.
    pub fn write(&self, step: Step, now: At) -> Result<Roots, Error> {
        let (folder, before) = (&self.0.folder, *self.roots().state());
        let free = files::free_number(folder, &before)?;
        let state = before.after(step, free, now).ok_or(Error::Order(before.phase()))?;
        if step == Step::Prepare {
            files::make(folder, free, now)?;
        }
        // Read back before anything depends on it.
        let roots = Roots::load(folder, self.0.deployment, state)?;
        files::write_state(folder, &state)?;
        Ok(roots)
    }

    /// From now on these roots count. Keys that are trusted no more are destroyed.
    ///
    /// # Errors
    /// A key could not be destroyed, and will be at the next start; the roots count all the same.
    pub fn take_up(&self, roots: Roots) -> Result<(), Error> {
        let state = roots.state;
        *self.0.roots.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(roots);
        files::destroy_before(&self.0.folder, &state)
    }

    /// Takes back what was written and not taken up.
    ///
    /// # Errors
    /// It could not be taken back, and will count from the next start on.
    pub fn undo(&self, written: &Roots) -> Result<(), Error> {
        files::write_state(&self.0.folder, self.roots().state())?;
        written.state.next.map_or(Ok(()), |number| files::unmake(&self.0.folder, number))
    }
}

#[cfg(test)]
mod tests;
