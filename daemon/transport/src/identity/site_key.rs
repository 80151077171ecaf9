//! The key of a site or a host, which never leaves its machine.

use std::fmt;
use std::path::Path;

use linecamp_model::{KeyFingerprint, WallTime, shell_quoted};
use rcgen::{ExtendedKeyUsagePurpose, KeyPair, PublicKeyData as _};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use super::files;
use super::x509::{self, make_error};
use crate::error::TransportError;
use crate::random::RandomSource;

const KEY_FILE: &str = "key.pem";

/// The file with the result of joining, beside the key.
pub(super) const MEMBERSHIP_FILE: &str = "membership.pem";

/// The key pair of a site, which may or may not have joined. `Debug` prints only the fingerprint.
pub struct SiteKey {
    key: KeyPair,
    public_key: Vec<u8>,
}

impl SiteKey {
    /// Loads the key in `dir`, or generates one and writes it durably before it is used.
    ///
    /// # Errors
    /// [`TransportError`] names the file. A corrupt key is never replaced: it may be all that a restore needs.
    pub fn load_or_create(dir: &Path) -> Result<Self, TransportError> {
        let path = dir.join(KEY_FILE);
        if let Some(key) = files::read_key(&path, &remedy(dir))? {
            return Ok(Self::new(key));
        }
        if dir.join(MEMBERSHIP_FILE).exists() {
            return Err(TransportError::Missing { path, remedy: remedy(dir) });
        }
        let made = Self::generate(&RandomSource::System)?;
        files::create_dir(dir)?;
        files::write_file(&path, made.key.serialize_pem().as_bytes())?;
        Ok(made)
    }

    /// Generates a key in memory.
    ///
    /// # Errors
    /// [`TransportError::Make`] if no random numbers are available.
    pub fn generate(random: &RandomSource) -> Result<Self, TransportError> {
        Ok(Self::new(random.new_key("the site's key")?))
    }

    fn new(key: KeyPair) -> Self {
        let public_key = key.subject_public_key_info();
        Self { key, public_key }
    }

    /// Returns the `SubjectPublicKeyInfo` in DER.
    pub fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    /// Returns the fingerprint of the key.
    pub fn fingerprint(&self) -> KeyFingerprint {
        KeyFingerprint::of(&self.public_key)
    }

    /// Returns the private key.
    pub(super) fn to_der(&self) -> PrivatePkcs8KeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.serialized_der().to_vec())
    }

    pub(super) fn self_made_certificate(
        &self,
        random: &RandomSource,
    ) -> Result<CertificateDer<'static>, TransportError> {
        // The validity is not checked, so it reveals nothing about this machine's clock.
        let validity = WallTime::EPOCH..WallTime::from_unix_millis(u64::MAX);
        let mut params = x509::certificate(&x509::key_name(&self.fingerprint()), &validity, random)?;
        x509::allow_only(&mut params, ExtendedKeyUsagePurpose::ClientAuth);
        params.use_authority_key_identifier_extension = false;
        let certificate = params.self_signed(&self.key).map_err(make_error("the site's own certificate"))?;
        Ok(certificate.der().clone())
    }
}

impl fmt::Debug for SiteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SiteKey").field(&self.fingerprint()).finish()
    }
}

/// Returns what to do about unusable files in `dir`, the directory `identity` of the site's data directory.
pub(super) fn remedy(dir: &Path) -> String {
    let data = shell_quoted(dir.parent().unwrap_or(dir));
    format!("run `linecampd forget --data {data}`, then join again with a new token")
}
