//! One small HTTP request over an open connection, and what a server's `/healthz` answers.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use linecamp_model::WallTime;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Bytes of the response to `/healthz`: ours has 200. The rest is not read.
const HEALTH_BYTES_MAX: u64 = 16 * 1024;

/// Headers of a response. One with more is invalid.
const HEADERS_MAX: usize = 64;

/// Characters of a version that are shown.
const VERSION_CHARS_MAX: usize = 40;

/// A response to a small request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpResponse {
    /// The HTTP status.
    pub status: u16,
    /// The server's time, to the second.
    pub date: Option<WallTime>,
    /// The body, as far as it was read.
    pub body: Vec<u8>,
}

/// Requests `path` over an open connection and reads at most `bytes_max` bytes. The caller bounds the time.
///
/// # Errors
/// If the connection fails, or the response is not HTTP.
pub async fn http_get(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    host: &str,
    path: &str,
    bytes_max: u64,
) -> io::Result<HttpResponse> {
    // HTTP/1.0, so that the response is not chunked and the connection ends with it.
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n").as_bytes()).await?;
    let mut bytes = Vec::new();
    match (&mut stream).take(bytes_max).read_to_end(&mut bytes).await {
        // Some servers close without TLS's `close_notify`.
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => return Err(error),
        Ok(_) | Err(_) => {}
    }
    parse(&bytes).ok_or_else(|| io::Error::other("the response is not HTTP"))
}

fn parse(bytes: &[u8]) -> Option<HttpResponse> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head_bytes) = response.parse(bytes).ok()? else { return None };
    let status = response.code?;
    let date = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case("date"));
    let date = date.and_then(|header| httpdate::parse_http_date(str::from_utf8(header.value).ok()?.trim()).ok());
    Some(HttpResponse { status, date: date.map(wall), body: bytes[head_bytes..].to_vec() })
}

fn wall(time: SystemTime) -> WallTime {
    WallTime::EPOCH + time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// What a server reports without a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// The HTTP status, 200 if it is ready.
    pub status: u16,
    /// Its time, to the second.
    pub date: Option<WallTime>,
    /// Its version.
    pub version: Option<String>,
}

/// Asks a server whether it is ready, over an open connection. The caller bounds the time.
///
/// # Errors
/// If the connection fails, or the response is not HTTP.
pub async fn fetch_health(stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<Health> {
    Ok(health(http_get(stream, "linecamp", "/healthz", HEALTH_BYTES_MAX).await?))
}

fn health(response: HttpResponse) -> Health {
    let HttpResponse { status, date, body } = response;
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let version = body["version"].as_str().map(|text| text.chars().take(VERSION_CHARS_MAX).collect());
    Health { status, date, version }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_has_status_version_and_date() {
        let read = |text: &str| parse(text.as_bytes()).map(health);
        let health = read(
            "HTTP/1.0 200 OK\r\nDate: Sun, 22 Nov 2026 02:27:04 GMT\r\n\r\n{\"status\":\"ok\",\"version\":\"0.1.0\"}",
        );
        let date = Some(WallTime::from_unix_millis(1_795_314_424_000));
        assert_eq!(health, Some(Health { status: 200, date, version: Some("0.1.0".to_owned()) }));
        let bare = read("HTTP/1.1 503 Busy\r\ndate: yesterday\r\n\r\n<html>");
        assert_eq!(bare, Some(Health { status: 503, date: None, version: None }));
        for malformed in ["", "SSH-2.0-x\r\n\r\n", "HTTP/1.0 \r\n\r\n", "HTTP/1.0 ok\r\n\r\n", "HTTP/1.0 200 OK\r\n"] {
            assert_eq!(read(malformed), None, "{malformed}");
        }
    }
}
