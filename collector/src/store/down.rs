//! That the database failed: said once, by whoever met it first, and from then on nothing is taken any more.
//!
//! An I/O error is never retried: what is in the file and what the system's cache tells of it may differ from then
//! on (a failed fsync(2) may drop what it could not write). Only a new start looks at the file itself.

use super::engine::Error;
use std::sync::{Mutex, PoisonError};

type Tell = Box<dyn FnOnce(String) + Send>;

/// Whether the database failed, and who is to be told.
#[derive(Default)]
pub struct Down {
    held: Mutex<(Option<String>, Option<Tell>)>,
}

impl Down {
    /// `tell` is called with the reason, once.
    pub fn new(tell: Tell) -> Down {
        Down { held: Mutex::new((None, Some(tell))) }
    }

    /// The database failed; only the first reason counts.
    pub fn fall(&self, why: &str) {
        let tell = {
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            held.0.get_or_insert_with(|| why.to_owned());
            held.1.take()
        };
        if let Some(tell) = tell {
            tracing::error!(why, "the database failed: the collector stops");
            tell(why.to_owned());
        }
    }

    /// The same, if the error is one after which nothing may go on.
    pub fn judge(&self, error: &Error) {
        if matches!(error, Error::Io(_) | Error::Broken(_)) {
            self.fall(&error.to_string());
        }
    }

    /// Why, if it failed.
    pub fn why(&self) -> Option<String> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).0.clone()
    }
}
