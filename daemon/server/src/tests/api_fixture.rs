//! A fixture: an API without a store.

use std::sync::{Arc, RwLock};

use axum::Router;
use axum::routing::get;
use linecamp_core::{CERTIFICATE_LIFE, Fleet, FleetConfig, Rng, SavedFleet};
use linecamp_model::{ApiKey, FleetChange, Name, SecretHash, WallTime};
use linecamp_proto::VERSIONS;
use linecamp_service::Clock;
use linecamp_transport::{ApiTrust, Authority, ClientTlsStream, SystemClock, TlsListener, connect};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{Notify, mpsc, watch};

use super::fixture::soon;
use crate::api::{Addresses, Api, ServerInfo, guarded, router};
use crate::drivers::https::{self, ApiConnections};
use crate::fleet_client::FleetClient;
use crate::install::SitePackages;
use crate::plugin_folder::PluginFolder;
use crate::secret::ApiKeyText;
use crate::server::Request;
use crate::{Layout, ServerUrl, init};

pub(super) struct Bare {
    pub(super) api: Api,
    pub(super) key: ApiKeyText,
    pub(super) connections: ApiConnections,
    /// Notified when the request that never ends has begun.
    pub(super) began: Arc<Notify>,
    trust: ApiTrust,
    port: u16,
    _stop: watch::Sender<bool>,
    _dir: TempDir,
}

impl Bare {
    pub(super) async fn start() -> Self {
        Self::start_with(https::connections()).await
    }

    /// Serves the API with the given connection limiter, plus a request whose handler panics and one that never ends.
    /// The loop behind it answers only queries.
    pub(super) async fn start_with(connections: ApiConnections) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        let url = ServerUrl::parse("https://localhost").unwrap();
        init(&layout, &url, &[]).unwrap();
        let authority = Arc::new(Authority::load(&layout.ca()).unwrap());
        let trust = ApiTrust::Pin(authority.pin());
        let key = ApiKeyText::generate().unwrap();
        let info = ServerInfo {
            pin: authority.pin(),
            addresses: RwLock::new(Addresses { links: Vec::new(), server_url: url }),
            site_packages: SitePackages::default(),
            started: Clock::start(),
        };
        let (requests, inbox) = mpsc::channel(8);
        tokio::spawn(answer_queries(inbox, key.hash()));
        let (_, newest_event) = watch::channel(0);
        let plugins = Arc::new(PluginFolder::open(layout.plugins(), []).unwrap());
        let api = Api::new(FleetClient::new(requests), newest_event, Arc::new(info), plugins, connections.clone());
        let began = Arc::new(Notify::new());
        let begun = Arc::clone(&began);
        let endless = async move || -> &str {
            begun.notify_one();
            std::future::pending().await
        };
        let defect = async || -> &str { panic!("a bug in a handler") };
        let beside = Router::new().route("/defect", get(defect)).route("/endless", get(endless));
        let routes = router(api.clone()).merge(guarded(beside, &api).with_state(api.clone()));
        let any_port = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = TlsListener::bind(any_port, authority, Arc::new(SystemClock)).await.unwrap();
        let port = listener.local_addr().port();
        let (stop, stopping) = watch::channel(false);
        tokio::spawn(https::serve(listener, routes, connections.clone(), stopping));
        Self { api, key, connections, began, trust, port, _stop: stop, _dir: dir }
    }

    pub(super) async fn dial(&self) -> ClientTlsStream {
        soon(connect("127.0.0.1", self.port, &self.trust)).await.unwrap()
    }

    pub(super) async fn ask(&self, line: &str) -> String {
        let key = self.key.reveal();
        let head = format!(
            "{line} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer {key}\r\n\
             content-length: 0\r\n\r\n"
        );
        soon(async {
            let mut stream = self.dial().await;
            stream.write_all(head.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        })
        .await
    }
}

async fn answer_queries(mut inbox: mpsc::Receiver<Request>, key: SecretHash) {
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
