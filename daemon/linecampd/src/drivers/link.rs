//! The transport ↔ the state machine's `Dial`, `Send` and `Hangup`.
//!
//! Each dial is one task. It connects to the server and then moves messages in both directions until the session ends.
//! Its reports reach the loop through one bounded channel, so a busy loop makes QUIC apply backpressure to the server.
//! Outgoing messages wait in a bounded queue per dial; a full queue means that the link cannot keep up, and the link is
//! dropped. A dial that was hung up sends no further reports.
//!
//! A dial tries the addresses of the server's name at the pace [`Pace::LINK`]. If it cannot try all of them, the next
//! dial to this server continues with the rest.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use linecamp_core::{Dial, LinkEvent, LossReason};
use linecamp_model::limits::{FRAME_BYTES_MAX, SERVERS_PER_SITE_MAX};
use linecamp_model::{DialId, FromMember, FromParent, Refusal, RefusalCode, ServerAddress, Text};
use linecamp_proto::{decode_from_parent, decode_refusal, encode_from_member, encode_refusal, refusal_code_number};
use linecamp_transport::{
    DialError, DialHistory, Dialer, LinkSettings, Pace, Platform, Session, SessionCloser, SessionEnd, SessionReceiver,
    SessionSender, TransportError, connect_first, error_chain, resolve,
};
use tokio::sync::{mpsc, oneshot};

use super::identity::Credentials;

/// Reports queued for the loop. When the queue is full, the dial's task blocks, and with it the server.
const REPORTS_MAX: usize = 64;

/// Messages queued for a link. The state machine has only a handful in flight; a full queue means that the link cannot
/// keep up, and it is dropped.
const OUTGOING_MAX: usize = 64;

/// Servers whose dial history is kept. The history of another one is dropped for a new server.
const HISTORIES_MAX: usize = SERVERS_PER_SITE_MAX;

/// How long to keep reading after a send failed, to receive the server's close reason if it has arrived.
const CLOSE_REASON_LIMIT: Duration = Duration::from_secs(1);

/// A report from a dial's task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkReport {
    /// The event for the state machine.
    pub event: LinkEvent,
    /// The server concerned.
    pub server: ServerAddress,
    /// Whether retries will fail until an operator intervenes: another server answers at every address of this one.
    pub needs_operator: bool,
}

/// The dials in progress and the open sessions. Dropping it cancels the dials and closes the sessions.
#[derive(Debug)]
pub struct LinkDriver {
    dialer: Arc<Dialer>,
    dials: BTreeMap<DialId, Handle>,
    histories: BTreeMap<ServerAddress, SharedHistory>,
    reports: mpsc::Receiver<LinkReport>,
    reporter: mpsc::Sender<LinkReport>,
}

/// What earlier dials to a server found. The dial's task updates it, because a report says less.
type SharedHistory = Arc<Mutex<DialHistory>>;

#[derive(Debug)]
struct Handle {
    server: ServerAddress,
    outgoing: mpsc::Sender<Vec<u8>>,
    hang_up: oneshot::Sender<Refusal>,
}

impl LinkDriver {
    /// Opens the socket that all dials share, or uses the one that `platform` provides.
    ///
    /// # Errors
    /// [`TransportError`] if the socket cannot be opened.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn bind(settings: LinkSettings, platform: Platform) -> Result<Self, TransportError> {
        let (reporter, reports) = mpsc::channel(REPORTS_MAX);
        let dialer = Arc::new(Dialer::bind(settings, platform)?);
        Ok(Self { dialer, dials: BTreeMap::new(), histories: BTreeMap::new(), reports, reporter })
    }

    /// Starts a dial in its own task.
    pub fn dial(&mut self, dial: Dial, credentials: Credentials) {
        let (outgoing, to_send) = mpsc::channel(OUTGOING_MAX);
        let (hang_up, hung_up) = oneshot::channel();
        let handle = Handle { server: dial.server.clone(), outgoing, hang_up };
        self.dials.insert(dial.dial, handle);
        let history = self.history(&dial.server);
        let (dialer, reporter) = (Arc::clone(&self.dialer), self.reporter.clone());
        tokio::spawn(DialTask { dialer, dial, credentials, history, reporter }.run(to_send, hung_up));
    }

    fn history(&mut self, server: &ServerAddress) -> SharedHistory {
        if !self.histories.contains_key(server) && HISTORIES_MAX <= self.histories.len() {
            self.histories.pop_first();
        }
        Arc::clone(self.histories.entry(server.clone()).or_default())
    }

    /// Queues a message for sending. Returns the loss report if the queue is full and the link is therefore dropped.
    pub fn send(&mut self, dial: DialId, message: &FromMember) -> Option<LinkReport> {
        let handle = self.dials.get(&dial)?;
        match handle.outgoing.try_send(encode_from_member(message)) {
            Ok(()) => None,
            Err(mpsc::error::TrySendError::Full(_)) => {
                let server = handle.server.clone();
                let refusal = Refusal::new(RefusalCode::Busy, "the link cannot keep up");
                self.hang_up(dial, refusal);
                let text = format!("{server}: more than {OUTGOING_MAX} messages are queued for the link");
                Some(LinkReport {
                    event: LinkEvent::Lost(dial, LossReason::Failed(Text::lossy(&text))),
                    server,
                    needs_operator: false,
                })
            }
            // The task has ended, and its report is already queued.
            Err(mpsc::error::TrySendError::Closed(_)) => None,
        }
    }

    /// Closes the session of a dial, or cancels the dial.
    pub fn hang_up(&mut self, dial: DialId, refusal: Refusal) {
        if let Some(handle) = self.dials.remove(&dial) {
            // If the task has ended, there is nothing to close.
            let _ = handle.hang_up.send(refusal);
        }
    }

    /// Returns the next report. Cancel-safe.
    pub async fn report(&mut self) -> LinkReport {
        match self.reports.recv().await {
            Some(report) => {
                if let LinkEvent::Lost(dial, _) = &report.event {
                    self.dials.remove(dial);
                }
                report
            }
            // Cannot happen: `self` holds a sender.
            None => std::future::pending().await,
        }
    }

    /// Waits until all closed sessions have sent their close to the server.
    pub async fn wait_idle(&self) {
        self.dialer.wait_idle().await;
    }
}

struct DialTask {
    dialer: Arc<Dialer>,
    dial: Dial,
    credentials: Credentials,
    history: SharedHistory,
    reporter: mpsc::Sender<LinkReport>,
}

/// Why a dial or its session ended.
struct Loss {
    reason: LossReason,
    needs_operator: bool,
}

impl Loss {
    fn failed(text: &str) -> Self {
        Self { reason: LossReason::Failed(Text::lossy(text)), needs_operator: false }
    }

    fn unreachable(error: &DialError, needs_operator: bool) -> Self {
        let reason = LossReason::Unreachable(error.gap_cause(), Text::lossy(&error_chain(error)));
        Self { reason, needs_operator }
    }
}

impl DialTask {
    async fn run(self, to_send: mpsc::Receiver<Vec<u8>>, mut hung_up: oneshot::Receiver<Refusal>) {
        // Hangup has priority: a dial that was hung up sends no further reports.
        let session = tokio::select! {
            biased;
            _ = &mut hung_up => return,
            session = self.connect() => session,
        };
        let loss = match session {
            Ok(session) => {
                let closer = session.closer();
                self.report(LinkEvent::Dialed(self.dial.dial), false).await;
                tokio::select! {
                    biased;
                    refusal = &mut hung_up => {
                        close(&closer, &refusal.unwrap_or_else(|_| stopping()));
                        return;
                    }
                    loss = self.run_session(session, to_send) => loss,
                }
            }
            Err(loss) => loss,
        };
        let lost = LinkEvent::Lost(self.dial.dial, loss.reason);
        self.report(lost, loss.needs_operator).await;
    }

    async fn report(&self, event: LinkEvent, needs_operator: bool) {
        let report = LinkReport { event, server: self.dial.server.clone(), needs_operator };
        // If the loop is gone, the report is dropped.
        let _ = self.reporter.send(report).await;
    }

    /// Connects to the server at the first address that works.
    async fn connect(&self) -> Result<Session, Loss> {
        let server = &self.dial.server;
        let resolved = resolve(server).await.map_err(|error| Loss::unreachable(&error, false))?;
        let order = self.history().remaining(&resolved);
        let (trust, expected) = (self.credentials.trust(), self.credentials.expected());
        let attempt = |address| {
            self.history().attempt_started(address);
            self.dialer.dial(address, self.credentials.credentials(), &trust, expected)
        };
        let failures = match connect_first(order, Pace::LINK, attempt).await {
            Ok((address, session)) => {
                self.history().connected(address);
                return Ok(session);
            }
            Err(failures) => failures,
        };
        let mut history = self.history();
        for (address, error) in &failures {
            history.attempt_failed(*address, error.needs_operator());
        }
        let needs_operator = history.is_wrong_server_everywhere(&resolved);
        let error = DialError::of_addresses(server.host(), server.port(), failures);
        Err(Loss::unreachable(&error, needs_operator))
    }

    fn history(&self) -> MutexGuard<'_, DialHistory> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run_session(&self, session: Session, to_send: mpsc::Receiver<Vec<u8>>) -> Loss {
        let closer = session.closer();
        let (sender, mut receiver) = session.split();
        let end = {
            let receiving = self.receive(&mut receiver);
            tokio::pin!(receiving);
            // The server's close reason is more useful than the fact that sending failed.
            tokio::select! {
                biased;
                loss = &mut receiving => return loss,
                end = send_all(sender, to_send) => {
                    if let Ok(loss) = tokio::time::timeout(CLOSE_REASON_LIMIT, &mut receiving).await {
                        return loss;
                    }
                    end
                }
            }
        };
        close(&closer, &stopping());
        self.session_ended(end)
    }

    async fn receive(&self, receiver: &mut SessionReceiver) -> Loss {
        loop {
            let message = match receiver.recv(FRAME_BYTES_MAX).await {
                Ok(payload) => decode_from_parent(&payload).map_err(|error| error_chain(&error)),
                Err(SessionEnd::BadFrame(error)) => Err(error.to_string()),
                Err(end) => return self.session_ended(end),
            };
            match message {
                Ok(message) => self.handle_message(message).await,
                Err(problem) => {
                    let refusal = Refusal::new(RefusalCode::Protocol, &problem);
                    receiver.close(refusal_code_number(refusal.code), &encode_refusal(&refusal));
                    return Loss::failed(&format!("{} sent an invalid message: {problem}", self.dial.server));
                }
            }
        }
    }

    async fn handle_message(&self, message: FromParent) {
        self.report(LinkEvent::Received(self.dial.dial, message), false).await;
    }

    fn session_ended(&self, end: SessionEnd) -> Loss {
        if let SessionEnd::Closed { code, reason } = &end
            && let Some(refusal) = decode_refusal(*code, reason)
        {
            return Loss { reason: LossReason::Closed(refusal), needs_operator: false };
        }
        Loss::failed(&format!("{}: {}", self.dial.server, error_chain(&end)))
    }
}

/// Sends until the session or the daemon ends. Each message is sent in full: a partial frame would break the session.
async fn send_all(mut sender: SessionSender, mut to_send: mpsc::Receiver<Vec<u8>>) -> SessionEnd {
    while let Some(payload) = to_send.recv().await {
        if let Err(end) = sender.send(&payload).await {
            return end;
        }
    }
    // The handle was dropped without a hangup: the driver is gone.
    SessionEnd::ClosedHere
}

fn close(closer: &SessionCloser, refusal: &Refusal) {
    closer.close(refusal_code_number(refusal.code), &encode_refusal(refusal));
}

fn stopping() -> Refusal {
    Refusal::new(RefusalCode::SiteStopping, "the site is closing this link")
}
