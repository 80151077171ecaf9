//! Every limit of the values and the wire, and what happens at it.

use std::time::Duration;

/// The highest generation, event number or count of events. One that rises a million times a second gets here after
/// 292,000 years, so a higher one is a lie: on the wire and on disk it is refused, and a number that would be derived
/// above it is never made (a new history begins instead). Adding to one that was accepted cannot overflow.
pub const COUNTER_MAX: u64 = u64::MAX >> 1;

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

/// Bytes of a message from a peer that proved its place. A longer one costs the session. The whole status of a site
/// fits, and the whole spec, each value at its limit:
///
/// | | status, bytes | spec, bytes |
/// |---|---|---|
/// | 16 hosts, each with two owners' labels in a status and one's in a spec (64 of 404) | 829,000 | 425,000 |
/// | the site: labels, texts, and in a status 32 conditions of 531 | 44,000 | 27,000 |
/// | 16 providers, in a status their names, plugins and troubles (1,200), in a spec `PROVIDER_SPEC_BYTES_MAX` | 20,000 | 525,000 |
/// | `REPORTED_RECORDS_BYTES_MAX` | 131,072 | |
/// | sum, of 1,048,576 | 1,024,000 | 977,000 |
pub const FRAME_BYTES_MAX: usize = 1024 * 1024;

/// Tombstones in one delta, each about 40 bytes. A source that has more to say since its reader's base sends a
/// snapshot, which has none.
pub const TOMBSTONES_PER_DELTA_MAX: usize = 64;

/// Documents in one delta: a site's own, its hosts', its providers', and tombstones. More are refused.
pub const DOCUMENTS_PER_DELTA_MAX: usize = 1 + HOSTS_PER_SITE_MAX + PROVIDERS_PER_SITE_MAX + TOMBSTONES_PER_DELTA_MAX;

/// Documents of one site's spec, tombstones left out: its own, its hosts' and its providers'. The site ends the session
/// of a server that sends more.
pub const SPEC_DOCUMENTS_MAX: usize = 1 + HOSTS_PER_SITE_MAX + PROVIDERS_PER_SITE_MAX;

/// Bytes of a peer's first message. A greeting or a join with all its labels fits; a longer one costs the session.
pub const FIRST_FRAME_BYTES_MAX: usize = 64 * 1024;

/// Bytes of a close frame's reason: it has to fit one packet. Longer texts are cut.
pub const CLOSE_BYTES_MAX: usize = 900;

/// Events in one message. The rest follows once these are acknowledged.
pub const EVENTS_PER_MESSAGE_MAX: usize = 64;

/// Events a site keeps while the server is away. Past it the oldest goes, is counted, and the count is reported.
pub const OUTBOX_EVENTS_MAX: usize = 1_000;

/// Events of its own that the server keeps, and as many that sites sent. Past it the oldest of the same origin goes.
pub const SERVER_EVENTS_MAX: usize = 10_000;

/// Events about one site that the server keeps, of each origin. Past it that site's oldest goes.
pub const SERVER_EVENTS_PER_SITE_MAX: usize = 200;

/// Conditions of one site or host. There are fewer kinds; more on the wire is refused.
pub const CONDITIONS_MAX: usize = 32;

/// Conditions keep their detail this short, so that a status stays small.
pub const CONDITION_DETAIL_BYTES_MAX: usize = TEXT_BYTES_MAX;

/// Sites of one environment. A join past it is refused.
pub const SITES_PER_ENVIRONMENT_MAX: usize = 10_000;

/// Environments of one server. More are refused.
pub const ENVIRONMENTS_MAX: usize = 100;

/// API keys of one server. More are refused until some are removed.
pub const API_KEYS_MAX: usize = 1_000;

/// Keys of removed sites that the server remembers, so that it can tell a machine that it was removed. Past it the
/// oldest is forgotten: that machine is still not let in, as its registration is gone, and is told that it is not
/// registered.
pub const REMOVED_KEYS_MAX: usize = 100_000;

/// Join tokens of one server. More are refused until some are revoked or expire.
pub const TOKENS_MAX: usize = 1_000;

/// The longest life of a join token: a year. A longer one is refused.
pub const TOKEN_TTL_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

/// The most sites one join token may create. More is refused.
pub const TOKEN_USES_MAX: u32 = 100_000;

/// Providers of one site, central and local together. More are refused.
pub const PROVIDERS_PER_SITE_MAX: usize = 16;

/// Zones of one provider. More are refused.
pub const ZONES_PER_PROVIDER_MAX: usize = 16;

/// Extra records of one provider. More are refused.
pub const EXTRA_RECORDS_MAX: usize = 16;

/// Hosts and ports granted to one provider, of each kind. More are refused.
pub const GRANTS_PER_PROVIDER_MAX: usize = 16;

/// Secrets of one provider. More are refused.
pub const SECRETS_PER_PROVIDER_MAX: usize = 8;

/// Bytes of a provider's own settings, as JSON. A longer one is refused.
pub const PROVIDER_CONFIG_BYTES_MAX: usize = 8 * 1024;

/// Bytes of all settings of one provider as they are on the link: a config, zones, grants and extra records of usual
/// length at the same time, and `PROVIDERS_PER_SITE_MAX` such fit a frame beside the specs of all hosts. Longer
/// settings are refused where they are made.
pub const PROVIDER_SPEC_BYTES_MAX: usize = 32 * 1024;

/// Bytes of a secret's name: a file's name fits. A longer one is refused.
pub const SECRET_NAME_BYTES_MAX: usize = 64;

/// DNS record sets of one provider at one site, claims not counted: every host with both addresses and all extra
/// records of a few zones. The rest is quarantined.
pub const RECORDS_PER_PROVIDER_MAX: usize = 256;

/// Values of one record set: what shares a name is a few addresses. More are not written; of what others wrote, more
/// are not reported.
pub const RECORD_VALUES_MAX: usize = 16;

/// Bytes of one value of a record: a TXT value of 1 KiB, each byte of it written as `\DDD`. A longer one is refused; of
/// what others wrote, its beginning is reported.
pub const RECORD_VALUE_BYTES_MAX: usize = 4 * 1024;

/// Bytes of all record sets in a site's status, each counted by [`reported_record_bytes`]: what a frame has left beside
/// everything else in a status. An only provider can report [`RECORDS_PER_PROVIDER_MAX`] sets of 512 bytes, and most
/// have 160. The providers of a site get equal shares of it; what goes beyond a share is left out of the status, not of
/// DNS.
pub const REPORTED_RECORDS_BYTES_MAX: usize = 128 * 1024;

/// Returns how many bytes of [`REPORTED_RECORDS_BYTES_MAX`] a record set takes at most: the bytes of its zone, name,
/// type, values and detail, what separates its `values`, desired and observed, and what separates the rest.
pub const fn reported_record_bytes(text_bytes: usize, values: usize) -> usize {
    text_bytes + 4 * values + 48
}

/// Providers of one environment. More are refused.
pub const PROVIDERS_PER_ENVIRONMENT_MAX: usize = 64;

/// Plugins that the server keeps. More are refused until some are taken away.
pub const PLUGINS_MAX: usize = 64;

/// Bytes of a plugin's component: one with a whole Python in it has 18 MB. A longer one is refused.
pub const PLUGIN_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Bytes of a plugin in one message: what else is to be said waits no longer than this takes on a thin line.
pub const PLUGIN_PIECE_BYTES_MAX: usize = 32 * 1024;
