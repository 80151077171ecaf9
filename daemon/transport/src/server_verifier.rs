//! Verification of the server by a site, and of the gateway by a host.
//!
//! A site trusts an authority: by its pin before it has joined, by its certificate afterwards. The leaf must also be a
//! server certificate and have the expected name: of a server, or of the gateway of the host's own site. What is said
//! here of a site and its server holds for a host and its gateway as well.
//!
//! The local clock alone rejects no server: it may say 1970, or be months ahead. The validity of a leaf may start in
//! the future, and its end is compared with the earlier of two times: the local clock, and the [`floor`](ExpiryFloor),
//! a time that has certainly passed. A site that has joined takes the start of its own certificate, which its server
//! wrote. Before that, and for a client of the API that has only a pin, nothing is known to have passed, so a leaf does
//! not expire. For the certificates of a CA file the local clock decides, as in a browser.
//!
//! Little is lost: the key of a leaf exists only in the memory of the server, beside the key of the authority, and a
//! thief who can read one can read the other.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use linecamp_model::{KeyFingerprint, Parent, Pin, WallTime};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};

use crate::clock::{WallClock, unix_time};
use crate::identity::{CertificateFacts, LEAF_AGE_MAX, LEAF_SLACK, authority_name};
use crate::tls::reject_tls12;

/// Maximum number of certificates read from a chain. Linecamp's own chain has four above the leaf at most, during the
/// second replacement of an authority; the others are ignored.
pub(crate) const CHAIN_MAX: usize = 4;

/// The authorities a site accepts for its server, or a host for its gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The authority with this key, as carried in a join token.
    Pin(Pin),
    /// Any of these authorities (certificates in DER).
    Authorities(Vec<Vec<u8>>),
}

impl Trust {
    /// Returns the pins of the trusted authorities.
    pub fn pins(&self) -> Vec<Pin> {
        match self {
            Self::Pin(pin) => vec![*pin],
            Self::Authorities(authorities) => authorities
                .iter()
                .filter_map(|der| CertificateFacts::read(der).ok())
                .map(|facts| Pin::of(&facts.public_key))
                .collect(),
        }
    }
}

/// The authorities a client of the API accepts for the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApiTrust {
    /// The authority with this key, whatever host name was used.
    Pin(Pin),
    /// Any certificate in this PEM file, for the host name that was used.
    CaFile(PathBuf),
}

/// A time that has certainly passed: a server certificate that ended earlier has expired, if the local clock agrees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpiryFloor {
    /// No time is known to have passed, so a certificate does not expire.
    Unknown,
    /// The server itself wrote this time: the start of the site's certificate.
    Certified(WallTime),
    /// The local clock is trusted.
    LocalClock,
}

impl ExpiryFloor {
    /// Returns whether a certificate that ends at `not_after` has expired, if the local clock shows `now`.
    fn has_expired(self, not_after: WallTime, now: WallTime) -> bool {
        match self {
            Self::Unknown => false,
            Self::Certified(passed) => not_after < passed.min(now),
            Self::LocalClock => not_after < now,
        }
    }
}

/// Why a server was rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The chain has no authority with the pinned key; `found` lists those it has.
    WrongPin { expected: Pin, found: Vec<Pin> },
    /// The pinned authority was replaced, as the chain says; `found` lists those it has.
    Replaced { expected: Pin, found: Vec<Pin> },
    /// The certificate is not signed by a trusted authority.
    ForeignAuthority,
    /// The certificate ended before the floor and before the local clock.
    Expired { not_after: WallTime, now: WallTime },
    /// The certificate is for another name or purpose.
    WrongName { expected: String },
    /// The certificate cannot be decoded, or the chain is invalid in another way.
    Unusable(String),
}

/// What a peer presented in a handshake, whether or not it was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresentedChain {
    /// The pins of the authorities above its certificate, starting with the issuer.
    pub authorities: Vec<Pin>,
    /// The start and end of its certificate's validity.
    pub validity: Range<WallTime>,
}

impl PresentedChain {
    /// Returns the range in which the clock of a Linecamp server with this certificate lies: it renews the certificate
    /// every day. Only meaningful for an accepted certificate.
    pub fn server_time(&self) -> Range<WallTime> {
        let issued = self.validity.start + LEAF_SLACK;
        issued..issued + LEAF_AGE_MAX
    }

    fn of(leaf: &CertificateDer<'_>, above: &[CertificateDer<'_>]) -> Option<Self> {
        let pin = |der| CertificateFacts::read(der).ok().map(|facts| Pin::of(&facts.public_key));
        let validity = CertificateFacts::read(leaf).ok()?.validity;
        let mut authorities: Vec<_> = above.iter().take(CHAIN_MAX).filter_map(|der| pin(der)).collect();
        authorities.dedup();
        Some(Self { authorities, validity })
    }
}

/// Verifies one server in one handshake, and records what it presented and why it was rejected.
#[derive(Debug)]
pub(crate) struct ServerVerifier {
    pub(crate) trust: Roots,
    pub(crate) name: ServerName<'static>,
    /// What the peer has to be, for messages: the name decides.
    pub(crate) parent: Parent,
    pub(crate) floor: ExpiryFloor,
    pub(crate) clock: Arc<dyn WallClock>,
    pub(crate) provider: Arc<CryptoProvider>,
    /// The authorities that the server is told it is trusted for.
    named: Option<Vec<DistinguishedName>>,
    shown: OnceLock<PresentedChain>,
    refusal: OnceLock<Refusal>,
}

/// The trust anchors of the chain.
#[derive(Clone, Debug)]
pub(crate) enum Roots {
    Pin(Pin),
    Store(RootCertStore),
}

impl Roots {
    /// Converts a trust setting. An authority that cannot be decoded is ignored, so nothing it signed is accepted.
    pub(crate) fn of(trust: &Trust) -> Self {
        match trust {
            Trust::Pin(pin) => Self::Pin(*pin),
            Trust::Authorities(authorities) => {
                let mut store = RootCertStore::empty();
                store.add_parsable_certificates(authorities.iter().cloned().map(CertificateDer::from));
                Self::Store(store)
            }
        }
    }
}

impl ServerVerifier {
    pub(crate) fn new(
        trust: Roots,
        name: ServerName<'static>,
        floor: ExpiryFloor,
        clock: Arc<dyn WallClock>,
        provider: Arc<CryptoProvider>,
    ) -> Self {
        let (parent, shown, refusal) = (Parent::Server, OnceLock::new(), OnceLock::new());
        Self { trust, name, parent, floor, clock, provider, named: None, shown, refusal }
    }

    /// Calls the peer a server or a gateway in messages.
    pub(crate) fn of_parent(mut self, parent: Parent) -> Self {
        self.parent = parent;
        self
    }

    /// Names the trusted authorities to the server, which may have two, or to the gateway, which may have a certificate
    /// from the server.
    pub(crate) fn naming_authorities(mut self) -> Self {
        self.named = match &self.trust {
            Roots::Pin(_) => None,
            Roots::Store(store) => Some(store.subjects()),
        };
        self
    }

    /// Returns what the server presented, accepted or not, if the handshake got that far.
    pub(crate) fn shown(&self) -> Option<PresentedChain> {
        self.shown.get().cloned()
    }

    /// Returns why the server was rejected, if it was.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        self.refusal.get().cloned()
    }

    fn verify(&self, leaf: &CertificateDer<'_>, shown: &[CertificateDer<'_>]) -> Result<(), Refusal> {
        let roots = match &self.trust {
            Roots::Pin(pin) => &pinned(*pin, shown)?,
            Roots::Store(store) => store,
        };
        let validity = CertificateFacts::read(leaf).map_err(Refusal::Unusable)?.validity;
        let parsed = ParsedCertificate::try_from(leaf).map_err(|error| Refusal::Unusable(error.to_string()))?;
        // Verified at the start of its validity, so that this checks only the chain; expiry is checked below.
        verify_server_cert_signed_by_trust_anchor(
            &parsed,
            roots,
            shown,
            unix_time(validity.start),
            self.provider.signature_verification_algorithms.all,
        )
        .map_err(|error| self.refusal_for(error))?;
        verify_server_name(&parsed, &self.name).map_err(|error| self.refusal_for(error))?;
        let now = self.clock.now();
        if self.floor.has_expired(validity.end, now) {
            return Err(Refusal::Expired { not_after: validity.end, now });
        }
        Ok(())
    }

    fn refusal_for(&self, error: Error) -> Refusal {
        use CertificateError as Problem;
        match error {
            Error::InvalidCertificate(Problem::UnknownIssuer | Problem::BadSignature) => Refusal::ForeignAuthority,
            Error::InvalidCertificate(
                Problem::NotValidForName
                | Problem::NotValidForNameContext { .. }
                | Problem::InvalidPurpose
                | Problem::InvalidPurposeContext { .. },
            ) => Refusal::WrongName { expected: self.name.to_str().into_owned() },
            other => Refusal::Unusable(other.to_string()),
        }
    }
}

fn pinned(expected: Pin, shown: &[CertificateDer<'_>]) -> Result<RootCertStore, Refusal> {
    let mut found = Vec::new();
    let mut is_replaced = false;
    for certificate in shown.iter().take(CHAIN_MAX) {
        let facts = CertificateFacts::read(certificate).map_err(Refusal::Unusable)?;
        let pin = Pin::of(&facts.public_key);
        if pin == expected {
            let mut store = RootCertStore::empty();
            store.add(certificate.clone().into_owned()).map_err(|error| Refusal::Unusable(error.to_string()))?;
            return Ok(store);
        }
        // Anyone can write this, so it decides only what the message says.
        is_replaced |= facts.issuer_name == authority_name(&KeyFingerprint::from_bytes(*expected.as_bytes()));
        found.push(pin);
    }
    found.dedup();
    match is_replaced {
        true => Err(Refusal::Replaced { expected, found }),
        false => Err(Refusal::WrongPin { expected, found }),
    }
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(shown) = PresentedChain::of(leaf, intermediates) {
            self.shown.get_or_init(|| shown);
        }
        self.verify(leaf, intermediates).map_err(|refusal| {
            let alert = refusal.to_tls();
            self.refusal.get_or_init(|| refusal);
            alert
        })?;
        Ok(ServerCertVerified::assertion())
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

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        self.named.as_deref()
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl Refusal {
    /// Returns the error for the peer: TLS has a fixed list of alerts.
    fn to_tls(&self) -> Error {
        match self {
            Self::WrongPin { .. } | Self::Replaced { .. } | Self::ForeignAuthority => {
                CertificateError::UnknownIssuer.into()
            }
            Self::Expired { .. } => CertificateError::Expired.into(),
            Self::WrongName { .. } => CertificateError::NotValidForName.into(),
            Self::Unusable(_) => CertificateError::BadEncoding.into(),
        }
    }
}
