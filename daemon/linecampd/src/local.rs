//! The local socket: serves requests from users of the machine, also while the server is unreachable.
//!
//! A connection carries one request line and one response line in the format of `linecamp_proto::local`. Connections
//! only move lines; the answers come from the loop, through [`PendingReplies`], so that each answer is a consistent
//! snapshot and a change is confirmed only once it is durable. Connections and request rates are shared fairly among
//! users, identified by the kernel's peer credentials. The socket appears under its name with its final permissions, in
//! one atomic step.

mod admission;
mod http;

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use linecamp_core::{Site, SiteCommand, SiteCommandError, StoreFault};
use linecamp_model::{
    Actor, CommandId, Label, LabelError, LabelInput, LabelKey, LabelPatch, LabelValue, Level, Name, Now,
    OwnedRecordKey, ProviderId, RecordKey, RecordType,
};
use linecamp_proto::api::{DnsRecord, Error, ErrorCode, domain_name};
use linecamp_proto::local::{
    LabelLevel, LocalHost, LocalLabels, LocalProvider, LocalRequest, LocalResponse, LocalStatus, REQUEST_BYTES_MAX,
    WhyLine,
};
use linecamp_service::ConnectionPermit;
use serde::Serialize;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use self::admission::{Admission, CHANGE_COST, PeerUid, RATE, accept};
use crate::error::DaemonError;

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

/// Where to send the answer.
#[derive(Debug)]
struct Reply(oneshot::Sender<Vec<u8>>);

impl Reply {
    fn ok(self, answer: impl Serialize) {
        self.send(&LocalResponse::Ok(answer));
    }

    fn error(self, error: Error) {
        self.send(&LocalResponse::<()>::Error(error));
    }

    fn send(self, response: &impl Serialize) {
        // The client may have disconnected.
        let _ = self.0.send(line_of(response));
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
        let listener =
            bind(&path, |path| UnixListener::bind(path)).map_err(DaemonError::file("open the local socket", &path))?;
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

async fn serve(stream: &mut UnixStream, user: u32, permit: &ConnectionPermit<u32>, admission: &Admission) {
    let received = timeout(CLIENT_LIMIT, read_request(stream)).await;
    permit.set_busy(true);
    let response = match received {
        Ok(Ok(ClientRequest::Line(request))) => answer(user, request, admission).await,
        Ok(Ok(ClientRequest::Http(head))) => match http::check(&head) {
            Ok(()) => http::wrap(&answer(user, LocalRequest::Metrics {}, admission).await),
            Err(refusal) => refusal,
        },
        Ok(Err(error)) => line_of(&LocalResponse::<()>::Error(error)),
        Err(_) => return,
    };
    permit.set_busy(false);
    // If the client does not read its response in time, the response is dropped.
    let _ = timeout(CLIENT_LIMIT, stream.write_all(&response)).await;
}

/// What a client sent.
enum ClientRequest {
    /// A request line of our own protocol.
    Line(LocalRequest),
    /// The head of an HTTP request.
    Http(Vec<u8>),
}

async fn answer(user: u32, request: LocalRequest, admission: &Admission) -> Vec<u8> {
    match admission.reserve(user, &request) {
        Ok(wait) => tokio::time::sleep(wait).await,
        Err(wait) => {
            let text = format!(
                "rate limit exceeded: user {user} may make {} changes or {} reads per second; nothing was done, retry in {} s",
                1_000 / (RATE.interval * CHANGE_COST).as_millis(),
                1_000 / RATE.interval.as_millis(),
                wait.as_secs() + 1
            );
            return line_of(&LocalResponse::<()>::Error(Error::new(ErrorCode::TooManyRequests, text)));
        }
    }
    let (reply, answer) = oneshot::channel();
    let call = LocalCall { request, reply: Reply(reply) };
    let (code, message) = match admission.calls.send(call).await {
        Ok(()) => match timeout(REPLY_LIMIT, answer).await {
            Ok(Ok(line)) => return line,
            Ok(Err(_)) => (ErrorCode::Busy, "the daemon is stopping"),
            Err(_) => (ErrorCode::Busy, "the disk is slow: check later whether the change was made"),
        },
        Err(_) => (ErrorCode::Busy, "the daemon is stopping"),
    };
    line_of(&LocalResponse::<()>::Error(Error::new(code, message)))
}

async fn read_request(stream: &mut UnixStream) -> Result<ClientRequest, Error> {
    let bad = |problem: String| Error::new(ErrorCode::BadRequest, problem);
    let mut line = Vec::new();
    let limit = REQUEST_BYTES_MAX as u64 + 1;
    let mut reader = BufReader::new(stream.take(limit));
    reader.read_until(b'\n', &mut line).await.map_err(|error| bad(format!("cannot read the request: {error}")))?;
    if REQUEST_BYTES_MAX < line.len() {
        let problem = format!("a request may have at most {REQUEST_BYTES_MAX} bytes");
        return Err(Error::new(ErrorCode::TooLarge, problem));
    }
    if http::is_http(&line) {
        return match http::read_head(&mut reader, &mut line).await {
            true => Ok(ClientRequest::Http(line)),
            false => Err(bad("the HTTP request has no end of its headers".to_owned())),
        };
    }
    serde_json::from_slice(&line).map(ClientRequest::Line).map_err(|error| bad(format!("invalid request: {error}")))
}

fn line_of(response: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(response).expect("responses are plain JSON");
    line.push(b'\n');
    line
}

/// Turns local requests into inputs of the state machine, and its replies into responses.
#[derive(Debug, Default)]
pub(crate) struct PendingReplies {
    last: CommandId,
    waiting: BTreeMap<CommandId, (Reply, ReplyKind)>,
}

/// What the response contains on success.
#[derive(Debug)]
enum ReplyKind {
    Labels,
    Records,
    Record(OwnedRecordKey),
}

impl PendingReplies {
    /// Returns a new command ID; IDs are never reused.
    pub(crate) fn next_command(&mut self) -> CommandId {
        self.last = self.last.next();
        self.last
    }

    /// Answers a request at once, or passes it to the state machine and stores the reply channel.
    ///
    /// `metrics` renders the metrics; it is called only for a metrics request.
    pub(crate) fn serve(&mut self, call: LocalCall, site: &mut Site, now: Now, metrics: impl FnOnce(&Site) -> String) {
        let LocalCall { request, reply } = call;
        log_request(&request);
        let patch = match request {
            LocalRequest::Status {} => return reply.ok(LocalStatus::from(&site.view(now))),
            LocalRequest::Why {} => return reply.ok(site.why(now).iter().map(WhyLine::from).collect::<Vec<_>>()),
            LocalRequest::LabelList {} => return reply.ok(LocalLabels::from(&site.view(now))),
            LocalRequest::HostList {} => {
                let hosts = site.view(now).hosts;
                return reply.ok(hosts.iter().map(LocalHost::from).collect::<Vec<_>>());
            }
            LocalRequest::DnsList {} => return reply.ok(DnsRecord::all(&site.view(now).providers)),
            LocalRequest::ProviderList {} => return reply.ok(local_providers(site, now)),
            LocalRequest::Metrics {} => return reply.ok(metrics(site)),
            LocalRequest::DnsPlan {} => Ok((SiteCommand::PlanRecords, ReplyKind::Records)),
            LocalRequest::DnsAdopt { zone, name, rtype, provider } => adopt_command([&zone, &name, &rtype, &provider]),
            LocalRequest::LabelSet { labels, level } => label_command(level, patch_to_set(&labels)),
            LocalRequest::LabelRemove { keys, level } => label_command(level, patch_to_remove(&keys)),
        };
        match patch {
            Ok((site_command, kind)) => {
                let command = self.next_command();
                self.waiting.insert(command, (reply, kind));
                site.handle_command(command, Actor::LocalSocket, site_command, now);
            }
            Err(problem) => reply.error(Error::new(ErrorCode::BadRequest, problem)),
        }
    }

    /// Sends the state machine's reply to the client. Returns false if the command did not come from the socket.
    pub(crate) fn reply(
        &mut self,
        command: CommandId,
        result: &Result<(), SiteCommandError>,
        site: &Site,
        now: Now,
    ) -> bool {
        let Some((reply, kind)) = self.waiting.remove(&command) else {
            return false;
        };
        match (result, kind) {
            (Ok(()), ReplyKind::Labels) => reply.ok(LocalLabels::from(&site.view(now))),
            (Ok(()), ReplyKind::Records) => reply.ok(DnsRecord::all(&site.view(now).providers)),
            (Ok(()), ReplyKind::Record(key)) => reply.ok(records_at(site, &key, now)),
            (Err(error), _) => {
                let code = match error {
                    SiteCommandError::Labels(LabelError::TooMany { .. }) => ErrorCode::Limit,
                    SiteCommandError::Labels(_) | SiteCommandError::Record(_) => ErrorCode::BadRequest,
                    SiteCommandError::Store(_) => ErrorCode::StoreFailed,
                };
                reply.error(Error::new(code, describe(error)));
            }
        }
        true
    }
}

/// Logs a request: changes at info level, reads at debug level.
fn log_request(request: &LocalRequest) {
    let read = |call| tracing::debug!(call, "local request");
    let change = |call| tracing::info!(call, "local request");
    match request {
        LocalRequest::Status {} => read("status"),
        LocalRequest::Why {} => read("why"),
        LocalRequest::LabelList {} => read("label_list"),
        LocalRequest::HostList {} => read("host_list"),
        LocalRequest::DnsList {} => read("dns_list"),
        LocalRequest::ProviderList {} => read("provider_list"),
        LocalRequest::Metrics {} => read("metrics"),
        LocalRequest::DnsPlan {} => read("dns_plan"),
        LocalRequest::DnsAdopt { .. } => change("dns_adopt"),
        LocalRequest::LabelSet { .. } => change("label_set"),
        LocalRequest::LabelRemove { .. } => change("label_remove"),
    }
}

/// Describes why a command failed.
pub(crate) fn describe(error: &SiteCommandError) -> String {
    match error {
        SiteCommandError::Labels(error) => error.to_string(),
        SiteCommandError::Record(text) => text.to_string(),
        SiteCommandError::Store(StoreFault::DiskFull) => "disk full; nothing was changed".to_owned(),
        SiteCommandError::Store(StoreFault::ReadOnly) => {
            "cannot write to the data directory; nothing was changed. Check its mount and permissions".to_owned()
        }
        SiteCommandError::Store(StoreFault::Failed) => {
            "cannot write to the site database; nothing was changed. See the daemon's log".to_owned()
        }
    }
}

type LocalCommand = Result<(SiteCommand, ReplyKind), String>;

fn label_command(level: LabelLevel, patch: Result<LabelPatch, LabelError>) -> LocalCommand {
    let patch = patch.map_err(|error| error.to_string())?;
    Ok((SiteCommand::PatchLabels(Level::from(level), patch), ReplyKind::Labels))
}

fn adopt_command([zone, name, rtype, provider]: [&str; 4]) -> LocalCommand {
    let read = |text: &str| domain_name(text).map_err(|error| error.to_string());
    let provider = Name::parse(provider).map_err(|error| format!("provider: {error}"))?;
    let record = RecordKey { name: read(name)?, rtype: RecordType::of(rtype) };
    let key = OwnedRecordKey { provider: ProviderId::of(&provider), zone: read(zone)?, record };
    Ok((SiteCommand::AdoptRecord(key.clone()), ReplyKind::Record(key)))
}

fn local_providers(site: &Site, now: Now) -> Vec<LocalProvider> {
    let statuses = site.view(now).providers;
    let specs = site.providers();
    let spec = |name: &Name| specs.iter().find(|spec| spec.name == *name).copied();
    statuses.iter().map(|status| LocalProvider::new(status, spec(&status.name))).collect()
}

fn records_at(site: &Site, key: &OwnedRecordKey, now: Now) -> Vec<DnsRecord> {
    let mut statuses = site.view(now).providers;
    statuses.retain(|status| ProviderId::of(&status.name) == key.provider);
    for status in &mut statuses {
        status.records_mut().retain(|record| record.zone == key.zone && record.key == key.record);
    }
    DnsRecord::all(&statuses)
}

fn patch_to_set(labels: &BTreeMap<String, String>) -> Result<LabelPatch, LabelError> {
    let mut input = LabelInput::default();
    for (key, value) in labels {
        input.add(Label { key: LabelKey::parse(key)?, value: LabelValue::parse(value)? });
    }
    Ok(LabelPatch { set: input.labels, ..LabelPatch::default() })
}

fn patch_to_remove(keys: &[String]) -> Result<LabelPatch, LabelError> {
    Ok(LabelPatch {
        remove: keys.iter().map(|key| LabelKey::parse(key)).collect::<Result<_, _>>()?,
        ..LabelPatch::default()
    })
}

#[cfg(test)]
mod tests;
