//! Which addresses of a machine may be published: those at which other machines reach it for as long as it exists.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Returns why `address` cannot be the address of a service; `None` if it can. Private ranges can.
///
/// Source: the address blocks of the IANA special-purpose registries that are not forwardable, multicast, discard-only
/// (`100::/64`), and the deprecated blocks of IPv4-compatible (`::/96`) and site-local (`fec0::/10`) addresses.
pub fn service_address_problem(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => ipv4_problem(address),
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(_) => Some("is an IPv4 address written as IPv6"),
            None if address.is_unspecified() => Some("means any address"),
            None if address.is_loopback() => Some("is reachable only on its own machine"),
            None if address.is_unicast_link_local() => Some("is valid only on one network segment"),
            None if address.is_multicast() => Some("is a multicast address"),
            None => ipv6_block_problem(address),
        },
    }
}

fn ipv6_block_problem(address: Ipv6Addr) -> Option<&'static str> {
    match address.segments() {
        // RFC 4291, 2.5.5.1.
        [0, 0, 0, 0, 0, 0, ..] => Some("is an IPv4 address written as IPv6"),
        // RFC 3879 and RFC 6666.
        [0xfec0..=0xfeff, ..] => Some("is a site-local address, which is deprecated"),
        [0x100, 0, 0, 0, ..] => Some("is discarded by routers"),
        _ => None,
    }
}

fn ipv4_problem(address: Ipv4Addr) -> Option<&'static str> {
    match address.octets()[0] {
        0 => Some("means any address of this network"),
        127 => Some("is reachable only on its own machine"),
        _ if address.is_link_local() => Some("is valid only on one network segment"),
        224..=239 => Some("is a multicast address"),
        240..=255 => Some("is reserved"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_address_is_reachable_from_other_machines() {
        for good in ["10.0.0.5", "100.64.0.1", "172.16.0.1", "192.168.1.1", "192.0.2.1", "fd00::5", "2001:db8::7"] {
            assert_eq!(service_address_problem(good.parse().unwrap()), None, "{good}");
        }
        for bad in [
            "0.0.0.0",
            "0.1.2.3",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "febf::1",
            "ff02::1",
            "::ffff:10.0.0.5",
            "::127.0.0.1",
            "::10.0.0.5",
            "fec0::5",
            "feff::1",
            "100::1",
        ] {
            assert!(service_address_problem(bad.parse().unwrap()).is_some(), "{bad}");
        }
    }
}
