//! Whether a bit that flips on the disk is found, and whether what it changed is ever told as if it were right.
//!
//! A small register is made through the store, packed, and copied; in each copy one bit flips in a byte that holds
//! something. Then the copy is checked as `muster doctor` does, and everything is read as the API reads it. The seed is
//! the caller's: the same flips each time. Does not know what a disk does to more than one bit.

mod scene;
mod told;

use super::content;
use anyhow::{Context, Result, ensure};
use clap::Args;
use collector::store::check;
use std::fs;
use std::path::Path;
use told::Wrong;

/// Bytes of a page of the database.
const PAGE_BYTES: usize = 4096;
/// Flips that have to be found, in percent.
const FOUND_PERCENT_MIN: u32 = 90;

/// How many, and which.
#[derive(Args)]
pub struct Flips {
    /// Single bits that flip, each in a copy of its own.
    #[arg(long, default_value_t = 400)]
    flips: u32,
    /// Chooses them.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// What became of the flips.
#[derive(Debug, Default)]
pub struct Count {
    /// Bits that flipped.
    pub flips: u32,
    /// Those that the check found.
    pub found: u32,
    /// Those with which something was told that was never written.
    pub served: u32,
    /// Those with which a list was told for whole that was not: until the next scrub, which finds them.
    pub left_out: u32,
    /// Those that changed what is held, and that the check did not find.
    pub unseen: u32,
    /// Bytes of the register, and of them those that hold something.
    pub bytes: [usize; 2],
    /// Places of flips that were not found or were told.
    pub missed: Vec<String>,
}

impl Count {
    /// Whether the promise holds.
    pub fn holds(&self) -> bool {
        self.found * 100 >= self.flips * FOUND_PERCENT_MIN && self.served == 0 && self.unseen == 0
    }
}

/// Flips and tells.
///
/// # Errors
/// A promise that does not hold, or a step that could not be run.
pub fn run(flips: &Flips) -> Result<()> {
    let count = flip(flips.flips, flips.seed)?;
    for place in &count.missed {
        println!("     {place}");
    }
    let [bytes, live] = count.bytes;
    println!("     seed {}, {bytes} bytes, {live} of them hold something", flips.seed);
    let mark = |holds| if holds { "PASS" } else { "FAIL" };
    let found = count.found * 100 >= count.flips * FOUND_PERCENT_MIN;
    let (n, all) = (count.found, count.flips);
    println!("{} found by the check: {n} of {all} (at least {FOUND_PERCENT_MIN} %)", mark(found));
    println!("{} told as good: {} (at most 0)", mark(count.served == 0), count.served);
    println!("     rows left out of a list until the scrub finds it: {}", count.left_out);
    println!("{} of content and not found by the check: {} (at most 0)", mark(count.unseen == 0), count.unseen);
    ensure!(count.holds(), "a flipped bit was missed or told");
    Ok(())
}

/// Flips so many bits, one after the other, each in a copy of its own.
///
/// # Errors
/// A step that could not be run.
pub fn flip(flips: u32, seed: u64) -> Result<Count> {
    let folder = tempfile::tempdir().context("a temporary folder")?;
    let path = folder.path().join("muster.db");
    scene::make(&path)?;
    let good = fs::read(&path).with_context(|| path.display().to_string())?;
    let live = live(&good);
    let right = told::all(&path)?;
    let held = content::of(&path)?;
    let findings = check::file(&path)?;
    ensure!(findings.is_empty(), "the register is not good before any flip: {findings:?}");
    let copy = folder.path().join("copy.db");
    let mut count = Count { flips, bytes: [good.len(), live.len()], ..Count::default() };
    let mut state = seed;
    for _ in 0..flips {
        let at = live[usize::try_from(random(&mut state))? % live.len()];
        let bit = random(&mut state) % 8;
        let mut bytes = good.clone();
        bytes[at] ^= 1 << bit;
        fs::write(&copy, &bytes).with_context(|| copy.display().to_string())?;
        let found = !check::file(&copy).is_ok_and(|findings| findings.is_empty());
        let wrong = told::wrong(&copy, &right);
        count.found += u32::from(found);
        count.served += u32::from(wrong.told.is_some());
        count.left_out += u32::from(wrong.left_out.is_some());
        count.unseen += u32::from(!found && !content::of(&copy).is_ok_and(|found| found == held));
        let place = || format!("page {}, byte {}, bit {bit}", at / PAGE_BYTES + 1, at % PAGE_BYTES);
        match wrong {
            Wrong { told: Some(told), .. } => count.missed.push(format!("told: {}: {told}", place())),
            Wrong { left_out: Some(row), .. } => count.missed.push(format!("left out: {}: {row}", place())),
            _ if !found => count.missed.push(format!("not found: {}", place())),
            _ => {}
        }
        remove_beside(&copy);
    }
    Ok(count)
}

/// SQLite makes them for whoever reads; they belong to the copy before.
fn remove_beside(copy: &Path) {
    for ending in ["-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{ending}", copy.display()));
    }
}

/// The next number of a fixed sequence (SplitMix64, Steele et al. 2014).
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The places of all bytes that hold something: not the gap in a page between the list of its cells and the cells, nor
/// the end of an overflow page. <https://sqlite.org/fileformat2.html#b_tree_pages>
fn live(bytes: &[u8]) -> Vec<usize> {
    let mut places = Vec::new();
    for (page, bytes) in bytes.chunks(PAGE_BYTES).enumerate() {
        let start = page * PAGE_BYTES;
        let head = if page == 0 { 100 } else { 0 };
        let number = |at: usize| usize::from(bytes[head + at]) << 8 | usize::from(bytes[head + at + 1]);
        let length = match bytes[head] {
            2 | 5 => 12,
            10 | 13 => 8,
            _ => {
                let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
                places.extend(start..start + end);
                continue;
            }
        };
        places.extend(start..start + head + length + 2 * number(3));
        places.extend(start + number(5)..start + PAGE_BYTES);
    }
    places
}
