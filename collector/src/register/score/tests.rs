use super::*;
use crate::register::identity;
use crate::register::model::Asset;
use crate::register::testing::{World, laptop};
use crate::work::{Known, Needs};
use shared::evidence::Kind::{DiskWwn, SmbiosUuid, SystemSerial};
use shared::{evidence, limit};
use std::time::Instant;

/// 256 identifiers, each held by 1,000 assets of which 8 are known with ever more of them.
#[test]
fn the_largest_evidence_is_weighed_in_no_time() {
    let rows = limit::rows(evidence::SECTION);
    assert_eq!(rows, 256);
    let all = |n: usize| -> Vec<Evidence> {
        let disks = (0..rows).map(|disk| Evidence { kind: DiskWwn, value: format!("naa.{disk}") });
        let own = (0..rows).map(|one| Evidence { kind: SystemSerial, value: format!("M|S|{n}-{one}") });
        let uuids = (0..rows).map(|one| Evidence {
            kind: SmbiosUuid,
            value: uuid::Uuid::from_u128((n * rows + one) as u128 + 1).to_string(),
        });
        disks.chain(own).chain(uuids).collect()
    };
    let mut world = World::new();
    laptop(world.enrolled("host"), 1).settle(&mut world);
    let template =
        world.load(&Needs { agent: world.agents.keys().next().copied(), ..Default::default() }).own.expect("own");
    let mut known = Known::default();
    for n in 1..=8 {
        known.candidates.push(Candidate {
            asset: Asset { id: AssetId(uuid::Uuid::from_u128(n as u128)), ..template.asset.clone() },
            evidence: all(n),
            agent: None,
        });
    }
    let told: Vec<Evidence> = all(9).into_iter().take(rows).collect();
    known.holders = told.iter().map(|one| (one.clone(), 1000)).collect();
    let started = Instant::now();
    let weighed = weigh(&told, &known.candidates, None, &known.holders);
    assert_eq!((weighed.usable.len(), weighed.junk.len()), (0, rows));
    let (_, conflicts) = identity::own(&told, &Candidate { evidence: all(9), ..template }, &known);
    assert_eq!(conflicts, []);
    // Before, each identifier looked at every row of every holder again: minutes.
    assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
}
