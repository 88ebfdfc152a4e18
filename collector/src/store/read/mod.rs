//! Reads for the API, the CLI and the jobs: one file per noun. Each is a function of a connection, to be run by
//! [`Store::read`](super::Store::read).
//!
//! Every list is bounded by its page. Filters are closed lists of fields, each a fragment of SQL of its own.

pub mod agents;
pub mod assets;
pub mod events;
pub mod faults;
pub mod links;
pub mod software;
pub mod tickets;
pub mod tokens;

use super::engine::{Cell, Query};

/// How a text is looked for; letters of ASCII count as equal in either case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Text {
    /// All of it.
    Is(String),
    /// The start of it.
    Starts(String),
    /// Somewhere in it.
    Has(String),
    /// All of it, where `*` stands for anything.
    Glob(String),
}

impl Text {
    /// The pattern for `like … escape '\'`.
    fn pattern(&self) -> String {
        let escaped = |text: &str| {
            let mut out = String::with_capacity(text.len() + 2);
            for c in text.chars() {
                if matches!(c, '%' | '_' | '\\') {
                    out.push('\\');
                }
                out.push(c.to_ascii_lowercase());
            }
            out
        };
        match self {
            Text::Is(text) => escaped(text),
            Text::Starts(text) => format!("{}%", escaped(text)),
            Text::Has(text) => format!("%{}%", escaped(text)),
            Text::Glob(text) => text.split('*').map(escaped).collect::<Vec<_>>().join("%"),
        }
    }
}

/// Adds a condition if there is a value for it.
fn filter<T>(query: &mut Query, value: Option<T>, fragment: &'static str)
where
    Cell: From<T>,
{
    if let Some(value) = value {
        query.push(fragment, [Cell::from(value)]);
    }
}

/// Adds a condition on a text: `fragment` compares a column in lower case by `like ? escape '\'`.
fn text_filter(query: &mut Query, text: Option<&Text>, fragment: &'static str) {
    filter(query, text.map(Text::pattern), fragment);
}

/// Adds `column in (…)`; an empty list is no condition. `fragment` ends with the open bracket.
pub(super) fn any_of<T: AsRef<str>>(query: &mut Query, names: &[T], fragment: &'static str) {
    for (index, name) in names.iter().enumerate() {
        query.push(if index == 0 { fragment } else { "" }, []);
        query.push(if index == 0 { "?" } else { ", ?" }, [name.as_ref().into()]);
    }
    if !names.is_empty() {
        query.push(")", []);
    }
}
