//! Limits of the encoding alone. Those of the values are in `linecamp_model::limits`.

pub use linecamp_model::limits::COUNTER_MAX;
use linecamp_model::limits::DOCUMENTS_PER_DELTA_MAX;

/// Documents in one message of a delta, including tombstones: as many as in all its parts together. More are rejected.
pub const DOCUMENTS_MAX: usize = DOCUMENTS_PER_DELTA_MAX;

/// Values of one extra record: as many as a record set that is written may have. More are rejected.
pub const EXTRA_VALUES_MAX: usize = 16;

/// Bytes of a record type's mnemonic: the longest registered one, `NSEC3PARAM`, has ten. A longer one is rejected.
pub const RECORD_TYPE_BYTES_MAX: usize = 16;

/// Bytes of one DER certificate. Ours have less than 1 KiB; one from a company's CA with long names and RSA keys stays
/// below 4 KiB. A longer one is rejected.
pub const CERTIFICATE_BYTES_MAX: usize = 16 * 1024;

/// Certificate authorities in one grant: the current and the next, and room for a rotation that went wrong. More are
/// rejected.
pub const AUTHORITIES_MAX: usize = 8;
