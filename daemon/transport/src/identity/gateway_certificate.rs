//! The gateway certificate: the server's authority issued it to a site's own key, for the name of that site's gateway.
//!
//! A gateway presents it to hosts that do not trust its own authority: those that joined the machine that this one
//! replaces. They trust the server's authority, and know their site.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};

use linecamp_model::WallTime;
use rustls::crypto::ring::sign::any_eddsa_type;
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;

use super::site_key::SiteKey;
use super::x509::CertificateFacts;
use crate::error::TransportError;
use crate::server_verifier::CHAIN_MAX;

/// A gateway certificate with its chain and key. Clones share them; `Debug` prints only the validity.
#[derive(Clone)]
pub struct GatewayCertificate {
    certified: Arc<CertifiedKey>,
    validity: Range<WallTime>,
}

impl GatewayCertificate {
    /// Combines what the server issued, in DER, with the site's key. `chain` are the certificates above, starting with
    /// the issuer's.
    ///
    /// # Errors
    /// [`TransportError::BadCertificate`] if a certificate cannot be decoded or is for another key, or if there are
    /// more than four above.
    pub fn new(certificate: &[u8], chain: &[Vec<u8>], key: &SiteKey) -> Result<Self, TransportError> {
        let bad = |problem| TransportError::BadCertificate { whose: "the gateway certificate", problem };
        let facts = CertificateFacts::read(certificate).map_err(bad)?;
        if facts.public_key != key.public_key() {
            return Err(bad(format!("it is for the key {}, not for {}", facts.fingerprint(), key.fingerprint())));
        }
        if CHAIN_MAX < chain.len() {
            return Err(bad(format!("its chain has more than {CHAIN_MAX} certificates")));
        }
        for above in chain {
            CertificateFacts::read(above).map_err(|problem| bad(format!("its chain: {problem}")))?;
        }
        let signing_key = any_eddsa_type(&key.to_der()).map_err(|source| TransportError::Make {
            what: "the signing key of the gateway certificate",
            source: source.into(),
        })?;
        let presented = std::iter::once(certificate).chain(chain.iter().map(Vec::as_slice));
        let presented = presented.map(|der| CertificateDer::from(der.to_vec())).collect();
        Ok(Self { certified: Arc::new(CertifiedKey::new(presented, signing_key)), validity: facts.validity })
    }

    /// Returns the start and end of its validity, in whole seconds.
    pub fn validity(&self) -> Range<WallTime> {
        self.validity.clone()
    }
}

impl fmt::Debug for GatewayCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatewayCertificate").field("validity", &self.validity).finish_non_exhaustive()
    }
}

/// The gateway certificate that a listener presents; a server has none. Clones share the state.
#[derive(Clone, Debug, Default)]
pub(crate) struct CurrentGatewayCertificate(Arc<RwLock<Option<GatewayCertificate>>>);

impl CurrentGatewayCertificate {
    /// Replaces the certificate for new handshakes.
    pub(crate) fn set(&self, certificate: Option<GatewayCertificate>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = certificate;
    }

    /// Returns the certificate to present.
    pub(super) fn certified(&self) -> Option<Arc<CertifiedKey>> {
        let current = self.0.read().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().map(|current| Arc::clone(&current.certified))
    }
}
