//! What a server's `/healthz` answers.

use std::io;
use std::ops::Range;
use std::time::{SystemTime, UNIX_EPOCH};

use hyper::Response;
use hyper::header::DATE;
use linecamp_model::WallTime;
use linecamp_transport::{SystemClock, WallClock as _};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::clock::ServerDate;
use crate::http::http_get;

/// Bytes of the body of `/healthz`: ours has 200. The rest is not read.
const HEALTH_BYTES_MAX: usize = 16 * 1024;

/// Characters of a version that are shown.
const VERSION_CHARS_MAX: usize = 40;

/// What a server reports without a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// The HTTP status, 200 if it is ready.
    pub status: u16,
    /// Its time, if it sent one.
    pub date: Option<ServerDate>,
    /// Its version.
    pub version: Option<String>,
}

/// Asks a server whether it is ready, over an open connection. The caller bounds the time.
///
/// # Errors
/// If the connection fails, or the response is not HTTP.
pub async fn fetch_health(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> io::Result<Health> {
    let asked = SystemClock.now();
    let response = http_get(stream, "linecamp", "/healthz", HEALTH_BYTES_MAX).await?;
    Ok(health(&response, asked..SystemClock.now()))
}

fn health(response: &Response<Vec<u8>>, local: Range<WallTime>) -> Health {
    let date = response.headers().get(DATE).and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
    let date = date.map(|date| ServerDate { date: wall(date), local });
    let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap_or_default();
    let version = body["version"].as_str().map(|text| text.chars().take(VERSION_CHARS_MAX).collect());
    Health { status: response.status().as_u16(), date, version }
}

fn wall(time: SystemTime) -> WallTime {
    WallTime::EPOCH + time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_has_status_version_and_date() {
        let read = |status, date: &str, body: &str| {
            let response = Response::builder().status(status).header("Date", date).body(body.into());
            health(&response.unwrap(), WallTime::EPOCH..WallTime::EPOCH)
        };
        let date = WallTime::from_unix_millis(1_795_314_424_000);
        let date = Some(ServerDate { date, local: WallTime::EPOCH..WallTime::EPOCH });
        let ours = "{\"status\":\"ok\",\"version\":\"0.1.0\"}";
        let found = read(200, "Sun, 22 Nov 2026 02:27:04 GMT", ours);
        assert_eq!(found, Health { status: 200, date, version: Some("0.1.0".to_owned()) });
        assert_eq!(read(503, "yesterday", "<html>"), Health { status: 503, date: None, version: None });
    }
}
