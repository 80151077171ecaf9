//! Newcomers on the link that hold permits and send nothing or an incomplete message.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use linecamp_model::limits::{FIRST_FRAME_BYTES_MAX, FRAME_BYTES_MAX};
use linecamp_model::{
    FromMember, HostId, IdentityGrant, KnownServers, MemberKind, Name, RefusalCode, ServerAddress, SessionId, SiteId,
    WallTime,
};
use linecamp_proto::{decode_refusal, encode_from_member};
use linecamp_service::{Metrics, ShareLimits};
use linecamp_transport::{
    Authority, Dialer, Expected, LinkSettings, Listener, ListenerSettings, Platform, Session, SessionEnd,
    SessionReceiver, SessionSender, SiteCredentials, SiteIdentity, SiteKey, SystemClock, Trust, WallClock as _,
};
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::driver::accept_counted;
use crate::session::{HandshakeStats, SessionNote};

/// The timeout of any operation in a test.
const PATIENCE: Duration = Duration::from_secs(20);

const PLACES: usize = 4;

struct Port {
    authority: Arc<Authority>,
    address: SocketAddr,
    trust: Trust,
    handshakes: Arc<HandshakeStats>,
    notes: mpsc::Receiver<(SessionId, SessionNote)>,
    heard: Vec<SessionNote>,
    _dir: TempDir,
}

/// Waits for a future that must complete within [`PATIENCE`].
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it happens before patience ends")
}

/// An open session, which lasts as long as these values.
type Open = (Site, SessionSender, SessionReceiver);

impl Port {
    fn open(idle_grace: Duration) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let names = ["localhost".to_owned()];
        let now = WallTime::from_unix_millis(SystemClock.now().unix_millis());
        let authority = Arc::new(Authority::create(&dir.path().join("ca"), &names, now).unwrap());
        let trust = Trust::Pin(authority.pin());
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let settings = ListenerSettings::default();
        let listener = Listener::bind(any_port, Arc::clone(&authority), settings, Platform::default()).unwrap();
        let address = listener.local_addr();
        let (sender, notes) = mpsc::channel(64);
        let places =
            ShareLimits { unauthenticated_max: PLACES, authenticated_max: PLACES, idle_grace, busy_grace: idle_grace };
        let handshakes = Arc::new(HandshakeStats::with_limits(places));
        tokio::spawn(accept_counted(Arc::new(listener), sender, Arc::clone(&handshakes)));
        Self { authority, address, trust, handshakes, notes, heard: Vec::new(), _dir: dir }
    }

    async fn dial(&self, site: &Site) -> Session {
        soon(site.dialer.dial(self.address, SiteCredentials::SelfMade(&site.key), &self.trust, Expected::Server))
            .await
            .unwrap()
    }

    /// Returns the next note to the loop. Notes are kept, because a session ends when its handle is dropped.
    async fn note(&mut self) -> &SessionNote {
        let (_, note) = soon(self.notes.recv()).await.unwrap();
        self.heard.push(note);
        self.heard.last().unwrap()
    }

    /// Sends an incomplete first message, and waits until the loop is notified of the session.
    async fn begin(&mut self, session: Session) -> (SessionSender, SessionReceiver) {
        let (mut sender, receiver) = session.split();
        // Polled once and dropped, after sending as much of the frame as the flow-control window allows.
        let mut sending = Box::pin(sender.send(&[1; FIRST_FRAME_BYTES_MAX]));
        let is_sent = poll_fn(|context| Poll::Ready(sending.as_mut().poll(context).is_ready())).await;
        assert!(!is_sent, "the frame is larger than the window");
        drop(sending);
        let note = self.note().await;
        assert!(matches!(note, SessionNote::Opened { .. }), "{note:?}");
        (sender, receiver)
    }

    /// Connects, sends a complete message, and waits until the loop receives it.
    async fn gets_through(&mut self) -> Open {
        let site = Site::new();
        let (mut sender, receiver) = self.dial(&site).await.split();
        soon(sender.send(&encode_from_member(&FromMember::Renew))).await.unwrap();
        while !matches!(self.note().await, SessionNote::Received(FromMember::Renew)) {}
        (site, sender, receiver)
    }

    /// Issues a certificate of this server to a site.
    fn member(&self, site: &Site) -> SiteIdentity {
        let validity = WallTime::EPOCH..WallTime::from_unix_millis(4_000_000_000_000);
        let certificate =
            self.authority.issue_member(site.key.public_key(), SiteId::from_bytes([1; 16]).into(), validity).unwrap();
        let grant = IdentityGrant {
            kind: MemberKind::Site,
            name: Name::parse("camp-042").unwrap(),
            environment: Name::parse("default").unwrap(),
            site: SiteId::from_bytes([1; 16]),
            host: HostId::from_bytes([2; 16]),
            certificate,
            gateway_chain: Vec::new(),
            authorities: vec![self.authority.certificate_der().to_vec()],
        };
        let servers = KnownServers::of_token(vec![ServerAddress::parse("localhost:1").unwrap()]);
        SiteIdentity::adopt(site.dir.path(), &grant, &servers).unwrap()
    }

    /// Returns the number of handshakes refused for `reason`.
    fn refused(&self, reason: &str) -> Option<u64> {
        let mut metrics = Metrics::default();
        self.handshakes.write(&mut metrics);
        let sample = format!("linecamp_handshakes_refused_total{{reason=\"{reason}\"}} ");
        let text = metrics.into_text();
        text.lines().find_map(|line| line.strip_prefix(&sample)?.parse().ok())
    }
}

struct Site {
    key: SiteKey,
    dialer: Dialer,
    dir: TempDir,
}

impl Site {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = SiteKey::load_or_create(dir.path()).unwrap();
        Self { key, dialer: Dialer::bind(LinkSettings::default(), Platform::default()).unwrap(), dir }
    }
}

#[tokio::test]
async fn half_open_sessions_of_one_address_block_no_site() {
    let mut port = Port::open(Duration::ZERO);
    let (site, mut silent) = (Site::new(), Vec::new());
    for _ in 0..3 * PLACES {
        silent.push(port.dial(&site).await);
    }
    port.gets_through().await;
    // The oldest was evicted, and did not time out.
    let (_sender, mut receiver) = silent.swap_remove(0).split();
    soon(receiver.recv(FRAME_BYTES_MAX)).await.unwrap_err();
    assert_eq!((port.refused("late"), port.refused("failed")), (Some(0), Some(0)));
}

#[tokio::test]
async fn sessions_with_an_unfinished_first_message_block_no_site() {
    let mut port = Port::open(Duration::ZERO);
    let (site, mut partial) = (Site::new(), Vec::new());
    for _ in 0..PLACES {
        let session = port.dial(&site).await;
        partial.push(port.begin(session).await);
    }
    let _open = port.gets_through().await;
    // The oldest was evicted, and is told why.
    let end = soon(partial[0].1.recv(FRAME_BYTES_MAX)).await.unwrap_err();
    let SessionEnd::Closed { code, reason } = end else { panic!("closed by the server, not {end}") };
    assert_eq!(decode_refusal(code, &reason).map(|refusal| refusal.code), Some(RefusalCode::Busy));
}

#[tokio::test]
async fn honest_newcomers_of_one_address_do_not_evict_each_other() {
    let mut port = Port::open(Duration::from_secs(3600));
    let mut open = Vec::new();
    for _ in 0..3 * PLACES {
        // Each releases its permit with its first message, and stays connected.
        open.push(port.gets_through().await);
    }
}

#[tokio::test]
async fn an_authenticated_site_is_not_evicted_for_newcomers_of_its_address() {
    let mut port = Port::open(Duration::ZERO);
    let site = Site::new();
    let member = port.member(&site);
    let shown = SiteCredentials::Issued(&member);
    let session = soon(site.dialer.dial(port.address, shown, &port.trust, Expected::Server)).await.unwrap();
    let (_sender, mut of_member) = port.begin(session).await;
    let mut partial = Vec::new();
    for _ in 0..PLACES {
        let session = port.dial(&site).await;
        partial.push(port.begin(session).await);
    }
    let _open = port.gets_through().await;
    let end = soon(async {
        tokio::select! {
            biased;
            end = of_member.recv(FRAME_BYTES_MAX) => Err(end),
            end = partial[0].1.recv(FRAME_BYTES_MAX) => Ok(end),
        }
    });
    end.await.expect("the oldest without a certificate makes room").unwrap_err();
}
