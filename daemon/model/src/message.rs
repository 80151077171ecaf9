//! The messages between a member and its parent, as the state machines see them. `proto` defines the wire format. Where
//! they say *site* and *server*, a host and its gateway say the same to each other.
//!
//! On a new session the site sends the first message: [`FromMember::Join`] if it has no certificate yet, otherwise
//! [`FromMember::Hello`]. The server replies, or closes the session with a [`Refusal`]. After that, each direction has
//! one delta in flight at a time. An acknowledgment carries the generation that the receiver has stored *durably*: it
//! confirms the delta and requests everything newer.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::authority_set::{AuthoritySet, TrustReport};
use crate::condition::Condition;
use crate::digest::PluginDigest;
use crate::document::{SpecDelta, StatusDelta, Target};
use crate::event::Event;
use crate::generation::{Generation, Incarnation};
use crate::id::{HostId, RunId, SessionId, SiteId, TokenId};
use crate::label::{LabelKey, LabelValue};
use crate::limits::COUNTER_MAX;
use crate::link_gap::GapReport;
use crate::member::MemberKind;
use crate::name::{Name, Text};
use crate::server_set::ServerSet;
use crate::time::WallTime;
use crate::token::JoinSecret;

/// The range of protocol versions a peer supports, inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionRange {
    /// The oldest version.
    pub min: u32,
    /// The newest version.
    pub max: u32,
}

impl VersionRange {
    /// Returns the newest version both peers support, or `None`.
    pub fn highest_common(self, other: Self) -> Option<u32> {
        let newest = self.max.min(other.max);
        (self.min.max(other.min) <= newest).then_some(newest)
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.min, self.max)
    }
}

/// A message from a member to its parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromMember {
    /// Requests registration with a join token.
    Join(JoinRequest),
    /// The first message of a registered site.
    Hello(Hello),
    /// Spec is stored durably up to this generation.
    SpecAck(Generation),
    /// Status documents the server lacks.
    Status(StatusDelta),
    /// Events the server lacks.
    Events(EventBatch),
    /// Requests a new certificate.
    Renew,
    /// Replies to a probe.
    Alive,
    /// Requests a piece of a plugin's component.
    WantPlugin(PluginWant),
    /// All conditions of the site's own storage ([`is_of_storage`](crate::ConditionKind::is_of_storage)): sent at the
    /// start of a session and whenever they change. Neither side stores them.
    Storage(Vec<Condition>),
    /// This set of server addresses is stored durably, confirmed or not. Sent once per session, and whenever the set
    /// changes.
    ServersStored(u64),
    /// What of the server's authorities is stored durably. Sent after the server has told them, and whenever it
    /// changes.
    Trust(TrustReport),
    /// A host leaves its site: its registration ends, and the session is closed with
    /// [`RefusalCode::Removed`](crate::RefusalCode::Removed).
    Leave,
}

/// A message from a parent to a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromParent {
    /// A certificate: the reply to a join, to a renewal, or to a hello with an expired certificate.
    Identity(IdentityGrant),
    /// Replies to a hello.
    Welcome(Welcome),
    /// Spec documents the site lacks.
    Spec(SpecDelta),
    /// Status is stored durably up to this generation.
    StatusAck(Generation),
    /// Events are stored durably up to and including this number.
    EventsAck(u64),
    /// Asks whether the site is alive, because another machine has connected with its identity.
    Probe,
    /// A piece of a plugin's component, in reply to a request.
    Plugin(PluginPiece),
    /// The server's addresses: sent after each welcome, and whenever they change.
    Servers(ServerSet),
    /// The server's authorities: sent after each welcome of a server that has replaced its authority or is about to,
    /// and whenever they change.
    Authorities(AuthoritySet),
}

/// A site's request for a plugin, starting at a byte offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PluginWant {
    /// The digest of the component.
    pub digest: PluginDigest,
    /// The number of bytes the site already has.
    pub offset: u64,
}

/// A piece of a plugin's component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginPiece {
    /// The digest of the component.
    pub digest: PluginDigest,
    /// The offset of the piece.
    pub offset: u64,
    /// The size of the component in bytes; zero if the server does not have it.
    pub total: u64,
    /// The content, at most [`PLUGIN_PIECE_BYTES_MAX`](crate::limits::PLUGIN_PIECE_BYTES_MAX) bytes.
    pub bytes: Vec<u8>,
}

/// A request to register a site, or a host of a site. The TLS handshake proves that it holds its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinRequest {
    /// The protocol versions the site supports.
    pub versions: VersionRange,
    /// The ID of the join token.
    pub token: TokenId,
    /// The token's secret.
    pub secret: JoinSecret,
    /// What joins.
    pub kind: MemberKind,
    /// The requested name.
    pub name: Name,
    /// The name of the site that a host means to join, if it says so. A token is for one site.
    pub site: Option<Name>,
    /// The version of its daemon.
    pub daemon_version: Text,
}

/// The hello of a registered site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The protocol versions the site supports.
    pub versions: VersionRange,
    /// The current run of its daemon.
    pub run: RunId,
    /// The version of its daemon.
    pub daemon_version: Text,
    /// The time of its wall clock.
    pub wall: WallTime,
    /// The incarnation of the spec it has.
    pub spec_incarnation: Incarnation,
    /// The spec generation it has stored durably.
    pub spec_held: Generation,
    /// The incarnation of its status.
    pub status_incarnation: Incarnation,
    /// What its spec requests of it; `None` if it has no spec, or its daemon does not say. A server that was restored
    /// from a backup learns so that a site was being removed.
    pub target: Option<Target>,
    /// The labels its machine reports about itself, at most
    /// [`LABELS_PER_OWNER_MAX`](crate::limits::LABELS_PER_OWNER_MAX). A pending site sends nothing else about itself.
    pub facts: BTreeMap<LabelKey, LabelValue>,
    /// The times without a session that no server has acknowledged, oldest first, at most
    /// [`LINK_GAPS_WAITING_MAX`](crate::limits::LINK_GAPS_WAITING_MAX). The last one is the one that this hello ends.
    pub gaps: Vec<GapReport>,
}

/// The server accepts a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// The protocol version of this session.
    pub version: u32,
    /// The session ID, which is the epoch of the link.
    pub session: SessionId,
    /// The time of the server's wall clock.
    pub wall: WallTime,
    /// The incarnation of the server's spec.
    pub spec_incarnation: Incarnation,
    /// The status generation the server has stored durably, of the incarnation the site named.
    pub status_held: Generation,
    /// The last event the server has stored durably, of that incarnation.
    pub events_held: u64,
    /// The period over which the fleet should spread its reconnects after the link is lost.
    pub redial_spread: Duration,
    /// The address from which the server sees the site connect.
    pub observed_address: Text,
    /// Whether the site is waiting for an operator to accept it. It sends neither status nor events until its spec
    /// changes that.
    pub pending: bool,
    /// Whether the server has stored durably what the hello says about gaps.
    pub gaps_stored: bool,
}

/// A certificate, and the authorities to trust from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityGrant {
    /// What has joined.
    pub kind: MemberKind,
    /// Its name.
    pub name: Name,
    /// The environment of the site.
    pub environment: Name,
    /// The ID of the site.
    pub site: SiteId,
    /// The ID of the host that runs the daemon: of a site, its gateway.
    pub host: HostId,
    /// The daemon's certificate, DER.
    pub certificate: Vec<u8>,
    /// For a site, another certificate for the same key and those above it, DER: with them the gateway authenticates
    /// itself to hosts that trust the server and do not know the gateway's own authority yet. At most
    /// [`GATEWAY_CHAIN_MAX`](crate::limits::GATEWAY_CHAIN_MAX). Empty for a host.
    pub gateway_chain: Vec<Vec<u8>>,
    /// The trusted certificate authorities, DER.
    pub authorities: Vec<Vec<u8>>,
}

/// Events sent from a site to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventBatch {
    /// The number of the first event; the others are numbered consecutively.
    pub first: u64,
    /// The number of events the site has dropped in its incarnation.
    pub dropped: u64,
    /// The events, at most [`EVENTS_PER_MESSAGE_MAX`](crate::limits::EVENTS_PER_MESSAGE_MAX).
    pub events: Vec<Event>,
}

impl EventBatch {
    /// Returns the number of the last event, or the number before `first` if the batch is empty; `None` if the numbers
    /// are invalid. Events are numbered from 1 to [`COUNTER_MAX`].
    pub fn last(&self) -> Option<u64> {
        if self.first == 0 {
            return None;
        }
        let after = self.first.checked_add(self.events.len() as u64)?;
        Some(after.saturating_sub(1)).filter(|last| *last <= COUNTER_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_common_version_wins() {
        let check = |ours: (u32, u32), theirs: (u32, u32), expected| {
            let range = |(min, max)| VersionRange { min, max };
            assert_eq!(range(ours).highest_common(range(theirs)), expected);
        };
        check((1, 3), (2, 5), Some(3));
        check((1, 1), (1, 1), Some(1));
        check((1, 2), (3, 4), None);
        check((5, 1), (1, 5), None);
    }
}
