//! Malformed traffic on open ports does not affect the fleet.

use std::io::{Read as _, Write as _};
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

use linecamp_tests::Fleet;

use crate::cli_json::{connected_site, wait_label_at_server, wait_label_at_site};

/// Random bytes, the same in every run (Marsaglia's xorshift).
fn random_bytes(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    std::iter::repeat_with(next).take(bytes).collect()
}

#[test]
fn garbage_on_the_link_port_does_not_affect_others() {
    let fleet = Fleet::start();
    let site = connected_site(&fleet, "camp");
    let doing = || site.local(&["status", "-o", "json"]).ok().json()["link_doing"].clone();
    let before = doing();
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    for number in 0..2_000_u64 {
        let mut datagram = random_bytes(number, usize::try_from(number % 1_400).expect("small"));
        if let (true, Some(first)) = (number % 2 == 0, datagram.first_mut()) {
            // A long header with version 1: gets as far into a decoder as possible.
            *first |= 0xc0;
            datagram.splice(1..5.min(datagram.len()), [0, 0, 0, 1]);
        }
        let _ = socket.send_to(&datagram, fleet.server.quic());
    }
    fleet.cli(&["site", "label", "camp", "rack=r7"]).ok();
    wait_label_at_site(&fleet, &site, "rack", Some("r7"));
    assert_eq!(doing(), before, "the session is unchanged");
}

#[test]
fn garbage_and_partial_handshakes_on_the_https_port_do_not_affect_others() {
    let fleet = Fleet::start();
    let site = connected_site(&fleet, "camp");
    let open = || TcpStream::connect(fleet.server.https()).expect("the port is open");
    let mut garbage = open();
    let _ = garbage.write_all(&random_bytes(7, 10_000));
    let _ = garbage.shutdown(std::net::Shutdown::Write);
    garbage.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    let mut answer = Vec::new();
    let ended = garbage.read_to_end(&mut answer);
    assert!(answer.len() < 100, "an alert at most: {ended:?}");
    let mut plain = open();
    plain.write_all(b"GET / HTTP/1.1\r\nHost: camp\r\n\r\n").expect("it is read");
    // The start of a TLS record that announces more, and then nothing; many of them.
    let halves: Vec<_> = (0..100)
        .map(|_| {
            let mut half = open();
            half.write_all(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00]).expect("it is read");
            half
        })
        .collect();

    fleet.cli(&["site", "label", "camp", "rack=r7"]).ok();
    wait_label_at_site(&fleet, &site, "rack", Some("r7"));
    site.local(&["label", "set", "door=3"]).ok();
    wait_label_at_server(&fleet, "camp", "door", Some("3"));
    drop((halves, plain));
}
