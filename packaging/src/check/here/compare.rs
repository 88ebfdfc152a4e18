//! What is equal, what a rule explains, what is left. Does not know any tool.

use super::{Difference, Rule};
use std::collections::{BTreeMap, BTreeSet};

/// Facts by name; one that is only there or not has an empty value.
pub(super) type Facts = BTreeMap<String, String>;

/// The outcome for one tool.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Judged {
    pub(super) equal: usize,
    /// A line for each difference, by its rule.
    pub(super) explained: BTreeMap<&'static str, Vec<String>>,
    pub(super) unexplained: Vec<String>,
}

impl Judged {
    /// Differences that a rule explains.
    pub(super) fn explained(&self) -> usize {
        self.explained.values().map(Vec::len).sum()
    }
}

const MEANWHILE: &str = "it changed while both looked: the tool says two things, before and after";

/// Compares with what the tool said before and after.
pub(super) fn judge(before: &Facts, after: &Facts, ours: &Facts, rules: &[Rule]) -> Judged {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).chain(ours.keys()).collect();
    let mut judged = Judged::default();
    for name in names {
        let of = |facts: &'_ Facts| facts.get(name).cloned();
        let (first, second, own) = (of(before), of(after), of(ours));
        if own.is_some() && (own == first || own == second) {
            judged.equal += 1;
            continue;
        }
        if own.is_none() && (first.is_none() || second.is_none()) {
            // It was opened or closed meanwhile, and not there when we looked.
            let seen = first.or(second);
            judged.explained.entry(MEANWHILE).or_default().push(line(name, seen.as_deref(), None));
            continue;
        }
        let theirs = second.as_deref().or(first.as_deref());
        let difference = Difference { name, theirs, ours: own.as_deref(), all: after, own: ours };
        let rule = rules.iter().find(|rule| (rule.holds)(&difference)).map(|rule| rule.why);
        let meanwhile = (between(&first, &second, &own)).then_some(MEANWHILE);
        match rule.or(meanwhile) {
            Some(why) => judged.explained.entry(why).or_default().push(line(name, theirs, own.as_deref())),
            None => judged.unexplained.push(line(name, theirs, own.as_deref())),
        }
    }
    judged
}

/// A number that moved from one value to another while we looked.
fn between(first: &Option<String>, second: &Option<String>, own: &Option<String>) -> bool {
    let number = |text: &Option<String>| text.as_deref().and_then(|text| text.parse::<i64>().ok());
    let (Some(first), Some(second), Some(own)) = (number(first), number(second), number(own)) else { return false };
    (first.min(second)..=first.max(second)).contains(&own)
}

fn line(name: &str, theirs: Option<&str>, ours: Option<&str>) -> String {
    let shown = |value: Option<&str>| match value {
        None => "nothing".to_owned(),
        Some("") => "it is there".to_owned(),
        Some(value) => value.to_owned(),
    };
    format!("{name}: it says {}, the agent {}", shown(theirs), shown(ours))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(list: &[(&str, &str)]) -> Facts {
        list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn only_a_rule_that_holds_explains() {
        let rules = [Rule { why: "b is 2 for us", holds: |d| d.name == "b" && d.ours == Some("2") }];
        let theirs = facts(&[("a", "1"), ("b", "1"), ("c", "")]);
        let judged = judge(&theirs, &theirs, &facts(&[("a", "1"), ("b", "2")]), &rules);
        assert_eq!((judged.equal, judged.explained(), judged.unexplained.len()), (1, 1, 1));
        let judged = judge(&theirs, &theirs, &facts(&[("a", "1"), ("b", "3"), ("c", ""), ("d", "")]), &rules);
        assert_eq!((judged.equal, judged.explained(), judged.unexplained.len()), (2, 0, 2));
    }

    #[test]
    fn what_moves_meanwhile_is_known_to_move() {
        let (before, after) = (facts(&[("free", "10"), ("closed", "")]), facts(&[("free", "20"), ("opened", "")]));
        let judged = judge(&before, &after, &facts(&[("free", "15"), ("opened", "")]), &[]);
        assert_eq!((judged.equal, judged.explained(), judged.unexplained.len()), (1, 2, 0));
        let judged = judge(&before, &after, &facts(&[("free", "25")]), &[]);
        assert_eq!(judged.unexplained.len(), 1);
    }
}
