//! The certificate authority of a server or of a gateway, and the directory it is stored in.
//!
//! `ca/` contains `key.pem` and `certificate.pem` (the authority), `names` (whose it is: the names of the server, one
//! per line, or the site of the gateway) and `quic-secrets`. `create` and `create_gateway` write it once, atomically.
//! That of a server belongs in the backup: without it every site must join again. Anyone who steals it can impersonate
//! the server. With that of a gateway, a thief can impersonate this gateway to its hosts.
//!
//! The authority can be replaced. Each step of that is one atomic change of the directory:
//!
//! - *add* writes `next.pem`: key, certificate, and a certificate from the current authority, which issues all
//!   certificates until the switch;
//! - *switch* renames it to `switched.pem`: the next authority issues all certificates;
//! - *retire* renames that to `current.pem`, which takes precedence over `key.pem` and `certificate.pem`;
//! - *abort* removes `next.pem`.
//!
//! The certificates of members from both authorities are accepted. While the next one issues certificates, the chain
//! that the server presents leads to both, so a pin of either is valid. The certificate that the retired authority gave
//! to its successor stays in the chain: a site that still trusts only the retired one can verify the server and come
//! back.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use linecamp_model::{AuthorityRotation, MemberId, Pin, RotationPhase, RotationStep, SiteId, WallTime};
use rcgen::{ExtendedKeyUsagePurpose, SanType};
use rustls::DistinguishedName;
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;

use super::files;
use super::leaf_names::{self, AuthorityOf, LeafNames};
use super::quic_secrets::QuicSecrets;
use super::signing_authority::SigningAuthority;
use super::x509::{self, Ed25519PublicKey, gateway_name, make_error};
use crate::error::TransportError;
use crate::random::RandomSource;

const KEY_FILE: &str = "key.pem";
const CERTIFICATE_FILE: &str = "certificate.pem";
const CURRENT_FILE: &str = "current.pem";
const NEXT_FILE: &str = "next.pem";
const SWITCHED_FILE: &str = "switched.pem";
const NAMES_FILE: &str = "names";
const SECRETS_FILE: &str = "quic-secrets";

/// The certificate authority of one server or gateway: it issues the certificates of the members and of the server or
/// gateway itself. While it is being replaced, there are two.
pub struct Authority {
    /// `None`: it exists only in memory.
    dir: Option<PathBuf>,
    signing: RwLock<Signing>,
    /// Held during a step.
    steps: Mutex<()>,
    names: RwLock<LeafNames>,
    secrets: QuicSecrets,
    random: RandomSource,
}

/// The authorities that sign.
struct Signing {
    phase: RotationPhase,
    /// Issues all certificates.
    issuing: Arc<SigningAuthority>,
    other: Option<Arc<SigningAuthority>>,
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
        let names_file = leaf_names::name_lines(names);
        Self::write(dir, &names_file, AuthorityOf::Server, || Self::generate(names, now, RandomSource::System))?;
        Self::load(dir)
    }

    /// Creates an authority in `dir` like [`Authority::create`], for the gateway of `site`.
    ///
    /// # Errors
    /// [`TransportError`] if the directory is not empty or the disk cannot be written.
    pub fn create_gateway(dir: &Path, site: SiteId, now: WallTime) -> Result<Self, TransportError> {
        let (names_file, of) = (leaf_names::site_line(site), AuthorityOf::Gateway(site));
        Self::write(dir, &names_file, of, || Self::generate_gateway(site, now, RandomSource::System))?;
        Self::load_gateway(dir, site)
    }

    fn write(
        dir: &Path,
        names_file: &str,
        of: AuthorityOf,
        generate: impl FnOnce() -> Result<Self, TransportError>,
    ) -> Result<(), TransportError> {
        if !files::entries(dir)?.is_empty() {
            return Err(TransportError::AuthorityExists { dir: dir.to_owned(), members: of.members() });
        }
        let made = generate()?;
        let building = dir.with_extension("new");
        files::empty_dir(&building)?;
        files::create_dir(&building)?;
        let authority = Arc::clone(&made.signing().issuing);
        files::write_file(&building.join(KEY_FILE), authority.issuer.key().serialize_pem().as_bytes())?;
        let certificate = files::certificate_pem(&authority.certificate);
        files::write_file(&building.join(CERTIFICATE_FILE), certificate.as_bytes())?;
        files::write_file(&building.join(NAMES_FILE), names_file.as_bytes())?;
        files::write_file(&building.join(SECRETS_FILE), made.secrets.as_bytes())?;
        files::rename(&building, dir)
    }

    /// Generates an authority in memory, for a server with these `names`. Certificates it issues later also use
    /// `random`.
    ///
    /// # Errors
    /// [`TransportError`] if a name is invalid in a certificate.
    pub fn generate(names: &[String], now: WallTime, random: RandomSource) -> Result<Self, TransportError> {
        Self::generate_with(LeafNames::of_server(names.iter().map(String::as_str))?, now, random)
    }

    /// Generates an authority in memory like [`Authority::generate`], for the gateway of `site`.
    ///
    /// # Errors
    /// [`TransportError::Make`] if no random numbers are available.
    pub fn generate_gateway(site: SiteId, now: WallTime, random: RandomSource) -> Result<Self, TransportError> {
        Self::generate_with(LeafNames::of_gateway(site), now, random)
    }

    fn generate_with(names: LeafNames, now: WallTime, random: RandomSource) -> Result<Self, TransportError> {
        let issuing = Arc::new(SigningAuthority::generate(None, now, &random)?);
        let signing = Signing { phase: RotationPhase::Stable, issuing, other: None };
        let secrets = QuicSecrets::generate(&random)?;
        Ok(Self::new(None, signing, names, secrets, random))
    }

    /// Loads the authority of a server in `dir`.
    ///
    /// # Errors
    /// [`TransportError`] names the file that is missing or corrupt, or that is of a gateway.
    pub fn load(dir: &Path) -> Result<Self, TransportError> {
        Self::load_of(AuthorityOf::Server, dir)
    }

    /// Loads the authority of the gateway of `site` in `dir`.
    ///
    /// # Errors
    /// [`TransportError`] names the file that is missing or corrupt, or that is not of the gateway of this site.
    pub fn load_gateway(dir: &Path, site: SiteId) -> Result<Self, TransportError> {
        Self::load_of(AuthorityOf::Gateway(site), dir)
    }

    fn load_of(of: AuthorityOf, dir: &Path) -> Result<Self, TransportError> {
        let file = |name| dir.join(name);
        let current = match SigningAuthority::load(&file(CURRENT_FILE), of)? {
            Some(current) => current,
            None => SigningAuthority::load_pair(&file(KEY_FILE), &file(CERTIFICATE_FILE), of)?,
        };
        let switched = SigningAuthority::load(&file(SWITCHED_FILE), of)?;
        let next = if switched.is_none() { SigningAuthority::load(&file(NEXT_FILE), of)? } else { None };
        let (phase, issuing, other) = match (switched, next) {
            (Some(next), _) => (RotationPhase::Switched, next, Some(current)),
            (None, Some(next)) => (RotationPhase::Added, current, Some(next)),
            (None, None) => (RotationPhase::Stable, current, None),
        };
        let signing = Signing { phase, issuing: Arc::new(issuing), other: other.map(Arc::new) };

        let (names_file, secrets_file) = (file(NAMES_FILE), file(SECRETS_FILE));
        let text = String::from_utf8(files::read_required(&names_file, of.remedy())?)
            .map_err(|error| of.corrupt(&names_file, error.to_string()))?;
        let names = LeafNames::parse(of, &text).map_err(|problem| of.corrupt(&names_file, problem))?;
        let secrets = QuicSecrets::from_bytes(&files::read_required(&secrets_file, of.remedy())?)
            .ok_or_else(|| of.corrupt(&secrets_file, "wrong length".to_owned()))?;
        Ok(Self::new(Some(dir.to_owned()), signing, names, secrets, RandomSource::System))
    }

    fn new(
        dir: Option<PathBuf>,
        signing: Signing,
        names: LeafNames,
        secrets: QuicSecrets,
        random: RandomSource,
    ) -> Self {
        let (signing, names) = (RwLock::new(signing), RwLock::new(names));
        Self { dir, signing, steps: Mutex::default(), names, secrets, random }
    }

    /// Returns the pin of the authority that issues certificates, as carried in a join token.
    pub fn pin(&self) -> Pin {
        self.signing().issuing.pin()
    }

    /// Returns the start and end of the validity of the authority that issues certificates.
    pub fn validity(&self) -> Range<WallTime> {
        self.signing().issuing.validity()
    }

    /// Returns the certificate in DER of the authority that issues certificates.
    pub fn certificate_der(&self) -> Vec<u8> {
        self.signing().issuing.certificate.to_vec()
    }

    /// Returns the authorities, the issuing one first, and how far a replacement is.
    pub fn rotation(&self) -> AuthorityRotation {
        let signing = self.signing();
        AuthorityRotation { phase: signing.phase, authorities: signing.all().map(SigningAuthority::trusted).collect() }
    }

    /// Returns the end of each authority's validity, in the order of [`rotation`](Self::rotation).
    pub fn ends(&self) -> Vec<WallTime> {
        self.signing().all().map(|authority| authority.validity().end).collect()
    }

    /// Performs a step of the replacement of the authority. On return it is durable. The caller has checked that the
    /// step is possible; otherwise nothing changes.
    ///
    /// # Errors
    /// [`TransportError`] if the disk cannot be written; nothing has changed then.
    pub fn rotate(&self, step: RotationStep, now: WallTime) -> Result<(), TransportError> {
        // Handshakes go on while the disk is written.
        let _one_at_a_time = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        let (phase, current, next) = {
            let signing = self.signing();
            (signing.phase, Arc::clone(&signing.issuing), signing.other.clone())
        };
        let changed = match (step, phase, next) {
            (RotationStep::Add, RotationPhase::Stable, _) => {
                let next = SigningAuthority::generate(Some(&current), now, &self.random)?;
                self.change_files(|dir| {
                    // The file of an authority that was retired is left only by a crash.
                    remove_retired(dir)?;
                    files::write_file(&dir.join(NEXT_FILE), next.to_pem().as_bytes())
                })?;
                Signing { phase: RotationPhase::Added, issuing: current, other: Some(Arc::new(next)) }
            }
            (RotationStep::Switch, RotationPhase::Added, Some(next)) => {
                self.change_files(|dir| files::rename(&dir.join(NEXT_FILE), &dir.join(SWITCHED_FILE)))?;
                Signing { phase: RotationPhase::Switched, issuing: next, other: Some(current) }
            }
            (RotationStep::Retire, RotationPhase::Switched, _) => {
                self.change_files(|dir| files::rename(&dir.join(SWITCHED_FILE), &dir.join(CURRENT_FILE)))?;
                let retired = self.change_files(remove_retired);
                if let Err(error) = retired {
                    tracing::warn!(%error, "cannot remove the retired key; retrying at the next start");
                }
                Signing { phase: RotationPhase::Stable, issuing: current, other: None }
            }
            (RotationStep::Abort, RotationPhase::Added, _) => {
                self.change_files(|dir| files::remove_file(&dir.join(NEXT_FILE)))?;
                Signing { phase: RotationPhase::Stable, issuing: current, other: None }
            }
            _ => return Ok(()),
        };
        let mut signing = self.signing.write().unwrap_or_else(PoisonError::into_inner);
        *signing = changed;
        signing.forget_leaves();
        Ok(())
    }

    /// Returns the files with the keys of the authority in `dir`: those that are there, and the one that must be.
    pub fn key_files(dir: &Path) -> Vec<PathBuf> {
        let all = [CURRENT_FILE, KEY_FILE, NEXT_FILE, SWITCHED_FILE].map(|file| dir.join(file));
        let [current, first, ..] = &all;
        let is_needed = |path: &&PathBuf| path.exists() || (*path == first && !current.exists());
        all.iter().filter(is_needed).cloned().collect()
    }

    /// Removes what an interrupted step has left in the directory: the key of a retired authority.
    ///
    /// # Errors
    /// [`TransportError::Write`] names the file.
    pub fn remove_leftovers(&self) -> Result<(), TransportError> {
        self.change_files(remove_retired)
    }

    fn change_files(&self, change: impl FnOnce(&Path) -> Result<(), TransportError>) -> Result<(), TransportError> {
        self.dir.as_deref().map_or(Ok(()), change)
    }

    /// Adds a name to the server's certificate, until the process ends. The names that it has stay.
    ///
    /// # Errors
    /// [`TransportError::BadName`] if the name is invalid in a certificate, [`TransportError::FixedNames`] if the
    /// authority is that of a gateway.
    pub fn add_name(&self, name: &str) -> Result<(), TransportError> {
        let is_new = self.names.write().unwrap_or_else(PoisonError::into_inner).add(name)?;
        if is_new {
            self.signing().forget_leaves();
        }
        Ok(())
    }

    /// Issues a client certificate, in DER, for the key that `member` proved to hold.
    ///
    /// `public_key` is its `SubjectPublicKeyInfo` in DER. The certificate names the member, has a validity in whole
    /// seconds, and can only authenticate a client.
    ///
    /// # Errors
    /// [`TransportError::BadPublicKey`] if the key is not Ed25519.
    pub fn issue_member(
        &self,
        public_key: &[u8],
        member: MemberId,
        validity: Range<WallTime>,
    ) -> Result<Vec<u8>, TransportError> {
        let whose = match member {
            MemberId::Site(_) => "the site's key",
            MemberId::Host(_) => "the host's key",
        };
        let key = Ed25519PublicKey::parse(public_key).ok_or(TransportError::BadPublicKey { whose })?;
        let mut params = x509::certificate(&member.to_string(), &validity, &self.random)?;
        x509::allow_only(&mut params, ExtendedKeyUsagePurpose::ClientAuth);
        let signing = self.signing();
        let certificate =
            params.signed_by(&key, &signing.issuing.issuer).map_err(make_error("a member's certificate"))?;
        Ok(certificate.der().to_vec())
    }

    /// Issues a gateway certificate, in DER, for the key that `site` proved to hold: it can only authenticate a TLS
    /// server, and only as the gateway of this site. The site's hosts accept it if they trust this server's authority,
    /// so they follow when the machine of their gateway is replaced and has a new authority. It signs nothing.
    ///
    /// `public_key` is its `SubjectPublicKeyInfo` in DER. The validity is in whole seconds, and starts later if the
    /// chain above is valid only then. [`issuing_chain`](Self::issuing_chain) is presented with it.
    ///
    /// # Errors
    /// [`TransportError::BadPublicKey`] if the key is not Ed25519.
    pub fn issue_gateway(
        &self,
        public_key: &[u8],
        site: SiteId,
        validity: Range<WallTime>,
    ) -> Result<Vec<u8>, TransportError> {
        let key =
            Ed25519PublicKey::parse(public_key).ok_or(TransportError::BadPublicKey { whose: "the site's key" })?;
        let signing = self.signing();
        let (name, start) = (gateway_name(site), signing.issuing.chain_start(validity.start));
        let mut params = x509::certificate(&name, &(start..validity.end), &self.random)?;
        x509::allow_only(&mut params, ExtendedKeyUsagePurpose::ServerAuth);
        params.subject_alt_names = vec![SanType::DnsName(name.try_into().expect("it is a DNS name"))];
        let certificate =
            params.signed_by(&key, &signing.issuing.issuer).map_err(make_error("a gateway certificate"))?;
        Ok(certificate.der().to_vec())
    }

    /// Returns the certificates in DER above one that is issued at this time, for clients that trust any of the
    /// authorities: four at most.
    pub fn issuing_chain(&self) -> Vec<Vec<u8>> {
        let signing = self.signing();
        signing.issuing.chain(signing.replaced()).map(|der| der.to_vec()).collect()
    }

    /// Checks that certificates issued at `now` would be valid.
    pub(crate) fn check_clock(&self, now: WallTime) -> Result<(), TransportError> {
        let not_before = self.validity().start;
        if now < not_before {
            return Err(TransportError::ClockBeforeAuthority { now, not_before });
        }
        Ok(())
    }

    pub(crate) const fn secrets(&self) -> &QuicSecrets {
        &self.secrets
    }

    /// Returns the certificates of the authorities whose client certificates are accepted.
    pub(crate) fn certificates(&self) -> Vec<CertificateDer<'static>> {
        self.signing().all().map(|authority| authority.certificate.clone()).collect()
    }

    /// Whether one of the authorities is among those that a client trusts.
    pub(crate) fn is_named(&self, named: &[DistinguishedName]) -> bool {
        self.signing().all().any(|authority| authority.is_named(named))
    }

    /// Returns the certificate of the server or gateway with its chain, renewed once a day. `named` are the authorities
    /// that the client trusts, if it says so. Before the switch, a client that trusts only the next authority gets a
    /// certificate from that one: the server was restored from a backup that is older than what its sites know.
    pub(crate) fn server_leaf(
        &self,
        named: Option<&[DistinguishedName]>,
        now: WallTime,
    ) -> Result<Arc<CertifiedKey>, TransportError> {
        let signing = self.signing();
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        let is_named = |authority: &SigningAuthority| named.is_some_and(|named| authority.is_named(named));
        match (&signing.other, signing.phase) {
            (Some(next), RotationPhase::Added) if is_named(next) && !is_named(&signing.issuing) => {
                next.server_leaf((&names, None), now, &self.random)
            }
            _ => signing.issuing.server_leaf((&names, signing.replaced()), now, &self.random),
        }
    }

    fn signing(&self) -> RwLockReadGuard<'_, Signing> {
        self.signing.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Signing {
    fn all(&self) -> impl Iterator<Item = &SigningAuthority> {
        std::iter::once(&self.issuing).chain(&self.other).map(|authority| &**authority)
    }

    /// Returns the authority that no longer issues certificates, until it is retired.
    fn replaced(&self) -> Option<&SigningAuthority> {
        self.other.as_deref().filter(|_| self.phase == RotationPhase::Switched)
    }

    fn forget_leaves(&self) {
        self.all().for_each(SigningAuthority::forget_leaf);
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("pin", &self.pin()).finish_non_exhaustive()
    }
}

/// Removes the files of the first authority once another one has replaced it.
fn remove_retired(dir: &Path) -> Result<(), TransportError> {
    if !dir.join(CURRENT_FILE).exists() {
        return Ok(());
    }
    files::remove_file(&dir.join(KEY_FILE))?;
    files::remove_file(&dir.join(CERTIFICATE_FILE))
}
