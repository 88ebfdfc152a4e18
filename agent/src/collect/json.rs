//! A report for programs: what `muster-agent once --output json` prints.
//!
//! ```json
//! {
//!   "sections": {
//!     "dpkg": {
//!       "state": "seen",
//!       "items": [{"kind": "package", "key": "dpkg/bash/amd64", "label": "bash", "attrs": {"version": "5.2"}}],
//!       "problems": [{"why": "denied", "what": "/sys/class/dmi/id/product_serial", "detail": "..."}],
//!       "truncated": false
//!     }
//!   }
//! }
//! ```
//!
//! Sections come in the order of their names, items in the order of their keys, attributes in the order of
//! their names, so that two reports can be compared as text. An item has the names of
//! [`Item`](shared::fact::Item); what it does not have is absent. `state` is `seen` or `failed`; the items of
//! a failed section are unknown, not none. Digests are not in it: they are most of the work of a report, and
//! only a check-in needs them (`muster-agent show --all` has those that were sent).

use super::{Section, Sections};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use shared::checkin::{Problem, State};
use shared::fact::Item;
use std::collections::BTreeMap;
use std::io::Write;

#[derive(Serialize)]
struct Report<'a> {
    sections: Shown<'a>,
}

struct Shown<'a>(&'a Sections);

#[derive(Serialize)]
struct ShownSection<'a> {
    state: State,
    items: Items<'a>,
    problems: &'a [Problem],
    truncated: bool,
}

struct Items<'a>(&'a BTreeMap<String, Item>);

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, section) in self.0 {
            map.serialize_entry(name, &shown(section))?;
        }
        map.end()
    }
}

impl Serialize for Items<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.values())
    }
}

fn shown(section: &Section) -> ShownSection<'_> {
    ShownSection {
        state: section.state,
        items: Items(&section.items),
        problems: &section.problems,
        truncated: section.truncated,
    }
}

/// Writes the report and a line feed.
///
/// # Errors
/// When writing does.
pub fn write(sections: &Sections, mut out: impl Write) -> std::io::Result<()> {
    // Pieces of a few bytes each: memory takes them several times faster than a writer.
    let mut text = serde_json::to_vec(&Report { sections: Shown(sections) })?;
    text.push(b'\n');
    out.write_all(&text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::seal;
    use crate::probes::Found;
    use shared::checkin::Why;

    #[test]
    fn the_shape_is_this() {
        let items = vec![Item::new("user", "root").with("uid", Some(0_i64)), Item::new("user", "bin")];
        let found = Found { items, problems: vec![Problem::new(Why::Denied, "/etc/x").detail("why")] };
        let sections: Sections = [
            ("users".to_owned(), seal("users", Ok(found))),
            ("disks".to_owned(), seal("disks", Err(Problem::new(Why::Absent, "/sys/block")))),
        ]
        .into();
        let mut out = Vec::new();
        write(&sections, &mut out).expect("memory");
        assert_eq!(
            String::from_utf8(out).expect("text"),
            concat!(
                r#"{"sections":{"disks":{"state":"failed","items":[],"#,
                r#""problems":[{"why":"absent","what":"/sys/block"}],"truncated":false},"#,
                r#""users":{"state":"seen","items":[{"kind":"user","key":"bin"},"#,
                r#"{"kind":"user","key":"root","attrs":{"uid":0}}],"#,
                r#""problems":[{"why":"denied","what":"/etc/x","detail":"why"}],"truncated":false}}}"#,
                "\n"
            )
        );
    }
}
