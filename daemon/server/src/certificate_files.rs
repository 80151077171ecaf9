//! The certificate that the operator supplies for the API: its files, and when they are read.
//!
//! They are read at startup, on a reload of the configuration, and when one of them changes on disk. A pair that a
//! client would reject is not used: the one before it stays, or, without one, a certificate from the server's own
//! authority. The server starts in any case, because its sites need no certificate of the API.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use linecamp_model::WallTime;
use linecamp_service::{Kind, Metrics};
use linecamp_transport::{
    HttpsCertificate, HttpsCertificateError, HttpsCertificates, SystemClock, WallClock as _, error_chain,
};

/// Interval between checks of the files for changes. A renewal has weeks of time; this is for a person who waits.
pub(crate) const CHECK_PERIOD: Duration = Duration::from_secs(10);

/// The files of a certificate chain and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The chain, in PEM, the server's certificate first.
    pub certificate: PathBuf,
    /// The key of the first certificate, in PEM.
    pub key: PathBuf,
}

impl CertificateFiles {
    /// Reads the pair and checks that clients of `host` would accept it.
    ///
    /// # Errors
    /// [`HttpsCertificateError`] names the file and the problem.
    pub fn load(&self, host: &str) -> Result<HttpsCertificate, HttpsCertificateError> {
        HttpsCertificate::load(&self.certificate, &self.key, host, SystemClock.now())
    }

    fn stamp(&self) -> [Option<FileStamp>; 2] {
        [&self.certificate, &self.key].map(|path| {
            let of = fs::metadata(path).ok()?;
            Some((of.dev(), of.ino(), of.size(), (of.mtime(), of.mtime_nsec()), (of.ctime(), of.ctime_nsec())))
        })
    }
}

/// The version of a file: device, inode, size, and the times of its last changes.
type FileStamp = (u64, u64, u64, (i64, i64), (i64, i64));

/// The certificate in use, and the files it comes from. Clones share the state.
#[derive(Clone, Debug, Default)]
pub(crate) struct CertificateStatus {
    certificates: HttpsCertificates,
    source: Arc<Mutex<Source>>,
}

#[derive(Debug, Default)]
struct Source {
    files: Option<CertificateFiles>,
    host: String,
    /// The versions of the files that were read last.
    stamp: [Option<FileStamp>; 2],
    is_rejected: bool,
}

impl CertificateStatus {
    /// Returns the certificate for new handshakes.
    pub(crate) fn certificates(&self) -> HttpsCertificates {
        self.certificates.clone()
    }

    /// Reads the configured files, for clients of `host`.
    pub(crate) fn configure(&self, files: Option<CertificateFiles>, host: &str) {
        let mut source = self.source();
        host.clone_into(&mut source.host);
        source.files = files;
        self.read(&mut source);
    }

    /// Reads the files again if one has changed since they were read last.
    pub(crate) fn check(&self) {
        let mut source = self.source();
        if source.files.as_ref().is_some_and(|files| files.stamp() != source.stamp) {
            self.read(&mut source);
        }
    }

    fn read(&self, source: &mut Source) {
        let Some(files) = &source.files else {
            self.certificates.set(None);
            source.is_rejected = false;
            return;
        };
        // Before the files: a change while they are read is noticed at the next check.
        source.stamp = files.stamp();
        let loaded = files.load(&source.host);
        source.is_rejected = loaded.is_err();
        match loaded {
            Ok(certificate) => {
                tracing::info!(not_after = %certificate.not_after(), "https certificate loaded");
                self.certificates.set(Some(certificate));
            }
            Err(error) => {
                let problem = error_chain(&error);
                let kept = match self.certificates.current() {
                    Some(_) => "the previous one",
                    None => "a certificate from the server's own authority",
                };
                tracing::warn!(problem, "https certificate rejected; using {kept}");
            }
        }
    }

    /// Writes the metrics.
    pub(crate) fn write(&self, metrics: &mut Metrics) {
        let help = "1 while the files of https_certificate and https_key are rejected, 0 otherwise.";
        let is_rejected = u8::from(self.source().is_rejected);
        metrics.one("linecamp_https_certificate_rejected", Kind::Gauge, help, is_rejected);
        let help = "Expiry of the certificate from https_certificate, in seconds since the Unix epoch; 0 without one.";
        let expiry = self.certificates.current().map_or(WallTime::EPOCH, |certificate| certificate.not_after());
        let expiry = expiry.saturating_since(WallTime::EPOCH).as_secs();
        metrics.one("linecamp_https_certificate_expiry_timestamp_seconds", Kind::Gauge, help, expiry);
    }

    fn source(&self) -> MutexGuard<'_, Source> {
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Checks the files for changes, forever.
pub(crate) async fn watch(status: CertificateStatus) {
    let mut period = tokio::time::interval(CHECK_PERIOD);
    loop {
        period.tick().await;
        let status = status.clone();
        // A slow disk must not delay the server's other tasks. The check does not panic.
        drop(tokio::task::spawn_blocking(move || status.check()).await);
    }
}
