//! Parser of udev's database, `/run/udev/data/b<major>:<minor>` (sd-device(3)): what udev's rules found out
//! about a device when it appeared. Absent in containers and where another device manager runs, so nothing
//! relies on it. Does not know what the properties mean.

use crate::source::Source;
use std::collections::BTreeMap;

/// Properties of one device that are kept at most.
const PROPERTIES_MAX: usize = 512;

/// Properties by name.
pub type Properties = BTreeMap<String, String>;

/// What udev knows of a block device; nothing where it knows none.
pub fn ask_block(source: &dyn Source, device: &str) -> Properties {
    let device = device.trim();
    if device.is_empty() || !device.bytes().all(|byte| byte.is_ascii_digit() || byte == b':') {
        return Properties::new();
    }
    source.text(&format!("/run/udev/data/b{device}")).map(|text| parse(&text)).unwrap_or_default()
}

/// The lines `E:NAME=value`; empty values are none.
pub fn parse(text: &str) -> Properties {
    let lines = text.lines().filter_map(|line| line.strip_prefix("E:")?.split_once('='));
    let kept = lines.filter(|(_, value)| !value.trim().is_empty()).take(PROPERTIES_MAX);
    kept.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect()
}

/// Undoes udev's `\x20`, in which the `_ENC` properties are written, and trims.
pub fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let hex = match tail {
            [b'x', high, low, ..] if byte == b'\\' => hex(*high).zip(hex(*low)),
            _ => None,
        };
        match hex {
            Some((high, low)) => {
                bytes.push(high * 16 + low);
                rest = tail.get(3..).unwrap_or_default();
            }
            None => {
                bytes.push(byte);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn properties_and_their_escapes() {
        let udev = parse("N:sda\nS:disk/x\nE:ID_MODEL_ENC=WDC\\x20WD\\x20\\x20\nE:ID_VENDOR=\nE:ID_WWN=0x5\n");
        assert_eq!(udev.len(), 2);
        assert_eq!(decode(&udev["ID_MODEL_ENC"]), "WDC WD");
        assert_eq!(decode("a\\x2"), "a\\x2");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_text_is_survived(text in "(E:|\\\\x|[0-9a-f]|=|\\n|\\PC){0,200}") {
            parse(&text);
            decode(&text);
        }
    }
}
