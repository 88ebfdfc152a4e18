//! Probe `dpkg`: packages installed by dpkg, from its database (deb822(5), dpkg(1) "Package states").
//!
//! A package counts if any of its files may be there: every state but `not-installed` and `config-files`,
//! so also `half-installed`, `unpacked`, `half-configured` and the two of triggers. A folder `status.d`, as
//! minimal container images have it, holds one file a package, without a state.
//!
//! Knows the database at rest. While dpkg runs, what it has not yet folded into `status` is not seen; the
//! next check-in sees it.

use super::{Every, Found, Os, Probe};
use crate::source::{Miss, Source};
use memchr::{memchr, memchr_iter, memmem};
use shared::checkin::{Problem, Why};
use shared::fact::Item;
use shared::software::Package;
use std::borrow::Cow;

/// The probe.
pub const PROBE: Probe =
    Probe { name: "dpkg", os: &[Os::Linux], every: Every::CheckIn, needs: "", mark: Some(mark), run };

const HOME: &str = "/var/lib/dpkg";
const STATUS: &str = "/var/lib/dpkg/status";
const STATUS_D: &str = "/var/lib/dpkg/status.d";
/// What a stanza takes, roughly.
const STANZA_BYTES: usize = 768;
/// Stanzas that are told apart when they are malformed; the rest is counted.
const MALFORMED_MAX: usize = 16;

/// dpkg replaces the file whenever anything changed, so its inode, size and time tell.
fn mark(source: &dyn Source) -> Option<String> {
    let of =
        |path| source.stat(path).ok().map(|stat| format!("{}:{}:{}", stat.inode, stat.size_bytes, stat.modified.0));
    match (of(STATUS), of(STATUS_D)) {
        (None, None) => None,
        (status, folder) => Some(format!("{} {}", status.unwrap_or_default(), folder.unwrap_or_default())),
    }
}

fn run(source: &dyn Source) -> Result<Found, Problem> {
    let status = source.file(STATUS);
    let folder = source.names(STATUS_D);
    let mut found = Found::default();
    match (&status, &folder) {
        (Ok(bytes), _) => add(&mut found, STATUS, parse(bytes, false)),
        (Err(Miss::Absent), Ok(_)) => {}
        // Without dpkg there are no packages of dpkg; with it and without its database nothing is known.
        (Err(Miss::Absent), Err(_)) if source.stat(HOME) == Err(Miss::Absent) => return Ok(found),
        (Err(miss), _) => return Err(miss.problem(STATUS)),
    }
    for name in folder.iter().flatten().filter(|name| !name.ends_with(".md5sums")) {
        let path = format!("{STATUS_D}/{name}");
        match source.file(&path) {
            Ok(bytes) => add(&mut found, &path, parse(&bytes, true)),
            Err(miss) => found.problems.push(miss.problem(path)),
        }
    }
    Ok(found)
}

fn add(found: &mut Found, path: &str, parsed: Parsed) {
    if found.items.is_empty() {
        found.items = parsed.items;
    } else {
        found.items.extend(parsed.items);
    }
    let told = parsed.malformed.len();
    for (line, what) in parsed.malformed.into_iter().take(MALFORMED_MAX) {
        found.problems.push(Problem::new(Why::Malformed, format!("{path}:{line}")).detail(what));
    }
    if told > MALFORMED_MAX {
        let detail = format!("{} more stanzas are malformed", told - MALFORMED_MAX);
        found.problems.push(Problem::new(Why::Malformed, path).detail(detail));
    }
}

/// What a database holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    /// The packages that are there, as rows: there are thousands, so nothing is made of them in between.
    pub items: Vec<Item>,
    /// Malformed stanzas: the line in which they begin, from 1, and what is wrong.
    pub malformed: Vec<(usize, &'static str)>,
}

/// The fields that are told, as they stand in the file; empty where they do not.
#[derive(Default)]
struct Stanza<'a> {
    /// Where its first line begins, if it has one.
    start: Option<usize>,
    package: &'a str,
    status: &'a str,
    version: &'a str,
    architecture: &'a str,
    maintainer: &'a str,
    installed_size: &'a str,
    source: &'a str,
    section: &'a str,
    description: &'a str,
    broken: bool,
}

/// Reads a database; `loose`: its stanzas have no state.
pub fn parse(bytes: &[u8], loose: bool) -> Parsed {
    // Checking first is faster than `from_utf8_lossy`, and nearly every database is valid.
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(bytes),
    };
    let blank = memmem::Finder::new("\n\n");
    let mut parsed = Parsed { items: Vec::with_capacity(bytes.len() / STANZA_BYTES), malformed: Vec::new() };
    let mut stanza = Stanza::default();
    let mut at = 0;
    while let Some(rest) = text.as_bytes().get(at..).filter(|rest| !rest.is_empty()) {
        let end = memchr(b'\n', rest).unwrap_or(rest.len());
        match rest.first() {
            // The rest of a field: files, dependencies.
            Some(b' ' | b'\t') => {}
            Some(b'\n') | None => std::mem::take(&mut stanza).end(loose, &mut parsed),
            Some(_) => {
                let line = text.get(at..at + end).unwrap_or_default();
                // An editor left the line ends of another system, among which no blank line would be found.
                if line.ends_with('\r') {
                    return parse(text.replace("\r\n", "\n").replace('\r', " ").as_bytes(), loose);
                }
                if stanza.field(line, at) && stanza.complete() {
                    at += blank.find(rest).map_or(rest.len(), |length| length + 1);
                    continue;
                }
            }
        }
        at += end + 1;
    }
    stanza.end(loose, &mut parsed);
    let (mut line, mut counted) = (1, 0);
    for (place, _) in &mut parsed.malformed {
        line += memchr_iter(b'\n', text.as_bytes().get(counted..*place).unwrap_or_default()).count();
        counted = std::mem::replace(place, line);
    }
    parsed
}

impl<'a> Stanza<'a> {
    /// Takes up a field; true if it is the description.
    fn field(&mut self, line: &'a str, start: usize) -> bool {
        self.start.get_or_insert(start);
        let bytes = line.as_bytes();
        // By the first letters: most of the lines that are there are told by one look at each.
        let (field, value) = match bytes {
            [b'P', b'a', b'c', ..] => (&mut self.package, line.strip_prefix("Package:")),
            [b'S', b't', ..] => (&mut self.status, line.strip_prefix("Status:")),
            [b'V', b'e', ..] => (&mut self.version, line.strip_prefix("Version:")),
            [b'A', b'r', ..] => (&mut self.architecture, line.strip_prefix("Architecture:")),
            [b'M', b'a', ..] => (&mut self.maintainer, line.strip_prefix("Maintainer:")),
            [b'I', b'n', ..] => (&mut self.installed_size, line.strip_prefix("Installed-Size:")),
            [b'S', b'o', ..] => (&mut self.source, line.strip_prefix("Source:")),
            [b'S', b'e', ..] => (&mut self.section, line.strip_prefix("Section:")),
            [b'D', b'e', b's', ..] => (&mut self.description, line.strip_prefix("Description:")),
            _ => {
                self.broken |= position(bytes, b':').is_none();
                return false;
            }
        };
        let Some(value) = value else {
            self.broken |= position(bytes, b':').is_none();
            return false;
        };
        *field = value.trim_ascii();
        bytes.starts_with(b"De")
    }

    /// After the description nothing is told. dpkg writes the description after all that is told of a package; its
    /// text is most of the file and need not be looked at.
    fn complete(&self) -> bool {
        let needed = [self.package, self.status, self.version, self.architecture, self.maintainer];
        needed.iter().all(|field| !field.is_empty())
    }

    fn end(self, loose: bool, parsed: &mut Parsed) {
        let Some(start) = self.start else { return };
        let before = self.status.bytes().rposition(|byte| byte == b' ');
        let state = self.status.get(before.map_or(0, |space| space + 1)..).unwrap_or_default();
        let gone = matches!(state, "not-installed" | "config-files");
        let wrong = if self.package.is_empty() {
            Some("no Package")
        } else if state.is_empty() && !loose {
            Some("no Status")
        } else if self.version.is_empty() && !gone {
            Some("no Version")
        } else {
            None
        };
        if let Some(what) = wrong.or(self.broken.then_some("a line without a colon")) {
            parsed.malformed.push((start, what));
        }
        if wrong.is_none() && !gone {
            parsed.items.push(self.package().into());
        }
    }

    fn package(self) -> Package<'a> {
        let some = |text: &'a str| (!text.is_empty()).then_some(text);
        // `glibc (2.36-9)`: a version stands there if it is another one.
        let name_ends = position(self.source.as_bytes(), b' ').unwrap_or(self.source.len());
        let source = self.source.get(..name_ends).unwrap_or_default();
        Package {
            manager: "dpkg",
            name: self.package,
            version: self.version,
            arch: some(self.architecture),
            publisher: some(self.maintainer),
            // Units of 1024 bytes (Debian Policy, 5.6.20).
            size_bytes: self.installed_size.parse::<u32>().ok().map(|amount| i64::from(amount) * 1024),
            source: some(source).filter(|_| source != self.package),
            category: some(self.section),
            summary: some(self.description),
        }
    }
}

/// Where a byte is first. For what comes after a few bytes, this is faster than a search in large steps.
fn position(bytes: &[u8], wanted: u8) -> Option<usize> {
    bytes.iter().position(|&byte| byte == wanted)
}

#[cfg(test)]
mod tests;
