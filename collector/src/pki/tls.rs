//! The TLS settings of both ports: TLS 1.3 only, no early data, sessions resumed from the server's own memory.
//!
//! Resumption skips the check of the client's certificate. It is allowed only because the state of an agent and
//! the end of its certificate are checked on every request. Does not know: sockets, requests.

use super::issue;
use super::{Authority, Error};
use crate::clock;
use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, ResolvesServerCert, ServerConfig, ServerSessionMemoryCache, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use rustls::{ConfigBuilder, RootCertStore, WantsVerifier};
use shared::unit::At;
use std::sync::{Arc, PoisonError, RwLock};

/// TLS sessions that are remembered for resumption, about 2 KiB each.
const SESSIONS: usize = 16_384;

/// The certificate that the collector shows on both ports; replaced while it runs.
pub struct Certificate {
    authority: Authority,
    names: Vec<String>,
    current: RwLock<(At, Arc<CertifiedKey>)>,
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Certificate({:?})", self.names)
    }
}

impl Certificate {
    /// A new certificate for these names.
    ///
    /// # Errors
    /// A name that cannot be in a certificate.
    pub fn new(authority: &Authority, names: &[String]) -> Result<Arc<Certificate>, Error> {
        let first = make(authority, names, clock::now())?;
        Ok(Arc::new(Certificate { authority: authority.clone(), names: names.to_vec(), current: RwLock::new(first) }))
    }

    /// Replaces the certificate when half of its life is over; says whether it did.
    ///
    /// # Errors
    /// The old one stays in use.
    pub fn renew(&self, now: At) -> Result<bool, Error> {
        let due = self.current.read().unwrap_or_else(PoisonError::into_inner).0;
        if now < due {
            return Ok(false);
        }
        let next = make(&self.authority, &self.names, now)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(true)
    }
}

/// A certificate with its key, and when it is to be replaced.
fn make(authority: &Authority, names: &[String], now: At) -> Result<(At, Arc<CertifiedKey>), Error> {
    let (certificate, key) = issue::server(authority.server(), names, now)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let chain = vec![certificate.der().clone(), authority.server().der.clone()];
    let certified = CertifiedKey::from_der(chain, key, &ring::default_provider())?;
    Ok((now.plus_secs(issue::SERVER_S / 2), Arc::new(certified)))
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.read().unwrap_or_else(PoisonError::into_inner).1.clone())
    }
}

/// For the agents' port: whoever has no certificate of the agent CA does not get past the handshake.
///
/// # Errors
/// [`Error::Tls`].
pub fn agents(authority: &Authority, certificate: Arc<Certificate>) -> Result<Arc<ServerConfig>, Error> {
    let verifier = agent_verifier(authority)?;
    Ok(finish(builder()?.with_client_cert_verifier(verifier).with_cert_resolver(certificate)))
}

/// For the web and enroll port.
///
/// # Errors
/// [`Error::Tls`].
pub fn web(certificate: Arc<Certificate>) -> Result<Arc<ServerConfig>, Error> {
    Ok(finish(builder()?.with_no_client_auth().with_cert_resolver(certificate)))
}

/// Judges certificates by the agent CA. Without a list of revoked ones: state is read on every request.
pub(super) fn agent_verifier(authority: &Authority) -> Result<Arc<dyn ClientCertVerifier>, Error> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.agents().der.clone())?;
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
    verifier.map_err(|error| Error::Tls(rustls::Error::General(error.to_string())))
}

fn builder() -> Result<ConfigBuilder<ServerConfig, WantsVerifier>, Error> {
    Ok(ServerConfig::builder_with_provider(Arc::new(ring::default_provider())).with_protocol_versions(&[&TLS13])?)
}

fn finish(mut config: ServerConfig) -> Arc<ServerConfig> {
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
    // One ticket a handshake is enough for an agent that comes with one connection at a time.
    config.send_tls13_tickets = 1;
    config.max_early_data_size = 0;
    Arc::new(config)
}
