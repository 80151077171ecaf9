//! The local socket: serves requests from users of the machine, also while the server is unreachable.
//!
//! A connection carries one HTTP request and its response (`linecamp_proto::local`). The answers come from the loop,
//! through [`PendingReplies`], so that each answer is a consistent snapshot and a change is confirmed only once it is
//! durable. Connections and request rates are shared fairly among users, identified by the kernel's peer credentials.
//! The socket appears under its name with its final permissions, in one atomic step.

mod admission;
mod connection;
mod listener;
mod pending_replies;

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use linecamp_proto::api::Error;
use linecamp_proto::local::LocalRequest;
use serde::Serialize;
use tokio::net::UnixListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

pub(crate) use self::pending_replies::{PendingReplies, ServeContext, describe};

use self::admission::{Admission, PeerUid};
use self::listener::accept;
use crate::error::DaemonError;
use crate::socket_path::SocketPath;

/// How long a client may take to send its request, and to read the response. After that it is disconnected.
const CLIENT_LIMIT: Duration = Duration::from_secs(2);

/// How long a client waits for a slow disk. After that it is told to check later.
const REPLY_LIMIT: Duration = Duration::from_secs(30);

/// Read and write for the user that runs the daemon, and for its group as far as the directory's permissions allow.
const SOCKET_MODE: u32 = 0o660;

/// A request and its reply channel.
#[derive(Debug)]
pub(crate) struct LocalCall {
    request: LocalRequest,
    reply: Reply,
}

/// Where to send the answer: the body of the response, or the error.
#[derive(Debug)]
struct Reply(oneshot::Sender<Result<Vec<u8>, Error>>);

impl Reply {
    fn ok(self, answer: impl Serialize) {
        self.send(Ok(json(&answer)));
    }

    fn text(self, text: String) {
        self.send(Ok(text.into_bytes()));
    }

    fn error(self, error: Error) {
        self.send(Err(error));
    }

    fn send(self, answer: Result<Vec<u8>, Error>) {
        // The client may have disconnected.
        let _ = self.0.send(answer);
    }
}

/// The open socket.
#[derive(Debug)]
pub(crate) struct LocalServer {
    path: PathBuf,
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl LocalServer {
    /// Opens the socket at `path` and replaces a stale one. The caller holds the directory's lock.
    pub(crate) fn open(path: PathBuf, calls: mpsc::Sender<LocalCall>) -> Result<Self, DaemonError> {
        Self::open_for(path, calls, |stream| Ok(stream.peer_cred()?.uid()))
    }

    fn open_for(path: PathBuf, calls: mpsc::Sender<LocalCall>, peer_uid: PeerUid) -> Result<Self, DaemonError> {
        let listener = bind(&path, listen).map_err(DaemonError::file("open the local socket", &path))?;
        let (stop, stopping) = watch::channel(false);
        let accepting = tokio::spawn(accept(listener, Arc::new(Admission::new(calls, peer_uid)), stopping));
        Ok(Self { path, stop, accepting })
    }

    /// Stops accepting connections and waits until the open ones have ended.
    pub(crate) async fn finish(&mut self) {
        self.stop.send_replace(true);
        // The task ends by itself; a panic has already been reported by the panic handler.
        let _ = (&mut self.accepting).await;
    }
}

impl Drop for LocalServer {
    fn drop(&mut self) {
        self.accepting.abort();
        // The next daemon replaces a socket file that remains.
        let _ = fs::remove_file(&self.path);
    }
}

fn listen(path: &Path) -> io::Result<UnixListener> {
    UnixListener::bind(SocketPath::of(path)?.as_path())
}

/// Opens the socket at `path`. The caller holds the directory's lock, so an existing socket is stale.
fn bind(path: &Path, listen: impl Fn(&Path) -> io::Result<UnixListener>) -> io::Result<UnixListener> {
    match bind_temporary(path, &listen) {
        Err(error) if is_disk_full(&error) && is_socket(path) => {
            // The stale socket may occupy the last inode; removing it frees the inode for the new one.
            fs::remove_file(path)?;
            bind_temporary(path, &listen)
        }
        bound => bound,
    }
}

fn is_disk_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn is_socket(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket())
}

/// Binds to a temporary name, sets the permissions and renames, so that the socket is never visible without them.
fn bind_temporary(path: &Path, listen: impl Fn(&Path) -> io::Result<UnixListener>) -> io::Result<UnixListener> {
    let temporary = path.with_extension("new");
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let listener = listen(&temporary)?;
    fs::set_permissions(&temporary, Permissions::from_mode(SOCKET_MODE))?;
    fs::rename(&temporary, path)?;
    Ok(listener)
}

fn json(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(value).expect("responses are plain JSON");
    bytes.push(b'\n');
    bytes
}

#[cfg(test)]
mod tests;
