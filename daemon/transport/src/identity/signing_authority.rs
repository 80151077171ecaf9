//! One certificate authority of a server: a key that signs, and the certificates for it.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use linecamp_model::{KeyFingerprint, Pin, TrustedAuthority, WallTime};
use rcgen::{ExtendedKeyUsagePurpose, Issuer, KeyPair, PublicKeyData as _, SanType};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;

use super::files;
use super::leaf::{LEAF_VALIDITY, Leaf};
use super::x509::{self, CertificateFacts, SERVER_NAME, make_error};
use crate::error::TransportError;
use crate::random::RandomSource;

/// Validity of an authority. Sites do not check it; browsers and third-party tools do.
const AUTHORITY_VALIDITY: Duration = Duration::from_secs(20 * 365 * 24 * 3600);

/// How far another machine's clock may be behind without rejecting a new certificate as "not yet valid".
pub(crate) const CLOCK_SLACK: Duration = Duration::from_secs(5 * 60);

/// The remedy for an unusable file of an authority.
pub(super) const REMEDY: &str = "restore the `ca` directory from a backup";

/// A key that signs certificates.
pub(super) struct SigningAuthority {
    pub(super) issuer: Issuer<'static, KeyPair>,
    pub(super) certificate: CertificateDer<'static>,
    pub(super) facts: CertificateFacts,
    /// A certificate for this key from the authority before it.
    pub(super) cross: Option<(CertificateDer<'static>, CertificateFacts)>,
    leaf: Mutex<Option<Leaf>>,
}

impl SigningAuthority {
    /// Generates a key and its certificate. `before` certifies the key as well.
    pub(super) fn generate(
        before: Option<&Self>,
        now: WallTime,
        random: &RandomSource,
    ) -> Result<Self, TransportError> {
        let key = random.new_key("the authority's key")?;
        let fingerprint = KeyFingerprint::of(&key.subject_public_key_info());
        let common_name = x509::authority_name(&fingerprint);
        let validity = validity_start(now)..now + AUTHORITY_VALIDITY;
        let mut params = x509::certificate(&common_name, &validity, random)?;
        x509::make_authority(&mut params);
        let signed = params.self_signed(&key).map_err(make_error("the authority's certificate"))?;
        let cross = match before {
            Some(before) => {
                let mut params = x509::certificate(&common_name, &validity, random)?;
                x509::make_cross_certified_authority(&mut params);
                let cross = params.signed_by(&key, &before.issuer).map_err(make_error("the cross-certificate"))?;
                Some(cross.der().clone())
            }
            None => None,
        };
        Self::new(key, signed.der().clone(), cross, random)
            .map_err(|problem| TransportError::BadCertificate { whose: "the authority's certificate", problem })
    }

    fn new(
        key: KeyPair,
        certificate: CertificateDer<'static>,
        cross: Option<CertificateDer<'static>>,
        random: &RandomSource,
    ) -> Result<Self, String> {
        let facts = CertificateFacts::read(&certificate)?;
        if facts.public_key != key.subject_public_key_info() {
            return Err("the certificate is for another key".to_owned());
        }
        let cross = match cross {
            Some(cross) => {
                let found = CertificateFacts::read(&cross)?;
                if found.public_key != facts.public_key {
                    return Err("the cross-certificate is for another key".to_owned());
                }
                Some((cross, found))
            }
            None => None,
        };
        let mut params = x509::certificate(&facts.common_name, &facts.validity, random).map_err(|e| e.to_string())?;
        x509::make_authority(&mut params);
        Ok(Self { issuer: Issuer::new(params, key), certificate, facts, cross, leaf: Mutex::new(None) })
    }

    /// Loads the first authority of a server, from a file with the key and one with the certificate.
    pub(super) fn load_pair(key_file: &Path, certificate_file: &Path) -> Result<Self, TransportError> {
        let key = files::read_key(key_file, REMEDY)?
            .ok_or_else(|| TransportError::Missing { path: key_file.to_owned(), remedy: REMEDY.to_owned() })?;
        let pem = files::read_required(certificate_file, REMEDY)?;
        let certificate =
            CertificateDer::from_pem_slice(&pem).map_err(|error| corrupt(certificate_file, error.to_string()))?;
        let is_other = |problem: String| {
            let problem = match problem.as_str() {
                "the certificate is for another key" => {
                    format!("certificate does not match the key in {}", key_file.display())
                }
                _ => problem,
            };
            corrupt(certificate_file, problem)
        };
        Self::new(key, certificate, None, &RandomSource::System).map_err(is_other)
    }

    /// Loads an authority from one file; `None` if there is none.
    pub(super) fn load(path: &Path) -> Result<Option<Self>, TransportError> {
        let Some(key) = files::read_key(path, REMEDY)? else { return Ok(None) };
        let pem = files::read_required(path, REMEDY)?;
        let mut certificates = Vec::new();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            certificates.push(certificate.map_err(|error| corrupt(path, error.to_string()))?);
        }
        let mut certificates = certificates.into_iter();
        let certificate = certificates.next().ok_or_else(|| corrupt(path, "no certificate found".to_owned()))?;
        let loaded = Self::new(key, certificate, certificates.next(), &RandomSource::System);
        loaded.map(Some).map_err(|problem| corrupt(path, problem))
    }

    /// Returns the content of the file that [`load`](Self::load) reads.
    pub(super) fn to_pem(&self) -> String {
        let cross = self.cross.iter().map(|(cross, _)| cross);
        let certificates = std::iter::once(&self.certificate).chain(cross).map(|der| files::certificate_pem(der));
        self.issuer.key().serialize_pem() + &certificates.collect::<String>()
    }

    /// Returns the pin.
    pub(super) fn pin(&self) -> Pin {
        Pin::of(&self.facts.public_key)
    }

    /// Returns what sites are told.
    pub(super) fn trusted(&self) -> TrustedAuthority {
        TrustedAuthority {
            pin: self.pin(),
            certificate: self.certificate.to_vec(),
            cross_certificate: self.cross.as_ref().map(|(cross, _)| cross.to_vec()),
        }
    }

    /// Returns the certificates above a leaf. The cross-certificate comes first, for clients that take the first
    /// issuer.
    pub(super) fn chain(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        self.cross.iter().map(|(cross, _)| cross).chain([&self.certificate])
    }

    /// Returns the server's certificate with its chain, renewed once a day. `also` follows in the chain.
    pub(super) fn server_leaf(
        &self,
        (names, also): (&[SanType], Option<&Self>),
        now: WallTime,
        random: &RandomSource,
    ) -> Result<Arc<CertifiedKey>, TransportError> {
        let mut leaf = self.leaf.lock().expect("no holder panics");
        match &*leaf {
            Some(leaf) if !leaf.is_stale(now) => Ok(leaf.certified()),
            Some(_) | None => Ok(leaf.insert(self.issue_leaf((names, also), now, random)?).certified()),
        }
    }

    /// Lets the next handshake get a new certificate.
    pub(super) fn forget_leaf(&self) {
        *self.leaf.lock().expect("no holder panics") = None;
    }

    fn issue_leaf(
        &self,
        (names, also): (&[SanType], Option<&Self>),
        now: WallTime,
        random: &RandomSource,
    ) -> Result<Leaf, TransportError> {
        let key = random.new_key("the server's key")?;
        // Sites verify the chain at this time: it has to be valid then, also after the clock was set back.
        let start = self.cross.iter().map(|(_, facts)| facts.validity.start).fold(validity_start(now), WallTime::max);
        let validity = start..now + LEAF_VALIDITY;
        let mut params = x509::certificate(SERVER_NAME, &validity, random)?;
        x509::allow_only(&mut params, ExtendedKeyUsagePurpose::ServerAuth);
        params.subject_alt_names = names.to_vec();
        let certificate = params.signed_by(&key, &self.issuer).map_err(make_error("the server's certificate"))?;
        let above = self.chain().chain(also.into_iter().flat_map(Self::chain)).cloned();
        let chain = std::iter::once(certificate.der().clone()).chain(above).collect();
        Leaf::new(now, chain, &PrivatePkcs8KeyDer::from(key.serialized_der()))
    }

    /// Returns the start and end of its validity.
    pub(super) fn validity(&self) -> Range<WallTime> {
        self.facts.validity.clone()
    }
}

fn validity_start(now: WallTime) -> WallTime {
    WallTime::EPOCH + now.saturating_since(WallTime::EPOCH + CLOCK_SLACK)
}

/// Returns the error for an unusable file of an authority.
pub(super) fn corrupt(path: &Path, problem: String) -> TransportError {
    TransportError::Corrupt { path: PathBuf::from(path), problem, remedy: REMEDY.to_owned() }
}
