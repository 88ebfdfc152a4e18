//! What others show: requests for a certificate, certificates, signatures. Pure; everything here is hostile
//! until it was checked, and bounded before it is parsed.

use super::Authority;
use crate::hex;
use rcgen::SubjectPublicKeyInfo;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime, alg_id};
use sha2::{Digest as _, Sha256};
use shared::id::AgentId;
use shared::limit;
use shared::unit::At;
use std::time::Duration;
use uuid::Uuid;
use x509_parser::certificate::X509Certificate;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::GeneralName;
use x509_parser::oid_registry::{OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY};
use x509_parser::prelude::FromDer;
use x509_parser::x509::SubjectPublicKeyInfo as ParsedKey;

/// What is wrong with what was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    /// Too large, or not the DER of what it should be.
    #[error("not a DER {0} of at most {limit} bytes", limit = limit::CSR_BYTES)]
    Malformed(&'static str),
    /// Another kind of key.
    #[error("the key must be ECDSA P-256")]
    Key,
    /// The signature does not fit.
    #[error("the signature does not fit the key")]
    Signature,
    /// Not from the agent CA, or not for an agent of this deployment.
    #[error("not a certificate of an agent of this collector")]
    Foreign,
}

/// What is taken of a request for a certificate: its public key and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requested {
    /// The key.
    pub key: SubjectPublicKeyInfo,
    /// SHA-256 of its SubjectPublicKeyInfo, hexadecimal.
    pub fingerprint: String,
}

/// What an agent's certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Who.
    pub agent: AgentId,
    /// SHA-256 of its SubjectPublicKeyInfo, hexadecimal.
    pub fingerprint: String,
    /// Which of the agent's certificates it is, from 1; 0 where it does not say.
    pub generation: u64,
    /// The revision of the roots that were handed out with it; 0 where it does not say.
    pub roots: u16,
    /// When it ends.
    pub expires: At,
}

/// The name of an agent in its certificate.
pub fn agent_uri(deployment: Uuid, agent: AgentId) -> String {
    format!("muster://{}/agent/{agent}", deployment.hyphenated())
}

/// Reads a request for a certificate (PKCS #10, RFC 2986): P-256, signed by its own key.
///
/// # Errors
/// [`Unproven`].
pub fn request(der: &[u8]) -> Result<Requested, Unproven> {
    let malformed = Unproven::Malformed("certificate signing request");
    if der.len() > limit::CSR_BYTES {
        return Err(malformed);
    }
    let (rest, request) = X509CertificationRequest::from_der(der).map_err(|_| malformed)?;
    if !rest.is_empty() {
        return Err(malformed);
    }
    let key = &request.certification_request_info.subject_pki;
    p256_point(key)?;
    request.verify_signature().map_err(|_| Unproven::Signature)?;
    let fingerprint = fingerprint(key);
    let key = SubjectPublicKeyInfo::from_der(key.raw).map_err(|_| Unproven::Key)?;
    Ok(Requested { key, fingerprint })
}

/// Reads the certificate of a connection, which TLS has verified already.
///
/// # Errors
/// [`Unproven`].
pub fn certificate(der: &[u8], deployment: Uuid) -> Result<Shown, Unproven> {
    let malformed = Unproven::Malformed("certificate");
    if der.len() > limit::CSR_BYTES {
        return Err(malformed);
    }
    let (rest, parsed) = X509Certificate::from_der(der).map_err(|_| malformed)?;
    if !rest.is_empty() {
        return Err(malformed);
    }
    let names = parsed.subject_alternative_name().map_err(|_| malformed)?.ok_or(Unproven::Foreign)?;
    let [GeneralName::URI(uri)] = names.value.general_names.as_slice() else { return Err(Unproven::Foreign) };
    let prefix = agent_uri(deployment, AgentId(Uuid::nil()));
    let prefix = prefix.rsplit_once('/').map_or("", |(prefix, _)| prefix);
    let id = uri.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('/')).ok_or(Unproven::Foreign)?;
    let count = super::issue::count(parsed.tbs_certificate.raw_serial());
    Ok(Shown {
        agent: id.parse().map_err(|_| Unproven::Foreign)?,
        fingerprint: fingerprint(parsed.public_key()),
        generation: count.generation,
        roots: count.roots,
        expires: At::from_secs(parsed.validity().not_after.timestamp()),
    })
}

/// Reads an expired certificate that an agent recovers with: one of the agent CA's, whose key signed `message`.
///
/// # Errors
/// [`Unproven`].
pub fn recovery(authority: &Authority, der: &[u8], message: &[u8], signature: &[u8]) -> Result<Shown, Unproven> {
    let shown = certificate(der, authority.deployment())?;
    let (_, parsed) = X509Certificate::from_der(der).map_err(|_| Unproven::Malformed("certificate"))?;
    let algorithm = ecdsa_p256_sha256().ok_or(Unproven::Signature)?;
    issued_by_agents(authority, der, &parsed)?;
    let point = p256_point(parsed.public_key())?;
    algorithm.verify_signature(point, message, signature).map_err(|_| Unproven::Signature)?;
    Ok(shown)
}

/// The chain is judged at a moment at which the certificate was valid: that it has ended is why it is here.
fn issued_by_agents(authority: &Authority, der: &[u8], parsed: &X509Certificate<'_>) -> Result<(), Unproven> {
    let roots = authority.roots();
    let start = u64::try_from(parsed.validity().not_before.timestamp()).map_err(|_| Unproven::Foreign)?;
    let then = UnixTime::since_unix_epoch(Duration::from_secs(start));
    let certificate = CertificateDer::from(der);
    roots.verifier().verify_client_cert(&certificate, &[], then).map(|_| ()).map_err(|_| Unproven::Foreign)
}

fn ecdsa_p256_sha256() -> Option<&'static dyn SignatureVerificationAlgorithm> {
    let known = default_provider().signature_verification_algorithms.all;
    known.iter().copied().find(|algorithm| {
        algorithm.public_key_alg_id() == alg_id::ECDSA_P256 && algorithm.signature_alg_id() == alg_id::ECDSA_SHA256
    })
}

/// The uncompressed point of a P-256 key.
fn p256_point<'a>(key: &'a ParsedKey<'_>) -> Result<&'a [u8], Unproven> {
    let curve = key.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
    let point: &[u8] = &key.subject_public_key.data;
    let right = key.algorithm.algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY
        && curve == Some(OID_EC_P256)
        && point.len() == 65
        && point.first() == Some(&4);
    if right { Ok(point) } else { Err(Unproven::Key) }
}

fn fingerprint(key: &ParsedKey<'_>) -> String {
    hex::of(&Sha256::digest(key.raw))
}
