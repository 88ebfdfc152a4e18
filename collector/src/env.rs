//! The environment, for the shell around the core: the one place that asks it. Does not know what a variable means.

use std::ffi::OsString;

/// A variable; `None` where it is not set.
#[expect(clippy::disallowed_methods, reason = "the one place that asks the environment")]
pub fn os(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// A variable that is text; `None` where it is not set or is none.
pub fn text(name: &str) -> Option<String> {
    os(name)?.into_string().ok()
}
