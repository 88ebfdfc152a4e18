//! `muster-agent record` and `replay`: a machine's answers in one text file, and the report that they give
//! anywhere, byte for byte.

use super::once;
use super::output::{self, Format};
use crate::collect;
use crate::config::Config;
use crate::exit::{Code, Fail};
use crate::source::live::Live;
use crate::source::tape::{Recorder, TAPE_BYTES, Tape};
use crate::state::files;
use std::path::{Path, PathBuf};

/// Arguments of `record`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  muster-agent record --file web1.tape
  muster-agent record | gzip > web1.tape.gz

A tape contains serial numbers, user names and installed software.")]
pub struct RecordArgs {
    /// Where to write the tape, readable by its owner alone; standard output if absent.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Arguments of `replay`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  muster-agent replay web1.tape --output json")]
pub struct ReplayArgs {
    /// The tape.
    file: PathBuf,
    #[command(flatten)]
    once: once::Args,
}

pub fn record(args: &RecordArgs, config: &Config) -> Result<(), Fail> {
    let recorder = Recorder::new(&Live, "linux");
    let mut sections = collect::run(&recorder, &once::chosen(&[], &config.disabled)?);
    collect::complete(&recorder, &mut sections, &config.disabled);
    let text = recorder.into_tape().to_text();
    match &args.file {
        None => output::print(|out| out.write_all(text.as_bytes())),
        Some(path) => {
            files::replace(path, text.as_bytes()).map_err(|error| Fail::new(Code::Failure, error.to_string()))
        }
    }
}

pub fn replay(args: &ReplayArgs, format: Format) -> Result<(), Fail> {
    let tape = read_tape(&args.file)?;
    let sections = once::look(&args.once, &tape, &once::chosen(&args.once.only, &[])?);
    output::report(&sections, &tape, format)
}

/// Reads a tape.
///
/// # Errors
/// The file and what is wrong with it.
pub fn read_tape(file: &Path) -> Result<Tape, Fail> {
    let read = files::read(file, TAPE_BYTES);
    let advice = "make one with `muster-agent record --file`";
    let text = read.map_err(|error| super::unreadable(file, &error, advice))?;
    let fail = |why: String| Fail::new(Code::Failure, format!("{}: {why}; {advice}", file.display()));
    let text = String::from_utf8(text).map_err(|_| fail("not a tape: not text".into()))?;
    Tape::parse(&text).map_err(|error| fail(error.to_string()))
}
