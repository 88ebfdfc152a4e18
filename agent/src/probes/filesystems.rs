//! Probe `filesystems`: mounted filesystems that hold files of their own; `mounts` says which those are.
//!
//! Knows sizes, UUIDs and labels. Never asks a filesystem of another machine anything: a server that is
//! dead would hold the agent for ever. Does not know what is unmounted, nor whether one is too full.

use super::{Every, Found, Os, Probe, mounts, udev};
use crate::source::{Source, Space};
use mounts::Mount;
use shared::checkin::Problem;
use shared::hardware::Filesystem;
use std::collections::{BTreeMap, BTreeSet};

/// The probe.
pub const PROBE: Probe = Probe {
    name: "filesystems",
    os: &[Os::Linux],
    every: Every::CheckIn,
    needs: "space of what is mounted in folders of other users",
    mark: None,
    run,
};

/// Types whose size says how much their pool has left, another number at every look.
const POOLED: &[&str] = &["zfs"];

fn run(source: &dyn Source) -> Result<Found, Problem> {
    let mounted = mounts::local(source)?;
    let uuids = mounts::uuids(source);
    let labels = labels(source);
    let mut found = Found::default();
    let mut seen = BTreeSet::new();
    for mount in mounted.iter().filter(|mount| seen.insert(mount.point.clone())) {
        let space = if mount.remote { None } else { Some(mounts::ask_space(source, mount)) };
        let space = space.and_then(|space| space.map_err(|problem| found.problems.push(problem)).ok());
        let name = if mount.remote { None } else { mounts::device_name(source, mount) };
        let mut uuid = name.as_ref().and_then(|name| uuids.get(name).cloned());
        let mut label = name.as_ref().and_then(|name| labels.get(name).cloned());
        if uuid.is_none() && mount.device.0 != 0 {
            let known = udev::ask_block(source, &format!("{}:{}", mount.device.0, mount.device.1));
            uuid = known.get("ID_FS_UUID").cloned();
            label = label.or_else(|| known.get("ID_FS_LABEL_ENC").map(|label| udev::decode(label)));
        }
        found.items.push(describe(mount, space, uuid, label).into());
    }
    Ok(found)
}

/// Labels of filesystems by the kernel's name of the device they are on, as udev found them.
fn labels(source: &dyn Source) -> BTreeMap<String, String> {
    const FOLDER: &str = "/dev/disk/by-label";
    let names = source.names(FOLDER).unwrap_or_default();
    let linked = names.into_iter().filter_map(|name| {
        let target = source.link(&format!("{FOLDER}/{name}")).ok()?;
        Some((target.rsplit('/').next()?.to_owned(), udev::decode(&name)))
    });
    linked.collect()
}

fn describe(mount: &Mount, space: Option<Space>, uuid: Option<String>, label: Option<String>) -> Filesystem {
    let bytes = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let kind = mount.fstype.as_str();
    let counted = space.filter(|space| space.inodes > 0 && mount.fixed_inodes());
    Filesystem {
        mount: mount.point.clone(),
        device: mount.source.clone(),
        fstype: mount.fstype.clone(),
        size_bytes: space.filter(|_| !POOLED.contains(&kind)).map(|space| bytes(space.total_bytes)),
        read_only: mount.read_only(),
        uuid,
        label,
        remote: mount.remote,
        free_bytes: space.map(|space| bytes(space.available_bytes)),
        inodes: counted.map(|space| (bytes(space.inodes_free), bytes(space.inodes))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Ask;
    use crate::source::tape::{Recorder, Tape};

    #[test]
    fn remote_filesystems_are_listed_and_never_asked() {
        let mountinfo = "27 1 254:1 / / rw - ext4 /dev/vda1 rw\n28 27 0:40 / /net rw - nfs4 dead.example:/srv rw\n\
                         29 27 7:0 / /mnt/with\\040space rw - ext4 /dev/loop0 rw\n30 27 0:41 / /small rw - tmpfs none rw,size=64k\n";
        let space = Space { total_bytes: 100, free_bytes: 20, available_bytes: 10, inodes: 5, inodes_free: 4 };
        let tape = Tape::new()
            .file("/proc/self/mountinfo", mountinfo)
            .dir("/dev/disk/by-uuid", &["11-22"])
            .link("/dev/disk/by-uuid/11-22", "../../vda1")
            .link("/sys/dev/block/254:1", "../../devices/x/block/vda/vda1")
            .dir("/dev/disk/by-label", &["root\\x20fs"])
            .link("/dev/disk/by-label/root\\x20fs", "../../vda1")
            .file("/run/udev/data/b7:0", "E:ID_FS_UUID=33-44\n")
            .space("/", space)
            .space("/mnt/with space", space);
        let recorder = Recorder::new(&tape, "linux");
        let found = run(&recorder).expect("filesystems");
        assert_eq!(recorder.into_tape().answer(&Ask::Space("/net".into())), None, "a remote one was asked");
        let keys: Vec<&str> = found.items.iter().map(|item| item.key.as_str()).collect();
        assert_eq!(keys, ["/", "/mnt/with space", "/net", "/small"]);
        let attr = |at: usize, name: &str| found.items[at].attrs.get(name).map(ToString::to_string);
        assert_eq!((found.items[0].label.as_deref(), attr(0, "uuid").as_deref()), (Some("root fs"), Some("11-22")));
        assert_eq!((found.items[0].size, attr(0, "inodes").as_deref()), (Some(100), Some("5")));
        assert_eq!(found.items[0].now.get("free_bytes").and_then(|free| free.as_int()), Some(10));
        assert_eq!(attr(1, "uuid").as_deref(), Some("33-44"));
        let now = |at: usize| found.items[at].now.get("device").map(ToString::to_string);
        assert_eq!((attr(0, "device"), now(0).as_deref()), (None, Some("/dev/vda1")), "the UUID says which it is");
        assert_eq!((attr(3, "device").as_deref(), now(3)), (Some("none"), None));
        assert_eq!((found.items[2].size, attr(2, "remote").as_deref()), (None, Some("true")));
        assert_eq!(found.problems.iter().map(|problem| problem.what.as_str()).collect::<Vec<_>>(), ["space of /small"]);
    }
}
