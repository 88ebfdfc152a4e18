//! What people see while they wait: a moving line on a terminal, and a line for each thing done.
//!
//! With `--output json|csv` standard output is for the asset alone, and all else goes to standard error.

use crate::cli::output::Format;
use indicatif::ProgressBar;
use std::io::IsTerminal as _;
use std::time::Duration;

/// How often the line moves.
const TICK: Duration = Duration::from_millis(100);

/// What people see.
pub(super) struct Progress {
    moving: Option<ProgressBar>,
    format: Format,
}

impl Progress {
    /// Moving only where standard output and standard error are a terminal.
    pub(super) fn new(format: Format) -> Progress {
        let terminal = std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
        Progress { moving: terminal.then(ProgressBar::new_spinner), format }
    }

    /// Says what is being waited for; on a terminal only.
    pub(super) fn begin(&self, what: &str) {
        if let Some(moving) = &self.moving {
            moving.set_message(what.to_owned());
            moving.enable_steady_tick(TICK);
        }
    }

    /// Nothing is being waited for.
    pub(super) fn pause(&self) {
        if let Some(moving) = &self.moving {
            moving.disable_steady_tick();
            moving.set_message(String::new());
            moving.finish_and_clear();
            moving.reset();
        }
    }

    /// Says what is done, on one line.
    pub(super) fn done(&self, what: &str) {
        self.pause();
        let line = shared::show::line(what);
        match self.format {
            Format::Table => println!("{line}"),
            Format::Json | Format::Csv => eprintln!("{line}"),
        }
    }
}
