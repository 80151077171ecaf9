//! The state shared by all handlers of the API.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use linecamp_core::{ApiCredential, AuthenticationError, LoginDelays, Principal, StoreFault};
use linecamp_install::{DaemonPackages, InstallSource};
use linecamp_model::{Pin, SecretHash};
use linecamp_service::{Clock, Metrics, TokenBuckets};
use linecamp_transport::Authority;
use tokio::sync::watch;
use tokio::time::Instant;

use super::error::ApiError;
use super::limits::{CHANGE_RATE, RATED_KEYS_MAX};
use super::uploads::UploadService;
use crate::audit_reader::AuditReader;
use crate::certificate_files::CertificateStatus;
use crate::drivers::https::ApiConnections;
use crate::event_streams::EventStreams;
use crate::fleet_client::FleetClient;
use crate::metrics::ResponseCounts;
use crate::oidc::OidcLogins;
use crate::passwords::PasswordHashing;
use crate::plugin_folder::PluginFolder;
use crate::plugin_registry::PluginRegistry;
use crate::server_addresses::{Addresses, ServerAddresses};
use crate::trusted_proxies::TrustedProxies;

/// What the API can answer without querying the loop.
#[derive(Debug)]
pub(crate) struct ServerInfo {
    /// The server's authority.
    pub(crate) authority: Arc<Authority>,
    /// Held during a step of the replacement of the authority.
    pub(crate) rotation: tokio::sync::Mutex<()>,
    /// The server's addresses. A configuration reload or an operator may change them.
    pub(crate) addresses: Arc<ServerAddresses>,
    /// The proxies whose forwarding headers count. A configuration reload may change them.
    pub(crate) trusted_proxies: TrustedProxies,
    /// The certificate that the API presents. It may change at any time.
    pub(crate) certificate: CertificateStatus,
    /// The packages for installing new sites.
    pub(crate) site_packages: DaemonPackages,
    /// The clock, which started with the server.
    pub(crate) started: Clock,
    /// The logins at the identity provider that are in progress.
    pub(crate) oidc: OidcLogins,
}

impl ServerInfo {
    /// Returns the pin of the authority that issues certificates.
    pub(crate) fn pin(&self) -> Pin {
        self.authority.pin()
    }

    /// Returns where new sites download from.
    pub(crate) fn install_source(&self) -> InstallSource {
        InstallSource::Server(self.addresses().server_url.to_string())
    }

    /// Adds the host of the server's URL to the server's certificate, beside the names that it has.
    pub(crate) fn add_url_to_certificate(&self) {
        if let Err(error) = self.authority.add_name(self.addresses().server_url.host()) {
            tracing::warn!(%error, "the server's certificate does not have the host of the server's URL");
        }
    }

    /// Returns the server's addresses.
    pub(crate) fn addresses(&self) -> Addresses {
        self.addresses.current()
    }
}

/// The state shared by all handlers.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    fleet: FleetClient,
    newest_event: watch::Receiver<u64>,
    event_streams: EventStreams,
    info: Arc<ServerInfo>,
    uploads: Arc<UploadService>,
    plugins: Arc<PluginRegistry>,
    responses: Arc<ResponseCounts>,
    rates: Arc<Mutex<TokenBuckets<SecretHash>>>,
    connections: ApiConnections,
    passwords: PasswordHashing,
    login_delays: Arc<Mutex<LoginDelays>>,
    audit_reader: Arc<AuditReader>,
}

impl Api {
    pub(crate) fn new(
        fleet: FleetClient,
        (newest_event, event_streams): (watch::Receiver<u64>, EventStreams),
        info: Arc<ServerInfo>,
        plugins: Arc<PluginFolder>,
        connections: ApiConnections,
        audit_reader: Arc<AuditReader>,
    ) -> Self {
        Self {
            newest_event,
            event_streams,
            info,
            uploads: Arc::new(UploadService::new(Arc::clone(&plugins))),
            plugins: Arc::new(PluginRegistry::new(plugins)),
            responses: Arc::default(),
            rates: Arc::new(Mutex::new(TokenBuckets::new(CHANGE_RATE, RATED_KEYS_MAX))),
            connections,
            passwords: PasswordHashing::new(),
            login_delays: Arc::default(),
            audit_reader,
            fleet,
        }
    }

    /// Returns the reader of the audit log.
    pub(super) fn audit_reader(&self) -> Arc<AuditReader> {
        Arc::clone(&self.audit_reader)
    }

    /// Returns the upload service.
    pub(super) fn uploads(&self) -> &UploadService {
        &self.uploads
    }

    /// Returns the registry of uploaded plugins.
    pub(super) fn plugins(&self) -> &PluginRegistry {
        &self.plugins
    }

    /// Charges changes to a key's rate limit: all of them or none.
    ///
    /// # Errors
    /// The time to wait if the limit is exceeded.
    pub(crate) fn charge_changes(&self, key: SecretHash, count: u32) -> Result<(), Duration> {
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        rates.take(key, count, Instant::now().into_std())
    }

    /// Returns the connection limiters of the API.
    pub(super) const fn connections(&self) -> &ApiConnections {
        &self.connections
    }

    /// Returns what can be answered without the loop.
    pub(super) fn info(&self) -> &ServerInfo {
        &self.info
    }

    /// Returns a receiver for the number of the newest durable event.
    pub(super) fn newest_event(&self) -> watch::Receiver<u64> {
        self.newest_event.clone()
    }

    /// Returns the event streams.
    pub(super) const fn event_streams(&self) -> &EventStreams {
        &self.event_streams
    }

    /// Returns the response counters.
    pub(super) fn responses(&self) -> &ResponseCounts {
        &self.responses
    }

    /// Returns who presents a credential, and notes its use.
    pub(super) async fn authenticate(
        &self,
        credential: ApiCredential,
    ) -> Result<Result<Principal, AuthenticationError>, ApiError> {
        Ok(self.fleet.authenticate(credential).await?)
    }

    /// Returns the hashing of passwords.
    pub(super) const fn passwords(&self) -> &PasswordHashing {
        &self.passwords
    }

    /// Returns the logins at the identity provider.
    pub(super) fn oidc(&self) -> &OidcLogins {
        &self.info.oidc
    }

    /// Returns the delays after failed logins.
    pub(super) fn login_delays(&self) -> MutexGuard<'_, LoginDelays> {
        self.login_delays.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns why changes are rejected, if they are.
    pub(super) async fn store_fault(&self) -> Result<Option<StoreFault>, ApiError> {
        Ok(self.fleet.query(|fleet, _| fleet.store_fault()).await?)
    }

    /// Returns the loop's client, from which the access of a caller is made.
    pub(crate) fn fleet_client(&self) -> FleetClient {
        self.fleet.clone()
    }

    /// Collects the metrics of the loop.
    pub(super) async fn metrics(&self) -> Result<Metrics, ApiError> {
        Ok(self.fleet.metrics().await?)
    }
}
