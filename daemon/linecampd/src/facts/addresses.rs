//! The machine's own addresses, from the routing table.

use std::io;
use std::net::UdpSocket;

use super::observed::Observed;

/// Observes the source addresses for outbound packets, IPv4 and IPv6, by a routing table lookup: connecting a UDP
/// socket sends nothing. The targets are documentation addresses (RFC 5737, RFC 3849).
///
/// A machine without any route is temporarily off the network: its addresses are not observed. This way a machine that
/// is booting, or whose cable is unplugged, keeps its address records.
pub(super) fn own_addresses() -> Observed<String> {
    addresses([address_toward("0.0.0.0:0", "192.0.2.1:9")?, address_toward("[::]:0", "[2001:db8::1]:9")?])
}

fn addresses(of_routes: [Option<String>; 2]) -> Observed<String> {
    let observed: Vec<_> = of_routes.into_iter().flatten().collect();
    match observed.is_empty() {
        true => Err("this machine has no default route".to_owned()),
        false => Ok(Some(observed.join(","))),
    }
}

/// Observes the source address for packets to `target`; none if there is no route.
fn address_toward(own: &str, target: &str) -> Observed<String> {
    let asked = UdpSocket::bind(own).and_then(|socket| {
        socket.connect(target)?;
        socket.local_addr()
    });
    match asked.map(|address| address.ip()) {
        Ok(address) if address.is_unspecified() || address.is_loopback() => Ok(None),
        Ok(address) => Ok(Some(address.to_string())),
        Err(error) if is_no_route(&error) => Ok(None),
        Err(error) => Err(format!("cannot get the route to {target}: {error}")),
    }
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

    #[test]
    fn a_machine_without_a_route_has_addresses_that_are_not_observed() {
        assert!(addresses([None, None]).is_err(), "not observed, rather than absent");
        let six = || Some("2001:db8::7".to_owned());
        assert_eq!(addresses([None, six()]), Ok(six()));
        let both = addresses([Some("192.0.2.7".to_owned()), six()]);
        assert_eq!(both, Ok(Some("192.0.2.7,2001:db8::7".to_owned())));
    }
}
