//! What brokers need to send one message to all subscribers: mosquitto and nats-server, over TLS with client
//! certificates, with an answer of each subscriber to the publisher.

pub(crate) mod mqtt;
pub(crate) mod nats;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::server_process::PATIENCE;

/// Bytes of a message: the size of a label's document.
pub(crate) const MESSAGE_BYTES: usize = 300;

/// An encrypted connection to a peer.
pub(crate) type Stream = TlsStream<TcpStream>;

/// The result of one message to all subscribers, as seen by the publisher.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pushed {
    /// When half of the answers had arrived.
    pub(crate) middle: Duration,
    /// When the last one had arrived.
    pub(crate) last: Duration,
}

/// A CA for one peer, with files for its server and the configuration of its clients.
pub(crate) struct MemberCredentials {
    pub(crate) ca: PathBuf,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) client_certificate: PathBuf,
    pub(crate) client_key: PathBuf,
    client: Arc<ClientConfig>,
}

impl MemberCredentials {
    /// Creates them in `folder`.
    pub(crate) fn make(folder: &Path) -> anyhow::Result<Self> {
        let ca_key = KeyPair::generate()?;
        let mut ca = CertificateParams::new(Vec::new())?;
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // A name of its own: OpenSSL considers a leaf self-signed if its issuer has the same name.
        ca.distinguished_name.push(DnType::CommonName, "bench authority");
        let ca_certificate = ca.self_signed(&ca_key)?;
        let issuer = Issuer::new(ca, ca_key);
        let issue = |name: &str, usage| -> anyhow::Result<_> {
            let key = KeyPair::generate()?;
            let mut params = CertificateParams::new(vec![name.to_owned()])?;
            params.distinguished_name.push(DnType::CommonName, name);
            params.extended_key_usages = vec![usage];
            Ok((params.signed_by(&key, &issuer)?, key))
        };
        let (server, server_key) = issue("localhost", ExtendedKeyUsagePurpose::ServerAuth)?;
        let (client, client_key) = issue("subscriber", ExtendedKeyUsagePurpose::ClientAuth)?;
        let write = |name: &str, text: String| {
            let path = folder.join(name);
            fs::write(&path, text).map(|()| path).with_context(|| format!("failed to write {name}"))
        };
        let mut roots = RootCertStore::empty();
        roots.add(ca_certificate.der().clone())?;
        Ok(Self {
            ca: write("ca.pem", ca_certificate.pem())?,
            certificate: write("server.pem", server.pem())?,
            key: write("server.key", server_key.serialize_pem())?,
            client_certificate: write("client.pem", client.pem())?,
            client_key: write("client.key", client_key.serialize_pem())?,
            client: client_config(roots, client.der().clone(), &client_key)?,
        })
    }

    /// Performs the TLS handshake on a connection.
    pub(crate) async fn secure(&self, stream: TcpStream) -> anyhow::Result<Stream> {
        let name = ServerName::try_from("localhost")?;
        Ok(TlsConnector::from(Arc::clone(&self.client)).connect(name, stream).await?)
    }
}

fn client_config(
    roots: RootCertStore,
    certificate: CertificateDer<'static>,
    key: &KeyPair,
) -> anyhow::Result<Arc<ClientConfig>> {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificate], key)?;
    Ok(Arc::new(config))
}

/// Connects with `TCP_NODELAY`.
pub(crate) async fn connect(address: SocketAddr) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Waits until a started peer accepts connections.
pub(crate) async fn wait_for(address: SocketAddr, name: &str) -> anyhow::Result<()> {
    let until = Instant::now() + PATIENCE;
    while TcpStream::connect(address).await.is_err() {
        anyhow::ensure!(Instant::now() < until, "{name} does not take connections");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}
