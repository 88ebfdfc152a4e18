//! A fingerprint of the machine that the key was made on, to notice that the state was copied to another.
//!
//! Three classes of lasting facts: firmware (serials, UUID), machine id, permanent MACs. The machine is
//! another one when more than half of the classes that both looks could see have nothing in common. Kept
//! are hashes keyed by the agent's id, so the file tells nobody a serial number. Pure.

use crate::collect::Section;
use serde::{Deserialize, Serialize};
use shared::digest::{self, Digest};
use shared::evidence::{Evidence, Kind};
use shared::id::AgentId;
use std::collections::{BTreeMap, BTreeSet};

/// Hashes by class.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(BTreeMap<String, BTreeSet<Digest>>);

fn class(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::SystemSerial | Kind::SmbiosUuid | Kind::BoardSerial => Some("firmware"),
        Kind::MachineId => Some("machine_id"),
        Kind::PermanentMac => Some("mac"),
        _ => None,
    }
}

impl Fingerprint {
    /// The fingerprint that the section `evidence` gives.
    pub fn of(agent: AgentId, evidence: &Section) -> Fingerprint {
        let mut classes = BTreeMap::<String, BTreeSet<Digest>>::new();
        for Evidence { kind, value } in evidence.items.values().filter_map(Evidence::from_item) {
            if let Some(class) = class(kind) {
                let hash = digest::of_bytes(format!("{agent}\n{kind}\n{value}").as_bytes());
                classes.entry(class.to_owned()).or_default().insert(hash);
            }
        }
        Fingerprint(classes)
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `now` is another machine than this.
    pub fn is_other(&self, now: &Fingerprint) -> bool {
        let both = self.0.iter().filter_map(|(class, hashes)| now.0.get(class).map(|now| (hashes, now)));
        let (all, other) =
            both.fold((0, 0), |(all, other), (hashes, now)| (all + 1, other + u32::from(hashes.is_disjoint(now))));
        other * 2 > all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::checkin::State;
    use shared::fact::Item;

    fn print(evidence: &[(Kind, &str)]) -> Fingerprint {
        let items = evidence.iter().map(|(kind, value)| {
            let item = Item::from(Evidence { kind: *kind, value: (*value).to_owned() });
            (item.key.clone(), item)
        });
        let section = Section { state: State::Seen, items: items.collect(), problems: Vec::new(), truncated: false };
        Fingerprint::of("0197c0de-0000-7000-8000-000000000001".parse().expect("an id"), &section)
    }

    #[test]
    fn more_than_half_must_differ() {
        use Kind::{MachineId, PermanentMac, SmbiosUuid};
        let home = print(&[(SmbiosUuid, "u"), (MachineId, "m"), (PermanentMac, "a"), (PermanentMac, "b")]);
        for (now, other) in [
            (print(&[(SmbiosUuid, "u"), (MachineId, "m"), (PermanentMac, "b")]), false),
            (print(&[(SmbiosUuid, "u"), (MachineId, "new"), (PermanentMac, "a")]), false),
            (print(&[(SmbiosUuid, "v"), (MachineId, "m"), (PermanentMac, "c")]), true),
            // Without root the firmware is not seen; that is no sign.
            (print(&[(MachineId, "m"), (PermanentMac, "a")]), false),
            (print(&[(MachineId, "n"), (PermanentMac, "a")]), false),
            (print(&[(MachineId, "n"), (PermanentMac, "c")]), true),
            (print(&[(MachineId, "n")]), true),
            (print(&[]), false),
        ] {
            assert_eq!(home.is_other(&now), other, "{now:?}");
        }
    }
}
