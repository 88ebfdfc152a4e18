//! Addresses and networks: whether one is within the other, and which neighbourhood counts as one source.

use std::net::{IpAddr, Ipv6Addr};

/// Whether an address is within a network such as `192.0.2.0/24`, `2001:db8::/32` or a single address. An
/// IPv4 address that came mapped into IPv6 counts as IPv4. A network that is malformed holds nothing.
pub fn within(address: IpAddr, cidr: &str) -> bool {
    let (network, length) = match cidr.split_once('/') {
        Some((network, length)) => (network, length.parse::<u32>().ok()),
        None => (cidr, Some(128)),
    };
    let (Ok(network), Some(length)) = (network.parse::<IpAddr>(), length) else { return false };
    match (address.to_canonical(), network.to_canonical()) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            let whole = !cidr.contains('/');
            let shift = 32_u32.checked_sub(if whole { 32 } else { length });
            shift.is_some_and(|shift| same_above(address.to_bits().into(), network.to_bits().into(), shift))
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            let shift = 128_u32.checked_sub(length);
            shift.is_some_and(|shift| same_above(address.to_bits(), network.to_bits(), shift))
        }
        _ => false,
    }
}

/// Whether a text is a network or a single address.
pub fn is_network(cidr: &str) -> bool {
    let (network, length) = cidr.split_once('/').map_or((cidr, None), |(network, length)| (network, Some(length)));
    let longest = match network.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    length.is_none_or(|length| length.parse::<u32>().is_ok_and(|length| length <= longest))
}

/// Whether every address of the network `inner` is also in the network `outer`; both of one family.
pub fn is_part(inner: &str, outer: &str) -> bool {
    let length = |cidr: &str, address: IpAddr| match cidr.split_once('/') {
        Some((_, length)) => length.parse::<u32>().ok(),
        None => Some(if address.is_ipv4() { 32 } else { 128 }),
    };
    let base = |cidr: &str| cidr.split('/').next().and_then(|text| text.parse::<IpAddr>().ok());
    let (Some(inner_base), Some(outer_base)) = (base(inner), base(outer)) else { return false };
    let lengths = length(inner, inner_base).zip(length(outer, outer_base));
    let narrower = lengths.is_some_and(|(inner, outer)| inner >= outer);
    narrower && inner_base.is_ipv4() == outer_base.is_ipv4() && is_network(inner) && within(inner_base, outer)
}

fn same_above(left: u128, right: u128, shift: u32) -> bool {
    left.checked_shr(shift).unwrap_or(0) == right.checked_shr(shift).unwrap_or(0)
}

/// The neighbourhood that an address is counted under: its /24, or its /64 for IPv6.
pub fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4((address.to_bits() & 0xFFFF_FF00).into()),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect(text)
    }

    #[test]
    fn an_address_is_within_its_network_only() {
        for (address, cidr, expected) in [
            ("192.0.2.9", "192.0.2.0/24", true),
            ("192.0.3.9", "192.0.2.0/24", false),
            ("::ffff:192.0.2.9", "192.0.2.0/24", true),
            ("192.0.2.9", "192.0.2.9", true),
            ("192.0.2.8", "192.0.2.9", false),
            ("203.0.113.1", "0.0.0.0/0", true),
            ("2001:db8::1", "2001:db8::/32", true),
            ("2001:db9::1", "2001:db8::/32", false),
            ("2001:db8::1", "::/0", true),
            ("192.0.2.9", "::/0", false),
            ("192.0.2.9", "192.0.2.0/33", false),
            ("192.0.2.9", "192.0.2.0/x", false),
            ("192.0.2.9", "", false),
        ] {
            assert_eq!(within(ip(address), cidr), expected, "{address} in {cidr}");
        }
    }

    #[test]
    fn a_network_is_a_part_of_a_wider_one_only() {
        for (inner, outer, expected) in [
            ("192.0.2.0/24", "192.0.2.0/24", true),
            ("192.0.2.128/25", "192.0.2.0/24", true),
            ("192.0.2.9", "192.0.2.0/24", true),
            ("192.0.2.9", "192.0.2.9/32", true),
            ("192.0.2.9/32", "192.0.2.9", true),
            ("192.0.2.0/23", "192.0.2.0/24", false),
            ("192.0.3.0/25", "192.0.2.0/24", false),
            ("0.0.0.0/0", "192.0.2.0/24", false),
            ("::/0", "0.0.0.0/0", false),
            ("::ffff:192.0.2.0/120", "192.0.2.0/24", false),
            ("192.0.2.0/33", "192.0.2.0/24", false),
            ("2001:db8:1::/48", "2001:db8::/32", true),
            ("2001:db8::/31", "2001:db8::/32", false),
            ("", "192.0.2.0/24", false),
        ] {
            assert_eq!(is_part(inner, outer), expected, "{inner} in {outer}");
        }
    }

    #[test]
    fn neighbours_count_as_one_source() {
        assert_eq!(neighbourhood(ip("192.0.2.9")), ip("192.0.2.0"));
        assert_eq!(neighbourhood(ip("2001:db8:1:2:3::4")), ip("2001:db8:1:2::"));
    }
}
