//! Bounds on what people and tools may write on the desk. Knows sizes and characters, no rule of any
//! process.

use crate::work::Refusal;
use std::collections::BTreeMap;

/// A ticket's title.
pub const TITLE_BYTES: usize = 512;
/// A ticket's description.
pub const DESCRIPTION_BYTES: usize = 16 * 1024;
/// One comment.
pub const COMMENT_BYTES: usize = 16 * 1024;
/// The reason of a move.
pub const REASON_BYTES: usize = 4096;
/// Who works on a ticket, or asked for it.
pub const PERSON_BYTES: usize = 256;
/// One field of a process, and a resolution's text.
pub const FIELD_BYTES: usize = 4096;
/// Fields in one act.
pub const FIELDS: usize = 32;
/// Assets named when a ticket is opened.
pub const ASSETS: usize = 100;

/// One line of text: not blank, within its bound, no control characters.
///
/// # Errors
/// [`Refusal::Invalid`] naming the field.
pub fn line(field: &str, text: &str, bytes: usize) -> Result<(), Refusal> {
    if text.chars().any(char::is_control) {
        return Err(Refusal::invalid(field, "one line without control characters"));
    }
    filled(field, text, bytes)
}

/// As [`line`], or nothing at all.
///
/// # Errors
/// [`Refusal::Invalid`] naming the field.
pub fn line_or_none(field: &str, text: Option<&str>, bytes: usize) -> Result<(), Refusal> {
    text.map_or(Ok(()), |text| line(field, text, bytes))
}

/// Text of any number of lines: not blank, within its bound, no control characters but line ends and tabs.
///
/// # Errors
/// [`Refusal::Invalid`] naming the field.
pub fn lines(field: &str, text: &str, bytes: usize) -> Result<(), Refusal> {
    filled(field, text, bytes)?;
    prose(field, text, bytes)
}

/// As [`lines`], but it may be blank.
///
/// # Errors
/// [`Refusal::Invalid`] naming the field.
pub fn prose(field: &str, text: &str, bytes: usize) -> Result<(), Refusal> {
    if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        return Err(Refusal::invalid(field, "no control characters but line ends and tabs"));
    }
    if text.len() > bytes {
        return Err(Refusal::invalid(field, format!("{} bytes; at most {bytes} are taken", text.len())));
    }
    Ok(())
}

/// Not more fields than one act may carry.
///
/// # Errors
/// [`Refusal::Invalid`].
pub fn fields(fields: &BTreeMap<String, String>) -> Result<(), Refusal> {
    if fields.len() > FIELDS {
        return Err(Refusal::invalid("fields", format!("{} fields; at most {FIELDS} are taken", fields.len())));
    }
    Ok(())
}

fn filled(field: &str, text: &str, bytes: usize) -> Result<(), Refusal> {
    if text.trim().is_empty() {
        return Err(Refusal::invalid(field, "must not be empty"));
    }
    if text.len() > bytes {
        return Err(Refusal::invalid(field, format!("{} bytes; at most {bytes} are taken", text.len())));
    }
    Ok(())
}
