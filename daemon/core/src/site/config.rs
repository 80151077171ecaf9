//! What a site's machine is told at its start, and the constants that govern it.

use std::collections::BTreeMap;
use std::time::Duration;

use linecamp_model::{
    JoinToken, LabelKey, LabelValue, Level, Name, ProviderSpec, RunId, ServerAddress, SiteChange, SiteId, Text,
    VersionRange, WallTime,
};

use super::labels::DropIns;

/// How long a dial may take. A driver gives up earlier; this catches one that says nothing.
pub const DIAL_MAX: Duration = Duration::from_secs(30);

/// How long the server may take to answer a greeting. It probes another session for 5 s at most.
pub const GREETING_MAX: Duration = Duration::from_secs(15);

/// The ceiling of the first redial where the server has not named one: a small fleet is back in a moment.
pub const REDIAL_SPREAD_DEFAULT: Duration = Duration::from_secs(1);

/// The ceiling of all redials. A site asks at least this often, so it is back a minute after its server is.
pub const REDIAL_MAX: Duration = Duration::from_secs(60);

/// The ceiling of all redials, as a multiple of the spread the server named, where that is less: a fleet that takes a
/// second to come back has no reason to wait a minute. With 500 sites it is 20 s, and a server that is away hears from
/// 25 of them a second; after an outage of any length 99 in 100 are back within 30 s (`reconnect-storm`).
pub const REDIAL_MAX_SPREADS: u32 = 20;

/// The longest slot a server can hand out: it cannot send a site away for more than a day.
pub const RETRY_SLOT_MAX: Duration = Duration::from_secs(24 * 3600);

/// How often facts are collected. They are sent only when they change.
pub const FACTS_PERIOD: Duration = Duration::from_secs(60);

/// How long the first dial waits for the first facts, if the site has not reported any: its database was lost, say.
/// Collecting takes a second at most. Past it, the site dials without facts, and the server takes them for gone.
pub const FIRST_FACTS_MAX: Duration = Duration::from_secs(5);

/// How long to leave the store alone after a failed commit before the machine tries again by itself.
pub const STORE_RETRY: Duration = Duration::from_secs(30);

/// How long to wait for a renewed certificate before asking again: this long, or a third of what is left of the
/// certificate, but at least [`RENEW_RETRY_MIN`].
pub const RENEW_RETRY_MAX: Duration = Duration::from_secs(3600);

/// The least time between two requests for a certificate: the server answers no faster.
pub const RENEW_RETRY_MIN: Duration = Duration::from_secs(60);

/// How long a site that is removed tries to take its DNS records along. Past it, it says which are left.
pub const WITHDRAW_MAX: Duration = Duration::from_secs(600);

/// How far the clocks of site and server may differ before it is a condition.
pub const CLOCK_SKEW_MAX: Duration = Duration::from_secs(90);

/// What a site's machine needs to know and never changes.
#[derive(Clone, Debug)]
pub struct SiteConfig {
    /// The daemon's version.
    pub daemon_version: Text,
    /// Its data directory, as people call it.
    pub directory: Text,
    /// The protocol versions it speaks.
    pub versions: VersionRange,
    /// This run of the daemon.
    pub run: RunId,
    /// Where to find the server, tried in turn. At least one, unless there is nothing to dial.
    pub servers: Vec<ServerAddress>,
    /// Labels from the environment: beneath drop-in files and what was set by hand.
    pub labels: BTreeMap<Level, BTreeMap<LabelKey, LabelValue>>,
    /// A wish to join, if the site has no identity yet.
    pub join: Option<JoinWish>,
    /// Providers of the site's own configuration. Of two with one name this one holds, and not the server's.
    pub providers: Vec<ProviderSpec>,
}

/// A wish to join.
#[derive(Clone, Debug)]
pub struct JoinWish {
    /// With which token.
    pub token: JoinToken,
    /// Under which name.
    pub name: Name,
}

/// What survived from earlier runs.
#[derive(Clone, Debug, Default)]
pub struct SavedSite {
    /// Who the site is; `None` before it joined.
    pub identity: Option<SiteIdentity>,
    /// The records of the site database.
    pub records: Vec<SiteChange>,
    /// Where a damaged database was put aside, if one was.
    pub damaged: Option<Text>,
    /// What the drop-in files say. Known from the first moment on, so that a restart changes no label.
    pub drop_ins: DropIns,
}

/// Who a site is, as far as its machine has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SiteIdentity {
    /// Its id.
    pub site: SiteId,
    /// When its certificate begins to hold.
    pub not_before: WallTime,
    /// When its certificate ends.
    pub not_after: WallTime,
}

impl SiteIdentity {
    /// Returns when the certificate is due for renewal: at two thirds of its life.
    pub fn renew_at(&self) -> WallTime {
        self.not_before + self.not_after.saturating_since(self.not_before) * 2 / 3
    }
}
