//! All decisions, and nothing else.
//!
//! [`Site`] decides for one daemon, [`Fleet`] for the server. They do nothing themselves: no I/O, no async,
//! no threads, no clock, no randomness of their own. Whoever drives them (a daemon, the server, a simulator, a
//! test with a clock in its hand) hands in what happened and carries out what they ask for.
//!
//! How to drive a machine:
//! 1. One input (`handle_…`), then drain `poll_output` until `None`, then the next input.
//! 2. Time never goes back between calls. Equal is fine. (The wall clock may jump.)
//! 3. An output is a request. `Dial`, `Persist`, `TryStore` and `SaveIdentity` get exactly one answer, carrying the
//!    same id; silence is answered by a timer. The others need none.
//! 4. A late or unknown answer is ignored and counted.
//! 5. A machine never fails. Bad input becomes a state, a condition or a hang-up with a reason.
//!
//! What is *not* here: bytes (`proto`), disks (`store`), sockets (`transport`). Nothing in here iterates in an
//! order that differs from run to run.

#![forbid(unsafe_code)]

mod backoff;
mod conditions;
mod fleet;
mod ledger;
pub mod mutants;
mod provider;
mod records;
mod rng;
mod site;
mod sync;
mod timers;

#[cfg(any(test, feature = "testing"))]
pub mod testing;

#[cfg(test)]
mod stories;

pub use fleet::{
    CERTIFICATE_LIFE, Credential, DUPLICATE_CLEARS_AFTER, DUPLICATE_RETRY, ENVIRONMENT_DEFAULT, Edit, EnvironmentEdit,
    EventFilter, FIRST_MESSAGE_MAX, Fleet, FleetCommand, FleetCommandError, FleetConfig, FleetOutput, FleetTimer,
    Force, IssueRequest, LinkCounts, NewToken, PACE_BURST, PACE_OVERDRAFT_MAX, PACE_PER_SECOND, PHASE_DEADLINE,
    PROBE_MAX, Peer, ProviderSummary, RECOVERIES_PER_DAY_DEFAULT, REDIALS_PER_SECOND, REMOVED_KEEP_DEFAULT,
    START_GRACE, SWEEP_PERIOD, SavedFleet, SeenLabels, SessionEvent, SiteFilter, SiteRef, Subject, UnreadableRecord,
};
pub use provider::{
    CALL_MAX, CONFLICT_RETRY_FIRST, QUARANTINE, RECHECK_DELAY, RECONCILE_INTERVAL, RETRY_AFTER_MAX, RETRY_FIRST,
    RETRY_MAX,
};
pub use records::{DELETES_PER_ROUND_MAX, OWN_ADDRESS_LABEL};
pub use rng::Rng;
pub use site::{
    CLOCK_SKEW_MAX, DIAL_MAX, Dial, DropIns, FACTS_PERIOD, FIRST_FACTS_MAX, Fact, Facts, GREETING_MAX, JoinWish,
    LabelLayer, LinkEvent, LossReason, Purpose, REDIAL_MAX, REDIAL_MAX_SPREADS, REDIAL_SPREAD_DEFAULT, RENEW_RETRY_MAX,
    RENEW_RETRY_MIN, RETRY_SLOT_MAX, STORE_RETRY, SavedSite, Site, SiteCommand, SiteCommandError, SiteConfig,
    SiteIdentity, SiteOutput, Timer, UnsavedIdentity, WITHDRAW_MAX,
};

use std::time::Duration;

/// How long a lost link counts as about to come back, before it is called disconnected: three minutes, so
/// that a reboot or a line's nightly reconnect passes without notice (the figure Rancher 1.6 used).
pub const DISCONNECTED_AFTER: Duration = Duration::from_secs(180);

/// Why the store could not commit, as far as a machine has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreFault {
    /// No room.
    DiskFull,
    /// The file or its file system may not be written.
    ReadOnly,
    /// Anything else; the store's own words are in the log.
    Failed,
}

impl StoreFault {
    /// Returns the code that programs see.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DiskFull => "disk-full",
            Self::ReadOnly => "read-only",
            Self::Failed => "failed",
        }
    }
}
