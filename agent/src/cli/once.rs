//! `muster-agent once`: one look at this machine, printed.

use super::output::{self, Format};
use crate::collect::{self, Sections, Spent};
use crate::config::{self, Config};
use crate::exit::{Code, Fail};
use crate::probes::{self, PROBES, Probe};
use crate::source::Source;
use std::mem::ManuallyDrop;
use std::time::Duration;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  muster-agent once
  muster-agent once --only disks filesystems
  muster-agent once --profile > /dev/null
  muster-agent once --output json | jq '.sections.dpkg.items | length'")]
pub struct Args {
    /// Only these probes; `muster-agent probe` lists them.
    #[arg(long, num_args = 1.., value_name = "PROBE", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Also print on standard error what each probe took: time, CPU, questions asked, bytes read.
    #[arg(long)]
    pub profile: bool,
}

pub fn once(args: &Args, config: &Config, format: Format) -> Result<(), Fail> {
    let probes = chosen(&args.only, &config.disabled)?;
    let source = super::machine(config);
    // The process ends after this: taking thousands of rows apart would be a sixth of its work.
    let mut sections = ManuallyDrop::new(look(args, &*source, &probes));
    if args.only.is_empty() {
        collect::complete(&*source, &mut sections, &config.disabled);
    }
    output::report(&sections, &*source, format)
}

/// Runs the probes, and prints what they took if that is asked for.
pub fn look(args: &Args, source: &dyn Source, probes: &[&'static Probe]) -> Sections {
    let (sections, costs) = collect::watched(source, probes, &mut |_| {});
    if args.profile {
        eprintln!("{:18}{:>10}{:>10}{:>7}{:>10}", "PROBE", "WALL_MS", "CPU_MS", "ASKS", "READ_KIB");
        for Spent { probe, wall, cpu, asks, bytes, .. } in costs {
            let ms = |span: Duration| span.as_secs_f64() * 1000.0;
            eprintln!("{probe:18}{:>10.3}{:>10.3}{asks:>7}{:>10}", ms(wall), ms(cpu), bytes.div_ceil(1024));
        }
    }
    sections
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
