//! Digests: how an agent and a collector find out, for a few bytes, that they hold the same.
//!
//! - A *row* digest is SHA-256, cut to 16 bytes, over the item's key (its length as 4 bytes, big
//!   endian, then the bytes) and the item's canonical JSON without `now`.
//! - A *section* digest is SHA-256, cut to 16 bytes, over its sorted row digests. It needs no row but
//!   the changed ones to be brought up to date: a side that keeps 16 bytes a row can verify a delta
//!   without holding or reading the other rows.
//! - The *root* digest is SHA-256, cut to 16 bytes, over every section in the order of names: name
//!   (length-prefixed as above), state (one byte) and section digest.
//!
//! Canonical JSON: objects with their names in byte order, no white space, whole numbers in decimal,
//! strings with `"`, `\` and control characters below 0x20 as `\u00XX`, all else as it is.

use crate::fact::{Attrs, Item, Value};
use crate::scan;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// The first 16 bytes of a SHA-256; 32 hexadecimal digits as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Digest(pub [u8; 16]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Digest {
    type Err = BadDigest;

    fn from_str(text: &str) -> Result<Digest, BadDigest> {
        let bytes = text.as_bytes();
        if bytes.len() != 32 {
            return Err(BadDigest);
        }
        let mut out = [0; 16];
        for (byte, pair) in out.iter_mut().zip(bytes.chunks_exact(2)) {
            let high = char::from(pair[0]).to_digit(16).ok_or(BadDigest)?;
            let low = char::from(pair[1]).to_digit(16).ok_or(BadDigest)?;
            *byte = u8::try_from(high * 16 + low).map_err(|_| BadDigest)?;
        }
        Ok(Digest(out))
    }
}

/// The text was not 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadDigest;

impl fmt::Display for BadDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a digest is 32 hexadecimal digits")
    }
}

impl std::error::Error for BadDigest {}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

fn cut(hasher: Sha256) -> Digest {
    let full = hasher.finalize();
    let mut out = [0; 16];
    out.copy_from_slice(&full[..16]);
    Digest(out)
}

/// The digest of any bytes; what a record is known by.
pub fn of_bytes(bytes: &[u8]) -> Digest {
    cut(Sha256::new_with_prefix(bytes))
}

/// The digest of one item: key and canonical JSON, without what changes all the time.
pub fn row(item: &Item) -> Digest {
    let mut text = Vec::with_capacity(256);
    put_length_prefixed(&mut text, item.key.as_bytes());
    canonical_item(&mut text, item);
    of_bytes(&text)
}

/// The digest of a section, from its rows in any order; the list is sorted on the way.
pub fn section(rows: &mut [Digest]) -> Digest {
    rows.sort_unstable();
    let mut hasher = Sha256::new();
    for row in rows.iter() {
        hasher.update(row.0);
    }
    cut(hasher)
}

/// The digest of a section, from its items.
pub fn section_of<'a>(items: impl IntoIterator<Item = &'a Item>) -> Digest {
    let mut rows: Vec<Digest> = items.into_iter().map(row).collect();
    section(&mut rows)
}

/// The root: over all sections in the order of their names. `sections` must come in that order.
pub fn root<'a>(sections: impl IntoIterator<Item = (&'a str, crate::checkin::State, Digest)>) -> Digest {
    let mut bytes = Vec::with_capacity(512);
    for (name, state, digest) in sections {
        put_length_prefixed(&mut bytes, name.as_bytes());
        bytes.push(state.code());
        bytes.extend_from_slice(&digest.0);
    }
    of_bytes(&bytes)
}

fn put_length_prefixed(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(bytes);
}

/// Canonical JSON of an item, without `now`.
pub fn canonical_item(out: &mut Vec<u8>, item: &Item) {
    out.push(b'{');
    if !item.attrs.is_empty() {
        out.extend_from_slice(b"\"attrs\":");
        canonical_map(out, &item.attrs);
        out.push(b',');
    }
    put_text_field(out, "key", Some(&item.key));
    out.extend_from_slice(b"\"kind\":");
    canonical_name(out, &item.kind);
    out.push(b',');
    put_text_field(out, "label", item.label.as_deref());
    put_text_field(out, "maker", item.maker.as_deref());
    put_text_field(out, "model", item.model.as_deref());
    put_text_field(out, "serial", item.serial.as_deref());
    if let Some(size) = item.size {
        out.extend_from_slice(b"\"size\":");
        put_int(out, size);
        out.push(b',');
    }
    out.pop();
    out.push(b'}');
}

fn put_text_field(out: &mut Vec<u8>, name: &str, text: Option<&str>) {
    if let Some(text) = text {
        canonical_text(out, name);
        out.push(b':');
        canonical_text(out, text);
        out.push(b',');
    }
}

/// Canonical JSON of named values.
pub fn canonical_map(out: &mut Vec<u8>, map: &Attrs) {
    out.push(b'{');
    for (i, (name, value)) in map.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        canonical_name(out, name);
        out.push(b':');
        canonical_value(out, value);
    }
    out.push(b'}');
}

fn canonical_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Bool(b) => out.extend_from_slice(if *b { b"true" } else { b"false" }),
        Value::Int(n) => put_int(out, *n),
        Value::Text(text) => canonical_text(out, text),
        Value::List(list) => {
            out.push(b'[');
            for (i, value) in list.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                canonical_value(out, value);
            }
            out.push(b']');
        }
        Value::Map(map) => canonical_map(out, map),
    }
}

/// Canonical JSON of a whole number: decimal.
pub fn put_int(out: &mut Vec<u8>, number: i64) {
    // As long as the longest, with its sign.
    let mut digits = [0; 20];
    let (mut at, mut rest) = (digits.len(), number.unsigned_abs());
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        (at, rest) = (at - 1, rest / 10);
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(digits.get(at..).unwrap_or_default());
}

/// Canonical JSON of a kind or a name. Nearly all stand in the program: words, of which nothing is escaped.
#[expect(clippy::ptr_arg, reason = "whether it is the program's own is what tells")]
pub fn canonical_name(out: &mut Vec<u8>, name: &Cow<'static, str>) {
    match name {
        Cow::Borrowed(word) => {
            debug_assert!(is_plain(word.as_bytes()), "{word:?} would have to be escaped");
            out.push(b'"');
            out.extend_from_slice(word.as_bytes());
            out.push(b'"');
        }
        Cow::Owned(text) => canonical_text(out, text),
    }
}

/// Canonical JSON of a text.
pub fn canonical_text(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    if is_plain(text.as_bytes()) {
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
        return;
    }
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..=0x1f => {
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(byte >> 4)]);
                out.push(HEX[usize::from(byte & 15)]);
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// Whether nothing in it is escaped.
fn is_plain(bytes: &[u8]) -> bool {
    scan::none(bytes, |byte| (byte < 0x20) | (byte == b'"') | (byte == b'\\'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkin::State;

    fn disk(key: &str) -> Item {
        Item { maker: Some("Acme \"x\"\n".into()), size: Some(-1), ..Item::new("disk", key) }
            .with("b", Some(true))
            .with("a", Some(vec![1_i64, 2]))
    }

    #[test]
    fn canonical_json_is_sorted_and_tight() {
        let mut out = Vec::new();
        canonical_item(&mut out, &disk("k"));
        assert_eq!(
            String::from_utf8(out).expect("text"),
            r#"{"attrs":{"a":[1,2],"b":true},"key":"k","kind":"disk","maker":"Acme \"x\"\u000a","size":-1}"#
        );
    }

    #[test]
    fn numbers_are_decimal() {
        for number in [0, 9, 10, -1, 1_234_567, i64::MAX, i64::MIN] {
            let mut out = Vec::new();
            put_int(&mut out, number);
            assert_eq!(String::from_utf8(out).expect("text"), number.to_string());
        }
    }

    #[test]
    fn canonical_json_is_json() {
        let mut out = Vec::new();
        canonical_item(&mut out, &disk("k"));
        assert_eq!(serde_json::from_slice::<Item>(&out).expect("json"), disk("k"));
    }

    #[test]
    fn what_changes_all_the_time_is_not_digested() {
        let quiet = disk("k");
        let busy = disk("k").with_now("used", Some(5_i64));
        assert_eq!(row(&quiet), row(&busy));
        assert_ne!(row(&quiet), row(&disk("l")));
    }

    #[test]
    fn a_section_is_a_set() {
        let (a, b) = (disk("a"), disk("b"));
        assert_eq!(section_of([&a, &b]), section_of([&b, &a]));
        assert_ne!(section_of([&a, &b]), section_of([&a]));
        assert_ne!(section_of([]), Digest::default());
    }

    #[test]
    fn the_root_tells_a_failed_section_from_an_empty_one() {
        let empty = section_of([]);
        assert_ne!(root([("disks", State::Seen, empty)]), root([("disks", State::Failed, empty)]));
        assert_ne!(root([("a", State::Seen, empty)]), root([("b", State::Seen, empty)]));
    }

    #[test]
    fn a_digest_survives_its_text() {
        let digest = of_bytes(b"x");
        assert_eq!(digest.to_string().parse::<Digest>(), Ok(digest));
        assert!("zz".repeat(16).parse::<Digest>().is_err());
    }
}
