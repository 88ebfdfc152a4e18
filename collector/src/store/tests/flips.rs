//! Single bits that change on the disk: found by the check, and never told as if they were right.

use super::*;
use crate::desk::model::Kind;
use crate::register::testing::laptop;
use crate::store::page::Page;
use crate::store::{check, read};
use crate::work::NewTicket;
use shared::id::{AgentId, AssetId};
use std::fs;

/// Bits that are changed, one at a time.
const FLIPS: usize = 400;

/// The size of a page.
const PAGE_BYTES: usize = 4096;

/// A database with something in every table that is served, without free space in its pages.
fn filled(path: &Path) -> PathBuf {
    let mut writer = writer(fresh(path), path);
    let ticket = |title: &str| {
        let new = NewTicket {
            kind: Kind::Request,
            title: title.into(),
            description: "as it was".into(),
            impact: Some(3),
            urgency: Some(3),
            assignee: None,
            requester: None,
            fields: Default::default(),
            assets: Vec::new(),
        };
        Work::Act { actor: KIM, act: Act::OpenTicket(Box::new(new)) }
    };
    let enroll = |number: u128| Work::Act {
        actor: Actor::Join(JoinTokenId(Uuid::from_u128(1))),
        act: Act::Enroll {
            token: JoinTokenId(Uuid::from_u128(1)),
            hash: [7; 32],
            fingerprint: format!("key-{number}"),
            name: format!("host-{number}"),
            version: "0.1.0".into(),
            source: "192.0.2.1".parse().expect("an address"),
        },
    };
    let (done, answers) =
        batch(&mut writer, vec![create(1), create(2), enroll(1), enroll(2), ticket("a"), ticket("b")]);
    assert!(done.is_ok() && answers.iter().all(Result::is_ok), "{answers:?}");
    let agents: Vec<AgentId> = answers
        .iter()
        .filter_map(|answer| match answer {
            Ok(Reply::Granted { agent, .. }) => Some(*agent),
            _ => None,
        })
        .collect();
    for (serial, agent) in (1..).zip(agents) {
        let mut machine = laptop(agent, serial);
        loop {
            let record = machine.record(NOW);
            let (_, mut answers) = batch(&mut writer, vec![machine.report(&record)]);
            let Ok(Reply::Report { want, .. }) = answers.remove(0) else { panic!("taken") };
            if want.is_empty() {
                break;
            }
            machine.want(&want);
        }
    }
    drop(writer);
    let dense = path.with_file_name("dense.db");
    let engine = rusqlite::Connection::open(path).expect("a connection");
    engine.execute("vacuum into ?1", [dense.to_str().expect("a path")]).expect("a copy");
    dense
}

/// A bit that means something: not in the room between a page's pointers and its cells
/// (<https://sqlite.org/fileformat.html> §1.6), of which a small database is full. By xorshift64, so that every run
/// changes the same bits.
fn live_bit(bytes: &[u8], seed: &mut u64) -> usize {
    loop {
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        let bit = usize::try_from(*seed % (bytes.len() as u64 * 8)).expect("a place");
        let (page, place) = (bit / 8 / PAGE_BYTES * PAGE_BYTES, bit / 8 % PAGE_BYTES);
        let head = page + if page == 0 { 100 } else { 0 };
        let number = |at: usize| usize::from(bytes[head + at]) << 8 | usize::from(bytes[head + at + 1]);
        let pointers = match bytes[head] {
            2 | 5 => 12,
            10 | 13 => 8,
            // The rest of a long cell.
            _ => return bit,
        };
        if place < head - page + pointers + 2 * number(3) || place >= number(5) {
            return bit;
        }
    }
}

/// Everything that is served, as text; a read that fails says so.
fn served(path: &Path) -> Result<Vec<String>, String> {
    let mut engine = open::reader(path).map_err(|error| error.to_string())?;
    let page = Page { limit: Some(500), after: None };
    let mut told = Vec::new();
    let assets = read::assets::list(&mut engine, &Default::default(), Default::default(), &page);
    let ids: Vec<AssetId> = assets.iter().flat_map(|found| &found.rows).map(|row| row.asset.id).collect();
    told.push(format!("{assets:?}"));
    for id in ids {
        told.push(format!("{:?}", read::assets::items(&mut engine, id, None, &page)));
        told.push(format!("{:?}", read::assets::sections(&mut engine, id)));
        told.push(format!("{:?}", read::software::of_asset(&mut engine, id, None, &page)));
    }
    told.push(format!("{:?}", read::software::titles(&mut engine, None, None, &page)));
    told.push(format!("{:?}", read::agents::list(&mut engine, &Default::default(), &page)));
    told.push(format!("{:?}", read::tickets::list(&mut engine, &Default::default(), &page)));
    told.push(format!("{:?}", read::faults::list(&mut engine, &Default::default(), &page)));
    told.push(format!("{:?}", read::links::list(&mut engine, None, None, &page)));
    told.push(format!("{:?}", read::tokens::join_list(&mut engine, &page)));
    told.push(format!("{:?}", read::events::list(&mut engine, &Default::default(), 500)));
    Ok(told)
}

#[test]
fn a_bit_that_changes_by_itself_is_found_and_not_served() {
    let (directory, path) = place();
    let dense = filled(&path);
    let good = fs::read(&dense).expect("a database");
    let truth = served(&dense).expect("reads");
    assert!(truth.iter().all(|text| text.starts_with("Ok(")), "{truth:?}");
    assert_eq!(check::file(&dense).expect("a check"), Vec::new());
    let (mut found, mut missed, mut lied, mut seed) = (0, Vec::new(), Vec::new(), 0x2545_f491_4f6c_dd1d_u64);
    let flipped = directory.path().join("flipped.db");
    for _ in 0..FLIPS {
        let bit = live_bit(&good, &mut seed);
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(&flipped, &bytes).expect("written");
        let seen = !check::file(&flipped).is_ok_and(|findings| findings.is_empty());
        found += usize::from(seen);
        if !seen {
            missed.push(bit / 8);
        }
        // A read that fails is no lie; one that tells something else is, unless the check says so.
        if let Ok(told) = served(&flipped) {
            let differs = told.iter().zip(&truth).any(|(told, truth)| told != truth && told.starts_with("Ok("));
            if differs && !seen {
                lied.push(bit);
            }
        }
    }
    assert_eq!(lied, Vec::<usize>::new(), "told as if it were right");
    assert!(found * 10 >= FLIPS * 9, "{found} of {FLIPS} found in {} bytes; not at {missed:?}", good.len());
}
