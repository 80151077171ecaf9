//! The server's certificate authority, and the directory it is stored in.
//!
//! `ca/` contains `key.pem` and `certificate.pem` (the authority), `names` (the names of the server, one per line) and
//! `quic-secrets`. `create` writes it once, atomically; nothing changes it afterwards. It belongs in the backup:
//! without it every site must join again. Anyone who steals it can impersonate the server.

use std::fmt;
use std::net::IpAddr;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use linecamp_model::{KeyFingerprint, Pin, SiteId, WallTime};
use rcgen::{ExtendedKeyUsagePurpose, Issuer, KeyPair, PublicKeyData as _, SanType};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;

use super::files;
use super::leaf::{LEAF_VALIDITY, Leaf};
use super::quic_secrets::QuicSecrets;
use super::x509::{self, CertificateFacts, Ed25519PublicKey, make_error};
use crate::error::TransportError;
use crate::random::RandomSource;

/// The name in every server certificate, independent of the server's DNS name. Sites verify this name, because they
/// trust the authority, and an address may change.
pub(crate) const SERVER_NAME: &str = "server.linecamp.internal";

/// Validity of an authority. Sites do not check it; browsers and third-party tools do.
const AUTHORITY_VALIDITY: Duration = Duration::from_secs(20 * 365 * 24 * 3600);

/// How far another machine's clock may be behind without rejecting a new certificate as "not yet valid".
pub(crate) const CLOCK_SLACK: Duration = Duration::from_secs(5 * 60);

const KEY_FILE: &str = "key.pem";
const CERTIFICATE_FILE: &str = "certificate.pem";
const NAMES_FILE: &str = "names";
const SECRETS_FILE: &str = "quic-secrets";
const REMEDY: &str = "restore the `ca` directory from a backup";

/// The certificate authority of one server: it issues the certificates of the sites and of the server.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    facts: CertificateFacts,
    names: Vec<SanType>,
    secrets: QuicSecrets,
    random: RandomSource,
    leaf: Mutex<Option<Leaf>>,
}

impl Authority {
    /// Creates an authority in `dir`, which must be empty or missing, for a server with these `names`.
    ///
    /// The directory is created atomically.
    ///
    /// # Errors
    /// [`TransportError`] if the directory is not empty, a name is invalid in a certificate, or the disk cannot be
    /// written.
    pub fn create(dir: &Path, names: &[String], now: WallTime) -> Result<Self, TransportError> {
        if !files::entries(dir)?.is_empty() {
            return Err(TransportError::AuthorityExists { dir: dir.to_owned() });
        }
        let made = Self::generate(names, now, RandomSource::System)?;
        let building = dir.with_extension("new");
        files::empty_dir(&building)?;
        files::create_dir(&building)?;
        files::write_file(&building.join(KEY_FILE), made.issuer.key().serialize_pem().as_bytes())?;
        files::write_file(&building.join(CERTIFICATE_FILE), files::certificate_pem(&made.certificate).as_bytes())?;
        files::write_file(&building.join(NAMES_FILE), (names.join("\n") + "\n").as_bytes())?;
        files::write_file(&building.join(SECRETS_FILE), made.secrets.as_bytes())?;
        files::rename(&building, dir)?;
        Self::load(dir)
    }

    /// Generates an authority in memory, for a server with these `names`. Certificates it issues later also use
    /// `random`.
    ///
    /// # Errors
    /// [`TransportError`] if a name is invalid in a certificate.
    pub fn generate(names: &[String], now: WallTime, random: RandomSource) -> Result<Self, TransportError> {
        let names = parse_names(names.iter().map(String::as_str))?;
        let key = random.new_key("the authority's key")?;
        let fingerprint = KeyFingerprint::of(&key.subject_public_key_info());
        let common_name = format!("Linecamp authority {}", x509::key_name(&fingerprint));
        let validity = validity_start(now)..now + AUTHORITY_VALIDITY;
        let mut params = x509::certificate(&common_name, &validity, &random)?;
        x509::make_authority(&mut params);
        let signed = params.self_signed(&key).map_err(make_error("the authority's certificate"))?;
        let certificate = signed.der().clone();
        let facts = CertificateFacts::read(&certificate)
            .map_err(|problem| TransportError::BadCertificate { whose: "the authority's certificate", problem })?;
        let secrets = QuicSecrets::generate(&random)?;
        let issuer = Issuer::new(params, key);
        Ok(Self { issuer, certificate, facts, names, secrets, random, leaf: Mutex::new(None) })
    }

    /// Loads the authority in `dir`.
    ///
    /// # Errors
    /// [`TransportError`] names the file that is missing or corrupt.
    pub fn load(dir: &Path) -> Result<Self, TransportError> {
        let [key_file, certificate_file, names_file, secrets_file] =
            [KEY_FILE, CERTIFICATE_FILE, NAMES_FILE, SECRETS_FILE].map(|file| dir.join(file));
        let key = files::read_key(&key_file, REMEDY)?
            .ok_or_else(|| TransportError::Missing { path: key_file.clone(), remedy: REMEDY.to_owned() })?;
        let corrupt = |path: &Path, problem: String| TransportError::Corrupt {
            path: path.to_owned(),
            problem,
            remedy: REMEDY.to_owned(),
        };

        let pem = files::read_required(&certificate_file, REMEDY)?;
        let certificate =
            CertificateDer::from_pem_slice(&pem).map_err(|error| corrupt(&certificate_file, error.to_string()))?;
        let facts = CertificateFacts::read(&certificate).map_err(|problem| corrupt(&certificate_file, problem))?;
        if facts.public_key != key.subject_public_key_info() {
            let problem = format!("certificate does not match the key in {}", key_file.display());
            return Err(corrupt(&certificate_file, problem));
        }

        let text = String::from_utf8(files::read_required(&names_file, REMEDY)?)
            .map_err(|error| corrupt(&names_file, error.to_string()))?;
        let names = parse_names(text.lines().map(str::trim).filter(|line| !line.is_empty()))
            .map_err(|error| corrupt(&names_file, error.to_string()))?;

        let secrets = QuicSecrets::from_bytes(&files::read_required(&secrets_file, REMEDY)?)
            .ok_or_else(|| corrupt(&secrets_file, "wrong length".to_owned()))?;

        let random = RandomSource::System;
        let mut params = x509::certificate(&facts.common_name, &facts.validity, &random)?;
        x509::make_authority(&mut params);
        let issuer = Issuer::new(params, key);
        Ok(Self { issuer, certificate, facts, names, secrets, random, leaf: Mutex::new(None) })
    }

    /// Returns the pin of this authority, as carried in a join token.
    pub fn pin(&self) -> Pin {
        Pin::of(&self.facts.public_key)
    }

    /// Returns the start and end of the authority's validity.
    pub fn validity(&self) -> Range<WallTime> {
        self.facts.validity.clone()
    }

    /// Returns the authority's certificate in DER, for the trust bundle of a site.
    pub fn certificate_der(&self) -> &[u8] {
        &self.certificate
    }

    /// Issues a client certificate, in DER, for the key that `site` proved to hold.
    ///
    /// `public_key` is its `SubjectPublicKeyInfo` in DER. The certificate names the site, has a validity in whole
    /// seconds, and can only authenticate a client.
    ///
    /// # Errors
    /// [`TransportError::BadPublicKey`] if the key is not Ed25519.
    pub fn issue_site(
        &self,
        public_key: &[u8],
        site: SiteId,
        validity: Range<WallTime>,
    ) -> Result<Vec<u8>, TransportError> {
        let key =
            Ed25519PublicKey::parse(public_key).ok_or(TransportError::BadPublicKey { whose: "the site's key" })?;
        let mut params = x509::certificate(&site.to_string(), &validity, &self.random)?;
        x509::allow_only(&mut params, ExtendedKeyUsagePurpose::ClientAuth);
        let certificate = params.signed_by(&key, &self.issuer).map_err(make_error("a site's certificate"))?;
        Ok(certificate.der().to_vec())
    }

    /// Checks that certificates issued at `now` would be valid.
    pub(crate) fn check_clock(&self, now: WallTime) -> Result<(), TransportError> {
        let not_before = self.facts.validity.start;
        if now < not_before {
            return Err(TransportError::ClockBeforeAuthority { now, not_before });
        }
        Ok(())
    }

    pub(crate) const fn secrets(&self) -> &QuicSecrets {
        &self.secrets
    }

    pub(crate) const fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Returns the server's certificate with its chain, renewed once a day.
    pub(crate) fn server_leaf(&self, now: WallTime) -> Result<Arc<CertifiedKey>, TransportError> {
        let mut leaf = self.leaf.lock().expect("no holder panics");
        match &*leaf {
            Some(leaf) if !leaf.is_stale(now) => Ok(leaf.certified()),
            Some(_) | None => Ok(leaf.insert(self.issue_leaf(now)?).certified()),
        }
    }

    fn issue_leaf(&self, now: WallTime) -> Result<Leaf, TransportError> {
        let key = self.random.new_key("the server's key")?;
        let validity = validity_start(now)..now + LEAF_VALIDITY;
        let mut params = x509::certificate(SERVER_NAME, &validity, &self.random)?;
        x509::allow_only(&mut params, ExtendedKeyUsagePurpose::ServerAuth);
        params.subject_alt_names.clone_from(&self.names);
        let certificate = params.signed_by(&key, &self.issuer).map_err(make_error("the server's certificate"))?;
        let chain = vec![certificate.der().clone(), self.certificate.clone()];
        Leaf::new(now, chain, &PrivatePkcs8KeyDer::from(key.serialized_der()))
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("pin", &self.pin()).finish_non_exhaustive()
    }
}

fn validity_start(now: WallTime) -> WallTime {
    WallTime::EPOCH + now.saturating_since(WallTime::EPOCH + CLOCK_SLACK)
}

fn parse_names<'a>(names: impl Iterator<Item = &'a str>) -> Result<Vec<SanType>, TransportError> {
    std::iter::once(SERVER_NAME).chain(names).map(parse_name).collect()
}

fn parse_name(name: &str) -> Result<SanType, TransportError> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    let bad = || TransportError::BadName { name: name.to_owned() };
    rustls::pki_types::DnsName::try_from(name).map_err(|_| bad())?;
    Ok(SanType::DnsName(name.try_into().map_err(|_| bad())?))
}
