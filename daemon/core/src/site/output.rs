//! Outputs of a site's state machine, and its timers.

use linecamp_model::{
    AuthoritySet, CallId, CommandId, ConditionKind, DialId, FromMember, FromParent, HostId, IdentityGrant,
    KnownServers, Name, PluginDigest, PluginPiece, ProviderId, ProviderRequest, ProviderSpec, Refusal, ServerAddress,
    SessionId, SiteChange, SiteId, Text, WallTime, WriteId,
};

use super::command::SiteCommandError;
use super::link_event::LossReason;
use crate::downlink::DownlinkTimer;
use crate::membership::IssueRequest;

/// The timers of a site's state machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// A dial timed out.
    DialLate,
    /// The handshake timed out.
    GreetingLate,
    /// Dial again.
    Redial,
    /// Collect facts.
    Facts,
    /// Retry the store.
    StoreRetry,
    /// Request a new certificate.
    Renew,
    /// Resume fetching a plugin after the disk failed to persist a piece.
    Fetch(PluginDigest),
    /// Retry saving a certificate.
    SaveIdentity,
    /// Retry saving the server addresses.
    SaveServers,
    /// Retry saving the server's authorities.
    SaveAuthorities,
    /// Retry opening the local socket.
    LocalSocket,
    /// Start a provider's next round.
    Round(ProviderId),
    /// A provider call timed out.
    CallLate(ProviderId),
    /// A removed site has run out of time to withdraw its records.
    Withdraw,
    /// Note the time without a session so far.
    NoteGap,
    /// Listen for hosts again, after a failure.
    ListenForHosts,
    /// A timer of the sessions and links of the hosts of the LAN.
    Hosts(DownlinkTimer),
}

/// The purpose of a dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Register, trusting the key pinned by the join token.
    Join,
    /// Open a session with the site's certificate.
    Link,
}

/// A dial to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dial {
    /// Identifies this attempt in all later events.
    pub dial: DialId,
    /// The server to dial.
    pub server: ServerAddress,
    /// The purpose of the dial.
    pub purpose: Purpose,
}

/// What a site's state machine tells its driver: requests, and notices of what happened
/// ([`is_notice`](Self::is_notice)), which a driver may ignore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SiteOutput {
    /// Dial a server. Answered by [`LinkEvent`](super::LinkEvent)s that carry the dial id.
    Dial(Dial),
    /// Send a message on the session of this dial.
    Send {
        /// The dial the session belongs to.
        dial: DialId,
        /// The message.
        message: FromMember,
    },
    /// Close the session of this dial, or abort the dial.
    Hangup {
        /// The dial.
        dial: DialId,
        /// The reason to put in the close frame.
        refusal: Refusal,
    },
    /// Make changes durable. Answered by `handle_persisted` or `handle_persist_failed`.
    Persist {
        /// Identifies the write.
        write: WriteId,
        /// The changes to write atomically.
        changes: Vec<SiteChange>,
    },
    /// Test whether the store accepts a write as large as the largest one that failed since the last success. Nothing
    /// of it is kept. Answered like `Persist`.
    TryStore(WriteId),
    /// Let the store resume after this write failed: the machine has undone it and all later writes.
    ResumeStore(WriteId),
    /// About the hosts of the LAN.
    Host(HostOutput),
    /// Make a certificate durable. Answered by `handle_identity_saved`, or by `handle_identity_unsaved` if the
    /// certificate is used from memory instead.
    SaveIdentity(IdentityGrant),
    /// Save the server addresses with the identity, so that they survive the loss of the database. Answered by
    /// `handle_servers_saved`.
    SaveServers(KnownServers),
    /// Save the server's authorities with the identity, without those that no trusted authority has certified; it is an
    /// error if none is left. Answered by `handle_authorities_saved`.
    SaveAuthorities(AuthoritySet),
    /// Retry opening the local socket. Answered by `handle_local_socket`.
    OpenLocalSocket,
    /// Call a provider's plugin. Answered by `handle_provider`. A provider has at most one call in flight.
    Call {
        /// Identifies the call.
        call: CallId,
        /// The provider, with its settings and grants.
        provider: Box<ProviderSpec>,
        /// Whether the provider comes from the site's own configuration rather than from the server.
        is_local: bool,
        /// The request.
        request: ProviderRequest,
    },
    /// Report how many bytes of a centrally pushed plugin are stored locally. Answered by `handle_plugin_kept` or
    /// `handle_plugin_not_kept`.
    MeasurePlugin(PluginDigest),
    /// Append a piece to the stored part of a plugin and verify the digest at the end. Answered by `handle_plugin_kept`
    /// or `handle_plugin_not_kept`.
    KeepPiece(PluginPiece),
    /// Collect facts about this host. Answered by `handle_facts`.
    CollectFacts,
    /// Answer a local command.
    Reply {
        /// The command to answer.
        command: CommandId,
        /// Its result.
        result: Result<(), SiteCommandError>,
    },
    /// The site was removed: delete its identity and all its data, and stop.
    Removed(Refusal),
    /// The join was refused permanently: stop.
    JoinRefused(Refusal),
    /// A notice: the site has joined, and has its first certificate.
    Joined(SiteId),
    /// A notice: a session with the server is up.
    LinkUp {
        /// The server.
        server: ServerAddress,
        /// The session.
        session: SessionId,
        /// The server's wall clock at the handshake.
        server_wall: WallTime,
    },
    /// A notice: the session with the server ended.
    LinkDown {
        /// The server.
        server: ServerAddress,
        /// The session.
        session: SessionId,
        /// Why it ended.
        reason: LossReason,
    },
    /// A notice: the site, or one of its providers, has a condition or no longer has it.
    Condition {
        /// The condition.
        kind: ConditionKind,
        /// The provider that fails; `None` if the condition is of the site.
        provider: Option<Name>,
        /// What happened and what to do; `None` if the condition ended.
        detail: Option<Text>,
    },
    /// A notice: an attempt to reach the server failed, or the server ended the handshake.
    DialFailed {
        /// The server.
        server: ServerAddress,
        /// Why it failed.
        reason: LossReason,
    },
}

/// What a gateway tells its driver about the hosts of its LAN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostOutput {
    /// Listen for the hosts of this site, from now on. Their sessions are handled by `handle_host_session`; a failure
    /// is reported with `handle_not_listening`.
    Listen(SiteId),
    /// Send a message on the session of a host.
    Send {
        /// The session.
        session: SessionId,
        /// The message.
        message: FromParent,
    },
    /// Issue a certificate for the key that a host proved to hold, and send it as [`FromParent::Identity`].
    Issue {
        /// The session of the host.
        session: SessionId,
        /// The contents of the certificate.
        request: IssueRequest,
    },
    /// Close the session of a host.
    HangUp {
        /// The session.
        session: SessionId,
        /// The reason to put in the close frame.
        refusal: Refusal,
    },
    /// A notice: a session with a host is up.
    LinkUp {
        /// The session.
        session: SessionId,
        /// The host.
        host: HostId,
        /// Its name.
        name: Option<Name>,
    },
    /// A notice: the session with a host ended.
    LinkDown {
        /// The session.
        session: SessionId,
        /// The host.
        host: HostId,
        /// Its name.
        name: Option<Name>,
    },
}

impl From<HostOutput> for SiteOutput {
    fn from(output: HostOutput) -> Self {
        Self::Host(output)
    }
}

impl SiteOutput {
    /// Whether this only tells what happened, and asks for nothing.
    pub const fn is_notice(&self) -> bool {
        matches!(
            self,
            Self::Joined(_)
                | Self::LinkUp { .. }
                | Self::LinkDown { .. }
                | Self::DialFailed { .. }
                | Self::Host(HostOutput::LinkUp { .. } | HostOutput::LinkDown { .. })
                | Self::Condition { .. }
        )
    }
}
