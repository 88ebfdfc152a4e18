//! Whether the promises of security hold, one by one: real collectors and agents, each check in a folder of its own,
//! and one line for each with what was seen.
//!
//! A check is one function and one line in [`CHECKS`]; its number is the promise's. One that cannot be made on this
//! machine is skipped with the reason. Does not know the product from inside, but for its wire format and its files.

mod bombs;
mod certificates;
mod conduct;
mod copies;
mod enrollment;
mod house;
mod limits;
mod names;
mod payloads;
mod ports;
mod renewal;
mod report;
mod secrets;
mod server;
mod shown;
mod wire;

use anyhow::{Result, bail};
use clap::Args;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Instant;

/// Which checks, of which binaries, and how long.
#[derive(Debug, Clone, Args)]
pub struct Security {
    /// Only these checks.
    #[arg(long, value_delimiter = ',', value_name = "NUMBER,…")]
    only: Vec<u8>,
    /// Ten minutes of certificates that live a minute, instead of one minute of certificates that live six seconds.
    #[arg(long)]
    long: bool,
    /// A folder with `muster` and `muster-agent` to check instead of those that are built now.
    #[arg(long, value_name = "FOLDER")]
    binaries: Option<PathBuf>,
}

/// What came of a check.
enum Seen {
    /// It holds; what was seen, with the counts.
    Pass(String),
    /// It cannot be made here; why, and what was seen of it.
    Skip(String, String),
}

/// One promise.
struct Check {
    number: u8,
    run: fn(&Security) -> Result<Seen>,
}

/// Every check, in the order in which they run.
const CHECKS: &[Check] = &[
    Check { number: 1, run: ports::certificates },
    Check { number: 2, run: conduct::claims },
    Check { number: 3, run: enrollment::request },
    Check { number: 4, run: server::impostors },
    Check { number: 5, run: enrollment::one_use },
    Check { number: 6, run: enrollment::refusals },
    Check { number: 7, run: renewal::keys },
    Check { number: 8, run: renewal::lost_answer },
    Check { number: 9, run: copies::clone },
    Check { number: 10, run: ports::routes },
    Check { number: 11, run: ports::crossed },
    Check { number: 12, run: conduct::revoked },
    Check { number: 20, run: payloads::injection },
    Check { number: 21, run: payloads::fields },
    Check { number: 23, run: secrets::placeholder },
    Check { number: 26, run: shown::names },
    Check { number: 40, run: bombs::bombs },
    Check { number: 41, run: limits::exact },
    Check { number: 47, run: conduct::liar },
    Check { number: 50, run: secrets::dump },
    Check { number: 51, run: ports::host },
    Check { number: 53, run: secrets::socket },
];

/// Runs them.
///
/// # Errors
/// A promise that does not hold, or nothing could be run.
pub fn run(security: &Security) -> Result<()> {
    tests::take_binaries_from(match &security.binaries {
        Some(folder) => folder.clone(),
        None => super::build(&["agent", "collector"])?,
    });
    let wanted = |check: &&Check| security.only.is_empty() || security.only.contains(&check.number);
    let (mut passed, mut skipped, mut failed) = (0, 0, 0);
    let began = Instant::now();
    for check in CHECKS.iter().filter(wanted) {
        let number = check.number;
        match guarded(check, security) {
            Ok(Seen::Pass(seen)) => {
                passed += 1;
                println!("PASS {number:02} {}", one_line(&seen));
            }
            Ok(Seen::Skip(why, seen)) => {
                skipped += 1;
                println!("SKIP({}) {number:02} {}", one_line(&why), one_line(&seen));
            }
            Err(error) => {
                failed += 1;
                println!("FAIL {number:02} {}", one_line(&format!("{error:#}")));
            }
        }
    }
    eprintln!("{passed} passed, {skipped} skipped, {failed} failed, in {} s", began.elapsed().as_secs());
    if failed > 0 {
        bail!("{failed} checks failed");
    }
    Ok(())
}

/// The stories' world panics where something is not as it should be; here that is a check that failed.
fn guarded(check: &Check, security: &Security) -> Result<Seen> {
    static WORDS: Mutex<String> = Mutex::new(String::new());
    let (run, security) = (check.run, security.clone());
    std::panic::set_hook(Box::new(|panic| {
        if let Ok(mut words) = WORDS.lock() {
            *words = panic.to_string();
        }
    }));
    let ended = std::thread::spawn(move || run(&security)).join();
    // The hook before was the default one.
    let _ = std::panic::take_hook();
    match ended {
        Ok(seen) => seen,
        Err(_) => bail!("{}", WORDS.lock().map(|words| words.clone()).unwrap_or_default()),
    }
}

/// One line that says all, whatever is in it.
fn one_line(text: &str) -> String {
    let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    shared::show::line(&text).chars().take(600).collect()
}
