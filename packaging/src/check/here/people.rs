//! Accounts as getent lists them, sessions as who does.

use super::compare::Facts;
use super::{Rule, Tool, attr, put};
use shared::fact::Value;

pub(super) const GETENT: Tool = Tool {
    name: "getent passwd",
    asks: &[&["getent", "passwd"]],
    theirs: |texts| {
        let mut facts = Facts::new();
        for line in texts.first()?.lines() {
            let [name, _, uid, gid, comment, home, shell] = line.split(':').collect::<Vec<_>>().try_into().ok()?;
            let full_name = comment.split(',').next().unwrap_or("");
            let told = [("uid", uid), ("gid", gid), ("home", home), ("shell", shell), ("full_name", full_name)];
            for (fact, value) in told {
                put(&mut facts, format!("{name} {fact}"), Some(value).filter(|value| !value.is_empty()));
            }
        }
        Some(facts)
    },
    ours: |report| {
        let mut facts = Facts::new();
        for item in report.items("users") {
            for fact in ["uid", "gid", "home", "shell"] {
                put(&mut facts, format!("{} {fact}", item.key), attr(item, fact));
            }
            put(&mut facts, format!("{} full_name", item.key), item.label.clone());
        }
        facts
    },
    rules: &[Rule {
        why: "a directory's account, not this machine's: /etc/passwd has it not",
        holds: |d| {
            let name = d.name.split(' ').next().unwrap_or("");
            let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
            d.ours.is_none() && !passwd.lines().any(|line| line.split(':').next() == Some(name))
        },
    }],
};

pub(super) const WHO: Tool = Tool {
    name: "who",
    asks: &[&["who"]],
    theirs: |texts| {
        let mut facts = Facts::new();
        for line in texts.first()?.lines() {
            let mut words = line.split_ascii_whitespace();
            facts.insert(format!("{} on {}", words.next()?, words.next()?), String::new());
        }
        Some(facts)
    },
    ours: |report| {
        let mut facts = Facts::new();
        for item in report.items("users") {
            let Some(Value::List(sessions)) = item.now.get("sessions") else { continue };
            for session in sessions.iter().map(ToString::to_string) {
                let place = session.split(' ').next().unwrap_or("");
                facts.insert(format!("{} on {place}", item.key), String::new());
            }
        }
        facts
    },
    rules: &[Rule {
        why: "the agent asks logind, who reads utmp, which not every session is written to",
        holds: |d| std::path::Path::new("/run/systemd/sessions").exists() && (d.theirs.is_none() != d.ours.is_none()),
    }],
};
