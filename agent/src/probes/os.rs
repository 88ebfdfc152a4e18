//! Probe `os`: the operating system, its kernel, its name and the layers it runs in.
//!
//! Knows release files, what the kernel tells under `/proc/sys/kernel`, `/etc/hosts` and the time zone. Asks no
//! name server: what one answers is no fact about this machine. Virtual machine and container are two layers, both told;
//! a container's image that was booted is no container, and its marker is told as what it is.

mod hypervisor;
mod release;

use super::cpuinfo::parse_cpuinfo;
use super::{Every, Found, Probe, arch, container};
use crate::source::Source;
use shared::checkin::{Problem, Why};
use shared::hardware::Os;
use shared::unit::{At, SECOND_US};

/// The probe.
pub const PROBE: Probe = Probe {
    name: "os",
    os: &[super::Os::Linux],
    every: Every::CheckIn,
    needs: "when it was installed, where only root's home tells",
    mark: None,
    run,
};

/// One-line release files, the more telling first: Oracle and CentOS ship Red Hat's too.
const RELEASE_FILES: &[&str] = &[
    "/etc/centos-release",
    "/etc/oracle-release",
    "/etc/redhat-release",
    "/etc/SuSE-release",
    "/etc/alpine-release",
    "/etc/debian_version",
];

fn run(source: &dyn Source) -> Result<Found, Problem> {
    let mut problems = Vec::new();
    let os_release = ["/etc/os-release", "/usr/lib/os-release"].iter().find_map(|path| source.text(path).ok());
    let lines: Vec<String> = RELEASE_FILES.iter().filter_map(|path| source.text(path).ok()).collect();
    let release = release::judge(os_release.as_deref().unwrap_or(""), &lines);
    if release.name.is_none() {
        problems.push(Problem::new(Why::Absent, "/etc/os-release").detail("no file names the distribution"));
    }
    let kernel = line(source, "/proc/sys/kernel/osrelease");
    if kernel.is_none() && release.name.is_none() {
        return Err(
            Problem::new(Why::Absent, "/proc/sys/kernel/osrelease").detail("neither kernel nor distribution is told")
        );
    }
    let cpuinfo = source.text("/proc/cpuinfo").unwrap_or_default();
    let hostname = line(source, "/proc/sys/kernel/hostname").or_else(|| line(source, "/etc/hostname"));
    let hostname = hostname.filter(|name| name != "(none)");
    let hosts = source.text("/etc/hosts").unwrap_or_default();
    let inside = container::detect(source);
    let os = Os {
        name: release.name.unwrap_or_else(|| "Linux".to_owned()),
        family: "linux".to_owned(),
        distribution: release.id,
        like: release.like,
        version: release.version,
        codename: release.codename,
        kernel,
        arch: arch::ask(source, &cpuinfo),
        fqdn: hostname.as_deref().and_then(|name| fqdn(name, &hosts)),
        hostname,
        timezone: timezone(source),
        // A container's files carry the dates of its image.
        installed: if inside.is_none() { ask_installed(source) } else { None },
        hypervisor: hypervisor::ask(source, &parse_cpuinfo(&cpuinfo)),
        image: if inside.is_none() { container::image(source) } else { None },
        container: inside.map(|container| container.engine),
        boot_id: line(source, "/proc/sys/kernel/random/boot_id"),
        booted_us: source.text("/proc/stat").ok().and_then(|text| boot_time(&text)),
    };
    Ok(Found { items: vec![os.into()], problems })
}

fn line(source: &dyn Source, path: &str) -> Option<String> {
    let text = source.text(path).ok()?;
    let first = text.lines().next()?.trim();
    (!first.is_empty()).then(|| first.to_owned())
}

/// The name with its domain: as it is, or as hosts(5) has it. `127.0.1.1 box.example.org box`
fn fqdn(hostname: &str, hosts: &str) -> Option<String> {
    let full = |name: &str| name.split_once('.').is_some_and(|(_, domain)| !domain.trim_end_matches('.').is_empty());
    if full(hostname) {
        return Some(hostname.to_owned());
    }
    let lines = hosts.lines().map(|line| line.split('#').next().unwrap_or(""));
    let mut names = lines.flat_map(|line| line.split_ascii_whitespace().skip(1));
    let own = |name: &&str| name.strip_prefix(hostname).is_some_and(|rest| rest.starts_with('.')) && full(name);
    names.find(own).map(|name| name.trim_end_matches('.').to_owned())
}

/// localtime(5): the link says which zone is in force; Debian's file may be older.
fn timezone(source: &dyn Source) -> Option<String> {
    let link = source.link("/etc/localtime").unwrap_or_default();
    let linked = link.split_once("zoneinfo/").map(|(_, zone)| zone.to_owned());
    let zone = linked.or_else(|| line(source, "/etc/timezone"))?;
    let zone = ["posix/", "right/"].iter().find_map(|kind| zone.strip_prefix(kind)).unwrap_or(&zone);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_+-/".contains(&byte);
    (!zone.is_empty() && zone.len() <= 64 && zone.bytes().all(plain)).then(|| zone.to_owned())
}

/// `btime` of proc_stat(5), in microseconds.
fn boot_time(stat: &str) -> Option<i64> {
    let seconds: i64 = stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    (seconds > 0).then(|| seconds.saturating_mul(SECOND_US))
}

/// What an installer left and nobody touches again, then the folder that making the root filesystem left.
/// A birth time is not to be had everywhere, and images are born before the machine.
const INSTALL_SIGNS: &[&str] = &["/var/log/installer", "/root/anaconda-ks.cfg", "/var/log/anaconda", "/lost+found"];
/// No system that this runs on was installed before 2000; a date before it is an image's or a dead clock's.
const EARLIEST: At = At(946_684_800 * SECOND_US);

fn ask_installed(source: &dyn Source) -> Option<String> {
    let now = source.clock().ok()?;
    let sane = |at: &At| *at > EARLIEST && *at <= now;
    let at = INSTALL_SIGNS.iter().find_map(|path| source.stat(path).ok().map(|stat| stat.modified).filter(sane))?;
    let date = jiff::Timestamp::from_second(at.secs()).ok()?.to_zoned(jiff::tz::TimeZone::UTC).date();
    Some(date.to_string())
}

#[cfg(test)]
mod tests;
