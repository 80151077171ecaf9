//! Clients without a credential cannot fill the log.

use std::io::Write as _;
use std::net::{TcpStream, UdpSocket};
use std::process::Command;

use linecamp_tests::{Fleet, skip};

/// The documented bound: 50 lines at once and one a second, of 1 KiB each. The test takes less than a minute.
const BYTES_MAX: usize = (50 + 60) * 1024;

/// Sends 2,000 requests of 20 KB without a key over a few connections. Returns false if curl is not installed.
fn send_requests(fleet: &Fleet) -> bool {
    let path = "x".repeat(20_000);
    let url = |root: &str| format!("https://{}{root}{path}[1-500]", fleet.server.https());
    let curl = Command::new("curl")
        .args(["--silent", "--insecure", "--request", "POST", "--header", "Authorization: Bearer \u{202e}no"])
        .args([url("/api/v1/sites/"), url("/install/"), url("/healthz?"), url("/")])
        .output();
    curl.is_ok()
}

fn flood(fleet: &Fleet) -> bool {
    for number in 0..300 {
        let mut stream = TcpStream::connect(fleet.server.https()).expect("the port is open");
        // Neither TLS nor HTTP.
        let _ = stream.write_all(&[0x41; 2_000][..number + 1]);
    }
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    for number in 0..300_u16 {
        let mut datagram = [0x5a; 1_200];
        datagram[..5].copy_from_slice(&[0xc3, 0, 0, 0, 1]);
        datagram[5..7].copy_from_slice(&number.to_be_bytes());
        let _ = socket.send_to(&datagram, fleet.server.quic());
    }
    send_requests(fleet)
}

#[test]
fn clients_without_a_key_cannot_fill_the_log() {
    for filter in ["info", "linecamp_server=debug,linecamp_downlink=debug,linecamp_transport=debug,info"] {
        let fleet = Fleet::start_with(&["--log", filter]);
        let before = fleet.server.log().len();
        if !flood(&fleet) {
            return skip("curl", "requests without a key: curl is not installed");
        }
        // A request with a key is answered after the flood, and logged.
        fleet.token(&[]);
        let log = fleet.server.log();
        let written = log.len() - before;
        assert!(written < BYTES_MAX, "{filter}: {written} bytes");
        assert!(log.lines().all(|line| line.len() <= 1024), "{filter}: a longer line");
        assert!(log.contains("POST /api/v1/tokens"), "{filter}: what a key changes is logged:\n{log}");
    }
}
