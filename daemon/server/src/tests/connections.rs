//! Clients that hold connections without using them.

use std::fs;
use std::time::Duration;

use linecamp_service::{ConnectionCounts, ShareLimits};
use linecamp_transport::{ApiTrust, ClientTlsStream, connect};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::api_fixture::Bare;
use super::fixture::{Running, soon};
use crate::drivers::http_connection::HEAD_LIMIT;
use crate::drivers::https::{ApiConnections, OVERDUE_PERIOD, REQUEST_LIMIT, SHARES, STREAM_SHARES};

impl Running {
    async fn dial(&self) -> ClientTlsStream {
        let trust = ApiTrust::Pin(self.server.pin());
        soon(connect("127.0.0.1", self.server.https_addr().port(), &trust)).await.unwrap()
    }

    /// Asserts that an operator, a metrics scraper and an installation are served before the connections that hold the
    /// permits time out.
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

/// Starts a server with a package of `bytes` bytes for new sites.
async fn with_package(bytes: usize) -> (Running, String) {
    let name = format!("linecampd_{}_amd64.deb", env!("CARGO_PKG_VERSION"));
    let packages = tempfile::tempdir().unwrap();
    fs::write(packages.path().join(&name), "x".repeat(bytes)).unwrap();
    (Running::start_with_packages(packages).await, name)
}

#[tokio::test]
async fn silent_connections_of_one_address_do_not_block_others() {
    let (server, package) = with_package(10).await;
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(TcpStream::connect(server.server.https_addr()).await.unwrap());
    }
    server.serves(&package).await;
}

#[tokio::test]
async fn idle_tls_connections_of_one_address_do_not_block_others() {
    let (server, package) = with_package(10).await;
    let mut idle = Vec::new();
    for _ in 0..300 {
        idle.push(server.dial().await);
    }
    server.serves(&package).await;
}

/// Whether a proxy holds them or a stranger who found the port.
#[tokio::test]
async fn silent_connections_without_tls_do_not_block_others() {
    let bare = Bare::start().await;
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(bare.dial_plain().await);
    }
    let served = async {
        assert!(bare.ask("GET /nowhere").await.starts_with("HTTP/1.1 404"));
        assert!(bare.ask_plain("GET /readyz", &[]).await.starts_with("HTTP/1.1 200"));
    };
    tokio::time::timeout(HEAD_LIMIT / 2, served).await.expect("nobody waits");
}

#[tokio::test]
async fn slow_request_bodies_of_one_address_do_not_block_others() {
    let (server, package) = with_package(10).await;
    let mut slow = Vec::new();
    for _ in 0..300 {
        let mut stream = server.dial().await;
        let head = b"POST /api/v1/tokens HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n{";
        stream.write_all(head).await.unwrap();
        slow.push(stream);
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

/// Waits until the server closes a connection, and returns what it sent before.
async fn rest(mut stream: ClientTlsStream) -> Vec<u8> {
    let mut said = Vec::new();
    // The connection may be closed without a TLS close notification.
    drop(stream.read_to_end(&mut said).await);
    said
}

/// Advances the clock of the whole runtime by `time`.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

#[tokio::test]
async fn an_evicted_connection_is_closed_immediately() {
    let one = ShareLimits { unauthenticated_max: 1, idle_grace: Duration::ZERO, ..SHARES };
    let bare = Bare::start_with(ApiConnections::with_limits(one, STREAM_SHARES)).await;
    let first = bare.dial().await;
    let _second = bare.dial().await;
    let closed = tokio::time::timeout(HEAD_LIMIT / 2, rest(first)).await;
    assert_eq!(closed.expect("sooner than what says nothing is closed by itself"), b"");
}

#[tokio::test]
async fn an_authenticated_connection_does_not_count_for_its_address() {
    let bare = Bare::start().await;
    let mut stream = bare.dial().await;
    let key = bare.key.reveal();
    let request = format!("GET /api/v1/sites/none HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    soon(stream.read_exact(&mut status)).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 404");
    let counts = ConnectionCounts { unauthenticated: 0, authenticated: 1, ..ConnectionCounts::default() };
    assert_eq!(bare.connections.connections.counts(), counts);
}

#[tokio::test]
async fn a_request_longer_than_fifteen_minutes_is_aborted() {
    let bare = Bare::start().await;
    let mut stream = bare.dial().await;
    stream.write_all(b"GET /endless HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    soon(bare.began.notified()).await;
    pass(REQUEST_LIMIT + OVERDUE_PERIOD).await;
    assert_eq!(soon(rest(stream)).await, b"");
}

#[tokio::test]
async fn an_unfinished_request_head_times_out_after_ten_seconds() {
    let bare = Bare::start().await;
    let mut stream = bare.dial().await;
    // After one request is answered, the timeout for the next head applies.
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\nGET /healthz HTTP/1.1\r\n").await.unwrap();
    let mut status = [0; 8];
    soon(stream.read_exact(&mut status)).await.unwrap();
    pass(HEAD_LIMIT).await;
    soon(rest(stream)).await;
}
