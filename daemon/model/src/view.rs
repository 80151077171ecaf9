//! What people are shown: computed from the records and the live links, stored nowhere.

use std::fmt;

use crate::condition::Condition;
use crate::document::Origin;
use crate::event::Event;
use crate::generation::Generation;
use crate::id::{HostId, SiteId, TokenId};
use crate::label::EffectiveLabels;
use crate::name::{Name, Text};
use crate::phase::Phase;
use crate::provider::ProviderStatus;
use crate::time::WallTime;

/// Whether a site can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LinkState {
    /// A session is up.
    Connected,
    /// The session was lost a moment ago.
    Reconnecting,
    /// No session for longer than a reconnect takes.
    Disconnected,
}

impl LinkState {
    /// Returns the state as one word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Reconnecting => "reconnecting",
            Self::Disconnected => "disconnected",
        }
    }
}

impl fmt::Display for LinkState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A link, as seen from either end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkView {
    /// Whether it is up.
    pub state: LinkState,
    /// Since when.
    pub since: WallTime,
    /// The other end's address, as last seen; empty if never.
    pub address: Text,
}

/// A site, as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteView {
    /// Its id.
    pub id: SiteId,
    /// Its name.
    pub name: Name,
    /// Its environment.
    pub environment: Name,
    /// Its description.
    pub description: Text,
    /// Where it is in its life.
    pub phase: Phase,
    /// Since when.
    pub phase_since: WallTime,
    /// What a transitional phase waits for.
    pub waits_for: Option<Text>,
    /// Its link.
    pub link: LinkView,
    /// Its labels.
    pub labels: EffectiveLabels,
    /// The newest spec.
    pub spec_generation: Generation,
    /// The newest spec the site said it holds.
    pub applied_generation: Generation,
    /// The newest spec the site said it matches.
    pub converged_generation: Generation,
    /// The version of its daemon, as last reported.
    pub daemon_version: Text,
    /// When it joined.
    pub joined_at: WallTime,
    /// The token it joined with.
    pub token: TokenId,
    /// How often it came back with an expired certificate.
    pub recoveries: u32,
    /// Its hosts.
    pub hosts: Vec<HostView>,
    /// Its troubles, those it reports and those the server sees.
    pub conditions: Vec<Condition>,
}

/// A host, as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostView {
    /// Its id.
    pub id: HostId,
    /// Its name.
    pub name: Name,
    /// Its site.
    pub site: Name,
    /// Its environment.
    pub environment: Name,
    /// Where it comes from.
    pub origin: Origin,
    /// Its description.
    pub description: Text,
    /// Where it is in its life.
    pub phase: Phase,
    /// Since when.
    pub phase_since: WallTime,
    /// What a transitional phase waits for.
    pub waits_for: Option<Text>,
    /// Its site's link.
    pub link: LinkView,
    /// Its labels, its site's included.
    pub labels: EffectiveLabels,
}

/// A join token, as an operator sees it: never its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenView {
    /// Its id.
    pub id: TokenId,
    /// Where its sites go.
    pub environment: Name,
    /// When it was made.
    pub created_at: WallTime,
    /// When it stops working.
    pub expires_at: WallTime,
    /// How many sites it may create.
    pub uses_max: u32,
    /// How many it may still create.
    pub uses_left: u32,
    /// Labels its sites are given.
    pub labels: EffectiveLabels,
    /// Whether it works, and if not, why not.
    pub state: TokenState,
}

/// Whether a join token works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenState {
    /// It does.
    Valid,
    /// Its time is over.
    Expired,
    /// Its uses are spent.
    UsedUp,
    /// It was revoked.
    Revoked,
}

impl TokenState {
    /// Returns the state as one word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Expired => "expired",
            Self::UsedUp => "used-up",
            Self::Revoked => "revoked",
        }
    }
}

impl fmt::Display for TokenState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// An event, as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventView {
    /// Its number at the server.
    pub seq: u64,
    /// The site's name, if the site is still known.
    pub site: Option<Name>,
    /// The event.
    pub event: Event,
    /// When the server received it from the site; `None` if the server itself says so.
    pub received_at: Option<WallTime>,
}

/// A site, as its own daemon shows it on the spot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalView {
    /// Its id; `None` before it joined.
    pub id: Option<SiteId>,
    /// Its name, as far as known.
    pub name: Option<Name>,
    /// Its environment, as far as known.
    pub environment: Option<Name>,
    /// What it should be doing, as far as known.
    pub target: Option<crate::document::Target>,
    /// Its link, seen from here.
    pub link: LinkView,
    /// What the link is doing, in words.
    pub link_doing: Text,
    /// Its labels.
    pub labels: EffectiveLabels,
    /// The newest spec it holds durably.
    pub applied_generation: Generation,
    /// The newest spec it matches.
    pub converged_generation: Generation,
    /// The version of the daemon.
    pub daemon_version: Text,
    /// When its certificate expires.
    pub certificate_expires_at: Option<WallTime>,
    /// Events that wait for the server.
    pub outbox_events: u64,
    /// Events dropped since this database began.
    pub events_dropped: u64,
    /// Its hosts, with their labels.
    pub hosts: Vec<LocalHostView>,
    /// Its troubles.
    pub conditions: Vec<Condition>,
    /// Its providers, by name.
    pub providers: Vec<ProviderStatus>,
}

/// A host, as the site's daemon shows it on the spot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalHostView {
    /// Its id.
    pub id: HostId,
    /// Its name.
    pub name: Option<Name>,
    /// Where it comes from.
    pub origin: Origin,
    /// What it should be doing, as far as known.
    pub target: Option<crate::document::Target>,
    /// Its labels, the site's included.
    pub labels: EffectiveLabels,
}

/// Why one part of the daemon waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// The part: link, spec, status, events, store, facts, certificate, provider.
    pub part: &'static str,
    /// Its state, in words.
    pub state: String,
    /// When it acts next by itself, and what it does then.
    pub next: Option<(WallTime, String)>,
}
