//! The loop: handles every event of the server, one at a time.
//!
//! An event goes to the state machine, and the outputs of the state machine are performed before the next event.
//! Nothing in this module blocks except waiting for the next event: performing an output only puts something on a
//! queue. Store answers come first, so that what is durable is known before anything new is decided. Sessions come
//! last, because they are many and some are unauthenticated. No queue can starve another: each is bounded, and while
//! the loop runs no other task on its thread can fill one.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use linecamp_core::{
    ApiCredential, AuditNote, AuthenticationError, Fleet, FleetCommandError, FleetOutput, IssuedCommand, KeyedRequest,
    Principal,
};
use linecamp_downlink::{HandshakeStats, MemberDriver, SessionNote};
use linecamp_model::{AuthorityRotation, CommandId, Now, ServerAddress, SessionId, WriteId};
use linecamp_proto::record::fleet_change;
use linecamp_service::{Clock, Metrics, ServiceManager, StoreDriver, WriteResult, panics};
use linecamp_store::FaultKind;
use tokio::sync::{mpsc, oneshot, watch};

use crate::commit_notifier::CommitNotifier;
use crate::drivers::plugin::PluginDriver;
use crate::drivers::store::fault_of;
use crate::event_streams::StreamFeed;
use crate::metrics::LoopState;
use crate::server_addresses::ServerAddresses;
use crate::server_url::ServerUrl;
use crate::session_stats::SessionStats;

/// Maximum number of operator requests queued for the loop. Further requests wait on their connections, which are
/// bounded as well.
pub(crate) const REQUESTS_MAX: usize = 64;

/// How long a stopping server waits for the last answers of the store. After that it gives up on them: those writes may
/// still become durable, but nobody was told that they did.
const LAST_ANSWERS_LIMIT: Duration = Duration::from_secs(2);

/// An event of the loop.
#[derive(Debug)]
enum Event {
    /// A stop was requested.
    Stop,
    /// The state machine's next deadline passed.
    Timeout,
    /// A watchdog notification to the service manager is due.
    WatchdogDue,
    /// The store answered a write.
    Stored(WriteResult),
    /// The configured addresses of the server changed.
    ServersConfigured,
    /// An operator sent a request.
    Request(Request),
    /// A session sent a note.
    Session(SessionId, SessionNote),
}

/// A read-only query of the fleet. It sends its own answer.
pub(crate) type ReadQuery = Box<dyn FnOnce(&Fleet, Now) + Send>;

/// An operator's request to the loop.
pub(crate) enum Request {
    /// Change the fleet. The reply follows when the change is durable.
    Command(Box<IssuedCommand>, oneshot::Sender<Result<(), FleetCommandError>>),
    /// The same, with an idempotency key.
    KeyedCommand(Box<(IssuedCommand, KeyedRequest)>, oneshot::Sender<Result<(), FleetCommandError>>),
    /// Have an entry of the audit log written. The reply follows when it is durable.
    Audit(Box<AuditNote>, oneshot::Sender<Result<(), FleetCommandError>>),
    /// Authenticate a credential.
    Authenticate(ApiCredential, oneshot::Sender<Result<Principal, AuthenticationError>>),
    /// Read the fleet.
    Query(ReadQuery),
    /// The authorities in the data directory changed.
    Authorities(AuthorityRotation),
    /// Collect the metrics.
    Metrics(oneshot::Sender<Metrics>),
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Command(command, _) => f.debug_tuple("Command").field(command).finish(),
            Self::Audit(note, _) => f.debug_tuple("Audit").field(note).finish(),
            Self::KeyedCommand(keyed, _) => f.debug_tuple("KeyedCommand").field(&keyed.1).finish(),
            Self::Authenticate(..) => f.write_str("Authenticate"),
            Self::Query(_) => f.write_str("Query"),
            Self::Authorities(rotation) => f.debug_tuple("Authorities").field(&rotation.phase).finish(),
            Self::Metrics(_) => f.write_str("Metrics"),
        }
    }
}

/// The sources of events.
#[derive(Debug)]
pub(crate) struct Inbox {
    pub(crate) stop: watch::Receiver<bool>,
    /// The addresses at which sites reach the server, as configured.
    pub(crate) servers: watch::Receiver<Vec<ServerAddress>>,
    pub(crate) requests: mpsc::Receiver<Request>,
    pub(crate) sessions: mpsc::Receiver<(SessionId, SessionNote)>,
}

/// The state machine, its drivers and the replies that are pending.
#[derive(Debug)]
pub(crate) struct ServerLoop {
    pub(crate) fleet: Fleet,
    pub(crate) clock: Clock,
    pub(crate) inbox: Inbox,
    pub(crate) store: StoreDriver,
    pub(crate) link: MemberDriver,
    pub(crate) plugins: PluginDriver,
    pub(crate) commit_notifier: CommitNotifier,
    pub(crate) streams: StreamFeed,
    pub(crate) sessions: SessionStats,
    pub(crate) handshakes: Arc<HandshakeStats>,
    pub(crate) pending_replies: PendingReplies,
    pub(crate) manager: ServiceManager,
    pub(crate) addresses: Arc<ServerAddresses>,
}

/// Replies to operators whose changes are not durable yet. Bounded by the number of requests in progress.
#[derive(Debug, Default)]
pub(crate) struct PendingReplies {
    last: CommandId,
    waiting: HashMap<CommandId, oneshot::Sender<Result<(), FleetCommandError>>>,
}

impl ServerLoop {
    /// Runs until a stop is requested. On return every session has been told to close, and the store has answered or
    /// [`LAST_ANSWERS_LIMIT`] has passed.
    pub(crate) async fn run(mut self) -> StoreDriver {
        self.perform_outputs();
        loop {
            let now = self.clock.now();
            let deadline = self.fleet.next_deadline().map(|(deadline, _)| deadline);
            let deadline = deadline.into_iter().chain(self.fleet.state_changes_deadline(now)).min();
            let event = tokio::select! {
                biased;
                () = stopped(&mut self.inbox.stop) => Event::Stop,
                () = self.clock.wait_until(deadline) => Event::Timeout,
                () = self.manager.due() => Event::WatchdogDue,
                result = self.store.answer() => Event::Stored(result),
                Ok(()) = self.inbox.servers.changed() => Event::ServersConfigured,
                Some(request) = self.inbox.requests.recv() => Event::Request(request),
                Some((id, note)) = self.inbox.sessions.recv() => Event::Session(id, note),
            };
            let is_stop = matches!(event, Event::Stop);
            self.handle_event(event);
            self.perform_outputs();
            self.streams.publish(&mut self.fleet, self.commit_notifier.newest(), self.clock.now());
            if is_stop {
                return self.drain().await;
            }
        }
    }

    fn handle_event(&mut self, event: Event) {
        let now = self.clock.now();
        match event {
            Event::Stop => {
                tracing::info!("server stopping");
                self.manager.stopping();
                self.fleet.handle_stop(now);
            }
            Event::Timeout => self.fleet.handle_timeout(now),
            Event::WatchdogDue => self.store.probe(ServiceManager::notify_alive),
            Event::Stored(WriteResult { write, result }) => {
                match result {
                    Ok(()) => {
                        self.commit_notifier.announce(write);
                        self.fleet.handle_persisted(write, now);
                    }
                    Err(kind) => self.undo(write, kind, now),
                }
                self.manager.degraded(self.store.is_failing().then_some("cannot write the fleet database"));
            }
            Event::ServersConfigured => {
                let addresses = self.inbox.servers.borrow_and_update().clone();
                self.fleet.handle_servers(addresses);
            }
            Event::Request(Request::Command(command, reply)) => {
                let id = self.pending_replies.register(reply);
                self.fleet.handle_command(id, *command, now);
            }
            Event::Request(Request::Audit(note, reply)) => {
                let id = self.pending_replies.register(reply);
                self.fleet.handle_audit(id, *note, now);
            }
            Event::Request(Request::KeyedCommand(keyed, reply)) => {
                let (id, (command, keyed)) = (self.pending_replies.register(reply), *keyed);
                self.fleet.handle_keyed_command(id, command, keyed, now);
            }
            Event::Request(Request::Authorities(rotation)) => self.fleet.handle_authorities(rotation, now),
            Event::Request(Request::Authenticate(credential, reply)) => {
                // The client may have disconnected.
                drop(reply.send(self.fleet.authenticate(credential, now)));
            }
            Event::Request(Request::Query(read)) => run_query(|| read(&self.fleet, now)),
            Event::Request(Request::Metrics(reply)) => run_query(|| {
                let (fleet, sessions, commits) = (&self.fleet, &self.sessions, &self.store.commits);
                let state = LoopState { fleet, sessions, commits, handshakes: &self.handshakes, now };
                // The client may have disconnected.
                drop(reply.send(state.write()));
            }),
            Event::Session(id, note) => {
                self.sessions.handle_note(id, &note);
                let event = self.link.note(id, note);
                self.fleet.handle_session(id, event, now);
            }
        }
    }

    /// Performs the state machine's outputs until there are none left.
    fn perform_outputs(&mut self) {
        loop {
            while let Some(output) = self.fleet.poll_output() {
                self.perform(output);
            }
            let Some(WriteResult { write, result: Err(kind) }) = self.store.take_rejected() else {
                return;
            };
            self.undo(write, kind, self.clock.now());
        }
    }

    fn perform(&mut self, output: FleetOutput) {
        match output {
            FleetOutput::Send { session, message } => self.link.send(session, &message),
            FleetOutput::Issue { session, request } => self.link.issue(session, request, Vec::new()),
            FleetOutput::ReadPlugin { session, want } => {
                if let Some(handle) = self.link.handle(session) {
                    self.plugins.read(session, handle.clone(), want);
                }
            }
            FleetOutput::Hangup { session, refusal } => {
                self.sessions.record_hangup(session, &refusal);
                self.link.hang_up(session, &refusal);
            }
            FleetOutput::Persist { write, changes } => {
                self.commit_notifier.stage(write, &changes);
                self.streams.note_changes(&changes);
                self.store.commit(write, changes.iter().map(fleet_change));
            }
            FleetOutput::TryStore(write) => self.store.try_room(write),
            FleetOutput::ResumeStore(write) => self.store.resume(write),
            FleetOutput::LinkUp { session, member } => {
                self.sessions.record_welcome(session, member, self.fleet.view().name_of(member));
            }
            // The end of the session follows, with the reason.
            FleetOutput::LinkDown { .. } => {}
            FleetOutput::SiteJoined { site, name } => {
                tracing::info!(site = name.as_str(), site_id = %site, "site joined");
            }
            FleetOutput::HostJoined { site, host, name } => {
                tracing::info!(host = name.as_str(), host_id = %host, site_id = %site, "host joined");
            }
            FleetOutput::ServersChanged(set) => {
                let addresses: Vec<_> = set.addresses.iter().map(ToString::to_string).collect();
                tracing::info!(
                    set = set.number,
                    addresses = addresses.join(", "),
                    "server addresses changed; telling the sites"
                );
            }
            FleetOutput::ServerUrlChanged(url) => {
                let url = ServerUrl::from(url);
                tracing::info!(%url, "server URL set by an operator");
                self.addresses.set_stored(url);
            }
            FleetOutput::Removed { site } => tracing::info!(site_id = %site, "site removed"),
            FleetOutput::Reply { command, result } => self.pending_replies.reply(command, result),
        }
    }

    fn undo(&mut self, write: WriteId, kind: FaultKind, now: Now) {
        self.commit_notifier.discard(write);
        self.fleet.handle_persist_failed(write, fault_of(kind), now);
    }

    /// Waits for outstanding store writes. Requests still in the queue are dropped, which fails them on the API side.
    async fn drain(mut self) -> StoreDriver {
        self.inbox.requests.close();
        while self.inbox.requests.try_recv().is_ok() {}
        let all = async {
            while !self.store.is_idle() {
                let result = self.store.answer().await;
                self.handle_event(Event::Stored(result));
                self.perform_outputs();
            }
        };
        if tokio::time::timeout(LAST_ANSWERS_LIMIT, all).await.is_err() {
            tracing::warn!("timed out waiting for the database: the last writes may not be durable");
        }
        self.store
    }
}

impl PendingReplies {
    fn register(&mut self, reply: oneshot::Sender<Result<(), FleetCommandError>>) -> CommandId {
        self.last = self.last.next();
        self.waiting.insert(self.last, reply);
        self.last
    }

    fn reply(&mut self, command: CommandId, result: Result<(), FleetCommandError>) {
        if let Some(reply) = self.waiting.remove(&command) {
            // The client may have disconnected.
            drop(reply.send(result));
        }
    }
}

/// Runs a read-only query. A panic in it changed nothing, and the API reports it to the client as an internal error.
fn run_query(read: impl FnOnce()) {
    if let Err(panic) = panics::caught_in(read) {
        tracing::error!(panic, "a fleet query panicked");
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A dropped sender also means stop.
    drop(stop.wait_for(|is_stopping| *is_stopping).await);
}
