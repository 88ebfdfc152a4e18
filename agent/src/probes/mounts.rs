//! Mounted filesystems, for the probes that tell of them: which mounts count, and as what.
//!
//! Not a probe: a parser that several probes share. Knows mountinfo (proc_pid_mountinfo(5)) and one rule
//! ([`local`]); does not know what is on a filesystem or how full it is.
//!
//! The rule. A mount counts if its filesystem holds files of its own: disk filesystems, read-only images,
//! the overlay that is a container's `/`, and a tmpfs whose size somebody chose and that is not the
//! system's own (`/run`, `/dev`, `/sys`, `/proc`; `/tmp` counts, because programs break when it is full).
//! Network filesystems count too and are marked `remote`: whoever asks one for its space may wait for ever.
//! One filesystem counts once, however often it is bound elsewhere, and not where another one covers it.

use crate::source::{Miss, Source};
use shared::checkin::{Problem, Why};
use std::collections::BTreeMap;

/// Filesystems that hold files of their own on this machine.
const LOCAL: &[&str] = &[
    "apfs", "bcachefs", "btrfs", "exfat", "ext2", "ext3", "ext4", "f2fs", "fuseblk", "gfs2", "hfs", "hfsplus", "jffs2",
    "jfs", "minix", "msdos", "nilfs2", "ntfs", "ntfs3", "ocfs2", "reiser4", "reiserfs", "ubifs", "ufs", "vfat", "xfs",
    "zfs",
];

/// Images: always full, never written.
const IMAGES: &[&str] = &["cramfs", "erofs", "iso9660", "romfs", "squashfs", "udf"];

/// Filesystems whose files are elsewhere.
const REMOTE: &[&str] = &[
    "9p",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "coda",
    "davfs",
    "fuse.ceph",
    "fuse.cephfs",
    "fuse.glusterfs",
    "fuse.rclone",
    "fuse.s3fs",
    "fuse.sshfs",
    "glusterfs",
    "gpfs",
    "lustre",
    "ncpfs",
    "nfs",
    "nfs4",
    "smb3",
    "smbfs",
    "virtiofs",
    "vboxsf",
];

/// Folders that are the system's own; a tmpfs there says nothing of the machine.
const SYSTEM: &[&str] = &["/dev", "/proc", "/run", "/sys"];

/// Files over which container engines bind one of the host's: no filesystems of this machine.
const BOUND_FILES: &[&str] = &["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"];

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mount {
    /// The mount's number.
    pub id: u32,
    /// The number of the mount that it is on.
    pub parent: u32,
    /// Major and minor number of the device; major 0 where there is none.
    pub device: (u32, u32),
    /// What of the filesystem is mounted: `/`, or the folder that is bound.
    pub root: String,
    /// Where it is mounted.
    pub point: String,
    /// Type: `ext4` …
    pub fstype: String,
    /// The device's name, or what the filesystem says instead.
    pub source: String,
    /// Options of the mount.
    pub options: String,
    /// Options of the filesystem.
    pub super_options: String,
    /// On another machine: never ask for its space.
    pub remote: bool,
}

impl Mount {
    /// Nothing can be written through it.
    pub fn read_only(&self) -> bool {
        has(&self.options, "ro") || has(&self.super_options, "ro") || IMAGES.contains(&self.fstype.as_str())
    }

    /// Can become full: local and written to.
    pub fn fills(&self) -> bool {
        !self.remote && !self.read_only()
    }
}

/// The mounts that count, by mount point.
///
/// The service manager may have given the agent a view of its own, in which the disks are read-only; so
/// the first process's mounts are asked for where they differ from ours and may be read.
///
/// # Errors
/// The problem why the mounts cannot be known.
pub fn local(source: &dyn Source) -> Result<Vec<Mount>, Problem> {
    const OWN: &str = "/proc/self/mountinfo";
    let own = source.link("/proc/self/ns/mnt");
    let same = own.is_ok() && own == source.link("/proc/1/ns/mnt");
    let first = if same { Err(Miss::Absent) } else { source.file("/proc/1/mountinfo") };
    let bytes = match first {
        Ok(bytes) => bytes,
        Err(_) => source.file(OWN).map_err(|miss| miss.problem(OWN))?,
    };
    let mounts = parse(&bytes);
    if mounts.is_empty() && !bytes.is_empty() {
        return Err(Problem::new(Why::Malformed, OWN).detail("no line of it is a mount"));
    }
    Ok(select(&mounts))
}

/// UUIDs of filesystems by the kernel's name of the device they are on, as udev found them.
pub fn uuids(source: &dyn Source) -> BTreeMap<String, String> {
    const FOLDER: &str = "/dev/disk/by-uuid";
    let names = source.names(FOLDER).unwrap_or_default();
    names
        .into_iter()
        .filter_map(|uuid| Some((last(&source.link(&format!("{FOLDER}/{uuid}")).ok()?).to_owned(), uuid)))
        .collect()
}

/// The kernel's name of the device that a mount is on: `sda1`, `dm-0`.
pub fn device_name(source: &dyn Source, mount: &Mount) -> Option<String> {
    let (major, minor) = mount.device;
    let path = match major {
        0 => None,
        _ => source.link(&format!("/sys/dev/block/{major}:{minor}")).ok(),
    };
    let path = path.or_else(|| mount.source.strip_prefix("/dev/").map(str::to_owned))?;
    Some(last(&path).to_owned())
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Every mount that mountinfo lists; lines that are none are passed over.
pub fn parse(bytes: &[u8]) -> Vec<Mount> {
    bytes.split(|&byte| byte == b'\n').filter_map(parse_line).collect()
}

/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`
fn parse_line(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|&byte| byte == b' ').filter(|field| !field.is_empty());
    let mut number = || std::str::from_utf8(fields.next()?).ok();
    let id = number()?.parse().ok()?;
    let parent = number()?.parse().ok()?;
    let (major, minor) = number()?.split_once(':')?;
    let device = (major.parse().ok()?, minor.parse().ok()?);
    let root = unescape(fields.next()?);
    let point = unescape(fields.next()?);
    let options = unescape(fields.next()?);
    fields.by_ref().find(|field| *field == b"-")?;
    let fstype = unescape(fields.next()?);
    let source = unescape(fields.next().unwrap_or(b"none"));
    let super_options = unescape(fields.next().unwrap_or(b""));
    let remote = REMOTE.contains(&fstype.as_str());
    Some(Mount { id, parent, device, root, point, fstype, source, options, super_options, remote })
}

/// Space, tab, newline and backslash are written in octal: `\040`.
fn unescape(field: &[u8]) -> String {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        let octal = match tail {
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] if byte == b'\\' => {
                Some((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'))
            }
            _ => None,
        };
        match octal {
            Some(value) => {
                out.push(value);
                rest = tail.get(3..).unwrap_or_default();
            }
            None => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The rule at the top of this file.
pub fn select(all: &[Mount]) -> Vec<Mount> {
    let by_id: BTreeMap<u32, &Mount> = all.iter().map(|mount| (mount.id, mount)).collect();
    let mut counted: Vec<&Mount> = all.iter().filter(|mount| counts(mount) && !covered(mount, all, &by_id)).collect();
    // `/` first, then what is no bind, then the shortest path: the first of a device is the one that counts.
    counted.sort_by_key(|mount| (mount.point != "/", mount.root != "/", mount.point.len(), &mount.point, mount.id));
    let mut once: BTreeMap<((u32, u32), &str), &Mount> = BTreeMap::new();
    for mount in counted {
        once.entry((mount.device, &mount.fstype)).or_insert(mount);
    }
    let mut chosen: Vec<Mount> = once.into_values().cloned().collect();
    chosen.sort_by(|a, b| a.point.cmp(&b.point));
    chosen
}

fn counts(mount: &Mount) -> bool {
    let fstype = mount.fstype.as_str();
    let kept = match fstype {
        "tmpfs" => {
            mount.super_options.split(',').any(|option| option.starts_with("size="))
                && !SYSTEM.iter().any(|folder| within(&mount.point, folder))
        }
        "overlay" => mount.point == "/",
        _ => LOCAL.contains(&fstype) || IMAGES.contains(&fstype) || mount.remote,
    };
    kept && !BOUND_FILES.contains(&mount.point.as_str())
}

/// Another mount lies over this one or over the way to it.
fn covered(mount: &Mount, all: &[Mount], by_id: &BTreeMap<u32, &Mount>) -> bool {
    /// Mounts on mounts on mounts; more are not followed.
    const DEPTH: usize = 32;
    let (mut at, mut child) = (mount, mount.id);
    for _ in 0..DEPTH {
        let over = all.iter().any(|other| {
            other.id != at.id
                && other.id != child
                && ((other.parent == at.id && other.point == at.point)
                    || (other.parent == at.parent && other.point != at.point && within(&at.point, &other.point)))
        });
        if over {
            return true;
        }
        match by_id.get(&at.parent) {
            Some(parent) if parent.id != at.id => (at, child) = (parent, at.id),
            _ => return false,
        }
    }
    false
}

/// Whether a path is a folder or something in it.
fn within(path: &str, folder: &str) -> bool {
    match path.strip_prefix(folder.trim_end_matches('/')) {
        Some(rest) => rest.is_empty() || rest.starts_with('/'),
        None => false,
    }
}

fn has(options: &str, option: &str) -> bool {
    options.split(',').any(|one| one == option)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MACHINE: &str = "\
22 27 0:21 / /proc rw,relatime - proc proc rw
24 27 0:6 / /dev rw - devtmpfs devtmpfs rw,size=12334460k
25 24 0:23 / /dev/shm rw - tmpfs tmpfs rw,size=24684084k
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
30 27 254:0 /srv/data /mnt/data rw - ext4 /dev/vda rw,discard
31 27 254:0 /etc/x /etc/hosts rw - ext4 /dev/vda rw,discard
32 27 0:40 / /srv/with\\040space\\134x rw - nfs4 files:/srv rw,vers=4.2
33 27 0:41 / /tmp rw - tmpfs tmpfs rw,size=65536k
34 27 0:42 / /scratch rw - tmpfs none rw
35 27 7:1 / /snap/core/1 ro,nodev - squashfs /dev/loop1 ro
36 27 8:1 / /boot/efi rw - vfat /dev/sda1 rw
37 27 8:2 / /srv/old/disk rw - xfs /dev/sda2 rw
38 27 8:3 / /srv/old rw - xfs /dev/sda3 rw
39 27 8:4 / /over rw - ext4 /dev/sda4 rw
40 39 8:5 / /over ro - ext4 /dev/sda5 rw
41 27 0:50 /@home /home rw - btrfs /dev/sdb1 rw,subvol=/@home
42 27 0:50 /@srv /var rw - btrfs /dev/sdb1 rw,subvol=/@srv
43 27 0:60 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw,lowerdir=/l
half a line
44 27 x:1 / /bad rw - ext4 /dev/x rw
";

    #[test]
    fn one_mount_of_each_filesystem_that_holds_files_counts() {
        let chosen = select(&parse(MACHINE.as_bytes()));
        let told: Vec<(&str, &str, bool, bool)> =
            chosen.iter().map(|m| (m.point.as_str(), m.source.as_str(), m.remote, m.fills())).collect();
        assert_eq!(
            told,
            [
                ("/", "/dev/vda", false, true),
                ("/boot/efi", "/dev/sda1", false, true),
                ("/over", "/dev/sda5", false, false),
                ("/snap/core/1", "/dev/loop1", false, false),
                ("/srv/old", "/dev/sda3", false, true),
                ("/srv/with space\\x", "files:/srv", true, false),
                ("/tmp", "tmpfs", false, true),
                ("/var", "/dev/sdb1", false, true),
            ]
        );
    }

    #[test]
    fn a_containers_root_counts_and_the_hosts_files_in_it_do_not() {
        let chosen = select(&parse(
            b"1 0 0:9 / / rw - overlay overlay rw,lowerdir=/l\n2 1 8:1 /c/hosts /etc/hosts rw - ext4 /dev/sda1 rw\n",
        ));
        assert_eq!(chosen.iter().map(|m| m.point.as_str()).collect::<Vec<_>>(), ["/"]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            select(&parse(&bytes));
        }
    }
}
