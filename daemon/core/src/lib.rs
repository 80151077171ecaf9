//! The decision logic of Linecamp, as sans-I/O state machines.
//!
//! [`Site`] decides for one daemon, [`Fleet`] for the server; the fleet's `downlink` is a machine of its own for the
//! members registered below it. None performs I/O, awaits, spawns threads, reads a clock, or owns a source of
//! randomness. A driver (the daemon, the server, the simulator, or a test with a fake clock) feeds in events and
//! executes the outputs.
//!
//! How to drive a machine:
//! 1. Pass one input (`handle_…`), drain `poll_output` until it returns `None`, then pass the next input.
//! 2. The monotonic clock never goes back between calls; equal readings are fine. The wall clock may jump.
//! 3. An output is a request. `Dial`, `Persist`, `TryStore` and `SaveIdentity` get exactly one answer, carrying the
//!    same id; a timer covers a missing answer. The other outputs need no answer.
//! 4. A late or unknown answer is ignored and counted.
//! 5. A machine never fails. Invalid input becomes a state, a condition, or a hang-up with a reason.
//!
//! Not in this crate: encoding (`proto`), disks (`store`), sockets (`transport`). Iteration order is deterministic
//! everywhere: the same inputs produce the same outputs in every run.

#![forbid(unsafe_code)]

mod backoff;
mod convergence;
mod dns;
mod document_sync;
mod downlink;
mod event_stream;
mod fleet;
mod host_member;
mod host_record;
mod ip_networks;
mod login_delay;
mod membership;
mod page;
mod provider_calls;
mod providers;
mod request_origin;
mod rng;
mod site;
mod staging;
mod timers;
mod transfers;

#[cfg(any(test, feature = "testing"))]
pub mod testing;

#[cfg(test)]
mod stories;

pub use dns::{CONFLICT_RETRY_FIRST, DELETES_PER_ROUND_MAX, OWN_ADDRESS_LABEL, QUARANTINE};
pub use downlink::{
    Credential, DUPLICATE_CLEARS_AFTER, DUPLICATE_RETRY, DownlinkTimer, FIRST_MESSAGE_MAX, MEMBER_BURST,
    MEMBER_OVERDRAFT_MAX, MEMBER_RATE_PER_SECOND, PROBE_MAX, Peer, REDIALS_PER_SECOND, START_GRACE, SessionEvent,
};
pub use event_stream::{
    BACKLOG_BYTES_MAX, BACKLOG_MESSAGES_MAX, MessageKind, ResetReason, STREAMS_MAX, STREAMS_PER_USER_MAX,
    StreamBacklog, StreamFilter, StreamId, StreamPosition, StreamShares, StreamSubject,
};
pub use fleet::{
    AUDIT_RETENTION_DEFAULT, AccountCommand, AnswerBuilder, ApiCredential, ApiKeyView, AuditCounters, AuditNote,
    AuditedRequest, AuthenticationError, AuthorityStatus, Authorization, BulkProgress, BulkSiteState, BulkSiteView,
    Candidate, ENVIRONMENT_DEFAULT, Edit, EnvironmentEdit, EventFilter, Fleet, FleetCommand, FleetCommandError,
    FleetConfig, FleetOutput, FleetSnapshot, FleetTimer, FleetView, Force, HeldCounts, HeldItems, Hold, HoldSummary,
    HostOrder, HostRef, InvalidSettings, IssuedCommand, JoinsAs, KeyedRequest, Lack, LinkCounts, LinkFilter, ListView,
    ListedRecord, LoginProof, NewBulkAction, NewKey, NewSession, NewToken, NewUser, Obstacle, OidcLogin,
    PHASE_DEADLINE, PasswordChange, PendingSetup, Principal, ProviderSummary, REMOVED_KEEP_DEFAULT, RecordFilter,
    SESSION_IDLE_MAX, SESSION_LIFE, SWEEP_PERIOD, SavedFleet, SeenLabels, SiteFilter, SiteOrder, SiteRef, Standing,
    StateChange, SubjectRef, UnknownKey, UnreadableRecord, UserEdit, UserSessionView, UserView, WaitingSite,
    console_changes, hold_restored,
};
pub use ip_networks::{IP_NETWORKS_MAX, IpNetwork, IpNetworks};
pub use login_delay::{LOGIN_DELAY_MAX, LoginDelays};
pub use membership::{CERTIFICATE_LIFE, IssueRequest, RECOVERIES_PER_DAY_DEFAULT};
pub use page::{ItemKey, KEY_NAMES, PAGE_BYTES_MAX, Page, PageRequest, Place};
pub use provider_calls::{CALL_MAX, RECHECK_DELAY, RECONCILE_INTERVAL, RETRY_AFTER_MAX, RETRY_FIRST, RETRY_MAX};
pub use request_origin::{
    FORWARDING_HEADERS_MAX, ForwardingHeader, HOPS_MAX, HeaderVerdict, IgnoredReason, RequestOrigin, RequestPeer,
    Scheme,
};
pub use rng::Rng;
pub use site::{
    CLOCK_SKEW_MAX, CLOCK_STEP_MIN, DIAL_MAX, Dial, DropIns, EnvironmentLabels, FACTS_PERIOD, FIRST_FACTS_MAX, Fact,
    Facts, GREETING_MAX, HostCommand, HostOutput, LabelLayer, LinkEvent, LossReason, PendingJoin, Purpose, REDIAL_MAX,
    REDIAL_MAX_SPREADS, REDIAL_SPREAD_DEFAULT, RENEW_RETRY_MAX, RENEW_RETRY_MIN, RETRY_SLOT_MAX, STORE_RETRY,
    SavedSite, ServerSource, Site, SiteCommand, SiteCommandError, SiteConfig, SiteIdentity, SiteOutput, Timer,
    UnsavedIdentity, WITHDRAW_MAX,
};

use std::time::Duration;

/// How long a lost link counts as reconnecting before it is reported as disconnected: three minutes, so that a reboot
/// or a line's nightly reconnect raises no alarm (the figure Rancher 1.6 used).
pub const DISCONNECTED_AFTER: Duration = Duration::from_secs(180);

/// Why the store could not commit, in the detail a machine needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreFault {
    /// The disk is full.
    DiskFull,
    /// The file or its file system is read-only.
    ReadOnly,
    /// Any other error; the log has the store's message.
    Failed,
}

impl StoreFault {
    /// Returns the machine-readable code.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DiskFull => "disk-full",
            Self::ReadOnly => "read-only",
            Self::Failed => "failed",
        }
    }
}
