//! Parsers of release files: os-release(5), and the one-line files of distributions that are older than it or
//! tell a more exact version there (`/etc/debian_version`, `/etc/redhat-release` and their kin).

use std::collections::BTreeMap;

/// Variables that are kept at most.
const VARIABLES_MAX: usize = 128;

/// What release files say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Release {
    /// As sold, with version.
    pub name: Option<String>,
    /// `ID`.
    pub id: Option<String>,
    /// `ID_LIKE`.
    pub like: Vec<String>,
    /// The most exact version known.
    pub version: Option<String>,
    /// Release name.
    pub codename: Option<String>,
}

/// Variables of os-release(5): shell assignments without any expansion.
pub fn parse_variables(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.split_once('='));
    let named =
        pairs.filter(|(name, _)| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'));
    named
        .take(VARIABLES_MAX)
        .map(|(name, value)| (name.to_owned(), unquote(value)))
        .filter(|(_, v)| !v.is_empty())
        .collect()
}

/// Quotes of a POSIX shell: in double ones a backslash takes what is special there, in single ones nothing does.
fn unquote(value: &str) -> String {
    let mut out = String::new();
    let mut quote: Option<char> = None;
    let mut chars = value.trim().chars().peekable();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), _) if c == open => quote = None,
            (None, '\\') => out.extend(chars.next()),
            (Some('"'), '\\') if chars.peek().is_some_and(|next| "\"\\$`".contains(*next)) => out.extend(chars.next()),
            // An assignment ends at white space; what follows would be a comment or a command.
            (None, c) if c.is_whitespace() => break,
            _ => out.push(c),
        }
    }
    out.trim().to_owned()
}

/// Judges os-release together with the texts of one-line files, in the order in which they are to be believed.
pub fn judge(os_release: &str, lines: &[String]) -> Release {
    let variables = parse_variables(os_release);
    let get = |name: &str| variables.get(name).cloned();
    let Some(name) = get("PRETTY_NAME").or_else(|| get("NAME")) else { return from_lines(lines) };
    let version_id = get("VERSION_ID");
    let version = get("VERSION");
    let words = lines.iter().filter_map(|line| version_word(line)).chain(version.as_deref().and_then(version_word));
    // Another distribution's file may lie there too (Ubuntu keeps Debian's): only what agrees is more exact.
    let exact = version_id.as_deref().and_then(|id| {
        let finer = |word: &&str| word.strip_prefix(id).is_some_and(|rest| rest.starts_with('.'));
        words.filter(finer).max_by_key(|word| word.len()).map(str::to_owned)
    });
    let in_version = version.as_deref().and_then(parenthesised);
    Release {
        name: Some(name),
        id: get("ID"),
        like: get("ID_LIKE").map(|like| like.split_whitespace().map(str::to_owned).collect()).unwrap_or_default(),
        version: exact.or(version_id),
        codename: get("VERSION_CODENAME").or_else(|| get("UBUNTU_CODENAME")).or(in_version),
    }
}

/// Before os-release: `Red Hat Enterprise Linux Server release 5.6 (Tikanga)`.
fn from_lines(lines: &[String]) -> Release {
    let Some(line) = lines.iter().find(|line| !line.trim().is_empty()) else { return Release::default() };
    let line = line.lines().next().unwrap_or("").trim();
    let only_version = line.starts_with(|c: char| c.is_ascii_digit());
    let known = [
        ("Red Hat", "rhel"),
        ("CentOS", "centos"),
        ("Fedora", "fedora"),
        ("Oracle", "ol"),
        ("SUSE", "sles"),
        ("Alpine", "alpine"),
    ];
    let id = known.iter().find(|(start, _)| line.starts_with(start)).map(|(_, id)| (*id).to_owned());
    Release {
        // A bare version is Debian's file.
        name: Some(if only_version { format!("Debian GNU/Linux {line}") } else { line.to_owned() }),
        id: if only_version { Some("debian".to_owned()) } else { id },
        like: Vec::new(),
        version: version_word(line).map(str::to_owned),
        codename: parenthesised(line),
    }
}

/// The first word that is a version: `7.9.2009` of `CentOS Linux release 7.9.2009 (Core)`.
fn version_word(text: &str) -> Option<&str> {
    text.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()) && word.len() <= 64)
}

/// `Core` of `7 (Core)`.
fn parenthesised(text: &str) -> Option<String> {
    let (_, rest) = text.split_once('(')?;
    let (inside, _) = rest.split_once(')')?;
    Some(inside.trim().to_owned()).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quotes_are_a_shells() {
        let text = "# c\nA=\"a \\\"b\\\" \\$c \\x\"\nB='d \\ e'\nC=plain # no\nD=\nE-F=1\nG=a\\ b\n";
        let variables = parse_variables(text);
        let told: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(told, [("A", "a \"b\" $c \\x"), ("B", "d \\ e"), ("C", "plain"), ("G", "a b")]);
    }

    #[test]
    fn the_most_exact_version_that_agrees() {
        let of = |text: &str, lines: &[&str]| {
            let release = judge(text, &lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>());
            (release.version.unwrap_or_default(), release.codename.unwrap_or_default())
        };
        let two = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        let debian = "NAME=Debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\n";
        assert_eq!(of(debian, &["12.11"]), two("12.11", "bookworm"));
        assert_eq!(of(debian, &["trixie/sid"]), two("12", "bookworm"));
        let ubuntu = "NAME=Ubuntu\nVERSION=\"22.04.3 LTS (Jammy Jellyfish)\"\nVERSION_ID=\"22.04\"\n";
        assert_eq!(of(ubuntu, &["bookworm/sid"]), two("22.04.3", "Jammy Jellyfish"));
        assert_eq!(of("NAME=X\nVERSION_ID=1\n", &["12.5"]), two("1", ""));
        let old = "Red Hat Enterprise Linux Server release 5.6 (Tikanga)";
        assert_eq!(of("", &[old]), two("5.6", "Tikanga"));
        assert_eq!(judge("", &["6.0.10".into()]).name.as_deref(), Some("Debian GNU/Linux 6.0.10"));
        assert_eq!(judge("", &[]), Release::default());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_text_is_survived(text in "([A-Z_=\"'\\\\$ \\n()]|\\PC){0,200}") {
            judge(&text, std::slice::from_ref(&text));
        }
    }
}
