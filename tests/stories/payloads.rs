//! Check-ins that agents of this and earlier versions sent, recorded as they were sent, and one of a later version: each
//! is still understood, and its digests still fit. Later releases add theirs; none is ever changed.

use shared::checkin::{CheckIn, Rows, State};
use shared::digest;

fn recorded(name: &str) -> CheckIn {
    let path = format!("{}/fixtures/payloads/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read(&path).expect(&path);
    serde_json::from_slice(&text).expect(&path)
}

#[test]
fn what_agents_sent_is_understood_for_ever() {
    for (name, records) in [("0.1.0-first", 1), ("0.1.0-delta", 1), ("0.1.0-beat", 0), ("next", 1)] {
        let said = recorded(name);
        assert_eq!(said.records.len(), records, "{name}");
        let parts = || said.records.iter().flat_map(|record| &record.sections);
        for part in parts().filter(|part| part.state == State::Seen) {
            if let Rows::Whole(rows) = part.rows() {
                assert_eq!(digest::section_of(rows), part.digest, "{name}: {}", part.section);
            }
        }
        assert!(said.records.last().is_none_or(|record| record.root == said.root), "{name}");
    }
}

#[test]
fn a_first_report_has_the_root_of_its_sections() {
    let said = recorded("0.1.0-first");
    let record = said.records.first().expect("a record");
    let mut sections: Vec<_> =
        record.sections.iter().map(|part| (part.section.as_str(), part.state, part.digest)).collect();
    sections.sort_unstable();
    assert_eq!(digest::root(sections), record.root);
    let delta = recorded("0.1.0-delta");
    let delta = delta.records.first().and_then(|record| record.sections.iter().find(|part| part.section == "dpkg"));
    assert!(matches!(delta.expect("packages").rows(), Rows::Delta { put: [_], del: [], .. }));
}
