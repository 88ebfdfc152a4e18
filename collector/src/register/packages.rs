//! Software sections: rows are numbers in a dictionary, so a change says which numbers stay and which rows
//! are new. An upgrade run is one event with lists.

use super::model::{Installed, Software};
use crate::event::{Event, Upgrade};
use shared::checkin::{Part, Rows};
use shared::digest::{self, Digest};
use shared::fact::Item;
use std::collections::{BTreeMap, BTreeSet};

/// Names in one list of an event; what is beyond is counted in a last entry. The rows themselves have no
/// such bound.
pub const LISTED_MAX: usize = 2000;

/// What becomes of a software section.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Packages {
    /// Numbers of the rows that stay.
    pub keep: Vec<i64>,
    /// Rows that are new.
    pub add: Vec<Item>,
    /// The section's digest afterwards.
    pub digest: Digest,
    /// Rows before.
    pub before: u64,
    /// Rows afterwards.
    pub after: u64,
    /// Packages that were there and are not any more, in any version.
    pub gone: u64,
    /// Key and version of each package that came.
    installed: Vec<(String, String)>,
    /// Key and version of each package that went.
    removed: Vec<(String, String)>,
    /// Key, old and new version.
    upgraded: Vec<(String, String, String)>,
}

/// What a part makes of the packages held; `None` if only a digest was told, or a key comes twice. A
/// row that it deletes need not be there: the digest judges the result.
pub fn change(part: &Part, held: Option<&Software>) -> Option<Packages> {
    let none = Software::default();
    let held = held.unwrap_or(&none);
    let (put, del, whole): (&[Item], BTreeSet<&String>, bool) = match part.rows() {
        Rows::Same => return None,
        Rows::Delta { put, del, .. } => (put, del.iter().collect(), false),
        Rows::Whole(put) => (put, held.touched.keys().collect(), true),
    };
    let new: BTreeMap<&str, &Item> = put.iter().map(|item| (item.key.as_str(), item)).collect();
    if new.len() != put.len() {
        return None;
    }
    let others: &[(i64, Digest)] = if whole { &[] } else { &held.others };

    let mut out = Packages { before: (held.touched.len() + held.others.len()) as u64, ..Packages::default() };
    let mut rows: Vec<Digest> = others.iter().map(|(_, row)| *row).collect();
    out.keep = others.iter().map(|(id, _)| *id).collect();
    for (key, old) in &held.touched {
        if new.contains_key(key.as_str()) {
            continue;
        }
        if del.contains(key) {
            out.removed.push((key.clone(), old.version.clone()));
        } else {
            out.keep.push(old.id);
            rows.push(old.row);
        }
    }
    for (key, item) in new {
        rows.push(out.put(key, item, held.touched.get(key)));
    }
    out.gone = out.removed.len() as u64;
    out.after = rows.len() as u64;
    out.digest = digest::section(&mut rows);
    out.keep.sort_unstable();
    Some(out)
}

impl Packages {
    fn put(&mut self, key: &str, item: &Item, old: Option<&Installed>) -> Digest {
        let row = digest::row(item);
        let version = item.text("version").unwrap_or("").to_owned();
        match old {
            Some(old) if old.row == row => {
                self.keep.push(old.id);
                return row;
            }
            Some(old) if old.version != version => {
                self.upgraded.push((key.to_owned(), old.version.clone(), version));
            }
            // The same version with other words about it: kept, not told.
            Some(_) => {}
            None => self.installed.push((key.to_owned(), version)),
        }
        self.add.push(item.clone());
        row
    }

    /// Whether every row stays.
    pub fn is_nothing(&self) -> bool {
        self.add.is_empty() && self.removed.is_empty() && self.before == self.after
    }

    /// What to tell; nothing where no package came, went or changed its version.
    pub fn event(&self, section: &str, machine: Option<&str>) -> Option<Event> {
        if self.installed.is_empty() && self.removed.is_empty() && self.upgraded.is_empty() {
            return None;
        }
        let text =
            |(key, version): &(String, String)| format!("{} {version}", name(key, machine)).trim_end().to_owned();
        let upgrade = |(key, from, to): &(String, String, String)| Upgrade {
            name: name(key, machine),
            from: from.clone(),
            to: to.clone(),
        };
        let rest = |count| Upgrade { name: rest(count), from: String::new(), to: String::new() };
        Some(Event::SoftwareChanged {
            section: section.to_owned(),
            installed: listed(&self.installed, LISTED_MAX, text, self::rest),
            removed: listed(&self.removed, LISTED_MAX, text, self::rest),
            upgraded: listed(&self.upgraded, LISTED_MAX, upgrade, rest),
        })
    }
}

/// The entry that stands for those beyond a list's bound.
pub fn rest(count: usize) -> String {
    format!("and {count} more")
}

/// At most `most` entries, and one that counts the rest.
pub fn listed<T, U>(all: &[T], most: usize, each: impl Fn(&T) -> U, rest: impl Fn(usize) -> U) -> Vec<U> {
    let mut out: Vec<U> = all.iter().take(most).map(each).collect();
    if all.len() > most {
        out.push(rest(all.len() - most));
    }
    out
}

/// The package's name from its key `manager/name/arch`, with the architecture where it is not the machine's.
fn name(key: &str, machine: Option<&str>) -> String {
    let mut parts = key.splitn(3, '/').skip(1);
    let (name, arch) = (parts.next().unwrap_or(key), parts.next().unwrap_or(""));
    let native = match machine.unwrap_or("") {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "i686" | "i586" => "i386",
        "armv7l" => "armhf",
        other => other,
    };
    let plain = ["", "all", "noarch", native].contains(&arch) || machine == Some(arch);
    if plain { name.to_owned() } else { format!("{name}:{arch}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_architecture_is_named() {
        assert_eq!(name("dpkg/libc6/i386", Some("x86_64")), "libc6:i386");
        assert_eq!(name("dpkg/libc6/amd64", Some("x86_64")), "libc6");
        assert_eq!(name("dpkg/tzdata/all", None), "tzdata");
        assert_eq!(name("odd", None), "odd");
    }

    #[test]
    fn a_long_list_counts_its_rest() {
        let all = listed(&[1, 2, 3], 2, |n| n.to_string(), rest);
        assert_eq!(all, ["1", "2", "and 1 more"]);
    }
}
