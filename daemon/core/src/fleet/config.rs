//! What the server's machine is told at its start, and the constants that govern it.

use std::collections::BTreeSet;
use std::time::Duration;

use linecamp_model::{FleetChange, Salvage, SiteId, Text, VersionRange};

/// How long a session may take to greet. Past it, it is closed.
pub const FIRST_MESSAGE_MAX: Duration = Duration::from_secs(10);

/// How long an established session has to answer a probe before another machine with its identity takes
/// its place: a few round trips of a satellite line.
pub const PROBE_MAX: Duration = Duration::from_secs(5);

/// When a machine refused as a duplicate may try again.
pub const DUPLICATE_RETRY: Duration = Duration::from_secs(60);

/// How long after the last refused duplicate its condition clears: ten of its tries.
pub const DUPLICATE_CLEARS_AFTER: Duration = Duration::from_secs(600);

/// How long no site changes its link state after a server start: load on the server must not read as
/// failure of a site.
pub const START_GRACE: Duration = Duration::from_secs(180);

/// How long a transitional phase may take before it is a condition. It never ends by itself.
pub const PHASE_DEADLINE: Duration = Duration::from_secs(600);

/// How many sites the server lets back in a second: about a tenth of what one core can handshake, so that
/// operators are served meanwhile.
pub const REDIALS_PER_SECOND: u32 = 500;

/// The first retry slot after a planned stop: time for the next server to be there.
pub(super) const RESTART_ALLOWANCE: Duration = Duration::from_secs(1);

/// Sessions that have not greeted yet. One more is told to come back in its slot.
pub(super) const OPENING_SESSIONS_MAX: usize = 2_048;

/// How long to leave the store alone after a failed commit before asking a site for its status again.
pub(super) const STORE_RETRY: Duration = Duration::from_secs(30);

/// When a site whose record cannot be read may try again: an operator has to repair it first.
pub(super) const QUARANTINE_RETRY: Duration = Duration::from_secs(600);

/// How long to wait before sending again what a reader said it could not keep.
pub(super) const RESEND_AFTER: Duration = Duration::from_secs(5);

/// How often what has had its time is cleared away: removed sites, expired tokens.
pub const SWEEP_PERIOD: Duration = Duration::from_secs(600);

/// How long an expired or revoked join token stays in lists.
pub(super) const TOKEN_KEEP: Duration = Duration::from_secs(30 * 24 * 3600);

/// The life of a site's certificate: a month, renewed at two thirds; a site that was dark for longer recovers.
pub const CERTIFICATE_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);

/// The least time between two certificates of one session: each costs a signature.
pub(super) const RENEW_INTERVAL_MIN: Duration = Duration::from_secs(60);

/// How far back a new certificate begins, for sites whose clock is a little behind: at most this, and at most a
/// [part](CERTIFICATE_BACKDATE_PART) of its life, so that it is not due for renewal when it is made.
pub(super) const CERTIFICATE_BACKDATE_MAX: Duration = Duration::from_secs(3600);

/// The part of its life by which a certificate may begin earlier: a twenty-fourth.
pub(super) const CERTIFICATE_BACKDATE_PART: u32 = 24;

/// How often one site may recover in 24 hours, unless its environment says otherwise: once would do.
pub const RECOVERIES_PER_DAY_DEFAULT: u32 = 5;

/// How long a removed site stays visible, unless its environment says otherwise.
pub const REMOVED_KEEP_DEFAULT: Duration = Duration::from_secs(7 * 24 * 3600);

/// What the server's machine needs to know and never changes.
#[derive(Clone, Debug)]
pub struct FleetConfig {
    /// The protocol versions it speaks.
    pub versions: VersionRange,
    /// The life of a site's certificate.
    pub certificate_life: Duration,
}

/// A record of the fleet database that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableRecord {
    /// Its key.
    pub key: Text,
    /// What is wrong with it.
    pub problem: Text,
    /// What to make of it.
    pub salvage: Salvage,
}

/// What survived from earlier runs.
#[derive(Clone, Debug, Default)]
pub struct SavedFleet {
    /// The records of the fleet database.
    pub records: Vec<FleetChange>,
    /// Those that could not be read.
    pub unreadable: Vec<UnreadableRecord>,
}

impl SavedFleet {
    /// Returns the records to start from: without those of sites of which one cannot be read, and with what can be
    /// salvaged of the others.
    pub(super) fn readable(&self) -> Vec<FleetChange> {
        let quarantined: BTreeSet<SiteId> = self
            .unreadable
            .iter()
            .filter_map(|record| match record.salvage {
                Salvage::Quarantine(site) => Some(site),
                Salvage::Keep(_) | Salvage::Remove(_) | Salvage::Ignore => None,
            })
            .collect();
        let is_readable = |change: &&FleetChange| match change {
            FleetChange::Site(site, _)
            | FleetChange::Spec(site, ..)
            | FleetChange::Status(site, ..)
            | FleetChange::ReplicationCursor(site, _) => !quarantined.contains(site),
            _ => true,
        };
        let salvaged = self.unreadable.iter().filter_map(|record| match &record.salvage {
            Salvage::Keep(change) => Some(change),
            Salvage::Remove(_) | Salvage::Quarantine(_) | Salvage::Ignore => None,
        });
        self.records.iter().filter(is_readable).chain(salvaged).cloned().collect()
    }
}
