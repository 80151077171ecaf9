//! The certificate of a server or gateway: only in memory, short-lived, and renewed on use.

use std::sync::Arc;
use std::time::Duration;

use linecamp_model::WallTime;
use rustls::crypto::ring::sign::any_eddsa_type;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;

use crate::error::TransportError;

/// Validity of a leaf. Ninety days leave time to notice a wrong clock before it causes failures.
pub(super) const LEAF_VALIDITY: Duration = Duration::from_secs(90 * 24 * 3600);

/// Maximum age of a leaf when it is presented; after that, the next handshake gets a new one. A day also limits the
/// lifetime of a leaf that was issued while the clock was wrong.
pub(crate) const LEAF_AGE_MAX: Duration = Duration::from_secs(24 * 3600);

/// A server certificate with its key and chain.
#[derive(Debug)]
pub(crate) struct Leaf {
    issued_at: WallTime,
    certified: Arc<CertifiedKey>,
}

impl Leaf {
    pub(super) fn new(
        issued_at: WallTime,
        chain: Vec<CertificateDer<'static>>,
        key: &PrivatePkcs8KeyDer<'_>,
    ) -> Result<Self, TransportError> {
        let key = any_eddsa_type(key).map_err(|source| TransportError::Make {
            what: "the signing key of the TLS certificate",
            source: source.into(),
        })?;
        Ok(Self { issued_at, certified: Arc::new(CertifiedKey::new(chain, key)) })
    }

    /// Returns whether the clock differs from the time of issue by more than a day, in either direction.
    pub(super) fn is_stale(&self, now: WallTime) -> bool {
        LEAF_AGE_MAX < now.distance(self.issued_at)
    }

    pub(super) fn certified(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.certified)
    }
}
