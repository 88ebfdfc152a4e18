//! Probe `network`: network interfaces, their addresses and the default gateways.
//!
//! Knows rtnetlink's tables and what sysfs adds: bus, driver, speed. Which addresses are worth as evidence of
//! identity is not decided here; hence the permanent MAC stands beside the one in use. Temporary IPv6
//! addresses (RFC 8981) are left out: they are made to change.
//!
//! Left out as well is what container engines and hypervisors make and unmake all day ([`is_ephemeral`]): the near
//! ends of containers' and virtual machines' cables, and bridges that an engine names by a random id. Bridges with
//! a name of their own (`docker0`, `virbr0`, `br0`) are told, as not physical; whether one is up, its owner says
//! and not its ports, because it loses its carrier with the last container.

use super::{Every, Found, Os, Probe, container, rtnetlink};
use crate::source::{Source, Table};
use rtnetlink::{Address, Dump, Gateway, Link};
use shared::checkin::{Problem, Why};
use shared::fact::Item;
use shared::hardware::Interface;
use std::collections::{BTreeMap, BTreeSet};

/// The probe.
pub const PROBE: Probe = Probe { name: "network", os: &[Os::Linux], every: Every::CheckIn, needs: "", mark: None, run };

/// Addresses of one interface that are told at most, and gateways.
const ADDRESSES_MAX: usize = 256;

const DIR: &str = "/sys/class/net";

// netdevice(7)
const IFF_UP: u32 = 1;
const IFF_LOWER_UP: u32 = 1 << 16;
// linux/if_arp.h
const ARPHRD_ETHER: u16 = 1;
const ARPHRD_INFINIBAND: u16 = 32;
const ARPHRD_PPP: u16 = 512;
const ARPHRD_RAWIP: u16 = 519;
const ARPHRD_LOOPBACK: u16 = 772;
const ARPHRD_NONE: u16 = 0xfffe;

fn run(source: &dyn Source) -> Result<Found, Problem> {
    let mut problems = Vec::new();
    let links = source.netlink(Table::Links).map_err(|miss| miss.problem("rtnetlink links"))?;
    let links = kept(rtnetlink::parse_links(&links), "rtnetlink links", &mut problems);
    let addresses = ask(source, Table::Addresses, "rtnetlink addresses", rtnetlink::parse_addresses, &mut problems)?;
    // Interfaces and their addresses identify the machine, and are there without their gateways.
    let gateways = ask(source, Table::Routes, "rtnetlink routes", rtnetlink::parse_gateways, &mut problems);
    let gateways = gateways.map_err(|problem| problems.push(problem)).ok();
    let names: BTreeMap<u32, &str> = links.iter().map(|link| (link.index, link.name.as_str())).collect();
    let inside = container::detect(source).is_some();
    let mut interfaces = Vec::new();
    for link in links.iter().filter(|link| !is_ephemeral(link, inside)) {
        let mut interface = describe(link, &addresses, gateways.as_deref().unwrap_or_default());
        interface.gateways_unknown = gateways.is_none();
        let named = |index: Option<u32>| index.and_then(|index| names.get(&index)).map(|name| (*name).to_owned());
        interface.master = named(link.master);
        // A cable's other end is not below it.
        interface.parent = named(link.parent).filter(|_| link.kind.as_deref() != Some("veth"));
        add_sysfs(source, link, &mut interface);
        interfaces.push(interface);
    }
    Ok(Found { items: into_items(interfaces), problems })
}

/// What comes and goes with containers and virtual machines, so that it says nothing lasting of this machine:
///
/// - a `veth` (one end of a virtual cable), on a host always: it is the host's end of a container's interface.
///   `inside` a container its own interface is one too; there only those in a bridge are left out;
/// - a `tun` in a bridge: the host's end of a virtual machine's interface (libvirt's `vnet3`);
/// - a bridge named `br-` and twelve hexadecimal digits: Docker makes one for each network of a project.
fn is_ephemeral(link: &Link, inside: bool) -> bool {
    let port = link.master.is_some();
    match link.kind.as_deref() {
        Some("veth") => port || !inside,
        Some("tun") => port,
        Some("bridge") => link.name.strip_prefix("br-").is_some_and(|id| {
            id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        }),
        _ => false,
    }
}

/// A table that could not be had must not look like one that is empty.
fn ask<T>(
    source: &dyn Source,
    table: Table,
    name: &str,
    parse: fn(&[u8]) -> Dump<T>,
    problems: &mut Vec<Problem>,
) -> Result<Vec<T>, Problem> {
    let bytes = source.netlink(table).map_err(|miss| miss.problem(name))?;
    Ok(kept(parse(&bytes), name, problems))
}

fn kept<T>(dump: Dump<T>, name: &str, problems: &mut Vec<Problem>) -> Vec<T> {
    if dump.malformed {
        problems.push(Problem::new(Why::Malformed, name).detail("a message was cut short"));
    }
    dump.rows
}

/// Physical ones first: of two that share a permanent MAC (a port and the parts it was split into) the first
/// by name has it as its key, the other its name.
fn into_items(mut interfaces: Vec<Interface>) -> Vec<Item> {
    interfaces.sort_by(|a, b| (!a.physical, &a.name).cmp(&(!b.physical, &b.name)));
    let mut keys = BTreeSet::new();
    let mut items = Vec::new();
    for interface in interfaces {
        let name = interface.name.clone();
        let mut item = Item::from(interface);
        if keys.contains(&item.key) {
            item.key = name;
        }
        if keys.insert(item.key.clone()) {
            items.push(item);
        }
    }
    items
}

/// `aa:bb:…`; none for what is no hardware address: all zeros, or a tunnel's end.
fn mac(bytes: &[u8], hardware: u16) -> Option<String> {
    let is_hardware =
        matches!(hardware, ARPHRD_ETHER | ARPHRD_INFINIBAND | 801..=803) && matches!(bytes.len(), 6 | 8 | 20);
    let text = || bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":");
    (is_hardware && bytes.iter().any(|&byte| byte != 0)).then(text)
}

/// What the kernel's tables say.
fn describe(link: &Link, addresses: &[Address], gateways: &[Gateway]) -> Interface {
    let mut own: Vec<&Address> =
        addresses.iter().filter(|address| address.index == link.index && !address.temporary).collect();
    // The kernel's order tells which IPv4 address is the first; IPv6 ones are listed the newest first.
    own.sort_by_key(|address| (address.ip.is_ipv6(), address.ip.is_ipv6().then_some(address.ip)));
    let mut through: Vec<&Gateway> = gateways.iter().filter(|gateway| gateway.index == link.index).collect();
    through.sort_by_key(|gateway| (gateway.metric, gateway.ip));
    let mut reached: Vec<String> = Vec::new();
    for gateway in through.into_iter().take(ADDRESSES_MAX) {
        let text = gateway.ip.to_string();
        if !reached.contains(&text) {
            reached.push(text);
        }
    }
    Interface {
        name: link.name.clone(),
        form: form(link),
        mac: mac(&link.address, link.hardware),
        permanent_mac: mac(&link.permanent, link.hardware),
        addresses: own.iter().take(ADDRESSES_MAX).map(|address| format!("{}/{}", address.ip, address.prefix)).collect(),
        mtu: link.mtu,
        up: link.flags & IFF_UP != 0 && (link.flags & IFF_LOWER_UP != 0 || link.kind.as_deref() == Some("bridge")),
        gateways: reached,
        vlan: link.vlan.map(u32::from),
        bond_mode: link.bond_mode.and_then(|mode| BOND_MODES.get(usize::from(mode))).map(|mode| (*mode).to_owned()),
        ..Interface::default()
    }
}

/// Modes of a bond by their numbers (linux Documentation/networking/bonding.rst).
const BOND_MODES: &[&str] =
    &["balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb", "balance-alb"];

/// Kinds of software interfaces that carry packets in packets.
const TUNNELS: &[&str] = &[
    "amt",
    "erspan",
    "geneve",
    "gre",
    "gretap",
    "gtp",
    "ip6erspan",
    "ip6gre",
    "ip6gretap",
    "ip6tnl",
    "ipip",
    "l2tp_eth",
    "ovpn",
    "ovpn-dco",
    "sit",
    "tun",
    "vti",
    "vti6",
    "vxlan",
    "wireguard",
    "xfrm",
];

fn form(link: &Link) -> String {
    let form = match (link.kind.as_deref(), link.hardware) {
        (Some(kind), _) if TUNNELS.contains(&kind) => "tunnel",
        // `ifb`, `macvlan`, `team` … : the kernel's words are the usual ones.
        (Some(kind), _) if !kind.is_empty() => kind,
        (_, ARPHRD_LOOPBACK) => "loopback",
        (_, ARPHRD_ETHER) => "ethernet",
        (_, ARPHRD_INFINIBAND) => "infiniband",
        (_, ARPHRD_PPP) => "ppp",
        (_, ARPHRD_RAWIP) => "wwan",
        (_, 801..=803) => "wifi",
        (_, ARPHRD_NONE | 768 | 769 | 776 | 778 | 823) => "tunnel",
        _ => "other",
    };
    form.to_owned()
}

/// What sysfs adds: whether its address will last, whether a device is behind it, which, and how fast the link is.
fn add_sysfs(source: &dyn Source, link: &Link, interface: &mut Interface) {
    // Names come from the kernel, but may hold anything except a slash.
    if link.name == "." || link.name == ".." || link.name.contains('/') {
        return;
    }
    let at = |file: &str| format!("{DIR}/{}/{file}", link.name);
    if link.kind.is_none() && link.hardware == ARPHRD_ETHER {
        let uevent = source.text(&at("uevent")).unwrap_or_default();
        match variable(&uevent, "DEVTYPE") {
            Some("wlan") => interface.form = "wifi".to_owned(),
            Some(form @ ("bridge" | "bond" | "vlan" | "wwan")) => interface.form = form.to_owned(),
            _ => {}
        }
    }
    interface.physical = source.link(&at("device")).is_ok();
    // NET_ADDR_RANDOM (linux/netdevice.h): the kernel made the address up, and makes up another next time.
    if !interface.physical && interface.mac.is_some() && source.text(&at("addr_assign_type")).as_deref() == Ok("1") {
        interface.mac = None;
    }
    if interface.physical {
        let last = |target: String| target.rsplit('/').next().map(str::to_owned).filter(|name| !name.is_empty());
        interface.bus = source.link(&at("device/subsystem")).ok().and_then(last);
        let uevent = source.text(&at("device/uevent")).unwrap_or_default();
        interface.driver = variable(&uevent, "DRIVER").map(str::to_owned);
        interface.driver = interface.driver.take().or_else(|| source.link(&at("device/driver")).ok().and_then(last));
        interface.device_id = device_id(&uevent);
        let known = interface.permanent_mac.take();
        interface.permanent_mac = known.or_else(|| permanent_mac(source, link, interface));
    }
    if interface.up && (interface.physical || matches!(interface.form.as_str(), "bond" | "team")) {
        // Down, or told by no driver: an error, -1, or -1 as an unsigned number.
        let speed = source.text(&at("speed")).ok().and_then(|speed| speed.parse::<u32>().ok());
        interface.speed_mbps = speed.filter(|speed| (1..=10_000_000).contains(speed));
        let duplex = source.text(&at("duplex")).ok();
        interface.duplex = duplex.filter(|duplex| matches!(duplex.as_str(), "full" | "half"));
    }
}

/// The MAC that a device was made with, where the kernel is too old to say it (IFLA_PERM_ADDRESS, 5.6): the one in
/// use, if NET_ADDR_PERM says that nobody set another, else what the bond keeps that set it.
fn permanent_mac(source: &dyn Source, link: &Link, interface: &Interface) -> Option<String> {
    if source.text(&format!("{DIR}/{}/addr_assign_type", link.name)).as_deref() == Ok("0") {
        return interface.mac.clone();
    }
    let master = interface.master.as_deref().filter(|name| *name != "." && *name != ".." && !name.contains('/'))?;
    parse_bond(&source.text(&format!("/proc/net/bonding/{master}")).ok()?, &link.name)
}

/// `Slave Interface: eth0`, then of this one `Permanent HW addr: 00:11:22:33:44:55`.
fn parse_bond(text: &str, name: &str) -> Option<String> {
    let port = text.lines().map(str::trim).skip_while(|line| line.strip_prefix("Slave Interface: ") != Some(name));
    let mut port = port.skip(1).take_while(|line| !line.starts_with("Slave Interface:"));
    let bytes = port.find_map(|line| line.strip_prefix("Permanent HW addr: "))?;
    let bytes: Option<Vec<u8>> = bytes.split(':').map(|byte| u8::from_str_radix(byte, 16).ok()).collect();
    mac(&bytes?, ARPHRD_ETHER)
}

fn variable<'a>(uevent: &'a str, name: &str) -> Option<&'a str> {
    uevent.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).filter(|value| !value.is_empty())
}

/// `8086:15f3`, from a PCI device's `PCI_ID=8086:15F3`, a USB one's `PRODUCT=bda/8153/3100`, or a virtio one's
/// `MODALIAS=virtio:d00000001v00001AF4`.
fn device_id(uevent: &str) -> Option<String> {
    let number = |text: &str| u32::from_str_radix(text, 16).ok();
    let (vendor, device) = if let Some(id) = variable(uevent, "PCI_ID") {
        let (vendor, device) = id.split_once(':')?;
        (number(vendor)?, number(device)?)
    } else if let Some(id) = variable(uevent, "MODALIAS").and_then(|alias| alias.strip_prefix("virtio:d")) {
        let (device, vendor) = id.split_once('v')?;
        (number(vendor)?, number(device)?)
    } else {
        let mut parts = variable(uevent, "PRODUCT")?.split('/');
        (number(parts.next()?)?, number(parts.next()?)?)
    };
    Some(format!("{vendor:04x}:{device:04x}"))
}

#[cfg(test)]
mod tests;
