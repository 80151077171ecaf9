//! Test fixtures: a server with its directory, an API client and a site.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use linecamp_model::limits::FRAME_BYTES_MAX;
use linecamp_model::{
    FromMember, FromParent, Generation, Hello, HostId, IdentityGrant, Incarnation, JoinRequest, JoinTarget,
    KnownServers, MemberKind, Name, Refusal, RunId, Text, WallTime,
};
use linecamp_proto::{VERSIONS, decode_from_parent, decode_refusal, encode_from_member};
use linecamp_transport::{
    ApiTrust, Dialer, Expected, LinkSettings, Platform, SessionEnd, SessionReceiver, SessionSender, SiteCredentials,
    SiteIdentity, SiteKey, SystemClock, Trust, WallClock as _, connect,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{ApiKeyText, Config, Layout, Overrides, Server, ServerUrl, init};

/// The timeout of any operation in a test.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for a future that must complete within [`PATIENCE`].
pub(super) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it happens before patience ends")
}

pub(super) struct Running {
    pub(super) layout: Layout,
    pub(super) key: ApiKeyText,
    /// The one-time password of the user `admin`.
    pub(super) password: String,
    pub(super) server: Server,
    dir: TempDir,
}

/// The password that users choose.
pub(super) const PASSWORD: &str = "a much better password";

impl Running {
    pub(super) async fn start() -> Self {
        Self::start_with_packages(tempfile::tempdir().unwrap()).await
    }

    /// Starts a server whose packages for new sites are in `dir`.
    pub(super) async fn start_with_packages(dir: TempDir) -> Self {
        Self::start_with(dir, |_| ()).await
    }

    /// Starts a server in `dir` whose configuration is edited.
    pub(super) async fn start_with(dir: TempDir, edit: impl FnOnce(&mut Config)) -> Self {
        let layout = Layout::new(dir.path().join("server"));
        let url = ServerUrl::parse("https://localhost:8443").unwrap();
        let made = init(&layout, &url, &[]).unwrap();
        let mut config = Config { site_packages: dir.path().to_owned(), ..config(&layout) };
        edit(&mut config);
        let password = made.reveal_password().to_owned();
        Self { server: Server::start(config).await.unwrap(), key: made.admin_key, password, layout, dir }
    }

    /// Kills the server and restarts it.
    pub(super) async fn crash(self) -> Self {
        let Self { layout, key, password, server, dir } = self;
        server.kill().await;
        Self { server: Server::start(config(&layout)).await.unwrap(), layout, key, password, dir }
    }

    /// Stops the server.
    pub(super) async fn stop(self) -> Stopped {
        let Self { layout, key, password, server, dir } = self;
        server.stop().await.unwrap();
        Stopped { layout, key, password, dir }
    }

    /// Sends an API request with the admin key.
    pub(super) async fn ask(&self, method: &str, target: &str, body: Option<Value>) -> (u16, Value) {
        let authorization = format!("Bearer {}", self.key.reveal());
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        self.ask_as(Some(&authorization), method, target, &body).await
    }

    /// Sends an API request with the given `authorization` header.
    pub(super) async fn ask_as(
        &self,
        authorization: Option<&str>,
        method: &str,
        target: &str,
        body: &str,
    ) -> (u16, Value) {
        self.send(authorization, &format!("{method} {target}"), body.as_bytes(), body.len() as u64).await
    }

    /// Uploads a component with a content length of `announced` bytes.
    pub(super) async fn push(&self, name: &str, component: &[u8], announced: u64) -> (u16, Value) {
        let authorization = format!("Bearer {}", self.key.reveal());
        self.send(Some(&authorization), &format!("POST /api/v1/plugins?name={name}"), component, announced).await
    }

    /// Uploads a component with its description.
    pub(super) async fn push_described(&self, name: &str, description: &Value, component: &[u8]) -> (u16, Value) {
        let authorization = format!("Bearer {}", self.key.reveal());
        let description = description.to_string();
        let line = format!("POST /api/v1/plugins?name={name}&description_bytes={}", description.len());
        let body = [description.as_bytes(), component].concat();
        self.send(Some(&authorization), &line, &body, body.len() as u64).await
    }

    /// Sends an API request with `headers`, each with its line end, and returns the head and the body of the response.
    pub(super) async fn exchange(&self, line: &str, headers: &str, body: &str) -> (String, String) {
        let (key, length) = (self.key.reveal(), body.len());
        let head = format!(
            "{line} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer {key}\r\n\
             {headers}content-length: {length}\r\n\r\n"
        );
        self.transfer(&[head.as_bytes(), body.as_bytes()].concat()).await
    }

    /// Sends an API request with a JSON body and exactly these headers, each with its line end, and returns the head
    /// and the body of the response.
    pub(super) async fn request(&self, line: &str, headers: &str, body: &str) -> (String, String) {
        let media = if body.is_empty() { "" } else { "content-type: application/json\r\n" };
        self.request_with(line, &format!("{headers}{media}"), body).await
    }

    /// Sends an API request with exactly these headers.
    pub(super) async fn request_with(&self, line: &str, headers: &str, body: &str) -> (String, String) {
        let length = body.len();
        let head = format!(
            "{line} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n"
        );
        self.transfer(&[head.as_bytes(), body.as_bytes()].concat()).await
    }

    /// Logs in, and returns the status and the response.
    pub(super) async fn log_in(&self, name: &str, password: &str) -> (u16, Value) {
        let body = json!({"name": name, "password": password, "bearer": true});
        self.ask_as(None, "POST", "/api/v1/login", &body.to_string()).await
    }

    /// Creates a user whose password is not to be changed any more, and returns the bearer of a session.
    pub(super) async fn create_user(&self, mut user: Value, password: &str) -> String {
        let name = user["name"].as_str().unwrap().to_owned();
        user["password"] = json!("a first password");
        let (status, created) = self.ask("POST", "/api/v1/users", Some(user)).await;
        assert_eq!(status, 201, "{created}");
        let (status, answer) = self.log_in(&name, "a first password").await;
        assert_eq!(status, 200, "{answer}");
        let bearer = format!("Bearer {}", answer["secret"].as_str().unwrap());
        let change = json!({"old_password": "a first password", "new_password": password}).to_string();
        let (status, answer) = self.ask_as(Some(&bearer), "POST", "/api/v1/password", &change).await;
        assert_eq!(status, 200, "{answer}");
        bearer
    }

    async fn send(&self, authorization: Option<&str>, line: &str, body: &[u8], length: u64) -> (u16, Value) {
        let authorization = authorization.map_or_else(String::new, |value| format!("authorization: {value}\r\n"));
        let media = match line.split_once(' ') {
            Some(("GET" | "DELETE", _)) => "",
            Some(("PATCH", _)) => "content-type: application/merge-patch+json\r\n",
            Some((_, target)) if target.starts_with("/api/v1/plugins") => "content-type: application/octet-stream\r\n",
            _ => "content-type: application/json\r\n",
        };
        let head = format!(
            "{line} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{authorization}{media}content-length: \
             {length}\r\n\r\n"
        );
        let (head, body) = self.transfer(&[head.as_bytes(), body].concat()).await;
        let status = head.split(' ').nth(1).expect("a head has a status").parse().unwrap();
        (status, serde_json::from_str(&body).unwrap_or(Value::Null))
    }

    /// Sends a request and returns the head and the body of the response.
    pub(super) async fn transfer(&self, request: &[u8]) -> (String, String) {
        let port = self.server.https_addr().port();
        let answer = soon(async {
            let trust = ApiTrust::Pin(self.server.pin());
            let mut stream = connect("127.0.0.1", port, &trust).await.unwrap();
            stream.write_all(request).await.unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.unwrap();
            String::from_utf8(answer).unwrap()
        })
        .await;
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
        (head.to_owned(), body.to_owned())
    }

    /// Creates a join token for the default environment.
    pub(super) async fn token(&self) -> JoinTarget {
        self.token_in("default").await
    }

    async fn token_in(&self, environment: &str) -> JoinTarget {
        let request = json!({"environment": environment, "ttl_seconds": 3600, "uses": 5, "labels": {"region": "eu"}});
        let (status, created) = self.ask("POST", "/api/v1/tokens", Some(request)).await;
        assert_eq!(status, 201, "{created}");
        JoinTarget::parse(created["join"].as_str().unwrap()).unwrap()
    }

    /// Joins a site and opens a session with the issued certificate.
    pub(super) async fn linked(&self, name: &str) -> (Site, Linked) {
        self.linked_in("default", name).await
    }

    /// Joins a site to an environment and opens a session with the issued certificate.
    pub(super) async fn linked_in(&self, environment: &str, name: &str) -> (Site, Linked) {
        let site = Site::new();
        let target = self.token_in(environment).await;
        let grant = site.join(self, &target, name).await.unwrap();
        site.adopt(&grant, &target);
        let linked = site.greet(self).await;
        (site, linked)
    }

    fn quic(&self) -> SocketAddr {
        self.server.quic_addr()
    }
}

/// A server that was stopped.
pub(super) struct Stopped {
    pub(super) layout: Layout,
    key: ApiKeyText,
    password: String,
    dir: TempDir,
}

impl Stopped {
    /// Starts the server again.
    pub(super) async fn start(self) -> Running {
        let Self { layout, key, password, dir } = self;
        Running { server: Server::start(config(&layout)).await.unwrap(), layout, key, password, dir }
    }
}

pub(super) fn config(layout: &Layout) -> Config {
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    let overrides = Overrides { https: Some(any_port), quic: Some(any_port), log: None };
    Config::load(layout.clone(), None, overrides).unwrap()
}

pub(super) struct Site {
    key: SiteKey,
    dialer: Dialer,
    identity: PathBuf,
    _dir: TempDir,
}

/// The site's end of an open session.
pub(super) struct Linked {
    pub(super) sender: SessionSender,
    pub(super) receiver: SessionReceiver,
}

impl Site {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let identity = dir.path().join("identity");
        Self {
            key: SiteKey::load_or_create(&identity).unwrap(),
            dialer: Dialer::bind(LinkSettings::default(), Platform::default()).unwrap(),
            identity,
            _dir: dir,
        }
    }

    /// Returns the host ID of the site's gateway.
    pub(super) fn gateway(&self) -> HostId {
        SiteIdentity::load(&self.identity).unwrap().expect("the site has joined").host_id()
    }

    /// Connects with the site's own key only, and sends `payload`.
    pub(super) async fn say(&self, server: &Running, payload: &[u8]) -> Linked {
        let trust = Trust::Pin(server.server.pin());
        self.dial(server, SiteCredentials::SelfMade(&self.key), &trust, payload).await
    }

    async fn dial(&self, server: &Running, shown: SiteCredentials<'_>, trust: &Trust, payload: &[u8]) -> Linked {
        let session = soon(self.dialer.dial(server.quic(), shown, trust, Expected::Server)).await.unwrap();
        let (mut sender, receiver) = session.split();
        // A server that rejects the first bytes may close before it receives the last; the receiver gets the reason.
        drop(soon(sender.send(payload)).await);
        Linked { sender, receiver }
    }

    pub(super) async fn join(
        &self,
        server: &Running,
        target: &JoinTarget,
        name: &str,
    ) -> Result<IdentityGrant, Refusal> {
        let request = FromMember::Join(JoinRequest {
            versions: VERSIONS,
            token: target.token.id,
            secret: target.token.secret,
            kind: MemberKind::Site,
            name: Name::parse(name).unwrap(),
            site: None,
            daemon_version: Text::lossy("0.1.0"),
        });
        let mut linked = self.say(server, &encode_from_member(&request)).await;
        match linked.recv().await? {
            FromParent::Identity(grant) => Ok(grant),
            other => panic!("a join is answered with a certificate, not {other:?}"),
        }
    }

    pub(super) fn adopt(&self, grant: &IdentityGrant, target: &JoinTarget) {
        let servers = KnownServers::of_token(target.servers.clone());
        SiteIdentity::adopt(&self.identity, grant, &servers).unwrap();
    }

    /// Opens a session with the issued certificate and sends a hello.
    pub(super) async fn greet(&self, server: &Running) -> Linked {
        let identity = SiteIdentity::load(&self.identity).unwrap().expect("the site has joined");
        let hello = FromMember::Hello(Hello {
            versions: VERSIONS,
            run: RunId::from_bytes([7; 8]),
            daemon_version: Text::lossy("0.1.0"),
            wall: WallTime::from_unix_millis(SystemClock.now().unix_millis()),
            spec_incarnation: Incarnation::default(),
            spec_held: Generation::ZERO,
            status_incarnation: Incarnation(5),
            target: None,
            facts: Default::default(),
            gaps: Vec::new(),
        });
        let shown = SiteCredentials::Issued(&identity);
        self.dial(server, shown, &identity.trust(), &encode_from_member(&hello)).await
    }
}

impl Linked {
    /// Returns the next message, or the refusal that closed the session.
    pub(super) async fn recv(&mut self) -> Result<FromParent, Refusal> {
        match soon(self.receiver.recv(FRAME_BYTES_MAX)).await {
            Ok(payload) => Ok(decode_from_parent(&payload).unwrap()),
            Err(SessionEnd::Closed { code, reason }) => {
                Err(decode_refusal(code, &reason).expect("a close of ours says why"))
            }
            Err(end) => panic!("the session ended without a reason: {end}"),
        }
    }

    pub(super) async fn send(&mut self, message: &FromMember) {
        soon(self.sender.send(&encode_from_member(message))).await.unwrap();
    }

    /// Expects a welcome, the server's addresses if it has told them before, and the spec.
    pub(super) async fn expect_welcome(&mut self) -> linecamp_model::SpecDelta {
        let first = self.recv().await;
        assert!(matches!(first, Ok(FromParent::Welcome(_))), "{first:?}");
        loop {
            match self.recv().await {
                Ok(FromParent::Servers(_)) => {}
                Ok(FromParent::Spec(delta)) => return delta,
                other => panic!("a spec follows the welcome, not {other:?}"),
            }
        }
    }
}
