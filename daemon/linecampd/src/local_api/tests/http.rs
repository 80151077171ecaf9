//! How the local socket speaks HTTP.

use linecamp_proto::local::REQUEST_BYTES_MAX;

use super::*;

/// A request as `curl` sends it.
pub(super) fn http(line: &str, body: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// A response to the end of its connection.
pub(super) struct Received {
    pub(super) head: String,
    pub(super) body: String,
}

impl Received {
    pub(super) async fn from(mut stream: UnixStream) -> Self {
        let mut bytes = Vec::new();
        // What is left of a request that is too long resets the connection after the response.
        let _ = stream.read_to_end(&mut bytes).await;
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no response: {text}"));
        Self { head: head.to_owned(), body: body.to_owned() }
    }

    /// Checks the status, and returns the value at `pointer`; an empty string if there is none.
    #[track_caller]
    pub(super) fn value(&self, status: u16, pointer: &str) -> String {
        let Self { head, body } = self;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}\n{body}");
        let body: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
        body.pointer(pointer).map(ToString::to_string).unwrap_or_default()
    }
}

#[tokio::test]
async fn an_invalid_request_is_rejected() {
    let mut camp = Camp::new();
    let chunk = format!("{REQUEST_BYTES_MAX:x}\r\n{}\r\n", " ".repeat(REQUEST_BYTES_MAX));
    let chunked = format!("POST /v1/labels/site HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}{chunk}0\r\n\r\n");
    for (request, status, code) in [
        (http("GET /v1/reboot", ""), 404, r#""not-found""#),
        (http("POST /v1/status", ""), 405, r#""bad-request""#),
        (http("GET /v1/status?x=1", ""), 400, r#""bad-request""#),
        (http("GET /v1/status", "{}"), 400, r#""bad-request""#),
        (http("POST /v1/labels/site", r#"{"set":{},"x":1}"#), 400, r#""bad-request""#),
        (http("POST /v1/labels/site", &" ".repeat(REQUEST_BYTES_MAX + 1)), 413, r#""too-large""#),
        (chunked, 413, r#""too-large""#),
        // The library answers what is not HTTP.
        ("hello\n".to_owned(), 400, ""),
        ("{\"do\":\"status\"}\n".to_owned(), 400, ""),
        ("\u{ff} HTTP/1.1\r\n\r\n".to_owned(), 400, ""),
        (format!("GET /metrics HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(101)), 431, ""),
        (format!("GET /metrics HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(30_000)), 431, ""),
    ] {
        let answer = camp.ask(request.clone()).await.unwrap_or_else(|error| panic!("{request:.60}: {error}"));
        assert_eq!(answer.value(status, "/error/code"), code, "{request:.60}");
        assert!(status != 405 || answer.head.contains("allow: GET"), "{}", answer.head);
    }
    let answer = camp.ask(http("POST /v1/labels/host", r#"{"set":{"-":"1"}}"#));
    assert_eq!(camp.serve_next().await, []);
    assert_eq!(answer.await.unwrap().value(400, "/error/code"), r#""bad-request""#);
}

#[tokio::test]
async fn a_client_may_close_its_half_after_its_request() {
    let mut camp = Camp::new();
    let mut stream = UnixStream::connect(camp.socket()).await.unwrap();
    stream.write_all(http("GET /v1/status", "").as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    camp.serve_next().await;
    assert_eq!(Received::from(stream).await.value(200, "/daemon_version"), r#""1.2.3""#);
}

#[tokio::test]
async fn an_incomplete_request_does_nothing() {
    let mut camp = Camp::new();
    for request in ["GET /v1/sta", "POST /v1/dns/plan HTTP/1.1\r\nContent-Length: 2\r\n\r\n{"] {
        let mut stream = UnixStream::connect(camp.socket()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{request}: {answer}");
    }
    assert!(camp.calls.try_recv().is_err());
}

#[tokio::test]
async fn a_connection_carries_one_request() {
    let mut camp = Camp::new();
    let answer = camp.ask(http("GET /v1/status", "").repeat(2));
    camp.serve_next().await;
    let answer = answer.await.unwrap();
    assert!(answer.head.contains("connection: close"), "{}", answer.head);
    assert_eq!(answer.value(200, "/daemon_version"), r#""1.2.3""#);
    assert!(camp.calls.try_recv().is_err());
}
