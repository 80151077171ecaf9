//! A certificate for the API that the operator supplies, in place of one issued by the server's own authority.
//!
//! It is for clients that verify names: browsers, and CLIs with a CA file. Clients that trust the pin ask for the name
//! `server.linecamp.internal`, which no other authority certifies, and get the authority's own certificate. The link
//! never presents the supplied one.
//!
//! A pair is used only if everything a client checks holds: the key belongs to the certificate, the name is that of the
//! server URL, the validity includes the present, and the chain is in order. [`HttpsCertificates::set`] replaces the
//! pair for new handshakes; established connections are not affected.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use linecamp_model::WallTime;
use rustls::client::verify_server_name;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::resolver::LeafResolver;
use super::x509::SERVER_NAME;
use super::x509::wall_time;
use crate::error::Cause;
use crate::tls;

/// Maximum bytes of each of the two files: many times what a chain needs. A larger file is rejected.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// Maximum certificates in a chain. A longer chain is rejected; real ones have two to four.
const CHAIN_MAX: usize = 10;

/// Why a certificate and key were rejected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpsCertificateError {
    /// A file could not be read.
    #[error("failed to read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: Cause,
    },
    /// A file does not contain what it should.
    #[error("{} {problem}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The problem.
        problem: String,
    },
    /// The key is that of another certificate.
    #[error("the key in {} is not that of the certificate in {}; write both files of one issue", key.display(), certificate.display())]
    KeyMismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// The certificate has expired.
    #[error("the certificate in {} expired on {not_after}; renew it", path.display())]
    Expired {
        /// The file.
        path: PathBuf,
        /// The end of its validity.
        not_after: WallTime,
    },
    /// The certificate is not valid yet.
    #[error("the certificate in {} is not valid before {not_before}; check the clock", path.display())]
    NotYetValid {
        /// The file.
        path: PathBuf,
        /// The start of its validity.
        not_before: WallTime,
    },
    /// The certificate is for other names.
    #[error("the certificate in {} is not for {host}, the host in server_url", path.display())]
    WrongName {
        /// The file.
        path: PathBuf,
        /// The host in the server URL.
        host: String,
    },
}

/// A valid certificate chain with its key.
#[derive(Clone)]
pub struct HttpsCertificate {
    certified: Arc<CertifiedKey>,
    not_after: WallTime,
}

impl HttpsCertificate {
    /// Reads a chain, the certificate of `host` first, and its key, both in PEM.
    ///
    /// # Errors
    /// [`HttpsCertificateError`] names the file and the problem, and never contains the key.
    pub fn load(certificate: &Path, key: &Path, host: &str, now: WallTime) -> Result<Self, HttpsCertificateError> {
        let invalid = |path: &Path, problem: String| HttpsCertificateError::Invalid { path: path.to_owned(), problem };
        let pem = read(certificate)?;
        let chain = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|error| invalid(certificate, format!("is not a PEM file ({error})")))?;
        let leaf = chain.first().ok_or_else(|| invalid(certificate, "contains no certificate".to_owned()))?;
        if CHAIN_MAX < chain.len() {
            return Err(invalid(certificate, format!("contains more than {CHAIN_MAX} certificates")));
        }
        let not_after = check_chain(&chain, certificate, now)?;
        check_name(leaf, certificate, host)?;

        let key_pem = read(key)?;
        let key_der = PrivateKeyDer::from_pem_slice(&key_pem)
            .map_err(|_| invalid(key, "contains no unencrypted private key in PEM".to_owned()))?;
        let certified = CertifiedKey::from_der(chain, key_der, &tls::api_provider()).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                HttpsCertificateError::KeyMismatch { certificate: certificate.to_owned(), key: key.to_owned() }
            }
            error => invalid(key, format!("contains a key that cannot be used ({error})")),
        })?;
        Ok(Self { certified: Arc::new(certified), not_after })
    }

    /// Returns the end of its validity.
    pub const fn not_after(&self) -> WallTime {
        self.not_after
    }
}

impl fmt::Debug for HttpsCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpsCertificate").field("not_after", &self.not_after).finish_non_exhaustive()
    }
}

fn read(path: &Path) -> Result<Vec<u8>, HttpsCertificateError> {
    let failed = |source: Cause| HttpsCertificateError::Read { path: path.to_owned(), source };
    linecamp_files::read(path, FILE_BYTES_MAX).map_err(|error| failed(error.into()))
}

/// Checks the validity of the first certificate and the order of all. Returns the end of the validity.
fn check_chain(chain: &[CertificateDer<'_>], path: &Path, now: WallTime) -> Result<WallTime, HttpsCertificateError> {
    let invalid = |problem: String| HttpsCertificateError::Invalid { path: path.to_owned(), problem };
    let parse = |der| match X509Certificate::from_der(der) {
        Ok((_, certificate)) => Ok(certificate),
        Err(error) => Err(invalid(format!("contains an invalid certificate ({error})"))),
    };
    let parsed = chain.iter().map(|der| parse(der)).collect::<Result<Vec<_>, _>>()?;
    if parsed.windows(2).any(|pair| pair[0].issuer() != pair[1].subject()) {
        let problem = "has its certificates in the wrong order; put the server's first, and then the issuer of each";
        return Err(invalid(problem.to_owned()));
    }
    let leaf = &parsed[0];
    let purposes = leaf.extended_key_usage().ok().flatten();
    if purposes.is_some_and(|purposes| !purposes.value.server_auth && !purposes.value.any) {
        return Err(invalid("contains a certificate that is not for a server (no serverAuth)".to_owned()));
    }
    let validity = leaf.validity();
    let [not_before, not_after] = [validity.not_before, validity.not_after].map(|time| wall_time(time.timestamp()));
    let path = path.to_owned();
    match (now < not_before, not_after < now) {
        (true, _) => Err(HttpsCertificateError::NotYetValid { path, not_before }),
        (_, true) => Err(HttpsCertificateError::Expired { path, not_after }),
        (false, false) => Ok(not_after),
    }
}

fn check_name(leaf: &CertificateDer<'_>, path: &Path, host: &str) -> Result<(), HttpsCertificateError> {
    let wrong = || HttpsCertificateError::WrongName { path: path.to_owned(), host: host.to_owned() };
    let name = ServerName::try_from(host).map_err(|_| wrong())?;
    let parsed = ParsedCertificate::try_from(leaf).map_err(|error| {
        let problem = format!("contains an invalid certificate ({error})");
        HttpsCertificateError::Invalid { path: path.to_owned(), problem }
    })?;
    verify_server_name(&parsed, &name).map_err(|_| wrong())
}

/// The certificate that the API presents to clients that verify names; none means the authority's own. Clones share
/// the state.
#[derive(Clone, Debug, Default)]
pub struct HttpsCertificates(Arc<RwLock<Option<HttpsCertificate>>>);

impl HttpsCertificates {
    /// Replaces the certificate for new handshakes.
    pub fn set(&self, certificate: Option<HttpsCertificate>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = certificate;
    }

    /// Returns the certificate in use.
    pub fn current(&self) -> Option<HttpsCertificate> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Presents the supplied certificate, or the authority's own to clients that trust its pin.
#[derive(Debug)]
pub(crate) struct ApiResolver {
    pub(crate) supplied: HttpsCertificates,
    pub(crate) own: LeafResolver,
}

impl ResolvesServerCert for ApiResolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let supplied = self.supplied.current().filter(|_| hello.server_name() != Some(SERVER_NAME));
        match supplied {
            Some(supplied) => Some(supplied.certified),
            None => self.own.resolve(hello),
        }
    }
}
