//! Tells public addresses from all others. What is not known to be public is not.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The IPv4 addresses of hosts: all others are "this network", multicast, or reserved (RFC 1112, RFC 5735).
const UNICAST_V4: std::ops::RangeInclusive<u8> = 1..=223;

/// The special-purpose networks among them (IANA IPv4 Special-Purpose Address Registry, as of RFC 8190, June 2017), and
/// the former relays of 6to4. Networks that the registry calls globally reachable are public, except two addresses of
/// protocols within 192.0.0.0/24.
const SPECIAL_V4: [(Ipv4Addr, u32); 12] = [
    (Ipv4Addr::new(10, 0, 0, 0), 8),      // private
    (Ipv4Addr::new(100, 64, 0, 0), 10),   // shared address space of carriers (CGN)
    (Ipv4Addr::new(127, 0, 0, 0), 8),     // loopback
    (Ipv4Addr::new(169, 254, 0, 0), 16),  // link-local, including cloud metadata services
    (Ipv4Addr::new(172, 16, 0, 0), 12),   // private
    (Ipv4Addr::new(192, 0, 0, 0), 24),    // protocol assignments
    (Ipv4Addr::new(192, 0, 2, 0), 24),    // documentation
    (Ipv4Addr::new(192, 88, 99, 0), 24),  // 6to4 relay anycast (deprecated)
    (Ipv4Addr::new(192, 168, 0, 0), 16),  // private
    (Ipv4Addr::new(198, 18, 0, 0), 15),   // benchmarking
    (Ipv4Addr::new(198, 51, 100, 0), 24), // documentation
    (Ipv4Addr::new(203, 0, 113, 0), 24),  // documentation
];

/// The only IPv6 network from which public addresses are assigned (IANA IPv6 Address Space).
const UNICAST_V6: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// The special-purpose networks in it (IANA IPv6 Special-Purpose Address Registry, version of 2024-10-22). Of the
/// protocol assignments, some are reachable (anycast of PCP, TURN and AMT, AS112); no provider's service is there.
const SPECIAL_V6: [(Ipv6Addr, u32); 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23), // protocol assignments, including Teredo and ORCHID
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // documentation
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16), // 6to4, which embeds an IPv4 address (deprecated)
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20), // documentation
];

/// The prefix under which DNS64 and NAT64 embed IPv4 addresses (RFC 6052): how a site without IPv4 reaches the rest of
/// the internet. A NAT64 with a prefix of its own cannot be recognized; its operator decides what it translates to.
const NAT64: (Ipv6Addr, u32) = (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);

/// Whether an address is of a host on the public internet. For an address that a socket or a NAT64 turns into an IPv4
/// address (`::ffff:a.b.c.d`, `64:ff9b::a.b.c.d`), the IPv4 address decides. Every other form that embeds one is not
/// public.
pub fn is_public_address(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match address.to_ipv4_mapped().or_else(|| behind_nat64(address)) {
            Some(inner) => is_public_v4(inner),
            None => is_within(address, UNICAST_V6) && !SPECIAL_V6.iter().any(|network| is_within(address, *network)),
        },
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let is_within = |(network, bits): &(Ipv4Addr, u32)| {
        let mask = u32::MAX << (32 - bits);
        address.to_bits() & mask == network.to_bits()
    };
    UNICAST_V4.contains(&address.octets()[0]) && !SPECIAL_V4.iter().any(is_within)
}

fn is_within(address: Ipv6Addr, (network, bits): (Ipv6Addr, u32)) -> bool {
    let mask = u128::MAX << (128 - bits);
    address.to_bits() & mask == network.to_bits()
}

fn behind_nat64(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [.., a, b, c, d] = address.octets();
    is_within(address, NAT64).then(|| Ipv4Addr::new(a, b, c, d))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_public(text: &str) -> bool {
        is_public_address(text.parse().unwrap())
    }

    /// Every network that is not public, with its first and last address and the public ones beside it.
    #[test]
    fn only_the_internet_is_public() {
        let check = |before: &str, first: &str, last: &str, after: &str| {
            for (text, expected) in [(before, true), (first, false), (last, false), (after, true)] {
                assert!(text.is_empty() || is_public(text) == expected, "{text}");
            }
        };
        check("", "0.0.0.0", "0.255.255.255", "1.0.0.0");
        check("9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0");
        check("100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0");
        check("126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0");
        check("169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0");
        check("172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0");
        check("191.255.255.255", "192.0.0.0", "192.0.0.255", "192.0.1.0");
        check("192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0");
        check("192.88.98.255", "192.88.99.0", "192.88.99.255", "192.88.100.0");
        check("192.167.255.255", "192.168.0.0", "192.168.255.255", "192.169.0.0");
        check("198.17.255.255", "198.18.0.0", "198.19.255.255", "198.20.0.0");
        check("198.51.99.255", "198.51.100.0", "198.51.100.255", "198.51.101.0");
        check("203.0.112.255", "203.0.113.0", "203.0.113.255", "203.0.114.0");
        check("223.255.255.255", "224.0.0.0", "255.255.255.255", "");
        check("", "::", "1fff:ffff::", "2000::");
        check("2000:ffff::", "2001::", "2001:1ff:ffff::", "2001:200::");
        check("2001:db7::", "2001:db8::", "2001:db8:ffff::", "2001:db9::");
        check("2001:ffff::", "2002::", "2002:ffff::", "2003::");
        check("3ffe:ffff::", "3fff::", "3fff:fff::", "3fff:1000::");
        check("3fff:ffff::", "4000::", "ffff:ffff::", "");
    }

    #[test]
    fn an_embedded_ipv4_address_decides_or_is_refused() {
        for (text, expected) in [
            ("::ffff:1.1.1.1", true),
            ("::ffff:127.0.0.1", false),
            ("::ffff:169.254.169.254", false),
            ("64:ff9b::1.1.1.1", true),
            ("64:ff9b::10.0.0.1", false),
            ("64:ff9b::a9fe:a9fe", false),
            ("64:ff9b:1::1.1.1.1", false),
            ("64:ff9b:0:1::1.1.1.1", false),
            ("::1.1.1.1", false),
            ("::127.0.0.1", false),
            ("::ffff:0:1.1.1.1", false),
            ("::ffff:0:127.0.0.1", false),
            ("2002:101:101::1", false),
            ("2001::1", false),
        ] {
            assert_eq!(is_public(text), expected, "{text}");
        }
    }

    #[test]
    fn addresses_of_services_inside_are_not_public() {
        for text in
            ["100.100.100.200", "192.0.0.192", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1", "100::1", "5f00::1"]
        {
            assert!(!is_public(text), "{text}");
        }
        assert!(is_public("2606:4700::1111") && is_public("2a00::1") && is_public("2620:4f:8000::1"));
    }

    proptest! {
        #[test]
        fn no_address_outside_of_the_unicast_space_is_public(bits in any::<u128>()) {
            let address = Ipv6Addr::from_bits(bits);
            prop_assert!(!is_public_address(address.into()) || bits >> 125 == 1, "{address}");
            // Also near the low end, where the embedded forms are.
            let low = Ipv6Addr::from_bits(bits >> 64);
            let prefix = bits >> 96;
            prop_assert!(!is_public_address(low.into()) || prefix == 0xffff_ffff, "{low}");
        }

        #[test]
        fn a_mapped_address_is_judged_like_its_ipv4_address(bits in any::<u32>()) {
            let address = Ipv4Addr::from_bits(bits);
            let expected = is_public_address(address.into());
            prop_assert_eq!(is_public_address(address.to_ipv6_mapped().into()), expected);
            let nat64 = Ipv6Addr::from_bits(0x64_ff9b << 96 | u128::from(bits));
            prop_assert_eq!(is_public_address(nat64.into()), expected);
        }
    }
}
