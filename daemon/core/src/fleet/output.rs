//! What goes into the server's machine and what comes out of it.

use linecamp_model::{
    CommandId, FleetChange, FromServer, FromSite, Name, PluginWant, Refusal, SessionId, SiteId, Text, WallTime, WriteId,
};

use super::downlink::Peer;
use super::operator::FleetCommandError;

/// What the server's machine waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FleetTimer {
    /// A session has not greeted, or has not left.
    Late(SessionId),
    /// A probed session has not answered; this one waits to take its place.
    ProbeLate(SessionId),
    /// It is time to tell a session what is held of its status and events.
    Acknowledge(SessionId),
    /// It is time to send a session the pieces of plugins that it has asked for.
    Pieces(SessionId),
    /// It is time to send a session again what it could not keep.
    Resend(SessionId),
    /// A lost link has had its time to come back.
    Disconnect(SiteId),
    /// A duplicate has not shown up for a while.
    DuplicateClears(SiteId),
    /// It is time to clear away what has had its time.
    Sweep,
    /// It is time to try the store again.
    StoreRetry,
}

/// A certificate to be made for the peer of a session, and sent to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssueRequest {
    /// Whose it is.
    pub site: SiteId,
    /// The site's name.
    pub name: Name,
    /// The site's environment.
    pub environment: Name,
    /// When it begins to hold.
    pub not_before: WallTime,
    /// When it ends.
    pub not_after: WallTime,
}

/// What the server's machine asks of the outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FleetOutput {
    /// Send a message on a session.
    Send {
        /// Which session.
        session: SessionId,
        /// What to say.
        message: FromServer,
    },
    /// Make a certificate for the key the peer proved to hold, and send it as [`FromServer::Identity`].
    Issue {
        /// Whose session.
        session: SessionId,
        /// What it says.
        request: IssueRequest,
    },
    /// Read a piece of a plugin's component and send it as [`FromServer::Plugin`]. What cannot be read is sent as a
    /// piece of nothing.
    ReadPlugin {
        /// Whose session.
        session: SessionId,
        /// Which piece.
        want: PluginWant,
    },
    /// Close a session.
    Hangup {
        /// Which session.
        session: SessionId,
        /// What to say in the close frame.
        refusal: Refusal,
    },
    /// Make changes durable. Answered by `handle_persisted` or `handle_persist_failed`.
    Persist {
        /// Names the write.
        write: WriteId,
        /// What to write, all or nothing.
        changes: Vec<FleetChange>,
    },
    /// Find out whether the store takes a write as large as the largest that failed since it took one last. Nothing is
    /// kept of it. Answered as `Persist` is.
    TryStore(WriteId),
    /// Let the store go on after this write failed: it and all later ones have been undone here.
    ResumeStore(WriteId),
    /// Answer an operator.
    Reply {
        /// Whose request it was.
        command: CommandId,
        /// What became of it.
        result: Result<(), FleetCommandError>,
    },
}

/// What happens to a session, seen from the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionEvent {
    /// The handshake is done.
    Opened(Peer),
    /// A message arrived.
    Received(FromSite),
    /// The peer moved to another address.
    Moved(Text),
    /// It is over: closed by the peer, silent for too long, or broken.
    Closed(Text),
}
