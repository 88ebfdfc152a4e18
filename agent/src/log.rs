//! The log: standard error, one line per event, for a service manager to keep.
//!
//! Knows neither files nor rotation. Every line is escaped as a whole, because some of its words come
//! from a collector or a machine; no caller hands it a key, a token or a body.

use serde::Deserialize;
use std::io::Write;
use std::sync::atomic::{AtomicU8, Ordering};

/// How important a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Something is lost or stands still until a person acts.
    Error,
    /// Something went wrong that the agent deals with itself.
    Warn,
    /// Something that a person may want to know later.
    Info,
    /// Each step.
    Debug,
}

static LEVEL: AtomicU8 = AtomicU8::new(Level::Info as u8);

/// Sets the least important level that is written.
pub fn set_level(level: Level) {
    LEVEL.store(level as u8, Ordering::Relaxed);
}

/// Writes one line; standard error that is closed is no reason to stop.
#[expect(clippy::disallowed_methods, reason = "systemd tells so that standard error is its journal")]
pub fn line(level: Level, text: &str) {
    if level as u8 > LEVEL.load(Ordering::Relaxed) {
        return;
    }
    // The service manager sorts by these prefixes (sd-daemon(3)) and shows the time itself.
    let (priority, name) = match level {
        Level::Error => (3, "error"),
        Level::Warn => (4, "warning"),
        Level::Info => (6, "info"),
        Level::Debug => (7, "debug"),
    };
    let text = shared::show::line(text);
    let mut stderr = std::io::stderr().lock();
    let _ = match std::env::var_os("JOURNAL_STREAM") {
        Some(_) => writeln!(stderr, "<{priority}>{text}"),
        None => writeln!(stderr, "muster-agent: {name}: {text}"),
    };
}

/// An error line.
pub fn error(text: &str) {
    line(Level::Error, text);
}

/// A warning line.
pub fn warn(text: &str) {
    line(Level::Warn, text);
}

/// An information line.
pub fn info(text: &str) {
    line(Level::Info, text);
}

/// A debugging line.
pub fn debug(text: &str) {
    line(Level::Debug, text);
}
