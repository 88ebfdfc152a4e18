//! The generic shape of a fact.
//!
//! An item is one row of a section: a disk, a package, a listening port. Its columns (label, maker,
//! model, serial, size) are what every kind has in common and what the register filters by; all else
//! is in `attrs`. What changes all the time (free space, sessions) is in `now`: it travels with its
//! item, is never digested and makes no event.

use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// A JSON value without `null` and without fractions: absent is absent, and amounts are integers in
/// a unit small enough. So equal values have equal texts, which the digests rely on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Text.
    Text(String),
    /// An ordered list.
    List(Vec<Value>),
    /// Named values.
    Map(Attrs),
}

/// Named values, in the order of their names. Nearly all names are the program's own: they take no memory.
pub type Attrs = BTreeMap<Cow<'static, str>, Value>;

impl Value {
    /// The text, if this is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if this is one.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(n) => Some(*n),
            _ => None,
        }
    }

    /// The truth value, if this is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(b) => Some(*b),
            _ => None,
        }
    }
}

impl fmt::Display for Value {
    /// For people: text as it is, lists joined by commas.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Bool(b) => write!(f, "{b}"),
            Value::Int(n) => write!(f, "{n}"),
            Value::Text(text) => f.write_str(text),
            Value::List(list) => {
                for (i, value) in list.iter().enumerate() {
                    write!(f, "{}{value}", if i > 0 { ", " } else { "" })?;
                }
                Ok(())
            }
            Value::Map(map) => {
                for (i, (name, value)) in map.iter().enumerate() {
                    write!(f, "{}{name}={value}", if i > 0 { " " } else { "" })?;
                }
                Ok(())
            }
        }
    }
}

impl From<bool> for Value {
    fn from(b: bool) -> Value {
        Value::Bool(b)
    }
}

impl From<i64> for Value {
    fn from(n: i64) -> Value {
        Value::Int(n)
    }
}

impl From<u32> for Value {
    fn from(n: u32) -> Value {
        Value::Int(i64::from(n))
    }
}

impl From<u64> for Value {
    /// Amounts above `i64::MAX` do not occur; one that did would be held at that bound.
    fn from(n: u64) -> Value {
        Value::Int(i64::try_from(n).unwrap_or(i64::MAX))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(list: Vec<T>) -> Value {
        Value::List(list.into_iter().map(Into::into).collect())
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, a whole number, true or false, a list or a map")
    }

    fn visit_bool<E>(self, b: bool) -> Result<Value, E> {
        Ok(Value::Bool(b))
    }

    fn visit_i64<E>(self, n: i64) -> Result<Value, E> {
        Ok(Value::Int(n))
    }

    fn visit_u64<E: de::Error>(self, n: u64) -> Result<Value, E> {
        i64::try_from(n).map(Value::Int).map_err(|_| E::custom("number out of range"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = seq.next_element()? {
            list.push(value);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut attrs = Attrs::new();
        while let Some((name, value)) = map.next_entry()? {
            attrs.insert(name, value);
        }
        Ok(Value::Map(attrs))
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

/// One fact about a machine. `key` is unique within its section and stays the same for as long as
/// the thing is in the same place ("Item keys" in the README says which key each kind has).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Item {
    /// What it is: `disk`, `package`, `port` … Probes name their own kinds: those take no memory.
    pub kind: Cow<'static, str>,
    /// Where it is, unique in the section.
    pub key: String,
    /// What a person calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maker: Option<String>,
    /// The maker's name of the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The maker's serial number; placeholders are left out by the probe that reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// Its size in bytes, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<i64>,
    /// Everything else that is configuration.
    #[serde(default, skip_serializing_if = "Attrs::is_empty")]
    pub attrs: Attrs,
    /// What changes all the time; not digested, makes no event.
    #[serde(default, skip_serializing_if = "Attrs::is_empty")]
    pub now: Attrs,
}

impl Item {
    /// An item with nothing but its kind and key.
    pub fn new(kind: impl Into<Cow<'static, str>>, key: impl Into<String>) -> Item {
        Item { kind: kind.into(), key: key.into(), ..Item::default() }
    }

    /// Adds an attribute if there is a value for it.
    #[must_use]
    pub fn with<T: Into<Value>>(mut self, name: impl Into<Cow<'static, str>>, value: Option<T>) -> Item {
        if let Some(value) = value {
            self.attrs.insert(name.into(), value.into());
        }
        self
    }

    /// Adds a list attribute unless it is empty.
    #[must_use]
    pub fn with_list<T: Into<Value>>(self, name: impl Into<Cow<'static, str>>, list: Vec<T>) -> Item {
        let list = (!list.is_empty()).then_some(list);
        self.with(name, list)
    }

    /// Adds a volatile value if there is one.
    #[must_use]
    pub fn with_now<T: Into<Value>>(mut self, name: impl Into<Cow<'static, str>>, value: Option<T>) -> Item {
        if let Some(value) = value {
            self.now.insert(name.into(), value.into());
        }
        self
    }

    /// The text of an attribute.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.attrs.get(name).and_then(Value::as_text)
    }

    /// The number of an attribute.
    pub fn int(&self, name: &str) -> Option<i64> {
        self.attrs.get(name).and_then(Value::as_int)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_survives_json() {
        let item = Item { serial: Some("S1".into()), size: Some(5), ..Item::new("disk", "wwn-1") }
            .with("bus", Some("sata"))
            .with("rotational", None::<bool>)
            .with_list("flags", vec!["a", "b"])
            .with_now("temperature_c", Some(40_i64));
        let text = serde_json::to_string(&item).expect("json");
        assert_eq!(
            text,
            r#"{"kind":"disk","key":"wwn-1","serial":"S1","size":5,"attrs":{"bus":"sata","flags":["a","b"]},"now":{"temperature_c":40}}"#
        );
        assert_eq!(serde_json::from_str::<Item>(&text).expect("item"), item);
    }

    #[test]
    fn null_and_fractions_are_refused() {
        for text in ["null", "1.5", "[1.0]", "18446744073709551615"] {
            assert!(serde_json::from_str::<Value>(text).is_err(), "{text}");
        }
    }
}
