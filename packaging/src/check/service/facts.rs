//! What the sandboxed service told, beside what root is told by `once`: section by section, row by row. What is measured
//! anew each time (`now`, the values of health) is left out; any other difference is listed, with its reason if it has one.

use super::Promise;
use super::container::Container;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::BTreeMap;

/// One promise.
pub(super) const PROMISES: &[Promise] = &[("the service tells what root sees", facts)];

/// Differences that a sandbox makes: (section, start of the key, why).
const KNOWN: &[(&str, &str, &str)] = &[
    ("filesystems", "/tmp/", "the service has a /tmp of its own"),
    ("filesystems", "/var/tmp/", "the service has a /var/tmp of its own"),
    ("health_self", "", "each process tells its own cost"),
    ("health_clock", "", "only who knows a collector knows how far its clock is off"),
];

/// Rows by section and key.
type Rows = BTreeMap<(String, String), Value>;

fn facts(container: &Container) -> Result<String> {
    // A second look, after the first one with root's tape.
    container.run("systemctl start muster-agent-probe && systemctl reload muster-agent")?;
    let mut differences = Vec::new();
    let mut count = 0;
    // What happens between the two looks is not a difference of the looks.
    for _ in 0..10 {
        let told: Value = serde_json::from_str(&container.run("muster-agent show --all")?)?;
        let seen: Value = serde_json::from_str(&container.run("muster-agent once --output json")?)?;
        let told = told.as_array().context("sections")?.iter();
        let told = rows(told.filter_map(|part| Some((part["section"].as_str()?, &part["put"]))));
        let seen = seen["sections"].as_object().context("sections")?.iter();
        let seen = rows(seen.map(|(name, section)| (name.as_str(), &section["items"])));
        count = seen.len();
        differences = compare(&told, &seen);
        if differences.iter().all(|(_, why)| why.is_some()) {
            break;
        }
        crate::check::pause(std::time::Duration::from_secs(3));
    }
    let words: Vec<String> =
        differences.iter().map(|(what, why)| format!("{what} ({})", why.unwrap_or("no reason known"))).collect();
    ensure!(differences.iter().all(|(_, why)| why.is_some()), "{}", words.join("; "));
    Ok(format!("{count} rows; differences: {}", if words.is_empty() { "none".into() } else { words.join("; ") }))
}

fn rows<'a>(sections: impl Iterator<Item = (&'a str, &'a Value)>) -> Rows {
    let mut rows = Rows::new();
    for (section, items) in sections {
        for item in items.as_array().into_iter().flatten() {
            let mut row = item.clone();
            if let Some(row) = row.as_object_mut() {
                row.remove("now");
                if section.starts_with("health_") {
                    row.retain(|name, _| name == "key");
                }
            }
            rows.insert((section.to_owned(), item["key"].as_str().unwrap_or_default().to_owned()), row);
        }
    }
    rows
}

fn compare(told: &Rows, seen: &Rows) -> Vec<(String, Option<&'static str>)> {
    let keys = told.keys().chain(seen.keys().filter(|key| !told.contains_key(*key)));
    let differ = keys.filter(|key| told.get(*key) != seen.get(*key));
    differ
        .map(|key| {
            let (section, name) = key;
            let known = KNOWN.iter().find(|(in_section, start, _)| in_section == section && name.starts_with(start));
            let shown = |rows: &Rows| rows.get(key).map_or_else(|| "nothing".to_owned(), Value::to_string);
            (format!("{section}/{name}: told {}, root sees {}", shown(told), shown(seen)), known.map(|(.., why)| *why))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn differences_are_told_with_their_reason_and_volatile_values_are_none() {
        let told = json!([{"key": "/", "size": 1, "now": {"free": 1}}]);
        let seen = json!([{"key": "/", "size": 1, "now": {"free": 2}}, {"key": "/tmp/x"}, {"key": "/srv", "size": 2}]);
        let of = |items: &Value| rows([("filesystems", items)].into_iter());
        let differences = compare(&of(&told), &of(&seen));
        assert_eq!(differences.len(), 2, "{differences:?}");
        assert_eq!(differences[0].1, None);
        assert!(differences[0].0.starts_with("filesystems//srv: told nothing, root sees {"));
        assert_eq!(differences[1].1, Some("the service has a /tmp of its own"));
        let health = json!([{"key": "a", "attrs": {"value": 1}}]);
        assert_eq!(rows([("health_memory", &health)].into_iter()).into_values().next(), Some(json!({"key": "a"})));
    }
}
