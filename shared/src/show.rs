//! Reported text as a person may see it. Everything that a machine says of itself may have been chosen by
//! somebody else: a name with an escape sequence would rewrite the terminal, one with a line feed would
//! forge a second record, one with a bidirectional control would read as another name.
//!
//! For lines of text and cells of spreadsheets; knows nothing of quoting, HTML or mail headers.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The text as one line that says what it holds: what a terminal would obey or a reader not see is written
/// as `\u{1b}`. All else, other scripts included, stays as it is.
pub fn line(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return Cow::Borrowed(text);
    }
    let Some(first) = text.find(unsafe_to_show) else { return Cow::Borrowed(text) };
    let (clean, rest) = text.split_at(first);
    let mut out = String::with_capacity(text.len() + 16);
    out.push_str(clean);
    for c in rest.chars() {
        if unsafe_to_show(c) {
            // Writing to a String cannot fail.
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// The text as a cell of a spreadsheet: one that a program would take for a formula (also in its full-width
/// forms, and one that was defused before) gets a leading apostrophe, and is then text. A plain number is none,
/// whatever its sign. What [`line`] writes out
/// is written out here too, so that one record stays one line.
pub fn cell(text: &str) -> Cow<'_, str> {
    const FORMULA: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}', '\''];
    let shown = line(text);
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let number = digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if !number && text.starts_with(FORMULA) { Cow::Owned(format!("'{shown}")) } else { shown }
}

fn unsafe_to_show(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    matches!(c,
        // C1 controls, of which U+009B begins an escape sequence.
        '\u{80}'..='\u{9f}'
        // Bidirectional controls (UAX #9, 2).
        | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        // Line and paragraph separators.
        | '\u{2028}' | '\u{2029}'
        // Invisible: zero-width space, word joiner, byte-order mark, annotations, tags.
        | '\u{200b}' | '\u{2060}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn harmless_text_is_not_copied() {
        for text in ["", "Dell Inc.", "Größe 日本語 नमस्ते 👩‍💻", r"C:\new"] {
            assert!(matches!(line(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn what_a_terminal_would_obey_is_written_out() {
        assert_eq!(line("a\x1b[2Jb\r\nc\td\0\u{7f}"), r"a\u{1b}[2Jb\u{d}\u{a}c\u{9}d\u{0}\u{7f}");
        assert_eq!(
            line("x\u{202e}exe.\u{2066}y\u{9b}31m\u{2028}\u{200b}z"),
            r"x\u{202e}exe.\u{2066}y\u{9b}31m\u{2028}\u{200b}z"
        );
    }

    #[test]
    fn what_a_spreadsheet_would_run_is_text() {
        for start in ["=", "+", "-", "@", "\t", "\r", "\u{ff1d}", "\u{ff0b}", "\u{ff0d}", "\u{ff20}", "'"] {
            let text = format!("{start}1+1");
            assert_eq!(cell(&text), format!("'{}", line(&text)));
        }
        for text in ["", "1+1", "a=b", " =1", "-12", "+1.5"] {
            assert!(matches!(cell(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }
}
