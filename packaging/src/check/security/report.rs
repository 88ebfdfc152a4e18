//! Check-ins made by hand: whole sections, digests that fit. Does not know who sends them.

use crate::check::fleet::part;
use shared::checkin::{CheckIn, Part, Record, State};
use shared::digest::{self, Digest};
use shared::evidence::{self, Evidence, Kind};
use shared::fact::Item;
use shared::unit::At;

/// One record with these sections, whole, as the first or a later one of a stream.
pub(in crate::check) fn check_in(stream: &str, seq: u64, sections: Vec<(&str, Vec<Item>)>) -> CheckIn {
    let parts = sections.into_iter().map(|(name, items)| part(name, digest::section_of(&items), None, items));
    let mut said = CheckIn {
        stream: digest::of_bytes(stream.as_bytes()),
        seq,
        root: Digest::default(),
        moved: false,
        goodbye: None,
        records: vec![Record { seq, at: At(0), root: Digest::default(), sections: parts.collect(), gap: None }],
    };
    seal(&mut said);
    said
}

/// Makes all digests fit what is told. All sections must be in the last record.
pub(in crate::check) fn seal(said: &mut CheckIn) {
    let seq = said.seq;
    for record in &mut said.records {
        record.seq = seq;
        record.sections.iter_mut().for_each(seal_part);
        let mut sections: Vec<(&str, State, Digest)> =
            record.sections.iter().map(|part| (part.section.as_str(), part.state, part.digest)).collect();
        sections.sort_unstable();
        record.root = digest::root(sections);
        said.root = record.root;
    }
}

fn seal_part(part: &mut Part) {
    part.digest = digest::section_of(part.put.iter().flatten());
}

/// The section of evidence.
pub(in crate::check) fn evidence(values: &[(Kind, &str)]) -> (&'static str, Vec<Item>) {
    let items = values.iter().map(|&(kind, value)| Item::from(Evidence { kind, value: value.to_owned() }));
    (evidence::SECTION, items.collect())
}
