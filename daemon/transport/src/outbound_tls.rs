//! TLS to third-party services: an ordinary client that trusts the public authorities and, where a site has its own
//! services, the authorities in a file.
//!
//! The public authorities are those that Mozilla trusts, compiled in, because a site may run an image without any. TLS
//! 1.2 is allowed here besides 1.3, because providers' services may not support 1.3; rustls has no weak ciphers in
//! either. The caller establishes the TCP connection and passes the name that the server's certificate has to match.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::error::TransportError;
use crate::https::{ClientTlsStream, read_ca_file};
use crate::tls::HTTPS_PROTOCOL;

/// A TLS client for third-party services.
#[derive(Clone)]
pub struct OutboundTls(Arc<ClientConfig>);

impl OutboundTls {
    /// Creates a client that trusts the public authorities and those in `ca_file` (PEM).
    ///
    /// # Errors
    /// [`TransportError::Tls`] if the file has no certificate, or one that cannot be used.
    pub fn new(ca_file: Option<&Path>) -> Result<Self, TransportError> {
        let error = |source| TransportError::Tls { what: "outbound connections", source };
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        if let Some(path) = ca_file {
            let own = read_ca_file(path).map_err(|source| error(format!("{}: {source}", path.display()).into()))?;
            roots.roots.extend(own.roots);
        }
        let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(|source| error(source.into()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![HTTPS_PROTOCOL.to_vec()];
        Ok(Self(Arc::new(config)))
    }

    /// Performs a TLS handshake over `stream` with a server that has to be `host`, a DNS name or an address.
    ///
    /// # Errors
    /// The failure of the connection or of the verification.
    pub async fn wrap(&self, host: &str, stream: TcpStream) -> Result<ClientTlsStream, io::Error> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        TlsConnector::from(Arc::clone(&self.0)).connect(name, stream).await
    }
}

/// Why a TLS handshake failed, as far as it changes what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandshakeFault {
    /// No trusted authority has issued the certificate.
    UnknownIssuer,
    /// The certificate has expired, or is not valid yet.
    OutsideValidity,
    /// Anything else.
    Other,
}

impl HandshakeFault {
    /// Classifies the error of [`OutboundTls::wrap`].
    pub fn of(error: &io::Error) -> Self {
        use CertificateError as Problem;
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        let Some(rustls::Error::InvalidCertificate(problem)) = inner else { return Self::Other };
        match problem {
            Problem::UnknownIssuer => Self::UnknownIssuer,
            Problem::Expired
            | Problem::ExpiredContext { .. }
            | Problem::NotValidYet
            | Problem::NotValidYetContext { .. } => Self::OutsideValidity,
            _ => Self::Other,
        }
    }
}

impl std::fmt::Debug for OutboundTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OutboundTls")
    }
}
