//! Inputs and outputs of the downlink.

use linecamp_model::{
    Event, EventKind, FromMember, FromParent, Generation, Incarnation, JoinRequest, KeyFingerprint, MemberId,
    PluginWant, Refusal, SessionId, Target, Text, TrustReport,
};

use super::members::MemberChange;

/// What the transport handshake proved about a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The fingerprint of the key it holds.
    pub fingerprint: KeyFingerprint,
    /// The kind of certificate it presented.
    pub credential: Credential,
    /// Its address, as observed by the server.
    pub address: Text,
}

/// The kind of certificate a peer presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A self-signed certificate.
    SelfMade,
    /// A valid certificate of this server.
    Issued,
    /// An expired certificate of this server.
    Expired,
    /// A certificate of another issuer.
    Foreign,
}

/// A session event, as seen by the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionEvent {
    /// The transport handshake is complete.
    Opened(Peer),
    /// A message arrived.
    Received(FromMember),
    /// The peer's address changed.
    Moved(Text),
    /// The session ended: closed by the peer, idle for too long, or broken.
    Closed(Text),
}

/// The timers of the downlink. At one deadline, they expire in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DownlinkTimer {
    /// A session missed its deadline to send its first message or to close.
    Late(SessionId),
    /// The probe of an established session timed out; this session waits to take its place.
    ProbeLate(SessionId),
    /// Send a session the acknowledgement of its status and events.
    Acknowledge(SessionId),
    /// Send a session the pieces it requested.
    Pieces(SessionId),
    /// Retry the delta that a session could not persist.
    Resend(SessionId),
    /// A lost link did not come back in time.
    Disconnect(MemberId),
    /// A duplicate has not been seen for a while.
    DuplicateClears(MemberId),
}

impl DownlinkTimer {
    /// Returns the timers of a session.
    pub(super) const fn of_session(id: SessionId) -> [Self; 5] {
        [Self::Late(id), Self::ProbeLate(id), Self::Acknowledge(id), Self::Pieces(id), Self::Resend(id)]
    }
}

/// Requests from the downlink to its owner, which handles them in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// Send a message on a session.
    Send { session: SessionId, message: FromParent },
    /// Close a session.
    Hangup { session: SessionId, refusal: Refusal },
    /// The link of a member is up.
    LinkUp { session: SessionId, member: MemberId },
    /// The link of a member is down, or moved to another session.
    LinkDown { session: SessionId, member: MemberId },
    /// Issue another certificate to a member.
    Issue { session: SessionId, member: MemberId },
    /// Read a piece and send it.
    ReadPiece { session: SessionId, want: PluginWant },
    /// Decide a join. The session waits for its certificate, or for [`refuse`](super::Downlink::refuse).
    Join { session: SessionId, key: KeyFingerprint, request: JoinRequest },
    /// Decide whether a member without a valid certificate gets another one. Answered by
    /// [`recovered`](super::Downlink::recovered) or [`refuse_recovery`](super::Downlink::refuse_recovery).
    Recover { session: SessionId, member: MemberId },
    /// A member leaves: its owner ends its registration, and refuses its session.
    Leave { session: SessionId, member: MemberId },
    /// The holder of `key` was refused because it is unavailable, or because its key is unknown although it has a
    /// certificate.
    Refused { key: KeyFingerprint, address: Text, claim: Option<SpecClaim> },
    /// Make changes durable in one write.
    Stage(Write),
    /// Release once everything staged so far is durable.
    WhenDurable(Vec<Release>),
    /// Call [`spec_settled`](super::Downlink::spec_settled) once everything staged so far is durable.
    WhenSpecDurable(MemberId),
    /// A member reported which authorities it has stored.
    TrustReported { member: MemberId, report: TrustReport },
    /// The status of a member changed. Follows the write that stages it.
    StatusChanged(MemberId),
}

/// What a member says about its spec in a hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SpecClaim {
    /// The incarnation of its spec.
    pub(crate) incarnation: Incarnation,
    /// The generation that it holds.
    pub(crate) generation: Generation,
    /// What it requests of the member.
    pub(crate) target: Option<Target>,
}

/// Changes to one member's records that are written together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Write {
    /// The member.
    pub(crate) member: MemberId,
    /// Events that the member reported.
    pub(crate) events: Vec<Event>,
    /// The changes.
    pub(crate) changes: Vec<MemberChange>,
    /// An event of the server about the member.
    pub(crate) note: Option<(EventKind, String)>,
    /// What is released when the write is durable.
    pub(crate) releases: Vec<Release>,
}

impl Write {
    /// Creates a write of `changes`.
    pub(super) const fn new(member: MemberId, changes: Vec<MemberChange>) -> Self {
        Self { member, events: Vec::new(), changes, note: None, releases: Vec::new() }
    }
}

/// What the downlink does when a write is durable: see [`release`](super::Downlink::release).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Release {
    /// Send a message.
    Send { session: SessionId, message: FromParent },
    /// Acknowledge status or events, as soon as the rate limit allows.
    Acknowledge { session: SessionId, held: Held },
    /// Close a session.
    Refuse { session: SessionId, refusal: Refusal },
}

/// What is held of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// Its status, up to this generation.
    Status(Generation),
    /// Its events, up to this number.
    Events(u64),
}

impl Held {
    /// Returns the acknowledgement.
    pub(crate) const fn message(self) -> FromParent {
        match self {
            Self::Status(held) => FromParent::StatusAck(held),
            Self::Events(held) => FromParent::EventsAck(held),
        }
    }
}
