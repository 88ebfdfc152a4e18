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
pub fn filled(path: &Path) -> PathBuf {
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
    let (done, answers) =
        batch(&mut writer, vec![create(1), create(2), enroll("key-1"), enroll("key-2"), ticket("a"), ticket("b")]);
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

/// Everything that is served, a row a text; of a read that fails nothing, for it says so.
fn served(path: &Path) -> Vec<String> {
    fn rows<T: std::fmt::Debug, E>(of: &str, found: Result<Vec<T>, E>) -> Vec<String> {
        found.map(|rows| rows.iter().map(|row| format!("{of} {row:?}")).collect()).unwrap_or_default()
    }
    let Ok(mut engine) = open::reader(path) else { return Vec::new() };
    let page = Page { limit: Some(500), after: None };
    let assets =
        read::assets::list(&mut engine, &Default::default(), Default::default(), &page).map(|found| found.rows);
    let ids: Vec<AssetId> = assets.iter().flatten().map(|row| row.asset.id).collect();
    let mut told = rows("asset", assets);
    for id in ids {
        let of = format!("of {id}");
        told.extend(rows(&of, read::assets::items(&mut engine, id, None, &page).map(|found| found.rows)));
        told.extend(rows(&of, read::assets::sections(&mut engine, id)));
        told.extend(rows(&of, read::software::of_asset(&mut engine, id, None, &page).map(|found| found.rows)));
    }
    told.extend(rows("agent", read::agents::list(&mut engine, &Default::default(), &page).map(|found| found.rows)));
    told.extend(rows("ticket", read::tickets::list(&mut engine, &Default::default(), &page).map(|found| found.rows)));
    told.extend(rows("fault", read::faults::list(&mut engine, &Default::default(), &page).map(|found| found.rows)));
    told.extend(rows("link", read::links::list(&mut engine, None, None, &page).map(|found| found.rows)));
    told.extend(rows("token", read::tokens::join_list(&mut engine, &page).map(|found| found.rows)));
    told.extend(rows("event", read::events::list(&mut engine, &Default::default(), 500)));
    told
}

#[test]
fn a_bit_that_changes_by_itself_is_found_and_no_row_is_told_that_was_not_written() {
    let (directory, path) = place();
    let dense = filled(&path);
    let good = fs::read(&dense).expect("a database");
    let truth = served(&dense);
    assert!(truth.len() > 50, "{truth:?}");
    assert_eq!(check::file(&dense).expect("a check"), Vec::new());
    let (mut missed, mut lied, mut lost, mut seed) = (Vec::new(), Vec::new(), Vec::new(), 0x2545_f491_4f6c_dd1d_u64);
    let flipped = directory.path().join("flipped.db");
    for _ in 0..FLIPS {
        let bit = live_bit(&good, &mut seed);
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(&flipped, &bytes).expect("written");
        let seen = !check::file(&flipped).is_ok_and(|findings| findings.is_empty());
        let told = served(&flipped);
        lied.extend(told.iter().filter(|row| !truth.contains(row)).map(|row| format!("bit {bit}: {row}")));
        // A row whose key changed is not found again, and missing until the check says so.
        if !seen {
            missed.push(bit);
            lost.extend(truth.iter().filter(|row| !told.contains(row)).map(|row| format!("bit {bit}: {row}")));
        }
    }
    assert_eq!((lied, lost), (Vec::<String>::new(), Vec::new()), "told though not written, or missing unseen");
    assert!(missed.len() * 10 <= FLIPS, "{} of {FLIPS} not found, in {} bytes", missed.len(), good.len());
}
