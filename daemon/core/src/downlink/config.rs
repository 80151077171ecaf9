//! Constants of the downlink.

use std::time::Duration;

use linecamp_model::limits::PROVIDERS_PER_SITE_MAX;

/// How long a new session may take to send its first message. After that, it is closed.
pub const FIRST_MESSAGE_MAX: Duration = Duration::from_secs(10);

/// How long an established session has to answer a probe before another machine with its identity takes its place: a
/// few round trips of a satellite link.
pub const PROBE_MAX: Duration = Duration::from_secs(5);

/// When a machine refused as a duplicate may retry.
pub const DUPLICATE_RETRY: Duration = Duration::from_secs(60);

/// How long after the last refused duplicate its condition clears: ten of its retries.
pub const DUPLICATE_CLEARS_AFTER: Duration = Duration::from_secs(600);

/// How long after a server start no site is reported as disconnected: load on the server must not look like a failed
/// site.
pub const START_GRACE: Duration = Duration::from_secs(180);

/// How many sites per second the server assigns retry slots to: about a tenth of the handshakes one core can handle, so
/// that operators are served meanwhile.
pub const REDIALS_PER_SECOND: u32 = 500;

/// The number of members up to which the spread of redials grows: more are spread like this many.
pub(super) const SPREAD_MEMBERS_MAX: usize = 1_000_000;

/// The first retry slot after a planned stop: time for the next server process to start.
pub(super) const RESTART_ALLOWANCE: Duration = Duration::from_secs(1);

/// The maximum number of sessions that have not sent their first message. Further ones are assigned a retry slot.
pub(crate) const OPENING_SESSIONS_MAX: usize = 2_048;

/// How long to wait before re-sending what a reader could not persist.
pub(super) const RESEND_AFTER: Duration = Duration::from_secs(5);

/// The minimum interval between two certificates of one session: each costs a signature.
pub(super) const RENEW_INTERVAL_MIN: Duration = Duration::from_secs(60);

/// The maximum number of pieces of one session that wait for its rate limit; further requests are dropped. A member
/// fetches one piece of each file at a time.
pub(super) const WAITING_PIECES_MAX: usize = PROVIDERS_PER_SITE_MAX;
