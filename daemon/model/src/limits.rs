//! Every limit of the values and the wire, and what happens at it.

use std::time::Duration;

/// Bytes of a name: a DNS label (RFC 1035). A longer one is refused.
pub const NAME_BYTES_MAX: usize = 63;

/// Bytes of a free text such as a description. A longer one is refused; our own words are cut.
pub const TEXT_BYTES_MAX: usize = 512;

/// Bytes of a label's key: room for a DNS-style prefix and a name. A longer one is refused.
pub const LABEL_KEY_BYTES_MAX: usize = 128;

/// Bytes of a label's value: a full kernel or Docker version string fits several times. A longer one is refused.
pub const LABEL_VALUE_BYTES_MAX: usize = 256;

/// Labels of one owner on one site or host. More are refused, or dropped with a condition where nobody
/// waits for an answer (drop-in files).
pub const LABELS_PER_OWNER_MAX: usize = 64;

/// Terms of a selector. More are refused.
pub const SELECTOR_TERMS_MAX: usize = 32;

/// Bytes of a selector's text. A longer one is refused.
pub const SELECTOR_BYTES_MAX: usize = 2048;

/// Hosts of one site, its gateway included: "one to five small machines", with room. More are refused.
pub const HOSTS_PER_SITE_MAX: usize = 16;

/// Server addresses a site tries in turn. More are refused.
pub const SERVERS_PER_SITE_MAX: usize = 8;

/// Bytes of a server address `host:port`: a DNS name's 253 and a port. A longer one is refused.
pub const SERVER_ADDRESS_BYTES_MAX: usize = 260;

/// Bytes of a message from a peer that proved its place: the whole status of a site fits
/// (`HOSTS_PER_SITE_MAX` hosts, each with two owners' labels: about 0.85 MB). A longer one costs the session.
pub const FRAME_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of a peer's first message. A greeting or a join with all its labels fits; a longer one costs the session.
pub const FIRST_FRAME_BYTES_MAX: usize = 64 * 1024;

/// Bytes of a close frame's reason: it has to fit one packet. Longer texts are cut.
pub const CLOSE_BYTES_MAX: usize = 900;

/// Events in one message. The rest follows once these are acknowledged.
pub const EVENTS_PER_MESSAGE_MAX: usize = 64;

/// Events a site keeps while the server is away. Past it the oldest goes, is counted, and the count is reported.
pub const OUTBOX_EVENTS_MAX: usize = 1_000;

/// Events the server keeps. Past it the oldest goes.
pub const SERVER_EVENTS_MAX: usize = 10_000;

/// Events of one site that the server keeps. Past it that site's oldest goes.
pub const SERVER_EVENTS_PER_SITE_MAX: usize = 200;

/// Conditions of one site or host. There are fewer kinds; more on the wire is refused.
pub const CONDITIONS_MAX: usize = 16;

/// Conditions keep their detail this short, so that a status stays small.
pub const CONDITION_DETAIL_BYTES_MAX: usize = TEXT_BYTES_MAX;

/// Sites of one environment. A join past it is refused.
pub const SITES_PER_ENVIRONMENT_MAX: usize = 10_000;

/// Environments of one server. More are refused.
pub const ENVIRONMENTS_MAX: usize = 100;

/// Join tokens of one server. More are refused until some are revoked or expire.
pub const TOKENS_MAX: usize = 1_000;

/// The longest life of a join token: a year. A longer one is refused.
pub const TOKEN_TTL_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

/// The most sites one join token may create. More is refused.
pub const TOKEN_USES_MAX: u32 = 100_000;
