//! HTTP on the local socket, for metrics collectors: one `GET /metrics`, one response, then the connection closes.
//!
//! Implements just enough of HTTP/1.1 for `curl --unix-socket` and for a proxy in front of a collector. The request's
//! head is read to its end, within the size limit of a request; everything except the request line is ignored.

use linecamp_proto::local::{LocalResponse, REQUEST_BYTES_MAX};
use linecamp_service::METRICS_CONTENT_TYPE;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _};

/// The only path served.
const PATH: &str = "/metrics";

/// Whether a first line is an HTTP request line rather than a local request, which begins with a brace.
pub(super) fn is_http(line: &[u8]) -> bool {
    let is_ours = line.trim_ascii_start().starts_with(b"{");
    !is_ours && (line.starts_with(b"GET ") || line.windows(6).any(|window| window == b" HTTP/"))
}

/// Reads the headers up to the empty line. Returns false if it does not arrive within the size limit.
pub(super) async fn skip_head(reader: &mut (impl AsyncBufRead + Unpin)) -> bool {
    let mut read = 0;
    while read < REQUEST_BYTES_MAX {
        let mut line = Vec::new();
        match reader.read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return false,
            Ok(bytes) => read += bytes,
        }
        if line == b"\r\n" || line == b"\n" {
            return true;
        }
    }
    false
}

/// Returns `Ok` for a metrics request, otherwise the error response to send.
pub(super) fn check(line: &[u8]) -> Result<(), Vec<u8>> {
    let line = String::from_utf8_lossy(line);
    let mut words = line.split_ascii_whitespace();
    let (method, target) = (words.next(), words.next().unwrap_or_default());
    match (method, target.split('?').next()) {
        (Some("GET"), Some(PATH)) => Ok(()),
        (Some("GET"), _) => Err(response("404 Not Found", "there is only /metrics here\n")),
        _ => Err(response("405 Method Not Allowed", "only GET is understood here\n")),
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
    fn a_request_of_ours_is_none_of_http() {
        let check = |line: &[u8], expected| assert_eq!(is_http(line), expected);
        check(b"{\"do\":\"metrics\"}\n", false);
        check(b" {\"do\":\"label_set\",\"labels\":{\"a\":\" HTTP/1.1\"}}\n", false);
        check(b"GET /metrics HTTP/1.1\r\n", true);
        check(b"POST /metrics HTTP/1.1\r\n", true);
    }

    #[test]
    fn only_the_metrics_are_there() {
        let refused = |line: &[u8]| String::from_utf8(check(line).unwrap_err()).unwrap();
        assert!(check(b"GET /metrics HTTP/1.1\r\n").is_ok() && check(b"GET /metrics?x=1 HTTP/1.0\r\n").is_ok());
        assert!(refused(b"GET / HTTP/1.1\r\n").starts_with("HTTP/1.1 404 "));
        assert!(refused(b"PUT /metrics HTTP/1.1\r\n").starts_with("HTTP/1.1 405 "));
        assert!(refused(b"\xff\xff HTTP/\r\n").starts_with("HTTP/1.1 405 "));
    }
}
