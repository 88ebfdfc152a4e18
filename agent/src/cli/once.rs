//! `muster-agent once`: one look at this machine, printed.

use super::output::{self, Format};
use crate::collect;
use crate::config::{self, Config};
use crate::exit::{Code, Fail};
use crate::probes::{self, PROBES, Probe};
use std::mem::ManuallyDrop;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  muster-agent once
  muster-agent once --only disks filesystems
  muster-agent once --output json | jq '.sections.dpkg.items | length'")]
pub struct Args {
    /// Only these probes; `muster-agent probe` lists them.
    #[arg(long, num_args = 1.., value_name = "PROBE", value_delimiter = ',')]
    pub only: Vec<String>,
}

pub fn once(args: &Args, config: &Config, format: Format) -> Result<(), Fail> {
    let probes = chosen(&args.only, &config.disabled)?;
    let source = super::machine(config);
    // The process ends after this: taking thousands of rows apart would be a sixth of its work.
    let mut sections = ManuallyDrop::new(collect::run(&*source, &probes));
    if args.only.is_empty() {
        collect::complete(&*source, &mut sections, &config.disabled);
    }
    output::report(&sections, &*source, format)
}

/// The probes named, or all that are not disabled.
pub fn chosen(only: &[String], disabled: &[String]) -> Result<Vec<&'static Probe>, Fail> {
    if only.is_empty() {
        return Ok(PROBES.iter().filter(|probe| !disabled.iter().any(|name| name == probe.name)).collect());
    }
    let find = |name: &String| {
        probes::find(name).ok_or_else(|| {
            let nearest = config::nearest_probe(name);
            Fail::new(
                Code::Usage,
                format!("no probe {name:?}; did you mean {nearest}? `muster-agent probe` lists them"),
            )
        })
    };
    only.iter().map(find).collect()
}
