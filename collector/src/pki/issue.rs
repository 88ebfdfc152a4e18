//! What every certificate of ours looks like. ECDSA P-256 throughout; RFC 5280 profiles.
//!
//! Knows: fields and lifetimes. Does not know: files, TLS, who asked.

use super::Error;
use crate::secret;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType, SerialNumber, SubjectPublicKeyInfo,
};
use rustls::pki_types::CertificateDer;
use shared::id::AgentId;
use shared::unit::At;
use std::time::Duration;
use uuid::Uuid;

/// Certificates are valid from a little before they are made, for machines whose clock is behind.
const BACKDATE_S: i64 = 300;
/// How long a root lives.
const CA_DAYS: i64 = 3650;
/// How long a server certificate lives; it is renewed at half of it.
pub const SERVER_S: i64 = 30 * 86_400;

/// A root with its key.
pub struct Ca {
    /// Signs with the root's key.
    pub issuer: Issuer<'static, KeyPair>,
    /// The root's certificate.
    pub der: CertificateDer<'static>,
    /// The same as PEM.
    pub pem: String,
}

/// A new root as the text of its file: the key, then the certificate.
///
/// # Errors
/// [`Error::Sign`], [`Error::Randomness`].
pub fn root(name: &str, now: At) -> Result<zeroize::Zeroizing<String>, Error> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = params(name, now, now.plus_secs(CA_DAYS * 86_400))?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = params.self_signed(&key)?;
    Ok(zeroize::Zeroizing::new(format!("{}{}", *zeroize::Zeroizing::new(key.serialize_pem()), certificate.pem())))
}

/// A certificate for an agent: its URI and nothing else, for clients only.
///
/// # Errors
/// [`Error::Sign`], [`Error::Randomness`].
pub fn agent(
    ca: &Ca,
    deployment: Uuid,
    agent: AgentId,
    key: &SubjectPublicKeyInfo,
    now: At,
    expires: At,
) -> Result<String, Error> {
    let mut params = params("muster agent", now, expires)?;
    let uri = super::proof::agent_uri(deployment, agent);
    params.subject_alt_names = vec![SanType::URI(uri.try_into()?)];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    Ok(params.signed_by(key, &ca.issuer)?.pem())
}

/// A certificate for this collector under these names, with its new key.
///
/// # Errors
/// [`Error::Name`] for a name that cannot be in a certificate.
pub fn server(ca: &Ca, names: &[String], now: At) -> Result<(Certificate, KeyPair), Error> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = params("muster collector", now, now.plus_secs(SERVER_S))?;
    for name in names {
        params.subject_alt_names.push(match name.parse() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(name.clone().try_into().map_err(|_| Error::Name(name.clone()))?),
        });
    }
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = params.signed_by(&key, &ca.issuer)?;
    Ok((certificate, key))
}

/// What all certificates have in common: no CA, a random serial, signatures only.
fn params(name: &str, now: At, expires: At) -> Result<CertificateParams, Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let moment = |at: At| {
        rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(u64::try_from(at.secs().max(0)).unwrap_or_default())
    };
    params.not_before = moment(now.plus_secs(-BACKDATE_S));
    params.not_after = moment(expires);
    let mut serial = secret::random::<16>()?;
    serial[0] &= 0x7f;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}
