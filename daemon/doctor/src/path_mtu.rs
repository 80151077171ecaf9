//! The largest packet that may be sent to a server, as far as this machine knows.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use rustix::net::sockopt;

use crate::code::FindingCode;
use crate::finding::CheckResult;

/// Bytes of a QUIC packet, which must not be fragmented (RFC 9000, 14).
const QUIC_BYTES: u32 = 1200;

/// Bytes of the UDP and IP headers.
const HEADERS_V4: u32 = 28;
const HEADERS_V6: u32 = 48;

/// The minimum MTU of IPv6 (RFC 8200, 5); a narrower path is a tunnel in a tunnel.
const ORDINARY: u32 = 1280;

/// Evaluates the largest packet to `server` that the kernel knows of: from the interface, the route, and what routers
/// on the path reported.
pub fn mtu(server: SocketAddr) -> CheckResult {
    match own_path(server) {
        Ok((own, mtu)) => evaluate(server.ip(), own, mtu),
        Err(error) => CheckResult::fail(
            FindingCode::NoRoute,
            format!("no route to {}: {error}", server.ip()),
            format!("check the routes: `ip route get {}`, `ip address`", server.ip()),
        ),
    }
}

/// Returns the largest packet to `server` that the kernel knows of.
pub(crate) fn path_mtu(server: SocketAddr) -> std::io::Result<u32> {
    own_path(server).map(|(_, mtu)| mtu)
}

/// Returns the MTU that a link to `server` needs.
pub(crate) const fn needed_mtu(server: IpAddr) -> u32 {
    QUIC_BYTES + if server.is_ipv4() { HEADERS_V4 } else { HEADERS_V6 }
}

/// Connecting a UDP socket sends nothing.
fn own_path(server: SocketAddr) -> std::io::Result<(IpAddr, u32)> {
    let unspecified: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((unspecified, 0))?;
    socket.connect(server)?;
    let mtu = match server {
        SocketAddr::V4(_) => sockopt::ip_mtu(&socket)?,
        SocketAddr::V6(_) => sockopt::ipv6_mtu(&socket)?,
    };
    Ok((socket.local_addr()?.ip(), mtu))
}

fn evaluate(server: IpAddr, own: IpAddr, mtu: u32) -> CheckResult {
    let needed = needed_mtu(server);
    let evidence = format!("MTU to {server} from {own}: {mtu} bytes; a link needs {needed}");
    let remedy = format!(
        "find the interface with `ip route get {server}` and `ip link`, and raise its MTU, such as \
         `ip link set dev NAME mtu 1500`; a VPN inside a VPN is the usual cause"
    );
    match mtu {
        _ if mtu < needed => CheckResult::fail(FindingCode::MtuTooSmall, evidence, remedy),
        _ if mtu < ORDINARY => CheckResult::warn(
            FindingCode::MtuSmall,
            format!("{evidence}, which leaves little room for a tunnel on the path"),
            remedy,
        ),
        _ => CheckResult::ok(evidence),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Verdict;

    #[test]
    fn a_small_mtu_is_reported() {
        let check = |ip: &str, mtu, expected, code| {
            let ip: IpAddr = ip.parse().unwrap();
            let result = evaluate(ip, ip, mtu);
            assert_eq!((result.verdict, result.code), (expected, code), "{result:?}");
        };
        check("192.0.2.1", 1500, Verdict::Ok, FindingCode::Ok);
        check("192.0.2.1", 1280, Verdict::Ok, FindingCode::Ok);
        check("192.0.2.1", 1228, Verdict::Warn, FindingCode::MtuSmall);
        check("192.0.2.1", 1227, Verdict::Fail, FindingCode::MtuTooSmall);
        check("2001:db8::1", 1247, Verdict::Fail, FindingCode::MtuTooSmall);
    }

    #[test]
    fn the_kernel_reports_the_mtu_of_loopback() {
        let result = mtu("127.0.0.1:9".parse().unwrap());
        assert_eq!(result.verdict, Verdict::Ok, "{result:?}");
        assert!(result.evidence.contains("from 127.0.0.1"), "{result:?}");
    }
}
