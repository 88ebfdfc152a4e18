//! Probe `health_disks`: health: space and inodes of the filesystems that can become full.
//!
//! Percentages are those of df(1): used out of what users may use (root's reserve left out), rounded up, so
//! that 100 means that nobody but root can write. Which mounts count, [`mounts`] knows; read-only ones and
//! those on other machines are never asked.

use super::mounts::{self, Mount};
use super::{Every, Found, Os, Probe, udev};
use crate::source::{Source, Space};
use shared::checkin::Problem;
use shared::health::{self, Reading};
use std::collections::BTreeMap;

/// The probe.
pub const PROBE: Probe =
    Probe { name: "health_disks", os: &[Os::Linux], every: Every::Sample, needs: "", mark: None, run };

fn run(source: &dyn Source) -> Result<Found, Problem> {
    let uuids = mounts::uuids(source);
    let mut found = Found::default();
    let all: Vec<Mount> = mounts::local(source)?.into_iter().filter(Mount::fills).collect();
    let ask = |mount| Asked { mount, space: mounts::ask_space(source, mount), first: true };
    for Asked { mount, space, first } in fold(all.iter().map(ask).collect()) {
        let device = mounts::device_name(source, mount);
        let uuid = device.and_then(|name| uuids.get(&name).cloned()).or_else(|| ask_uuid(source, mount));
        let pool = pool(mount).map(|pool| if first { pool } else { mount.source.as_str() });
        let identity = uuid.or_else(|| pool.map(|name| format!("zpool:{name}")));
        let identity = identity.or_else(|| Some(mount.source.clone()).filter(|name| name.starts_with('/')));
        match space {
            Ok(space) => found.items.extend(readings(mount, &space, identity).into_iter().map(Into::into)),
            // It is still mounted: were its rows missing, it would seem to be gone, and its fault with it.
            Err(problem) => {
                let why = if problem.detail.is_empty() { problem.why.name() } else { &problem.detail };
                let unread = |check| health::unread(check, &mount.point, identity.clone(), why);
                found.items.extend(["disk_space", "disk_inodes"].map(unread));
                found.problems.push(problem);
            }
        }
    }
    Ok(found)
}

/// What udev noted: a service with devices of its own sees no links to the others.
fn ask_uuid(source: &dyn Source, mount: &Mount) -> Option<String> {
    let (major, minor) = mount.device;
    (major != 0).then(|| udev::ask_block(source, &format!("{major}:{minor}")))?.remove("ID_FS_UUID")
}

/// The pool that a ZFS dataset is in.
fn pool(mount: &Mount) -> Option<&str> {
    (mount.fstype == "zfs").then(|| mount.source.split('/').next().unwrap_or(&mount.source))
}

/// What was asked of one mount, and whether it is the first of its pool, or in none.
struct Asked<'a> {
    mount: &'a Mount,
    space: Result<Space, Problem>,
    first: bool,
}

/// Datasets to which as much is left as to their pool's first one are told as one with it: that becomes short for all
/// of them at once. To which a quota leaves less, or a reservation more, is told by itself.
fn fold(mut asked: Vec<Asked<'_>>) -> Vec<Asked<'_>> {
    // The one with the shortest mount point is first, which is the pool's root where that is mounted.
    let place = |mount: &Mount| (mount.point.len(), mount.point.clone());
    asked.sort_by_cached_key(|one| place(one.mount));
    let mut pools: BTreeMap<&str, Pool> = BTreeMap::new();
    for one in &mut asked {
        let Some(name) = pool(one.mount) else { continue };
        one.first = !pools.contains_key(name);
        let pool = pools.entry(name).or_insert_with(|| Pool { root: one.space.clone().ok(), ..Pool::default() });
        pool.used_bytes = pool.used_bytes.saturating_add(one.space.as_ref().map_or(0, used_bytes));
    }
    asked.retain(|one| {
        let pool = pool(one.mount).filter(|_| !one.first).and_then(|name| pools.get_mut(name));
        let (Some(pool), Ok(own)) = (pool, &one.space) else { return true };
        let shares = pool.is_left_to(own);
        if shares {
            pool.folded_bytes = pool.folded_bytes.saturating_add(used_bytes(own));
        }
        !shares
    });
    for one in asked.iter_mut().filter(|one| one.first) {
        if let (Some(pool), Ok(space)) = (pool(one.mount).and_then(|name| pools.get(name)), &mut one.space) {
            space.total_bytes = space.total_bytes.saturating_add(pool.folded_bytes);
        }
    }
    asked.sort_by(|a, b| a.mount.point.cmp(&b.mount.point));
    asked
}

/// A pool's datasets taken together.
#[derive(Default)]
struct Pool {
    /// What its first dataset says.
    root: Option<Space>,
    /// In all of them.
    used_bytes: u64,
    /// In those that are told as one with the first.
    folded_bytes: u64,
}

impl Pool {
    /// Two of its datasets are asked one after the other, and programs write meanwhile: a step of 1 % is none.
    fn is_left_to(&self, own: &Space) -> bool {
        let Some(root) = &self.root else { return false };
        let size = self.used_bytes.saturating_add(root.available_bytes);
        own.available_bytes.abs_diff(root.available_bytes) <= size / 100
    }
}

fn used_bytes(space: &Space) -> u64 {
    space.total_bytes.saturating_sub(space.free_bytes)
}

fn readings(mount: &Mount, space: &Space, identity: Option<String>) -> Vec<Reading> {
    let used_inodes = space.inodes.saturating_sub(space.inodes_free);
    // A pool is as large as its datasets and what it has left: no size of its own.
    let size = i64::try_from(space.total_bytes).ok().filter(|_| pool(mount).is_none());
    // Others than these count what would still fit, so that their number is another one at every look.
    let inodes = i64::try_from(space.inodes).ok().filter(|_| mount.fixed_inodes());
    let of = |check: &str, value: i64, total: Option<i64>| Reading {
        check: check.to_owned(),
        resource: mount.point.clone(),
        value,
        total,
        identity: identity.clone(),
        detail: None,
    };
    let bytes = percent(used_bytes(space), space.available_bytes).map(|value| of("disk_space", value, size));
    // Filesystems without inodes say 0.
    let inodes = percent(used_inodes, space.inodes_free)
        .filter(|_| space.inodes > 0)
        .map(|value| of("disk_inodes", value, inodes));
    bytes.into_iter().chain(inodes).collect()
}

/// Used out of used and available, rounded up; nothing where there is neither.
fn percent(used: u64, available: u64) -> Option<i64> {
    let all = u128::from(used) + u128::from(available);
    (all > 0).then(|| i64::try_from((u128::from(used) * 100).div_ceil(all)).unwrap_or(100))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::live::Live;
    use crate::source::tape::Tape;
    use crate::source::{Ask, Miss};
    use shared::checkin::Why;
    use shared::fact::Item;
    use std::process::Command;

    fn space(total_bytes: u64, free_bytes: u64, available_bytes: u64, inodes: u64, inodes_free: u64) -> Space {
        Space { total_bytes, free_bytes, available_bytes, inodes, inodes_free }
    }

    fn told(tape: &Tape) -> Vec<(String, i64, Option<i64>, Option<String>)> {
        let items = run(tape).expect("found").items;
        items
            .iter()
            .filter_map(Reading::from_item)
            .map(|r| (format!("{}:{}", r.check, r.resource), r.value, r.total, r.identity))
            .collect()
    }

    #[test]
    fn only_what_can_become_full_is_told_as_df_would() {
        let mountinfo = "\
1 0 8:1 / / rw - ext4 /dev/sda1 rw
2 1 7:0 / /snap/x ro - squashfs /dev/loop0 ro
3 1 0:40 / /srv rw - nfs4 files:/srv rw
4 1 8:2 / /boot ro - ext4 /dev/sda2 rw
5 1 0:41 / /data rw - btrfs /dev/mapper/data rw
6 1 0:42 / /tmp rw - tmpfs tmpfs rw,size=1024k
";
        let tape = Tape::new()
            .file("/proc/self/mountinfo", mountinfo)
            .dir("/dev/disk/by-uuid", &["abcd-1"])
            .link("/dev/disk/by-uuid/abcd-1", "../../sda1")
            .link("/sys/dev/block/8:1", "../../devices/pci/ata1/block/sda/sda1")
            .space("/", space(1000, 150, 100, 200, 199))
            .space("/data", space(1000, 1000, 1000, 0, 0))
            .space("/tmp", space(1024, 0, 0, 10, 0));
        let row = |key: &str, value, total, identity: &str| {
            (key.to_owned(), value, Some(total), (!identity.is_empty()).then(|| identity.to_owned()))
        };
        assert_eq!(
            told(&tape),
            [
                row("disk_space:/", 90, 1000, "abcd-1"),
                row("disk_inodes:/", 1, 200, "abcd-1"),
                row("disk_space:/data", 0, 1000, "/dev/mapper/data"),
                row("disk_space:/tmp", 100, 1024, ""),
                row("disk_inodes:/tmp", 100, 10, ""),
            ]
        );
    }

    #[test]
    fn a_filesystem_that_does_not_answer_is_not_gone() {
        let mountinfo = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n7 1 8:3 / /srv rw - xfs /dev/sda3 rw\n";
        let tape = Tape::new().file("/proc/self/mountinfo", mountinfo).space("/", space(1000, 150, 100, 0, 0));
        let stale = || Err(Miss::Failed("Stale file handle".into()));
        for (answer, why, detail) in [
            (Err(Miss::Denied), Why::Denied, "it could not be read: denied"),
            (stale(), Why::Failed, "it could not be read: Stale file handle"),
        ] {
            let mut tape = tape.clone();
            tape.put(Ask::Space("/srv".into()), answer);
            let found = run(&tape).expect("found");
            let row = |item: &Item| {
                let text = |name| item.text(name).unwrap_or("-").to_owned();
                format!("{} {:?} {} {}", item.key, item.int("value"), text("identity"), text("detail"))
            };
            assert_eq!(
                found.items.iter().map(row).collect::<Vec<_>>(),
                [
                    "disk_space:/ Some(90) /dev/sda1 -".to_owned(),
                    format!("disk_space:/srv None /dev/sda3 {detail}"),
                    format!("disk_inodes:/srv None /dev/sda3 {detail}"),
                ]
            );
            assert_eq!((found.problems[0].why, found.problems[0].what.as_str()), (why, "space of /srv"));
        }
    }

    #[test]
    fn a_pool_is_one_reading_and_moving_totals_are_left_out() {
        let mountinfo = "\
1 0 8:1 / / rw - xfs /dev/sda1 rw
2 3 0:50 / /tank/home rw - zfs tank/home rw
3 1 0:51 / /tank rw - zfs tank rw
4 1 0:52 / /other rw - zfs tanker rw
5 1 0:53 / /home rw - nfs4 dead:/home rw
6 5 8:2 / /home/scratch rw - ext4 /dev/sda2 rw
7 3 0:54 / /tank/quota rw - zfs tank/quota rw
";
        let tape = Tape::new()
            .file("/proc/self/mountinfo", mountinfo)
            .space("/", space(1000, 500, 500, 4000, 3000))
            .space("/tank", space(110, 100, 100, 0, 0))
            .space("/tank/home", space(988, 98, 98, 0, 0))
            .space("/tank/quota", space(50, 2, 2, 0, 0))
            .space("/other", space(10, 10, 10, 0, 0));
        let row = |key: &str, value, total, identity: &str| (key.to_owned(), value, total, Some(identity.to_owned()));
        assert_eq!(
            told(&tape),
            [
                row("disk_space:/", 50, Some(1000), "/dev/sda1"),
                row("disk_inodes:/", 25, None, "/dev/sda1"),
                row("disk_space:/other", 0, None, "zpool:tanker"),
                row("disk_space:/tank", 90, None, "zpool:tank"),
                row("disk_space:/tank/quota", 96, None, "zpool:tank/quota"),
            ]
        );
        let found = run(&tape).expect("found");
        let unread: Vec<&str> =
            found.items.iter().filter(|item| item.int("value").is_none()).map(|item| item.key.as_str()).collect();
        assert_eq!(unread, ["disk_space:/home/scratch", "disk_inodes:/home/scratch"], "asking it could take for ever");
    }

    #[test]
    fn percentages_are_rounded_up_and_hold_any_amount() {
        assert_eq!(percent(895, 105), Some(90));
        assert_eq!(percent(1, u64::MAX), Some(1));
        assert_eq!(percent(u64::MAX, u64::MAX), Some(50));
        assert_eq!(percent(0, 0), None);
    }

    /// Other tests write to the disk meanwhile, so one point may lie between the two looks.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "compares with what the system's own tool says")]
    fn this_machine_is_as_full_as_df_says() {
        let Ok(output) = Command::new("df").args(["--output=pcent", "/"]).env("LC_ALL", "C").output() else {
            println!("SKIP: no df here");
            return;
        };
        let text = String::from_utf8(output.stdout).expect("text");
        let Some(theirs) = text.lines().nth(1).and_then(|line| line.trim().trim_end_matches('%').parse::<i64>().ok())
        else {
            println!("SKIP: df does not know how full / is");
            return;
        };
        let found = run(&Live).expect("found");
        let root = found.items.iter().find(|item| item.key == "disk_space:/");
        let ours = root.and_then(|item| item.int("value")).expect("a reading of /");
        assert!(ours.abs_diff(theirs) <= 1, "ours {ours}, of df {theirs}");
    }
}
