//! One session, in one task: frames in, frames out, and how it ended.
//!
//! The task reads and writes at the same time, so that neither side can make the other wait for ever with both
//! windows full. A newcomer may say one small thing; until the loop has answered it, the next frame must be small
//! too. Ten thousand of these tasks sit idle, so they hold no buffer between frames.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use linecamp_model::limits::{FIRST_FRAME_BYTES_MAX, FRAME_BYTES_MAX};
use linecamp_model::{FromServer, FromSite, KeyFingerprint, Refusal, RefusalCode, SessionId, SiteId};
use linecamp_proto::{decode_from_site, encode_from_server, encode_refusal, refusal_code_number};
use linecamp_service::{Class, ConnectionLimiter, ConnectionPermit, Kind, Metrics, Network, ShareLimits};
use linecamp_transport::{
    Credential, Incoming, Peer, Session, SessionCloser, SessionEnd, SessionReceiver, SessionSender, TransportError,
};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tracing::Instrument as _;

use crate::error::describe;
use crate::panics;

/// Newcomers: from their first packet to their first whole message. At 30 KB each they cost 30 MB, and 10,000 returning
/// sites pass through in a few seconds. Above half of it a newcomer proves its address first (Retry). At it one of the
/// network that has the most makes room; within one network (hundreds of sites behind one NAT) only if it has been here
/// for three seconds, three round trips of a satellite line, and otherwise the newcomer is ignored and tries again by
/// itself. Once it has shown a certificate of this server's, it has a place among as many of those.
const NEWCOMERS: ShareLimits = ShareLimits {
    unauthenticated_max: 1024,
    authenticated_max: 1024,
    idle_grace: Duration::from_secs(3),
    busy_grace: Duration::from_secs(3),
};

/// Frames that wait for one session. The machine keeps one spec under way and answers what it is sent, so only a peer
/// that asks and does not read gets here; it is closed as busy. Two dozen waiting frames are small ones: of the large
/// kind, a spec, there is never more than one.
const OUTGOING_FRAMES_MAX: usize = 24;

/// Pieces of plugins that one session waits for. A site asks for one of each plugin that it lacks, and has at most 16
/// providers; who asks for more before he is answered is closed as busy.
const WISHES_MAX: usize = 16;

/// Messages of all sessions that wait for the loop. Past it sessions stop reading. The loop takes all of them at each
/// turn, so more would only hold more memory: each may have a megabyte.
pub const SESSION_NOTES_MAX: usize = 128;

/// What sessions tell the loop.
pub type SessionNotes = mpsc::Sender<(SessionId, SessionNote)>;

/// What a session tells the loop: first that it opened, last that it closed.
#[derive(Debug)]
pub enum SessionNote {
    /// The handshake is done.
    Opened {
        /// Who it is.
        peer: Peer,
        /// Where it is.
        address: SocketAddr,
        /// How to answer.
        handle: SessionHandle,
    },
    /// A message arrived.
    Received(FromSite),
    /// The peer moved to another address.
    Moved(SocketAddr),
    /// It is over.
    Closed(SessionEnd),
}

/// The loop's end of a session.
#[derive(Clone, Debug)]
pub struct SessionHandle {
    outgoing: mpsc::Sender<Vec<u8>>,
    closer: SessionCloser,
    wishes: Arc<Semaphore>,
}

impl SessionHandle {
    /// Queues a message. A peer that does not read what it asked for costs its session.
    pub fn send(&self, message: &FromServer) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.outgoing.try_send(encode_from_server(message)) {
            tracing::debug!(remote = %self.closer.remote_address(), "the peer does not read what it asks for");
            let text = "more answers wait than this site reads";
            self.hang_up(&Refusal::new(RefusalCode::Busy, text));
        }
    }

    /// Takes one of the places for answers that need a while; it is free again when this is dropped. Without one, the
    /// peer asks for more than it waits for, and costs its session.
    pub(crate) fn wish(&self) -> Option<OwnedSemaphorePermit> {
        let wish = Arc::clone(&self.wishes).try_acquire_owned().ok();
        if wish.is_none() {
            self.hang_up(&Refusal::new(
                RefusalCode::Busy,
                "more pieces of plugins are asked for than a site may at once",
            ));
        }
        wish
    }

    /// Closes the session and says why. What waits for it is dropped.
    pub fn hang_up(&self, refusal: &Refusal) {
        close(&self.closer, refusal);
    }
}

/// Who came, since the process began.
#[derive(Debug)]
pub(crate) struct HandshakeStats {
    /// Those who have not said their first message yet.
    newcomers: ConnectionLimiter<Newcomer>,
    /// From so many on a newcomer proves its address.
    half: usize,
    /// Sessions, which are numbered upwards by it.
    sessions: AtomicU64,
    /// Handshakes that failed.
    failed: AtomicU64,
    /// Handshakes that took too long.
    late: AtomicU64,
}

impl Default for HandshakeStats {
    fn default() -> Self {
        Self::with_places(NEWCOMERS)
    }
}

/// To whom the place of a newcomer is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Newcomer {
    /// To where it comes from.
    Network(Network),
    /// To its key, for which it has shown a certificate of this server's.
    Key(KeyFingerprint),
}

/// The place of a newcomer.
pub(crate) type NewcomerPermit = ConnectionPermit<Newcomer>;

impl HandshakeStats {
    /// Makes the places for newcomers.
    pub(crate) fn with_places(newcomers: ShareLimits) -> Self {
        Self {
            half: newcomers.unauthenticated_max / 2,
            newcomers: ConnectionLimiter::new(newcomers),
            sessions: AtomicU64::default(),
            failed: AtomicU64::default(),
            late: AtomicU64::default(),
        }
    }

    /// Gives a newcomer a place, or makes it come again.
    pub(crate) fn admit(&self, incoming: Incoming) -> Option<(Incoming, NewcomerPermit)> {
        let remote = incoming.remote_address();
        let is_busy = self.half <= self.newcomers.counts().unauthenticated;
        if is_busy && !incoming.is_address_proven() {
            tracing::debug!(%remote, "busy: the peer has to prove its address first");
            incoming.ask_for_proof();
            return None;
        }
        let Some(permit) = self.newcomers.admit(Newcomer::Network(Network::of(remote.ip())), Class::Unauthenticated)
        else {
            tracing::debug!(%remote, "too many newcomers: the peer is ignored");
            incoming.ignore();
            return None;
        };
        Some((incoming, permit))
    }

    /// Writes the numbers down.
    pub(crate) fn write(&self, metrics: &mut Metrics) {
        let newcomers = self.newcomers.counts();
        let help = "Handshakes of sites that came to nothing, by reason.";
        metrics
            .family("linecamp_handshakes_refused_total", Kind::Counter, help)
            .sample(&[("reason", "failed")], self.failed.load(Ordering::Relaxed))
            .sample(&[("reason", "late")], self.late.load(Ordering::Relaxed))
            .sample(&[("reason", "evicted")], newcomers.evicted)
            .sample(&[("reason", "ignored")], newcomers.rejected);
        let sessions = self.sessions.load(Ordering::Relaxed);
        metrics.one("linecamp_handshakes_total", Kind::Counter, "Handshakes of sites that succeeded.", sessions);
    }
}

/// Shakes hands with a newcomer and serves it to its end.
pub(crate) async fn serve(
    incoming: Incoming,
    permit: NewcomerPermit,
    handshakes: Arc<HandshakeStats>,
    notes: SessionNotes,
) {
    let remote = incoming.remote_address();
    let established = tokio::select! {
        biased;
        () = permit.evicted() => return tracing::debug!(%remote, "a newcomer had to make room for another"),
        established = incoming.establish() => established,
    };
    match established {
        Ok((peer, session)) => {
            if matches!(peer.credential, Credential::Issued { .. }) {
                permit.authenticate(Newcomer::Key(peer.fingerprint));
            }
            let id = SessionId(handshakes.sessions.fetch_add(1, Ordering::Relaxed) + 1);
            let site = SiteId::of_key(&peer.fingerprint);
            let span = tracing::debug_span!("session", session = %id, site_id = %site);
            converse(id, peer, session, (permit, notes)).instrument(span).await;
        }
        Err(error) => {
            let count = match error {
                TransportError::HandshakeLate { .. } => &handshakes.late,
                _ => &handshakes.failed,
            };
            count.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(%remote, error = describe(&error), "no session");
        }
    }
}

async fn converse(id: SessionId, peer: Peer, session: Session, (permit, notes): (NewcomerPermit, SessionNotes)) {
    let address = session.remote_address();
    let (outgoing, queue) = mpsc::channel(OUTGOING_FRAMES_MAX);
    let closer = session.closer();
    tracing::debug!(remote = %address, credential = ?peer.credential, "session opened");
    let wishes = Arc::new(Semaphore::new(WISHES_MAX));
    let handle = SessionHandle { outgoing, closer: closer.clone(), wishes };
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
    // Whatever happens in here, the loop hears that the session is over.
    let end = panics::caught(run).await.unwrap_or_else(|panic| {
        tracing::error!(panic, "a session was given up: its task panicked");
        SessionEnd::ClosedHere
    });
    // What the peer sent along is shown as it is written in code: it may be anything.
    tracing::debug!(end = ?end.to_string(), "session closed");
    // The loop may be over before its sessions.
    drop(notes.send((id, SessionNote::Closed(end))).await);
}

struct Reader<'a> {
    id: SessionId,
    address: SocketAddr,
    receiver: SessionReceiver,
    closer: SessionCloser,
    /// Until the first message is here.
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
                    decode_from_site(&payload).map_err(|error| describe(&error))
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

    /// Closes the session of a peer that has not said its first message, for the sake of others.
    fn make_room(&self) -> SessionEnd {
        let text = "the server has too many newcomers, and this one said nothing for too long";
        close(&self.closer, &Refusal::new(RefusalCode::Busy, text));
        SessionEnd::ClosedHere
    }

    /// Looks where the peer is. With every message is often enough: a site speaks up when something matters.
    fn note_move(&mut self) -> Option<SessionNote> {
        let address = self.closer.remote_address();
        let before = std::mem::replace(&mut self.address, address);
        (before != address).then_some(SessionNote::Moved(address))
    }

    /// Closes the session of a peer that does not speak the protocol.
    fn refuse(&self, problem: &str) -> SessionEnd {
        tracing::debug!(remote = %self.closer.remote_address(), problem, "bytes that are no message");
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

/// Writes what is queued. The first answer admits the peer: larger frames from then on.
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
