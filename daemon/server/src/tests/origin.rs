//! Requests through proxies, and without TLS.

use linecamp_core::IpNetworks;
use linecamp_service::{ConnectionCounts, ShareLimits};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::api_fixture::Bare;
use super::fixture::soon;
use crate::drivers::https::{ApiConnections, SHARES, STREAM_SHARES};

/// The address of the tests.
const HERE: &str = "127.0.0.1";

/// The headers of a proxy for a client at this address.
fn forwarded_for(client: &str) -> Vec<String> {
    let headers = ["Host: fleet.example", "X-Forwarded-Proto: https", "X-Forwarded-Port: 443"].map(str::to_owned);
    headers.into_iter().chain([format!("X-Forwarded-For: {client}")]).collect()
}

impl Bare {
    fn trust(&self, networks: &[&str]) {
        self.trusted_proxies.set(IpNetworks::parse(networks).unwrap());
    }

    async fn forward(&self, line: &str, headers: &[String]) -> String {
        self.ask_plain(line, &headers.iter().map(String::as_str).collect::<Vec<_>>()).await
    }

    async fn report(&self, headers: &[String]) -> Value {
        let key = format!("Authorization: Bearer {}", self.key.reveal());
        let headers: Vec<_> = headers.iter().cloned().chain([key, "Cookie: session=secret".to_owned()]).collect();
        let answer = self.forward("GET /api/v1/doctor/request", &headers).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(!body.contains("secret") && !body.contains(&self.key.reveal()), "{body}");
        serde_json::from_str(body).unwrap()
    }
}

#[tokio::test]
async fn a_request_without_tls_is_redirected_to_the_server_url() {
    let bare = Bare::start().await;
    let check = |answer: &str, location: &str| {
        assert!(answer.starts_with("HTTP/1.1 308"), "{answer}");
        assert!(answer.contains(&format!("\r\nlocation: {location}\r\n")), "{answer}");
        assert!(answer.contains("\r\ncache-control: no-store\r\n"), "{answer}");
        assert!(!answer.contains("strict-transport-security"), "{answer}");
    };
    let forged = forwarded_for("198.51.100.7");
    check(&bare.forward("GET /api/v1/sites?limit=2", &forged).await, "https://localhost/api/v1/sites?limit=2");
    check(&bare.forward("GET /api/v1/doctor/request", &forged).await, "https://localhost/api/v1/doctor/request");
    check(&bare.forward("POST //evil.example/install", &forged).await, "https://localhost//evil.example/install");
    check(&bare.forward("OPTIONS *", &forged).await, "https://localhost/");
    bare.trust(&[HERE]);
    check(&bare.ask_plain("GET /install", &["Host: evil.example"]).await, "https://localhost/install");
    for scheme in ["http", "wss", "https, http"] {
        let scheme = format!("X-Forwarded-Proto: {scheme}");
        check(&bare.ask_plain("GET /install", &["Host: fleet.example", &scheme]).await, "https://localhost/install");
    }
}

#[tokio::test]
async fn health_checks_need_no_headers_and_no_tls() {
    let bare = Bare::start().await;
    for path in ["/healthz", "/readyz"] {
        let answer = bare.ask_plain(&format!("GET {path}"), &["Host: 10.0.0.5:8080"]).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

#[tokio::test]
async fn a_trusted_proxy_is_served_and_the_report_shows_what_was_believed() {
    let bare = Bare::start().await;
    bare.trust(&[HERE]);
    let answer = bare.forward("GET /api/v1/sites", &forwarded_for("198.51.100.7")).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert!(answer.contains("\r\nstrict-transport-security: max-age=31536000\r\n"), "{answer}");

    let report = bare.report(&forwarded_for("198.51.100.7")).await;
    assert_eq!(report["url"], "https://fleet.example");
    assert_eq!((&report["client"], &report["connection_address"]), (&"198.51.100.7".into(), &HERE.into()));
    assert_eq!((&report["connection_scheme"], &report["proxy_trusted"]), (&"http".into(), &true.into()));
    assert!(report["forwarding_headers"].as_array().unwrap().iter().all(|header| header["believed"] == true));
    let named = |name: &str| {
        report["other_headers"].as_array().unwrap().iter().find(|header| header["name"] == name).unwrap().clone()
    };
    assert_eq!((named("cookie").get("value"), named("authorization").get("value")), (None, None));
    assert_eq!(named("connection")["value"], "close");
}

/// The most frequent mistake in a proxy must be visible, not redirected in a circle.
#[tokio::test]
async fn the_report_shows_that_a_proxy_does_not_state_the_scheme() {
    let bare = Bare::start().await;
    bare.trust(&[HERE]);
    let report = bare.report(&["Host: fleet.example".to_owned(), "X-Forwarded-Proto: wss".to_owned()]).await;
    assert_eq!(report["url"], "http://fleet.example");
    assert_eq!(report["forwarding_headers"][1]["reason"], "other-scheme");
}

#[tokio::test]
async fn clients_behind_a_proxy_have_a_share_each() {
    const PLACES: usize = 8;
    let few = ShareLimits { unauthenticated_max: PLACES, ..SHARES };
    let bare = Bare::start_with(ApiConnections::with_limits(few, STREAM_SHARES)).await;
    bare.trust(&[HERE]);
    let mut slow = Vec::new();
    for _ in 0..PLACES {
        let mut stream = bare.dial_plain().await;
        let headers = forwarded_for("198.51.100.66").join("\r\n");
        let request = format!("GET /endless HTTP/1.1\r\n{headers}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        soon(bare.began.notified()).await;
        slow.push(stream);
    }
    let answer = bare.forward("GET /readyz", &forwarded_for("198.51.100.7")).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let mut rest = Vec::new();
    // The oldest of the flood made room.
    drop(soon(slow.swap_remove(0).read_to_end(&mut rest)).await);
    assert_eq!(rest, b"");
    assert_eq!(bare.connections.connections.counts().evicted, 1);
}

#[tokio::test]
async fn a_kept_connection_of_a_proxy_is_charged_to_the_key_of_its_latest_request_only() {
    let bare = Bare::start().await;
    bare.trust(&[HERE]);
    let mut stream = bare.dial_plain().await;
    let (headers, key) = (forwarded_for("198.51.100.7").join("\r\n"), bare.key.reveal());
    let counts = |unauthenticated, authenticated| ConnectionCounts {
        unauthenticated,
        authenticated,
        ..ConnectionCounts::default()
    };
    let with_key = format!("GET /api/v1/sites HTTP/1.1\r\n{headers}\r\nauthorization: Bearer {key}\r\n\r\n");
    for (request, expected) in
        [(with_key, counts(0, 1)), (format!("GET /healthz HTTP/1.1\r\n{headers}\r\n\r\n"), counts(1, 0))]
    {
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(soon(stream.read_u8()).await.unwrap());
        }
        let head = String::from_utf8(answer).unwrap();
        let length = head.split_once("content-length: ").unwrap().1.split("\r\n").next().unwrap();
        soon(stream.read_exact(&mut vec![0; length.parse().unwrap()])).await.unwrap();
        assert_eq!(bare.connections.connections.counts(), expected);
    }
}

/// A response that is lost because the connection is reset would leave the client without a reason.
#[tokio::test]
async fn a_head_of_100_kilobytes_is_answered_with_431() {
    let bare = Bare::start().await;
    let long = format!("X-Long: {}", "x".repeat(100 * 1024));
    let answer = bare.ask_plain("GET /healthz", &[&long]).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
}
