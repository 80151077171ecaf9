//! Whether packets reach a server: UDP, and TCP for comparison, which tells a blocked path from an unresponsive
//! machine.
//!
//! A path that passes TCP and drops UDP is the most common problem of a link over QUIC, and the hardest to recognize
//! from inside QUIC, where it looks like a server that is down. So UDP is probed with a packet of a version that no
//! server supports, to which every QUIC server replies immediately and statelessly with Version Negotiation (RFC 9000,
//! 6). The socket is connected, so it is notified when the port is closed. TCP is probed at the same port number.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::sockopt::{self, Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use crate::code::FindingCode;
use crate::finding::CheckResult;
use crate::path_mtu::needed_mtu;

/// When the probe is retried, counted from the last one: packets get lost.
const TRIES: [Duration; 4] =
    [Duration::from_millis(500), Duration::from_millis(1000), Duration::from_millis(1500), Duration::from_millis(2000)];

/// How long a TCP connection may take: Linux retransmits after one second and after three.
const TCP_LIMIT: Duration = Duration::from_secs(4);

/// Bytes of the probe: the size of a QUIC Initial packet, so that a path too narrow for it fails here too.
const PROBE_BYTES: usize = 1200;

/// A version reserved to force version negotiation (RFC 9000, 15).
const NO_VERSION: [u8; 4] = [0x1a, 0x2a, 0x3a, 0x4a];

/// Whether a probe may be split into fragments on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fragments {
    /// Like a QUIC packet: it arrives whole, or not at all.
    Forbidden,
    /// It also passes a path whose MTU is too small. Only with IPv4: an IPv6 router never splits a packet.
    Allowed,
}

/// The result of the UDP probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UdpAnswer {
    /// There was a reply, after this time.
    Answered(Duration),
    /// The machine, or a router, reported that the port is closed.
    Refused,
    /// There was no reply.
    Silent,
    /// The probe is larger than the path's MTU, as the interface or a router reported.
    TooLarge,
    /// The probe could not be sent.
    Unsent(String),
}

/// The result of the TCP probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TcpAnswer {
    /// Connected, after this time.
    Connected(Duration),
    /// The connection was refused after this time: the machine is up.
    Refused(Duration),
    /// There was no reply.
    Silent,
    /// There is no route, or the connection could not be attempted.
    Unsent(String),
}

/// All results for one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathProbe {
    /// The UDP probe, as whole as a QUIC packet.
    pub udp: UdpAnswer,
    /// Whether the UDP probe got a reply when it could be split into fragments.
    pub fragments_pass: bool,
    /// The path's MTU, as far as the kernel knows after the probes.
    pub mtu: Option<u32>,
    /// Whether a QUIC handshake got a reply, trusted or not.
    pub has_handshake: bool,
    /// The TCP probe at the same port number.
    pub tcp: TcpAnswer,
}

/// Evaluates whether UDP reaches `address` and back.
pub fn udp(address: SocketAddr, seen: &PathProbe) -> CheckResult {
    let port = address.port();
    let (ip, tcp) = (address.ip(), described(&seen.tcp, port));
    let listens = format!(
        "on the server: `systemctl status linecamp-server`, `ss -lnup 'sport = :{port}'`; a firewall that rejects \
         UDP looks the same: it must allow UDP {port}"
    );
    match (&seen.udp, seen.has_handshake, &seen.tcp) {
        (UdpAnswer::Answered(took), true, _) => CheckResult::ok(format!("UDP {port} of {ip} answers after {took:.1?}")),
        (_, true, _) => CheckResult::ok(format!("UDP {port} of {ip} answers a QUIC handshake")),
        (UdpAnswer::Answered(took), false, _) => CheckResult::fail(
            FindingCode::HandshakeLost,
            format!("UDP {port} of {ip} answers a small packet after {took:.1?}, but no QUIC handshake"),
            "packets of 1,200 bytes are lost on the way back (see the check `mtu`), or the server is overloaded: see its \
             log",
        ),
        (UdpAnswer::TooLarge, false, _) => small_mtu(ip, seen.mtu),
        (UdpAnswer::Silent, false, _) if seen.fragments_pass => small_mtu(ip, seen.mtu),
        (UdpAnswer::Unsent(error), false, _) => CheckResult::fail(
            FindingCode::NotSent,
            format!("cannot send UDP to {ip}: {error}"),
            format!("check the route: `ip route get {ip}`; and whether a local firewall blocks it"),
        ),
        (UdpAnswer::Refused, false, TcpAnswer::Connected(_)) => CheckResult::fail(
            FindingCode::PortClosed,
            format!("nothing listens on UDP {port} of {ip} (port unreachable), and {tcp}"),
            format!(
                "the server may listen for sites on another port: see its key `quic` and the address in join tokens; {listens}"
            ),
        ),
        (UdpAnswer::Refused, false, _) => CheckResult::fail(
            FindingCode::PortClosed,
            format!("nothing listens on UDP {port} of {ip} (port unreachable), and {tcp}"),
            listens,
        ),
        (UdpAnswer::Silent, false, TcpAnswer::Connected(_) | TcpAnswer::Refused(_)) => CheckResult::fail(
            FindingCode::UdpBlocked,
            format!("UDP is blocked on the path: no answer on UDP {port} of {ip}, while {tcp}"),
            format!(
                "allow UDP {port} in both directions in the firewalls of this machine, of this location and of the server"
            ),
        ),
        (UdpAnswer::Silent, false, TcpAnswer::Silent | TcpAnswer::Unsent(_)) => CheckResult::fail(
            FindingCode::ServerSilent,
            format!("the server does not answer: no answer on UDP {port} of {ip}, and {tcp}"),
            format!(
                "check that {ip} is the server's address, that the server is running, and the route: `ip route get {ip}`, `ping {ip}`"
            ),
        ),
    }
}

/// A path that passes UDP, but no packet of the size that a link needs.
fn small_mtu(ip: IpAddr, known: Option<u32>) -> CheckResult {
    let needed = needed_mtu(ip);
    let evidence = match known.filter(|mtu| *mtu < needed) {
        Some(mtu) => format!("the MTU of the path to {ip} is {mtu} bytes; a link needs {needed}"),
        None => format!(
            "packets reach {ip} only in fragments: the MTU of the path is below the {needed} bytes that a link needs, \
             and no router reports it"
        ),
    };
    let remedy = format!(
        "find the section with the small MTU with `tracepath -n {ip}`, and raise its MTU to {needed} bytes or more; a \
         VPN inside a VPN is the usual cause"
    );
    CheckResult::fail(FindingCode::MtuTooSmall, evidence, remedy)
}

fn described(tcp: &TcpAnswer, port: u16) -> String {
    match tcp {
        TcpAnswer::Connected(took) => format!("TCP {port} answers after {took:.1?}"),
        TcpAnswer::Refused(took) => format!("TCP {port} is refused after {took:.1?}"),
        TcpAnswer::Silent => format!("TCP {port} does not answer either"),
        TcpAnswer::Unsent(error) => format!("TCP {port}: {error}"),
    }
}

/// Probes UDP.
pub async fn udp_answer(address: SocketAddr, fragments: Fragments) -> UdpAnswer {
    match probe_udp(address, fragments).await {
        Ok(Some(took)) => UdpAnswer::Answered(took),
        Ok(None) => UdpAnswer::Silent,
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => UdpAnswer::Refused,
        Err(error) if error.raw_os_error() == Some(Errno::MSGSIZE.raw_os_error()) => UdpAnswer::TooLarge,
        Err(error) => UdpAnswer::Unsent(error.to_string()),
    }
}

async fn probe_udp(address: SocketAddr, fragments: Fragments) -> io::Result<Option<Duration>> {
    let own = match address.ip() {
        IpAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        IpAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let socket = UdpSocket::bind(own).await?;
    let is_whole = fragments == Fragments::Forbidden;
    match address {
        SocketAddr::V4(_) if is_whole => sockopt::set_ip_mtu_discover(&socket, Ipv4PathMtuDiscovery::DO)?,
        SocketAddr::V4(_) => sockopt::set_ip_mtu_discover(&socket, Ipv4PathMtuDiscovery::DONT)?,
        SocketAddr::V6(_) if is_whole => sockopt::set_ipv6_mtu_discover(&socket, Ipv6PathMtuDiscovery::DO)?,
        SocketAddr::V6(_) => {}
    }
    socket.connect(address).await?;
    let probe_packet = probe_packet(address);
    for wait in TRIES {
        let asked = Instant::now();
        socket.send(&probe_packet).await?;
        let mut answer = [0; 64];
        // Any datagram from there is a reply; a longer one is truncated.
        match timeout(wait, socket.recv(&mut answer)).await {
            Ok(received) => return received.map(|_| Some(asked.elapsed())),
            Err(_) => continue,
        }
    }
    Ok(None)
}

/// A long-header packet of an unsupported version, padded (RFC 8999, 5.1).
fn probe_packet(address: SocketAddr) -> Vec<u8> {
    let mut packet = vec![0xc0];
    packet.extend(NO_VERSION);
    for id in [address.port().to_be_bytes(), [0xd0, 0xc7]] {
        packet.push(8);
        packet.extend([0; 6]);
        packet.extend(id);
    }
    packet.resize(PROBE_BYTES, 0);
    packet
}

/// Probes TCP.
pub async fn tcp_answer(address: SocketAddr) -> TcpAnswer {
    let began = Instant::now();
    match timeout(TCP_LIMIT, TcpStream::connect(address)).await {
        Ok(Ok(_)) => TcpAnswer::Connected(began.elapsed()),
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => TcpAnswer::Refused(began.elapsed()),
        Ok(Err(error)) if error.kind() == io::ErrorKind::TimedOut => TcpAnswer::Silent,
        Ok(Err(error)) => TcpAnswer::Unsent(error.to_string()),
        Err(_) => TcpAnswer::Silent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Verdict;

    const MS: Duration = Duration::from_millis(3);

    #[track_caller]
    fn check(udp_answer: UdpAnswer, has_handshake: bool, tcp: TcpAnswer, expected: Verdict, code: FindingCode) {
        let seen = PathProbe { udp: udp_answer, fragments_pass: false, mtu: Some(1500), has_handshake, tcp };
        let result = udp("192.0.2.1:8443".parse().unwrap(), &seen);
        assert_eq!((result.verdict, result.code), (expected, code), "{result:?}");
        assert_eq!(result.remedy.is_some(), expected != Verdict::Ok, "{result:?}");
    }

    #[test]
    fn a_blocked_path_is_distinguished_from_a_machine_that_is_down() {
        let blocked = FindingCode::UdpBlocked;
        check(UdpAnswer::Silent, false, TcpAnswer::Connected(MS), Verdict::Fail, blocked);
        check(UdpAnswer::Silent, false, TcpAnswer::Refused(MS), Verdict::Fail, blocked);
        check(UdpAnswer::Silent, false, TcpAnswer::Silent, Verdict::Fail, FindingCode::ServerSilent);
        let unsent = || TcpAnswer::Unsent("no route".to_owned());
        check(UdpAnswer::Silent, false, unsent(), Verdict::Fail, FindingCode::ServerSilent);
        check(UdpAnswer::Refused, false, TcpAnswer::Connected(MS), Verdict::Fail, FindingCode::PortClosed);
        check(UdpAnswer::Refused, false, TcpAnswer::Refused(MS), Verdict::Fail, FindingCode::PortClosed);
        check(UdpAnswer::Unsent("no route".to_owned()), false, unsent(), Verdict::Fail, FindingCode::NotSent);
        check(UdpAnswer::Answered(MS), false, TcpAnswer::Connected(MS), Verdict::Fail, FindingCode::HandshakeLost);
        check(UdpAnswer::Answered(MS), true, TcpAnswer::Silent, Verdict::Ok, FindingCode::Ok);
        check(UdpAnswer::Silent, true, TcpAnswer::Silent, Verdict::Ok, FindingCode::Ok);
    }

    #[test]
    fn a_small_mtu_is_named_and_not_called_a_blocked_path() {
        let check = |udp_answer, fragments_pass, mtu, has_handshake, expected: &str| {
            let tcp = TcpAnswer::Connected(MS);
            let seen = PathProbe { udp: udp_answer, fragments_pass, mtu, has_handshake, tcp };
            let result = udp("192.0.2.1:8443".parse().unwrap(), &seen);
            let code = if has_handshake { FindingCode::Ok } else { FindingCode::MtuTooSmall };
            assert_eq!(result.code, code, "{result:?}");
            assert!(result.evidence.contains(expected), "{result:?}");
        };
        check(UdpAnswer::TooLarge, true, Some(1200), false, "is 1200 bytes; a link needs 1228");
        check(UdpAnswer::TooLarge, false, Some(1227), false, "is 1227 bytes; a link needs 1228");
        check(UdpAnswer::Silent, true, Some(1500), false, "below the 1228 bytes that a link needs");
        check(UdpAnswer::Silent, true, Some(1500), true, "answers a QUIC handshake");
    }

    #[tokio::test]
    async fn closed_and_open_ports_are_distinguished() {
        let closed = {
            let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            socket.local_addr().unwrap()
        };
        assert_eq!(udp_answer(closed, Fragments::Forbidden).await, UdpAnswer::Refused);
        let open = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = open.local_addr().unwrap();
        let echo = tokio::spawn(async move {
            let mut probe_packet = [0; 1500];
            let (bytes, from) = open.recv_from(&mut probe_packet).await.unwrap();
            open.send_to(b"x", from).await.unwrap();
            bytes
        });
        assert!(matches!(udp_answer(address, Fragments::Allowed).await, UdpAnswer::Answered(_)));
        assert_eq!(echo.await.unwrap(), PROBE_BYTES);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        assert!(matches!(tcp_answer(address).await, TcpAnswer::Connected(_)));
        drop(listener);
        assert!(matches!(tcp_answer(address).await, TcpAnswer::Refused(_)));
    }
}
