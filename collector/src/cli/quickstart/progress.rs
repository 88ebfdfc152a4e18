//! What people see while they wait: a moving line on a terminal, and a line for each thing done.
//!
//! With `--output json|csv` standard output is for the asset alone, and all else goes to standard error.

use crate::cli::output::{self, Format};
use indicatif::ProgressBar;
use std::cell::RefCell;
use std::io::IsTerminal as _;
use std::time::Duration;

/// How often the line moves.
const TICK: Duration = Duration::from_millis(100);

/// What people see.
pub(super) struct Progress {
    terminal: bool,
    moving: RefCell<Option<ProgressBar>>,
    format: Format,
}

impl Progress {
    /// Moving only where standard output and standard error are a terminal.
    pub(super) fn new(format: Format) -> Progress {
        let terminal = std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
        Progress { terminal, moving: RefCell::new(None), format }
    }

    /// Says what is being waited for; on a terminal only.
    pub(super) fn begin(&self, what: &str) {
        self.pause();
        if self.terminal {
            let moving = ProgressBar::new_spinner().with_message(what.to_owned());
            moving.enable_steady_tick(TICK);
            self.moving.replace(Some(moving));
        }
    }

    /// Nothing is being waited for.
    pub(super) fn pause(&self) {
        if let Some(moving) = self.moving.take() {
            moving.finish_and_clear();
        }
    }

    /// Says what is done, on one line.
    pub(super) fn done(&self, what: &str) {
        self.pause();
        match self.format {
            // A reader that has gone away is no reason to end what runs.
            Format::Table => drop(output::say(what)),
            Format::Json | Format::Csv => output::remark(what),
        }
    }
}
