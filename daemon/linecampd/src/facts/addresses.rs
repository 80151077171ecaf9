//! The machine's own addresses, from the routing table: those at which other machines reach it permanently.

use std::io;
use std::net::{IpAddr, Ipv6Addr, UdpSocket};
use std::path::Path;

use linecamp_model::service_address_problem;

use super::observed::Observed;

/// The kernel's list of IPv6 addresses, with their flags.
const IPV6_ADDRESSES: &str = "/proc/net/if_inet6";

/// The maximum size of that list in bytes, about 20,000 addresses: a machine with containers has many. If it is longer,
/// the addresses are not observed.
const IPV6_ADDRESSES_BYTES_MAX: u64 = 1024 * 1024;

/// The flags of an address that is not in use yet or not for long: temporary (RFC 8981), a duplicate, deprecated,
/// tentative. Source: `IFA_F_…` in the kernel's `if_addr.h`.
const UNSTABLE: u8 = 0x01 | 0x08 | 0x20 | 0x40;

/// The scope of an address that is valid beyond its own network segment.
const GLOBAL_SCOPE: u8 = 0;

/// Observes the source addresses for outbound packets, IPv4 and IPv6, by a routing table lookup: connecting a UDP
/// socket sends nothing. The targets are documentation addresses (RFC 5737, RFC 3849). In place of an IPv6 address that
/// the machine uses only for a time, it takes the stable one of the same interface.
///
/// A machine without any route, or without a stable address, is temporarily off the network: its addresses are not
/// observed. This way a machine that is booting, or whose cable is unplugged, keeps its address records.
pub(super) fn own_addresses() -> Observed<String> {
    let ipv4 = address_toward("0.0.0.0:0", "192.0.2.1:9")?;
    let ipv6 = match address_toward("[::]:0", "[2001:db8::1]:9")? {
        Some(IpAddr::V6(source)) => {
            stable_address(source, &parse_ipv6_addresses(&held_ipv6_addresses()?)).map(IpAddr::V6)
        }
        other => other,
    };
    addresses([ipv4, ipv6])
}

fn addresses(of_routes: [Option<IpAddr>; 2]) -> Observed<String> {
    let is_service = |address: &IpAddr| service_address_problem(*address).is_none();
    let observed: Vec<_> = of_routes.into_iter().flatten().filter(is_service).map(|ip| ip.to_string()).collect();
    match observed.is_empty() {
        true => Err("this machine has no default route, or no stable address on it".to_owned()),
        false => Ok(Some(observed.join(","))),
    }
}

/// Observes the source address for packets to `target`; none if there is no route.
fn address_toward(own: &str, target: &str) -> Observed<IpAddr> {
    let asked = UdpSocket::bind(own).and_then(|socket| {
        socket.connect(target)?;
        socket.local_addr()
    });
    match asked.map(|address| address.ip()) {
        Ok(address) => Ok(Some(address)),
        Err(error) if is_no_route(&error) => Ok(None),
        Err(error) => Err(format!("cannot get the route to {target}: {error}")),
    }
}

/// Reads the kernel's list; empty if the kernel has no IPv6.
fn held_ipv6_addresses() -> Result<String, String> {
    match linecamp_files::read_text(Path::new(IPV6_ADDRESSES), IPV6_ADDRESSES_BYTES_MAX) {
        Err(error) if error.is_not_found() => Ok(String::new()),
        read => read.map_err(|error| format!("cannot read {IPV6_ADDRESSES}: {error}")),
    }
}

/// An IPv6 address of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Ipv6Entry {
    address: Ipv6Addr,
    interface: String,
    scope: u8,
    flags: u8,
}

/// Parses the lines `ADDRESS INTERFACE-INDEX PREFIX-LENGTH SCOPE FLAGS NAME`, all numbers in hexadecimal.
fn parse_ipv6_addresses(text: &str) -> Vec<Ipv6Entry> {
    let parse = |line: &str| {
        let mut fields = line.split_whitespace();
        let address = u128::from_str_radix(fields.next()?, 16).ok()?.into();
        let interface = fields.next()?.to_owned();
        let scope = u8::from_str_radix(fields.nth(1)?, 16).ok()?;
        let flags = u8::from_str_radix(fields.next()?, 16).ok()?;
        Some(Ipv6Entry { address, interface, scope, flags })
    };
    text.lines().filter_map(parse).collect()
}

/// Returns `source` if it is stable or unknown, else the stable address of its interface that is nearest to it.
fn stable_address(source: Ipv6Addr, held: &[Ipv6Entry]) -> Option<Ipv6Addr> {
    let Some(entry) = held.iter().find(|entry| entry.address == source) else { return Some(source) };
    if entry.flags & UNSTABLE == 0 {
        return Some(source);
    }
    let is_stable = |other: &&Ipv6Entry| {
        other.interface == entry.interface && other.scope == GLOBAL_SCOPE && other.flags & UNSTABLE == 0
    };
    let distance = |other: &Ipv6Addr| u128::from(*other) ^ u128::from(source);
    held.iter().filter(is_stable).map(|entry| entry.address).min_by_key(distance)
}

/// Whether the kernel reports no route, or an unsupported address family.
fn is_no_route(error: &io::Error) -> bool {
    use rustix::io::Errno;

    let no_route = [Errno::NETUNREACH, Errno::HOSTUNREACH, Errno::NETDOWN, Errno::ADDRNOTAVAIL, Errno::AFNOSUPPORT];
    // The errors for routes of type `prohibit` and `blackhole`.
    let blocked_route = [Errno::ACCESS, Errno::INVAL];
    error
        .raw_os_error()
        .is_some_and(|code| no_route.iter().chain(&blocked_route).any(|answer| answer.raw_os_error() == code))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn a_machine_without_a_route_has_addresses_that_are_not_observed() {
        assert!(addresses([None, None]).is_err(), "not observed, rather than absent");
        assert_eq!(addresses([None, address("2001:db8::7")]), Ok(Some("2001:db8::7".to_owned())));
        let both = addresses([address("192.0.2.7"), address("2001:db8::7")]);
        assert_eq!(both, Ok(Some("192.0.2.7,2001:db8::7".to_owned())));
    }

    #[test]
    fn an_address_of_one_segment_is_not_reported() {
        assert_eq!(addresses([address("169.254.7.7"), address("2001:db8::7")]), Ok(Some("2001:db8::7".to_owned())));
        assert_eq!(addresses([address("192.168.0.7"), address("fe80::7")]), Ok(Some("192.168.0.7".to_owned())));
        assert!(addresses([address("169.254.7.7"), None]).is_err(), "the machine has no lease yet");
        assert!(addresses([address("127.0.0.1"), address("::1")]).is_err());
    }

    #[test]
    fn the_stable_address_replaces_a_temporary_and_a_deprecated_one() {
        let held = parse_ipv6_addresses(
            "fe80000000000000ec6b79fffe4368b3 03 40 20 80     eth0\n\
             20010db800000000f9184f0a0a2f246f 03 40 00 01     eth0\n\
             00000000000000000000000000000001 01 80 10 80       lo\n\
             20010db8000100000000000000000006 03 40 00 a2     eth0\n\
             20010db8000000000000000000000005 03 40 00 02     eth0\n\
             fd000000000000000000000000000005 03 40 00 80     eth0\n\
             20010db8000000000000000000000009 04 40 00 01     eth1\n",
        );
        assert_eq!(held.len(), 7);
        let check = |source: &str, expected: Option<&str>| {
            let stable = stable_address(source.parse().unwrap(), &held);
            assert_eq!(stable, expected.map(|text| text.parse().unwrap()), "{source}");
        };
        check("2001:db8::5", Some("2001:db8::5"));
        check("2001:db8::f918:4f0a:a2f:246f", Some("2001:db8::5"));
        check("2001:db8:1::6", Some("2001:db8::5"));
        check("2001:db8::9", None);
        check("2001:db8::77", Some("2001:db8::77"));
    }
}
