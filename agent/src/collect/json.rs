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
use shared::digest::{canonical_map, canonical_name, canonical_text, put_int};
use shared::fact::{Attrs, Item};
use std::io::Write;

/// Writes the report and a line feed. By hand, because there are thousands of items of a known form: a
/// serialiser takes twice the time.
///
/// # Errors
/// When writing does.
pub fn write(sections: &Sections, mut out: impl Write) -> std::io::Result<()> {
    let mut text = b"{\"sections\":{".to_vec();
    for (i, (name, found)) in sections.iter().enumerate() {
        comma(&mut text, i);
        canonical_text(&mut text, name);
        text.push(b':');
        section(&mut text, found)?;
    }
    text.extend_from_slice(b"}}\n");
    out.write_all(&text)
}

fn comma(out: &mut Vec<u8>, i: usize) {
    if i > 0 {
        out.push(b',');
    }
}

fn section(out: &mut Vec<u8>, section: &Section) -> std::io::Result<()> {
    out.extend_from_slice(b"{\"state\":");
    serde_json::to_writer(&mut *out, &section.state)?;
    out.extend_from_slice(b",\"items\":[");
    for (i, found) in section.items.values().enumerate() {
        comma(out, i);
        item(out, found);
    }
    out.extend_from_slice(b"],\"problems\":");
    serde_json::to_writer(&mut *out, &section.problems)?;
    out.extend_from_slice(if section.truncated { b",\"truncated\":true}" } else { b",\"truncated\":false}" });
    Ok(())
}

fn item(out: &mut Vec<u8>, item: &Item) {
    out.extend_from_slice(b"{\"kind\":");
    canonical_name(out, &item.kind);
    out.extend_from_slice(b",\"key\":");
    canonical_text(out, &item.key);
    let columns: [(&[u8], &Option<String>); 4] = [
        (b",\"label\":", &item.label),
        (b",\"maker\":", &item.maker),
        (b",\"model\":", &item.model),
        (b",\"serial\":", &item.serial),
    ];
    for (name, text) in columns {
        if let Some(text) = text {
            out.extend_from_slice(name);
            canonical_text(out, text);
        }
    }
    if let Some(size) = item.size {
        out.extend_from_slice(b",\"size\":");
        put_int(out, size);
    }
    let maps: [(&[u8], &Attrs); 2] = [(b",\"attrs\":", &item.attrs), (b",\"now\":", &item.now)];
    for (name, map) in maps.into_iter().filter(|(_, map)| !map.is_empty()) {
        out.extend_from_slice(name);
        canonical_map(out, map);
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::seal;
    use crate::probes::Found;
    use shared::checkin::{Problem, Why};

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

    #[test]
    fn an_item_is_written_as_the_register_reads_it() {
        let full = Item {
            label: Some("a \"quoted\" \\ text\n of more than sixteen bytes".into()),
            maker: Some("\u{1}ü".into()),
            model: Some(String::new()),
            serial: Some("0123456789abcde\"".into()),
            size: Some(i64::MIN),
            ..Item::new("disk", "k")
        }
        .with_list("list", vec![1_i64, -2])
        .with("yes", Some(true))
        .with_now("free_bytes", Some(5_i64));
        let mut out = Vec::new();
        item(&mut out, &full);
        assert_eq!(serde_json::from_slice::<Item>(&out).expect("an item"), full);
    }
}
