//! The API's way to the loop.

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

/// Changes that one API key may make: ten for each site of a fleet of a thousand at once, then a hundred a second,
/// which is what an operator's scripts need and the disk does not notice. Past it a request is refused with the time to
/// wait.
pub(crate) const CHANGE_RATE: RateLimit = RateLimit { burst: 10_000, interval: Duration::from_millis(10) };

/// Keys whose rates are kept apart. Further ones share one rate until others have not changed anything for a while.
const KEYS_MAX: usize = 1024;

/// What the API knows without asking.
#[derive(Debug)]
pub(crate) struct About {
    /// Whom to trust.
    pub(crate) pin: Pin,
    /// Where the server is found. A configuration that is read again changes it.
    pub(crate) addresses: RwLock<Addresses>,
    /// What new sites are installed with.
    pub(crate) site_packages: SitePackages,
    /// When it started.
    pub(crate) started: Clock,
}

/// Where the server is found.
#[derive(Clone, Debug)]
pub(crate) struct Addresses {
    /// What join tokens name.
    pub(crate) links: Vec<ServerAddress>,
    /// Where operators reach the server.
    pub(crate) server_url: ServerUrl,
}

impl About {
    /// Returns where the server is found.
    pub(crate) fn addresses(&self) -> Addresses {
        self.addresses.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says where the server is found from now on.
    pub(crate) fn set_addresses(&self, addresses: Addresses) {
        *self.addresses.write().unwrap_or_else(PoisonError::into_inner) = addresses;
    }
}

/// The state of every handler.
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

    /// Returns where components are taken in.
    pub(super) fn uploads(&self) -> &UploadService {
        &self.uploads
    }

    /// Lets a key change something.
    ///
    /// # Errors
    /// How long it has to wait.
    pub(crate) fn may_change(&self, key: SecretHash) -> Result<(), Duration> {
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        rates.take(key, 1, Instant::now().into_std())
    }

    /// Returns the places of the API.
    pub(super) const fn connections(&self) -> &ApiConnections {
        &self.connections
    }

    pub(super) fn about(&self) -> &About {
        &self.about
    }

    /// Returns where the number of the newest durable event can be watched.
    pub(super) fn newest_event(&self) -> watch::Receiver<u64> {
        self.newest_event.clone()
    }

    /// Looks at the fleet.
    pub(super) async fn query<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Fleet, Now) -> T + Send + 'static,
    ) -> Result<T, Refused> {
        let (sender, answer) = oneshot::channel();
        let query = move |fleet: &Fleet, now| {
            // A client that went away learns nothing more.
            drop(sender.send(read(fleet, now)));
        };
        self.ask(Request::Query(Box::new(query)), answer).await
    }

    /// Returns where answers are counted.
    pub(super) fn answers(&self) -> &Answers {
        &self.answers
    }

    /// Asks the loop for its numbers.
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
        // Either fails when the loop is over or about to be; the answer also if what was asked for panicked.
        self.requests.send(request).await.map_err(|_| Refused::stopping())?;
        answer.await.map_err(|_| match self.requests.is_closed() {
            true => Refused::stopping(),
            false => Refused::internal(DEFECT),
        })
    }
}

/// Names a site or host by the name in the path and the environment in the query.
pub(super) fn site_ref(name: Name, environment: Option<&str>) -> Result<SiteRef, Refused> {
    let environment = environment.map(|text| parse_name("environment", text)).transpose()?;
    Ok(SiteRef { environment, name })
}

/// Reads a name of the request.
pub(super) fn parse_name(field: &str, text: &str) -> Result<Name, Refused> {
    Name::parse(text).map_err(|error| Refused::bad_request(format!("{field}: {error}")))
}
