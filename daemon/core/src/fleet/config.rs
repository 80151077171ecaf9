//! Configuration and saved state of the server's state machine, and its constants.

use std::collections::BTreeSet;
use std::time::Duration;

use linecamp_model::{Environment, FleetChange, Salvage, SiteId, Text, VersionRange};

use crate::membership::RECOVERIES_PER_DAY_DEFAULT;

/// How long a transitional phase may take before a condition is raised. The phase never ends on its own.
pub const PHASE_DEADLINE: Duration = Duration::from_secs(600);

/// How long to wait after a failed commit before retrying the store and asking sites for their status again.
pub(super) const STORE_RETRY: Duration = Duration::from_secs(30);

/// When a site whose record cannot be read may retry: an operator has to repair the record first.
pub(super) const QUARANTINE_RETRY: Duration = Duration::from_secs(600);

/// When a site or a join token that is held since a restore may retry, at least: an accepted site is linked soon.
pub(super) const HELD_RETRY: Duration = Duration::from_secs(20);

/// How often held sites ask in a second, all together. Above 2,000 of them, each waits longer than [`HELD_RETRY`].
pub(super) const HELD_ASKS_PER_SECOND: usize = 100;

/// How often expired records are removed: removed sites and expired tokens.
pub const SWEEP_PERIOD: Duration = Duration::from_secs(600);

/// How long an expired or revoked join token, or an expired API key, stays listed.
pub(super) const TOKEN_KEEP: Duration = Duration::from_secs(30 * 24 * 3600);

/// How long a removed site stays visible, unless its environment overrides it.
pub const REMOVED_KEEP_DEFAULT: Duration = Duration::from_secs(7 * 24 * 3600);

/// The rules of an environment that was never edited.
pub const ENVIRONMENT_DEFAULT: Environment = Environment {
    approval: false,
    recoveries_per_day_max: RECOVERIES_PER_DAY_DEFAULT,
    removed_keep: REMOVED_KEEP_DEFAULT,
};

/// The fixed configuration of the server's state machine.
#[derive(Clone, Debug)]
pub struct FleetConfig {
    /// The supported protocol versions.
    pub versions: VersionRange,
    /// The lifetime of a site's certificate.
    pub certificate_life: Duration,
}

/// A record of the fleet database that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableRecord {
    /// Its key.
    pub key: Text,
    /// The error.
    pub problem: Text,
    /// How to handle it.
    pub salvage: Salvage,
}

/// State saved by earlier runs.
#[derive(Clone, Debug, Default)]
pub struct SavedFleet {
    /// The records of the fleet database.
    pub records: Vec<FleetChange>,
    /// The records that could not be read.
    pub unreadable: Vec<UnreadableRecord>,
}

impl SavedFleet {
    /// Returns the records to start from: without those of quarantined sites but their keys, by which they are
    /// refused, and with what can be salvaged of the others.
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
            | FleetChange::Host(site, ..)
            | FleetChange::Spec(site, ..)
            | FleetChange::Status(site, ..)
            | FleetChange::ReplicationCursor(site, _)
            | FleetChange::SiteTrust(site, _) => !quarantined.contains(site),
            _ => true,
        };
        let salvaged = self.unreadable.iter().filter_map(|record| match &record.salvage {
            Salvage::Keep(change) => Some(change),
            Salvage::Remove(_) | Salvage::Quarantine(_) | Salvage::Ignore => None,
        });
        self.records.iter().filter(is_readable).chain(salvaged).cloned().collect()
    }
}
