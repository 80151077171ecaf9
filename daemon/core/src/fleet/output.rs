//! Inputs and outputs of the server's state machine.

use linecamp_model::{
    CommandId, FleetChange, FromServer, FromSite, Name, PluginWant, Refusal, SessionId, SiteId, Text, WallTime, WriteId,
};

use super::downlink::Peer;
use super::operator::FleetCommandError;

/// The timers of the server's state machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FleetTimer {
    /// A session missed its deadline to send its first message or to close.
    Late(SessionId),
    /// The probe of an established session timed out; this session waits to take its place.
    ProbeLate(SessionId),
    /// Send a session the acknowledgement of its status and events.
    Acknowledge(SessionId),
    /// Send a session the plugin pieces it requested.
    Pieces(SessionId),
    /// Retry the delta that a session could not persist.
    Resend(SessionId),
    /// A lost link did not come back in time.
    Disconnect(SiteId),
    /// A duplicate has not been seen for a while.
    DuplicateClears(SiteId),
    /// Remove expired records.
    Sweep,
    /// Retry the store.
    StoreRetry,
}

/// A certificate to issue for the peer of a session, and to send to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssueRequest {
    /// The site it is for.
    pub site: SiteId,
    /// The site's name.
    pub name: Name,
    /// The site's environment.
    pub environment: Name,
    /// Start of its validity.
    pub not_before: WallTime,
    /// End of its validity.
    pub not_after: WallTime,
}

/// Requests from the server's state machine to its driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FleetOutput {
    /// Send a message on a session.
    Send {
        /// The session.
        session: SessionId,
        /// The message.
        message: FromServer,
    },
    /// Issue a certificate for the key the peer proved to hold, and send it as [`FromServer::Identity`].
    Issue {
        /// The session of the peer.
        session: SessionId,
        /// The contents of the certificate.
        request: IssueRequest,
    },
    /// Read a piece of a plugin's component and send it as [`FromServer::Plugin`]. If it cannot be read, send an empty
    /// piece.
    ReadPlugin {
        /// The session that requested it.
        session: SessionId,
        /// The piece.
        want: PluginWant,
    },
    /// Close a session.
    Hangup {
        /// The session.
        session: SessionId,
        /// The reason to put in the close frame.
        refusal: Refusal,
    },
    /// Make changes durable. Answered by `handle_persisted` or `handle_persist_failed`.
    Persist {
        /// Identifies the write.
        write: WriteId,
        /// The changes to write atomically.
        changes: Vec<FleetChange>,
    },
    /// Test whether the store accepts a write as large as the largest one that failed since the last success. Nothing
    /// of it is kept. Answered like `Persist`.
    TryStore(WriteId),
    /// Let the store resume after this write failed: the machine has undone it and all later writes.
    ResumeStore(WriteId),
    /// Answer an operator command.
    Reply {
        /// The command to answer.
        command: CommandId,
        /// Its result.
        result: Result<(), FleetCommandError>,
    },
}

/// A session event, as seen by the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionEvent {
    /// The transport handshake is complete.
    Opened(Peer),
    /// A message arrived.
    Received(FromSite),
    /// The peer's address changed.
    Moved(Text),
    /// The session ended: closed by the peer, idle for too long, or broken.
    Closed(Text),
}
