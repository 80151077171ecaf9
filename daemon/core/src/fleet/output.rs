//! Outputs of the server's state machine, and its timers.

use linecamp_model::{
    CommandId, FleetChange, FromParent, HostId, MemberId, Name, PluginWant, Refusal, ServerAddress, ServerSet,
    SessionId, SiteId, WriteId,
};

use super::command::FleetCommandError;
use crate::downlink::DownlinkTimer;
use crate::membership::IssueRequest;

/// The timers of the server's state machine. At one deadline, they expire in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FleetTimer {
    /// A timer of the sessions and links.
    Downlink(DownlinkTimer),
    /// Write the refused requests that were counted.
    Refusals,
    /// Remove expired records.
    Sweep,
    /// Retry the store.
    StoreRetry,
}

/// Requests from the server's state machine to its driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FleetOutput {
    /// Send a message on a session.
    Send {
        /// The session.
        session: SessionId,
        /// The message.
        message: FromParent,
    },
    /// Issue a certificate for the key the peer proved to hold, and send it as [`FromParent::Identity`].
    Issue {
        /// The session of the peer.
        session: SessionId,
        /// The contents of the certificate.
        request: IssueRequest,
    },
    /// Read a piece of a plugin's component and send it as [`FromParent::Plugin`]. If it cannot be read, send an empty
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
    /// A member's link is up: its welcome follows. A notice, like all that follow here: there is nothing to do for it.
    LinkUp {
        /// The session.
        session: SessionId,
        /// The member.
        member: MemberId,
    },
    /// A member's link is down, or moved to another session.
    LinkDown {
        /// The session that was up.
        session: SessionId,
        /// The member.
        member: MemberId,
    },
    /// A site joined; its registration is durable.
    SiteJoined {
        /// The site.
        site: SiteId,
        /// Its name.
        name: Name,
    },
    /// A host joined the server; its registration is durable.
    HostJoined {
        /// The site.
        site: SiteId,
        /// The host.
        host: HostId,
        /// Its name.
        name: Name,
    },
    /// The server's addresses are a new set; that is durable.
    ServersChanged(ServerSet),
    /// An operator set the URL at which operators reach the server; that is durable. The driver answers with
    /// `handle_servers` if the addresses of the sites follow from it.
    ServerUrlChanged(ServerAddress),
    /// A site was removed for good; that is durable.
    Removed {
        /// The site.
        site: SiteId,
    },
}

impl FleetOutput {
    /// Whether this only tells the driver what happened.
    pub const fn is_notice(&self) -> bool {
        match self {
            Self::LinkUp { .. }
            | Self::LinkDown { .. }
            | Self::SiteJoined { .. }
            | Self::HostJoined { .. }
            | Self::ServersChanged(_)
            | Self::ServerUrlChanged(_)
            | Self::Removed { .. } => true,
            Self::Send { .. }
            | Self::Issue { .. }
            | Self::ReadPlugin { .. }
            | Self::Hangup { .. }
            | Self::Persist { .. }
            | Self::TryStore(_)
            | Self::ResumeStore(_)
            | Self::Reply { .. } => false,
        }
    }
}
