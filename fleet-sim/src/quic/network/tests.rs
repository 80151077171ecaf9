//! The network alone: what happens to datagrams without an endpoint.
//!
//! The runtime is that of `#[tokio::test(start_paused = true)]` without I/O.

use std::io::IoSliceMut;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use linecamp_transport::{AsyncUdpSocket, udp};

use super::{Path, SimNetwork};

const LATENCY: Duration = Duration::from_millis(40);

fn server() -> SocketAddr {
    ([10, 0, 0, 1], 4433).into()
}

fn site() -> SocketAddr {
    ([10, 1, 0, 1], 40_000).into()
}

fn outer() -> SocketAddr {
    ([192, 0, 2, 1], 61_000).into()
}

fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(test)
}

fn path() -> Path {
    Path { latency: LATENCY, ..Path::default() }
}

fn send(socket: &Arc<dyn AsyncUdpSocket>, destination: SocketAddr, contents: &[u8]) {
    let transmit = udp::Transmit { destination, ecn: None, contents, segment_size: None, src_ip: None };
    socket.try_send(&transmit).unwrap();
}

/// Returns the datagrams queued at a socket: the source, and the first byte.
fn received(socket: &Arc<dyn AsyncUdpSocket>) -> Vec<(SocketAddr, u8)> {
    let mut all = Vec::new();
    loop {
        let mut bytes = [0; 64];
        let mut meta = [udp::RecvMeta::default()];
        let mut context = Context::from_waker(Waker::noop());
        match socket.poll_recv(&mut context, &mut [IoSliceMut::new(&mut bytes)], &mut meta) {
            Poll::Ready(count) => {
                assert_eq!(count.unwrap(), 1);
                all.push((meta[0].addr, bytes[0]));
            }
            Poll::Pending => return all,
        }
    }
}

async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}

#[test]
fn a_datagram_is_delayed_and_counted_with_its_headers() {
    run(async {
        let network = SimNetwork::start(1);
        network.set_path(site(), path());
        let (at_server, at_site) = (network.socket(server()), network.socket(site()));
        send(&at_site, server(), b"up");
        pass(LATENCY - Duration::from_millis(1)).await;
        assert_eq!(received(&at_server), []);
        pass(Duration::from_millis(2)).await;
        assert_eq!(received(&at_server), [(site(), b'u')]);
        send(&at_server, site(), b"down");
        pass(2 * LATENCY).await;
        assert_eq!(received(&at_site), [(server(), b'd')]);

        let traffic = network.traffic(site());
        assert_eq!((traffic.up.datagrams, traffic.up.bytes), (1, 30));
        assert_eq!((traffic.down.datagrams, traffic.down.bytes, traffic.lost), (1, 32, 0));
    });
}

#[test]
fn a_cut_drops_datagrams_in_transit_in_its_direction_only() {
    run(async {
        let network = SimNetwork::start(1);
        network.set_path(site(), path());
        let (at_server, at_site) = (network.socket(server()), network.socket(site()));
        send(&at_site, server(), b"1");
        send(&at_server, site(), b"2");
        pass(LATENCY / 2).await;
        network.set_open(site(), false, true);
        send(&at_site, server(), b"3");
        pass(LATENCY).await;
        assert_eq!((received(&at_server), received(&at_site)), (vec![], vec![(server(), b'2')]));
        network.set_open(site(), true, true);
        send(&at_site, server(), b"4");
        pass(2 * LATENCY).await;
        assert_eq!(received(&at_server), [(site(), b'4')]);
        assert_eq!(network.traffic(site()).lost, 2);
    });
}

#[test]
fn a_lost_nat_mapping_changes_the_address_and_drops_datagrams_to_the_old_one() {
    run(async {
        let network = SimNetwork::start(1);
        network.set_path(site(), path());
        let (at_server, at_site) = (network.socket(server()), network.socket(site()));
        send(&at_server, site(), b"1");
        network.rebind(site(), outer());
        send(&at_server, site(), b"2");
        send(&at_site, server(), b"3");
        pass(2 * LATENCY).await;
        assert_eq!((received(&at_site), received(&at_server)), (vec![], vec![(outer(), b'3')]));
        send(&at_server, outer(), b"4");
        pass(2 * LATENCY).await;
        assert_eq!(received(&at_site), [(server(), b'4')]);
    });
}

#[test]
fn a_killed_socket_is_silent_and_frees_its_address() {
    run(async {
        let network = SimNetwork::start(1);
        network.set_path(site(), path());
        let (at_server, dead) = (network.socket(server()), network.socket(site()));
        network.kill(site());
        send(&dead, server(), b"1");
        send(&at_server, site(), b"2");
        pass(2 * LATENCY).await;
        assert_eq!((received(&dead), received(&at_server)), (vec![], vec![]));
        let next = network.socket(site());
        drop(dead);
        send(&at_server, site(), b"3");
        pass(2 * LATENCY).await;
        assert_eq!(received(&next), [(server(), b'3')]);
    });
}

#[test]
fn a_path_keeps_the_order_and_its_configured_rates() {
    let arrived = |path: Path| {
        run(async move {
            let network = SimNetwork::start(7);
            network.set_path(site(), path);
            let (at_server, at_site) = (network.socket(server()), network.socket(site()));
            for number in 0..200 {
                send(&at_site, server(), &[number]);
                pass(Duration::from_millis(1)).await;
            }
            pass(Duration::from_secs(1)).await;
            received(&at_server).into_iter().map(|(_, number)| number).collect::<Vec<u8>>()
        })
    };
    let jitter = Duration::from_millis(30);
    let all: Vec<u8> = (0..200).collect();
    assert_eq!(arrived(Path { jitter, ..path() }), all);
    let lossy = arrived(Path { loss_per_mille: 100, ..path() }).len();
    assert!((170..190).contains(&lossy), "{lossy}");
    let doubled = arrived(Path { duplicated_per_mille: 100, ..path() }).len();
    assert!((210..230).contains(&doubled), "{doubled}");
    let mut reordered = arrived(Path { reordered_per_mille: 100, ..path() });
    assert_ne!(reordered, all);
    reordered.sort_unstable();
    assert_eq!(reordered, all);
}

#[test]
fn an_echo_resends_the_last_datagrams() {
    run(async {
        let network = SimNetwork::start(1);
        network.set_path(site(), path());
        let (at_server, at_site) = (network.socket(server()), network.socket(site()));
        send(&at_site, server(), b"1");
        send(&at_server, site(), b"2");
        pass(2 * LATENCY).await;
        network.echo(site());
        pass(2 * LATENCY).await;
        assert_eq!(received(&at_server), [(site(), b'1'); 2]);
        assert_eq!(received(&at_site), [(server(), b'2'); 2]);
    });
}
