//! Newcomers at the link that take places and say nothing, or half of a word.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use linecamp_model::limits::FIRST_FRAME_BYTES_MAX;
use linecamp_model::{FromSite, SessionId};
use linecamp_proto::encode_from_site;
use linecamp_service::ShareLimits;
use linecamp_transport::{
    Authority, Dialer, LinkSettings, Listener, ListenerSettings, Platform, Session, SiteCredentials, SiteKey, Trust,
};
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::fixture::soon;
use crate::drive::link::accept_counted;
use crate::drive::session::{HandshakeStats, SessionNote};
use crate::{Layout, ServerUrl, init};

const PLACES: usize = 4;

struct Port {
    address: SocketAddr,
    trust: Trust,
    notes: mpsc::Receiver<(SessionId, SessionNote)>,
    heard: Vec<SessionNote>,
    _dir: TempDir,
}

impl Port {
    fn open(idle_grace: Duration) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        init(&layout, &ServerUrl::parse("https://localhost").unwrap(), &[]).unwrap();
        let authority = Arc::new(Authority::load(&layout.ca()).unwrap());
        let trust = Trust::Pin(authority.pin());
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = Listener::bind(any_port, authority, ListenerSettings::default(), Platform::default()).unwrap();
        let address = listener.local_addr();
        let (sender, notes) = mpsc::channel(64);
        let limits =
            ShareLimits { unauthenticated_max: PLACES, authenticated_max: 0, idle_grace, busy_grace: idle_grace };
        tokio::spawn(accept_counted(Arc::new(listener), sender, Arc::new(HandshakeStats::with_places(limits))));
        Self { address, trust, notes, heard: Vec::new(), _dir: dir }
    }

    async fn dial(&self, site: &Site) -> Session {
        soon(site.dialer.dial(self.address, SiteCredentials::SelfMade(&site.key), &self.trust)).await.unwrap()
    }

    /// Returns what the loop hears next. What it heard is kept: a session ends with its handle.
    async fn note(&mut self) -> &SessionNote {
        let (_, note) = soon(self.notes.recv()).await.unwrap();
        self.heard.push(note);
        self.heard.last().unwrap()
    }

    /// Dials, says a whole message, and waits until the loop hears it.
    async fn gets_through(&mut self) {
        let site = Site::new();
        let (mut sender, _receiver) = self.dial(&site).await.split();
        soon(sender.send(&encode_from_site(&FromSite::Renew))).await.unwrap();
        while !matches!(self.note().await, SessionNote::Received(FromSite::Renew)) {}
    }
}

struct Site {
    key: SiteKey,
    dialer: Dialer,
    _dir: TempDir,
}

impl Site {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = SiteKey::load_or_create(dir.path()).unwrap();
        Self { key, dialer: Dialer::bind(LinkSettings::default(), Platform::default()).unwrap(), _dir: dir }
    }
}

#[tokio::test]
async fn half_open_sessions_of_one_address_shut_no_site_out() {
    let mut port = Port::open(Duration::ZERO);
    let (site, mut silent) = (Site::new(), Vec::new());
    for _ in 0..3 * PLACES {
        silent.push(port.dial(&site).await);
    }
    port.gets_through().await;
}

#[tokio::test]
async fn sessions_that_never_end_their_first_message_shut_no_site_out() {
    let mut port = Port::open(Duration::ZERO);
    let (site, mut partial) = (Site::new(), Vec::new());
    for _ in 0..PLACES {
        let (mut sender, receiver) = port.dial(&site).await.split();
        // Tried once and dropped, with what the window takes of the frame on its way.
        let mut sending = Box::pin(sender.send(&[1; FIRST_FRAME_BYTES_MAX]));
        let is_sent = poll_fn(|context| Poll::Ready(sending.as_mut().poll(context).is_ready())).await;
        assert!(!is_sent, "the frame is larger than the window");
        drop(sending);
        partial.push((sender, receiver));
        let note = port.note().await;
        assert!(matches!(note, SessionNote::Opened { .. }), "{note:?}");
    }
    port.gets_through().await;
    assert!(matches!(port.note().await, SessionNote::Closed(_)), "one of them made room");
}

#[tokio::test]
async fn honest_newcomers_of_one_address_do_not_evict_each_other() {
    let mut port = Port::open(Duration::from_secs(3600));
    for _ in 0..3 * PLACES {
        // Each leaves its place with its first message.
        port.gets_through().await;
    }
}
