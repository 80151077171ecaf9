//! Configuration and saved state of a site's state machine, and its constants.

use std::time::Duration;

use linecamp_model::{
    BootId, HostId, JoinToken, KnownAuthorities, KnownServers, MemberKind, Name, Pin, ProviderSpec, RunId,
    ServerAddress, SiteChange, SiteId, Text, VersionRange, WallTime,
};

use super::labels::{DropIns, EnvironmentLabels};

/// How long a dial may take. A driver gives up earlier; this covers a driver that never answers.
pub const DIAL_MAX: Duration = Duration::from_secs(30);

/// How long the server may take to answer the handshake. It probes an existing session for at most 5 s.
pub const GREETING_MAX: Duration = Duration::from_secs(15);

/// The upper bound of the first redial delay if the server has not announced one: a small fleet reconnects at once.
pub const REDIAL_SPREAD_DEFAULT: Duration = Duration::from_secs(1);

/// The upper bound of all redial delays. A site dials at least this often, so it is back within a minute of its server.
pub const REDIAL_MAX: Duration = Duration::from_secs(60);

/// The upper bound of all redial delays as a multiple of the server's spread, where that is less than [`REDIAL_MAX`]: a
/// fleet that takes a second to reconnect has no reason to wait a minute. With 500 sites it is 20 s, and an unreachable
/// server gets 25 dials a second; after an outage of any length 99 of 100 sites are back within 30 s
/// (`reconnect-storm`).
pub const REDIAL_MAX_SPREADS: u32 = 20;

/// The longest retry slot a server can assign: it cannot send a site away for more than a day.
pub const RETRY_SLOT_MAX: Duration = Duration::from_secs(24 * 3600);

/// How often facts are collected. They are sent only when they change.
pub const FACTS_PERIOD: Duration = Duration::from_secs(60);

/// How long the first dial waits for the first facts if the site has none in its status, for example because its
/// database was lost. Collecting takes a second at most. After that, the site dials without facts, and the server
/// treats them as removed.
pub const FIRST_FACTS_MAX: Duration = Duration::from_secs(5);

/// How long to wait after a failed commit before retrying the store.
pub const STORE_RETRY: Duration = Duration::from_secs(30);

/// The longest wait for a renewed certificate before asking again. The wait is a third of the certificate's remaining
/// lifetime, bounded by [`RENEW_RETRY_MIN`] and this.
pub const RENEW_RETRY_MAX: Duration = Duration::from_secs(3600);

/// The minimum interval between two certificate requests: the server answers no faster.
pub const RENEW_RETRY_MIN: Duration = Duration::from_secs(60);

/// How long a removed site tries to withdraw its DNS records. After that, it reports which ones are left.
pub const WITHDRAW_MAX: Duration = Duration::from_secs(600);

/// The largest clock difference between site and server that raises no condition.
pub const CLOCK_SKEW_MAX: Duration = Duration::from_secs(90);

/// The smallest change of the wall clock against the monotonic clock, between two collections of facts, that counts as
/// a step. Clocks drift by milliseconds a minute.
pub const CLOCK_STEP_MIN: Duration = Duration::from_secs(10);

/// The fixed configuration of a site's state machine.
#[derive(Clone, Debug)]
pub struct SiteConfig {
    /// The daemon's version.
    pub daemon_version: Text,
    /// The path of the data directory, for messages.
    pub directory: Text,
    /// The supported protocol versions.
    pub versions: VersionRange,
    /// The id of this daemon run.
    pub run: RunId,
    /// The boot of the machine, if the machine tells.
    pub boot: Option<BootId>,
    /// Which server addresses to dial.
    pub servers: ServerSource,
    /// Labels from the environment: overridden by drop-in files and by labels set by hand.
    pub labels: EnvironmentLabels,
    /// The join request, if the site has no identity yet.
    pub join: Option<PendingJoin>,
    /// Providers from the site's own configuration. They override providers of the same name from the server.
    pub providers: Vec<ProviderSpec>,
}

/// Which server addresses a site dials.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ServerSource {
    /// Those that are saved: from the join, or told by the server since.
    #[default]
    Saved,
    /// These and no others: from the site's own configuration. What the server tells is saved, for when they are gone.
    Configured(Vec<ServerAddress>),
    /// Those of a join token. They replace the saved ones once one of them has carried a link.
    Token(Vec<ServerAddress>),
}

/// The parameters of a join.
#[derive(Clone, Debug)]
pub struct PendingJoin {
    /// The join token.
    pub token: JoinToken,
    /// What joins.
    pub kind: MemberKind,
    /// The requested name.
    pub name: Name,
    /// The name of the site that a host means to join, if it was given.
    pub site: Option<Name>,
}

/// State saved by earlier runs.
#[derive(Clone, Debug, Default)]
pub struct SavedSite {
    /// The site's identity; `None` before it joined.
    pub identity: Option<SiteIdentity>,
    /// The server addresses saved with the identity.
    pub servers: Option<KnownServers>,
    /// The authorities saved with the identity.
    pub authorities: KnownAuthorities,
    /// The records of the site database.
    pub records: Vec<SiteChange>,
    /// Where a corrupt database was moved, if one was.
    pub corrupt_database: Option<Text>,
    /// The contents of the drop-in files. Read before the machine starts, so that a restart changes no label.
    pub drop_ins: DropIns,
}

/// The parts of the site's identity that the machine needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SiteIdentity {
    /// What has joined: the site, whose gateway this machine is, or a host.
    pub kind: MemberKind,
    /// The site id.
    pub site: SiteId,
    /// The id of the host that runs the daemon.
    pub host: HostId,
    /// Start of the certificate's validity.
    pub not_before: WallTime,
    /// End of the certificate's validity.
    pub not_after: WallTime,
    /// The trusted authority that issued the certificate; `None` if it is none of them.
    pub issuer: Option<Pin>,
}

impl SiteIdentity {
    /// Returns when the certificate is due for renewal: at two thirds of its lifetime.
    pub fn renew_at(&self) -> WallTime {
        self.not_before + self.not_after.saturating_since(self.not_before) * 2 / 3
    }
}
