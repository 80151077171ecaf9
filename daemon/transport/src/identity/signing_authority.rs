//! One certificate authority of a server or a gateway: a key that signs, and the certificates for it.

use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use linecamp_model::{KeyFingerprint, Pin, TrustedAuthority, WallTime};
use rcgen::{ExtendedKeyUsagePurpose, Issuer, KeyPair, PublicKeyData as _};
use rustls::DistinguishedName;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;

use super::files;
use super::leaf::{LEAF_VALIDITY, Leaf};
use super::leaf_names::{AuthorityOf, LeafNames};
use super::x509::{self, CertificateFacts, make_error};
use crate::error::TransportError;
use crate::random::RandomSource;

/// Validity of an authority. Sites do not check it; browsers and third-party tools do.
const AUTHORITY_VALIDITY: Duration = Duration::from_secs(20 * 365 * 24 * 3600);

/// How far another machine's clock may be behind without rejecting a new certificate as "not yet valid".
pub(crate) const CLOCK_SLACK: Duration = Duration::from_secs(5 * 60);

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

    /// Loads the first authority, from a file with the key and one with the certificate.
    pub(super) fn load_pair(key_file: &Path, certificate_file: &Path, of: AuthorityOf) -> Result<Self, TransportError> {
        let key = files::read_key(key_file, of.remedy())?
            .ok_or_else(|| TransportError::Missing { path: key_file.to_owned(), remedy: of.remedy().to_owned() })?;
        let pem = files::read_required(certificate_file, of.remedy())?;
        let certificate =
            CertificateDer::from_pem_slice(&pem).map_err(|error| of.corrupt(certificate_file, error.to_string()))?;
        let is_other = |problem: String| {
            let problem = match problem.as_str() {
                "the certificate is for another key" => {
                    format!("certificate does not match the key in {}", key_file.display())
                }
                _ => problem,
            };
            of.corrupt(certificate_file, problem)
        };
        Self::new(key, certificate, None, &RandomSource::System).map_err(is_other)
    }

    /// Loads an authority from one file; `None` if there is none.
    pub(super) fn load(path: &Path, of: AuthorityOf) -> Result<Option<Self>, TransportError> {
        let Some(key) = files::read_key(path, of.remedy())? else { return Ok(None) };
        let pem = files::read_required(path, of.remedy())?;
        let mut certificates = Vec::new();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            certificates.push(certificate.map_err(|error| of.corrupt(path, error.to_string()))?);
        }
        let mut certificates = certificates.into_iter();
        let certificate = certificates.next().ok_or_else(|| of.corrupt(path, "no certificate found".to_owned()))?;
        let loaded = Self::new(key, certificate, certificates.next(), &RandomSource::System);
        loaded.map(Some).map_err(|problem| of.corrupt(path, problem))
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

    /// Whether it is one of the authorities `named` by a client.
    pub(super) fn is_named(&self, named: &[DistinguishedName]) -> bool {
        named.iter().any(|name| name.as_ref() == self.facts.subject)
    }

    /// Returns the certificates above a leaf. `also` follows in the chain. The cross-certificate comes first, for
    /// clients that take the first issuer.
    pub(super) fn chain<'a>(&'a self, also: Option<&'a Self>) -> impl Iterator<Item = &'a CertificateDer<'static>> {
        let of_one = |one: &'a Self| one.cross.iter().map(|(cross, _)| cross).chain([&one.certificate]);
        std::iter::once(self).chain(also).flat_map(of_one)
    }

    /// Returns the first time from `start` at which the chain above a leaf is valid. Clients verify the chain at the
    /// start of the leaf's validity, and the clock may have been set back since the authority was made.
    pub(super) fn chain_start(&self, start: WallTime) -> WallTime {
        self.cross.iter().map(|(_, facts)| facts.validity.start).fold(start, WallTime::max)
    }

    /// Returns the certificate of the server or gateway with its chain, renewed once a day. `also` follows in the
    /// chain.
    pub(super) fn server_leaf(
        &self,
        (names, also): (&LeafNames, Option<&Self>),
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
        (names, also): (&LeafNames, Option<&Self>),
        now: WallTime,
        random: &RandomSource,
    ) -> Result<Leaf, TransportError> {
        let key = random.new_key("the key of the TLS certificate")?;
        let validity = self.chain_start(validity_start(now))..now + LEAF_VALIDITY;
        let mut params = x509::certificate(names.common_name(), &validity, random)?;
        x509::allow_only(&mut params, ExtendedKeyUsagePurpose::ServerAuth);
        params.subject_alt_names = names.all();
        let certificate = params.signed_by(&key, &self.issuer).map_err(make_error("the TLS certificate"))?;
        let chain = std::iter::once(certificate.der()).chain(self.chain(also)).cloned().collect();
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
