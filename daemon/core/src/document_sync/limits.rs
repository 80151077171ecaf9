//! The limits of the documents of one site in one direction, and the errors of a peer that exceeds them.

use std::fmt;

use linecamp_model::limits::{
    DOCUMENT_OVERHEAD_BYTES_MAX, DOCUMENTS_BYTES_MAX, HOST_TOKENS_PER_SITE_MAX, HOSTS_PER_SITE_MAX,
    PROVIDERS_PER_SITE_MAX,
};
use linecamp_model::{DocumentKey, Refusal, RefusalCode};

use super::Body;

/// Why a delta is not accepted. The session ends, and nothing of the delta is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DeltaError {
    /// A part has other generations than the part before it.
    OtherDelta,
    /// Two parts have a document under the same key.
    RepeatedKey,
    /// The documents exceed a limit.
    TooMuch {
        /// Spec or status.
        direction: &'static str,
        /// How many there are.
        found: usize,
        /// Of what.
        unit: &'static str,
        /// The limit.
        max: usize,
    },
}

impl fmt::Display for DeltaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherDelta => f.write_str("a part of a delta does not belong to the parts before it"),
            Self::RepeatedKey => f.write_str("two parts of a delta have a document under the same key"),
            Self::TooMuch { direction, found, unit, max } => {
                write!(f, "{direction} of {found} {unit}; a site has at most {max}")
            }
        }
    }
}

impl From<DeltaError> for Refusal {
    fn from(error: DeltaError) -> Self {
        Self::new(RefusalCode::Protocol, &error.to_string())
    }
}

/// Checks the limits of all documents of one direction, without tombstones.
pub(super) fn check<'a, B: Body + 'a>(documents: impl Iterator<Item = (DocumentKey, &'a B)>) -> Result<(), DeltaError> {
    let (mut hosts, mut providers, mut tokens, mut bytes) = (0, 0, 0, 0);
    for (key, body) in documents {
        match key {
            DocumentKey::Site => {}
            DocumentKey::Host(_) => hosts += 1,
            DocumentKey::Provider(_) => providers += 1,
            DocumentKey::HostToken(_) => tokens += 1,
        }
        bytes += DOCUMENT_OVERHEAD_BYTES_MAX + body.encoded_size_max();
    }
    let limits = [
        (hosts, "hosts", HOSTS_PER_SITE_MAX),
        (providers, "providers", PROVIDERS_PER_SITE_MAX),
        (tokens, "host tokens", HOST_TOKENS_PER_SITE_MAX),
        (bytes, "bytes", DOCUMENTS_BYTES_MAX),
    ];
    match limits.into_iter().find(|(found, _, max)| max < found) {
        Some((found, unit, max)) => Err(DeltaError::TooMuch { direction: B::DIRECTION, found, unit, max }),
        None => Ok(()),
    }
}
