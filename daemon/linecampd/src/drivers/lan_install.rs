//! Machines of the LAN that are not set up yet: the gateway serves the script and the packages that install them, so
//! that they need neither the internet nor the server.
//!
//! It is plain HTTP on the TCP port of the address that hosts are listened for at, open as long as that one. Nothing in
//! it is secret, and nothing is trusted because of it: the command line that `linecampd token create` prints has the
//! digest of the script, and the script has the digests of the packages (`linecamp_install`).
//!
//! Bounds: connections, shared among the addresses of the LAN ([`SHARES`]); the head of a request in bytes and time; a
//! download in time. A request has no body, and a connection carries one request.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::channel::Channel;
use http_body_util::{Either, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use linecamp_install::{DaemonPackages, InstallSource, PACKAGE_TYPE, PATH, SCRIPT_TYPE, package_body};
use linecamp_model::{JoinTarget, excerpt};
use linecamp_service::{Class, ConnectionLimiter, ConnectionPermit, Network, PEER_TEXT_BYTES_MAX, ShareLimits};
use linecamp_transport::{TcpAcceptor, TransportError, error_chain};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

/// Connection limits. A connection costs up to 100 KB, so all of them cost 3.2 MB. The graces apply only under
/// pressure.
const SHARES: ShareLimits = ShareLimits {
    unauthenticated_max: 32,
    authenticated_max: 0,
    idle_grace: Duration::from_secs(3),
    busy_grace: Duration::from_secs(60),
};

/// Limits for connections that wait for their turn: a LAN whose machines are all installed at once.
const WAITING: ShareLimits = ShareLimits { unauthenticated_max: 256, idle_grace: Duration::ZERO, ..SHARES };

/// How long a connection waits for its turn: less than its client waits for an answer.
const WAITING_LIMIT: Duration = Duration::from_secs(8);

/// Bytes of a request's head; apt sends 200.
const HEAD_BYTES_MAX: usize = 8 * 1024;

/// How long a client may take to send its request.
const HEAD_LIMIT: Duration = Duration::from_secs(10);

/// How long a download may take: a package of 5 MB at 17 KB/s.
const DOWNLOAD_LIMIT: Duration = Duration::from_secs(300);

/// The delay before another attempt to open the port.
const BIND_RETRY: Duration = Duration::from_secs(30);

type Body = Either<Full<Bytes>, Channel<Bytes, io::Error>>;

/// What machines of the LAN are installed from. Clones share what was found.
#[derive(Clone, Debug)]
pub(crate) struct Installer(Arc<State>);

#[derive(Debug)]
struct State {
    directory: PathBuf,
    found: Mutex<Option<DaemonPackages>>,
}

impl Installer {
    /// Creates an installer of the packages in `directory`. Nothing is read yet.
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self(Arc::new(State { directory, found: Mutex::default() }))
    }

    /// Returns the command line that installs a machine, which joins `target`; `None` if there are no packages. Reads
    /// the packages again, so that those that were added are served, and blocks meanwhile.
    pub(crate) fn line(&self, target: &JoinTarget) -> Option<String> {
        let packages = DaemonPackages::find(&self.0.directory);
        let line = packages.line(&InstallSource::Gateway, target, None);
        *self.0.found.lock().unwrap_or_else(PoisonError::into_inner) = Some(packages);
        line
    }

    /// Returns the packages. Reads them, and blocks meanwhile, if that was not done before.
    fn packages(&self) -> DaemonPackages {
        let mut found = self.0.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.get_or_insert_with(|| DaemonPackages::find(&self.0.directory)).clone()
    }
}

/// Serves an installer. Dropping it closes the port and all connections.
#[derive(Debug)]
pub(crate) struct InstallServer(JoinHandle<()>);

impl Drop for InstallServer {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl InstallServer {
    /// Opens the port in the background: hosts can join also if another program has it.
    pub(crate) fn start(address: SocketAddr, installer: Installer) -> Self {
        Self(tokio::spawn(async move { accept(open(address).await, installer).await }))
    }

    /// Closes the port and all connections, and waits until that is done.
    pub(crate) async fn close(mut self) {
        self.0.abort();
        // It was aborted, or has panicked, which has been reported.
        drop((&mut self.0).await);
    }
}

async fn open(address: SocketAddr) -> TcpAcceptor {
    loop {
        match TcpAcceptor::bind(address).await {
            Ok(acceptor) => return acceptor,
            Err(error) => note_closed(&error),
        }
        tokio::time::sleep(BIND_RETRY).await;
    }
}

fn note_closed(error: &TransportError) {
    tracing::warn!(problem = error_chain(error), "cannot serve packages to machines of the LAN; retrying");
}

async fn accept(acceptor: TcpAcceptor, installer: Installer) {
    let (connections, waiting) = (ConnectionLimiter::new(SHARES), ConnectionLimiter::new(WAITING));
    // Dropping the set aborts its connections, so no connection outlives this task.
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            Some(_) = tasks.join_next() => {}
            (stream, remote) = acceptor.accept() => {
                let network = Network::of(remote.ip());
                if let Some(place) = waiting.admit(network, Class::Unauthenticated) {
                    let (connections, installer) = (connections.clone(), installer.clone());
                    tasks.spawn(async move {
                        let source = (network, Class::Unauthenticated);
                        match connections.admit_within(WAITING_LIMIT, source, place).await {
                            Some(permit) => serve(stream, remote, &permit, &installer).await,
                            None => note_end(remote, "too many connections"),
                        }
                    });
                }
            }
        }
    }
}

/// Serves one request. A client that is too slow is disconnected.
async fn serve(stream: TcpStream, remote: SocketAddr, permit: &ConnectionPermit<Network>, installer: &Installer) {
    let (answering, is_answering) = watch::channel(false);
    let service = service_fn(async |request| {
        permit.set_busy(true);
        answering.send_replace(true);
        Ok::<_, Infallible>(answer(&request, installer).await)
    });
    let mut builder = http1::Builder::new();
    // A client may close its half when it has sent its request. Time limits are in `overdue`.
    builder.keep_alive(false).half_close(true).header_read_timeout(None).max_buf_size(HEAD_BYTES_MAX);
    tokio::select! {
        biased;
        ended = builder.serve_connection(TokioIo::new(stream), service) => {
            if let Err(error) = ended {
                note_end(remote, &error_chain(&error));
            }
        }
        () = permit.evicted() => note_end(remote, "closed to make room for another"),
        () = overdue(is_answering) => note_end(remote, "the client was too slow"),
    }
}

fn note_end(remote: SocketAddr, problem: &str) {
    let problem = excerpt(problem, PEER_TEXT_BYTES_MAX);
    tracing::debug!(name: "peer: LAN installation failed", %remote, problem, "connection of a LAN installation failed");
}

/// Returns when the client needs longer than [`HEAD_LIMIT`] to send its request, or longer than [`DOWNLOAD_LIMIT`] to
/// read the response.
async fn overdue(mut is_answering: watch::Receiver<bool>) {
    if matches!(timeout(HEAD_LIMIT, is_answering.wait_for(|is_answering| *is_answering)).await, Ok(Ok(_))) {
        tokio::time::sleep(DOWNLOAD_LIMIT).await;
    }
}

async fn answer(request: &Request<Incoming>, installer: &Installer) -> Response<Body> {
    if request.method() != Method::GET {
        return failure(StatusCode::METHOD_NOT_ALLOWED, "only GET is allowed\n");
    }
    let Some(name) = request.uri().path().strip_prefix(PATH) else {
        return failure(StatusCode::NOT_FOUND, "not found\n");
    };
    let installer = installer.clone();
    // A panic has already been reported by the panic handler.
    let packages = tokio::task::spawn_blocking(move || installer.packages()).await.unwrap_or_default();
    let found = match name.strip_prefix('/') {
        None if name.is_empty() => {
            packages.script(&InstallSource::Gateway).map(|script| (SCRIPT_TYPE, Either::Left(Full::from(script))))
        }
        None => None,
        Some(name) => {
            packages.get(name).map(|package| (PACKAGE_TYPE, Either::Right(package_body(package.path().to_owned()))))
        }
    };
    match found {
        Some((content_type, body)) => response(StatusCode::OK, content_type, body),
        None => failure(StatusCode::NOT_FOUND, "this gateway has no such package\n"),
    }
}

fn failure(status: StatusCode, text: &'static str) -> Response<Body> {
    response(status, "text/plain", Either::Left(Full::from(text)))
}

fn response(status: StatusCode, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
