//! Mounted filesystems, for the probes that tell of them: which mounts count, and as what.
//!
//! Not a probe: a parser that several probes share. Knows mountinfo (proc_pid_mountinfo(5)) and one rule
//! ([`local`]); does not know what is on a filesystem or how full it is.
//!
//! The rule. A mount counts if its filesystem holds files of its own: disk filesystems, read-only images,
//! the overlay that is a container's `/`, and a tmpfs whose size somebody chose and that is not the
//! system's own (`/run`, `/dev`, `/sys`, `/proc`; `/tmp` counts, because programs break when it is full) nor
//! made for a container, which comes and goes with it.
//! Network filesystems count too and are marked `remote`: whoever asks one for its space may wait for ever.
//! So may who asks one of this machine that is mounted below such a one, because the way to it leads through
//! the dead server, a daemon (autofs) or a program (FUSE): it is told, and never asked ([`ask_space`]). An
//! automounter whose filesystem is mounted lies below it and is not on the way; a disk in FUSE (`fuseblk`) is one.
//! One filesystem counts once, however often it is bound elsewhere, and not where another one covers it.

use crate::source::{Miss, Source, Space};
use shared::checkin::{Problem, Why};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Filesystems that hold files of their own on this machine.
const LOCAL: &[&str] = &[
    "apfs", "bcachefs", "btrfs", "exfat", "ext2", "ext3", "ext4", "f2fs", "fuseblk", "hfs", "hfsplus", "jffs2", "jfs",
    "minix", "msdos", "nilfs2", "ntfs", "ntfs3", "reiser4", "reiserfs", "ubifs", "ufs", "vfat", "xfs", "zfs",
];

/// Images: always full, never written.
const IMAGES: &[&str] = &["cramfs", "erofs", "iso9660", "romfs", "squashfs", "udf"];

/// Filesystems whose files are elsewhere, or that ask other machines before they answer (cluster filesystems).
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
    "gfs2",
    "glusterfs",
    "gpfs",
    "lustre",
    "ncpfs",
    "nfs",
    "nfs4",
    "ocfs2",
    "smb3",
    "smbfs",
    "virtiofs",
    "vboxsf",
];

/// Folders that are the system's own; a tmpfs there says nothing of the machine.
const SYSTEM: &[&str] = &["/dev", "/proc", "/run", "/sys"];

/// Folders in which container engines mount a tmpfs for each container; `/run` is [`SYSTEM`]'s already.
const ENGINES: &[&str] = &["/var/lib/containerd", "/var/lib/containers", "/var/lib/docker", "/var/lib/kubelet"];

/// Types made with a number of inodes that stays; others count what would still fit, another number at every look.
const FIXED_INODES: &[&str] = &["ext2", "ext3", "ext4", "minix", "tmpfs", "ufs"];

/// Mounts on mounts on mounts; more are not followed.
const DEPTH: usize = 32;

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
    /// On another machine: never asked for its space.
    pub remote: bool,
    /// On this machine, and why it is never asked for its space all the same.
    pub unasked: Option<Unasked>,
}

/// Why a filesystem of this machine is not asked for its space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unasked {
    /// The way to it leads through another machine, a daemon or a program, which may be dead.
    Behind,
    /// Its mount point is no UTF-8, and could only be asked for by another name.
    Unnamed,
}

impl Mount {
    /// Nothing can be written through it.
    pub fn read_only(&self) -> bool {
        has(&self.options, "ro") || has(&self.super_options, "ro") || IMAGES.contains(&self.fstype.as_str())
    }

    /// May wait for another machine, a daemon or a program. `fuseblk` is a disk of this machine (NTFS).
    fn hangs(&self) -> bool {
        self.remote || self.fstype == "autofs" || self.fstype.starts_with("fuse") && self.fstype != "fuseblk"
    }

    /// Was mounted by this automounter at its own place, and lies over it.
    fn fills_in(&self, automounter: &Mount) -> bool {
        self.parent == automounter.id && self.id != automounter.id && self.point == automounter.point
    }

    /// Has a number of inodes that is always the same.
    pub fn fixed_inodes(&self) -> bool {
        FIXED_INODES.contains(&self.fstype.as_str())
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
    let table = ask(source)?;
    let known = |last: &(Table, Vec<Mount>)| (last.0 == table).then(|| last.1.clone());
    if let Some(mounts) = LAST.with_borrow(|last| last.as_ref().and_then(known)) {
        return Ok(mounts);
    }
    let mounts = select(&table.mounts()?);
    let kept = (table.bytes.len() <= KEPT_BYTES).then(|| (table, mounts.clone()));
    LAST.set(kept);
    Ok(mounts)
}

/// Every mount, from the first process's view where it may be read.
///
/// # Errors
/// The problem why the mounts cannot be known.
pub fn all(source: &dyn Source) -> Result<Vec<Mount>, Problem> {
    ask(source)?.mounts()
}

/// Bytes of a table that is kept with what was made of it. Of a larger one it is made anew each time.
const KEPT_BYTES: usize = 64 * 1024;

thread_local! {
    /// The last table and the mounts of it that count: every sample asks, and the table hardly ever changes. Probes
    /// run on one thread.
    static LAST: RefCell<Option<(Table, Vec<Mount>)>> = const { RefCell::new(None) };
}

/// A table as it was read, and whether it is a service's own.
#[derive(PartialEq, Eq)]
struct Table {
    bytes: Vec<u8>,
    ours: bool,
}

const OWN: &str = "/proc/self/mountinfo";

fn ask(source: &dyn Source) -> Result<Table, Problem> {
    let own = source.link("/proc/self/ns/mnt");
    let same = own.is_ok() && own == source.link("/proc/1/ns/mnt");
    let first = if same { Err(Miss::Absent) } else { source.file("/proc/1/mountinfo") };
    let (bytes, ours) = match first {
        Ok(bytes) => (bytes, false),
        Err(_) => (source.file(OWN).map_err(|miss| miss.problem(OWN))?, !same && own.is_ok()),
    };
    Ok(Table { bytes, ours })
}

impl Table {
    fn mounts(&self) -> Result<Vec<Mount>, Problem> {
        let mut mounts = parse(&self.bytes);
        if self.ours {
            // It may be the sandbox's choice that nothing can be written here; what the filesystem itself says is true.
            mounts.iter_mut().for_each(|mount| mount.options = without(&mount.options, "ro"));
        }
        if mounts.is_empty() && !self.bytes.is_empty() {
            return Err(Problem::new(Why::Malformed, OWN).detail("no line of it is a mount"));
        }
        Ok(mounts)
    }
}

/// Whether the way to a path leads through a mount that may not answer. `/` is left out: were it dead, nothing
/// would answer. By the names alone: links in the path are the caller's.
pub fn may_hang(all: &[Mount], path: &str) -> bool {
    let on_the_way = all.iter().filter(|mount| mount.point != "/" && mount.hangs() && within(path, &mount.point));
    on_the_way.into_iter().any(|mount| mount.fstype != "autofs" || !all.iter().any(|other| other.fills_in(mount)))
}

/// Space of a filesystem of this machine, unless asking for it could take for ever.
///
/// # Errors
/// The problem why it is not known.
pub fn ask_space(source: &dyn Source, mount: &Mount) -> Result<Space, Problem> {
    let what = || format!("space of {}", mount.point);
    match mount.unasked {
        None => source.space(&mount.point).map_err(|miss| miss.problem(what())),
        Some(Unasked::Behind) => {
            let detail = "not asked, because the way to it leads over another machine, an automounter or FUSE";
            Err(Problem::new(Why::Failed, what()).detail(detail))
        }
        Some(Unasked::Unnamed) => Err(Problem::new(Why::Malformed, what()).detail("its mount point is no UTF-8")),
    }
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
    let bytes = unescape_bytes(fields.next()?);
    let unasked = std::str::from_utf8(&bytes).is_err().then_some(Unasked::Unnamed);
    let point = String::from_utf8_lossy(&bytes).into_owned();
    let options = unescape(fields.next()?);
    fields.by_ref().find(|field| *field == b"-")?;
    let fstype = unescape(fields.next()?);
    let source = unescape(fields.next().unwrap_or(b"none"));
    let super_options = unescape(fields.next().unwrap_or(b""));
    let remote = REMOTE.contains(&fstype.as_str());
    Some(Mount { id, parent, device, root, point, fstype, source, options, super_options, remote, unasked })
}

fn unescape(field: &[u8]) -> String {
    String::from_utf8_lossy(&unescape_bytes(field)).into_owned()
}

/// Space, tab, newline and backslash are written in octal: `\040`.
fn unescape_bytes(field: &[u8]) -> Vec<u8> {
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
    out
}

/// The rule at the top of this file.
pub fn select(all: &[Mount]) -> Vec<Mount> {
    let tree = Tree::of(all);
    let mut counted: Vec<&Mount> = all.iter().filter(|mount| counts(mount) && !tree.covered(mount)).collect();
    // `/` first, then what is no bind, then the shortest path: the first of a device is the one that counts.
    counted.sort_by_key(|mount| (mount.point != "/", mount.root != "/", mount.point.len(), &mount.point, mount.id));
    let mut once: BTreeMap<((u32, u32), &str), &Mount> = BTreeMap::new();
    for mount in counted {
        once.entry((mount.device, &mount.fstype)).or_insert(mount);
    }
    let mut chosen: Vec<Mount> = once.into_values().cloned().collect();
    for mount in &mut chosen {
        mount.unasked = mount.unasked.or_else(|| tree.behind(mount).then_some(Unasked::Behind));
    }
    chosen.sort_by(|a, b| a.point.cmp(&b.point));
    chosen
}

fn counts(mount: &Mount) -> bool {
    let fstype = mount.fstype.as_str();
    let kept = match fstype {
        "tmpfs" => mount.super_options.split(',').any(|option| option.starts_with("size=")) && !passing(mount),
        "overlay" => mount.point == "/",
        _ => LOCAL.contains(&fstype) || IMAGES.contains(&fstype) || mount.remote,
    };
    kept && !BOUND_FILES.contains(&mount.point.as_str())
}

/// A tmpfs of the system's, or of a container: engines name a container's shared memory `shm`, wherever their
/// folders are, and the kubelet has a folder for each kind of volume.
fn passing(mount: &Mount) -> bool {
    let folders = || SYSTEM.iter().chain(ENGINES);
    folders().any(|folder| within(&mount.point, folder))
        || mount.source == "shm"
        || mount.point.contains("/volumes/kubernetes.io~")
}

/// All mounts, by what they are on.
struct Tree<'a> {
    by_id: BTreeMap<u32, &'a Mount>,
    /// The numbers of those on one mount at one point.
    by_place: BTreeMap<(u32, &'a str), Vec<u32>>,
}

impl<'a> Tree<'a> {
    fn of(all: &'a [Mount]) -> Tree<'a> {
        let mut by_place: BTreeMap<(u32, &str), Vec<u32>> = BTreeMap::new();
        for mount in all {
            by_place.entry((mount.parent, &mount.point)).or_default().push(mount.id);
        }
        Tree { by_id: all.iter().map(|mount| (mount.id, mount)).collect(), by_place }
    }

    /// Another mount lies over this one or over the way to it.
    fn covered(&self, mount: &Mount) -> bool {
        let (mut at, mut child) = (mount, mount.id);
        for _ in 0..DEPTH {
            let over = |parent: u32, point: &str| {
                let there = self.by_place.get(&(parent, point));
                there.is_some_and(|ids| ids.iter().any(|id| ![at.id, at.parent, child].contains(id)))
            };
            if over(at.id, &at.point) || above(&at.point).any(|folder| over(at.parent, folder)) {
                return true;
            }
            match self.by_id.get(&at.parent) {
                Some(parent) if parent.id != at.id => (at, child) = (parent, at.id),
                _ => return false,
            }
        }
        false
    }

    /// The way to it leads through a mount that may not answer. `/` is left out: were it dead, nothing would answer.
    fn behind(&self, mount: &Mount) -> bool {
        let mut at = mount;
        for _ in 0..DEPTH {
            let child = at;
            match self.by_id.get(&at.parent) {
                Some(parent) if parent.id != at.id && parent.point != "/" => at = parent,
                _ => return false,
            }
            if at.hangs() && !(at.fstype == "autofs" && child.fills_in(at)) {
                return true;
            }
        }
        true
    }
}

/// The folders that a path is in: `/a` and `/` of `/a/b`.
fn above(path: &str) -> impl Iterator<Item = &str> {
    let ends = path.match_indices('/').map(|(at, _)| at.max(1));
    ends.filter_map(|end| path.get(..end)).filter(move |folder| *folder != path)
}

/// Whether a path is a folder or something in it.
fn within(path: &str, folder: &str) -> bool {
    match path.strip_prefix(folder.trim_end_matches('/')) {
        Some(rest) => rest.is_empty() || rest.starts_with('/'),
        None => false,
    }
}

fn without(options: &str, option: &str) -> String {
    options.split(',').filter(|word| *word != option).collect::<Vec<_>>().join(",")
}

fn has(options: &str, option: &str) -> bool {
    options.split(',').any(|one| one == option)
}

#[cfg(test)]
mod tests;
