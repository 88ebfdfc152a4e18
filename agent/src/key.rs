//! The agent's key: ECDSA P-256, made on this machine, never leaving it. Knows no files and no networks.

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, SigningKey};

/// A key could not be made, read or used.
#[derive(Debug, thiserror::Error)]
#[error("key: {0}")]
pub struct KeyError(#[from] rcgen::Error);

/// A private key.
pub struct Key(KeyPair);

impl Key {
    /// A new key.
    ///
    /// # Errors
    /// The system gives no randomness.
    pub fn generate() -> Result<Key, KeyError> {
        Ok(Key(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?))
    }

    /// Reads a key (PKCS#8 PEM).
    ///
    /// # Errors
    /// It is not one, or of another kind.
    pub fn from_pem(pem: &str) -> Result<Key, KeyError> {
        Ok(Key(KeyPair::from_pem_and_sign_algo(pem, &PKCS_ECDSA_P256_SHA256)?))
    }

    /// The key as PKCS#8 PEM.
    pub fn to_pem(&self) -> String {
        self.0.serialize_pem()
    }

    /// A certificate signing request (DER) that says nothing but the public key: the collector decides all else.
    ///
    /// # Errors
    /// Signing failed.
    pub fn request(&self) -> Result<Vec<u8>, KeyError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        Ok(params.serialize_request(&self.0)?.der().to_vec())
    }

    /// ECDSA with SHA-256 over some bytes, ASN.1 DER.
    ///
    /// # Errors
    /// Signing failed.
    pub fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>, KeyError> {
        Ok(self.0.sign(bytes)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_small_and_tells_only_the_key() {
        let key = Key::from_pem(&Key::generate().expect("a key").to_pem()).expect("the same key");
        let der = key.request().expect("a request");
        assert!(der.len() < 300, "{} bytes", der.len());
        let parsed = rcgen::CertificateSigningRequestParams::from_der(&der.into()).expect("a request");
        assert_eq!(parsed.params.subject_alt_names, []);
        assert_eq!(parsed.params.distinguished_name.iter().count(), 0);
    }
}
