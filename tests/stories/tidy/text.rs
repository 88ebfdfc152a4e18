//! What may not be left in a source file, and how long one may be.

use crate::sources::Source;

/// Lines a file may have.
const LINES: usize = 500;

/// Files that are only tables may be longer.
const TABLES: &[&str] = &[];

/// Files in which `unsafe` is allowed, each with `expect` and a reason.
const UNSAFE: &[&str] = &["agent/src/os.rs"];

/// What a file breaks.
pub fn breaches(source: &Source) -> Vec<String> {
    // Put together so that this file does not break its own law.
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X "),
        concat!("#[ig", "nore"),
        concat!("allow(dead", "_code)"),
        concat!("allow(cl", "ippy"),
    ];
    let mut found = Vec::new();
    let lines = source.text.lines().count();
    if lines > LINES && !TABLES.contains(&source.path.as_str()) {
        found.push(format!("{}: {lines} lines: split it (at most {LINES})", source.path));
    }
    if !source.text.starts_with("//!") && !source.path.ends_with("/tests.rs") {
        found.push(format!("{}:1: a file opens with what it knows and what it does not", source.path));
    }
    for (i, line) in source.text.lines().enumerate() {
        for mark in marks {
            if line.contains(mark) {
                found.push(format!("{}:{}: {mark} is left", source.path, i + 1));
            }
        }
        let code = line.split("//").next().unwrap_or("");
        if code.contains(concat!("uns", "afe {")) && !UNSAFE.contains(&source.path.as_str()) {
            found.push(format!("{}:{}: {} outside the one file per OS", source.path, i + 1, concat!("uns", "afe")));
        }
    }
    found
}
