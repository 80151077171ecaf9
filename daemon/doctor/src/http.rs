//! One request to a server's API that needs no key: whether it is ready, its version and its time.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use linecamp_model::WallTime;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Bytes of the response: ours has 200. The rest is not read.
const ANSWER_BYTES_MAX: u64 = 16 * 1024;

/// Characters of a version that are shown.
const VERSION_CHARS_MAX: usize = 40;

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

/// Sends the request over an open connection. The caller bounds the time.
///
/// # Errors
/// If the connection fails, or the response is not HTTP.
pub async fn ask_health(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<Health> {
    // HTTP/1.0, so that the response is not chunked and the connection ends with it.
    stream.write_all(b"GET /healthz HTTP/1.0\r\nHost: linecamp\r\n\r\n").await?;
    let mut answer = Vec::new();
    match (&mut stream).take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await {
        // Some servers close without TLS's `close_notify`.
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => return Err(error),
        Ok(_) | Err(_) => {}
    }
    read(&String::from_utf8_lossy(&answer)).ok_or_else(|| io::Error::other("what answers speaks no HTTP"))
}

fn read(answer: &str) -> Option<Health> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    let date = lines.filter_map(|line| line.split_once(':')).find(|(name, _)| name.eq_ignore_ascii_case("date"));
    let date = date.and_then(|(_, value)| httpdate::parse_http_date(value.trim()).ok()).map(wall);
    let body: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let version = body["version"].as_str().map(|text| text.chars().take(VERSION_CHARS_MAX).collect());
    Some(Health { status, date, version })
}

fn wall(time: SystemTime) -> WallTime {
    WallTime::EPOCH + time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_whether_it_serves_and_when() {
        let health = read(
            "HTTP/1.0 200 OK\r\nDate: Sun, 22 Nov 2026 02:27:04 GMT\r\n\r\n{\"status\":\"ok\",\"version\":\"0.1.0\"}",
        );
        let date = Some(WallTime::from_unix_millis(1_795_314_424_000));
        assert_eq!(health, Some(Health { status: 200, date, version: Some("0.1.0".to_owned()) }));
        let bare = read("HTTP/1.1 503 Busy\r\ndate: yesterday\r\n\r\n<html>");
        assert_eq!(bare, Some(Health { status: 503, date: None, version: None }));
        for strange in ["", "SSH-2.0-x\r\n\r\n", "HTTP/1.0 \r\n\r\n", "HTTP/1.0 ok\r\n\r\n"] {
            assert_eq!(read(strange), None, "{strange}");
        }
    }
}
