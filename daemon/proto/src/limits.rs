//! Limits of the bytes alone. Those of the values are in `linecamp_model::limits`.

use linecamp_model::limits::HOSTS_PER_SITE_MAX;

/// Documents of one delta: the site's own and one of each host, tombstones included. More are refused.
pub const DOCUMENTS_MAX: usize = HOSTS_PER_SITE_MAX + 1;

/// Bytes of one certificate, DER. Ours have less than 1 KiB; one of a company's authority with long names and RSA
/// keys stays below 4 KiB. A longer one is refused.
pub const CERTIFICATE_BYTES_MAX: usize = 16 * 1024;

/// Certificate authorities of one grant: the current and the next, and room for a rotation that went wrong. More are
/// refused.
pub const AUTHORITIES_MAX: usize = 8;

/// The highest generation, event number or count of events. One that rises a million times a second gets here after
/// 292,000 years, so a higher one is a lie; it is refused, and adding to one that was accepted cannot overflow.
pub const COUNTER_MAX: u64 = u64::MAX >> 1;
