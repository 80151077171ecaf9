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

use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use crate::code::FindingCode;
use crate::finding::CheckResult;

/// When the probe is retried, counted from the last one: packets get lost.
const TRIES: [Duration; 4] =
    [Duration::from_millis(500), Duration::from_millis(1000), Duration::from_millis(1500), Duration::from_millis(2000)];

/// How long a TCP connection may take: Linux retransmits after one second and after three.
const TCP_LIMIT: Duration = Duration::from_secs(4);

/// Bytes of the probe: the size of a QUIC Initial packet, so that a path too narrow for it fails here too.
const PROBE_BYTES: usize = 1200;

/// A version reserved to force version negotiation (RFC 9000, 15).
const NO_VERSION: [u8; 4] = [0x1a, 0x2a, 0x3a, 0x4a];

/// The result of the UDP probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UdpAnswer {
    /// There was a reply, after this time.
    Answered(Duration),
    /// The machine, or a router, reported that the port is closed.
    Refused,
    /// There was no reply.
    Silent,
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
    /// The UDP probe.
    pub udp: UdpAnswer,
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

fn described(tcp: &TcpAnswer, port: u16) -> String {
    match tcp {
        TcpAnswer::Connected(took) => format!("TCP {port} answers after {took:.1?}"),
        TcpAnswer::Refused(took) => format!("TCP {port} is refused after {took:.1?}"),
        TcpAnswer::Silent => format!("TCP {port} does not answer either"),
        TcpAnswer::Unsent(error) => format!("TCP {port}: {error}"),
    }
}

/// Probes UDP.
pub async fn udp_answer(address: SocketAddr) -> UdpAnswer {
    match probe_udp(address).await {
        Ok(Some(took)) => UdpAnswer::Answered(took),
        Ok(None) => UdpAnswer::Silent,
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => UdpAnswer::Refused,
        Err(error) => UdpAnswer::Unsent(error.to_string()),
    }
}

async fn probe_udp(address: SocketAddr) -> io::Result<Option<Duration>> {
    let own = match address.ip() {
        IpAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        IpAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let socket = UdpSocket::bind(own).await?;
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
        let result = udp("192.0.2.1:8443".parse().unwrap(), &PathProbe { udp: udp_answer, has_handshake, tcp });
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

    #[tokio::test]
    async fn closed_and_open_ports_are_distinguished() {
        let closed = {
            let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            socket.local_addr().unwrap()
        };
        assert_eq!(udp_answer(closed).await, UdpAnswer::Refused);
        let open = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = open.local_addr().unwrap();
        let echo = tokio::spawn(async move {
            let mut probe_packet = [0; 1500];
            let (bytes, from) = open.recv_from(&mut probe_packet).await.unwrap();
            open.send_to(b"x", from).await.unwrap();
            bytes
        });
        assert!(matches!(udp_answer(address).await, UdpAnswer::Answered(_)));
        assert_eq!(echo.await.unwrap(), PROBE_BYTES);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        assert!(matches!(tcp_answer(address).await, TcpAnswer::Connected(_)));
        drop(listener);
        assert!(matches!(tcp_answer(address).await, TcpAnswer::Refused(_)));
    }
}
