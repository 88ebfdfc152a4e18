//! Dumps of the kernel's network tables by rtnetlink(7) and sock_diag(7): one request, then messages until NLMSG_DONE.
//!
//! Knows the outer frame (`linux/netlink.h`): lengths, sequence, end, errors. What the messages say is for
//! the probe that asked.

use super::{again, miss};
use crate::source::{Miss, Table};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use shared::limit::FILE_BYTES;
use std::time::{Duration, Instant};

/// The kernel makes dump messages of at most 32 KiB (`NLMSG_GOODSIZE` and `max_recvmsg_len`).
const DATAGRAM_BYTES: usize = 64 * 1024;
/// How long the kernel may take for the next datagram.
const TIMEOUT: Duration = Duration::from_secs(2);
/// How long all of one dump may take.
const WHOLE: Duration = Duration::from_secs(5);
/// Messages of one dump that are looked at. A router with all routes of the Internet has four times as many, and the
/// kernel lists the default one of a table first.
const MESSAGES_MAX: usize = 262_144;
/// Dumps that are begun anew because the table changed meanwhile.
const TRIES: u32 = 4;
/// `struct nlmsghdr`.
const HEADER_BYTES: usize = 16;

/// RTM_NEWROUTE; its `struct rtmsg` has the bits of the destination in its second byte.
const NEWROUTE: u16 = 24;
const NLMSG_NOOP: u16 = 1;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_DUMP_INTR: u16 = 0x10;
const NLM_F_DUMP: u16 = 0x300;
const IFLA_EXT_MASK: u16 = 29;
/// `RTEXT_FILTER_SKIP_STATS`: without counters, which are half of an interface's message.
const SKIP_STATS: u32 = 1 << 3;
/// IPPROTO_TCP and the bit of TCP_LISTEN (include/net/tcp_states.h).
const TCP_LISTEN: (u8, u32) = (6, 1 << 10);
/// IPPROTO_UDP and the bit of TCP_CLOSE, which for UDP is "unconnected".
const UDP_UNCONNECTED: (u8, u32) = (17, 1 << 7);

/// One dump as it comes in.
#[derive(Debug, Default)]
struct Dump {
    /// Whole messages, one after the other.
    messages: Vec<u8>,
    /// The table changed meanwhile: something may be there twice or not at all.
    changed: bool,
    /// The end mark came.
    done: bool,
    /// Messages that were looked at, kept or not.
    seen: usize,
}

/// Every message of a table, headers included, without the end mark.
///
/// # Errors
/// As the kernel answers; failed also for a dump above [`FILE_BYTES`], a kernel that is silent, or one that does not
/// come to an end. Of routes what came until then is enough, if a default one is among it.
pub(super) fn dump(table: Table) -> Result<Vec<u8>, Miss> {
    let mut messages = Vec::new();
    for body in bodies(table) {
        messages.extend(dump_part(table, &body)?);
    }
    Ok(messages)
}

fn dump_part(table: Table, body: &[u8]) -> Result<Vec<u8>, Miss> {
    // No protocol is NETLINK_ROUTE.
    let protocol = (table == Table::Sockets).then_some(rustix::net::netlink::SOCK_DIAG);
    // One socket for each: the kernel goes on with a dump that was not read to its end.
    let socket =
        again(|| rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol))?;
    set_socket_timeout(&socket, Timeout::Recv, Some(TIMEOUT)).map_err(miss)?;
    let mut datagram = vec![0; DATAGRAM_BYTES];
    let began = Instant::now();
    for seq in 1..=TRIES {
        // An unconnected socket speaks to port 0, which is the kernel.
        again(|| rustix::net::send(&socket, &request(table, body, seq), SendFlags::empty()))?;
        let mut dump = Dump::default();
        // To its end even if it changed: the kernel runs one dump per socket.
        while !dump.done {
            dump.take(receive(&socket, &mut datagram)?, seq)?;
            if !dump.done && (dump.seen > MESSAGES_MAX || began.elapsed() > WHOLE) {
                return dump.cut(table);
            }
        }
        // A router's table never stands still, and of it only the default routes are taken.
        if !dump.changed || table == Table::Routes {
            return Ok(dump.messages);
        }
    }
    Err(Miss::Failed(format!("the table changed during each of {TRIES} dumps")))
}

fn receive<'a>(socket: &OwnedFd, datagram: &'a mut [u8]) -> Result<&'a [u8], Miss> {
    let (filled, length) = loop {
        match rustix::net::recv(socket, &mut *datagram, RecvFlags::TRUNC) {
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                return Err(Miss::Failed(format!("the kernel is silent for {} s", TIMEOUT.as_secs())));
            }
            other => break other.map_err(miss)?,
        }
    };
    if length > filled {
        return Err(Miss::Failed(format!("a datagram is larger than {DATAGRAM_BYTES} bytes")));
    }
    Ok(datagram.get(..filled).unwrap_or(&[]))
}

/// What is asked, in the order in which it is: the table's struct with its family and else zeros, and filters.
fn bodies(table: Table) -> Vec<Vec<u8>> {
    // The families that are asked for have small numbers.
    let family = |family: AddressFamily| u8::try_from(family.as_raw()).unwrap_or(0);
    let (v4, v6) = (family(AddressFamily::INET), family(AddressFamily::INET6));
    let body = |first: &[u8], bytes: usize| -> Vec<u8> {
        let mut body = first.to_vec();
        body.resize(bytes, 0);
        body
    };
    match table {
        Table::Links => {
            let mut links = body(&[], 16); // struct ifinfomsg
            links.extend(8_u16.to_ne_bytes());
            links.extend(IFLA_EXT_MASK.to_ne_bytes());
            links.extend(SKIP_STATS.to_ne_bytes());
            vec![links]
        }
        Table::Addresses => vec![body(&[], 8)], // struct ifaddrmsg
        // By families: behind a long table of the one, the other's default route would not be reached.
        Table::Routes => vec![body(&[v4], 12), body(&[v6], 12)], // struct rtmsg
        Table::Sockets => {
            let asked = [(v4, TCP_LISTEN), (v6, TCP_LISTEN), (v4, UDP_UNCONNECTED), (v6, UDP_UNCONNECTED)];
            // struct inet_diag_req_v2
            let first = |family, protocol, states: u32| [&[family, protocol, 0, 0], &states.to_ne_bytes()[..]].concat();
            asked.iter().map(|(family, (protocol, states))| body(&first(*family, *protocol, *states), 56)).collect()
        }
    }
}

/// A dump request.
fn request(table: Table, body: &[u8], seq: u32) -> Vec<u8> {
    let kind: u16 = match table {
        Table::Links => 18,     // RTM_GETLINK
        Table::Addresses => 22, // RTM_GETADDR
        Table::Routes => 26,    // RTM_GETROUTE
        Table::Sockets => 20,   // SOCK_DIAG_BY_FAMILY
    };
    let length = u32::try_from(HEADER_BYTES + body.len()).unwrap_or(0);
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend((NLM_F_REQUEST | NLM_F_DUMP).to_ne_bytes());
    bytes.extend(seq.to_ne_bytes());
    bytes.extend([0; 4]);
    bytes.extend(body);
    bytes
}

impl Dump {
    /// Takes the messages of one datagram; those of another dump are left out.
    fn take(&mut self, datagram: &[u8], seq: u32) -> Result<(), Miss> {
        let mut rest = datagram;
        while rest.len() >= HEADER_BYTES && !self.done {
            let length = usize::try_from(u32_at(rest, 0)).unwrap_or(usize::MAX);
            let (kind, flags, of) = (u16_at(rest, 4), u16_at(rest, 6), u32_at(rest, 8));
            let message = match rest.get(..length) {
                Some(message) if length >= HEADER_BYTES => message,
                _ => return Err(Miss::Failed("a message is cut off".to_owned())),
            };
            // Messages are aligned to four bytes; the last one need not be filled up.
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or(&[]);
            if of != seq {
                continue;
            }
            self.seen += 1;
            self.changed |= flags & NLM_F_DUMP_INTR != 0;
            match kind {
                NLMSG_NOOP => {}
                NLMSG_DONE => self.done = true,
                NLMSG_ERROR => {
                    let code = i32::from_ne_bytes(u32_at(message, HEADER_BYTES).to_ne_bytes());
                    return Err(refusal(code));
                }
                // A router has a million routes to elsewhere, whose room the default ones must not want for.
                NEWROUTE if message.get(HEADER_BYTES + 1).is_some_and(|bits| *bits != 0) => {}
                _ => self.push(message)?,
            }
        }
        Ok(())
    }

    /// What there is of a dump that would not end.
    fn cut(self, table: Table) -> Result<Vec<u8>, Miss> {
        if table == Table::Routes && !self.messages.is_empty() {
            return Ok(self.messages);
        }
        let seconds = WHOLE.as_secs();
        Err(Miss::Failed(format!("the table has more than {MESSAGES_MAX} rows, or takes more than {seconds} s")))
    }

    fn push(&mut self, message: &[u8]) -> Result<(), Miss> {
        if self.messages.len() + message.len() > FILE_BYTES {
            return Err(Miss::Failed(format!("the table is larger than the limit of {FILE_BYTES} bytes")));
        }
        self.messages.extend_from_slice(message);
        self.messages.resize(self.messages.len().next_multiple_of(4), 0);
        Ok(())
    }
}

/// The kernel answers with a negated errno, which is below 4096.
fn refusal(code: i32) -> Miss {
    match code {
        -4095..=-1 => miss(Errno::from_raw_os_error(-code)),
        other => Miss::Failed(format!("the kernel refused with {other}")),
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..).and_then(|rest| rest.first_chunk::<2>()).map_or(0, |chunk| u16::from_ne_bytes(*chunk))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|rest| rest.first_chunk::<4>()).map_or(0, |chunk| u32::from_ne_bytes(*chunk))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, flags: u16, seq: u32, body: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(u32::try_from(HEADER_BYTES + body.len()).expect("short").to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend(seq.to_ne_bytes());
        bytes.extend([0; 4]);
        bytes.extend(body);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn the_loopback_interface_is_there() {
        let links = dump(Table::Links).expect("links");
        assert!(links.windows(3).any(|window| window == b"lo\0"), "no lo in {} bytes", links.len());
        assert!(u16_at(&links, 4) == 16, "RTM_NEWLINK first");
        dump(Table::Addresses).expect("addresses");
        dump(Table::Routes).expect("routes");
    }

    #[test]
    fn a_dump_ends_with_done_and_leaves_strangers_out() {
        let mut dump = Dump::default();
        dump.take(&[message(16, 0, 1, b"old!"), message(16, 0, 2, b"new!")].concat(), 2).expect("taken");
        assert!(!dump.done && !dump.changed);
        dump.take(&message(NLMSG_DONE, NLM_F_DUMP_INTR, 2, &[0; 4]), 2).expect("taken");
        assert!(dump.done && dump.changed);
        assert_eq!(dump.messages, message(16, 0, 2, b"new!"));
    }

    #[test]
    fn a_routers_table_does_not_crowd_out_the_default_route() {
        let route = |bits: u8| message(NEWROUTE, 0, 1, &[2, bits, 0, 0, 254, 0, 0, 1, 0, 0, 0, 0]);
        let mut dump = Dump::default();
        let elsewhere = route(24).repeat(1000);
        for _ in 0..=FILE_BYTES / elsewhere.len() {
            dump.take(&elsewhere, 1).expect("taken");
        }
        dump.take(&route(0), 1).expect("taken");
        assert_eq!(dump.messages, route(0));
    }

    #[test]
    fn a_table_without_an_end_is_cut_at_a_bound() {
        let route = |bits: u8| message(NEWROUTE, 0, 1, &[2, bits, 0, 0, 254, 0, 0, 1, 0, 0, 0, 0]);
        let read = |first: u8| {
            let mut dump = Dump::default();
            dump.take(&[route(first), route(24), message(16, 0, 7, b"old!")].concat(), 1).expect("taken");
            assert_eq!(dump.seen, 2);
            dump
        };
        assert_eq!(read(0).cut(Table::Routes), Ok(route(0)));
        assert!(matches!(read(8).cut(Table::Routes), Err(Miss::Failed(_))), "whether there is one is not known");
        assert!(matches!(read(0).cut(Table::Links), Err(Miss::Failed(_))));
    }

    #[test]
    fn the_kernels_errors_keep_their_meaning() {
        let refused = message(NLMSG_ERROR, 0, 1, &(-1_i32).to_ne_bytes());
        assert_eq!(Dump::default().take(&refused, 1), Err(Miss::Denied));
        let strange = message(NLMSG_ERROR, 0, 1, &i32::MIN.to_ne_bytes());
        assert!(matches!(Dump::default().take(&strange, 1), Err(Miss::Failed(_))));
        let mut cut = message(16, 0, 1, b"body");
        cut.truncate(18);
        assert_eq!(Dump::default().take(&cut, 1), Err(Miss::Failed("a message is cut off".to_owned())));
    }
}
