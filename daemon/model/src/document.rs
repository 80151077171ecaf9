//! Spec and status: the small documents that are replicated, each in one direction.
//!
//! *Spec* is the desired state, written only by the server. *Status* is the observed state, written only by the site. A
//! document has a key, a generation and a body. A document without a body is a tombstone, kept so that a deletion is
//! replicated like any other change.

mod encoded_size;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::condition::Condition;
use crate::digest::{KeyFingerprint, SecretHash};
use crate::generation::{Generation, Incarnation};
use crate::id::{HostId, ProviderId, TokenId};
use crate::label::LabelSet;
use crate::member::Parent;
use crate::name::{Name, Text};
use crate::provider::{ProviderSpec, ProviderStatus};
use crate::time::WallTime;

/// The subject of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DocumentKey {
    /// The site itself.
    Site,
    /// One of its hosts.
    Host(HostId),
    /// One of its providers.
    Provider(ProviderId),
    /// A token that hosts of its LAN join with.
    HostToken(TokenId),
}

/// A body and its generation; `None` is a tombstone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document<B> {
    /// The generation of the last change.
    pub generation: Generation,
    /// The content.
    pub body: Option<B>,
}

/// The target state of a site or a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// Wait for an operator to accept it.
    Pending,
    /// In service.
    Active,
    /// Out of service.
    Inactive,
    /// Removed permanently.
    Removed,
}

impl Target {
    /// Returns the target as text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Removed => "removed",
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How a host became part of its site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The machine that runs the site's daemon.
    Gateway,
    /// It joined on its own.
    Custom,
    /// A cloud provider created it.
    Provider,
}

impl Origin {
    /// Returns the origin as text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Custom => "custom",
            Self::Provider => "provider",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The desired state of a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteSpec {
    /// Its name within its environment.
    pub name: Name,
    /// Its environment.
    pub environment: Name,
    /// An operator's description.
    pub description: Text,
    /// Its target state.
    pub target: Target,
    /// Labels assigned centrally to the whole site.
    pub assigned: LabelSet,
}

/// The desired state of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostSpec {
    /// Its name within its environment.
    pub name: Name,
    /// How it became part of its site.
    pub origin: Origin,
    /// An operator's description.
    pub description: Text,
    /// Its target state.
    pub target: Target,
    /// Labels assigned centrally to it.
    pub assigned: LabelSet,
    /// How it is registered; `None` for the gateway, whose registration is the site's.
    pub member: Option<HostMember>,
}

/// The registration of a host that joined by itself, as its site's spec repeats it: a machine that replaces the gateway
/// has lost what the gateway stored, and admits the hosts by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostMember {
    /// Who it is registered with.
    pub parent: Parent,
    /// The token that it joined with.
    pub token: TokenId,
    /// The keys that it may present, at most [`KEYS_PER_HOST_MAX`](crate::limits::KEYS_PER_HOST_MAX).
    pub keys: BTreeSet<KeyFingerprint>,
    /// When it joined.
    pub joined_at: WallTime,
    /// The labels set locally at it, if it is registered with the server. Its site keeps its DNS records, and does not
    /// hear from it.
    pub local: LabelSet,
    /// The labels that it reports about itself, if it is registered with the server.
    pub reported: LabelSet,
}

/// A token that hosts of a site's LAN join with, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostToken {
    /// The hash of its secret.
    pub secret: SecretHash,
    /// When it was created.
    pub created_at: WallTime,
    /// When it expires.
    pub expires_at: WallTime,
    /// How many hosts may join with it.
    pub uses_max: u32,
}

/// The body of a spec document. Its kind matches its key; `proto` rejects anything else when it decodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpecBody {
    /// Under [`DocumentKey::Site`].
    Site(SiteSpec),
    /// Under [`DocumentKey::Host`].
    Host(HostSpec),
    /// Under [`DocumentKey::Provider`]. Boxed: large compared to the others, and rare.
    Provider(Box<ProviderSpec>),
    /// Under [`DocumentKey::HostToken`].
    HostToken(HostToken),
}

/// The observed state of a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteStatus {
    /// The version of its daemon.
    pub daemon_version: Text,
    /// The incarnation that `applied` and `converged` belong to.
    pub spec_incarnation: Incarnation,
    /// The newest spec generation it has stored durably.
    pub applied: Generation,
    /// The newest spec generation the site was observed to match.
    pub converged: Generation,
    /// Labels set locally for the whole site.
    pub local: LabelSet,
    /// Its conditions, at most one of each kind.
    pub conditions: Vec<Condition>,
}

/// The observed state of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostStatus {
    /// Labels set locally.
    pub local: LabelSet,
    /// Labels the machine reports about itself.
    pub reported: LabelSet,
    /// What its own daemon reports; `None` for the gateway, whose daemon is the site's.
    pub daemon: Option<HostDaemon>,
    /// What its gateway adds; `None` in what a host reports itself.
    pub membership: Option<HostMembership>,
}

/// What the daemon of a host that joined by itself reports beside labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostDaemon {
    /// Its version.
    pub version: Text,
    /// The incarnation that `applied` belongs to.
    pub spec_incarnation: Incarnation,
    /// The newest spec generation it has stored durably.
    pub applied: Generation,
    /// The conditions of the host, at most one of each kind.
    pub conditions: Vec<Condition>,
}

/// What a gateway reports of a host that joined it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostMembership {
    /// The name that it joined with. The spec has its present one.
    pub name: Name,
    /// The token that it joined with.
    pub token: TokenId,
    /// The keys that it may present, at most [`KEYS_PER_HOST_MAX`](crate::limits::KEYS_PER_HOST_MAX).
    pub keys: BTreeSet<KeyFingerprint>,
    /// When it joined.
    pub joined_at: WallTime,
    /// When it was removed, or left; it is reported until the spec no longer has the host.
    pub removed_at: Option<WallTime>,
    /// Its link with the gateway.
    pub link: HostLink,
}

/// The link of a host with its gateway, as the gateway stores it: a reconnect that takes less than three minutes is no
/// change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostLink {
    /// Whether the host has been without a session for three minutes.
    pub is_disconnected: bool,
    /// Since when: when it lost its last session, or was back.
    pub since: WallTime,
}

/// The body of a status document. Its kind matches its key; `proto` rejects anything else when it decodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatusBody {
    /// Under [`DocumentKey::Site`].
    Site(SiteStatus),
    /// Under [`DocumentKey::Host`].
    Host(HostStatus),
    /// Under [`DocumentKey::Provider`].
    Provider(ProviderStatus),
}

/// The documents a receiver lacks: every document above `base`, or all documents if `snapshot`.
///
/// A delta that does not fit one message is sent in parts, which differ only in `documents` and `more`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delta<B> {
    /// The generation the receiver already has. Zero in a snapshot.
    pub base: Generation,
    /// The generation the receiver has after applying the delta.
    pub to: Generation,
    /// Whether the documents replace everything the receiver has, whatever its generation.
    pub snapshot: bool,
    /// The documents.
    pub documents: BTreeMap<DocumentKey, Document<B>>,
    /// Whether more parts of this delta follow. The receiver applies nothing before the last one.
    pub more: bool,
}

/// Spec, from the server to a site.
pub type SpecDelta = Delta<SpecBody>;
/// Status, from a site to the server.
pub type StatusDelta = Delta<StatusBody>;
