//! The API's connection to the loop.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use linecamp_core::{Fleet, FleetCommand, SiteRef};
use linecamp_model::{Name, Now, Pin, SecretHash, ServerAddress};
use linecamp_service::{Metrics, RateLimit, TokenBuckets};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::plugins::UploadService;
use super::refused::{DEFECT, Refused};
use crate::config::ServerUrl;
use crate::drive::https::ApiConnections;
use crate::install::SitePackages;
use crate::metrics::Answers;
use crate::plugins::PluginFolder;
use crate::server::{Clock, Request};

/// Rate limit for changes per API key: a burst of ten for each site of a fleet of a thousand, then a hundred per
/// second, which covers an operator's scripts and is negligible for the disk. Beyond it a request is rejected with the
/// time to wait.
pub(crate) const CHANGE_RATE: RateLimit = RateLimit { burst: 10_000, interval: Duration::from_millis(10) };

/// Maximum number of keys with their own rate limit. Further keys share one limit until others have made no changes for
/// a while.
const KEYS_MAX: usize = 1024;

/// What the API knows without querying the loop.
#[derive(Debug)]
pub(crate) struct About {
    /// The pin of the server's authority.
    pub(crate) pin: Pin,
    /// The server's addresses. A configuration reload may change them.
    pub(crate) addresses: RwLock<Addresses>,
    /// The packages for installing new sites.
    pub(crate) site_packages: SitePackages,
    /// The clock, which started with the server.
    pub(crate) started: Clock,
}

/// The server's addresses.
#[derive(Clone, Debug)]
pub(crate) struct Addresses {
    /// The link addresses in join tokens.
    pub(crate) links: Vec<ServerAddress>,
    /// The URL at which operators reach the server.
    pub(crate) server_url: ServerUrl,
}

impl About {
    /// Returns the server's addresses.
    pub(crate) fn addresses(&self) -> Addresses {
        self.addresses.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the server's addresses.
    pub(crate) fn set_addresses(&self, addresses: Addresses) {
        *self.addresses.write().unwrap_or_else(PoisonError::into_inner) = addresses;
    }
}

/// The state shared by all handlers.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    requests: mpsc::Sender<Request>,
    newest_event: watch::Receiver<u64>,
    about: Arc<About>,
    uploads: Arc<UploadService>,
    answers: Arc<Answers>,
    rates: Arc<Mutex<TokenBuckets<SecretHash>>>,
    connections: ApiConnections,
}

impl Api {
    pub(crate) fn new(
        requests: mpsc::Sender<Request>,
        newest_event: watch::Receiver<u64>,
        about: Arc<About>,
        plugins: Arc<PluginFolder>,
        connections: ApiConnections,
    ) -> Self {
        Self {
            requests,
            newest_event,
            about,
            uploads: Arc::new(UploadService::new(plugins)),
            answers: Arc::default(),
            rates: Arc::new(Mutex::new(TokenBuckets::new(CHANGE_RATE, KEYS_MAX))),
            connections,
        }
    }

    /// Returns the upload service.
    pub(super) fn uploads(&self) -> &UploadService {
        &self.uploads
    }

    /// Charges a change to a key's rate limit.
    ///
    /// # Errors
    /// The time to wait if the limit is exceeded.
    pub(crate) fn may_change(&self, key: SecretHash) -> Result<(), Duration> {
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        rates.take(key, 1, Instant::now().into_std())
    }

    /// Returns the connection limiter of the API.
    pub(super) const fn connections(&self) -> &ApiConnections {
        &self.connections
    }

    pub(super) fn about(&self) -> &About {
        &self.about
    }

    /// Returns a receiver for the number of the newest durable event.
    pub(super) fn newest_event(&self) -> watch::Receiver<u64> {
        self.newest_event.clone()
    }

    /// Queries the fleet.
    pub(super) async fn query<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Fleet, Now) -> T + Send + 'static,
    ) -> Result<T, Refused> {
        let (sender, answer) = oneshot::channel();
        let query = move |fleet: &Fleet, now| {
            // The client may have disconnected.
            drop(sender.send(read(fleet, now)));
        };
        self.ask(Request::Query(Box::new(query)), answer).await
    }

    /// Returns the response counters.
    pub(super) fn answers(&self) -> &Answers {
        &self.answers
    }

    /// Requests the metrics from the loop.
    pub(super) async fn metrics(&self) -> Result<Metrics, Refused> {
        let (sender, answer) = oneshot::channel();
        self.ask(Request::Metrics(sender), answer).await
    }

    /// Changes the fleet, durably.
    pub(super) async fn command(&self, command: FleetCommand) -> Result<(), Refused> {
        let (sender, answer) = oneshot::channel();
        let result = self.ask(Request::Command(command, sender), answer).await?;
        result.map_err(Refused::from)
    }

    async fn ask<T>(&self, request: Request, answer: oneshot::Receiver<T>) -> Result<T, Refused> {
        // Both fail when the loop has ended or is stopping; the receiver also fails if the query panicked.
        self.requests.send(request).await.map_err(|_| Refused::stopping())?;
        answer.await.map_err(|_| match self.requests.is_closed() {
            true => Refused::stopping(),
            false => Refused::internal(DEFECT),
        })
    }
}

/// Builds a reference to a site or host from the name in the path and the environment in the query.
pub(super) fn site_ref(name: Name, environment: Option<&str>) -> Result<SiteRef, Refused> {
    let environment = environment.map(|text| parse_name("environment", text)).transpose()?;
    Ok(SiteRef { environment, name })
}

/// Parses a name in the request.
pub(super) fn parse_name(field: &str, text: &str) -> Result<Name, Refused> {
    Name::parse(text).map_err(|error| Refused::bad_request(format!("{field}: {error}")))
}
