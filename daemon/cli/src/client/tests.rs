use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use linecamp_model::Pin;
use linecamp_proto::api::operation::{CreateToken, EditSite, Json, MergePatch, OperationSpec, ShowHealth};
use linecamp_proto::api::query::NoQuery;
use linecamp_proto::api::{Edit, ErrorCode};
use linecamp_transport::{ApiTrust, Authority, DialError, ServerTlsStream, SystemClock, TlsListener, WallClock as _};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;

use super::*;
use crate::credentials::{ApiKey, ServerUrl};

/// An operation of the fake server: it takes an edit and answers with any JSON.
#[derive(Clone, Copy, Debug)]
struct Ask;

impl Operation for Ask {
    type Query = NoQuery;
    type Request = MergePatch<Edit>;
    type Response = Json<Value>;
    const SPEC: OperationSpec = OperationSpec { path: "/x", ..EditSite::SPEC };
}

/// A fake server that sends the given responses in order, and closes the connection for `None`. The requests it
/// received are in `requests`.
struct FakeServer {
    config: Config,
    requests: mpsc::UnboundedReceiver<String>,
    _dir: TempDir,
}

impl FakeServer {
    async fn start(answers: Vec<Option<String>>) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let ca = dir.path().join("ca");
        let authority = Authority::create(&ca, &["localhost".into()], SystemClock.now()).expect("an authority");
        let pin = authority.pin();
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = TlsListener::bind(anywhere, Arc::new(authority), Arc::new(SystemClock)).await;
        let listener = listener.expect("a free port");
        let server = ServerUrl { host: "127.0.0.1".into(), port: listener.local_addr().port() };
        let (sender, requests) = mpsc::unbounded_channel();
        tokio::spawn(serve(listener, answers, sender));
        let config = Config { server, trust: ApiTrust::Pin(pin), key: ApiKey::parse("lck_secret").ok() };
        Self { config, requests, _dir: dir }
    }

    fn client(&self) -> Client {
        Client::new(self.config.clone(), Duration::from_secs(20))
    }
}

async fn serve(listener: TlsListener, answers: Vec<Option<String>>, requests: mpsc::UnboundedSender<String>) {
    let mut open: Option<ServerTlsStream> = None;
    for answer in answers {
        let mut stream = match open.take() {
            Some(stream) => stream,
            None => listener.accept().await.establish().await.expect("a handshake"),
        };
        let mut buffer = vec![0; 4096];
        let length = stream.read(&mut buffer).await.expect("a request");
        let request = String::from_utf8_lossy(&buffer[..length]).into_owned();
        requests.send(request).expect("the test receives");
        if let Some(answer) = answer {
            // Some tests close the connection in the middle.
            _ = stream.write_all(answer.as_bytes()).await;
            _ = stream.flush().await;
            open = Some(stream);
        }
    }
    // Keep the last connection open.
    std::future::pending::<()>().await;
}

fn answer(status: &str, body: &str) -> Option<String> {
    Some(format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
}

const HEALTHY: &str = r#"{"status":"ok","store":"ok","version":"1"}"#;

#[tokio::test]
async fn requests_share_one_connection_and_carry_the_key() {
    let mut stub = FakeServer::start(vec![answer("200 OK", HEALTHY), answer("201 Created", r#"{"n":2}"#)]).await;
    let mut client = stub.client();
    let first = client.send(ApiRequest::<ShowHealth>::new()).await.expect("answered");
    let edit = Edit { name: Some("harbour".into()), description: None };
    let second = client.send(ApiRequest::<Ask>::new().body(&edit)).await.expect("answered");
    assert_eq!((&*first.status, second), ("ok", json!({"n": 2})));
    let host = stub.config.server.authority();
    let get = stub.requests.recv().await.expect("the first");
    assert!(get.starts_with("GET /healthz HTTP/1.1\r\n"), "{get}");
    assert!(get.contains(&format!("\r\nhost: {host}\r\n")), "{get}");
    assert!(get.contains("\r\nauthorization: Bearer lck_secret\r\n"), "{get}");
    let patch = stub.requests.recv().await.expect("the second");
    assert!(patch.contains("\r\ncontent-type: application/merge-patch+json\r\n"), "{patch}");
    assert!(patch.starts_with("PATCH /x ") && patch.ends_with("\r\n\r\n{\"name\":\"harbour\"}"), "{patch}");
}

#[tokio::test]
async fn error_responses_are_classified() {
    let not_found = r#"{"type":"urn:x","title":"x","status":404,"code":"not-found","detail":"no site camp-9"}"#;
    let stub = FakeServer::start(vec![
        answer("404 Not Found", not_found),
        answer("502 Bad Gateway", "<html>"),
        answer("200 OK", "<html>"),
    ])
    .await;
    let mut client = stub.client();
    let mut errors = Vec::new();
    for _ in 0..3 {
        errors.push(client.send(ApiRequest::<Ask>::new()).await.expect_err("no answer"));
    }
    assert!(matches!(&errors[0], ClientError::Rejected { code: ErrorCode::NotFound, .. }));
    assert_eq!(errors[0].to_string(), "no site camp-9");
    assert!(errors[1].is_retryable() && errors[1].to_string().contains("502"), "{}", errors[1]);
    assert!(matches!(&errors[2], ClientError::InvalidResponse { .. }));
}

fn wait(seconds: u64) -> Option<String> {
    let body = r#"{"type":"urn:x","title":"x","status":429,"code":"too-many-requests","detail":"too many changes"}"#;
    let length = body.len();
    let status = "HTTP/1.1 429 Too Many Requests";
    Some(format!("{status}\r\nretry-after: {seconds}\r\ncontent-length: {length}\r\n\r\n{body}"))
}

#[tokio::test]
async fn rate_limited_requests_are_retried() {
    let stub = FakeServer::start(vec![wait(0), wait(1), answer("200 OK", "7")]).await;
    let since = std::time::Instant::now();
    assert_eq!(stub.client().send(ApiRequest::<Ask>::new()).await.expect("answered"), 7);
    assert!(Duration::from_secs(1) <= since.elapsed(), "it waited for Retry-After");

    let stub = FakeServer::start(vec![wait(0); RETRIES_MAX + 1]).await;
    let error = stub.client().send(ApiRequest::<Ask>::new()).await.expect_err("too many retries");
    assert!(matches!(&error, ClientError::Rejected { code: ErrorCode::TooManyRequests, .. }), "{error:?}");
    assert!(error.is_retryable() && error.advice().is_some());

    let stub = FakeServer::start(vec![wait(3600)]).await;
    let error = stub.client().send(ApiRequest::<Ask>::new()).await.expect_err("too long to wait");
    assert!(matches!(&error, ClientError::Rejected { code: ErrorCode::TooManyRequests, .. }), "{error:?}");
}

/// An operation of the fake server that takes an idempotency key.
#[derive(Clone, Copy, Debug)]
struct Create;

impl Operation for Create {
    type Query = NoQuery;
    type Request = Json<Value>;
    type Response = Json<Value>;
    const SPEC: OperationSpec = OperationSpec { path: "/c", ..CreateToken::SPEC };
}

#[tokio::test]
async fn a_create_is_sent_again_with_the_same_idempotency_key_after_a_lost_connection() {
    let mut stub = FakeServer::start(vec![None, answer("201 Created", "7"), answer("201 Created", "8")]).await;
    let mut client = stub.client();
    let mut keys = Vec::new();
    for expected in [7, 8] {
        let request = ApiRequest::<Create>::new().body(&json!({}));
        assert_eq!(client.send(request).await.expect("answered"), expected);
    }
    while let Ok(request) = stub.requests.try_recv() {
        let key = request.lines().find_map(|line| line.strip_prefix("idempotency-key: ")).expect("a key");
        assert_eq!(key.len(), 32, "{key}");
        keys.push(key.to_owned());
    }
    assert!(keys.len() == 3 && keys[0] == keys[1] && keys[1] != keys[2], "{keys:?}");
}

#[tokio::test]
async fn the_next_request_reconnects() {
    let stub = FakeServer::start(vec![None, answer("200 OK", "7")]).await;
    let mut client = stub.client();
    let error = client.send(ApiRequest::<Ask>::new()).await.expect_err("closed");
    assert!(error.is_retryable(), "{error}");
    assert_eq!(client.send(ApiRequest::<Ask>::new()).await.expect("answered"), 7);
}

#[tokio::test]
async fn a_response_is_bounded() {
    let stub = FakeServer::start(vec![answer("200 OK", &" ".repeat(RESPONSE_BYTES_MAX + 1))]).await;
    let error = stub.client().send(ApiRequest::<Ask>::new()).await.expect_err("too much");
    assert!(matches!(error, ClientError::ResponseTooLarge { .. }), "{error}");
}

#[tokio::test]
async fn a_server_with_another_pin_never_sees_the_key() {
    let mut stub = FakeServer::start(vec![answer("200 OK", "7")]).await;
    stub.config.trust = ApiTrust::Pin(Pin::of(b"another"));
    let error = stub.client().send(ApiRequest::<Ask>::new()).await.expect_err("not authenticated");
    assert!(error.needs_operator() && !error.is_retryable(), "{error}");
    assert!(stub.requests.try_recv().is_err(), "no request was sent");
}

#[tokio::test]
async fn an_unreachable_server_is_reported_with_advice() {
    let mut stub = FakeServer::start(Vec::new()).await;
    let free = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    stub.config.server.port = free.local_addr().expect("bound").port();
    drop(free);
    let error = stub.client().send(ApiRequest::<Ask>::new()).await.expect_err("refused");
    assert!(error.is_retryable());
    assert!(error.advice().expect("advice").starts_with("check that linecamp-server is running there"));
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_not_blamed_on_a_firewall() {
    let mut stub = FakeServer::start(Vec::new()).await;
    // RFC 6761: it never exists.
    stub.config.server.host = "camp.invalid".into();
    let error = stub.client().send(ApiRequest::<Ask>::new()).await.expect_err("no such name");
    assert!(matches!(error, ClientError::Dial { source: DialError::Resolve { .. } }), "{error}");
    assert_eq!(error.advice(), None);
}
