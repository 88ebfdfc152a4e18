//! What every certificate of ours looks like. ECDSA P-256 throughout; RFC 5280 profiles.
//!
//! Knows: fields and lifetimes. Does not know: files, TLS, who asked.

use super::Error;
use crate::{hex, secret};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType, SerialNumber, SubjectPublicKeyInfo,
};
use rustls::pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};
use shared::unit::At;
use std::time::Duration;

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

impl Ca {
    /// SHA-256 of the certificate, hexadecimal: what `openssl x509 -fingerprint -sha256` shows.
    pub fn fingerprint(&self) -> String {
        hex::of(&Sha256::digest(&self.der))
    }

    /// When the certificate ends; none where it cannot be read.
    pub fn expires(&self) -> Option<At> {
        let (_, certificate) = x509_parser::parse_x509_certificate(&self.der).ok()?;
        Some(At::from_secs(certificate.validity().not_after.timestamp()))
    }
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

/// The serial number of an agent's certificate begins with this, so that it is positive and as long as no other.
const SERIAL_MARK: u8 = 1;

/// Bytes of such a number; RFC 5280 allows 20.
const SERIAL_BYTES: usize = 19;

/// What the serial number of an agent's certificate tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// Which of the agent's certificates it is, from 1: a register that was restored from a backup knows by it that
    /// an agent has a later one.
    pub generation: u64,
    /// The revision of the roots that were handed out with it.
    pub roots: u16,
}

/// A serial number that tells both. 8 random bytes make it unique.
fn serial(count: Count, random: [u8; 8]) -> [u8; SERIAL_BYTES] {
    let mut serial = [SERIAL_MARK; SERIAL_BYTES];
    serial[1..9].copy_from_slice(&count.generation.to_be_bytes());
    serial[9..11].copy_from_slice(&count.roots.to_be_bytes());
    serial[11..].copy_from_slice(&random);
    serial
}

/// What a serial number tells; zeros where it tells nothing.
pub fn count(serial: &[u8]) -> Count {
    match serial.split_first_chunk::<9>() {
        Some(([SERIAL_MARK, generation @ ..], [first, second, random @ ..])) if random.len() == 8 => {
            Count { generation: u64::from_be_bytes(*generation), roots: u16::from_be_bytes([*first, *second]) }
        }
        _ => Count::default(),
    }
}

/// A certificate for an agent: its URI, its count and nothing else, for clients only.
///
/// # Errors
/// [`Error::Sign`], [`Error::Randomness`].
pub fn agent(
    ca: &Ca,
    uri: &str,
    key: &SubjectPublicKeyInfo,
    count: Count,
    now: At,
    expires: At,
) -> Result<String, Error> {
    let mut params = params("muster agent", now, expires)?;
    params.subject_alt_names = vec![SanType::URI(uri.try_into()?)];
    params.serial_number = Some(SerialNumber::from_slice(&serial(count, secret::random()?)));
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
