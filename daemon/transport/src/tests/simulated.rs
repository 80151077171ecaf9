//! The same endpoints on an in-memory network, with a clock that jumps from timer to timer.

use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use linecamp_proto::frame::encode_frame;
use tokio::time::Instant;

use super::fixture::{ManualClock, START, authority, platform};
use crate::{
    AsyncUdpSocket, Dialer, Expected, LinkSettings, Listener, ListenerSettings, Platform, RandomSource, SessionEnd,
    SessionReceiver, SessionSender, SiteCredentials, SiteKey, Trust, UdpPoller, udp,
};

const HOUR: Duration = Duration::from_secs(3600);

/// One direction of a cable.
#[derive(Debug, Default)]
struct Lane {
    packets: Mutex<(VecDeque<Vec<u8>>, Option<Waker>)>,
}

/// One end of a cable between two addresses.
#[derive(Debug)]
struct Plug {
    local: SocketAddr,
    remote: SocketAddr,
    inbound: Arc<Lane>,
    outbound: Arc<Lane>,
    is_cut: Arc<AtomicBool>,
}

#[derive(Debug)]
struct AlwaysWritable;

impl UdpPoller for AlwaysWritable {
    fn poll_writable(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncUdpSocket for Plug {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(AlwaysWritable)
    }

    fn try_send(&self, transmit: &udp::Transmit<'_>) -> io::Result<()> {
        if !self.is_cut.load(Ordering::Relaxed) {
            let mut packets = self.outbound.packets.lock().unwrap();
            packets.0.push_back(transmit.contents.to_vec());
            if let Some(waker) = packets.1.take() {
                waker.wake();
            }
        }
        Ok(())
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [udp::RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut packets = self.inbound.packets.lock().unwrap();
        let Some(packet) = packets.0.pop_front() else {
            packets.1 = Some(context.waker().clone());
            return Poll::Pending;
        };
        buffers[0][..packet.len()].copy_from_slice(&packet);
        meta[0].addr = self.remote;
        meta[0].len = packet.len();
        meta[0].stride = packet.len();
        Poll::Ready(Ok(1))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }
}

struct World {
    is_cut: Arc<AtomicBool>,
    site: (SessionSender, SessionReceiver),
    server: (SessionSender, SessionReceiver),
    _endpoints: (Dialer, Arc<Listener>),
}

async fn linked(settings: LinkSettings) -> World {
    let dir = tempfile::tempdir().unwrap();
    let authority = Arc::new(authority(&dir.path().join("ca")));
    let trust = Trust::Pin(authority.pin());
    let key = SiteKey::load_or_create(&dir.path().join("identity")).unwrap();

    let [site_address, server_address] = [([10, 0, 0, 1], 1).into(), ([10, 0, 0, 2], 2).into()];
    let (up, down) = (Arc::new(Lane::default()), Arc::new(Lane::default()));
    let is_cut = Arc::new(AtomicBool::new(false));
    let plug = |local, remote, inbound: &Arc<Lane>, outbound: &Arc<Lane>, seed| Platform {
        socket: Some(Arc::new(Plug {
            local,
            remote,
            inbound: Arc::clone(inbound),
            outbound: Arc::clone(outbound),
            is_cut: Arc::clone(&is_cut),
        })),
        random: RandomSource::seeded([seed; 32]),
        ..platform(&ManualClock::at(START))
    };
    let server_platform = plug(server_address, site_address, &up, &down, 1);
    let site_platform = plug(site_address, server_address, &down, &up, 2);

    let listener = Listener::bind(server_address, authority, ListenerSettings::default(), server_platform).unwrap();
    let listener = Arc::new(listener);
    let accepting = Arc::clone(&listener);
    let accepted = tokio::spawn(async move { accepting.accept().await.unwrap().establish().await.unwrap() });
    let dialer = Dialer::bind(settings, site_platform).unwrap();
    let session = dialer.dial(server_address, SiteCredentials::SelfMade(&key), &trust, Expected::Server).await.unwrap();
    let mut site = session.split();
    site.0.send(b"hello").await.unwrap();
    let (_, session) = accepted.await.unwrap();
    let mut server = session.split();
    assert_eq!(server.1.recv(9).await.as_deref(), Ok(&b"hello"[..]));
    World { is_cut, site, server, _endpoints: (dialer, listener) }
}

/// Three keep-alives fit in the server's idle timeout, also on metered links.
#[tokio::test(start_paused = true)]
async fn an_idle_link_stays_up_metered_or_not() {
    for settings in [LinkSettings::default(), LinkSettings::metered()] {
        let mut world = linked(settings).await;
        tokio::time::sleep(HOUR).await;
        world.server.0.send(b"news").await.unwrap();
        assert_eq!(world.site.1.recv(9).await.as_deref(), Ok(&b"news"[..]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_cut_cable_is_noticed_by_both_ends_within_the_sites_idle_timeout() {
    for settings in [LinkSettings::default(), LinkSettings::metered()] {
        let mut world = linked(settings).await;
        world.is_cut.store(true, Ordering::Relaxed);
        let since = Instant::now();
        let (site, server) = tokio::join!(world.site.1.recv(9), world.server.1.recv(9));
        assert_eq!((site, server), (Err(SessionEnd::Silent), Err(SessionEnd::Silent)));
        let noticed = since.elapsed();
        assert!(noticed <= settings.idle_timeout + settings.keep_alive, "{noticed:?}");
    }
}

/// A peer that keeps its link alive but never completes a frame loses its session.
#[tokio::test(start_paused = true)]
async fn a_frame_that_never_ends_ends_its_session_and_slow_frames_do_not() {
    let mut world = linked(LinkSettings::default()).await;
    let whole = encode_frame(&[7; 64]);
    for byte in whole.chunks(1) {
        world.site.0.write_raw(byte).await;
        tokio::time::sleep(Duration::from_secs(4)).await;
    }
    assert_eq!(world.server.1.recv(64).await.as_deref(), Ok(&[7; 64][..]), "the time begins with its first byte here");

    let since = Instant::now();
    world.site.0.write_raw(&whole[..20]).await;
    for _ in 0..10 {
        // A canceled call, as in a select loop, does not restart the time limit.
        assert!(tokio::time::timeout(Duration::from_secs(10), world.server.1.recv(64)).await.is_err());
    }
    let Err(SessionEnd::Broken(problem)) = world.server.1.recv(64).await else { panic!("the frame never ends") };
    assert_eq!((problem.as_str(), since.elapsed().as_secs()), ("frame incomplete after 300 s", 300));
}
