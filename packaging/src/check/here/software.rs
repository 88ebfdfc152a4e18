//! Packages as dpkg-query lists them, and failed units as systemctl does.

use super::compare::Facts;
use super::{Report, Rule, Tool, attr, put, say};

pub(super) const DPKG_QUERY: Tool = Tool {
    name: "dpkg-query -W",
    asks: &[&["dpkg-query", "-W", "-f=${Package}\\t${Architecture}\\t${Version}\\t${Installed-Size}\\n"]],
    theirs: dpkg,
    ours: packages,
    rules: &[Rule {
        why: "its status is not \"installed\": only what it left behind is there",
        holds: |d| {
            let name = d.name.split(' ').next().unwrap_or("").replace('/', ":");
            let status = say(&["dpkg-query", "-W", "-f=${db:Status-Status}", &name]);
            d.ours.is_none() && status.is_ok_and(|status| status != "installed")
        },
    }],
};

fn dpkg(texts: &[String]) -> Option<Facts> {
    let mut facts = Facts::new();
    for line in texts.first()?.lines() {
        let [name, arch, version, kib] = line.split('\t').collect::<Vec<_>>().try_into().ok()?;
        facts.insert(format!("{name}/{arch} version"), version.to_owned());
        put(&mut facts, format!("{name}/{arch} bytes"), kib.parse::<u64>().ok().map(|kib| (kib * 1024).to_string()));
    }
    Some(facts)
}

fn packages(report: &Report) -> Facts {
    let mut facts = Facts::new();
    for item in report.items("dpkg") {
        let name = format!("{}/{}", item.label.as_deref().unwrap_or(""), attr(item, "arch").unwrap_or_default());
        put(&mut facts, format!("{name} version"), attr(item, "version"));
        put(&mut facts, format!("{name} bytes"), item.size.map(|bytes| bytes.to_string()));
    }
    facts
}

pub(super) const SYSTEMCTL: Tool = Tool {
    name: "systemctl list-units --failed",
    asks: &[&["systemctl", "list-units", "--failed", "--all", "--plain", "--no-legend", "--no-pager", "--full"]],
    theirs: |texts| {
        let units = texts.first()?.lines().filter_map(|line| line.split_ascii_whitespace().next());
        Some(units.map(|unit| (unit.to_owned(), String::new())).collect())
    },
    ours: |report| {
        let keys = report.items("health_services").iter().filter_map(|item| item.key.strip_prefix("failed_unit:"));
        keys.map(|unit| (unit.to_owned(), String::new())).collect()
    },
    rules: &[],
};
