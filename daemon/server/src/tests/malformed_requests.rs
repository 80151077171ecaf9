//! Malformed requests over HTTP/1.1: each is rejected with a reason, and the server answers the next one.

use serde_json::Value;

use super::fixture::Running;

impl Running {
    /// Sends a request with a JSON body of these bytes, and returns the status and the problem.
    async fn post(&self, target: &str, body: &[u8]) -> (u16, Value) {
        let (key, length) = (self.key.reveal(), body.len());
        let head = format!(
            "POST {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer {key}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        );
        let (head, body) = self.transfer(&[head.as_bytes(), body].concat()).await;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
        (status, serde_json::from_str(&body).unwrap_or_default())
    }
}

#[tokio::test]
async fn a_malformed_body_is_rejected_with_its_place() {
    let server = Running::start().await;
    let deep = [b"{\"name\":".to_vec(), vec![b'['; 100_000]].concat();
    let table: [(&str, &[u8], &str); 7] = [
        ("/api/v1/environments", b"{\"name\": \"\xff\"}", "column"),
        ("/api/v1/environments", b"[\"lab\", true, 1, 60]", "expected a JSON object at line 1 column 1"),
        ("/api/v1/environments", b"{\"name\": \"lab\", \"name\": \"lab\"}", "duplicate field"),
        ("/api/v1/environments", b"{\"name\": \"lab\"} {}", "trailing characters"),
        ("/api/v1/environments", b"", "EOF"),
        ("/api/v1/environments", &deep, "line 1"),
        ("/api/v1/keys", b"{\"name\": \"ci\", \"limit\": [\"viewer\", {}]}", "expected a JSON object"),
    ];
    for (target, body, words) in table {
        let (status, problem) = server.post(target, body).await;
        let shown = String::from_utf8_lossy(&body[..body.len().min(64)]).into_owned();
        assert_eq!((status, &problem["code"]), (400, &"bad-request".into()), "{shown}: {problem}");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(words)), "{shown}: {problem}");
    }
    let settings = r#"{"name":"d","plugin":"p","owner":"o","zones":["a.example"],"config":{"x":"#;
    let provider = format!("{{\"environment\":\"default\",\"sites\":\"\",\"settings\":{settings}");
    let free = [provider.into_bytes(), vec![b'['; 10_000]].concat();
    let (status, problem) = server.post("/api/v1/providers", &free).await;
    assert_eq!(status, 400, "{problem}");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("recursion limit")), "{problem}");
    assert_eq!(server.ask("GET", "/api/v1/environments", None).await.1["items"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn text_that_is_not_utf_8_is_rejected_in_a_path_and_in_a_query() {
    let server = Running::start().await;
    for target in ["/api/v1/sites/%FF", "/api/v1/sites?selector=%FF", "/api/v1/sites?%FF=a", "/api/v1/sites/a%00b"] {
        let (status, problem) = server.ask("GET", target, None).await;
        assert_eq!((status, &problem["code"]), (400, &"bad-request".into()), "{target}: {problem}");
    }
    let (head, _) = server.exchange("GET /api/v1/sites", "if-match: \u{fc}\r\nx-text: \u{fc}\r\n", "").await;
    assert!(head.starts_with("HTTP/1.1 400"), "{head}");
}

#[tokio::test]
async fn a_head_of_100_kilobytes_is_rejected() {
    let server = Running::start().await;
    let long = format!("x-long: {}\r\n", "x".repeat(100 * 1024));
    let (head, _) = server.exchange("GET /healthz", &long, "").await;
    assert!(head.starts_with("HTTP/1.1 431"), "{head}");
    let (head, _) = server.exchange(&format!("GET /healthz?{}", "x".repeat(100 * 1024)), "", "").await;
    assert!(head.starts_with("HTTP/1.1 414") || head.starts_with("HTTP/1.1 431"), "{head}");
    assert_eq!(server.ask("GET", "/healthz", None).await.0, 200);
}
