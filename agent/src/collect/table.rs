//! A report for people: each section as aligned columns, then one readable note on what is missing. Every
//! text from the machine goes through [`show::line`], so that one thing stays one line.

use super::{Section, Sections};
use crate::probes::PROBES;
use shared::checkin::{Problem, State, Why};
use shared::fact::{Item, Value};
use shared::health;
use shared::show;
use std::borrow::Cow;
use std::fmt::Write as _;

/// The columns of each section by the name of an item's field or attribute; what nothing has is not shown.
const COLUMNS: &[(&str, &[&str])] = &[
    ("system", &["kind", "maker", "model", "serial", "sku", "version", "date", "form", "uuid"]),
    ("cpu", &["key", "maker", "model", "cores", "threads", "max_mhz", "arch"]),
    ("memory", &["kind", "key", "maker", "model", "serial", "size", "technology", "speed_mts", "swap_bytes"]),
    ("disks", &["name", "maker", "model", "serial", "size", "bus", "medium", "mapping", "backing"]),
    ("filesystems", &["key", "fstype", "device", "size", "free_bytes", "read_only", "remote"]),
    ("network", &["label", "form", "mac", "addresses", "up", "speed_mbps", "driver", "gateways"]),
    ("os", &["label", "version", "kernel", "arch", "hostname", "timezone", "hypervisor", "container", "image"]),
    ("users", &["key", "uid", "label", "home", "shell", "groups", "sessions"]),
    ("dpkg", &["label", "version", "arch"]),
    ("ports", &["protocol", "address", "port", "label", "uid", "pid"]),
    ("services", &["key", "start", "state", "command"]),
    (shared::evidence::SECTION, &["key"]),
];
const READING: &[&str] = &["key", "value", "unit", "total", "detail"];
const OTHER: &[&str] = &["key", "label", "maker", "model", "serial", "size"];

/// Longer cells are cut in the table; the JSON has all of it.
const CELL_CHARS: usize = 60;
/// As wide as a column can be.
const BLANKS: &str = "                                                             ";
/// What is named in one note before "and N more".
const NAMED_MAX: usize = 8;

/// The report as text. Sections come in the order in which their probes run. `root`: it was root who looked.
pub fn render(sections: &Sections, root: bool) -> String {
    let mut out = String::new();
    let known = PROBES.iter().map(|probe| probe.name).filter_map(|name| sections.get_key_value(name));
    let other = sections.iter().filter(|(name, _)| !PROBES.iter().any(|probe| probe.name == name.as_str()));
    for (name, section) in known.chain(other) {
        render_section(&mut out, name, section);
    }
    notes(&mut out, sections, root);
    out
}

fn render_section(out: &mut String, name: &str, section: &Section) {
    let count = match section.state {
        State::Failed => "failed".to_owned(),
        State::Seen if section.truncated => format!("the first {}", section.items.len()),
        State::Seen => section.items.len().to_string(),
    };
    // Writing to a String cannot fail; so in all of this file.
    let _ = writeln!(out, "{} ({count})", name.to_uppercase());
    let rows: Vec<&Item> = section.items.values().collect();
    let columns = match COLUMNS.iter().find(|(section, _)| *section == name) {
        Some((_, columns)) => columns,
        None if health::is_section(name) => READING,
        None => OTHER,
    };
    columns_of(out, columns, &rows);
    out.push('\n');
}

/// Prints the columns that some row has, each as wide as its widest cell.
fn columns_of(out: &mut String, names: &[&str], rows: &[&Item]) {
    let mut shown: Vec<(&str, usize, Vec<Cow<'_, str>>)> = Vec::with_capacity(names.len());
    for name in names {
        let cells: Vec<Cow<'_, str>> = rows.iter().map(|row| cell(row, name)).collect();
        if let Some(widest) = cells.iter().map(|cell| width(cell)).max().filter(|widest| *widest > 0) {
            shown.push((name, widest.max(name.len()), cells));
        }
    }
    if shown.is_empty() {
        return;
    }
    let titles = shown.iter().map(|(name, widest, _)| (name.to_uppercase(), *widest)).collect::<Vec<_>>();
    row_of(out, titles.iter().map(|(title, widest)| (title.as_str(), *widest)));
    for row in 0..rows.len() {
        row_of(out, shown.iter().map(|(_, widest, cells)| (cells.get(row).map_or("", |cell| cell.as_ref()), *widest)));
    }
}

fn row_of<'a>(out: &mut String, cells: impl Iterator<Item = (&'a str, usize)>) {
    let start = out.len();
    for (cell, widest) in cells {
        out.push_str("  ");
        out.push_str(cell);
        out.push_str(BLANKS.get(..widest.saturating_sub(width(cell))).unwrap_or(BLANKS));
    }
    out.truncate(start + out.get(start..).map_or(0, |line| line.trim_end().len()));
    out.push('\n');
}

fn width(cell: &str) -> usize {
    if cell.is_ascii() { cell.len() } else { cell.chars().count() }
}

fn cell<'a>(item: &'a Item, name: &str) -> Cow<'a, str> {
    let of = |text: &'a Option<String>| text.as_deref().map(short).unwrap_or_default();
    match name {
        "kind" => short(&item.kind),
        "key" => short(&item.key),
        "label" => of(&item.label),
        "maker" => of(&item.maker),
        "model" => of(&item.model),
        "serial" => of(&item.serial),
        "size" => item.size.map(bytes).unwrap_or_default().into(),
        // What a reading is out of: bytes of a disk, pieces of all else.
        "total" if item.key.starts_with("disk_space:") => item.size.map(bytes).unwrap_or_default().into(),
        "total" => item.size.map(|total| total.to_string()).unwrap_or_default().into(),
        "unit" => item.key.split(':').next().and_then(health::check).map_or(Cow::default(), |check| check.unit.into()),
        _ => match item.attrs.get(name).or_else(|| item.now.get(name)) {
            Some(Value::Int(amount)) if name.ends_with("_bytes") => bytes(*amount).into(),
            Some(Value::Text(text)) => short(text),
            Some(value) => short(&value.to_string()).into_owned().into(),
            None => Cow::default(),
        },
    }
}

fn short(text: &str) -> Cow<'_, str> {
    let text = show::line(text);
    if text.len() <= CELL_CHARS {
        return text;
    }
    match text.char_indices().nth(CELL_CHARS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()).into(),
        None => text,
    }
}

/// An amount of bytes with a unit of which it has at least one: `1.5 GiB`.
pub fn bytes(amount: i64) -> String {
    const UNITS: &[&str] = &["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if amount < 1024 {
        return format!("{amount} B");
    }
    let (mut tenths, mut unit) = (amount / 1024 * 10 + amount % 1024 * 10 / 1024, 0);
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS.get(unit).copied().unwrap_or_default())
}

/// What is missing: all that was denied as one note, everything else a line each.
fn notes(out: &mut String, sections: &Sections, root: bool) {
    let all =
        || sections.iter().flat_map(|(name, section)| section.problems.iter().map(move |problem| (name, problem)));
    let denied: Vec<&Problem> =
        all().map(|(_, problem)| problem).filter(|problem| problem.why == Why::Denied).collect();
    if !denied.is_empty() {
        let things = if denied.len() == 1 { "1 thing" } else { &format!("{} things", denied.len()) };
        let named: Vec<String> = denied.iter().take(NAMED_MAX).map(|problem| named(problem)).collect();
        let more = denied.len().saturating_sub(NAMED_MAX);
        let more = if more > 0 { format!(", and {more} more") } else { String::new() };
        let what = match (root, denied.len()) {
            (false, _) => "could not be read without root",
            (true, 1) => "was denied, even to root",
            (true, _) => "were denied, even to root",
        };
        let _ = writeln!(out, "{things} {what}: {}{more}.", named.join(", "));
    }
    let rest: Vec<(&String, &Problem)> = all().filter(|(_, problem)| problem.why != Why::Denied).collect();
    if !rest.is_empty() {
        let _ = writeln!(out, "Not known:");
    }
    for (section, problem) in rest {
        let detail =
            if problem.detail.is_empty() { String::new() } else { format!(": {}", show::line(&problem.detail)) };
        let _ = writeln!(out, "  {section}: {} {}{detail}", show::line(&problem.what), problem.why.name());
    }
}

fn named(problem: &Problem) -> String {
    match problem.detail.as_str() {
        "" => short(&problem.what).into_owned(),
        detail => format!("{} ({})", short(&problem.what), show::line(detail)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::seal;
    use crate::probes::Found;

    fn report(parts: Vec<(&str, Result<Found, Problem>)>) -> String {
        render(&parts.into_iter().map(|(name, found)| (name.to_owned(), seal(name, found))).collect(), false)
    }

    #[test]
    fn columns_are_aligned_and_empty_ones_left_out() {
        let items = vec![
            Item { size: Some(500_107_862_016), ..Item::new("disk", "b") }
                .with("bus", Some("sata"))
                .with_now("name", Some("sda")),
            Item { size: Some(512), ..Item::new("disk", "a") }.with("bus", Some("usb")).with_now("name", Some("größe")),
        ];
        assert_eq!(
            report(vec![("disks", Ok(Found { items, problems: vec![] }))]),
            "DISKS (2)\n  NAME   SIZE       BUS\n  größe  512 B      usb\n  sda    465.7 GiB  sata\n\n"
        );
    }

    #[test]
    fn what_is_denied_is_one_note_and_the_rest_is_listed() {
        let denied = (0..10).map(|n| Problem::new(Why::Denied, format!("/d{n}"))).collect();
        let text = report(vec![
            ("zz", Ok(Found { items: vec![], problems: denied })),
            ("disks", Err(Problem::new(Why::Failed, "/sys/block").detail("took\ntoo long"))),
        ]);
        assert_eq!(
            text,
            "DISKS (failed)\n\nZZ (0)\n\n10 things could not be read without root: \
             /d0, /d1, /d2, /d3, /d4, /d5, /d6, /d7, and 2 more.\n\
             Not known:\n  disks: /sys/block failed: took\\u{a}too long\n"
        );
    }

    #[test]
    fn what_is_denied_to_root_is_not_said_to_need_root() {
        let denied = seal("zz", Err(Problem::new(Why::Denied, "/d")));
        let text = render(&[("zz".to_owned(), denied)].into(), true);
        assert_eq!(text, "ZZ (failed)\n\n1 thing was denied, even to root: /d.\n");
    }

    #[test]
    fn a_hostile_name_stays_on_its_line() {
        let item = Item { label: Some("\x1b[2J\u{202e}\n".into()), ..Item::new("user", "a\rb") };
        let text = report(vec![("users", Ok(Found { items: vec![item], problems: vec![] }))]);
        assert!(text.bytes().all(|byte| byte == b'\n' || byte >= 0x20), "{text:?}");
        assert_eq!(text.lines().count(), 4, "{text}");
    }

    #[test]
    fn amounts_have_a_unit() {
        let told = [0, 1023, 1024, 1536, 1 << 30, i64::MAX, -1].map(bytes);
        assert_eq!(told, ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "1.0 GiB", "7.9 EiB", "-1 B"]);
    }
}
