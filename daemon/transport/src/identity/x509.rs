//! The part of X.509 that Linecamp needs: reading certificates, and the parameters of new ones.

use std::ops::Range;
use std::time::Duration;

use data_encoding::HEXLOWER;
use linecamp_model::{KeyFingerprint, SiteId, WallTime};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose,
    PKCS_ED25519, PublicKeyData, SerialNumber, SignatureAlgorithm,
};
use ring::signature::{ED25519, UnparsedPublicKey};
use x509_parser::prelude::{FromDer as _, X509Certificate, X509Name};

use crate::error::TransportError;
use crate::random::RandomSource;

/// The name in every server certificate, independent of the server's DNS name. Sites verify this name, because they
/// trust the authority, and an address may change.
pub(crate) const SERVER_NAME: &str = "server.linecamp.internal";

/// The name in every certificate that a gateway's own authority issues for the gateway. A host that joins verifies this
/// name: it does not know the site yet, and the pin in its token is of this authority.
pub(crate) const GATEWAY_NAME: &str = "gateway.linecamp.internal";

/// The prefix of the 32 bytes of a key in an Ed25519 `SubjectPublicKeyInfo` (RFC 8410).
const ED25519_SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Bytes of a serial number: RFC 5280 allows at most 20, and 16 random bytes never collide.
const SERIAL_BYTES: usize = 16;

/// The last time that X.509 can represent, 9999-12-31T23:59:59Z.
const LAST_SECOND: u64 = 253_402_300_799;

/// An Ed25519 public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ed25519PublicKey([u8; 32]);

impl Ed25519PublicKey {
    /// Parses a `SubjectPublicKeyInfo` in DER; `None` for any other kind of key.
    pub(crate) fn parse(spki: &[u8]) -> Option<Self> {
        spki.strip_prefix(&ED25519_SPKI_PREFIX)?.try_into().ok().map(Self)
    }
}

impl PublicKeyData for Ed25519PublicKey {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ED25519
    }
}

/// The content of a certificate, not verified.
#[derive(Clone, Debug)]
pub(crate) struct CertificateFacts {
    /// The `SubjectPublicKeyInfo` in DER.
    pub(crate) public_key: Vec<u8>,
    /// The start and end of its validity.
    pub(crate) validity: Range<WallTime>,
    /// The subject in DER.
    pub(crate) subject: Vec<u8>,
    /// The subject's common name; empty if there is none.
    pub(crate) common_name: String,
    /// The issuer's common name; empty if there is none.
    pub(crate) issuer_name: String,
    /// Whether it is signed with its own key.
    pub(crate) is_self_signed: bool,
}

impl CertificateFacts {
    /// Parses a certificate in DER.
    pub(crate) fn read(der: &[u8]) -> Result<Self, String> {
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|error| error.to_string())?;
        if !rest.is_empty() {
            return Err(format!("{} extra bytes after the certificate", rest.len()));
        }
        let validity = certificate.validity();
        let public_key = certificate.public_key().raw.to_vec();
        Ok(Self {
            is_self_signed: is_self_signed(&certificate, &public_key),
            public_key,
            validity: wall_time(validity.not_before.timestamp())..wall_time(validity.not_after.timestamp()),
            subject: certificate.subject().as_raw().to_vec(),
            common_name: common_name(certificate.subject()),
            issuer_name: common_name(certificate.issuer()),
        })
    }

    /// Returns the fingerprint of its key.
    pub(crate) fn fingerprint(&self) -> KeyFingerprint {
        KeyFingerprint::of(&self.public_key)
    }
}

/// Whether the certificate in DER is signed with this key, a `SubjectPublicKeyInfo` in DER.
pub(crate) fn is_signed_with(der: &[u8], public_key: &[u8]) -> bool {
    X509Certificate::from_der(der).is_ok_and(|(_, certificate)| is_self_signed(&certificate, public_key))
}

fn common_name(name: &X509Name<'_>) -> String {
    name.iter_common_name().find_map(|name| name.as_str().ok()).unwrap_or_default().to_owned()
}

fn is_self_signed(certificate: &X509Certificate<'_>, public_key: &[u8]) -> bool {
    Ed25519PublicKey::parse(public_key).is_some_and(|key| {
        UnparsedPublicKey::new(&ED25519, &key.0)
            .verify(certificate.tbs_certificate.as_ref(), &certificate.signature_value.data)
            .is_ok()
    })
}

pub(super) fn wall_time(unix_seconds: i64) -> WallTime {
    let seconds = u64::try_from(unix_seconds).unwrap_or(0);
    WallTime::EPOCH + Duration::from_secs(seconds)
}

/// Returns a name for the certificate of a key: 32 hexadecimal digits of its fingerprint, because a common name has at
/// most 64 characters.
pub(super) fn key_name(fingerprint: &KeyFingerprint) -> String {
    HEXLOWER.encode(&fingerprint.as_bytes()[..16])
}

/// Returns the common name of an authority with this key.
pub(crate) fn authority_name(fingerprint: &KeyFingerprint) -> String {
    format!("Linecamp authority {}", key_name(fingerprint))
}

/// Returns the name of the gateway of this site only. Hosts that have joined verify this name.
pub(crate) fn gateway_name(site: SiteId) -> String {
    format!("{site}.{GATEWAY_NAME}")
}

/// Returns the parameters of a certificate: a common name, a validity in whole seconds, a random serial number, and no
/// authority to sign.
pub(super) fn certificate(
    common_name: &str,
    validity: &Range<WallTime>,
    random: &RandomSource,
) -> Result<CertificateParams, TransportError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(common_name);
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + x509_seconds(validity.start);
    params.not_after = epoch + x509_seconds(validity.end);
    params.serial_number = Some(random_serial(random)?);
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    Ok(params)
}

/// Lets the certificate sign leaves, but no other authorities.
pub(super) fn make_authority(params: &mut CertificateParams) {
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.use_authority_key_identifier_extension = false;
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
}

/// Lets the certificate sign leaves and the certificate of the authority that replaces it: sites that slept through a
/// replacement and the switch of the next one come back.
pub(super) fn make_cross_certified_authority(params: &mut CertificateParams) {
    make_authority(params);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
    params.use_authority_key_identifier_extension = true;
}

/// Limits the certificate to one side of TLS, so that a member can never impersonate its parent.
pub(super) fn allow_only(params: &mut CertificateParams, purpose: ExtendedKeyUsagePurpose) {
    params.is_ca = IsCa::ExplicitNoCa;
    params.extended_key_usages = vec![purpose];
}

/// Returns the error for a key or certificate that could not be generated.
pub(super) fn make_error(what: &'static str) -> impl FnOnce(rcgen::Error) -> TransportError {
    move |source| TransportError::Make { what, source: source.into() }
}

fn random_serial(random: &RandomSource) -> Result<SerialNumber, TransportError> {
    let mut serial = [0; SERIAL_BYTES];
    random.fill(&mut serial)?;
    // Positive and of full length, as RFC 5280 requires.
    serial[0] = serial[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&serial))
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

/// Returns the whole seconds since 1970, limited to what X.509 can represent.
fn x509_seconds(time: WallTime) -> Duration {
    Duration::from_secs((time.unix_millis() / 1000).min(LAST_SECOND))
}
