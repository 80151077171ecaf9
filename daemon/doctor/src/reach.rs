//! Whether packets get there: UDP, and beside it TCP, which tells a blocked path from a silent machine.
//!
//! A path that lets TCP through and swallows UDP is the commonest trouble of a link over QUIC, and the hardest to see
//! from inside QUIC, where it looks like a server that is switched off. So UDP is asked with a packet of a version
//! that no server speaks, to which every QUIC server answers at once and without keeping anything (RFC 9000, 6); from a
//! connected socket, which hears of a port that is closed. TCP is asked at the same number.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use crate::finding::CheckResult;

/// When the question is put anew, counted from the last: packets get lost.
const TRIES: [Duration; 4] =
    [Duration::from_millis(500), Duration::from_millis(1000), Duration::from_millis(1500), Duration::from_millis(2000)];

/// How long a TCP connection may take: a second try after a second, a third after three (Linux).
const TCP_LIMIT: Duration = Duration::from_secs(4);

/// Bytes of the question: what a QUIC handshake begins with, so that a path too narrow for it is silent here too.
const QUESTION_BYTES: usize = 1200;

/// A version that is set aside so that nobody speaks it (RFC 9000, 15).
const NO_VERSION: [u8; 4] = [0x1a, 0x2a, 0x3a, 0x4a];

/// What UDP came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UdpAnswer {
    /// Something answered, after so long.
    Answered(Duration),
    /// The other machine, or one on the way, said that the port is closed.
    Refused,
    /// Nothing came.
    Silent,
    /// It could not be sent.
    Unsent(String),
}

/// What TCP came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TcpAnswer {
    /// A connection, after so long.
    Connected(Duration),
    /// No, after so long: the machine is there.
    Refused(Duration),
    /// Nothing came.
    Silent,
    /// There is no way, or it could not be tried.
    Unsent(String),
}

/// All that was seen of the way to one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UdpSeen {
    /// The bare question.
    pub udp: UdpAnswer,
    /// Whether a QUIC handshake got an answer, believed or not.
    pub is_shaking: bool,
    /// TCP at the same number.
    pub tcp: TcpAnswer,
}

/// Says whether UDP gets to `address` and back.
pub fn udp(address: SocketAddr, seen: &UdpSeen) -> CheckResult {
    let port = address.port();
    let (ip, tcp) = (address.ip(), described(&seen.tcp, port));
    let listens = format!(
        "on the server: `systemctl status linecamp-server`, `ss -lnup 'sport = :{port}'`; a firewall that rejects \
         UDP looks the same: it has to let UDP {port} in"
    );
    match (&seen.udp, seen.is_shaking, &seen.tcp) {
        (UdpAnswer::Answered(took), true, _) => CheckResult::ok(format!("UDP {port} of {ip} answers after {took:.1?}")),
        (_, true, _) => CheckResult::ok(format!("UDP {port} of {ip} answers a QUIC handshake")),
        (UdpAnswer::Answered(took), false, _) => CheckResult::fail(
            format!("UDP {port} of {ip} answers a small question after {took:.1?}, and no QUIC handshake"),
            "packets of 1,200 bytes get lost on the way back (see the check `mtu`), or the server is far too busy: its \
             log says so",
        ),
        (UdpAnswer::Unsent(error), false, _) => CheckResult::fail(
            format!("UDP to {ip} could not be sent: {error}"),
            format!("see whether there is a way: `ip route get {ip}`; and whether a firewall here forbids it"),
        ),
        (UdpAnswer::Refused, false, TcpAnswer::Connected(_)) => CheckResult::fail(
            format!("nothing listens on UDP {port} of {ip} (it said so), and {tcp}"),
            format!(
                "the server may listen for sites at another port: its key `quic`, the address in join tokens; {listens}"
            ),
        ),
        (UdpAnswer::Refused, false, _) => {
            CheckResult::fail(format!("nothing listens on UDP {port} of {ip} (it said so), and {tcp}"), listens)
        }
        (UdpAnswer::Silent, false, TcpAnswer::Connected(_) | TcpAnswer::Refused(_)) => CheckResult::fail(
            format!("UDP is blocked between here and there: no answer on UDP {port} of {ip}, while {tcp}"),
            format!(
                "let UDP {port} through in both directions, in the firewall here, of this place, and of the server"
            ),
        ),
        (UdpAnswer::Silent, false, TcpAnswer::Silent | TcpAnswer::Unsent(_)) => CheckResult::fail(
            format!("nothing answers there: no answer on UDP {port} of {ip}, and {tcp}"),
            format!(
                "check that {ip} is the server's address, that it runs, and the way there: `ip route get {ip}`, `ping {ip}`"
            ),
        ),
    }
}

fn described(tcp: &TcpAnswer, port: u16) -> String {
    match tcp {
        TcpAnswer::Connected(took) => format!("TCP {port} answers after {took:.1?}"),
        TcpAnswer::Refused(took) => format!("TCP {port} is refused after {took:.1?}"),
        TcpAnswer::Silent => format!("TCP {port} is silent too"),
        TcpAnswer::Unsent(error) => format!("TCP {port}: {error}"),
    }
}

/// Asks UDP.
pub async fn udp_answer(address: SocketAddr) -> UdpAnswer {
    match ask_udp(address).await {
        Ok(Some(took)) => UdpAnswer::Answered(took),
        Ok(None) => UdpAnswer::Silent,
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => UdpAnswer::Refused,
        Err(error) => UdpAnswer::Unsent(error.to_string()),
    }
}

async fn ask_udp(address: SocketAddr) -> io::Result<Option<Duration>> {
    let own = match address.ip() {
        IpAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        IpAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let socket = UdpSocket::bind(own).await?;
    socket.connect(address).await?;
    let question = question(address);
    for wait in TRIES {
        let asked = Instant::now();
        socket.send(&question).await?;
        let mut answer = [0; 64];
        // Whatever comes from there is an answer; a longer one is cut.
        match timeout(wait, socket.recv(&mut answer)).await {
            Ok(received) => return received.map(|_| Some(asked.elapsed())),
            Err(_) => continue,
        }
    }
    Ok(None)
}

/// The long header of a packet in a version that nobody speaks, filled up (RFC 8999, 5.1).
fn question(address: SocketAddr) -> Vec<u8> {
    let mut packet = vec![0xc0];
    packet.extend(NO_VERSION);
    for id in [address.port().to_be_bytes(), [0xd0, 0xc7]] {
        packet.push(8);
        packet.extend([0; 6]);
        packet.extend(id);
    }
    packet.resize(QUESTION_BYTES, 0);
    packet
}

/// Asks TCP.
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
    fn check(udp_answer: UdpAnswer, is_shaking: bool, tcp: TcpAnswer, expected: Verdict, words: &str) {
        let remark = udp("192.0.2.1:8443".parse().unwrap(), &UdpSeen { udp: udp_answer, is_shaking, tcp });
        assert_eq!(remark.verdict, expected, "{remark:?}");
        assert!(remark.evidence.contains(words), "{remark:?}");
        assert_eq!(remark.remedy.is_some(), expected != Verdict::Ok, "{remark:?}");
    }

    #[test]
    fn a_blocked_path_is_told_from_a_silent_machine() {
        let blocked = "UDP is blocked between here and there";
        check(UdpAnswer::Silent, false, TcpAnswer::Connected(MS), Verdict::Fail, blocked);
        check(UdpAnswer::Silent, false, TcpAnswer::Refused(MS), Verdict::Fail, blocked);
        check(UdpAnswer::Silent, false, TcpAnswer::Silent, Verdict::Fail, "nothing answers there");
        let unsent = || TcpAnswer::Unsent("no route".to_owned());
        check(UdpAnswer::Silent, false, unsent(), Verdict::Fail, "nothing answers there");
        check(UdpAnswer::Refused, false, TcpAnswer::Connected(MS), Verdict::Fail, "nothing listens on UDP 8443");
        check(UdpAnswer::Refused, false, TcpAnswer::Refused(MS), Verdict::Fail, "nothing listens on UDP 8443");
        check(UdpAnswer::Unsent("no route".to_owned()), false, unsent(), Verdict::Fail, "could not be sent");
        check(UdpAnswer::Answered(MS), false, TcpAnswer::Connected(MS), Verdict::Fail, "no QUIC handshake");
        check(UdpAnswer::Answered(MS), true, TcpAnswer::Silent, Verdict::Ok, "answers after");
        check(UdpAnswer::Silent, true, TcpAnswer::Silent, Verdict::Ok, "QUIC handshake");
    }

    #[tokio::test]
    async fn a_closed_port_and_an_open_one_are_told_apart() {
        let closed = {
            let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            socket.local_addr().unwrap()
        };
        assert_eq!(udp_answer(closed).await, UdpAnswer::Refused);
        let open = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = open.local_addr().unwrap();
        let echo = tokio::spawn(async move {
            let mut question = [0; 1500];
            let (bytes, from) = open.recv_from(&mut question).await.unwrap();
            open.send_to(b"x", from).await.unwrap();
            bytes
        });
        assert!(matches!(udp_answer(address).await, UdpAnswer::Answered(_)));
        assert_eq!(echo.await.unwrap(), QUESTION_BYTES);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        assert!(matches!(tcp_answer(address).await, TcpAnswer::Connected(_)));
        drop(listener);
        assert!(matches!(tcp_answer(address).await, TcpAnswer::Refused(_)));
    }
}
