//! What a site and the server say to each other, as the machines see it. `proto` knows the bytes.
//!
//! On a new session the site speaks first: [`FromSite::Join`] if it has no certificate yet, else
//! [`FromSite::Hello`]. The server answers or closes with a [`Refusal`]. From then on, in each direction
//! one delta is under way at a time, and an acknowledgement names what the receiver holds *durably*: it
//! is at once the receipt and the request for what lies above.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::condition::{Condition, words};
use crate::digest::PluginDigest;
use crate::document::{SpecDelta, StatusDelta};
use crate::event::Event;
use crate::generation::{Generation, Incarnation};
use crate::id::{RunId, SessionId, TokenId};
use crate::label::{LabelKey, LabelValue};
use crate::limits::COUNTER_MAX;
use crate::name::{Name, Text};
use crate::time::WallTime;
use crate::token::JoinSecret;

/// The versions of the protocol a peer speaks, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionRange {
    /// The oldest.
    pub min: u32,
    /// The newest.
    pub max: u32,
}

impl VersionRange {
    /// Returns the newest version both speak, or `None`.
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

/// From a site to its server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromSite {
    /// Asks to be registered, with a join token.
    Join(JoinRequest),
    /// Greets: the first message of a registered site.
    Hello(Hello),
    /// Holds spec up to here, durably.
    SpecAck(Generation),
    /// Status the server lacks.
    Status(StatusDelta),
    /// Events the server lacks.
    Events(EventBatch),
    /// Asks for a new certificate.
    Renew,
    /// Answers a probe.
    Alive,
    /// Asks for a piece of a plugin's component.
    WantPlugin(PluginWant),
    /// The troubles of the site's own storage, all of them ([`is_of_storage`](crate::ConditionKind::is_of_storage)):
    /// at the start of a session, and whenever they change. Durable nowhere.
    Storage(Vec<Condition>),
}

/// From the server to a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromServer {
    /// A certificate, in answer to a join, to a renewal, or to a greeting with an expired one.
    Identity(IdentityGrant),
    /// Answers a greeting.
    Welcome(Welcome),
    /// Spec the site lacks.
    Spec(SpecDelta),
    /// Holds status up to here, durably.
    StatusAck(Generation),
    /// Holds events up to and with this number, durably.
    EventsAck(u64),
    /// Asks whether the site is there: another machine has shown up with its identity.
    Probe,
    /// A piece of a plugin's component, in answer to the wish for it.
    Plugin(PluginPiece),
}

/// A site lacks a plugin from this byte on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PluginWant {
    /// Which component.
    pub digest: PluginDigest,
    /// How many bytes of it the site holds.
    pub offset: u64,
}

/// A piece of a plugin's component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginPiece {
    /// Which component.
    pub digest: PluginDigest,
    /// Where the piece begins.
    pub offset: u64,
    /// How long the component is; zero if the server does not have it.
    pub total: u64,
    /// At most [`PLUGIN_PIECE_BYTES_MAX`](crate::limits::PLUGIN_PIECE_BYTES_MAX).
    pub bytes: Vec<u8>,
}

/// A site asks to be registered. That it holds its key is proved by the handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinRequest {
    /// Protocol versions it speaks.
    pub versions: VersionRange,
    /// Which join token.
    pub token: TokenId,
    /// The token's secret.
    pub secret: JoinSecret,
    /// The name it would like.
    pub name: Name,
    /// Its daemon's version.
    pub daemon_version: Text,
}

/// A registered site greets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Protocol versions it speaks.
    pub versions: VersionRange,
    /// This run of its daemon.
    pub run: RunId,
    /// Its daemon's version.
    pub daemon_version: Text,
    /// What its wall clock shows.
    pub wall: WallTime,
    /// The history its spec belongs to.
    pub spec_incarnation: Incarnation,
    /// The spec it holds durably.
    pub spec_held: Generation,
    /// The history its status belongs to.
    pub status_incarnation: Incarnation,
    /// What its machine has reported about itself, at most
    /// [`LABELS_PER_OWNER_MAX`](crate::limits::LABELS_PER_OWNER_MAX): all that a pending site may say.
    pub facts: BTreeMap<LabelKey, LabelValue>,
}

/// The server lets a site in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// The protocol version of this session.
    pub version: u32,
    /// The session, which is the epoch of the link.
    pub session: SessionId,
    /// What the server's wall clock shows.
    pub wall: WallTime,
    /// The history the server's spec belongs to.
    pub spec_incarnation: Incarnation,
    /// The status the server holds durably, of the history the site named.
    pub status_held: Generation,
    /// The last event the server holds durably, of that history.
    pub events_held: u64,
    /// Over how long the fleet should spread its redials when the link is lost.
    pub redial_spread: Duration,
    /// The address the server sees the site come from.
    pub observed_address: Text,
    /// Whether the site waits for an operator to accept it. Until its spec says otherwise it sends neither status nor
    /// events.
    pub pending: bool,
}

/// A certificate, and whom to trust from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityGrant {
    /// The name the site has.
    pub name: Name,
    /// The environment it is in.
    pub environment: Name,
    /// The site's certificate, DER.
    pub certificate: Vec<u8>,
    /// The certificate authorities to trust, DER.
    pub authorities: Vec<Vec<u8>>,
}

/// Events on their way up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventBatch {
    /// The number of the first event here; the rest follow without a gap.
    pub first: u64,
    /// How many the site has dropped since its history began.
    pub dropped: u64,
    /// At most [`EVENTS_PER_MESSAGE_MAX`](crate::limits::EVENTS_PER_MESSAGE_MAX).
    pub events: Vec<Event>,
}

impl EventBatch {
    /// Returns the number of the last event here, the one before `first` if there is none; `None` if `first` is none of
    /// a batch: events are numbered from 1, up to [`COUNTER_MAX`].
    pub fn last(&self) -> Option<u64> {
        if self.first == 0 {
            return None;
        }
        let after = self.first.checked_add(self.events.len() as u64)?;
        Some(after.saturating_sub(1)).filter(|last| *last <= COUNTER_MAX)
    }
}

words! {
    /// Why a session was closed or never began: the closed list that peers may act on.
    RefusalCode {
        /// Words that are not of the protocol, or at the wrong moment.
        Protocol = "protocol",
        /// No protocol version in common.
        NoCommonVersion = "no-common-version",
        /// No such join token, or its secret is wrong.
        TokenUnknown = "token-unknown",
        /// The join token has expired.
        TokenExpired = "token-expired",
        /// The join token has no uses left.
        TokenUsedUp = "token-used-up",
        /// The join token was revoked.
        TokenRevoked = "token-revoked",
        /// Another site of the environment has this name.
        NameTaken = "name-taken",
        /// The environment holds as many sites as it may.
        EnvironmentFull = "environment-full",
        /// Nobody with this key is registered.
        NotRegistered = "not-registered",
        /// The site was removed, and never comes back with this key.
        Removed = "removed",
        /// Another machine is linked with this identity.
        DuplicateIdentity = "duplicate-identity",
        /// Too many recoveries with an expired certificate.
        RecoverLimit = "recover-limit",
        /// A newer session of the same site has taken over.
        Superseded = "superseded",
        /// The server is stopping.
        ServerStopping = "server-stopping",
        /// The server has too much to do.
        Busy = "busy",
        /// The server cannot write to its store.
        StoreFailed = "store-failed",
        /// The site is leaving: its daemon stops.
        SiteStopping = "site-stopping",
        /// The exchange is complete; there is nothing more to say on this session.
        Done = "done",
    }
}

impl RefusalCode {
    /// Whether the site is to forget who it was.
    pub const fn forgets_registration(self) -> bool {
        matches!(self, Self::Removed)
    }

    /// Whether trying again can help without somebody doing something first.
    pub const fn is_final_for_join(self) -> bool {
        matches!(
            self,
            Self::NoCommonVersion
                | Self::TokenUnknown
                | Self::TokenExpired
                | Self::TokenUsedUp
                | Self::TokenRevoked
                | Self::NameTaken
                | Self::EnvironmentFull
                | Self::Removed
                | Self::Protocol
        )
    }
}

/// What a close frame carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The reason, for machines.
    pub code: RefusalCode,
    /// The reason, for people: what was tried and what to do.
    pub text: Text,
    /// When to come back: the peer's own slot. `None` leaves it to the peer's back-off.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// Makes a refusal without a slot.
    pub fn new(code: RefusalCode, text: &str) -> Self {
        Self { code, text: Text::lossy(text), retry_after: None }
    }

    /// Gives the refusal a slot.
    #[must_use]
    pub fn retry_after(self, delay: Duration) -> Self {
        Self { retry_after: Some(delay), ..self }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.text, self.code)
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
