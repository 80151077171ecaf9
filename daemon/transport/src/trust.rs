//! The site's judgement of the server it reached.
//!
//! What a site trusts is an authority: by its pin before it joined, by its certificate afterwards. Below
//! that, the leaf must be for a server, carry the name, and not be past its end. It may begin in the future
//! of our clock: a certificate signed by an authority we trust proves that the present is not before it,
//! which saves a machine that booted in 1970.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use linecamp_model::{Pin, WallTime};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::identity::{CertificateFacts, LEAF_AGE_MAX, LEAF_SLACK};
use crate::platform::{WallClock, unix_time};

/// Certificates of a chain that are read. Ours has two; the rest says nothing to us.
const CHAIN_MAX: usize = 4;

/// Whom a site believes to be its server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Whoever shows an authority with this key: what a join token carries.
    Pin(Pin),
    /// Whoever one of these authorities (certificates in DER) vouches for.
    Authorities(Vec<Vec<u8>>),
}

impl Trust {
    /// Returns the keys of the authorities that are trusted.
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

/// Whom a client of the API believes to be the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApiTrust {
    /// Whoever shows an authority with this key, by whatever name it was reached.
    Pin(Pin),
    /// Whoever a certificate in this PEM file vouches for, under the name that was dialed.
    CaFile(PathBuf),
}

/// Why a server was not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No authority with the pinned key in what it showed; what it showed instead.
    WrongPin { expected: Pin, found: Vec<Pin> },
    /// No authority we trust vouches for it.
    ForeignAuthority,
    /// It is past its end.
    Expired { not_after: WallTime, now: WallTime },
    /// It is somebody else's, or for another purpose.
    WrongName { expected: String },
    /// It does not decode, or its chain is wrong in another way.
    Unusable(String),
}

/// What an end showed in a handshake, believed or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The keys of the authorities above its certificate, the nearest first.
    pub authorities: Vec<Pin>,
    /// The first and the last moment of its certificate.
    pub validity: Range<WallTime>,
}

impl Shown {
    /// Returns the moments in which a server of ours that shows this certificate may be, by its own clock: it makes
    /// a new one each day. Only a certificate that is believed says so.
    pub fn server_time(&self) -> Range<WallTime> {
        let issued = self.validity.start + LEAF_SLACK;
        issued..issued + LEAF_AGE_MAX
    }

    fn of(leaf: &CertificateDer<'_>, above: &[CertificateDer<'_>]) -> Option<Self> {
        let pin = |der| CertificateFacts::read(der).ok().map(|facts| Pin::of(&facts.public_key));
        let validity = CertificateFacts::read(leaf).ok()?.validity;
        Some(Self { authorities: above.iter().take(CHAIN_MAX).filter_map(|der| pin(der)).collect(), validity })
    }
}

/// Verifies one server in one handshake, and remembers what it showed and why it was refused.
#[derive(Debug)]
pub(crate) struct ServerVerifier {
    pub(crate) trust: Roots,
    pub(crate) name: ServerName<'static>,
    pub(crate) clock: Arc<dyn WallClock>,
    pub(crate) provider: Arc<CryptoProvider>,
    shown: OnceLock<Shown>,
    refusal: OnceLock<Refusal>,
}

/// What the chain must end in.
#[derive(Debug)]
pub(crate) enum Roots {
    Pin(Pin),
    Store(RootCertStore),
}

impl Roots {
    /// Reads a trust; an authority that does not decode is left out, and then vouches for nobody.
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
        clock: Arc<dyn WallClock>,
        provider: Arc<CryptoProvider>,
    ) -> Self {
        Self { trust, name, clock, provider, shown: OnceLock::new(), refusal: OnceLock::new() }
    }

    /// Returns what the server showed, believed or not, if it came that far.
    pub(crate) fn shown(&self) -> Option<Shown> {
        self.shown.get().cloned()
    }

    /// Returns why the server was refused, if it was.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        self.refusal.get().cloned()
    }

    fn judge(&self, leaf: &CertificateDer<'_>, shown: &[CertificateDer<'_>]) -> Result<(), Refusal> {
        let roots = match &self.trust {
            Roots::Pin(pin) => &pinned(*pin, shown)?,
            Roots::Store(store) => store,
        };
        let validity = CertificateFacts::read(leaf).map_err(Refusal::Unusable)?.validity;
        let parsed = ParsedCertificate::try_from(leaf).map_err(|error| Refusal::Unusable(error.to_string()))?;
        // At its first moment, so that only who vouches for it is in question; its end is checked below.
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
        if validity.end < now {
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
    for certificate in shown {
        let facts = CertificateFacts::read(certificate).map_err(Refusal::Unusable)?;
        let pin = Pin::of(&facts.public_key);
        if pin == expected {
            let mut store = RootCertStore::empty();
            store.add(certificate.clone().into_owned()).map_err(|error| Refusal::Unusable(error.to_string()))?;
            return Ok(store);
        }
        found.push(pin);
    }
    Err(Refusal::WrongPin { expected, found })
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
        if let Some(shown) = Shown::of(leaf, intermediates) {
            self.shown.get_or_init(|| shown);
        }
        self.judge(leaf, intermediates).map_err(|refusal| {
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

impl Refusal {
    /// Returns what the other end is told: TLS has a fixed list of alerts.
    fn to_tls(&self) -> Error {
        match self {
            Self::WrongPin { .. } | Self::ForeignAuthority => CertificateError::UnknownIssuer.into(),
            Self::Expired { .. } => CertificateError::Expired.into(),
            Self::WrongName { .. } => CertificateError::NotValidForName.into(),
            Self::Unusable(_) => CertificateError::BadEncoding.into(),
        }
    }
}
