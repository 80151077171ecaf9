//! Requests to the loop, which owns the state machine.

use std::sync::Arc;

use linecamp_core::{
    ApiCredential, AuditNote, AuthenticationError, Fleet, FleetCommandError, FleetSnapshot, IssuedCommand,
    KeyedRequest, Principal,
};
use linecamp_model::{AuthorityRotation, Now};
use linecamp_service::{Metrics, SPAN_TARGET, panics};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tracing::Instrument as _;

use crate::server::Request;

/// How many lists are built at a time, beside the loop. Further ones wait.
const READERS: usize = 2;

/// Sends requests to the loop. Clones share its queue, and the threads that build lists.
#[derive(Clone, Debug)]
pub(crate) struct FleetClient {
    requests: mpsc::Sender<Request>,
    readers: Arc<Semaphore>,
}

/// Why a request has no result.
#[derive(Debug)]
pub(crate) enum RequestError {
    /// The server is stopping. Nothing was changed.
    Stopping,
    /// The query panicked, which the loop has logged.
    Panicked,
    /// The state machine rejected the command, or the store could not commit it.
    Rejected(FleetCommandError),
}

impl FleetClient {
    /// Creates a client of the loop that receives from the other end of `requests`.
    pub(crate) fn new(requests: mpsc::Sender<Request>) -> Self {
        Self { requests, readers: Arc::new(Semaphore::new(READERS)) }
    }

    /// Reads the fleet.
    pub(crate) async fn query<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Fleet, Now) -> T + Send + 'static,
    ) -> Result<T, RequestError> {
        let (sender, answer) = oneshot::channel();
        let query = move |fleet: &Fleet, now| {
            // The client may have disconnected.
            drop(sender.send(read(fleet, now)));
        };
        let span = tracing::info_span!(target: SPAN_TARGET, "fleet.query");
        self.send(Request::Query(Box::new(query)), answer).instrument(span).await
    }

    /// Reads a snapshot of the fleet on another thread than the loop's, which only takes the snapshot. What is read is
    /// as new as the moment at which a thread is free.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&FleetSnapshot, Now) -> T + Send + 'static,
    ) -> Result<T, RequestError> {
        let span = tracing::info_span!(target: SPAN_TARGET, "fleet.read");
        let reading = async {
            // Nobody closes it.
            let permit = Arc::clone(&self.readers).acquire_owned().await.map_err(|_| RequestError::Stopping)?;
            let (snapshot, now) = self.query(|fleet, now| (fleet.snapshot(), now)).await?;
            let done = tokio::task::spawn_blocking(move || {
                let _permit = permit;
                panics::caught_in(|| read(&snapshot, now))
            });
            match done.await {
                Ok(Ok(found)) => Ok(found),
                Ok(Err(panic)) => {
                    tracing::error!(panic, "a list of the fleet panicked");
                    Err(RequestError::Panicked)
                }
                // The runtime ends.
                Err(_) => Err(RequestError::Stopping),
            }
        };
        reading.instrument(span).await
    }

    /// Returns who presents a credential, and notes its use.
    pub(crate) async fn authenticate(
        &self,
        credential: ApiCredential,
    ) -> Result<Result<Principal, AuthenticationError>, RequestError> {
        let (sender, answer) = oneshot::channel();
        let span = tracing::info_span!(target: SPAN_TARGET, "fleet.authenticate");
        self.send(Request::Authenticate(credential, sender), answer).instrument(span).await
    }

    /// Changes the fleet, durably.
    pub(crate) async fn command(&self, command: IssuedCommand) -> Result<(), RequestError> {
        let (sender, answer) = oneshot::channel();
        let span = tracing::info_span!(target: SPAN_TARGET, "fleet.command");
        let answered = self.send(Request::Command(Box::new(command), sender), answer).instrument(span).await;
        answered?.map_err(RequestError::Rejected)
    }

    /// Changes the fleet, durably, unless the request was sent before.
    pub(crate) async fn keyed_command(&self, command: IssuedCommand, keyed: KeyedRequest) -> Result<(), RequestError> {
        let (sender, answer) = oneshot::channel();
        let span = tracing::info_span!(target: SPAN_TARGET, "fleet.command");
        let request = Request::KeyedCommand(Box::new((command, keyed)), sender);
        self.send(request, answer).instrument(span).await?.map_err(RequestError::Rejected)
    }

    /// Has an entry written for a request without a command. Returns when it is durable, or when it is noted if the
    /// request was not done.
    pub(crate) async fn audit(&self, note: AuditNote) -> Result<(), RequestError> {
        let (sender, answer) = oneshot::channel();
        self.send(Request::Audit(Box::new(note), sender), answer).await?.map_err(RequestError::Rejected)
    }

    /// Has an entry written, without waiting for anything. If the loop is overloaded, the entry is lost.
    pub(crate) fn try_audit(&self, note: AuditNote) {
        if self.requests.try_send(Request::Audit(Box::new(note), oneshot::channel().0)).is_err() {
            tracing::warn!("an aborted request has no entry in the audit log: the server is overloaded or stopping");
        }
    }

    /// Reports the authorities in the data directory.
    pub(crate) async fn authorities_changed(&self, rotation: AuthorityRotation) -> Result<(), RequestError> {
        self.requests.send(Request::Authorities(rotation)).await.map_err(|_| RequestError::Stopping)
    }

    /// Collects the metrics of the loop.
    pub(crate) async fn metrics(&self) -> Result<Metrics, RequestError> {
        let (sender, answer) = oneshot::channel();
        self.send(Request::Metrics(sender), answer).await
    }

    async fn send<T>(&self, request: Request, answer: oneshot::Receiver<T>) -> Result<T, RequestError> {
        // Both fail when the loop has ended or is stopping; the receiver also fails if the query panicked.
        self.requests.send(request).await.map_err(|_| RequestError::Stopping)?;
        answer
            .await
            .map_err(|_| if self.requests.is_closed() { RequestError::Stopping } else { RequestError::Panicked })
    }
}
