//! Server startup and shutdown.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use linecamp_core::{Fleet, FleetConfig, Rng, SavedFleet};
use linecamp_downlink::{HandshakeStats, MemberDriver, SESSION_NOTES_MAX};
use linecamp_install::DaemonPackages;
use linecamp_model::{Parent, Pin};
use linecamp_proto::VERSIONS;
use linecamp_service::{Clock, ConfigChanges, ServiceManager};
use linecamp_store::{DirectoryLock, StoreError};
use linecamp_transport::{Authority, Listener, Platform, SystemClock, TcpAcceptor, TlsListener, random_bytes};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::api::{self, Api, ServerInfo};
use crate::audit_reader::AuditReader;
use crate::certificate_files::{self, CertificateStatus};
use crate::commit_notifier::CommitNotifier;
use crate::config::Config;
use crate::data_directory::Layout;
use crate::drivers::https::{ApiConnections, ApiListeners};
use crate::drivers::plugin::PluginDriver;
use crate::drivers::{https, store};
use crate::error::ServerError;
use crate::event_streams::StreamFeed;
use crate::fleet_client::FleetClient;
use crate::oidc::OidcLogins;
use crate::plugin_folder::PluginFolder;
use crate::reload::compare;
use crate::server::{Inbox, PendingReplies, REQUESTS_MAX, ServerLoop};
use crate::server_addresses::ServerAddresses;
use crate::session_stats::SessionStats;
use crate::trusted_proxies::TrustedProxies;

/// How long to wait for sites to acknowledge the shutdown notice. A site that has not by then detects the shutdown by
/// itself.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);

/// A running server. Dropping it aborts it like a crash, without notifying sites; [`Server::stop`] shuts it down
/// gracefully.
#[derive(Debug)]
pub struct Server {
    https: SocketAddr,
    http: Option<SocketAddr>,
    quic: SocketAddr,
    stop: watch::Sender<bool>,
    running: Option<JoinHandle<()>>,
    info: Arc<ServerInfo>,
    config: Config,
}

impl Server {
    /// Starts a server on the calling runtime and returns once it listens.
    ///
    /// # Errors
    /// [`ServerError`]; nothing is left running in that case.
    ///
    /// # Panics
    /// If called outside a tokio runtime.
    pub async fn start(config: Config) -> Result<Self, ServerError> {
        let lock = config.layout.lock()?;
        let authority = load_authority(&config)?;
        let opened = store::open(&config.layout.database())?;
        let listener = Listener::bind(config.quic, Arc::clone(&authority), config.link, Platform::default())?;
        let certificate = CertificateStatus::default();
        let api_listeners = api_listeners(&config, &authority, &certificate).await?;
        let (https, quic) = (api_listeners.tls.local_addr(), listener.local_addr());
        let http = api_listeners.plain.as_ref().map(TcpAcceptor::local_addr);

        let clock = Clock::start();
        let mut fleet = start_fleet(&config, opened.saved, opened.unwritable.as_ref(), &clock)?;
        let addresses = server_addresses(&config, &fleet, quic.port())?;
        certificate.configure(config.https_certificate.clone(), addresses.current().server_url.host());
        fleet.handle_servers(addresses.current().links);
        fleet.handle_authorities(authority.rotation(), clock.now());
        let listed = fleet.view().plugins().map(|(digest, _)| digest);
        let plugins = Arc::new(PluginFolder::open(config.layout.plugins(), listed)?);
        let (commit_notifier, streams) = notifiers(&fleet)?;
        let (stop, stopping) = watch::channel(false);
        let (request_sender, requests) = mpsc::channel(REQUESTS_MAX);
        let (note_sender, sessions) = mpsc::channel(SESSION_NOTES_MAX);
        let manager = service_manager(https, quic);
        let info = server_info(&config, Arc::clone(&authority), Arc::clone(&addresses), certificate.clone(), clock);
        let connections = ApiConnections::new();
        let api = Api::new(
            FleetClient::new(request_sender),
            (commit_notifier.watch(), streams.streams()),
            Arc::clone(&info),
            Arc::clone(&plugins),
            connections.clone(),
            Arc::new(AuditReader::new(config.layout.database())),
        );
        let handshakes = Arc::new(HandshakeStats::default());
        let server_loop = ServerLoop {
            fleet,
            clock,
            inbox: Inbox { stop: stopping, servers: addresses.watch_links(), requests, sessions },
            store: opened.store,
            link: MemberDriver::new(authority),
            plugins: PluginDriver::new(plugins),
            commit_notifier,
            streams,
            sessions: SessionStats::default(),
            handshakes: Arc::clone(&handshakes),
            pending_replies: PendingReplies::default(),
            manager,
            addresses,
        };
        let listener = Arc::new(listener);
        let (api_stop, api_stopping) = watch::channel(false);
        let parts = Parts {
            accepting: Task::spawn(linecamp_downlink::accept_counted(Arc::clone(&listener), note_sender, handshakes)),
            serving: Task::spawn(https::serve(
                api_listeners,
                api::router(api),
                connections,
                info.trusted_proxies.clone(),
                api_stopping,
            )),
            watching: Task::spawn(certificate_files::watch(certificate)),
            server_loop,
            listener,
            api_stop,
            layout: config.layout.clone(),
            lock,
        };
        tracing::info!(pin = %info.pin(), data = %parts.layout.dir().display(), "server started");
        Ok(Self { https, http, quic, stop, running: Some(tokio::spawn(parts.run())), info, config })
    }

    /// Applies the keys of `config` that can be applied immediately, except the log filter, and returns which keys
    /// changed and which require a restart.
    pub fn reload(&mut self, config: Config) -> ConfigChanges {
        let changes = compare(&self.config, &config);
        self.info.addresses.set_configured(&config);
        self.info.add_url_to_certificate();
        self.info.trusted_proxies.set(config.trusted_proxies.clone());
        let host = self.info.addresses().server_url.host().to_owned();
        self.info.certificate.configure(config.https_certificate.clone(), &host);
        self.info.oidc.configure(config.oidc.as_ref());
        // Keys that require a restart keep their current values, so later reloads still report them as changed.
        let Config { server_url, link_addresses, log, trusted_proxies, https_certificate, oidc, .. } = config;
        let current = self.config.clone();
        self.config = Config { server_url, link_addresses, log, trusted_proxies, https_certificate, oidc, ..current };
        changes
    }

    /// Returns the address it listens on for operators.
    pub const fn https_addr(&self) -> SocketAddr {
        self.https
    }

    /// Returns the address it listens on for proxies that end TLS.
    pub const fn http_addr(&self) -> Option<SocketAddr> {
        self.http
    }

    /// Returns the address it listens on for sites.
    pub const fn quic_addr(&self) -> SocketAddr {
        self.quic
    }

    /// Returns the pin of the server's authority.
    pub fn pin(&self) -> Pin {
        self.info.pin()
    }

    /// Stops the server: tells every site when to reconnect, answers requests in progress and makes their changes
    /// durable. Takes a few seconds at most, unless the disk takes longer.
    ///
    /// # Errors
    /// [`ServerError::LoopEnded`] if the server had ended unexpectedly.
    pub async fn stop(mut self) -> Result<(), ServerError> {
        self.stop.send_replace(true);
        self.ended().await
    }

    /// Waits until the server has ended.
    ///
    /// # Errors
    /// [`ServerError::LoopEnded`] if it ended because of a bug.
    pub async fn ended(&mut self) -> Result<(), ServerError> {
        let Some(running) = &mut self.running else {
            return Ok(());
        };
        let result = running.await.map_err(|_| ServerError::LoopEnded);
        self.running = None;
        result
    }

    /// Aborts the server without notifying sites, and returns when its directory is unlocked. Its ports are free a
    /// moment later.
    pub async fn kill(mut self) {
        if let Some(running) = self.running.take() {
            running.abort();
            drop(running.await);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(running) = &self.running {
            running.abort();
        }
    }
}

/// Logs that the server was restored from a backup, while something is held.
fn report_restore(fleet: &Fleet) {
    if let Some((from, held)) = fleet.view().restored() {
        tracing::warn!(
            taken_at = %from.taken_at,
            sites = held.sites,
            tokens = held.tokens,
            api_keys = held.api_keys,
            "restored from a backup: what it may not know is held; list it with `linecamp restore ls`"
        );
    }
}

/// Creates what tells requests and streams of the events from now on.
fn notifiers(fleet: &Fleet) -> Result<(CommitNotifier, StreamFeed), ServerError> {
    let newest = fleet.view().last_event();
    let incarnation = u64::from_ne_bytes(random_bytes()?);
    Ok((CommitNotifier::new(newest), StreamFeed::new(incarnation, newest)))
}

/// Tells the service manager where the server listens.
fn service_manager(https: SocketAddr, quic: SocketAddr) -> ServiceManager {
    let mut manager = ServiceManager::from_environment();
    manager.status(&format!("https on {https}, quic on {quic}"));
    manager
}

/// Creates the fleet from its records.
fn start_fleet(
    config: &Config,
    saved: SavedFleet,
    unwritable: Option<&StoreError>,
    clock: &Clock,
) -> Result<Fleet, ServerError> {
    let fleet_config = FleetConfig { versions: VERSIONS, certificate_life: config.certificate_life };
    let rng = Rng::new(u64::from_ne_bytes(random_bytes()?));
    let mut fleet = Fleet::new(fleet_config, saved, rng, clock.now());
    fleet.set_audit_retention(config.audit);
    if let Some(problem) = unwritable {
        tracing::warn!(%problem, "cannot write the fleet database: sites stay connected, changes are rejected");
        fleet.handle_store_unwritable(store::fault_of(problem.fault_kind()), clock.now());
    }
    Ok(fleet)
}

/// Returns what the API can answer without the loop.
fn server_info(
    config: &Config,
    authority: Arc<Authority>,
    addresses: Arc<ServerAddresses>,
    certificate: CertificateStatus,
    started: Clock,
) -> Arc<ServerInfo> {
    let info = ServerInfo {
        authority,
        rotation: tokio::sync::Mutex::default(),
        addresses,
        trusted_proxies: TrustedProxies::new(config.trusted_proxies.clone()),
        certificate,
        site_packages: DaemonPackages::find(&config.site_packages),
        started,
        oidc: OidcLogins::new(started),
    };
    info.oidc.configure(config.oidc.as_ref());
    info.add_url_to_certificate();
    Arc::new(info)
}

/// Returns the addresses of a server whose link listens on `port`.
fn server_addresses(config: &Config, fleet: &Fleet, port: u16) -> Result<Arc<ServerAddresses>, ServerError> {
    let stored_url = fleet.view().settings().map(|settings| settings.server_url.clone().into());
    ServerAddresses::new(config, stored_url, port).map(Arc::new).map_err(ServerError::LinkAddress)
}

/// Loads the authority.
fn load_authority(config: &Config) -> Result<Arc<Authority>, ServerError> {
    let authority = Authority::load(&config.layout.ca())?;
    if let Err(error) = authority.remove_leftovers() {
        tracing::warn!(%error, "cannot remove the key of a retired authority");
    }
    Ok(Arc::new(authority))
}

/// Opens the ports of the API.
async fn api_listeners(
    config: &Config,
    authority: &Arc<Authority>,
    certificate: &CertificateStatus,
) -> Result<ApiListeners, ServerError> {
    let (clock, certificates) = (Arc::new(SystemClock), certificate.certificates());
    let tls = TlsListener::bind_with(config.https, Arc::clone(authority), clock, certificates).await?;
    let plain = match config.http {
        Some(address) => Some(TcpAcceptor::bind(address).await?),
        None => None,
    };
    Ok(ApiListeners { tls, plain })
}

/// The running parts of a server.
struct Parts {
    accepting: Task,
    serving: Task,
    watching: Task,
    server_loop: ServerLoop,
    listener: Arc<Listener>,
    api_stop: watch::Sender<bool>,
    layout: Layout,
    lock: DirectoryLock,
}

impl Parts {
    async fn run(self) {
        // Bindings are dropped in reverse order: if this task is aborted, the lock outlives the database.
        let Self { lock, layout, api_stop, listener, serving, watching, accepting, server_loop } = self;
        report_restore(&server_loop.fleet);
        let store = server_loop.run().await;
        linecamp_downlink::close(&listener, Parent::Server);
        api_stop.send_replace(true);
        tokio::join!(serving.ended(), async {
            drop(tokio::time::timeout(CLOSE_LIMIT, listener.wait_idle()).await);
        });
        drop((accepting, watching));
        // Closing the store blocks, and this thread serves other tasks.
        drop(tokio::task::spawn_blocking(move || store.close()).await);
        drop(lock);
        tracing::info!(data = %layout.dir().display(), "server stopped");
    }
}

/// A task that is aborted when its handle is dropped.
struct Task(JoinHandle<()>);

impl Task {
    fn spawn(future: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(future))
    }

    async fn ended(mut self) {
        // The task ends by itself; a panic has been reported where it happened.
        drop((&mut self.0).await);
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}
