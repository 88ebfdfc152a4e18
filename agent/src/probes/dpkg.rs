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
use shared::software::Package;

/// The probe.
pub const PROBE: Probe =
    Probe { name: "dpkg", os: &[Os::Linux], every: Every::CheckIn, needs: "", mark: Some(mark), run };

const HOME: &str = "/var/lib/dpkg";
const STATUS: &str = "/var/lib/dpkg/status";
const STATUS_D: &str = "/var/lib/dpkg/status.d";
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
        (Ok(bytes), _) => add(&mut found, STATUS, bytes, parse(bytes, false)),
        (Err(Miss::Absent), Ok(_)) => {}
        // Without dpkg there are no packages of dpkg; with it and without its database nothing is known.
        (Err(Miss::Absent), Err(_)) if source.stat(HOME) == Err(Miss::Absent) => return Ok(found),
        (Err(miss), _) => return Err(miss.problem(STATUS)),
    }
    for name in folder.iter().flatten().filter(|name| !name.ends_with(".md5sums")) {
        let path = format!("{STATUS_D}/{name}");
        match source.file(&path) {
            Ok(bytes) => add(&mut found, &path, &bytes, parse(&bytes, true)),
            Err(miss) => found.problems.push(miss.problem(path)),
        }
    }
    Ok(found)
}

fn add(found: &mut Found, path: &str, bytes: &[u8], parsed: Parsed) {
    found.items.reserve(parsed.packages.len());
    found.items.extend(parsed.packages.into_iter().map(Into::into));
    let told = parsed.malformed.len();
    for (offset, what) in parsed.malformed.into_iter().take(MALFORMED_MAX) {
        let line = memchr_iter(b'\n', bytes.get(..offset).unwrap_or_default()).count() + 1;
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
    /// The packages that are there.
    pub packages: Vec<Package>,
    /// Malformed stanzas: where they begin, as an offset in bytes, and what is wrong.
    pub malformed: Vec<(usize, &'static str)>,
}

/// The fields that are told, as they stand in the file.
#[derive(Default)]
struct Stanza<'a> {
    /// Where its first line begins, if it has one.
    start: Option<usize>,
    package: &'a [u8],
    status: &'a [u8],
    version: &'a [u8],
    architecture: &'a [u8],
    maintainer: &'a [u8],
    installed_size: &'a [u8],
    source: &'a [u8],
    section: &'a [u8],
    description: &'a [u8],
    broken: bool,
}

/// Reads a database; `loose`: its stanzas have no state.
pub fn parse(bytes: &[u8], loose: bool) -> Parsed {
    let mut parsed = Parsed::default();
    let mut stanza = Stanza::default();
    let blank = memmem::Finder::new(b"\n\n");
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let end = memchr(b'\n', rest).unwrap_or(rest.len());
        let line = rest.get(..end).unwrap_or_default();
        match line.first() {
            // The rest of a field: files, dependencies.
            Some(b' ' | b'\t') => {}
            Some(_) => {
                stanza.field(line, at);
                if stanza.complete() {
                    at += blank.find(rest).map_or(rest.len(), |length| length + 1);
                    continue;
                }
            }
            None => std::mem::take(&mut stanza).end(loose, &mut parsed),
        }
        at += end + 1;
    }
    stanza.end(loose, &mut parsed);
    parsed
}

impl<'a> Stanza<'a> {
    fn field(&mut self, line: &'a [u8], start: usize) {
        self.start.get_or_insert(start);
        let Some(colon) = memchr(b':', line) else {
            self.broken = true;
            return;
        };
        let (name, value) = line.split_at(colon);
        let field = match name {
            b"Package" => &mut self.package,
            b"Status" => &mut self.status,
            b"Version" => &mut self.version,
            b"Architecture" => &mut self.architecture,
            b"Maintainer" => &mut self.maintainer,
            b"Installed-Size" => &mut self.installed_size,
            b"Source" => &mut self.source,
            b"Section" => &mut self.section,
            b"Description" => &mut self.description,
            _ => return,
        };
        *field = value.get(1..).unwrap_or_default().trim_ascii();
    }

    /// Nothing that follows is told. dpkg writes the description after all that is told of a package; its
    /// text is most of the file and need not be looked at.
    fn complete(&self) -> bool {
        let needed = [self.description, self.package, self.status, self.version, self.architecture, self.maintainer];
        needed.iter().all(|field| !field.is_empty())
    }

    fn end(self, loose: bool, parsed: &mut Parsed) {
        let Some(start) = self.start else { return };
        let state = self.status.rsplit(|&byte| byte == b' ').next().unwrap_or_default();
        let gone = matches!(state, b"not-installed" | b"config-files");
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
            parsed.packages.push(self.package());
        }
    }

    fn package(self) -> Package {
        let source = self.source.split(|&byte| byte == b' ').next().unwrap_or_default();
        Package {
            manager: "dpkg".to_owned(),
            name: owned(self.package),
            version: owned(self.version),
            arch: some(self.architecture),
            publisher: some(self.maintainer),
            size_bytes: kibibytes(self.installed_size),
            source: some(source).filter(|_| source != self.package),
            category: some(self.section),
            summary: some(self.description),
        }
    }
}

fn owned(bytes: &[u8]) -> String {
    // Checking first is faster than `from_utf8_lossy`, and nearly all text is valid.
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => String::from_utf8_lossy(bytes).into_owned(),
    }
}

fn some(bytes: &[u8]) -> Option<String> {
    (!bytes.is_empty()).then(|| owned(bytes))
}

/// `Installed-Size` counts units of 1024 bytes (Debian Policy, 5.6.20).
fn kibibytes(digits: &[u8]) -> Option<i64> {
    std::str::from_utf8(digits).ok()?.parse::<u32>().ok().map(|amount| i64::from(amount) * 1024)
}

#[cfg(test)]
mod tests;
