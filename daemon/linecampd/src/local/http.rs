//! HTTP on the local socket, for metrics collectors: one `GET /metrics`, one response, then the connection closes.
//!
//! Implements just enough of HTTP/1.1 for `curl --unix-socket` and for a proxy in front of a collector. The request's
//! head is read to its end, within the size limit of a request; its headers are ignored.

use linecamp_proto::local::{LocalResponse, REQUEST_BYTES_MAX};
use linecamp_service::METRICS_CONTENT_TYPE;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _};

/// The only path served.
const PATH: &str = "/metrics";

/// Headers of a request. One with more is rejected.
const HEADERS_MAX: usize = 64;

/// Whether a first line is an HTTP request line rather than a local request, which begins with a brace.
pub(super) fn is_http(line: &[u8]) -> bool {
    !line.trim_ascii().is_empty() && httparse::Request::new(&mut []).parse(line).is_ok()
}

/// Reads the headers up to the empty line and appends them to `head`. Returns false if it does not arrive within the
/// size limit.
pub(super) async fn read_head(reader: &mut (impl AsyncBufRead + Unpin), head: &mut Vec<u8>) -> bool {
    while head.len() < REQUEST_BYTES_MAX {
        let begin = head.len();
        if !matches!(reader.read_until(b'\n', head).await, Ok(1..)) {
            return false;
        }
        if matches!(&head[begin..], b"\r\n" | b"\n") {
            return true;
        }
    }
    false
}

/// Returns `Ok` for a metrics request, otherwise the error response to send.
pub(super) fn check(head: &[u8]) -> Result<(), Vec<u8>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    if !request.parse(head).is_ok_and(|parsed| parsed.is_complete()) {
        return Err(response("400 Bad Request", "invalid HTTP request\n"));
    }
    match (request.method, request.path.and_then(|path| path.split('?').next())) {
        (Some("GET"), Some(PATH)) => Ok(()),
        (Some("GET"), _) => Err(response("404 Not Found", "only /metrics is served here\n")),
        _ => Err(response("405 Method Not Allowed", "only GET is supported\n")),
    }
}

/// Wraps the loop's answer in an HTTP response.
pub(super) fn wrap(answer: &[u8]) -> Vec<u8> {
    match serde_json::from_slice::<LocalResponse<String>>(answer) {
        Ok(LocalResponse::Ok(text)) => response("200 OK", &text),
        Ok(LocalResponse::Error(error)) => response("503 Service Unavailable", &format!("{}\n", error.message)),
        Err(error) => response("500 Internal Server Error", &format!("{error}\n")),
    }
}

fn response(status: &str, body: &str) -> Vec<u8> {
    let kind = METRICS_CONTENT_TYPE;
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n");
    format!("{head}Connection: close\r\n\r\n{body}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_request_is_distinguished_from_http() {
        let check = |line: &[u8], expected| assert_eq!(is_http(line), expected);
        check(b"{\"do\":\"metrics\"}\n", false);
        check(b" {\"do\":\"label_set\",\"labels\":{\"a\":\" HTTP/1.1\"}}\n", false);
        check(b"hello\n", false);
        check(b"\n", false);
        check(b"\xff\xff HTTP/1.1\r\n", false);
        check(b"GET /metrics HTTP/1.1\r\n", true);
        check(b"POST /metrics HTTP/1.1\r\n", true);
    }

    #[test]
    fn only_metrics_are_served() {
        let check = |line: &str| check(format!("{line}\r\nHost: x\r\n\r\n").as_bytes());
        let rejected = |line: &str| String::from_utf8(check(line).unwrap_err()).unwrap();
        assert!(check("GET /metrics HTTP/1.1").is_ok() && check("GET /metrics?x=1 HTTP/1.0").is_ok());
        assert!(rejected("GET / HTTP/1.1").starts_with("HTTP/1.1 404 "));
        assert!(rejected("PUT /metrics HTTP/1.1").starts_with("HTTP/1.1 405 "));
        assert!(rejected("GET /metrics HTTP/1.1\r\n:").starts_with("HTTP/1.1 400 "));
    }
}
