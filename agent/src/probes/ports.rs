//! Probe `ports`: listening TCP sockets and unconnected UDP sockets with their owners.
//!
//! Knows the tables of the kernel's network namespace (proc_net_tcp(5); linux
//! Documentation/networking/proc_net_tcp.rst): addresses are 32-bit words in the byte order of the machine,
//! ports in hexadecimal. Owners are found by the inode that a descriptor's link names. Does not know other
//! namespaces' sockets, or which interface a socket is bound to.

use super::{Every, Found, Os, Probe};
use crate::source::{Miss, Source, Table};
use shared::checkin::{Problem, Why};
use shared::hardware::Port;
use shared::limit::FILE_BYTES;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The probe.
pub const PROBE: Probe = Probe {
    name: "ports",
    os: &[Os::Linux],
    every: Every::CheckIn,
    needs: "the owners of sockets of other users",
    mark: Some(mark),
    run,
};

/// Descriptors of one process that are looked at, the lowest first, which is where listening sockets are: a program
/// opens them before it serves anybody. For each process and not in total, so that what one process has open says
/// nothing of another's sockets and the next look gives the same answer.
const DESCRIPTORS_MAX: usize = 4096;

/// The tables, with the state that counts in each: TCP_LISTEN, and TCP_CLOSE, which for UDP is "unconnected"
/// (include/net/tcp_states.h).
pub const TABLES: &[(&str, &str, u8)] = &[
    ("/proc/net/tcp", "tcp", 0x0a),
    ("/proc/net/tcp6", "tcp", 0x0a),
    ("/proc/net/udp", "udp", 0x07),
    ("/proc/net/udp6", "udp", 0x07),
];

/// One socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Socket {
    /// Address it is bound to.
    pub address: IpAddr,
    /// Port.
    pub port: u16,
    /// The user it was made by.
    pub uid: u32,
    /// Its inode; 0 for sockets of the kernel.
    pub inode: u64,
}

/// The sockets as sock_diag(7) tells them, and which tape tells of their owners. To make the tables in `/proc`, the kernel
/// looks through every bucket that a connection could be in, which takes it milliseconds; here it looks at what listens.
/// Where no tape tells of the owners they may change without a sign.
fn mark(source: &dyn Source) -> Option<String> {
    let told = source.told_version().filter(|_| source.is_whole())?;
    let dump = source.netlink(Table::Sockets).ok()?;
    let mut sockets = parse_diag(&dump)?;
    sockets.sort_unstable();
    let mut hasher = DefaultHasher::new();
    sockets.hash(&mut hasher);
    Some(format!("{} {:x} {}", sockets.len(), hasher.finish(), told))
}

/// Family and state, addresses and ports, user and inode of each `struct inet_diag_msg` (linux/inet_diag.h) in a dump.
/// Timers and queues move all the time and are left out. Nothing if a message is too short.
fn parse_diag(mut dump: &[u8]) -> Option<Vec<[&[u8]; 3]>> {
    const HEADER_BYTES: usize = 16;
    let mut all = Vec::new();
    while let Some(length) = dump.first_chunk::<4>() {
        let length = usize::try_from(u32::from_ne_bytes(*length)).ok().filter(|length| *length > HEADER_BYTES)?;
        let body = dump.get(HEADER_BYTES..length)?;
        all.push([body.get(..2)?, body.get(4..52)?, body.get(64..72)?]);
        dump = dump.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(all)
}

fn run(source: &dyn Source) -> Result<Found, Problem> {
    let mut found = Found::default();
    let mut sockets: Vec<(&str, Socket)> = Vec::new();
    let mut tables = 0;
    for (path, protocol, state) in TABLES {
        match source.file(path) {
            Ok(bytes) => {
                let (listening, malformed) = parse(&bytes, *state);
                tables += 1;
                if *protocol == "tcp" && is_cut(&bytes, *state) {
                    let detail = format!("more listening sockets than are read: {} bytes", bytes.len());
                    found.problems.push(Problem::new(Why::Failed, *path).detail(detail));
                }
                sockets.extend(listening.into_iter().map(|socket| (*protocol, socket)));
                if malformed > 0 {
                    let detail = format!("lines that are no sockets: {malformed}");
                    found.problems.push(Problem::new(Why::Malformed, *path).detail(detail));
                }
            }
            // Without IPv6 there are no tables of it.
            Err(Miss::Absent) => {}
            // Half of the ports would look as if the other half had been closed.
            Err(miss) => return Err(miss.problem(*path)),
        }
    }
    if tables == 0 {
        return Err(Miss::Absent.problem("/proc/net/tcp"));
    }
    let unmapped = unmapped(source);
    let wanted = sockets.iter().map(|(_, socket)| socket.inode).filter(|inode| *inode != 0).collect();
    let (owners, problem) = owners(source, wanted, DESCRIPTORS_MAX);
    found.problems.extend(problem);
    let ports = merge(sockets, &owners).into_iter().map(|(port, pid)| named(source, port, pid));
    found.items =
        ports.map(|port| Port { uid: port.uid.filter(|uid| Some(*uid) != unmapped), ..port }.into()).collect();
    Ok(found)
}

/// The number that stands for every user who has none in our user namespace (user_namespaces(7)); none where all
/// have theirs.
fn unmapped(source: &dyn Source) -> Option<u32> {
    let map = source.text("/proc/self/uid_map").ok()?;
    let whole = map.split_ascii_whitespace().nth(2).is_none_or(|count| count == "4294967295");
    (!whole).then_some(65_534)
}

/// A table as long as is read at most, in which no connection follows the listening sockets, which come first.
fn is_cut(table: &[u8], state: u8) -> bool {
    /// Longer than any line.
    const LINE_BYTES: usize = 512;
    if table.len() + LINE_BYTES < FILE_BYTES {
        return false;
    }
    let last = table.trim_ascii_end().rsplit(|&byte| byte == b'\n').next().unwrap_or_default();
    parse(&[b"head\n", last].concat(), state).0.len() == 1
}

/// The head of a table and its lines in a state: all that this probe needs of it.
pub fn shorten(bytes: &[u8], state: u8) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes);
    let kept = |(at, line): &(usize, &str)| *at == 0 || parse_line(line).is_some_and(|(found, _)| found == state);
    let lines = text.lines().enumerate().filter(kept).map(|(_, line)| format!("{}\n", line.trim_end()));
    lines.collect::<String>().into_bytes()
}

/// Sockets in a state, and how many lines were malformed.
pub fn parse(bytes: &[u8], state: u8) -> (Vec<Socket>, usize) {
    let text = String::from_utf8_lossy(bytes);
    let mut sockets = Vec::new();
    let mut malformed = 0;
    for line in text.lines().skip(1).filter(|line| !line.is_empty()) {
        match parse_line(line) {
            Some((found, socket)) if found == state => sockets.push(socket),
            Some(_) => {}
            None => malformed += 1,
        }
    }
    (sockets, malformed)
}

/// `0: 0100007F:0277 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 12345 …`
fn parse_line(line: &str) -> Option<(u8, Socket)> {
    let mut fields = line.split_ascii_whitespace();
    let (address, port) = fields.nth(1)?.split_once(':')?;
    let state = u8::from_str_radix(fields.nth(1)?, 16).ok()?;
    let uid = fields.nth(3)?.parse().ok()?;
    let inode = fields.nth(1)?.parse().ok()?;
    let port = u16::from_str_radix(port, 16).ok()?;
    Some((state, Socket { address: parse_address(address)?, port, uid, inode }))
}

fn parse_address(digits: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        let digits = digits.get(at * 8..at * 8 + 8)?;
        u32::from_str_radix(digits, 16).ok().map(u32::to_ne_bytes)
    };
    match digits.len() {
        8 => Some(IpAddr::from(Ipv4Addr::from(word(0)?))),
        32 => {
            let mut octets = [0; 16];
            for (at, four) in octets.chunks_exact_mut(4).enumerate() {
                four.copy_from_slice(&word(at)?);
            }
            Some(IpAddr::from(Ipv6Addr::from(octets)))
        }
        _ => None,
    }
}

/// Which process has which socket. Of several that share one, the one with the lowest number, but the
/// service manager (process 1) only where nobody else has it: it holds the sockets of what it starts on
/// demand. The walk ends with the last socket, and in each process after `max`, because it is the dearest thing
/// that a probe does.
fn owners(source: &dyn Source, mut wanted: BTreeSet<u64>, max: usize) -> (BTreeMap<u64, u32>, Option<Problem>) {
    let mut cut = false;
    let mut owners = BTreeMap::new();
    // Where processes of others are hidden, nothing else says that their descriptors may not be read.
    let mut denied = source.user().is_ok_and(|uid| uid != 0);
    let names = source.names("/proc").unwrap_or_default();
    let mut pids: Vec<u32> = names.iter().filter_map(|name| name.parse().ok()).collect();
    pids.sort_unstable_by_key(|pid| (*pid == 1, *pid));
    for pid in pids {
        if wanted.is_empty() {
            break;
        }
        let folder = format!("/proc/{pid}/fd");
        let mut descriptors: Vec<u32> = match source.names(&folder) {
            Ok(names) => names.iter().filter_map(|name| name.parse().ok()).collect(),
            Err(miss) => {
                denied |= miss == Miss::Denied;
                continue;
            }
        };
        descriptors.sort_unstable();
        cut |= descriptors.len() > max;
        for descriptor in descriptors.into_iter().take(max) {
            match source.link(&format!("{folder}/{descriptor}")) {
                Ok(target) => {
                    if let Some(inode) = parse_socket(&target)
                        && wanted.remove(&inode)
                    {
                        owners.insert(inode, pid);
                    }
                }
                Err(miss) => denied |= miss == Miss::Denied,
            }
        }
    }
    let problem = match wanted.len() {
        0 => None,
        unknown if cut => {
            let detail =
                format!("a process has more than {max} descriptors; sockets whose owners are not known: {unknown}");
            Some(Problem::new(Why::Failed, "/proc/*/fd").detail(detail))
        }
        unknown => denied.then(|| {
            let detail = format!("sockets whose owners are not known: {unknown}");
            Problem::new(Why::Denied, "/proc/*/fd of other users").detail(detail)
        }),
    };
    (owners, problem)
}

/// The inode in `socket:[12345]`.
pub fn parse_socket(target: &str) -> Option<u64> {
    target.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// One port for each address, however many sockets share it (SO_REUSEPORT): that of the lowest user and
/// process, so that the next look gives the same answer.
fn merge(sockets: Vec<(&str, Socket)>, owners: &BTreeMap<u64, u32>) -> Vec<(Port, Option<u32>)> {
    let mut ports: BTreeMap<(&str, IpAddr, u16), (u32, u32)> = BTreeMap::new();
    for (protocol, socket) in sockets {
        let owner = (socket.uid, owners.get(&socket.inode).copied().unwrap_or(u32::MAX));
        let port = ports.entry((protocol, socket.address, socket.port)).or_insert(owner);
        *port = owner.min(*port);
    }
    ports
        .into_iter()
        .map(|((protocol, address, port), (uid, pid))| {
            let pid = Some(pid).filter(|pid| *pid != u32::MAX);
            let port = Port {
                protocol: protocol.to_owned(),
                address: address.to_string(),
                port: u32::from(port),
                uid: Some(uid),
                pid,
                ..Port::default()
            };
            (port, pid)
        })
        .collect()
}

fn named(source: &dyn Source, mut port: Port, pid: Option<u32>) -> Port {
    let Some(pid) = pid else { return port };
    port.process = source.text(&format!("/proc/{pid}/comm")).ok().filter(|name| !name.is_empty());
    let executable = source.link(&format!("/proc/{pid}/exe")).ok();
    // The kernel says so when the file was replaced under the running program, as every upgrade does.
    port.executable = executable.map(|path| path.strip_suffix(" (deleted)").unwrap_or(&path).to_owned());
    port
}

#[cfg(test)]
mod tests;
