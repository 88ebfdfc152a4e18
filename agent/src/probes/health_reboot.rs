//! Probe `health_reboot`: health: whether the machine waits for a reboot.
//!
//! Debian's packages say so in `/run/reboot-required` (update-notifier, unattended-upgrades). Where nobody
//! does, a newer kernel tells: one in `/boot` of the running kernel's flavour and a higher version, whose
//! initial ramdisk was made after this boot. All three, so that neither a kernel that was pinned on purpose
//! nor, in a container, the host's is taken for a reboot that is due. Looked for at each check-in and no more
//! often: `/boot` may be mounted when somebody looks, and unmounted when nobody has for a while. Where an
//! automounter does that, or `/boot` is another machine's, its kernels are not looked at, mounted or not.

use super::{Every, Found, Os, Probe, mounts};
use crate::source::{Miss, Source};
use shared::checkin::{Problem, Why};
use shared::health::Reading;
use std::cmp::Ordering;

/// The probe.
pub const PROBE: Probe =
    Probe { name: "health_reboot", os: &[Os::Linux], every: Every::CheckIn, needs: "", mark: None, run };

const FLAGS: &[&str] = &["/run/reboot-required", "/var/run/reboot-required"];
/// Packages that are named before "and N more".
const PACKAGES_MAX: usize = 8;

fn run(source: &dyn Source) -> Result<Found, Problem> {
    let mut found = Found::default();
    let mut detail = None;
    for flag in FLAGS {
        match source.stat(flag) {
            Ok(_) => {
                let packages = source.text(&format!("{flag}.pkgs")).unwrap_or_default();
                detail = Some(parse_packages(&packages));
                break;
            }
            Err(Miss::Absent) => {}
            Err(miss) => return Err(miss.problem(*flag)),
        }
    }
    let detail = match detail {
        Some(detail) => Some(detail),
        None if is_elsewhere(source) => {
            let detail =
                "not looked at: an automounter's or another machine's; only packages say whether a reboot is due";
            found.problems.push(Problem::new(Why::Failed, "kernels in /boot").detail(detail));
            None
        }
        None => match source.names("/boot") {
            Ok(names) => newer_kernel(source, &names),
            Err(Miss::Absent) => None,
            Err(miss) => return Err(miss.problem("/boot")),
        },
    };
    let reading = Reading {
        check: "reboot_required".to_owned(),
        resource: String::new(),
        value: i64::from(detail.is_some()),
        total: None,
        identity: None,
        detail,
    };
    found.items.push(reading.into());
    Ok(found)
}

/// Listing `/boot` would mount it each time, or wait for another machine. Without a table of mounts nothing says so.
fn is_elsewhere(source: &dyn Source) -> bool {
    let all = mounts::all(source).unwrap_or_default();
    let automounted = all.iter().any(|mount| mount.point == "/boot" && mount.fstype == "autofs");
    automounted || mounts::may_hang(&all, "/boot")
}

/// Who asks for it, each once.
fn parse_packages(text: &str) -> String {
    let mut names: Vec<&str> = text.lines().map(str::trim).filter(|name| !name.is_empty()).collect();
    names.sort_unstable();
    names.dedup();
    match names.len() {
        0 => "a package asks for it".to_owned(),
        all if all > PACKAGES_MAX => {
            format!(
                "asked for by {} and {} more",
                names.iter().take(PACKAGES_MAX).copied().collect::<Vec<_>>().join(", "),
                all - PACKAGES_MAX
            )
        }
        _ => format!("asked for by {}", names.join(", ")),
    }
}

fn newer_kernel(source: &dyn Source, names: &[String]) -> Option<String> {
    let running = source.text("/proc/sys/kernel/osrelease").ok()?;
    let newest = newest(&running, names)?;
    let booted = parse_boot_time(&source.text("/proc/stat").ok()?)?;
    // Debian and SUSE, then Fedora.
    let ramdisks = [
        format!("/boot/initrd.img-{newest}"),
        format!("/boot/initrd-{newest}"),
        format!("/boot/initramfs-{newest}.img"),
    ];
    let made = ramdisks.iter().find_map(|path| source.stat(path).ok())?.modified;
    (made.secs() > booted).then(|| format!("kernel {newest} is installed, {running} is running"))
}

/// The newest kernel of the running one's flavour, if the running one is there too and older.
fn newest<'a>(running: &str, names: &'a [String]) -> Option<&'a str> {
    let kernels = || names.iter().filter_map(|name| name.strip_prefix("vmlinuz-"));
    kernels().find(|kernel| *kernel == running)?;
    kernels()
        .filter(|kernel| flavour(kernel) == flavour(running))
        .max_by(|a, b| compare(a, b))
        .filter(|kernel| compare(kernel, running) == Ordering::Greater)
}

/// The words of a release that are no version: `cloud`, `amd64` of `6.1.0-28-cloud-amd64`.
fn flavour(release: &str) -> Vec<&str> {
    release.split(['-', '+']).filter(|word| word.starts_with(|c: char| c.is_ascii_alphabetic())).collect()
}

/// Compares the numbers in two releases, one after the other.
fn compare(a: &str, b: &str) -> Ordering {
    let numbers = |text: &str| -> Vec<u64> {
        text.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
    };
    numbers(a).cmp(&numbers(b))
}

/// `btime` of /proc/stat: seconds since the epoch.
fn parse_boot_time(text: &str) -> Option<i64> {
    text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tape::{Recorder, Tape};
    use crate::source::{Ask, Stat};
    use proptest::prelude::*;
    use shared::unit::At;

    fn stat(modified: i64) -> Stat {
        Stat {
            form: 'f',
            size_bytes: 0,
            modified: At::from_secs(modified),
            uid: 0,
            mode: 0o644,
            device: (0, 1),
            inode: 1,
        }
    }

    fn told(tape: &Tape) -> (i64, Option<String>) {
        let items = run(tape).expect("found").items;
        let reading = Reading::from_item(&items[0]).expect("a reading");
        (reading.value, reading.detail)
    }

    fn kernels(running: &str, names: &[&str], made: i64) -> Tape {
        Tape::new()
            .file("/proc/sys/kernel/osrelease", running)
            .file("/proc/stat", "cpu 1 2\nbtime 1000\nprocesses 1\n")
            .dir("/boot", names)
            .stat("/boot/initrd.img-6.1.0-28-amd64", stat(made))
    }

    #[test]
    fn boot_is_left_alone_between_check_ins() {
        assert_eq!(PROBE.every, Every::CheckIn);
    }

    #[test]
    fn a_flag_says_who_asks() {
        let flag = Tape::new().stat("/run/reboot-required", stat(1));
        assert_eq!(told(&flag), (1, Some("a package asks for it".into())));
        let flag = flag.file("/run/reboot-required.pkgs", "linux-base\nlibc6\nlinux-base\n");
        assert_eq!(told(&flag), (1, Some("asked for by libc6, linux-base".into())));
        assert_eq!(told(&Tape::new()), (0, None));
        let mut hidden = Tape::new();
        hidden.put(Ask::Stat("/run/reboot-required".to_owned()), Err(Miss::Denied));
        assert_eq!(run(&hidden).map_err(|problem| problem.why), Err(Why::Denied));
    }

    #[test]
    fn a_newer_kernel_counts_once_it_was_installed_after_the_boot() {
        let both = ["vmlinuz-6.1.0-9-amd64", "vmlinuz-6.1.0-28-amd64", "vmlinuz-6.5.0-1-rt-amd64"];
        let newer = "kernel 6.1.0-28-amd64 is installed, 6.1.0-9-amd64 is running".to_owned();
        assert_eq!(told(&kernels("6.1.0-9-amd64", &both, 1001)), (1, Some(newer)));
        assert_eq!(told(&kernels("6.1.0-9-amd64", &both, 999)), (0, None), "pinned");
        assert_eq!(told(&kernels("6.1.0-28-amd64", &both, 1001)), (0, None), "newest");
        assert_eq!(told(&kernels("6.1.0-9-amd64", &both[1..], 1001)), (0, None), "the host's kernel");
    }

    #[test]
    fn a_boot_that_an_automounter_or_another_machine_has_is_not_listed() {
        let both = ["vmlinuz-6.1.0-9-amd64", "vmlinuz-6.1.0-28-amd64"];
        let told = |mounts: &str| {
            let tape = kernels("6.1.0-9-amd64", &both, 1001).file("/proc/self/mountinfo", mounts);
            let recorder = Recorder::new(&tape, "linux");
            let found = run(&recorder).expect("found");
            let listed = recorder.into_tape().answer(&Ask::Dir("/boot".into())).is_some();
            (listed, found.items[0].int("value"), found.problems.len())
        };
        let root = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n";
        assert_eq!(told(&format!("{root}2 1 8:2 / /boot rw - ext4 /dev/sda2 rw\n")), (true, Some(1), 0));
        let automounter = format!("{root}2 1 0:40 / /boot rw - autofs systemd-1 rw\n");
        assert_eq!(told(&automounter), (false, Some(0), 1));
        assert_eq!(told(&format!("{automounter}3 2 8:2 / /boot rw - vfat /dev/sda2 rw\n")), (false, Some(0), 1));
        assert_eq!(told(&format!("{root}2 1 0:40 / /boot rw - nfs4 dead:/boot rw\n")), (false, Some(0), 1));
    }

    proptest! {
        #[test]
        fn any_text_is_survived(running in ".{0,30}", name in ".{0,30}", text in "(btime )?.{0,30}") {
            newest(&running, &[format!("vmlinuz-{running}"), format!("vmlinuz-{name}")]);
            parse_boot_time(&text);
            parse_packages(&text);
        }
    }
}
