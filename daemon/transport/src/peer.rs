//! The server's judgement of who dialed: which key, and on what paper.
//!
//! Every site must show a certificate and prove, in the handshake, that it holds the key in it. Nothing
//! more is demanded there: a site that joins has only paper it made itself, and one that was dark for a year
//! has paper that expired. What each of them may do is `core`'s decision; here we only read the paper.

use std::sync::Arc;

use linecamp_model::{KeyFingerprint, WallTime};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};

use crate::error::TransportError;
use crate::identity::{Authority, CertificateFacts, Ed25519PublicKey};
use crate::platform::unix_time;

/// A peer that proved, in this very handshake, to hold a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Which key.
    pub fingerprint: KeyFingerprint,
    /// Its `SubjectPublicKeyInfo` in DER.
    pub public_key: Vec<u8>,
    /// What the certificate around the key is worth.
    pub credential: Credential,
}

/// What a peer's certificate is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// Made by the peer itself: it proves the key and nothing else.
    SelfMade,
    /// Issued by our authority, and not past its end. It may begin in the future, if our clock went back.
    Issued {
        /// Its first moment.
        not_before: WallTime,
        /// Its last moment.
        not_after: WallTime,
    },
    /// Issued by our authority, and past its end.
    Expired {
        /// Its last moment.
        not_after: WallTime,
    },
    /// Issued by somebody else, or by us for another purpose.
    Foreign,
}

/// Judges the certificates of clients by one authority.
#[derive(Debug)]
pub(crate) struct ClientVerifier {
    ours: Arc<dyn ClientCertVerifier>,
}

impl ClientVerifier {
    pub(crate) fn new(authority: &Authority, provider: Arc<CryptoProvider>) -> Result<Self, TransportError> {
        let mut roots = RootCertStore::empty();
        let tls_error = |source: Box<dyn std::error::Error + Send + Sync>| TransportError::Tls {
            what: "the certificates of sites",
            source,
        };
        roots.add(authority.certificate().clone()).map_err(|error| tls_error(error.into()))?;
        let ours = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|error| tls_error(error.into()))?;
        Ok(Self { ours })
    }

    /// Reads the certificate that a finished handshake proved the key of.
    pub(crate) fn judge(&self, certificate: &CertificateDer<'_>, now: WallTime) -> Result<Peer, Error> {
        let facts = read(certificate)?;
        Ok(Peer {
            fingerprint: facts.fingerprint(),
            credential: self.credential(certificate, &facts, now),
            public_key: facts.public_key,
        })
    }

    fn credential(&self, certificate: &CertificateDer<'_>, facts: &CertificateFacts, now: WallTime) -> Credential {
        let validity = &facts.validity;
        // The question is who signed it and what for; its end is ours to look at, by our clock.
        let moment = unix_time(validity.start);
        if self.ours.verify_client_cert(certificate, &[], moment).is_ok() {
            if validity.end < now {
                return Credential::Expired { not_after: validity.end };
            }
            return Credential::Issued { not_before: validity.start, not_after: validity.end };
        }
        if facts.is_self_signed { Credential::SelfMade } else { Credential::Foreign }
    }
}

/// Lets every client in whose handshake proves an Ed25519 key, and none without a certificate.
#[derive(Debug)]
pub(crate) struct AnyKeyHolder {
    pub(crate) provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for AnyKeyHolder {
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
        Err(Error::General("TLS 1.2 is not spoken here".to_owned()))
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
