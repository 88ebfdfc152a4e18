//! Secrets that are shown once: `<prefix>_<id>_<secret>_<crc>`.
//!
//! `mst` is an API token, `mjt` a join token. The id is a UUID in 32 hexadecimal digits, the secret 256 bits
//! of the operating system's randomness in URL-safe base64 (43 characters), the check the CRC-32 (IEEE 802.3)
//! of all before it in 8 hexadecimal digits, by which scanners and people find a damaged or leaked one. Only
//! the SHA-256 of the secret is ever stored; 256 random bits need no slow hash.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use subtle::ConstantTimeEq as _;
use uuid::Uuid;
use zeroize::Zeroizing;

/// Characters of the base64 of 32 bytes.
const SECRET_CHARS: usize = 43;
/// Length of a whole token.
const TOKEN_CHARS: usize = 3 + 1 + 32 + 1 + SECRET_CHARS + 1 + 8;

/// What a secret opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prefix {
    /// The API.
    Api,
    /// Enrollment.
    Join,
}

impl Prefix {
    fn text(self) -> &'static str {
        match self {
            Prefix::Api => "mst",
            Prefix::Join => "mjt",
        }
    }
}

/// A token that was just made: its text is shown once and wiped from memory when dropped.
pub struct Made {
    /// Its id.
    pub id: Uuid,
    /// SHA-256 of the secret, which is what is stored.
    pub hash: [u8; 32],
    /// The whole text.
    pub text: Zeroizing<String>,
}

/// A token that somebody showed: well-formed, not yet known to be right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// The id it claims.
    pub id: Uuid,
    /// SHA-256 of its secret.
    pub hash: [u8; 32],
}

/// The operating system gave no randomness.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gives no random numbers: {0}")]
pub struct NoRandomness(String);

/// Bytes of the operating system's randomness.
///
/// # Errors
/// [`NoRandomness`].
pub fn random<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| NoRandomness(error.to_string()))?;
    Ok(bytes)
}

/// Makes a token with this id.
///
/// # Errors
/// [`NoRandomness`].
pub fn make(prefix: Prefix, id: Uuid) -> Result<Made, NoRandomness> {
    let secret = Zeroizing::new(random::<32>()?);
    let mut text = Zeroizing::new(String::with_capacity(TOKEN_CHARS));
    text.push_str(prefix.text());
    text.push('_');
    text.push_str(id.simple().encode_lower(&mut Uuid::encode_buffer()));
    text.push('_');
    let encoded = Zeroizing::new(URL_SAFE_NO_PAD.encode(*secret));
    text.push_str(&encoded);
    let check = crc32(text.as_bytes());
    // Writing to a String does not fail.
    let _ = write!(text, "_{check:08x}");
    Ok(Made { id, hash: Sha256::digest(*secret).into(), text })
}

/// Takes a token apart; `None` when it is not one of this prefix. Takes the same time for every secret.
pub fn parse(prefix: Prefix, text: &str) -> Option<Shown> {
    if text.len() != TOKEN_CHARS || !text.is_ascii() {
        return None;
    }
    let (body, check) = text.rsplit_once('_')?;
    if check != format!("{:08x}", crc32(body.as_bytes())) {
        return None;
    }
    let rest = body.strip_prefix(prefix.text())?.strip_prefix('_')?;
    let id = Uuid::try_parse(rest.get(..32)?).ok()?;
    let encoded = rest.get(32..)?.strip_prefix('_')?;
    let secret = Zeroizing::new(URL_SAFE_NO_PAD.decode(encoded).ok()?);
    (secret.len() == 32).then(|| Shown { id, hash: Sha256::digest(&*secret).into() })
}

/// Whether two hashes are equal, in constant time.
pub fn same(left: &[u8; 32], right: &[u8; 32]) -> bool {
    left.ct_eq(right).into()
}

/// CRC-32 as of IEEE 802.3 (reflected polynomial 0xEDB88320), bit by bit: the input is 80 bytes.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_check_is_the_standard_one() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn a_token_is_found_again_by_its_hash_alone() {
        let made = make(Prefix::Api, Uuid::from_u128(7)).expect("randomness");
        assert!(made.text.starts_with("mst_00000000000000000000000000000007_"), "{}", *made.text);
        let shown = parse(Prefix::Api, &made.text).expect("a token");
        assert_eq!(shown.id, made.id);
        assert!(same(&shown.hash, &made.hash));
        assert_eq!(parse(Prefix::Join, &made.text), None);
    }

    #[test]
    fn a_damaged_token_is_none() {
        let made = make(Prefix::Join, Uuid::from_u128(7)).expect("randomness");
        for at in 0..made.text.len() {
            let mut bytes = made.text.as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let text = String::from_utf8(bytes).expect("ascii");
            assert_eq!(parse(Prefix::Join, &text), None, "{text}");
        }
        for text in ["", "mjt", "mjt_", "mjt____", &"é".repeat(44), &format!("{}x", *made.text)] {
            assert_eq!(parse(Prefix::Join, text), None, "{text}");
        }
    }

    #[test]
    fn many_tokens_are_all_different_and_every_bit_varies() {
        let mut seen = HashSet::new();
        let (mut ones, mut zeros) = ([0_u8; 32], [0_u8; 32]);
        for _ in 0..100_000 {
            let secret = random::<32>().expect("randomness");
            for (at, byte) in secret.iter().enumerate() {
                ones[at] |= byte;
                zeros[at] |= !byte;
            }
            assert!(seen.insert(secret), "a secret came twice");
        }
        assert_eq!((ones, zeros), ([255; 32], [255; 32]));
    }
}
