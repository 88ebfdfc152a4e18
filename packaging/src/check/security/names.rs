//! Names that no terminal, log or reader should meet as they are, and how to find what is left of one. Pure.

/// Escape sequences, bidirectional controls, line breaks.
pub(super) const HOSTILE: &[&str] = &[
    "esc\u{1b}[2J\u{1b}[31mred",
    "title\u{1b}]0;owned\u{7}",
    "c1\u{9b}31mred\u{85}next",
    "bidi\u{202e}exe.txt\u{202c}",
    "isolate\u{2066}x\u{2069}\u{200e}\u{200f}",
    "crlf\r\nforged record",
    "lf\nforged\trecord",
    "back\u{8}\u{8}\u{7f}space",
    "=formula\r\n+1",
];

/// Where text is not harmless.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    /// Which line, from 1.
    pub(super) line: usize,
    /// What it says.
    pub(super) text: String,
}

/// The first line with a control character other than its end, or with a bidirectional control.
pub(super) fn flaw(shown: &str) -> Option<Flaw> {
    let bad = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let lines = shown.split('\n').enumerate();
    lines.filter(|(_, line)| line.contains(bad)).map(|(at, line)| Flaw { line: at + 1, text: line.to_owned() }).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hostile_name_is_found() {
        for name in HOSTILE.iter().filter(|name| !name.starts_with("lf")) {
            assert!(flaw(&format!("a\n{name}")).is_some_and(|flaw| flaw.line == 2), "{name:?}");
        }
        assert_eq!(flaw("lf\nforged\trecord").map(|flaw| flaw.line), Some(2));
        assert_eq!(flaw("two\nlines, Größe 日本語\n"), None);
    }
}
