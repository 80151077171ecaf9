//! Views shown to operators: computed from the stored records and the live links, never stored.

use std::fmt;

use crate::condition::Condition;
use crate::document::Origin;
use crate::event::Event;
use crate::generation::Generation;
use crate::id::{HostId, SiteId, TokenId};
use crate::label::EffectiveLabels;
use crate::member::Parent;
use crate::name::{Name, Text};
use crate::phase::Phase;
use crate::provider::ProviderStatus;
use crate::server_set::KnownServers;
use crate::time::WallTime;
use crate::token::ServerAddress;

/// The connection state of a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LinkState {
    /// A session is established.
    Connected,
    /// The session was lost recently.
    Reconnecting,
    /// No session for longer than a reconnect takes.
    Disconnected,
}

impl LinkState {
    /// All states.
    pub const ALL: [Self; 3] = [Self::Connected, Self::Reconnecting, Self::Disconnected];

    /// Parses what [`as_str`](Self::as_str) returns; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Returns the state as text.
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
    /// Its state.
    pub state: LinkState,
    /// When it entered this state.
    pub since: WallTime,
    /// The peer's address as last seen; empty if never seen.
    pub address: Text,
}

/// A site, as shown to an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteView {
    /// Its ID.
    pub id: SiteId,
    /// Its name.
    pub name: Name,
    /// Its environment.
    pub environment: Name,
    /// Its description.
    pub description: Text,
    /// Its lifecycle phase.
    pub phase: Phase,
    /// When it entered the phase.
    pub phase_since: WallTime,
    /// What a transitional phase is waiting for.
    pub waits_for: Option<Text>,
    /// Its link.
    pub link: LinkView,
    /// Its labels.
    pub labels: EffectiveLabels,
    /// The newest spec generation.
    pub spec_generation: Generation,
    /// The newest spec generation the site has acknowledged as stored.
    pub applied_generation: Generation,
    /// The newest spec generation the site has reported as converged.
    pub converged_generation: Generation,
    /// The version of its daemon, as last reported.
    pub daemon_version: Text,
    /// When it joined.
    pub joined_at: WallTime,
    /// The token it joined with.
    pub token: TokenId,
    /// How many times it recovered with an expired certificate.
    pub recoveries: u32,
    /// Its hosts.
    pub hosts: Vec<HostView>,
    /// Its conditions: those the site reports and those the server detects.
    pub conditions: Vec<Condition>,
}

impl SiteView {
    /// Returns the host that is the site's gateway.
    pub fn gateway(&self) -> Option<&HostView> {
        self.hosts.iter().find(|host| host.origin == Origin::Gateway)
    }
}

/// What changes of a site while nobody edits it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteState {
    /// Its ID.
    pub id: SiteId,
    /// Its name.
    pub name: Name,
    /// Its environment.
    pub environment: Name,
    /// Its lifecycle phase.
    pub phase: Phase,
    /// When it entered the phase.
    pub phase_since: WallTime,
    /// What a transitional phase is waiting for.
    pub waits_for: Option<Text>,
    /// Its link.
    pub link: LinkView,
    /// Its conditions: those the site reports and those the server detects.
    pub conditions: Vec<Condition>,
}

/// What changes of a host while nobody edits it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostState {
    /// Its ID.
    pub id: HostId,
    /// Its name.
    pub name: Name,
    /// Its site.
    pub site: Name,
    /// Its environment.
    pub environment: Name,
    /// Its lifecycle phase.
    pub phase: Phase,
    /// When it entered the phase.
    pub phase_since: WallTime,
}

/// A host, as shown to an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostView {
    /// Its ID.
    pub id: HostId,
    /// Its name.
    pub name: Name,
    /// Its site.
    pub site: Name,
    /// Its environment.
    pub environment: Name,
    /// How it became part of the site.
    pub origin: Origin,
    /// Its description.
    pub description: Text,
    /// Its lifecycle phase.
    pub phase: Phase,
    /// When it entered the phase.
    pub phase_since: WallTime,
    /// What a transitional phase is waiting for.
    pub waits_for: Option<Text>,
    /// Its link: a gateway's is that of its site.
    pub link: LinkView,
    /// Who it is linked with.
    pub via: Parent,
    /// When it joined: a gateway, with its site.
    pub joined_at: WallTime,
    /// The version of its daemon, as last reported.
    pub daemon_version: Text,
    /// Its conditions: a gateway's are those of its site.
    pub conditions: Vec<Condition>,
    /// Its labels, including those of its site.
    pub labels: EffectiveLabels,
    /// The newest spec generation of its site.
    pub spec_generation: Generation,
}

/// A join token, as shown to an operator, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenView {
    /// Its ID.
    pub id: TokenId,
    /// The environment its sites join.
    pub environment: Name,
    /// When it was created.
    pub created_at: WallTime,
    /// When it expires.
    pub expires_at: WallTime,
    /// How many sites it may create.
    pub uses_max: u32,
    /// How many it may still create.
    pub uses_left: u32,
    /// Labels assigned to its sites.
    pub labels: EffectiveLabels,
    /// The site whose machine it replaces, if it does.
    pub replaces: Option<Name>,
    /// The site whose hosts join the server with it, if they do.
    pub hosts_of: Option<Name>,
    /// Whether it is valid, and if not, why.
    pub state: TokenState,
}

/// The state of a join token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenState {
    /// It can be used.
    Valid,
    /// It has expired.
    Expired,
    /// It has no uses left.
    UsedUp,
    /// It was revoked.
    Revoked,
    /// It is held since the server was restored from a backup.
    Held,
}

impl TokenState {
    /// Returns the state as text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Expired => "expired",
            Self::UsedUp => "used-up",
            Self::Revoked => "revoked",
            Self::Held => "held",
        }
    }
}

impl fmt::Display for TokenState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A token that hosts of a LAN join with, as its gateway shows it: without its secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostTokenView {
    /// Its id.
    pub id: TokenId,
    /// Whether it was created at the gateway; the others were created at the server.
    pub is_local: bool,
    /// When it was created.
    pub created_at: WallTime,
    /// When it expires.
    pub expires_at: WallTime,
    /// How many hosts have joined with it.
    pub uses: u32,
    /// How many hosts may join with it.
    pub uses_max: u32,
    /// Whether it is valid, and if not, why.
    pub state: TokenState,
}

/// An event, as shown to an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventView {
    /// Its sequence number at the server.
    pub seq: u64,
    /// The name of the site, if the site still exists.
    pub site: Option<Name>,
    /// The event.
    pub event: Event,
    /// When the server received it from the site; `None` for an event of the server itself.
    pub received_at: Option<WallTime>,
    /// Who caused it: the caller of the operation that it follows from; `None` if it follows from none.
    pub actor: Option<Text>,
}

/// A site, as its own daemon shows it locally.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalView {
    /// Its ID; `None` before it joined.
    pub id: Option<SiteId>,
    /// Its name, if known.
    pub name: Option<Name>,
    /// Its environment, if known.
    pub environment: Option<Name>,
    /// Its target state, if known.
    pub target: Option<crate::document::Target>,
    /// Its link, as seen by the site.
    pub link: LinkView,
    /// What the link is doing, as text.
    pub link_doing: Text,
    /// The server addresses that are saved with its identity.
    pub servers: KnownServers,
    /// The server addresses from its own configuration. If there are any, only these are dialed.
    pub configured_servers: Vec<ServerAddress>,
    /// Its labels.
    pub labels: EffectiveLabels,
    /// The newest spec generation it has stored durably.
    pub applied_generation: Generation,
    /// The newest spec generation it has converged to.
    pub converged_generation: Generation,
    /// The version of the daemon.
    pub daemon_version: Text,
    /// When its certificate expires.
    pub certificate_expires_at: Option<WallTime>,
    /// Events not yet acknowledged by the server.
    pub outbox_events: u64,
    /// Events dropped since this database was created.
    pub events_dropped: u64,
    /// Its hosts, with their labels.
    pub hosts: Vec<LocalHostView>,
    /// Its conditions.
    pub conditions: Vec<Condition>,
    /// Its providers, by name.
    pub providers: Vec<ProviderStatus>,
}

/// A host, as the site's daemon shows it locally.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalHostView {
    /// Its ID.
    pub id: HostId,
    /// Its name.
    pub name: Option<Name>,
    /// How it became part of the site.
    pub origin: Origin,
    /// Its target state, if known.
    pub target: Option<crate::document::Target>,
    /// Its labels, including those of its site.
    pub labels: EffectiveLabels,
    /// Its link with this daemon; `None` if it is the machine of the daemon.
    pub link: Option<LinkView>,
}

/// What a subsystem of the daemon is doing, for programs. The list is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartState {
    /// It has nothing to do.
    Ok,
    /// It is working.
    Active,
    /// It waits for a timer or for something outside.
    Waiting,
    /// It cannot do its work.
    Failing,
}

impl PartState {
    /// Returns its code.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Active => "active",
            Self::Waiting => "waiting",
            Self::Failing => "failing",
        }
    }
}

/// Why one subsystem of the daemon is waiting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// The subsystem: link, spec, status, events, store, facts, certificate, provider.
    pub part: &'static str,
    /// Its state, for programs.
    pub state: PartState,
    /// What it is doing, for people.
    pub detail: String,
    /// When it acts next on its own, and what it will do.
    pub next: Option<(WallTime, String)>,
}
