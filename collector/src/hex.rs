//! Bytes as people and other programs read them.

use std::fmt::Write as _;

/// Hexadecimal, lower case, two digits a byte.
pub fn of(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn two_digits_a_byte() {
        assert_eq!(super::of(&[0, 0x0a, 0xff]), "000aff");
    }
}
