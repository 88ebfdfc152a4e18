//! `muster-agent run`: the service.

use super::record::read_tape;
use crate::config::Config;
use crate::exit::Fail;
use crate::source::tape::Tape;
use crate::source::{Answer, Ask, Miss, Source};
use std::cell::RefCell;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Settings (TOML) and their defaults; a key that does not exist is refused by name:
  state_dir = \"/var/lib/muster-agent\"  # identity, records that wait, what was told
  root_tape = \"/run/muster-agent/root.tape\"  # what root told by `muster-agent probe --tape`
  log = \"info\"                         # error, warn, info, debug; on standard error
  disabled = []                        # probes that do not run; `muster-agent probe` lists them
  # checkin_s = 300                    # whatever the collector says, 1 to 86400
  # health_s = 15                      # whatever the collector says, 1 to 3600
  spool_bytes = 67108864               # on disk, from 1048576
  spool_records = 10000                # from 10
  # proxy = \"http://host:port\"         # the environment's is not used

Examples:
  muster-agent run                    SIGHUP reports at once, SIGTERM says goodbye and stops
  muster-agent run --tape web1.tape   tells a collector what a recorded machine would

Waits for `muster-agent enroll` where there is no identity yet. Speaks sd_notify.")]
pub struct Args {
    /// Tell what this tape tells instead of this machine; it is read anew for every look.
    #[arg(long, value_name = "FILE")]
    tape: Option<PathBuf>,
}

pub fn run(args: &Args, config: &Config) -> Result<(), Fail> {
    if let Some(file) = &args.tape {
        read_tape(file)?;
    }
    let source = || -> Box<dyn Source> {
        match &args.tape {
            None => super::machine(config),
            Some(file) => Box::new(Replayed { file: file.clone(), held: RefCell::default() }),
        }
    };
    super::block_on(crate::run::run(config, &source))
}

/// A tape that may be replaced while the service runs: the machine is then another one.
struct Replayed {
    file: PathBuf,
    /// The file that was read (its inode and time), and what it gave.
    held: RefCell<Option<(Version, Result<Tape, String>)>>,
}

/// By which a file that was replaced is known.
type Version = (u64, i64, i64);

impl Source for Replayed {
    fn get(&self, ask: &Ask) -> Result<Answer, Miss> {
        // A tape that is gone says nothing, which is not that nothing is there.
        let meta = std::fs::metadata(&self.file).map_err(|error| Miss::Failed(error.to_string()))?;
        let version = (meta.ino(), meta.mtime(), meta.mtime_nsec());
        let mut held = self.held.borrow_mut();
        if held.as_ref().is_none_or(|(read, _)| *read != version) {
            *held = Some((version, read_tape(&self.file).map_err(|fail| fail.to_string())));
        }
        match held.as_ref().map(|(_, tape)| tape) {
            Some(Ok(tape)) => tape.get(ask),
            Some(Err(why)) => Err(Miss::Failed(why.clone())),
            None => Err(Miss::Absent),
        }
    }
}
