//! The packages on a machine: a copy of a Debian root is booted with its own systemd, the packages are installed, and
//! what an installation promises is looked at, line by line.
//!
//! | file | knows |
//! | --- | --- |
//! | [`container`] | how a root is booted, spoken to and ended |
//! | [`packages`] | where the packages are, or how they are made |
//! | [`install`] | what is so after the installation, enrollment, first report |
//! | [`facts`] | the service's report beside that of root |
//! | [`guard`] | rights of files, scores of units, sockets |
//! | [`life`] | hangs, kills, an absent collector, a failed unit |
//! | [`change`] | upgrade, removal, purge, installation anew |
//! | [`unattended`] | installed without systemd, booted, joined by a file that was there before |
//! | [`rpm`] | the rpm packages' own scripts |

mod change;
pub(super) mod container;
mod facts;
mod guard;
mod install;
mod life;
pub(super) mod packages;
mod rpm;
mod unattended;

use anyhow::{Result, bail};
use clap::Args;
use container::Container;
use packages::Packages;
use std::path::PathBuf;
use std::time::Instant;

/// Where the machine and the packages come from.
#[derive(Args)]
#[command(after_help = "\
Needs root, systemd-nspawn and nsenter, and a root of Debian that boots, of which copies are made:
  debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,procps,iproute2 bookworm /srv/systemd
  cargo run -p packaging -- check service --root /srv/systemd

Without --deb-dir it makes packages of debug builds; the figures of a release come from packages that
`cargo run -p packaging -- package --out DIR` made.")]
pub struct Service {
    /// The root; it is copied, never changed.
    #[arg(long, value_name = "DIR", env = "MUSTER_SYSTEMD_ROOT")]
    root: PathBuf,
    /// Packages that were made before: those of the least version are installed, those of the highest upgrade them.
    #[arg(long, value_name = "DIR")]
    deb_dir: Option<PathBuf>,
    /// Leave the container as it is at the first check that fails, until Enter is pressed.
    #[arg(long)]
    stay: bool,
}

/// One promise: what it is, and what shows it.
type Promise = (&'static str, fn(&Container) -> Result<String>);

/// Runs all.
///
/// # Errors
/// A promise that does not hold, or nothing could be run.
pub fn run(service: &Service) -> Result<()> {
    if let Some(why) = container::lacks(&service.root) {
        println!("SKIP service: {why}");
        return Ok(());
    }
    let packages = Packages::find(service.deb_dir.as_deref())?;
    let mut failed = 0;
    let main = [install::PROMISES, facts::PROMISES, guard::PROMISES, life::PROMISES, change::PROMISES].concat();
    let containers: [(&str, Vec<Promise>); 2] = [("main", main), ("unattended", unattended::PROMISES.to_vec())];
    for (name, promises) in containers {
        let copy = container::copy(&service.root, &packages)?;
        if name == "unattended" {
            let began = Instant::now();
            failed += usize::from(!said("installed without a running systemd", unattended::offline(&copy), began));
        }
        let container = copy.boot()?;
        if name == "main" {
            life::sample(&container)?;
        }
        for (promise, shown) in promises {
            let began = Instant::now();
            if !said(promise, shown(&container), began) {
                failed += 1;
                if service.stay {
                    println!("     nsenter -t {} -m -u -i -n -p; Enter goes on", container.leader());
                    std::io::stdin().read_line(&mut String::new())?;
                }
            }
        }
        container.end()?;
    }
    failed += rpm::run(&service.root, &packages)?;
    println!("SKIP a distribution of rpm's own: no root of one is made here; give one a run by hand");
    if failed > 0 {
        bail!("{failed} promises do not hold");
    }
    Ok(())
}

/// Prints how a promise came out.
fn said(promise: &str, shown: Result<String>, began: Instant) -> bool {
    let line = |text: &str| shared::show::line(&text.split_whitespace().collect::<Vec<_>>().join(" ")).into_owned();
    let took = began.elapsed().as_secs_f64();
    match shown {
        Ok(text) => {
            println!("PASS {promise}: {} [{took:.1} s]", line(&text));
            true
        }
        Err(error) => {
            println!("FAIL {promise}: {} [{took:.1} s]", line(&format!("{error:#}")));
            false
        }
    }
}
