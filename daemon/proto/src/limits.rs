//! Limits of the bytes alone. Those of the values are in `linecamp_model::limits`.

pub use linecamp_model::limits::COUNTER_MAX;
use linecamp_model::limits::DOCUMENTS_PER_DELTA_MAX;

/// Documents of one delta, tombstones included. More are refused.
pub const DOCUMENTS_MAX: usize = DOCUMENTS_PER_DELTA_MAX;

/// Values of one extra record: as many as a record set that is written may have. More are refused.
pub const EXTRA_VALUES_MAX: usize = 16;

/// Bytes of the mnemonic of a type of record: the longest that is registered, `NSEC3PARAM`, has ten. A longer one is
/// refused.
pub const RECORD_TYPE_BYTES_MAX: usize = 16;

/// Bytes of one value of a record: a TXT value of 1 KiB, each byte of it written as `\DDD`. A longer one is refused.
pub const RECORD_VALUE_BYTES_MAX: usize = 4 * 1024;

/// Bytes of one certificate, DER. Ours have less than 1 KiB; one of a company's authority with long names and RSA
/// keys stays below 4 KiB. A longer one is refused.
pub const CERTIFICATE_BYTES_MAX: usize = 16 * 1024;

/// Certificate authorities of one grant: the current and the next, and room for a rotation that went wrong. More are
/// refused.
pub const AUTHORITIES_MAX: usize = 8;
