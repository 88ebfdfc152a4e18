//! Probe `users`: local accounts, the groups they are in, and who is logged in.
//!
//! Knows `/etc/passwd` and `/etc/group`, nothing else: a directory's accounts are not this machine's, and asking
//! for them can take a directory down. Never reads passwords. Does not know what sudoers grants: only root may read that.

mod sessions;

use super::{Every, Found, Os, Probe};
use crate::source::{Miss, Source};
use shared::checkin::{Problem, Why};
use shared::hardware::User;
use shared::limit::PROBLEMS;
use std::collections::{BTreeMap, BTreeSet};

/// The probe.
pub const PROBE: Probe = Probe { name: "users", os: &[Os::Linux], every: Every::CheckIn, needs: "", mark: None, run };

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";
/// Groups whose members may act as root, as distributions set up sudo and su.
const ADMIN_GROUPS: &[&str] = &["root", "sudo", "wheel", "admin"];

fn run(source: &dyn Source) -> Result<Found, Problem> {
    let passwd = source.text(PASSWD).map_err(|miss| miss.problem(PASSWD))?;
    let (mut users, mut problems) = parse_passwd(&passwd);
    let groups = match source.text(GROUP) {
        Ok(text) => {
            let (groups, odd) = parse_group(&text);
            problems.extend(odd);
            groups
        }
        Err(miss) => {
            problems.push(miss.problem(GROUP));
            Vec::new()
        }
    };
    join(&mut users, &groups);
    let sessions = sessions::ask(source);
    for user in &mut users {
        user.sessions = sessions.get(&user.name).into_iter().flatten().cloned().collect();
    }
    if let Err(miss @ Miss::Denied) = source.names("/run/systemd/sessions") {
        problems.push(miss.problem("/run/systemd/sessions"));
    }
    problems.truncate(PROBLEMS);
    Ok(Found { items: users.into_iter().map(Into::into).collect(), problems })
}

/// A group of `/etc/group`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    name: String,
    gid: u32,
    members: Vec<String>,
}

fn malformed(file: &str, number: usize, detail: &str) -> Problem {
    Problem::new(Why::Malformed, format!("{file} line {number}")).detail(detail)
}

/// Lines that say something, with their numbers. Those that begin with `+` or `-` let a directory in
/// (nsswitch.conf(5), compat) and are no accounts.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = text.lines().enumerate().map(|(at, line)| (at + 1, line));
    numbered.filter(|(_, line)| !line.trim().is_empty() && !line.starts_with(['#', '+', '-']))
}

/// passwd(5): `name:password:uid:gid:comment:home:shell`.
fn parse_passwd(text: &str) -> (Vec<User>, Vec<Problem>) {
    let (mut users, mut problems, mut names) = (Vec::new(), Vec::new(), BTreeSet::new());
    for (number, line) in lines(text) {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, uid, gid, comment, home, shell] = fields.as_slice() else {
            problems.push(malformed(PASSWD, number, "not seven fields"));
            continue;
        };
        let (Ok(uid), Ok(gid), false) = (uid.parse(), gid.parse(), name.is_empty()) else {
            problems.push(malformed(PASSWD, number, "no name, or an id that is no number"));
            continue;
        };
        if !names.insert(*name) {
            // The C library takes the first.
            problems.push(malformed(PASSWD, number, "a second account of one name"));
            continue;
        }
        let told = |field: &str| Some(field.trim().to_owned()).filter(|field| !field.is_empty());
        users.push(User {
            name: (*name).to_owned(),
            uid,
            gid,
            full_name: told(&full_name(comment, name)),
            home: told(home),
            shell: told(shell),
            ..User::default()
        });
    }
    (users, problems)
}

/// The comment up to its first comma; `&` stands for the login name with a capital.
fn full_name(comment: &str, login: &str) -> String {
    let name = comment.split(',').next().unwrap_or("");
    if !name.contains('&') {
        return name.to_owned();
    }
    let mut letters = login.chars();
    let capital: String = letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
    name.replace('&', &capital)
}

/// group(5): `name:password:gid:member,member`.
fn parse_group(text: &str) -> (Vec<Group>, Vec<Problem>) {
    let (mut groups, mut problems) = (Vec::new(), Vec::new());
    for (number, line) in lines(text) {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, gid, members] = fields.as_slice() else {
            problems.push(malformed(GROUP, number, "not four fields"));
            continue;
        };
        let (Ok(gid), false) = (gid.parse(), name.is_empty()) else {
            problems.push(malformed(GROUP, number, "no name, or an id that is no number"));
            continue;
        };
        let members =
            members.split(',').map(str::trim).filter(|member| !member.is_empty()).map(str::to_owned).collect();
        groups.push(Group { name: (*name).to_owned(), gid, members });
    }
    (groups, problems)
}

/// Gives each user the groups it is in, the primary one first, and says who is an administrator.
fn join(users: &mut [User], groups: &[Group]) {
    let mut listed: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for group in groups {
        for member in &group.members {
            listed.entry(member).or_default().insert(&group.name);
        }
    }
    for user in users {
        let primary = groups.iter().find(|group| group.gid == user.gid).map(|group| group.name.as_str());
        let others =
            listed.get(user.name.as_str()).into_iter().flatten().copied().filter(|name| Some(*name) != primary);
        user.groups = primary.into_iter().chain(others).map(str::to_owned).collect();
        user.admin = user.uid == 0 || user.groups.iter().any(|group| ADMIN_GROUPS.contains(&group.as_str()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tape::Tape;
    use proptest::prelude::*;

    const PASSWD_TEXT: &str = "root:x:0:0:root:/root:/bin/bash\nada:x:1000:1000:& Lovelace,Room 1,,:/home/ada:/bin/zsh\n\
        bob:x:1001:100::/home/bob:\nbroken:x:1002\nbad:x:many:1:::\n+@staff::::::\n# comment\nada:x:7:7:::\nwheely:x:1003:10::/:/bin/sh\n";
    const GROUP_TEXT: &str =
        "root:x:0:\nwheel:x:10:\nsudo:x:27:ada\nusers:x:100:ada,bob\nempty:x:9:\nada:x:1000:\nodd:x\n";

    #[test]
    fn groups_are_joined_and_odd_lines_told() {
        let tape = Tape::new().file(PASSWD, PASSWD_TEXT).file(GROUP, GROUP_TEXT);
        let found = run(&tape).expect("users");
        let told: Vec<(&str, String, bool)> = found
            .items
            .iter()
            .map(|item| {
                let groups = item.attrs.get("groups").map(ToString::to_string).unwrap_or_default();
                (item.key.as_str(), groups, item.attrs.contains_key("admin"))
            })
            .collect();
        assert_eq!(
            told,
            [
                ("root", "root".into(), true),
                ("ada", "ada, sudo, users".into(), true),
                ("bob", "users".into(), false),
                ("wheely", "wheel".into(), true),
            ]
        );
        assert_eq!(found.items[1].label.as_deref(), Some("Ada Lovelace"));
        let problems: Vec<&str> = found.problems.iter().map(|problem| problem.what.as_str()).collect();
        assert_eq!(problems, ["/etc/passwd line 4", "/etc/passwd line 5", "/etc/passwd line 8", "/etc/group line 7"]);
    }

    #[test]
    fn what_cannot_be_read_is_no_empty_list() {
        assert_eq!(run(&Tape::new()).map_err(|problem| problem.why), Err(Why::Absent));
        assert_eq!(run(&Tape::new().denied(PASSWD)).map_err(|problem| problem.why), Err(Why::Denied));
        let found = run(&Tape::new().file(PASSWD, "root:x:0:0:::\n")).expect("users");
        assert_eq!((found.items.len(), found.problems.len()), (1, 1));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_text_is_survived(text in "([a-z0-9:,\\n+&]|\\PC){0,200}") {
            let (mut users, _) = parse_passwd(&text);
            let (groups, _) = parse_group(&text);
            join(&mut users, &groups);
        }
    }
}
