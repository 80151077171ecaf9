//! An API without a store behind it, and requests that it has to survive.

use std::io;
use std::sync::{Arc, Mutex, RwLock};

use axum::Router;
use axum::routing::get;
use linecamp_core::{CERTIFICATE_LIFE, Fleet, FleetConfig, Rng, SavedFleet};
use linecamp_model::{ApiKey, FleetChange, Name, SecretHash, WallTime};
use linecamp_proto::VERSIONS;
use linecamp_transport::{ApiTrust, Authority, SystemClock, TlsListener, connect};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{mpsc, watch};

use super::fixture::soon;
use crate::api::{About, Addresses, Api, CHANGE_RATE, guarded, router};
use crate::drive::https;
use crate::install::SitePackages;
use crate::plugins::PluginFolder;
use crate::secret::ApiKeyText;
use crate::server::{Clock, Request};
use crate::{Layout, ServerUrl, init};

/// What the release profile of the server says.
const MANIFEST: &str = include_str!("../../../../Cargo.toml");

struct Bare {
    api: Api,
    key: ApiKeyText,
    trust: ApiTrust,
    port: u16,
    _stop: watch::Sender<bool>,
    _dir: TempDir,
}

/// Serves the API, and beside it a request whose handler panics. The loop behind it answers looks and nothing else.
async fn bare() -> Bare {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(dir.path());
    let url = ServerUrl::parse("https://localhost").unwrap();
    init(&layout, &url, &[]).unwrap();
    let authority = Arc::new(Authority::load(&layout.ca()).unwrap());
    let trust = ApiTrust::Pin(authority.pin());
    let key = ApiKeyText::draw().unwrap();
    let about = About {
        pin: authority.pin(),
        addresses: RwLock::new(Addresses { links: Vec::new(), server_url: url }),
        site_packages: SitePackages::default(),
        started: Clock::start(),
    };
    let (requests, inbox) = mpsc::channel(8);
    tokio::spawn(look(inbox, key.hash()));
    let (_, newest_event) = watch::channel(0);
    let plugins = Arc::new(PluginFolder::open(layout.plugins(), []).unwrap());
    let connections = https::connections();
    let api = Api::new(requests, newest_event, Arc::new(about), plugins, connections.clone());
    let defect = Router::new().route("/defect", get(async || -> &str { panic!("a defect in a handler") }));
    let routes = router(api.clone()).merge(guarded(defect, &api).with_state(api.clone()));
    let any_port = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = TlsListener::bind(any_port, authority, Arc::new(SystemClock)).await.unwrap();
    let port = listener.local_addr().port();
    let (stop, stopping) = watch::channel(false);
    tokio::spawn(https::serve(listener, routes, connections, stopping));
    Bare { api, key, trust, port, _stop: stop, _dir: dir }
}

async fn look(mut inbox: mpsc::Receiver<Request>, key: SecretHash) {
    let clock = Clock::start();
    let admin = ApiKey { name: Name::parse("admin").unwrap(), created_at: WallTime::EPOCH };
    let saved = SavedFleet { records: vec![FleetChange::ApiKey(key, Some(admin))], ..SavedFleet::default() };
    let config = FleetConfig { versions: VERSIONS, certificate_life: CERTIFICATE_LIFE };
    let fleet = Fleet::new(config, saved, Rng::new(1), clock.now());
    while let Some(request) = inbox.recv().await {
        if let Request::Query(read) = request {
            read(&fleet, clock.now());
        }
    }
}

impl Bare {
    async fn ask(&self, line: &str) -> String {
        let key = self.key.reveal();
        let head = format!(
            "{line} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer {key}\r\n\
             content-length: 0\r\n\r\n"
        );
        soon(async {
            let mut stream = connect("127.0.0.1", self.port, &self.trust).await.unwrap();
            stream.write_all(head.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        })
        .await
    }
}

/// A log that can be read afterwards.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_request_whose_handler_panics_is_answered_and_logged_and_the_server_lives() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    let bare = bare().await;
    let answer = bare.ask("GET /defect").await;
    assert!(answer.starts_with("HTTP/1.1 500 ") && answer.contains("\"internal\""), "{answer}");
    assert!(bare.ask("GET /api/v1/sites").await.starts_with("HTTP/1.1 200 "));
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let line = text.lines().find(|line| line.contains("ERROR")).expect("it is an error in the log");
    assert!(line.contains("GET /defect") && line.contains("a defect in a handler"), "{line}");
}

#[test]
fn what_is_released_unwinds_in_the_server() {
    let (_, profile) = MANIFEST.split_once("[profile.server]").expect("the server has a profile");
    let profile = profile.split("\n[").next().unwrap_or_default();
    assert!(profile.contains("panic = \"unwind\""), "{profile}");
}

#[tokio::test]
async fn a_flood_of_changes_by_one_key_is_told_to_wait_and_looks_are_not() {
    let bare = bare().await;
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..3 * CHANGE_RATE.burst {
        match bare.api.may_change(bare.key.hash()) {
            Ok(()) => taken += 1,
            Err(_) => refused += 1,
        }
    }
    assert!((CHANGE_RATE.burst..CHANGE_RATE.burst + 1_000).contains(&taken), "{taken} taken, {refused} refused");
    let answer = bare.ask("DELETE /api/v1/tokens/x").await;
    // A moment may have passed in which a few more changes are allowed.
    while bare.api.may_change(bare.key.hash()).is_ok() {}
    let answer = if answer.starts_with("HTTP/1.1 429 ") { answer } else { bare.ask("DELETE /api/v1/tokens/x").await };
    assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
    assert!(answer.contains("retry-after: 1\r\n") && answer.contains("\"too-many-requests\""), "{answer}");
    assert!(bare.ask("GET /api/v1/sites").await.starts_with("HTTP/1.1 200 "));
    let other = SecretHash::of(b"another key");
    assert!(bare.api.may_change(other).is_ok(), "another key has its own rate");
}
