//! `users` against jc's reading of recorded group files.

use crate::folder::{Folder, data, summary};
use agent::probes;
use shared::fact::Value;
use std::collections::{BTreeMap, BTreeSet};

#[test]
fn jc_lists_the_same_members() {
    let Some(folder) = data("commands") else { return };
    for system in ["centos-7.7", "ubuntu-18.04"] {
        let text = std::fs::read_to_string(folder.join(format!("../expected/commands/{system}.json"))).expect("a file");
        let all: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let mut theirs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for group in all[format!("commands/{system}/group.out")].as_array().expect("groups") {
            for member in group["members"].as_array().expect("members") {
                let (member, group) = (member.as_str().expect("a name"), group["group_name"].as_str().expect("a name"));
                theirs.entry(member.to_owned()).or_default().insert(group.to_owned());
            }
        }
        let machine = tempfile::tempdir().expect("a folder");
        let etc = machine.path().join("etc");
        std::fs::create_dir(&etc).expect("a folder");
        std::fs::copy(folder.join(system).join("group.out"), etc.join("group")).expect("a copy");
        // The recordings hold no accounts; each member gets one, with a primary group that no file names.
        let passwd: String = theirs.keys().map(|name| format!("{name}:x:1:4294967294:::\n")).collect();
        std::fs::write(etc.join("passwd"), passwd).expect("a file");
        let found = (probes::find("users").expect("the probe").run)(&Folder(machine.path().to_owned())).expect("users");
        assert!(found.problems.is_empty(), "{:?}", found.problems);
        let ours: BTreeMap<String, BTreeSet<String>> = found
            .items
            .iter()
            .map(|item| {
                let Some(Value::List(groups)) = item.attrs.get("groups") else { panic!("{item:?}") };
                (item.key.clone(), groups.iter().map(ToString::to_string).collect())
            })
            .collect();
        assert_eq!(ours, theirs, "{system}");
        summary(&format!("jc: group members of {system}"), 1, ours.len(), ours.len(), 0);
    }
}
