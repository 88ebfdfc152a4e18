//! Promises that are looked at one by one, and the one line that each gets: PASS, SKIP with the reason, or FAIL.
//!
//! Does not know what is promised.

use anyhow::{Result, bail};
use std::sync::Mutex;
use std::time::Instant;

/// What came of a check.
pub(super) enum Seen {
    /// It holds; what was seen, with the counts.
    Pass(String),
    /// It cannot be made here; why, and what was seen of it.
    Skip(String, String),
}

/// One promise; its number is that of the security page.
pub(super) struct Check<O> {
    pub(super) number: u8,
    pub(super) run: fn(&O) -> Result<Seen>,
}

/// Runs those that are wanted; all where `only` is empty.
///
/// # Errors
/// A promise that does not hold.
pub(super) fn run<O: Clone + Send + 'static>(checks: &[Check<O>], only: &[u8], options: &O) -> Result<()> {
    let (mut passed, mut skipped, mut failed) = (0, 0, 0);
    let began = Instant::now();
    for check in checks.iter().filter(|check| only.is_empty() || only.contains(&check.number)) {
        let number = check.number;
        match guarded(check, options) {
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
fn guarded<O: Clone + Send + 'static>(check: &Check<O>, options: &O) -> Result<Seen> {
    static WORDS: Mutex<String> = Mutex::new(String::new());
    let (run, options) = (check.run, options.clone());
    std::panic::set_hook(Box::new(|panic| {
        if let Ok(mut words) = WORDS.lock() {
            *words = panic.to_string();
        }
    }));
    let ended = std::thread::spawn(move || run(&options)).join();
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
