//! The live source: answers from the machine this runs on.
//!
//! Knows system calls and bounds. Does not know what a path means, but for the few files that may be larger
//! than others. It never blocks on what lies at a path: a pipe or a device is refused by
//! its form, never read, and a large file by its size; root does not follow other users' links. Here and in its two parts is the only place in the agent that reads files or starts
//! a program, besides the agent's own state.

mod command;
mod mounts;
#[cfg(target_os = "linux")]
mod netlink;

pub use mounts::Mounts;

use super::{Answer, Ask, Miss, Source, Space, Stat, Table};
use rustix::buffer::spare_capacity;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use shared::limit::{DATABASE_BYTES, FILE_BYTES};
use shared::unit::At;

/// Names in one folder; `/proc` of a busy server has some ten thousand.
const DIR_NAMES: usize = 131_072;
/// What a first read asks for; procfs files are rarely longer.
const READ_BYTES: usize = 4096;
/// What a value in sysfs says of its size, whatever it holds.
const SYSFS_BYTES: usize = 4096;
/// Files of which only the first [`FILE_BYTES`] are read, to the end of a line. The kernel lists the listening sockets
/// first (linux Documentation/networking/proc_net_tcp.rst); of a busy machine's million connections nobody asks.
const HEADS: &[&str] = &["/proc/net/tcp", "/proc/net/tcp6", "/proc/1/net/tcp", "/proc/1/net/tcp6"];
/// Files that may be as long as [`DATABASE_BYTES`]: package databases, the UDP sockets of a machine that has more than
/// some seven thousand, the processors of one that has more than some seven hundred, and the mounts of
/// one with more than some hundred containers, each of which lists the folders of its layers.
const DATABASES: &[&str] = &[
    "/proc/1/mountinfo",
    "/proc/1/net/udp",
    "/proc/1/net/udp6",
    "/proc/cpuinfo",
    "/var/lib/dpkg/status",
    "/var/lib/apt/extended_states",
    "/proc/net/udp",
    "/proc/net/udp6",
    "/proc/self/mountinfo",
];

/// The machine this runs on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Live;

impl Source for Live {
    fn get(&self, ask: &Ask) -> Result<Answer, Miss> {
        match ask {
            Ask::File(path) if HEADS.contains(&path.as_str()) => head(path, FILE_BYTES).map(Answer::Bytes),
            Ask::File(path) => file(absolute(path)?, limit_of(path)).map(Answer::Bytes),
            Ask::Dir(path) => names(absolute(path)?).map(Answer::Names),
            Ask::Link(path) => link(absolute(path)?).map(Answer::Target),
            Ask::Stat(path) => stat(absolute(path)?).map(Answer::Stat),
            Ask::Space(path) => space(absolute(path)?).map(Answer::Space),
            Ask::Netlink(table) => netlink(*table).map(Answer::Bytes),
            Ask::Command(command) => command::output(*command).map(Answer::Bytes),
            Ask::Clock => Ok(Answer::Clock(clock())),
            Ask::User => Ok(Answer::User(rustix::process::geteuid().as_raw())),
        }
    }
}

/// An answer must not hang on the folder that the agent was started in.
fn absolute(path: &str) -> Result<&str, Miss> {
    if path.starts_with('/') { Ok(path) } else { Err(Miss::Failed("the path is not absolute".to_owned())) }
}

fn limit_of(path: &str) -> usize {
    if DATABASES.contains(&path) { DATABASE_BYTES } else { FILE_BYTES }
}

/// What an errno means to a probe. A device that went away between two questions is as absent as one that
/// never was.
fn miss(errno: Errno) -> Miss {
    match errno {
        Errno::NOENT | Errno::NOTDIR | Errno::NODEV | Errno::NXIO => Miss::Absent,
        Errno::ACCESS | Errno::PERM => Miss::Denied,
        other => Miss::Failed(other.to_string()),
    }
}

/// Tries again what a signal interrupted.
fn again<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Miss> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            other => return other.map_err(miss),
        }
    }
}

/// Root is not led anywhere by another user's link: only those of root's are followed. Everybody else may read what it
/// may read.
fn open(path: &str, flags: OFlags) -> Result<OwnedFd, Miss> {
    // NONBLOCK: opening a pipe without a writer returns at once.
    let flags = flags | OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let open = |flags| loop {
        match rustix::fs::openat(CWD, path, flags, Mode::empty()) {
            Err(Errno::INTR) => {}
            other => return other,
        }
    };
    if !rustix::process::geteuid().is_root() {
        return open(flags).map_err(miss);
    }
    match open(flags | OFlags::NOFOLLOW) {
        // A folder that is asked for is, where it is a link, "no folder".
        Err(Errno::LOOP | Errno::NOTDIR) => match again(|| rustix::fs::lstat(path))? {
            link if FileType::from_raw_mode(link.st_mode) == FileType::Symlink && link.st_uid != 0 => {
                Err(Miss::Failed(format!("it is a link that user {} made", link.st_uid)))
            }
            _ => open(flags).map_err(miss),
        },
        other => other.map_err(miss),
    }
}

fn file(path: &str, limit_bytes: usize) -> Result<Vec<u8>, Miss> {
    let fd = open(path, OFlags::empty())?;
    let stat = again(|| rustix::fs::fstat(&fd))?;
    let form = FileType::from_raw_mode(stat.st_mode);
    if form != FileType::RegularFile {
        return Err(Miss::Failed(format!("it is no regular file but {}", form_name(form))));
    }
    let size = usize::try_from(stat.st_size).unwrap_or(usize::MAX);
    if size > limit_bytes {
        return Err(too_large(limit_bytes));
    }
    read_all(fd.as_fd(), size, limit_bytes)
}

/// The whole lines among the first bytes of a file of the kernel's.
fn head(path: &str, limit_bytes: usize) -> Result<Vec<u8>, Miss> {
    let fd = open(path, OFlags::empty())?;
    let mut bytes: Vec<u8> = Vec::with_capacity(READ_BYTES);
    while bytes.len() < limit_bytes {
        if again(|| rustix::io::read(&fd, spare_capacity(&mut bytes)))? == 0 {
            return Ok(bytes);
        }
        bytes.reserve(READ_BYTES);
    }
    bytes.truncate(limit_bytes);
    let lines = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
    bytes.truncate(lines);
    Ok(bytes)
}

/// Reads to the end. `said_bytes` is what the file says of its size: nothing in procfs, a page in sysfs.
fn read_all(fd: BorrowedFd<'_>, said_bytes: usize, limit_bytes: usize) -> Result<Vec<u8>, Miss> {
    // One byte more than expected, so that the end shows without growing.
    let mut bytes: Vec<u8> = Vec::with_capacity(said_bytes.max(READ_BYTES) + 1);
    loop {
        let read = again(|| rustix::io::read(fd, spare_capacity(&mut bytes)))?;
        if bytes.len() > limit_bytes {
            return Err(too_large(limit_bytes));
        }
        // A file that knows its size ends there, and sysfs gives all of a value at once: no need to ask twice.
        let ended = said_bytes > 0 && (bytes.len() == said_bytes || said_bytes == SYSFS_BYTES);
        if read == 0 || ended && bytes.len() <= said_bytes {
            return Ok(bytes);
        }
        if bytes.len() == bytes.capacity() {
            bytes.reserve(READ_BYTES);
        }
    }
}

fn too_large(limit_bytes: usize) -> Miss {
    Miss::Failed(format!("it is larger than the limit of {limit_bytes} bytes"))
}

fn names(path: &str) -> Result<Vec<String>, Miss> {
    let fd = open(path, OFlags::DIRECTORY)?;
    let dir = rustix::fs::Dir::new(fd).map_err(miss)?;
    let mut names = Vec::new();
    for entry in dir {
        let entry = entry.map_err(miss)?;
        // A name that is no UTF-8 could not be asked for again; none of the kernel's or of a package manager is.
        if let Ok(name) = entry.file_name().to_str()
            && name != "."
            && name != ".."
        {
            names.push(name.to_owned());
        }
        if names.len() > DIR_NAMES {
            return Err(Miss::Failed(format!("it holds more than the limit of {DIR_NAMES} names")));
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn link(path: &str) -> Result<String, Miss> {
    match rustix::fs::readlink(path, Vec::new()) {
        Ok(target) => Ok(target.to_string_lossy().into_owned()),
        Err(Errno::INVAL) => Err(Miss::Failed("it is no symbolic link".to_owned())),
        Err(errno) => Err(miss(errno)),
    }
}

fn form_name(form: FileType) -> &'static str {
    match form {
        FileType::RegularFile => "a file",
        FileType::Directory => "a folder",
        FileType::BlockDevice => "a block device",
        FileType::CharacterDevice => "a character device",
        FileType::Socket => "a socket",
        FileType::Fifo => "a pipe",
        _ => "something else",
    }
}

fn stat(path: &str) -> Result<Stat, Miss> {
    let stat = again(|| rustix::fs::stat(path))?;
    let form = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => 'f',
        FileType::Directory => 'd',
        FileType::BlockDevice => 'b',
        FileType::CharacterDevice => 'c',
        FileType::Socket => 's',
        FileType::Fifo => 'p',
        _ => '?',
    };
    Ok(Stat {
        form,
        size_bytes: u64::try_from(stat.st_size).unwrap_or(0),
        modified: at(stat.st_mtime, i64::try_from(stat.st_mtime_nsec).unwrap_or(0)),
        uid: stat.st_uid,
        mode: stat.st_mode & 0o7777,
        device: (rustix::fs::major(stat.st_dev), rustix::fs::minor(stat.st_dev)),
        inode: stat.st_ino,
    })
}

fn space(path: &str) -> Result<Space, Miss> {
    let space = again(|| rustix::fs::statvfs(path))?;
    // Counts are in fragments; f_bsize is only what I/O prefers.
    let bytes = |fragments: u64| fragments.saturating_mul(space.f_frsize);
    Ok(Space {
        total_bytes: bytes(space.f_blocks),
        free_bytes: bytes(space.f_bfree),
        available_bytes: bytes(space.f_bavail),
        inodes: space.f_files,
        inodes_free: space.f_ffree,
    })
}

#[cfg(target_os = "linux")]
fn netlink(table: Table) -> Result<Vec<u8>, Miss> {
    netlink::dump(table)
}

#[cfg(not(target_os = "linux"))]
fn netlink(_table: Table) -> Result<Vec<u8>, Miss> {
    Err(Miss::Absent)
}

fn clock() -> At {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    at(now.tv_sec, now.tv_nsec)
}

fn at(seconds: i64, nanoseconds: i64) -> At {
    At(At::from_secs(seconds).0.saturating_add(nanoseconds / 1000))
}

#[cfg(test)]
mod tests;
