//! `muster-agent show`: what leaves this machine, exactly.

use super::output;
use crate::config::Config;
use crate::exit::{Code, Fail};
use crate::state::files;
use crate::state::told::ToldStore;

/// A check-in is no larger than this as indented JSON, in bytes.
const SENT_BYTES_MAX: usize = 8 * shared::limit::BODY_BYTES;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  muster-agent show                 the body of the last check-in, indented
  muster-agent show --all           every section as the collector was told it

JSON whatever --output says: it is what was sent. Ends with 4 when nothing was sent yet.")]
pub struct Args {
    /// Every section as the collector was told it, not only what was last sent.
    #[arg(long)]
    all: bool,
}

pub fn show(args: &Args, config: &Config) -> Result<(), Fail> {
    if args.all {
        let sections = ToldStore::new(&config.state_dir).load_all();
        return output::print(|out| {
            serde_json::to_writer_pretty(&mut *out, &sections)?;
            writeln!(out)
        });
    }
    match files::read(&config.state_dir.join("sent.json"), SENT_BYTES_MAX) {
        Ok(sent) => output::print(|out| {
            out.write_all(&sent)?;
            writeln!(out)
        }),
        Err(error) if error.is_absent() => {
            let text = "nothing was sent yet; `muster-agent once` prints what would be";
            Err(Fail::new(Code::NotEnrolled, text))
        }
        Err(error) => Err(Fail::new(Code::State, error.to_string())),
    }
}
