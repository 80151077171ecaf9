//! What an attacker gains who writes another's address as the sender of its packets.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use linecamp_model::limits::FIRST_FRAME_BYTES_MAX;
use tokio::net::UdpSocket;

use super::fixture::{Server, Site, loopback, platform, soon};
use crate::{DialError, Dialer, Expected, LinkSettings, ListenerSettings};

/// How much more a server may send to an address than it received from it before the address is validated. Source:
/// RFC 9000, 8.1.
const AMPLIFICATION_MAX: usize = 3;

/// The first four bits of a Retry packet (RFC 9000, 17.2.5).
const RETRY: u8 = 0b1111_0000;

/// The first packets of a site reach the server, and none of the server's replies reaches the site.
#[tokio::test]
async fn an_unvalidated_address_gets_at_most_three_times_what_it_sent() {
    let limit = Duration::from_secs(3);
    let server = Server::start_with(ListenerSettings { handshake_limit: limit, ..ListenerSettings::default() });
    let (site, relay) = (Site::start(), UdpSocket::bind(loopback()).await.unwrap());
    let impatient = LinkSettings { handshake_limit: limit, ..LinkSettings::default() };
    let dialer = Dialer::bind(impatient, platform(&site.clock)).unwrap();
    let (address, trust) = (relay.local_addr().unwrap(), server.pin());
    let mut dial = std::pin::pin!(dialer.dial(address, site.self_made(), &trust, Expected::Server));
    let (mut sent, mut received, mut packet) = (0, 0, vec![0; 2048]);
    loop {
        let (bytes, from) = tokio::select! {
            biased;
            datagram = relay.recv_from(&mut packet) => datagram.unwrap(),
            ended = &mut dial => {
                assert!(matches!(ended, Err(DialError::Silent { .. })), "{ended:?}");
                break;
            }
        };
        if from == server.address() {
            received += bytes;
        } else if received == 0 {
            sent += relay.send_to(&packet[..bytes], server.address()).await.unwrap();
        }
    }
    assert!(0 < received && received <= AMPLIFICATION_MAX * sent, "{received} bytes for {sent}");
}

/// A second handshake from the same address needs no proof of it.
#[tokio::test]
async fn a_peer_proves_its_address_once() {
    let (mut server, site) = (Server::start(), Site::start());
    let (trust, relay) = (server.pin(), Arc::new(UdpSocket::bind(loopback()).await.unwrap()));
    let (server_address, address) = (server.address(), relay.local_addr().unwrap());
    let retries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&retries);
    tokio::spawn(async move {
        let (mut packet, mut peer) = (vec![0; 2048], server_address);
        while let Ok((bytes, from)) = relay.recv_from(&mut packet).await {
            let is_reply = from == server_address;
            if !is_reply {
                peer = from;
            } else if packet[0] & 0b1111_0000 == RETRY {
                counted.fetch_add(1, Ordering::Relaxed);
            }
            relay.send_to(&packet[..bytes], if is_reply { peer } else { server_address }).await.unwrap();
        }
    });
    for dial in ["first", "second", "third"] {
        let session = soon(site.dialer.dial(address, site.self_made(), &trust, Expected::Server)).await.unwrap();
        let (mut sender, mut receiver) = session.split();
        sender.send(b"hello").await.unwrap();
        let (_peer, session) = server.arrival().await.unwrap();
        let (mut reply, _from_member) = session.split();
        // The token arrives before this.
        reply.send(b"welcome").await.unwrap();
        soon(receiver.recv(FIRST_FRAME_BYTES_MAX)).await.unwrap();
        assert_eq!(retries.load(Ordering::Relaxed), 1, "after the {dial} dial");
    }
}
