//! Docker's version, from its socket.

use std::io;
use std::path::Path;
use std::time::Duration;

use hyper::{Response, StatusCode};
use linecamp_doctor::http_get;
use tokio::net::UnixStream;

use crate::socket_path::SocketPath;

use super::observed::Observed;

/// The time limit for Docker's answer. After that, the version counts as not observed in this round.
pub const DOCKER_LIMIT: Duration = Duration::from_secs(1);

/// The largest Docker answer, in bytes; it is about 1 KiB today. A longer one is truncated and fails to parse.
const DOCKER_BYTES_MAX: usize = 64 * 1024;

/// Queries Docker's version on `socket`, on a temporary runtime and within [`DOCKER_LIMIT`].
pub(crate) fn query_docker(socket: &Path) -> Observed<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start a runtime: {error}"))?;
    runtime.block_on(docker_version_in_time(socket))
}

pub(super) async fn docker_version_in_time(socket: &Path) -> Observed<String> {
    let asked = tokio::time::timeout(DOCKER_LIMIT, docker_version(socket)).await;
    asked.unwrap_or_else(|_| Err(format!("Docker did not answer within {} s", DOCKER_LIMIT.as_secs())))
}

/// Queries Docker's version. Without a socket there is no Docker; one that refuses connections or returns garbage may
/// be starting.
async fn docker_version(socket: &Path) -> Observed<String> {
    let address = match SocketPath::of(socket) {
        Ok(address) => address,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("cannot connect to Docker at {}: {error}", socket.display())),
    };
    let stream = match UnixStream::connect(address.as_path()).await {
        Ok(stream) => stream,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("cannot connect to Docker at {}: {error}", socket.display())),
    };
    let response = http_get(stream, "docker", "/version", DOCKER_BYTES_MAX).await;
    let response = response.map_err(|error| format!("cannot get Docker's version: {error}"))?;
    version_in(&response).map(Some).ok_or_else(|| "Docker's response has no version".to_owned())
}

/// Extracts the version from Docker's response.
fn version_in(response: &Response<Vec<u8>>) -> Option<String> {
    let body: serde_json::Value = serde_json::from_slice(response.body()).ok()?;
    let version = body.get("Version")?.as_str()?;
    (response.status() == StatusCode::OK && !version.is_empty()).then(|| version.to_owned())
}
