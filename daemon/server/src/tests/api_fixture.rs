//! A fixture: an API without a store.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::routing::get;
use h2::client::SendRequest;
use linecamp_core::{CERTIFICATE_LIFE, Fleet, FleetConfig, Rng, SavedFleet, Scheme};
use linecamp_model::{ApiKey, FleetChange, Name, SecretHash, WallTime};
use linecamp_proto::VERSIONS;
use linecamp_service::{Class, Clock, Network};
use linecamp_transport::{ApiTrust, Authority, ClientTlsStream, SystemClock, TcpAcceptor, TlsListener, connect};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;

use super::fixture::{config, soon};
use crate::api::{Api, ServerInfo, guarded, router};
use crate::audit_reader::AuditReader;
use crate::certificate_files::CertificateStatus;
use crate::drivers::http_connection::ConnectionPeer;
use crate::drivers::http2;
use crate::drivers::https::{self, ApiConnections, ApiListeners};
use crate::drivers::request_permit::{Client, ConnectionPlace};
use crate::event_streams::StreamFeed;
use crate::fleet_client::FleetClient;
use crate::oidc::OidcLogins;
use crate::plugin_folder::PluginFolder;
use crate::secret::ApiKeyText;
use crate::server::Request;
use crate::server_addresses::ServerAddresses;
use crate::trusted_proxies::TrustedProxies;
use crate::{Layout, ServerUrl, init};

/// A client of HTTP/2, and the server's end of its connection.
pub(super) struct Http2Client {
    pub(super) sender: SendRequest<Bytes>,
    pub(super) served: JoinHandle<Result<(), String>>,
    pub(super) connection: JoinHandle<Result<(), h2::Error>>,
}

pub(super) struct Bare {
    pub(super) api: Api,
    pub(super) key: ApiKeyText,
    pub(super) streams: StreamFeed,
    pub(super) connections: ApiConnections,
    /// Notified when the request that never ends has begun.
    pub(super) began: Arc<Notify>,
    pub(super) trusted_proxies: TrustedProxies,
    trust: ApiTrust,
    port: u16,
    plain_port: u16,
    routes: Router,
    stop: watch::Sender<bool>,
    _dir: TempDir,
}

impl Bare {
    pub(super) async fn start() -> Self {
        Self::start_with(ApiConnections::new()).await
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
        let trusted_proxies = TrustedProxies::default();
        let info = ServerInfo {
            authority: Arc::clone(&authority),
            rotation: tokio::sync::Mutex::default(),
            addresses: Arc::new(ServerAddresses::new(&config(&layout), None, 1).unwrap()),
            trusted_proxies: trusted_proxies.clone(),
            certificate: CertificateStatus::default(),
            site_packages: linecamp_install::DaemonPackages::default(),
            started: Clock::start(),
            oidc: OidcLogins::new(Clock::start()),
        };
        let (requests, inbox) = mpsc::channel(8);
        tokio::spawn(answer_queries(inbox, key.hash()));
        let (_, newest_event) = watch::channel(0);
        let plugins = Arc::new(PluginFolder::open(layout.plugins(), []).unwrap());
        let streams = StreamFeed::new(1, 0);
        let newest = (newest_event, streams.streams());
        let api = Api::new(
            FleetClient::new(requests),
            newest,
            Arc::new(info),
            plugins,
            connections.clone(),
            Arc::new(AuditReader::new(layout.database())),
        );
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
        let plain = TcpAcceptor::bind(any_port).await.unwrap();
        let (port, plain_port) = (listener.local_addr().port(), plain.local_addr().port());
        let (stop, stopping) = watch::channel(false);
        let listeners = ApiListeners { tls: listener, plain: Some(plain) };
        let limits = connections.clone();
        tokio::spawn(https::serve(listeners, routes.clone(), limits, trusted_proxies.clone(), stopping));
        Self {
            api,
            key,
            streams,
            connections,
            began,
            trusted_proxies,
            trust,
            port,
            plain_port,
            routes,
            stop,
            _dir: dir,
        }
    }

    pub(super) async fn dial(&self) -> ClientTlsStream {
        soon(connect("127.0.0.1", self.port, &self.trust)).await.unwrap()
    }

    /// Connects without TLS, as a proxy does.
    pub(super) async fn dial_plain(&self) -> TcpStream {
        soon(TcpStream::connect(("127.0.0.1", self.plain_port))).await.unwrap()
    }

    /// Sends a request without TLS, with further header lines, and returns the response.
    pub(super) async fn ask_plain(&self, line: &str, headers: &[&str]) -> String {
        let mut stream = self.dial_plain().await;
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let head = format!("{line} HTTP/1.1\r\nconnection: close\r\n{headers}\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        soon(stream.read_to_string(&mut answer)).await.unwrap();
        answer
    }

    /// Opens an HTTP/2 connection of a client in this network, without TLS: it is the same from there on.
    pub(super) async fn dial_http2(&self, address: &str) -> Http2Client {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let address: IpAddr = address.parse().unwrap();
        let network = Client::Network(Network::of(address));
        let permit = self.connections.connections.admit(network, Class::Unauthenticated).unwrap();
        let place = Arc::new(ConnectionPlace::new(permit, network));
        let peer = ConnectionPeer { address, scheme: Scheme::Https };
        let (limiter, routes, stop) = (self.connections.streams.clone(), self.routes.clone(), self.stop.subscribe());
        let served = tokio::spawn(async move {
            let shared = Arc::clone(&place);
            tokio::select! {
                biased;
                () = place.permit().evicted() => Err("evicted".to_owned()),
                ended = http2::serve(theirs, peer, shared, limiter, routes, stop) => ended,
            }
        });
        let (sender, connection) = soon(h2::client::handshake(ours)).await.unwrap();
        let connection = tokio::spawn(connection);
        Http2Client { sender, served, connection }
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
    let admin = ApiKey::of_console(key, Name::parse("admin").unwrap(), WallTime::EPOCH);
    let saved = SavedFleet { records: vec![FleetChange::ApiKey(key, Some(admin))], ..SavedFleet::default() };
    let config = FleetConfig { versions: VERSIONS, certificate_life: CERTIFICATE_LIFE };
    let mut fleet = Fleet::new(config, saved, Rng::new(1), clock.now());
    while let Some(request) = inbox.recv().await {
        match request {
            Request::Query(read) => read(&fleet, clock.now()),
            Request::Authenticate(credential, reply) => {
                drop(reply.send(fleet.authenticate(credential, clock.now())));
            }
            Request::Command(..)
            | Request::KeyedCommand(..)
            | Request::Audit(..)
            | Request::Authorities(_)
            | Request::Metrics(_) => {}
        }
    }
}
