//! Spec and status: the small documents that are replicated, one way each.
//!
//! *Spec* says what should be; the server alone writes it. *Status* says what is; the site alone writes it.
//! A document has a key, a generation and a body; without a body it is a tombstone, which is kept so that
//! a deletion travels like any other change.

use std::collections::BTreeMap;
use std::fmt;

use crate::condition::Condition;
use crate::generation::{Generation, Incarnation};
use crate::id::{HostId, ProviderId};
use crate::label::LabelSet;
use crate::name::{Name, Text};
use crate::provider::{ProviderSpec, ProviderStatus};

/// What a document is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DocumentKey {
    /// The site itself.
    Site,
    /// One of its hosts.
    Host(HostId),
    /// One of its providers.
    Provider(ProviderId),
}

/// A body under its generation; `None` is a tombstone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document<B> {
    /// The number of the change that made it so.
    pub generation: Generation,
    /// What it says.
    pub body: Option<B>,
}

/// What a site or a host should be doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// Wait until an operator accepts it.
    Pending,
    /// Be in service.
    Active,
    /// Be out of service.
    Inactive,
    /// Leave for good.
    Removed,
}

impl Target {
    /// Returns the target as one word.
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

/// Where a host comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The machine that the site's daemon runs on.
    Gateway,
    /// It joined by itself.
    Custom,
    /// A cloud provider made it.
    Provider,
}

impl Origin {
    /// Returns the origin as one word.
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

/// What should be, of a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteSpec {
    /// Its name within its environment.
    pub name: Name,
    /// Its environment.
    pub environment: Name,
    /// Words of an operator about it.
    pub description: Text,
    /// What it should be doing.
    pub target: Target,
    /// Labels set centrally on the whole site.
    pub assigned: LabelSet,
}

/// What should be, of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostSpec {
    /// Its name within its environment.
    pub name: Name,
    /// Where it comes from.
    pub origin: Origin,
    /// Words of an operator about it.
    pub description: Text,
    /// What it should be doing.
    pub target: Target,
    /// Labels set centrally on it.
    pub assigned: LabelSet,
}

/// A spec document's body. Its kind fits its key; the door (`proto`) refuses anything else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpecBody {
    /// Under [`DocumentKey::Site`].
    Site(SiteSpec),
    /// Under [`DocumentKey::Host`].
    Host(HostSpec),
    /// Under [`DocumentKey::Provider`]. Big beside the others, and rare.
    Provider(Box<ProviderSpec>),
}

/// What is, of a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteStatus {
    /// The version of its daemon.
    pub daemon_version: Text,
    /// The history that `applied` and `converged` count in.
    pub spec_incarnation: Incarnation,
    /// The newest spec it holds durably.
    pub applied: Generation,
    /// The newest spec the site was seen to match.
    pub converged: Generation,
    /// Labels set on the spot for the whole site.
    pub local: LabelSet,
    /// Its troubles, one of a kind.
    pub conditions: Vec<Condition>,
}

/// What is, of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostStatus {
    /// Labels set on the spot.
    pub local: LabelSet,
    /// What the machine found out about itself.
    pub reported: LabelSet,
}

/// A status document's body. Its kind fits its key; the door (`proto`) refuses anything else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatusBody {
    /// Under [`DocumentKey::Site`].
    Site(SiteStatus),
    /// Under [`DocumentKey::Host`].
    Host(HostStatus),
    /// Under [`DocumentKey::Provider`].
    Provider(ProviderStatus),
}

/// What one side lacks: every document above `base`, or with `snapshot` all there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delta<B> {
    /// What the receiver holds already. Zero in a snapshot.
    pub base: Generation,
    /// What the receiver holds afterwards.
    pub to: Generation,
    /// Replaces everything the receiver has, whatever its generation.
    pub snapshot: bool,
    /// The documents.
    pub documents: BTreeMap<DocumentKey, Document<B>>,
}

/// Spec on its way down.
pub type SpecDelta = Delta<SpecBody>;
/// Status on its way up.
pub type StatusDelta = Delta<StatusBody>;
