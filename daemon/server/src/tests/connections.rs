//! Clients that take places and do not use them.

use std::fs;

use linecamp_transport::{ApiTrust, ClientTlsStream, connect};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::fixture::{Running, soon};
use crate::drive::https::HEAD_LIMIT;

impl Running {
    async fn dial(&self) -> ClientTlsStream {
        let trust = ApiTrust::Pin(self.server.pin());
        soon(connect("127.0.0.1", self.server.https_addr().port(), &trust)).await.unwrap()
    }

    /// Shows that an operator, a collector of metrics and an installation get through, and sooner than what holds
    /// places is late by itself.
    async fn serves(&self, package: &str) {
        tokio::time::timeout(HEAD_LIMIT / 2, self.serve_each(package)).await.expect("nobody waits");
    }

    async fn serve_each(&self, package: &str) {
        assert_eq!(self.ask("GET", "/api/v1/sites", None).await.0, 200);
        assert_eq!(self.ask("GET", "/metrics", None).await.0, 200);
        assert_eq!(self.ask_as(None, "GET", "/install", "").await.0, 200);
        assert_eq!(self.ask_as(None, "GET", &format!("/install/{package}"), "").await.0, 200);
    }
}

/// A server with a package of this size for new sites.
async fn with_package(bytes: usize) -> (Running, String) {
    let name = format!("linecampd_{}_amd64.deb", env!("CARGO_PKG_VERSION"));
    let packages = tempfile::tempdir().unwrap();
    fs::write(packages.path().join(&name), "x".repeat(bytes)).unwrap();
    (Running::start_with_packages(packages).await, name)
}

#[tokio::test]
async fn silent_connections_from_one_address_shut_nobody_out() {
    let (server, package) = with_package(10).await;
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(TcpStream::connect(server.server.https_addr()).await.unwrap());
    }
    server.serves(&package).await;
}

#[tokio::test]
async fn idle_tls_connections_from_one_address_shut_nobody_out() {
    let (server, package) = with_package(10).await;
    let mut idle = Vec::new();
    for _ in 0..300 {
        idle.push(server.dial().await);
    }
    server.serves(&package).await;
}

#[tokio::test]
async fn slow_downloads_do_not_stop_other_installations() {
    let (server, package) = with_package(8 * 1024 * 1024).await;
    let mut slow = Vec::new();
    for _ in 0..40 {
        let mut stream = server.dial().await;
        let request = format!("GET /install/{package} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut first = [0; 1];
        soon(stream.read_exact(&mut first)).await.unwrap();
        slow.push(stream);
    }
    server.serves(&package).await;
}
