//! The only door to the machine.
//!
//! A probe asks, a source answers. The live source answers from the running machine, a tape from a
//! recording, an overlay from both; probes cannot tell which. Every answer is
//! held whole and therefore bounded. Commands are a closed list: there is no way to ask for another one.

#[cfg(unix)]
pub mod live;
#[cfg(unix)]
pub mod overlay;
pub mod rooted;
pub mod tape;

use shared::checkin::{Problem, Why};
use shared::unit::At;

/// A question that a probe may ask.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ask {
    /// The bytes of a file.
    File(String),
    /// The names in a folder, sorted.
    Dir(String),
    /// Where a symbolic link points, as it is written.
    Link(String),
    /// What kind of thing a path is, its size, times and owner; a link is followed.
    Stat(String),
    /// Space and inodes of the filesystem mounted at a path.
    Space(String),
    /// A whole table of the kernel's network configuration.
    Netlink(Table),
    /// What a listed command prints.
    Command(Command),
    /// The time now.
    Clock,
    /// Who is asking: the numeric user id.
    User,
}

/// Tables that the kernel dumps over netlink(7); an answer is the concatenation of its messages, headers included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// RTM_GETLINK: interfaces, with their permanent addresses.
    Links,
    /// RTM_GETADDR: addresses.
    Addresses,
    /// RTM_GETROUTE: default routes, the others left out.
    Routes,
    /// SOCK_DIAG_BY_FAMILY (sock_diag(7)): TCP sockets that listen, and unconnected UDP sockets.
    Sockets,
}

/// Every command that an agent can ever run: absolute program, fixed arguments, no shell, C locale.
/// Only where no file tells the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Command {
    /// `systemctl list-units --state=failed --all --plain --no-legend --no-pager`: units of every type that failed,
    /// which only the service manager knows.
    SystemctlUnits,
}

impl Command {
    /// Every command.
    pub const ALL: &[Command] = &[Command::SystemctlUnits];

    /// Program and arguments.
    pub fn argv(self) -> &'static [&'static str] {
        match self {
            // Where `/usr` is merged `/bin` is a link into it; where it is not, systemctl is in `/bin` alone.
            Command::SystemctlUnits => {
                &["/bin/systemctl", "list-units", "--state=failed", "--all", "--plain", "--no-legend", "--no-pager"]
            }
        }
    }

    /// Its name in a tape.
    pub fn name(self) -> &'static str {
        match self {
            Command::SystemctlUnits => "systemctl-units",
        }
    }
}

/// What a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// `f`ile, `d`irectory, `b`lock, `c`haracter device, `s`ocket, `p`ipe, or `?`.
    pub form: char,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Last change of its content.
    pub modified: At,
    /// Owner.
    pub uid: u32,
    /// Permission bits.
    pub mode: u32,
    /// The device it is on, major and minor.
    pub device: (u32, u32),
    /// The inode.
    pub inode: u64,
}

/// Space of a filesystem (statvfs).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// All of it, in bytes.
    pub total_bytes: u64,
    /// Free, root's reserve included, in bytes.
    pub free_bytes: u64,
    /// Free for everybody, in bytes.
    pub available_bytes: u64,
    /// Inodes; 0 where the filesystem has no fixed number of them.
    pub inodes: u64,
    /// Free inodes.
    pub inodes_free: u64,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To `File`, `Netlink`, `Command`.
    Bytes(Vec<u8>),
    /// To `Dir`.
    Names(Vec<String>),
    /// To `Link`.
    Target(String),
    /// To `Stat`.
    Stat(Stat),
    /// To `Space`.
    Space(Space),
    /// To `Clock`.
    Clock(At),
    /// To `User`.
    User(u32),
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Miss {
    /// It is not there.
    Absent,
    /// It is there and may not be read.
    Denied,
    /// Reading it broke, took too long or was too large; says which.
    Failed(String),
}

impl Miss {
    /// The problem to report for a miss of `what`.
    pub fn problem(&self, what: impl Into<String>) -> Problem {
        match self {
            Miss::Absent => Problem::new(Why::Absent, what),
            Miss::Denied => Problem::new(Why::Denied, what),
            Miss::Failed(detail) => Problem::new(Why::Failed, what).detail(detail.clone()),
        }
    }
}

/// Something that answers. `Box<dyn Source>` everywhere; a source is cheap to ask and has no order.
pub trait Source {
    /// Answers one question.
    ///
    /// # Errors
    /// A [`Miss`] says why there is no answer; that is data, and most probes go on without.
    fn get(&self, ask: &Ask) -> Result<Answer, Miss>;

    /// A look is over: what is kept in memory for it alone may go.
    fn rest(&self) {}

    /// The next look is for a report: what was kept from looks before counts no more.
    fn renew(&self) {}

    /// Whether it tells all that it ever could. One that is not whole may become so: a look at everything is then due.
    fn is_whole(&self) -> bool {
        true
    }

    /// Another one once what is told beside the machine's own answers has changed; `None` where nothing is told.
    fn told_version(&self) -> Option<String> {
        None
    }
}

/// The questions by name, so that a probe reads `source.text("/etc/os-release")`.
impl dyn Source + '_ {
    /// A file's bytes.
    ///
    /// # Errors
    /// As [`Source::get`], as for all questions here.
    pub fn file(&self, path: &str) -> Result<Vec<u8>, Miss> {
        match self.get(&Ask::File(path.to_owned()))? {
            Answer::Bytes(bytes) => Ok(bytes),
            other => Err(odd(&other)),
        }
    }

    /// A file as text; bytes that are no UTF-8 become U+FFFD, and the end's white space is cut.
    pub fn text(&self, path: &str) -> Result<String, Miss> {
        self.file(path).map(|bytes| String::from_utf8_lossy(&bytes).trim_end().to_owned())
    }

    /// The names in a folder, sorted.
    pub fn names(&self, path: &str) -> Result<Vec<String>, Miss> {
        match self.get(&Ask::Dir(path.to_owned()))? {
            Answer::Names(names) => Ok(names),
            other => Err(odd(&other)),
        }
    }

    /// Where a link points.
    pub fn link(&self, path: &str) -> Result<String, Miss> {
        match self.get(&Ask::Link(path.to_owned()))? {
            Answer::Target(target) => Ok(target),
            other => Err(odd(&other)),
        }
    }

    /// What a path is.
    pub fn stat(&self, path: &str) -> Result<Stat, Miss> {
        match self.get(&Ask::Stat(path.to_owned()))? {
            Answer::Stat(stat) => Ok(stat),
            other => Err(odd(&other)),
        }
    }

    /// Space of a filesystem.
    pub fn space(&self, path: &str) -> Result<Space, Miss> {
        match self.get(&Ask::Space(path.to_owned()))? {
            Answer::Space(space) => Ok(space),
            other => Err(odd(&other)),
        }
    }

    /// A table of the kernel's network configuration.
    pub fn netlink(&self, table: Table) -> Result<Vec<u8>, Miss> {
        match self.get(&Ask::Netlink(table))? {
            Answer::Bytes(bytes) => Ok(bytes),
            other => Err(odd(&other)),
        }
    }

    /// What a command prints.
    pub fn command(&self, command: Command) -> Result<Vec<u8>, Miss> {
        match self.get(&Ask::Command(command))? {
            Answer::Bytes(bytes) => Ok(bytes),
            other => Err(odd(&other)),
        }
    }

    /// The time now.
    pub fn clock(&self) -> Result<At, Miss> {
        match self.get(&Ask::Clock)? {
            Answer::Clock(at) => Ok(at),
            other => Err(odd(&other)),
        }
    }

    /// The numeric user id of who asks.
    pub fn user(&self) -> Result<u32, Miss> {
        match self.get(&Ask::User)? {
            Answer::User(uid) => Ok(uid),
            other => Err(odd(&other)),
        }
    }
}

fn odd(answer: &Answer) -> Miss {
    Miss::Failed(format!(
        "an answer of another form: {}",
        match answer {
            Answer::Bytes(_) => "bytes",
            Answer::Names(_) => "names",
            Answer::Target(_) => "a target",
            Answer::Stat(_) => "a stat",
            Answer::Space(_) => "space",
            Answer::Clock(_) => "a time",
            Answer::User(_) => "a user",
        }
    ))
}
