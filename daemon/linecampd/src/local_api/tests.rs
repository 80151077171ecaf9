mod http;

use std::path::PathBuf;

use linecamp_core::{
    EnvironmentLabels, Rng, SavedSite, ServerSource, Site, SiteConfig, SiteIdentity, SiteOutput, StoreFault,
};
use linecamp_model::{Level, Now, RunId, SiteId, Text, WallTime, WriteId};
use linecamp_proto::VERSIONS;
use linecamp_proto::api::LabelChange;
use linecamp_proto::local::RESPONSE_BYTES_MAX;
use linecamp_service::ConnectionCounts;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::time::timeout;

use self::http::{Received, http};
use super::admission::{CHANGE_COST, RATE, RATE_WAIT_MAX, SHARES};
use super::connection::answer;
use super::listener::admit;
use super::*;
use crate::drivers::lan::LanDriver;
use crate::drivers::lan_install::Installer;
use crate::host_tokens::HostTokens;

const NOW: Now = Now { instant: linecamp_model::Instant::ORIGIN, wall: WallTime::from_unix_millis(1_000_000) };

/// A site without a network, its pending replies, and its socket.
struct Camp {
    directory: tempfile::TempDir,
    site: Site,
    pending_replies: PendingReplies,
    calls: mpsc::Receiver<LocalCall>,
    _server: LocalServer,
}

impl Camp {
    fn new() -> Self {
        Self::with(|stream| Ok(stream.peer_cred()?.uid()))
    }

    fn with(peer_uid: PeerUid) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (sender, calls) = mpsc::channel(8);
        let server = LocalServer::open_for(directory.path().join("linecampd.sock"), sender, peer_uid).unwrap();
        let config = SiteConfig {
            daemon_version: Text::lossy("1.2.3"),
            directory: Text::lossy("/var/lib/linecamp"),
            versions: VERSIONS,
            run: RunId::from_bytes([7; 8]),
            boot: None,
            servers: ServerSource::Saved,
            labels: EnvironmentLabels::default(),
            join: None,
            providers: Vec::new(),
        };
        let saved = SavedSite {
            identity: Some(SiteIdentity {
                kind: linecamp_model::MemberKind::Site,
                site: SiteId::from_bytes([1; 16]),
                host: linecamp_model::HostId::from_bytes([2; 16]),
                not_before: WallTime::EPOCH,
                not_after: WallTime::from_unix_millis(u64::MAX),
                issuer: None,
            }),
            ..SavedSite::default()
        };
        let mut camp = Self {
            directory,
            site: Site::new(config, saved, Rng::new(1), NOW),
            pending_replies: PendingReplies::default(),
            calls,
            _server: server,
        };
        for write in camp.perform() {
            camp.site.handle_persisted(write, NOW);
        }
        camp.perform();
        camp
    }

    /// Drains the outputs, delivers replies, and returns the writes that wait for the disk.
    fn perform(&mut self) -> Vec<WriteId> {
        let mut writes = Vec::new();
        while let Some(output) = self.site.poll_output() {
            match output {
                SiteOutput::Persist { write, .. } => writes.push(write),
                SiteOutput::Reply { command, result } => {
                    assert!(self.pending_replies.reply(command, &result, &self.site, NOW));
                }
                _ => {}
            }
        }
        writes
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("linecampd.sock")
    }

    fn ask(&self, request: impl Into<Vec<u8>>) -> JoinHandle<Received> {
        let (path, request) = (self.socket(), request.into());
        tokio::spawn(async move {
            let mut stream = UnixStream::connect(path).await.unwrap();
            // The daemon may answer and close before it has read a request that is too long.
            let _ = stream.write_all(&request).await;
            Received::from(stream).await
        })
    }

    async fn serve_next(&mut self) -> Vec<WriteId> {
        let call = self.calls.recv().await.unwrap();
        let mut lan = LanDriver::new(
            self.directory.path().join("lan"),
            "127.0.0.1:0".parse().unwrap(),
            Installer::new(self.directory.path().join("packages")),
        );
        let context = ServeContext {
            now: NOW,
            metrics: &|_| "linecamp_x 1\n".to_owned(),
            host_tokens: &mut HostTokens { lan: &mut lan, addresses: &[] },
        };
        self.pending_replies.serve(call, &mut self.site, context);
        self.perform()
    }
}

#[tokio::test]
async fn a_request_is_answered_without_a_network() {
    let mut camp = Camp::new();
    let mut check = async |request: &str, pointer: &str, expected: &str| {
        let answer = camp.ask(request);
        camp.serve_next().await;
        let answer = answer.await.unwrap();
        assert!(answer.head.contains("content-type: application/json"), "{}", answer.head);
        assert_eq!(answer.value(200, pointer), expected, "{}", answer.body);
    };
    check(&http("GET /v1/status", ""), "/daemon_version", r#""1.2.3""#).await;
    check(&http("GET /v1/why", ""), "/0/part", r#""link""#).await;
    check(&http("GET /v1/hosts", ""), "/0/origin", r#""gateway""#).await;
    check(&http("GET /v1/labels", ""), "/site", "[]").await;
    check("GET http://site/v1/dns/records HTTP/1.1\r\n\r\n", "", "[]").await;

    let answer = camp.ask("GET /metrics HTTP/1.0\r\n\r\n");
    camp.serve_next().await;
    let answer = answer.await.unwrap();
    assert!(answer.head.contains("content-type: text/plain; version=0.0.4"), "{}", answer.head);
    assert_eq!(answer.body, "linecamp_x 1\n");
}

#[tokio::test]
async fn a_host_token_is_revoked_by_its_id_and_a_secret_is_not_repeated() {
    let mut camp = Camp::new();
    let mut check = async |id: &str, status, code: &str| {
        let answer = camp.ask(http("POST /v1/host-tokens/revoke", &format!(r#"{{"id":"{id}"}}"#)));
        camp.serve_next().await;
        let answer = answer.await.unwrap();
        assert_eq!(answer.value(status, "/error/code"), format!("\"{code}\""));
        assert!(answer.body.contains("linecampd token ls") && !answer.body.contains("lct_"), "{}", answer.body);
    };
    check("lct_0123456789abcdef", 400, "bad-request").await;
    check("0123456789abcdef", 404, "not-found").await;
    let answer = camp.ask(http("GET /v1/host-tokens", ""));
    camp.serve_next().await;
    assert_eq!(answer.await.unwrap().value(200, ""), "[]");
}

const SET_RACK: &str = r#"{"set":{"rack":"r7"}}"#;

#[tokio::test]
async fn a_label_is_durable_before_the_reply() {
    let mut camp = Camp::new();
    let answer = camp.ask(http("POST /v1/labels/site", SET_RACK));
    let writes = camp.serve_next().await;
    assert!(!writes.is_empty());
    assert_eq!(camp.pending_replies.waiting.len(), 1, "the disk has not answered");

    for write in writes {
        camp.site.handle_persisted(write, NOW);
        camp.perform();
    }
    let answer = answer.await.unwrap();
    assert_eq!(answer.value(200, "/site/0/key"), r#""rack""#);
    assert_eq!(answer.value(200, "/site/0/owner"), r#""local""#);
}

#[tokio::test]
async fn a_disk_failure_is_an_error_and_sets_no_label() {
    let mut camp = Camp::new();
    let answer = camp.ask(http("POST /v1/labels/site", SET_RACK));
    let writes = camp.serve_next().await;
    camp.site.handle_persist_failed(writes[0], StoreFault::DiskFull, NOW);
    camp.perform();
    assert_eq!(answer.await.unwrap().value(503, "/error/code"), r#""store-failed""#);
    assert_eq!(camp.site.label("rack"), None);
}

#[tokio::test]
async fn the_socket_is_private_and_replaces_a_stale_one() {
    let camp = Camp::new();
    let path = camp.socket();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    let (sender, _calls) = mpsc::channel(1);
    let server = LocalServer::open(path.clone(), sender).unwrap();
    drop(server);
    assert!(!path.exists());
}

/// The user that the next connection belongs to, in tests with several users.
static NEXT_USER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(MEMBER);

const MEMBER: u32 = 4_000_000_001;
const OTHER: u32 = 4_000_000_002;

/// A socket whose peers have the user ID that the test sets; tests that use it run one at a time.
struct Users {
    camp: Camp,
    _turn: tokio::sync::MutexGuard<'static, ()>,
}

impl Users {
    async fn new() -> Self {
        static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
        let turn = TURN.lock().await;
        Self { camp: Camp::with(|_| Ok(NEXT_USER.load(std::sync::atomic::Ordering::SeqCst))), _turn: turn }
    }

    /// Connects as `user` and waits until the daemon has accepted the connection.
    async fn connect(&self, user: u32) -> UnixStream {
        NEXT_USER.store(user, std::sync::atomic::Ordering::SeqCst);
        let stream = UnixStream::connect(self.camp.socket()).await.unwrap();
        // The daemon's tasks run on this thread when this one yields.
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
        stream
    }

    /// Sends a request as `user` and returns how long the answer took.
    async fn ask(&mut self, user: u32) -> Duration {
        let since = std::time::Instant::now();
        let mut stream = self.connect(user).await;
        stream.write_all(http("GET /v1/status", "").as_bytes()).await.unwrap();
        self.camp.serve_next().await;
        assert_eq!(Received::from(stream).await.value(200, "/daemon_version"), r#""1.2.3""#);
        since.elapsed()
    }
}

#[tokio::test]
async fn idle_connections_of_one_user_do_not_block_others() {
    let mut users = Users::new().await;
    let mut idle = Vec::new();
    for _ in 0..200 {
        idle.push(users.connect(MEMBER).await);
    }
    for user in [0, OTHER] {
        let took = timeout(CLIENT_LIMIT / 2, users.ask(user)).await.expect("nobody waits for a user who says nothing");
        assert!(took < CLIENT_LIMIT / 2, "{user}: {took:?}");
    }
    users.ask(MEMBER).await;
}

#[tokio::test(start_paused = true)]
async fn requests_above_a_users_rate_are_delayed_then_rejected_and_others_are_not() {
    let (sender, mut calls) = mpsc::channel(1);
    let admission = Admission::new(sender, |_| Ok(0));
    let change = LocalRequest::ChangeLabels { level: Level::Site, change: LabelChange::default() };
    let flood = || {
        let waits: Vec<_> = (0..1_000).map_while(|_| admission.reserve(MEMBER, &change).ok()).collect();
        (waits.len(), waits.last().copied())
    };
    assert_eq!(flood(), (150, Some(RATE_WAIT_MAX)), "a hundred at once, then ten a second for five seconds");
    assert_eq!(flood(), (0, None));
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(flood().0, 10);
    assert_eq!(admission.reserve(OTHER, &change), Ok(Duration::ZERO));
    let refused = answer(MEMBER, change.clone(), &admission).await;
    assert_eq!((refused.status().as_u16(), refused.headers()["retry-after"].as_bytes()), (429, &b"6"[..]));
    let turn = RATE.interval * CHANGE_COST;
    tokio::time::advance(turn).await;
    let since = tokio::time::Instant::now();
    let (_, waited) = tokio::join!(answer(MEMBER, change, &admission), async {
        drop(calls.recv().await.unwrap());
        since.elapsed()
    });
    assert!(RATE_WAIT_MAX - turn < waited && waited <= RATE_WAIT_MAX, "what has a turn waits for it, not {waited:?}");
}

tokio::task_local! {
    /// The user that a connection belongs to, at a `Admission` without a socket.
    static VISITOR: u32;
}

/// A `Admission` without a socket, so that its clock can be paused.
fn admission() -> Arc<Admission> {
    Arc::new(Admission::new(mpsc::channel(1).0, |_| Ok(VISITOR.get())))
}

/// Connects as `user` and sends nothing. Returns the user's end, and the task that ends when the connection is served.
async fn come(admission: &Arc<Admission>, user: u32) -> (UnixStream, JoinHandle<()>) {
    let (end, served) = UnixStream::pair().unwrap();
    let served = tokio::spawn(VISITOR.scope(user, admit(served, Arc::clone(admission))));
    tokio::task::yield_now().await;
    (end, served)
}

/// Occupies all connection slots of unprivileged users.
async fn crowd(admission: &Arc<Admission>) -> Vec<(UnixStream, JoinHandle<()>)> {
    let mut crowd = Vec::new();
    for _ in 0..SHARES.unauthenticated_max {
        crowd.push(come(admission, MEMBER).await);
    }
    crowd
}

#[tokio::test(start_paused = true)]
async fn a_local_connection_that_makes_room_for_another_user_ends_at_once() {
    let (admission, since) = (admission(), tokio::time::Instant::now());
    let mut crowd = crowd(&admission).await;
    let _other = come(&admission, OTHER).await;
    crowd.swap_remove(0).1.await.unwrap();
    assert_eq!(since.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn an_idle_local_connection_makes_room_for_its_own_user_after_its_grace() {
    let (admission, since) = (admission(), tokio::time::Instant::now());
    let mut crowd = crowd(&admission).await;
    let _another = come(&admission, MEMBER).await;
    crowd.swap_remove(0).1.await.unwrap();
    let took = since.elapsed();
    assert!(SHARES.idle_grace <= took && took < CLIENT_LIMIT / 2, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn root_and_other_users_have_separate_connection_limits() {
    let admission = admission();
    let _crowd = crowd(&admission).await;
    let _root = come(&admission, 0).await;
    let full = ConnectionCounts { unauthenticated: SHARES.unauthenticated_max, ..ConnectionCounts::default() };
    assert_eq!(admission.connections.counts(), ConnectionCounts { authenticated: 1, ..full });
}

#[tokio::test(start_paused = true)]
async fn a_local_client_has_two_seconds_for_its_request() {
    for begun in ["", "GET /v1/status HTTP/1.1\r\n", "POST /v1/dns/plan HTTP/1.1\r\nContent-Length: 9\r\n\r\n{"] {
        let (admission, since) = (admission(), tokio::time::Instant::now());
        let (mut end, served) = come(&admission, MEMBER).await;
        end.write_all(begun.as_bytes()).await.unwrap();
        served.await.unwrap();
        let took = since.elapsed();
        assert!(CLIENT_LIMIT <= took && took < CLIENT_LIMIT * 2, "{begun}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_local_client_has_two_seconds_for_the_response_however_long_the_answer_took() {
    let (sender, mut calls) = mpsc::channel(1);
    let admission = Arc::new(Admission::new(sender, |_| Ok(VISITOR.get())));
    let (mut end, served) = come(&admission, MEMBER).await;
    end.write_all(http("GET /metrics", "").as_bytes()).await.unwrap();
    let call: LocalCall = calls.recv().await.unwrap();
    tokio::time::sleep(REPLY_LIMIT / 2).await;
    let since = tokio::time::Instant::now();
    call.reply.text("x".repeat(RESPONSE_BYTES_MAX));
    served.await.unwrap();
    let took = since.elapsed();
    assert!(CLIENT_LIMIT <= took && took < CLIENT_LIMIT * 2, "{took:?}");
}

/// With no inode left, the new socket cannot be created until the stale one is removed.
#[tokio::test]
async fn a_stale_socket_frees_its_inode_for_the_new_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("linecampd.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let without_inodes = |temporary: &Path| match path.exists() {
        true => Err(io::ErrorKind::StorageFull.into()),
        false => UnixListener::bind(temporary),
    };
    let _listener = bind(&path, without_inodes).unwrap();
    UnixStream::connect(&path).await.unwrap();
}

#[tokio::test]
async fn only_a_socket_is_removed_to_free_space() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("linecampd.sock");
    fs::write(&path, "a file").unwrap();
    let error = bind(&path, |_| Err(io::ErrorKind::StorageFull.into())).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert_eq!(fs::read_to_string(&path).unwrap(), "a file");
}
