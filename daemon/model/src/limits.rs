//! Limits of values and of the wire format, and what happens when one is exceeded.

use std::time::Duration;

use crate::time::WallTime;

/// The highest generation, event number or event count. At a million increments per second it is reached after 292,000
/// years, so a higher value is invalid: it is rejected on the wire and on disk, and never derived (a new incarnation
/// starts instead). Incrementing an accepted value cannot overflow.
pub const COUNTER_MAX: u64 = u64::MAX >> 1;

/// Maximum bytes of a name: a DNS label (RFC 1035). A longer name is rejected.
pub const NAME_BYTES_MAX: usize = 63;

/// Maximum bytes of a free text such as a description. Longer input is rejected; text generated here is truncated.
pub const TEXT_BYTES_MAX: usize = 512;

/// Maximum bytes of a label key: room for a DNS-style prefix and a name. A longer key is rejected.
pub const LABEL_KEY_BYTES_MAX: usize = 128;

/// Maximum bytes of a label value: several times a full kernel or Docker version string. A longer value is rejected.
pub const LABEL_VALUE_BYTES_MAX: usize = 256;

/// Maximum labels of one owner on one site or host. An excess is rejected, or dropped with a condition where there is
/// no caller to report it to (drop-in files).
pub const LABELS_PER_OWNER_MAX: usize = 64;

/// Maximum terms of a selector. More are rejected.
pub const SELECTOR_TERMS_MAX: usize = 32;

/// Maximum bytes of a selector's text. A longer selector is rejected.
pub const SELECTOR_BYTES_MAX: usize = 2048;

/// Maximum hosts of one site, including its gateway: a large plant or ship. More are rejected.
pub const HOSTS_PER_SITE_MAX: usize = 256;

/// Maximum keys that one host may present. A host has one; a machine that takes its place adds another.
pub const KEYS_PER_HOST_MAX: usize = 4;

/// Maximum certificates that a gateway authenticates itself with: its own, and four above it during the second
/// replacement of the server's authority. More are rejected.
pub const GATEWAY_CHAIN_MAX: usize = 5;

/// Maximum tokens of one site that hosts join with. More are rejected until some are revoked or expire.
pub const HOST_TOKENS_PER_SITE_MAX: usize = 64;

/// Minimum bytes of available memory with which a machine may join, as `MemAvailable` of proc_meminfo(5) counts them:
/// the daemon with the compilation of a plugin, and some room. With less, the join ends before its token is used.
pub const MEMORY_FREE_BYTES_MIN: u64 = 256 * 1024 * 1024;

/// Bytes of available memory below which a join warns: the daemon runs, but little is left for what runs beside it.
pub const MEMORY_COMFORTABLE_BYTES: u64 = 1024 * 1024 * 1024;

/// The oldest Linux with which a machine may join, as major and minor number: the first with getrandom(2), which keys
/// are created with, and memfd_create(2). With an older one, the join ends before its token is used.
pub const KERNEL_MIN: (u32, u32) = (3, 17);

/// The oldest Linux that sends several packets with one system call, `UDP_SEGMENT` of udp(7). With an older one, a join
/// warns.
pub const KERNEL_FAST_MIN: (u32, u32) = (4, 18);

/// The first moment of 2026. A clock that shows an earlier time was never set: this program is younger. A join warns.
pub const PLAUSIBLE_TIME_MIN: WallTime = WallTime::from_unix_millis(1_767_225_600_000);

/// Maximum server addresses of one set: of a join token, of a configuration, or told by a server. More are rejected. A
/// site keeps two sets at most.
pub const SERVERS_PER_SITE_MAX: usize = 8;

/// Maximum authorities of one set: the one that issues certificates, and the one before or after it. More are rejected.
pub const AUTHORITIES_PER_SET_MAX: usize = 2;

/// Maximum bytes of a server address `host:port`: a DNS name's 253 and a port. A longer address is rejected.
pub const SERVER_ADDRESS_BYTES_MAX: usize = 260;

/// Maximum bytes of a message from an admitted peer. A longer message ends the session. A delta that does not fit is
/// sent in parts, and every document fits, with each value at its limit:
///
/// | document | status, bytes | spec, bytes |
/// |---|---|---|
/// | a host: two owners' labels in a status, one's in a spec (64 of 404), conditions | 70,000 | 27,000 |
/// | the site: labels, texts, and in a status 32 conditions of 531 | 44,000 | 27,000 |
/// | a host token: a hash and three numbers | none | 70 |
/// | a provider: texts and `REPORTED_RECORDS_BYTES_MAX`, or `PROVIDER_SPEC_BYTES_MAX` | 132,300 | 32,900 |
pub const FRAME_BYTES_MAX: usize = 1024 * 1024;

/// Maximum bytes of a delta besides its documents, on the link.
pub const DELTA_OVERHEAD_BYTES_MAX: usize = 64;

/// Maximum bytes of a document besides its body, on the link: its key, its generation, and the lengths of all of them.
/// A tombstone has no more.
pub const DOCUMENT_OVERHEAD_BYTES_MAX: usize = 48;

/// Maximum bytes of the whole status of a site, and of its whole spec, as encoded on the link and without tombstones.
/// [`HOSTS_PER_SITE_MAX`] hosts have 15 KiB each: all labels of two owners with 120 bytes each. A peer that sends more
/// is rejected before anything of it is stored.
pub const DOCUMENTS_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Maximum tombstones in one delta. If there are more since the receiver's base, the sender sends a snapshot, which has
/// none.
pub const TOMBSTONES_PER_DELTA_MAX: usize = 64;

/// Maximum documents in one delta, in all its parts: the site's own, its hosts', its providers', its host tokens, and
/// tombstones. More are rejected.
pub const DOCUMENTS_PER_DELTA_MAX: usize =
    1 + HOSTS_PER_SITE_MAX + PROVIDERS_PER_SITE_MAX + HOST_TOKENS_PER_SITE_MAX + TOMBSTONES_PER_DELTA_MAX;

/// Maximum bytes of a peer's first message. A hello or a join with all its labels fits; a longer message ends the
/// session.
pub const FIRST_FRAME_BYTES_MAX: usize = 64 * 1024;

/// Maximum bytes of the reason in a close frame, which must fit one packet. A longer text is truncated.
pub const CLOSE_BYTES_MAX: usize = 900;

/// Maximum events in one message. The rest are sent after these are acknowledged.
pub const EVENTS_PER_MESSAGE_MAX: usize = 64;

/// Maximum events a site keeps while it is offline. Above it the oldest is dropped and counted, and the count is
/// reported.
pub const OUTBOX_EVENTS_MAX: usize = 1_000;

/// Maximum events the server keeps of its own, and as many from sites. Above it the oldest of the same origin is
/// dropped.
pub const SERVER_EVENTS_MAX: usize = 10_000;

/// Maximum events about one site that the server keeps, per origin. Above it that site's oldest is dropped.
pub const SERVER_EVENTS_PER_SITE_MAX: usize = 200;

/// Maximum gaps of the link that a site keeps until a server has acknowledged them. Above it the two oldest are merged
/// into one, which counts them.
pub const LINK_GAPS_WAITING_MAX: usize = 64;

/// Maximum gaps of the link that the server keeps for one site. Above it the oldest is dropped.
pub const LINK_GAPS_PER_SITE_MAX: usize = 500;

/// How long the server keeps a gap of the link. After that the next sweep drops it.
pub const LINK_GAP_KEEP: Duration = Duration::from_secs(30 * 24 * 3600);

/// Maximum bytes of the error that is reported with a gap of the link, so that a hello with all gaps fits its frame. A
/// longer text is cut.
pub const LINK_ERROR_BYTES_MAX: usize = 192;

/// Maximum conditions of one site or host. There are fewer kinds; more on the wire are rejected.
pub const CONDITIONS_MAX: usize = 32;

/// Maximum bytes of a condition's detail, so that a status stays small.
pub const CONDITION_DETAIL_BYTES_MAX: usize = TEXT_BYTES_MAX;

/// Maximum items on one page of a list. A request for more is rejected.
pub const PAGE_ITEMS_MAX: usize = 500;

/// Items on a page if the request does not say how many.
pub const PAGE_ITEMS_DEFAULT: usize = 100;

/// Maximum characters of the text that a list is searched for. A longer one is rejected.
pub const SEARCH_CHARS_MAX: usize = 128;

/// Maximum sites of one environment. A join above it is rejected.
pub const SITES_PER_ENVIRONMENT_MAX: usize = 10_000;

/// Maximum environments of one server. More are rejected.
pub const ENVIRONMENTS_MAX: usize = 100;

/// Maximum API keys of one server. More are rejected until some are removed.
pub const API_KEYS_MAX: usize = 1_000;

/// Maximum time after which an API key expires.
pub const API_KEY_LIFE_MAX: Duration = Duration::from_secs(10 * 366 * 24 * 3600);

/// Maximum time for which the old secret of a rotated API key stays valid.
pub const ROTATION_GRACE_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// Maximum sites of one bulk action: one page of a list. A longer list is rejected.
pub const SITES_PER_BULK_ACTION_MAX: usize = PAGE_ITEMS_MAX;

/// Maximum bulk actions that the server keeps. Above it the oldest of the account that has the most is dropped.
pub const BULK_ACTIONS_MAX: usize = 100;

/// How long the server keeps a bulk action. After that the next sweep drops it.
pub const BULK_ACTION_KEEP: Duration = Duration::from_secs(30 * 24 * 3600);

/// Minimum length of an idempotency key: 96 bits in base64. A random UUID has 36 characters.
pub const IDEMPOTENCY_KEY_LENGTH_MIN: usize = 16;

/// Maximum length of an idempotency key. A longer one is rejected.
pub const IDEMPOTENCY_KEY_LENGTH_MAX: usize = 128;

/// How long the answer to a request with an idempotency key is kept. After that, the key is as good as new.
pub const KEPT_ANSWER_LIFE: Duration = Duration::from_secs(24 * 3600);

/// Maximum answers that are kept. Above it, the oldest of the account that has the most is dropped: a request that is
/// sent again so late is decided again, and fails because its object exists.
pub const KEPT_ANSWERS_MAX: usize = 10_000;

/// Maximum answers that are kept for one account. Above it, its oldest is dropped.
pub const KEPT_ANSWERS_PER_ACCOUNT_MAX: usize = 1_000;

/// Maximum size of a kept answer in bytes: a provider at all its limits has half of it. Of a larger one only that there
/// was one is kept.
pub const KEPT_ANSWER_BYTES_MAX: usize = 128 * 1024;

/// Maximum size of all kept answers in bytes. Above it, the oldest of the account that has the most are dropped.
pub const KEPT_ANSWERS_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Maximum number of users. At the limit, new ones are rejected.
pub const USERS_MAX: usize = 1_000;

/// Maximum number of sessions of users. A login at the limit ends the oldest session.
pub const USER_SESSIONS_MAX: usize = 1_000;

/// Maximum number of sessions of one user. A login at the limit ends the user's oldest session.
pub const SESSIONS_PER_USER_MAX: usize = 20;

/// Maximum keys of removed sites that the server keeps, so that it can tell a machine that its site was removed. Above
/// it the oldest is dropped. That machine is still rejected, because its registration is gone, but the reason is then
/// that it is not registered.
pub const REMOVED_KEYS_MAX: usize = 100_000;

/// Maximum join tokens of one server. More are rejected until some are revoked or expire.
pub const TOKENS_MAX: usize = 1_000;

/// Maximum lifetime of a join token: a year. A longer one is rejected.
pub const TOKEN_TTL_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

/// Maximum number of sites one join token may create. More are rejected.
pub const TOKEN_USES_MAX: u32 = 100_000;

/// Maximum providers of one site, central and local together. More are rejected.
pub const PROVIDERS_PER_SITE_MAX: usize = 16;

/// Maximum zones of one provider. More are rejected.
pub const ZONES_PER_PROVIDER_MAX: usize = 16;

/// Maximum extra records of one provider. More are rejected.
pub const EXTRA_RECORDS_MAX: usize = 16;

/// Maximum endpoints granted to one provider, per kind. More are rejected.
pub const GRANTS_PER_PROVIDER_MAX: usize = 16;

/// Maximum secrets of one provider. More are rejected.
pub const SECRETS_PER_PROVIDER_MAX: usize = 8;

/// Maximum bytes of a provider's own settings, as JSON. Longer settings are rejected.
pub const PROVIDER_CONFIG_BYTES_MAX: usize = 8 * 1024;

/// Maximum bytes of all settings of one provider as encoded on the link. A config, zones, grants and extra records of
/// usual length fit together, and `PROVIDERS_PER_SITE_MAX` providers of this size take an eighth of
/// [`DOCUMENTS_BYTES_MAX`]. Longer settings are rejected when they are created.
pub const PROVIDER_SPEC_BYTES_MAX: usize = 32 * 1024;

/// Maximum bytes of a secret's name, so that it fits a file name. A longer name is rejected.
pub const SECRET_NAME_BYTES_MAX: usize = 64;

/// Maximum DNS record sets of one provider at one site, not counting claims: every host with both addresses and all
/// extra records in a few zones. The rest are quarantined.
pub const RECORDS_PER_PROVIDER_MAX: usize = 256;

/// Maximum values of one record set: a shared name has a few addresses. More are not written, and of record sets
/// written by others, more are not reported.
pub const RECORD_VALUES_MAX: usize = 16;

/// Maximum bytes of one record value: a TXT value of 1 KiB with every byte written as `\DDD`. A longer value is
/// rejected; one written by others is reported truncated.
pub const RECORD_VALUE_BYTES_MAX: usize = 4 * 1024;

/// Maximum bytes of all record sets in a site's status, as counted by [`reported_record_bytes`]: a small share of
/// [`DOCUMENTS_BYTES_MAX`], because the rest belongs to hosts. A site's only provider can report
/// [`RECORDS_PER_PROVIDER_MAX`] sets of 512 bytes; most sets have 160. The providers of a site get equal shares.
/// Records beyond a share are omitted from the status, not from DNS.
pub const REPORTED_RECORDS_BYTES_MAX: usize = 128 * 1024;

/// Returns the maximum number of bytes of [`REPORTED_RECORDS_BYTES_MAX`] that a record set uses: the bytes of its zone,
/// name, type, values and detail, plus the overhead per desired or observed value, plus the fixed overhead.
pub const fn reported_record_bytes(text_bytes: usize, values: usize) -> usize {
    text_bytes + 4 * values + 60
}

/// Maximum providers of one environment. More are rejected.
pub const PROVIDERS_PER_ENVIRONMENT_MAX: usize = 64;

/// Maximum plugins that the server stores. More are rejected until some are deleted.
pub const PLUGINS_MAX: usize = 64;

/// Maximum bytes of a plugin's component: one that embeds Python has 18 MB. A longer component is rejected.
pub const PLUGIN_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Maximum bytes of the config schema in a plugin's description. A plugin with a longer one is rejected.
pub const SCHEMA_BYTES_MAX: usize = 64 * 1024;

/// Maximum secrets, endpoints and extra entries of a plugin's description, each. A plugin with more is rejected.
pub const DESCRIBED_MAX: usize = 32;

/// Maximum bytes of a plugin's description as JSON, as pushed with the plugin: a schema, secrets and endpoints at their
/// limits, with escapes. A longer description is rejected.
pub const PLUGIN_DESCRIPTION_BYTES_MAX: u64 = 160 * 1024;

/// Maximum problems that the validation of a provider's settings reports: more than anybody mends at once. The rest is
/// reported when these are mended.
pub const SETTING_PROBLEMS_MAX: usize = 32;

/// Maximum providers that the response to a push names because their settings do not fit the pushed plugin. The rest
/// is not named.
pub const INVALID_PROVIDERS_MAX: usize = 32;

/// Maximum bytes of a plugin in one message: other messages on a slow link wait no longer than one piece takes.
pub const PLUGIN_PIECE_BYTES_MAX: usize = 32 * 1024;

/// Maximum changed fields that an entry of the audit log lists. Further ones are counted.
pub const AUDIT_CHANGES_MAX: usize = 64;

/// Maximum bytes of the changed fields that an entry of the audit log lists, so that one entry costs little of the log
/// whatever the request. Further ones are counted.
pub const AUDIT_CHANGES_BYTES_MAX: usize = 8 * 1024;

/// Maximum bytes of a value in the audit log. The middle of a longer one is left out.
pub const AUDIT_VALUE_BYTES_MAX: usize = 256;
