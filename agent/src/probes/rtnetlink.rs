//! Parser of the dumps of rtnetlink(7): interfaces, addresses, default routes.
//!
//! Knows netlink(7)'s framing, RFC 3549's messages and the attributes of `linux/if_link.h`, `if_addr.h` and
//! `rtnetlink.h` that are wanted here. Does not know sockets, nor what an interface is good for. Numbers are in
//! the byte order of the machine that answered, which the first length gives away.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Rows of one dump that are kept at most.
const ROWS_MAX: usize = 16_384;

const RTM_NEWLINK: u16 = 16;
const RTM_NEWADDR: u16 = 20;
const RTM_NEWROUTE: u16 = 24;
const HEADER_BYTES: usize = 16;

/// What a dump holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dump<T> {
    /// What could be read.
    pub rows: Vec<T>,
    /// Something in it is not as it should be; what follows it in its message is lost.
    pub malformed: bool,
}

/// One interface.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Link {
    /// The kernel's number.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// ARPHRD type: 1 Ethernet, 772 loopback …
    pub hardware: u16,
    /// `IFF_` flags of netdevice(7).
    pub flags: u32,
    /// Kind of a software interface: `bridge`, `veth` …
    pub kind: Option<String>,
    /// Link-layer address now.
    pub address: Vec<u8>,
    /// Link-layer address that the hardware was made with; empty where the driver knows none.
    pub permanent: Vec<u8>,
    /// Largest packet in bytes.
    pub mtu: Option<u32>,
    /// The number of the interface it is part of.
    pub master: Option<u32>,
    /// The number of the interface it lies on, in this network namespace: that of a VLAN.
    pub parent: Option<u32>,
    /// The VLAN's number.
    pub vlan: Option<u16>,
    /// The bond's mode: 1 is active-backup.
    pub bond_mode: Option<u8>,
}

/// One address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The interface's number.
    pub index: u32,
    /// The address.
    pub ip: IpAddr,
    /// Bits of its network.
    pub prefix: u8,
    /// Made to be given up soon (RFC 8981).
    pub temporary: bool,
}

/// One gateway of a default route of the main table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gateway {
    /// The number of the interface through which it is reached.
    pub index: u32,
    /// Its address.
    pub ip: IpAddr,
    /// The route's metric; the lowest is used.
    pub metric: u32,
}

/// Reads numbers in the order of the machine that wrote them.
#[derive(Clone, Copy)]
struct Order {
    big: bool,
}

impl Order {
    fn of(bytes: &[u8]) -> Order {
        let first = bytes.first_chunk::<4>().copied().unwrap_or_default();
        let little = usize::try_from(u32::from_le_bytes(first)).unwrap_or(usize::MAX);
        Order { big: !(HEADER_BYTES..=bytes.len()).contains(&little) }
    }

    fn u16(self, bytes: &[u8], at: usize) -> Option<u16> {
        let raw = *bytes.get(at..)?.first_chunk::<2>()?;
        Some(if self.big { u16::from_be_bytes(raw) } else { u16::from_le_bytes(raw) })
    }

    fn u32(self, bytes: &[u8], at: usize) -> Option<u32> {
        let raw = *bytes.get(at..)?.first_chunk::<4>()?;
        Some(if self.big { u32::from_be_bytes(raw) } else { u32::from_le_bytes(raw) })
    }

    /// Attributes: length, type, value, padded to four bytes. `false` at the end if one does not fit.
    fn attributes(self, mut bytes: &[u8], mut each: impl FnMut(u16, &[u8])) -> bool {
        /// The type's upper bits say that it is nested or in network order.
        const TYPE_MASK: u16 = 0x3fff;
        while bytes.len() >= 4 {
            let (Some(length), Some(kind)) = (self.u16(bytes, 0), self.u16(bytes, 2)) else { return false };
            let length = usize::from(length);
            let Some(value) = bytes.get(4..length) else { return false };
            each(kind & TYPE_MASK, value);
            bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        true
    }
}

fn dump<T>(bytes: &[u8], wanted: u16, read: impl Fn(Order, &[u8], &mut Vec<T>) -> Option<bool>) -> Dump<T> {
    let order = Order::of(bytes);
    let mut found = Dump { rows: Vec::new(), malformed: false };
    let mut rest = bytes;
    while !rest.is_empty() && found.rows.len() < ROWS_MAX {
        let length = order.u32(rest, 0).and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
        let (Some(body), Some(kind)) = (rest.get(HEADER_BYTES..length), order.u16(rest, 4)) else {
            found.malformed = true;
            break;
        };
        if kind == wanted && read(order, body, &mut found.rows) != Some(true) {
            found.malformed = true;
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    found
}

fn text(value: &[u8]) -> String {
    let end = value.iter().position(|&byte| byte == 0).unwrap_or(value.len());
    String::from_utf8_lossy(value.get(..end).unwrap_or_default()).into_owned()
}

fn ip(value: &[u8]) -> Option<IpAddr> {
    match value.len() {
        4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(value).ok()?).into()),
        16 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(value).ok()?).into()),
        _ => None,
    }
}

/// A dump of `RTM_GETLINK`.
pub fn parse_links(bytes: &[u8]) -> Dump<Link> {
    const FIXED_BYTES: usize = 16;
    const IFLA_ADDRESS: u16 = 1;
    const IFLA_IFNAME: u16 = 3;
    const IFLA_MTU: u16 = 4;
    const IFLA_LINK: u16 = 5;
    const IFLA_MASTER: u16 = 10;
    const IFLA_LINKINFO: u16 = 18;
    const IFLA_LINK_NETNSID: u16 = 37;
    const IFLA_PERM_ADDRESS: u16 = 54;
    dump(bytes, RTM_NEWLINK, |order, body, rows| {
        let mut link = Link {
            hardware: order.u16(body, 2)?,
            index: order.u32(body, 4)?,
            flags: order.u32(body, 8)?,
            ..Link::default()
        };
        // The number of an interface in another namespace means another one here.
        let mut elsewhere = false;
        let whole = order.attributes(body.get(FIXED_BYTES..)?, |kind, value| match kind {
            IFLA_LINK => link.parent = order.u32(value, 0),
            IFLA_LINK_NETNSID => elsewhere = true,
            IFLA_ADDRESS => link.address = value.to_vec(),
            IFLA_IFNAME => link.name = text(value),
            IFLA_MTU => link.mtu = order.u32(value, 0),
            IFLA_MASTER => link.master = order.u32(value, 0),
            IFLA_PERM_ADDRESS => link.permanent = value.to_vec(),
            IFLA_LINKINFO => read_info(order, value, &mut link),
            _ => {}
        });
        link.parent = link.parent.filter(|parent| !elsewhere && *parent != link.index);
        let named = !link.name.is_empty();
        if named {
            rows.push(link);
        }
        Some(whole && named)
    })
}

/// `IFLA_LINKINFO`: the kind, and after it what this kind says of itself.
fn read_info(order: Order, info: &[u8], link: &mut Link) {
    const IFLA_INFO_KIND: u16 = 1;
    const IFLA_INFO_DATA: u16 = 2;
    const IFLA_VLAN_ID: u16 = 1;
    const IFLA_BOND_MODE: u16 = 1;
    order.attributes(info, |kind, value| match kind {
        IFLA_INFO_KIND => link.kind = Some(text(value)),
        IFLA_INFO_DATA => {
            order.attributes(value, |kind, value| match (link.kind.as_deref(), kind) {
                (Some("vlan"), IFLA_VLAN_ID) => link.vlan = order.u16(value, 0),
                (Some("bond"), IFLA_BOND_MODE) => link.bond_mode = value.first().copied(),
                _ => {}
            });
        }
        _ => {}
    });
}

/// A dump of `RTM_GETADDR`.
pub fn parse_addresses(bytes: &[u8]) -> Dump<Address> {
    const FIXED_BYTES: usize = 8;
    const IFA_ADDRESS: u16 = 1;
    const IFA_LOCAL: u16 = 2;
    const IFA_F_TEMPORARY: u8 = 1;
    const AF_INET6: u8 = 10;
    dump(bytes, RTM_NEWADDR, |order, body, rows| {
        let (family, prefix, flags) = (*body.first()?, *body.get(1)?, *body.get(2)?);
        let index = order.u32(body, 4)?;
        let (mut address, mut local) = (None, None);
        let whole = order.attributes(body.get(FIXED_BYTES..)?, |kind, value| match kind {
            IFA_ADDRESS => address = ip(value),
            // Where a link has two ends, the other attribute is the far one.
            IFA_LOCAL => local = ip(value),
            _ => {}
        });
        if let Some(ip) = local.or(address) {
            // The same bit means `secondary` for IPv4.
            rows.push(Address { index, ip, prefix, temporary: family == AF_INET6 && flags & IFA_F_TEMPORARY != 0 });
        }
        Some(whole)
    })
}

/// The gateways of default routes in a dump of `RTM_GETROUTE`.
pub fn parse_gateways(bytes: &[u8]) -> Dump<Gateway> {
    const FIXED_BYTES: usize = 12;
    const RTA_OIF: u16 = 4;
    const RTA_GATEWAY: u16 = 5;
    const RTA_PRIORITY: u16 = 6;
    const RTA_MULTIPATH: u16 = 9;
    const RTA_TABLE: u16 = 15;
    const RTA_VIA: u16 = 18;
    const RT_TABLE_MAIN: u32 = 254;
    const RTN_UNICAST: u8 = 1;
    dump(bytes, RTM_NEWROUTE, |order, body, rows| {
        let (bits, mut table, kind) = (*body.get(1)?, u32::from(*body.get(4)?), *body.get(7)?);
        let (mut out, mut gateway, mut metric, mut paths) = (None, None, 0, Vec::new());
        let whole = order.attributes(body.get(FIXED_BYTES..)?, |kind, value| match kind {
            RTA_OIF => out = order.u32(value, 0),
            RTA_GATEWAY => gateway = ip(value),
            // Family, then an address of that family: IPv4 through an IPv6 neighbour.
            RTA_VIA => gateway = value.get(2..).and_then(ip),
            RTA_PRIORITY => metric = order.u32(value, 0).unwrap_or(0),
            RTA_TABLE => table = order.u32(value, 0).unwrap_or(table),
            RTA_MULTIPATH => paths = hops(order, value, RTA_GATEWAY, RTA_VIA),
            _ => {}
        });
        if bits == 0 && kind == RTN_UNICAST && table == RT_TABLE_MAIN {
            paths.extend(out.zip(gateway));
            rows.extend(paths.into_iter().map(|(index, ip)| Gateway { index, ip, metric }));
        }
        Some(whole)
    })
}

/// `struct rtnexthop`: length, flags, weight, interface, attributes.
fn hops(order: Order, mut bytes: &[u8], plain: u16, via: u16) -> Vec<(u32, IpAddr)> {
    const FIXED_BYTES: usize = 8;
    let mut found = Vec::new();
    while let (Some(length), Some(index)) = (order.u16(bytes, 0), order.u32(bytes, 4)) {
        let length = usize::from(length);
        let Some(attributes) = bytes.get(FIXED_BYTES..length) else { break };
        order.attributes(attributes, |kind, value| {
            let gateway = if kind == plain { ip(value) } else { value.get(2..).filter(|_| kind == via).and_then(ip) };
            found.extend(gateway.map(|gateway| (index, gateway)));
        });
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = (value.len() as u16 + 4).to_le_bytes().to_vec();
        bytes.extend(kind.to_le_bytes());
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let mut bytes = (body.len() as u32 + 16).to_le_bytes().to_vec();
        bytes.extend(kind.to_le_bytes());
        bytes.resize(16, 0);
        bytes.extend(body);
        bytes
    }

    #[test]
    fn routes_of_several_hops_and_through_other_families() {
        let route = |bits: u8, table: u8, attributes: &[Vec<u8>]| {
            let mut body = vec![2, bits, 0, 0, table, 0, 0, 1, 0, 0, 0, 0];
            body.extend(attributes.concat());
            message(RTM_NEWROUTE, &body)
        };
        let mut hop = vec![16, 0, 0, 0, 7, 0, 0, 0];
        hop.extend(attribute(5, &[192, 0, 2, 9]));
        let mut via = vec![10, 0];
        via.extend(Ipv6Addr::LOCALHOST.octets());
        let bytes = [
            route(0, 254, &[attribute(4, &[3, 0, 0, 0]), attribute(5, &[192, 0, 2, 1]), attribute(6, &[100, 0, 0, 0])]),
            route(24, 254, &[attribute(4, &[3, 0, 0, 0]), attribute(5, &[192, 0, 2, 2])]),
            route(0, 100, &[attribute(4, &[3, 0, 0, 0]), attribute(5, &[192, 0, 2, 3])]),
            route(0, 252, &[attribute(15, &[254, 0, 0, 0]), attribute(9, &hop)]),
            route(0, 254, &[attribute(4, &[4, 0, 0, 0]), attribute(18, &via)]),
        ]
        .concat();
        let found = parse_gateways(&bytes);
        let told: Vec<(u32, String, u32)> =
            found.rows.iter().map(|gateway| (gateway.index, gateway.ip.to_string(), gateway.metric)).collect();
        assert_eq!(
            (told, found.malformed),
            (vec![(3, "192.0.2.1".into(), 100), (7, "192.0.2.9".into(), 0), (4, "::1".into(), 0)], false)
        );
    }

    #[test]
    fn a_vlan_says_where_it_lies_and_a_bond_how_it_shares() {
        let link = |attributes: &[Vec<u8>]| {
            let mut body = vec![0, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            body.extend(attribute(3, b"x\0"));
            body.extend(attributes.concat());
            message(RTM_NEWLINK, &body)
        };
        let info = |kind: &[u8], data: Vec<u8>| attribute(18, &[attribute(1, kind), attribute(2, &data)].concat());
        let on = attribute(5, &[2, 0, 0, 0]);
        let bytes = [
            link(&[on.clone(), info(b"vlan\0", attribute(1, &[100, 0]))]),
            link(&[info(b"bond\0", attribute(1, &[4]))]),
            link(&[on, attribute(37, &[0; 4]), info(b"veth\0", Vec::new())]),
        ]
        .concat();
        let found = parse_links(&bytes).rows;
        let told: Vec<_> = found.iter().map(|link| (link.parent, link.vlan, link.bond_mode)).collect();
        assert_eq!(told, [(Some(2), Some(100), None), (None, None, Some(4)), (None, None, None)]);
    }

    #[test]
    fn big_endian_dumps_are_read_too() {
        let mut body = vec![0, 0, 0, 1, 0, 0, 0, 2, 0, 1, 0, 0x43, 0, 0, 0, 0];
        body.extend([0, 9, 0, 3]);
        body.extend(b"eth0\0\0\0\0");
        let mut bytes = (body.len() as u32 + 16).to_be_bytes().to_vec();
        bytes.extend(16u16.to_be_bytes());
        bytes.resize(16, 0);
        bytes.extend(body);
        let found = parse_links(&bytes);
        let told: Vec<_> =
            found.rows.iter().map(|link| (link.name.as_str(), link.index, link.flags, link.hardware)).collect();
        assert_eq!((told, found.malformed), (vec![("eth0", 2, 0x1_0043, 1)], false));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200), kind in prop_oneof![Just(16u16), Just(20), Just(24)]) {
            for bytes in [bytes.clone(), message(kind, &bytes)] {
                parse_links(&bytes);
                parse_addresses(&bytes);
                parse_gateways(&bytes);
            }
        }
    }
}
