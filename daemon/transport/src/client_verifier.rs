//! Verification of a peer by the server or gateway: which key it holds, and with what certificate.
//!
//! Every site must present a certificate and prove in the handshake that it holds its key. Nothing more is required
//! there: a site that joins has only a self-signed certificate, and a site that was offline for a year has an expired
//! one. `core` decides what each of them may do; this module only evaluates the certificate.

use std::sync::Arc;

use linecamp_model::{KeyFingerprint, WallTime};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};

use crate::clock::unix_time;
use crate::identity::{Authority, CertificateFacts, Ed25519PublicKey};
use crate::tls::reject_tls12;

/// A peer that proved in the current handshake that it holds a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The fingerprint of the key.
    pub fingerprint: KeyFingerprint,
    /// The key's `SubjectPublicKeyInfo` in DER.
    pub public_key: Vec<u8>,
    /// The evaluation of the peer's certificate.
    pub credential: Credential,
}

/// The evaluation of a peer's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// Self-signed: it proves possession of the key and nothing else.
    SelfMade,
    /// Issued by an authority of this server or gateway and not expired. Its validity may start in the future, if the
    /// clock of the server or gateway was set back.
    Issued {
        /// Start of validity.
        not_before: WallTime,
        /// End of validity.
        not_after: WallTime,
    },
    /// Issued by an authority of this server or gateway, but expired.
    Expired {
        /// End of validity.
        not_after: WallTime,
    },
    /// Issued by another authority, for example by one that was retired, or by this one for another purpose.
    Foreign,
}

/// Evaluates client certificates against the listener's own authorities, of which there are two during a replacement.
#[derive(Debug)]
pub(crate) struct ClientVerifier {
    authority: Arc<Authority>,
    provider: Arc<CryptoProvider>,
}

impl ClientVerifier {
    pub(crate) const fn new(authority: Arc<Authority>, provider: Arc<CryptoProvider>) -> Self {
        Self { authority, provider }
    }

    /// Returns a verifier of the certificates that the authorities issued.
    fn ours(&self) -> Result<Arc<dyn ClientCertVerifier>, Error> {
        let mut roots = RootCertStore::empty();
        for certificate in self.authority.certificates() {
            roots.add(certificate)?;
        }
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider))
            .build()
            .map_err(|error| Error::General(error.to_string()))
    }

    /// Evaluates the certificate whose key was proved in a completed handshake.
    pub(crate) fn evaluate(&self, certificate: &CertificateDer<'_>, now: WallTime) -> Result<Peer, Error> {
        let facts = read(certificate)?;
        Ok(Peer {
            fingerprint: facts.fingerprint(),
            credential: credential(&*self.ours()?, certificate, &facts, now),
            public_key: facts.public_key,
        })
    }
}

fn credential(
    ours: &dyn ClientCertVerifier,
    certificate: &CertificateDer<'_>,
    facts: &CertificateFacts,
    now: WallTime,
) -> Credential {
    let validity = &facts.validity;
    // Verified at the start of validity, so that this checks only the issuer and the purpose; expiry is checked
    // separately.
    if ours.verify_client_cert(certificate, &[], unix_time(validity.start)).is_ok() {
        if validity.end < now {
            return Credential::Expired { not_after: validity.end };
        }
        return Credential::Issued { not_before: validity.start, not_after: validity.end };
    }
    if facts.is_self_signed { Credential::SelfMade } else { Credential::Foreign }
}

/// Accepts every client that proves an Ed25519 key in its handshake; rejects clients without a certificate.
#[derive(Debug)]
pub(crate) struct AnyEd25519Client {
    pub(crate) provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for AnyEd25519Client {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let facts = read(certificate)?;
        match Ed25519PublicKey::parse(&facts.public_key) {
            Some(_) => Ok(ClientCertVerified::assertion()),
            None => Err(CertificateError::BadEncoding.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        reject_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn read(certificate: &CertificateDer<'_>) -> Result<CertificateFacts, Error> {
    CertificateFacts::read(certificate).map_err(|_| CertificateError::BadEncoding.into())
}
