//! The TLS settings of both ports: TLS 1.3 only, no early data, sessions resumed from the server's own memory.
//!
//! Resumption skips the check of the client's certificate. It is allowed only because the state of an agent and
//! the end of its certificate are checked on every request. Does not know: sockets, requests.

use super::{Authority, Error, Pair, issue};
use crate::clock;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert, ServerConfig, ServerSessionMemoryCache, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use rustls::{ConfigBuilder, DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme, WantsVerifier};
use shared::unit::At;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

/// TLS sessions that are remembered for resumption, about 2 KiB each.
const SESSIONS: usize = 16_384;

/// The certificate that the collector shows on both ports; replaced while it runs.
pub struct Certificate {
    authority: Authority,
    names: Vec<String>,
    current: RwLock<Current>,
}

/// A certificate with its key.
struct Current {
    /// When it is to be replaced.
    due: At,
    /// The number of the roots that signed it.
    roots: u32,
    key: Arc<CertifiedKey>,
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

    /// Replaces the certificate when half of its life is over, or when other roots sign; says whether it did.
    ///
    /// # Errors
    /// The old one stays in use.
    pub fn renew(&self, now: At) -> Result<bool, Error> {
        if now < self.read().due && self.is_by_present_roots() {
            return Ok(false);
        }
        let next = make(&self.authority, &self.names, now)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(true)
    }

    fn is_by_present_roots(&self) -> bool {
        self.read().roots == self.authority.roots().state().present
    }

    // A thread that panicked while holding the lock left a whole certificate behind.
    fn read(&self) -> RwLockReadGuard<'_, Current> {
        self.current.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A certificate with its key.
fn make(authority: &Authority, names: &[String], now: At) -> Result<Current, Error> {
    let roots = authority.roots();
    let server = &roots.present().server;
    let (certificate, key) = issue::server(server, names, now)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let chain = vec![certificate.der().clone(), server.der.clone()];
    let key = Arc::new(CertifiedKey::from_der(chain, key, &ring::default_provider())?);
    Ok(Current { due: now.plus_secs(issue::SERVER_S / 2), roots: roots.state().present, key })
}

impl ResolvesServerCert for Certificate {
    /// From the first handshake after roots were activated on, the certificate is one of theirs.
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        if !self.is_by_present_roots()
            && let Err(error) = self.renew(clock::now())
        {
            tracing::error!(%error, "no certificate by the present roots; the one before stays in use");
        }
        Some(self.read().key.clone())
    }
}

/// For the agents' port: whoever has no certificate of the agent CA does not get past the handshake.
///
/// # Errors
/// [`Error::Tls`].
pub fn agents(authority: &Authority, certificate: Arc<Certificate>) -> Result<Arc<ServerConfig>, Error> {
    let verifier = Arc::new(OfAgents(authority.clone()));
    Ok(finish(builder()?.with_client_cert_verifier(verifier).with_cert_resolver(certificate)))
}

/// For the web and enroll port.
///
/// # Errors
/// [`Error::Tls`].
pub fn web(certificate: Arc<Certificate>) -> Result<Arc<ServerConfig>, Error> {
    Ok(finish(builder()?.with_no_client_auth().with_cert_resolver(certificate)))
}

/// Judges certificates by the agent CAs that are trusted at that moment.
#[derive(Debug)]
pub(super) struct OfAgents(pub(super) Authority);

impl ClientCertVerifier for OfAgents {
    /// None are named: they change while this is in use, and an agent has one certificate to choose from.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.0.roots().verifier().verify_client_cert(certificate, chain, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.roots().verifier().verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.roots().verifier().verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.roots().verifier().supported_verify_schemes()
    }
}

/// Judges certificates by these agent CAs. Without a list of revoked ones: state is read on every request.
pub(super) fn agent_verifier<'a>(
    pairs: impl IntoIterator<Item = &'a Pair>,
) -> Result<Arc<dyn ClientCertVerifier>, Error> {
    let mut roots = RootCertStore::empty();
    for pair in pairs {
        roots.add(pair.agents.der.clone())?;
    }
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
