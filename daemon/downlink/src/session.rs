//! One session, in one task: reads frames, writes frames and reports how the session ended.
//!
//! The task reads and writes concurrently, so that the two peers cannot deadlock with both flow-control windows full. A
//! newcomer may send one small frame; until the loop has answered it, the next frame must be small too. Ten thousand of
//! these tasks may be idle, so they hold no buffer between frames.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use linecamp_model::limits::{FIRST_FRAME_BYTES_MAX, FRAME_BYTES_MAX};
use linecamp_model::{FromMember, FromParent, KeyFingerprint, Refusal, RefusalCode, SessionId, excerpt};
use linecamp_proto::{decode_from_member, encode_from_parent, encode_refusal, refusal_code_number};
use linecamp_service::{
    Class, ConnectionLimiter, ConnectionPermit, Kind, Metrics, Network, PEER_TEXT_BYTES_MAX, SPAN_TARGET, ShareLimits,
    panics,
};
use linecamp_transport::{
    Credential, Incoming, Peer, Session, SessionCloser, SessionEnd, SessionReceiver, SessionSender, TransportError,
    error_chain,
};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tracing::Instrument as _;

/// A server's limits for newcomers: connections between their first packet and their first complete message. At 30 KB
/// each they use 30 MB, and 10,000 reconnecting sites pass through in a few seconds.
///
/// - A newcomer has proved its address.
/// - At the limit, a newcomer of the network with the most newcomers is evicted. Within one network (hundreds of sites
///   behind one NAT) this happens only after three seconds, three round trips of a satellite link; otherwise the new
///   connection is ignored, and its peer retries.
/// - A newcomer that presents a certificate of this parent counts against a second limit of the same size.
const NEWCOMERS: ShareLimits = ShareLimits {
    unauthenticated_max: 1024,
    authenticated_max: 1024,
    idle_grace: Duration::from_secs(3),
    busy_grace: Duration::from_secs(3),
};

/// A gateway's limits for newcomers. A gateway has at most 256 hosts ([`HOSTS_PER_SITE_MAX`]), and a handshake on a LAN
/// takes milliseconds: 64 hosts may join at once, and 64 with a certificate may return at once. At 30 KB each all of
/// them use 4 MB, on a machine with little memory.
///
/// At a limit the rules of a server apply. All IPv6 addresses of a LAN are one network, so there a newcomer that sends
/// nothing keeps its place for three seconds.
///
/// [`HOSTS_PER_SITE_MAX`]: linecamp_model::limits::HOSTS_PER_SITE_MAX
const GATEWAY_NEWCOMERS: ShareLimits = ShareLimits { unauthenticated_max: 64, authenticated_max: 64, ..NEWCOMERS };

/// Maximum number of frames queued for one session. The state machine sends one spec at a time and answers what the
/// member sends, so only a peer that sends requests and does not read the answers reaches this limit; its session is
/// closed as busy. A spec of 4 MiB is 5 frames, and a site may wait for 16 plugin pieces; the other kinds are small.
const OUTGOING_FRAMES_MAX: usize = 32;

/// Maximum number of plugin pieces that one session may have outstanding. A site requests one piece of each missing
/// plugin and has at most 16 providers. A session that requests more is closed as busy.
const PLUGIN_READS_MAX: usize = 16;

/// Maximum number of messages of all sessions queued for the loop. At this limit sessions stop reading. The loop drains
/// the queue each time it runs, so a larger queue would only use more memory: a message can be a megabyte.
pub const SESSION_NOTES_MAX: usize = 128;

/// The sessions' sender to the loop.
pub type SessionNotes = mpsc::Sender<(SessionId, SessionNote)>;

/// A note from a session to the loop: `Opened` is the first, `Closed` the last.
#[derive(Debug)]
pub enum SessionNote {
    /// The handshake completed.
    Opened {
        /// The authenticated peer.
        peer: Peer,
        /// The peer's address.
        address: SocketAddr,
        /// The handle for answering the peer.
        handle: SessionHandle,
    },
    /// A message arrived.
    Received(FromMember),
    /// The peer's address changed (connection migration).
    Moved(SocketAddr),
    /// The session ended.
    Closed(SessionEnd),
}

/// The loop's handle of a session.
#[derive(Clone, Debug)]
pub struct SessionHandle {
    outgoing: mpsc::Sender<Vec<u8>>,
    closer: SessionCloser,
    plugin_reads: Arc<Semaphore>,
}

impl SessionHandle {
    /// Queues a message. Closes the session as busy if the queue is full, because the peer does not read its answers.
    pub fn send(&self, message: &FromParent) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.outgoing.try_send(encode_from_parent(message)) {
            let remote = self.closer.remote_address();
            tracing::debug!(name: "peer: session closed", %remote, "closing session: too many unread answers");
            let text = "too many unread answers";
            self.hang_up(&Refusal::new(RefusalCode::Busy, text));
        }
    }

    /// Acquires a permit for an answer that takes a while; dropping it releases it. If none is left, the peer has too
    /// many requests outstanding, and its session is closed as busy.
    pub fn plugin_read_permit(&self) -> Option<OwnedSemaphorePermit> {
        let permit = Arc::clone(&self.plugin_reads).try_acquire_owned().ok();
        if permit.is_none() {
            self.hang_up(&Refusal::new(RefusalCode::Busy, "too many plugin pieces requested at once"));
        }
        permit
    }

    /// Closes the session with a reason. Queued messages are dropped.
    pub fn hang_up(&self, refusal: &Refusal) {
        close(&self.closer, refusal);
    }
}

/// Handshake statistics since the process started, and the limiter for newcomers. The default is for a server; see
/// [`HandshakeStats::for_gateway`].
#[derive(Debug)]
pub struct HandshakeStats {
    /// Peers that have not sent their first message yet.
    newcomers: ConnectionLimiter<Newcomer>,
    /// The number of sessions so far; also the source of session IDs.
    sessions: AtomicU64,
    /// Handshakes that failed.
    failed: AtomicU64,
    /// Handshakes that timed out.
    late: AtomicU64,
}

impl Default for HandshakeStats {
    fn default() -> Self {
        Self::with_limits(NEWCOMERS)
    }
}

/// The account that a newcomer's connection permit is charged to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Newcomer {
    /// The source network.
    Network(Network),
    /// The peer's key, once it has presented a certificate of this parent.
    Key(KeyFingerprint),
}

/// The connection permit of a newcomer.
pub(crate) type NewcomerPermit = ConnectionPermit<Newcomer>;

impl HandshakeStats {
    /// Creates statistics with the limits of a gateway: 64 newcomers without a certificate, and 64 with one. A server
    /// has 1,024 each.
    pub fn for_gateway() -> Self {
        Self::with_limits(GATEWAY_NEWCOMERS)
    }

    /// Creates statistics and a limiter for newcomers.
    pub(crate) fn with_limits(newcomers: ShareLimits) -> Self {
        Self {
            newcomers: ConnectionLimiter::new(newcomers),
            sessions: AtomicU64::default(),
            failed: AtomicU64::default(),
            late: AtomicU64::default(),
        }
    }

    /// Admits a newcomer, or ignores it.
    pub(crate) fn admit(&self, incoming: Incoming) -> Option<(Incoming, NewcomerPermit)> {
        let remote = incoming.remote_address();
        let Some(permit) = self.newcomers.admit(Newcomer::Network(Network::of(remote.ip())), Class::Unauthenticated)
        else {
            tracing::debug!(name: "peer: handshake refused", %remote, "too many handshakes in progress: ignoring the connection");
            incoming.ignore();
            return None;
        };
        Some((incoming, permit))
    }

    /// Writes the metrics of a server, whose members are sites.
    pub fn write(&self, metrics: &mut Metrics) {
        let newcomers = self.newcomers.counts();
        let help = "Failed or rejected handshakes of sites, by reason.";
        metrics
            .family("linecamp_handshakes_refused_total", Kind::Counter, help)
            .sample(&[("reason", "failed")], self.failed.load(Ordering::Relaxed))
            .sample(&[("reason", "late")], self.late.load(Ordering::Relaxed))
            .sample(&[("reason", "evicted")], newcomers.evicted)
            .sample(&[("reason", "ignored")], newcomers.rejected);
        let sessions = self.sessions.load(Ordering::Relaxed);
        metrics.one("linecamp_handshakes_total", Kind::Counter, "Successful handshakes of sites.", sessions);
    }
}

/// Performs the handshake with a newcomer and serves its session until it ends.
///
/// The handshake is boxed, so that its memory is freed when it ends: this future lives as long as the session.
pub(crate) fn serve(
    incoming: Incoming,
    permit: NewcomerPermit,
    handshakes: Arc<HandshakeStats>,
    notes: SessionNotes,
) -> impl Future<Output = ()> + Send {
    let established = Box::pin(establish(incoming, permit, handshakes));
    async move {
        if let Some((id, peer, session, permit)) = established.await {
            let span = tracing::debug_span!("session", session = %id, key = %peer.fingerprint);
            run_session(id, peer, session, (permit, notes)).instrument(span).await;
        }
    }
}

/// Performs the handshake with a newcomer; `None` if it failed.
async fn establish(
    incoming: Incoming,
    permit: NewcomerPermit,
    handshakes: Arc<HandshakeStats>,
) -> Option<(SessionId, Peer, Session, NewcomerPermit)> {
    let remote = incoming.remote_address();
    let handshake =
        tracing::info_span!(target: SPAN_TARGET, "link.handshake", otel.kind = "server", client.address = %remote);
    let established = tokio::select! {
        biased;
        () = permit.evicted() => {
            tracing::debug!(name: "peer: handshake refused", %remote, "handshake evicted to make room for another");
            return None;
        }
        established = incoming.establish().instrument(handshake) => established,
    };
    match established {
        Ok((peer, session)) => {
            if matches!(peer.credential, Credential::Issued { .. }) {
                permit.authenticate(Newcomer::Key(peer.fingerprint));
            }
            let id = SessionId(handshakes.sessions.fetch_add(1, Ordering::Relaxed) + 1);
            Some((id, peer, session, permit))
        }
        Err(error) => {
            let count = match error {
                TransportError::HandshakeLate { .. } => &handshakes.late,
                _ => &handshakes.failed,
            };
            count.fetch_add(1, Ordering::Relaxed);
            let error = excerpt(&error_chain(&error), PEER_TEXT_BYTES_MAX);
            tracing::debug!(name: "peer: handshake failed", %remote, error, "handshake failed");
            None
        }
    }
}

async fn run_session(id: SessionId, peer: Peer, session: Session, (permit, notes): (NewcomerPermit, SessionNotes)) {
    let address = session.remote_address();
    let (outgoing, queue) = mpsc::channel(OUTGOING_FRAMES_MAX);
    let closer = session.closer();
    tracing::debug!(name: "peer: session opened", remote = %address, credential = ?peer.credential, "session opened");
    let plugin_reads = Arc::new(Semaphore::new(PLUGIN_READS_MAX));
    let handle = SessionHandle { outgoing, closer: closer.clone(), plugin_reads };
    let opened = SessionNote::Opened { peer, address, handle };
    if notes.send((id, opened)).await.is_err() {
        return;
    }
    let admitted = Notify::new();
    let (sender, receiver) = session.split();
    let reader = Reader { id, address, receiver, closer, newcomer: Some(permit), notes: &notes };
    let run = async {
        tokio::select! {
            biased;
            end = reader.run(&admitted) => end,
            end = write(sender, queue, &admitted) => end,
        }
    };
    // Even after a panic, the loop is told that the session ended.
    let end = panics::caught(run).await.unwrap_or_else(|panic| {
        tracing::error!(name: "peer: panic of a session", panic, "session closed: its task panicked");
        SessionEnd::ClosedHere
    });
    // The close reason comes from the peer and may contain anything.
    let reason = excerpt(&end.to_string(), PEER_TEXT_BYTES_MAX);
    tracing::debug!(name: "peer: session closed", end = reason, "session closed");
    // The loop may have ended before its sessions.
    drop(notes.send((id, SessionNote::Closed(end))).await);
}

struct Reader<'a> {
    id: SessionId,
    address: SocketAddr,
    receiver: SessionReceiver,
    closer: SessionCloser,
    /// `Some` until the first message arrives.
    newcomer: Option<NewcomerPermit>,
    notes: &'a SessionNotes,
}

impl Reader<'_> {
    async fn run(mut self, admitted: &Notify) -> SessionEnd {
        let mut bytes_max = FIRST_FRAME_BYTES_MAX;
        loop {
            let received = tokio::select! {
                biased;
                () = admitted.notified(), if bytes_max == FIRST_FRAME_BYTES_MAX => {
                    bytes_max = FRAME_BYTES_MAX;
                    continue;
                }
                () = evicted(self.newcomer.as_ref()) => return self.make_room(),
                received = self.receiver.recv(bytes_max) => received,
            };
            let message = match received {
                Ok(payload) => {
                    self.newcomer = None;
                    decode_from_member(&payload).map_err(|error| error_chain(&error))
                }
                Err(SessionEnd::BadFrame(error)) => Err(error.to_string()),
                Err(end) => return end,
            };
            let notes = match message {
                Ok(message) => self.note_move().into_iter().chain([SessionNote::Received(message)]),
                Err(problem) => return self.refuse(&problem),
            };
            for note in notes {
                if self.notes.send((self.id, note)).await.is_err() {
                    return SessionEnd::ClosedHere;
                }
            }
        }
    }

    /// Closes the session of a peer that has not sent its first message, to make room for another.
    fn make_room(&self) -> SessionEnd {
        let text = "too many connections in progress, and this one sent no message in time";
        close(&self.closer, &Refusal::new(RefusalCode::Busy, text));
        SessionEnd::ClosedHere
    }

    /// Checks whether the peer's address changed. Once per message is enough: a member sends a message whenever
    /// something matters.
    fn note_move(&mut self) -> Option<SessionNote> {
        let address = self.closer.remote_address();
        let before = std::mem::replace(&mut self.address, address);
        (before != address).then_some(SessionNote::Moved(address))
    }

    /// Closes the session of a peer that violates the protocol.
    fn refuse(&self, problem: &str) -> SessionEnd {
        let (remote, shown) = (self.closer.remote_address(), excerpt(problem, PEER_TEXT_BYTES_MAX));
        tracing::debug!(name: "peer: invalid message", %remote, problem = shown, "closing session: invalid message");
        close(&self.closer, &Refusal::new(RefusalCode::Protocol, problem));
        SessionEnd::ClosedHere
    }
}

async fn evicted(newcomer: Option<&NewcomerPermit>) {
    match newcomer {
        Some(permit) => permit.evicted().await,
        None => std::future::pending().await,
    }
}

/// Writes queued frames. The first answer admits the peer, which may send larger frames from then on.
async fn write(mut sender: SessionSender, mut queue: mpsc::Receiver<Vec<u8>>, admitted: &Notify) -> SessionEnd {
    let mut is_admitted = false;
    while let Some(payload) = queue.recv().await {
        if !std::mem::replace(&mut is_admitted, true) {
            admitted.notify_one();
        }
        if let Err(end) = sender.send(&payload).await {
            return end;
        }
    }
    SessionEnd::ClosedHere
}

fn close(closer: &SessionCloser, refusal: &Refusal) {
    closer.close(refusal_code_number(refusal.code), &encode_refusal(refusal));
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    #[test]
    fn a_gateway_has_room_for_sixty_four_newcomers() {
        let handshakes = HandshakeStats::for_gateway();
        let of_host = Newcomer::Network(Network::of(IpAddr::V4(Ipv4Addr::new(192, 168, 1, 7))));
        let admit = || handshakes.newcomers.admit(of_host, Class::Unauthenticated);
        let admitted: Vec<_> = (0..64).map_while(|_| admit()).collect();
        assert_eq!(admitted.len(), 64);
        assert!(admit().is_none(), "each of them keeps its place for three seconds");
    }
}
