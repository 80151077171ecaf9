//! Logins at an identity provider: what is in progress, and the provider that is configured.
//!
//! The rules are in `linecamp_oidc`. This module has the state that they need, asks the provider, and supplies time and
//! random bytes. A login that began with one configuration ends with it, also if a reload changed it meanwhile. Nothing
//! here is durable: after a restart a login begins again. What a login leads to, a user and a session, is durable
//! before it is answered (`api::oidc`).

mod http;
mod provider;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use linecamp_core::OidcLogin;
use linecamp_model::{OidcIdentity, SecretHash};
use linecamp_oidc::{
    Callback, Claims, Destination, DeviceAnswer, DeviceCodes, DeviceLogin, DevicePoll, LOGIN_LIMIT, Login,
    LoginSecrets, Loopback, Pending, Refusal, access_of, check_browser, id_token, user_names,
};
use linecamp_service::{Clock, Network};
use linecamp_transport::{TransportError, random_bytes};

use self::provider::Provider;
use crate::config::OidcConfig;

/// How long a program may take to exchange the code that the browser brought: it waits for it.
const HANDOVER_LIFE: Duration = Duration::from_secs(60);

/// The path to which the provider sends the browser.
pub(crate) const CALLBACK_PATH: &str = "/api/v1/login/oidc/callback";

/// Why a login at the provider failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OidcError {
    /// No provider is configured.
    #[error("no identity provider is configured; log in with a user name and a password")]
    NotConfigured,
    /// The provider does not answer, or with an error that is not about this login.
    #[error("the identity provider {issuer} failed: {problem}. Log in with a password, or try again")]
    Unavailable {
        /// The issuer.
        issuer: String,
        /// What failed.
        problem: String,
    },
    /// The login is refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No random bytes.
    #[error("no random bytes")]
    Random(#[from] TransportError),
}

/// A person that the provider identified.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) identity: OidcIdentity,
    /// The user and the roles, or why there is none.
    pub(crate) login: Result<OidcLogin, Refusal>,
}

/// A login that has begun.
pub(crate) struct BrowserRedirect {
    /// Where to send the browser.
    pub(crate) location: String,
    /// The secret of its cookie.
    pub(crate) cookie: String,
}

/// A return of the browser that failed. A program that waits is told.
#[derive(Debug)]
pub(crate) struct FailedReturn {
    pub(crate) error: OidcError,
    pub(crate) waiting: Option<Loopback>,
}

/// A device login that has begun.
pub(crate) struct DeviceStart {
    /// The secret with which the program asks whether the person has confirmed.
    pub(crate) handle: String,
    pub(crate) codes: DeviceCodes,
}

/// Whether a person has confirmed a device login.
pub(crate) enum DeviceState {
    /// Not yet: ask again after this time.
    Pending(Duration),
    Confirmed(Box<Person>),
}

/// A login in a browser.
#[derive(Debug)]
struct BrowserLogin {
    provider: Arc<Provider>,
    login: Login,
    /// The hash of the cookie's secret.
    browser: SecretHash,
    destination: Destination,
}

/// A person whose session begins when the program that waits presents the code.
#[derive(Debug)]
struct Handover {
    person: Person,
    waiting: Loopback,
}

#[derive(Debug)]
struct DeviceInProgress {
    provider: Arc<Provider>,
    login: DeviceLogin,
}

/// The logins in progress, and the provider.
#[derive(Debug)]
pub(crate) struct OidcLogins {
    clock: Clock,
    provider: RwLock<Option<Arc<Provider>>>,
    browsers: Mutex<Pending<Network, BrowserLogin>>,
    handovers: Mutex<Pending<Network, Handover>>,
    devices: Mutex<Pending<Network, DeviceInProgress>>,
}

impl OidcLogins {
    /// Creates the logins without a provider.
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            clock,
            provider: RwLock::default(),
            browsers: Mutex::default(),
            handovers: Mutex::default(),
            devices: Mutex::default(),
        }
    }

    /// Uses the provider of a configuration from now on. One that cannot be used is logged, and there is none.
    pub(crate) fn configure(&self, config: Option<&OidcConfig>) {
        let current = self.provider.read().unwrap_or_else(PoisonError::into_inner).clone();
        if current.as_ref().map(|provider| provider.config()) == config {
            return;
        }
        let provider = config.and_then(|config| match Provider::new(config.clone(), self.clock) {
            Ok(provider) => Some(Arc::new(provider)),
            Err(error) => {
                let error = linecamp_transport::error_chain(&error);
                tracing::warn!(issuer = config.issuer, error, "the identity provider cannot be used");
                None
            }
        });
        *self.provider.write().unwrap_or_else(PoisonError::into_inner) = provider;
    }

    /// Whether a provider is configured.
    pub(crate) fn is_configured(&self) -> bool {
        self.provider().is_ok()
    }

    fn provider(&self) -> Result<Arc<Provider>, OidcError> {
        self.provider.read().unwrap_or_else(PoisonError::into_inner).clone().ok_or(OidcError::NotConfigured)
    }

    /// Begins a login in a browser. `server` is the server's URL.
    pub(crate) async fn begin(
        &self,
        destination: Destination,
        origin: Network,
        server: &str,
    ) -> Result<BrowserRedirect, OidcError> {
        let provider = self.provider()?;
        let metadata = provider.metadata().await?;
        let secrets = LoginSecrets { state: random_bytes()?, nonce: random_bytes()?, verifier: random_bytes()? };
        let cookie = secret_text()?;
        let redirect_uri = format!("{server}{CALLBACK_PATH}");
        let now = self.clock.now();
        let client = provider.client(None, &redirect_uri);
        let (login, location) = Login::begin(&metadata, &client, secrets, now.wall);
        let state = SecretHash::of(login.state().as_bytes());
        let browser = SecretHash::of(cookie.as_bytes());
        let entry = BrowserLogin { provider, login, browser, destination };
        locked(&self.browsers).insert(state, origin, entry, LOGIN_LIMIT, now.instant);
        Ok(BrowserRedirect { location, cookie })
    }

    /// Ends a login in a browser, which has returned with this cookie.
    pub(crate) async fn finish(
        &self,
        callback: &Callback,
        cookie: Option<&str>,
    ) -> Result<(Person, Destination), FailedReturn> {
        let now = self.clock.now().instant;
        let state = callback.state.as_deref().map(|state| SecretHash::of(state.as_bytes()));
        let found = state.and_then(|state| locked(&self.browsers).take(&state, now));
        let Some(BrowserLogin { provider, login, browser, destination }) = found else {
            return Err(FailedReturn { error: Refusal::State.into(), waiting: None });
        };
        if let Err(refusal) = check_browser(&browser, cookie) {
            return Err(FailedReturn { error: refusal.into(), waiting: None });
        }
        match self.exchange(&provider, login, callback).await {
            Ok(person) => Ok((person, destination)),
            Err(error) => {
                let waiting = match destination {
                    Destination::Loopback(waiting) => Some(waiting),
                    Destination::Page(_) => None,
                };
                Err(FailedReturn { error, waiting })
            }
        }
    }

    async fn exchange(&self, provider: &Provider, login: Login, callback: &Callback) -> Result<Person, OidcError> {
        let nonce = login.nonce();
        let secret = provider.read_secret().await?;
        let client = provider.client(secret.as_deref(), "");
        let request = login.accept(callback, &client, self.clock.now().wall)?;
        let response = provider.post_token(&request).await?;
        let token = id_token(&response)?;
        let claims = provider.verify(&token, Some(&nonce)).await?;
        person(provider.config(), claims)
    }

    /// Remembers a person until the program that waits presents the code, which is returned.
    pub(crate) fn hand_over(&self, person: Person, waiting: Loopback, origin: Network) -> Result<String, OidcError> {
        let code = secret_text()?;
        let hash = SecretHash::of(code.as_bytes());
        let now = self.clock.now().instant;
        locked(&self.handovers).insert(hash, origin, Handover { person, waiting }, HANDOVER_LIFE, now);
        Ok(code)
    }

    /// Exchanges the code that the browser brought. It is used up by the first attempt.
    pub(crate) fn redeem(&self, code: &str, verifier: &str) -> Result<Person, OidcError> {
        let hash = SecretHash::of(code.as_bytes());
        let found = locked(&self.handovers).take(&hash, self.clock.now().instant);
        let Handover { person, waiting } = found.ok_or(Refusal::Handover)?;
        waiting.check(verifier)?;
        Ok(person)
    }

    /// Begins a device login.
    pub(crate) async fn begin_device(&self, origin: Network) -> Result<DeviceStart, OidcError> {
        let provider = self.provider()?;
        let metadata = provider.metadata().await?;
        let secret = provider.read_secret().await?;
        let (endpoint, request) = DeviceCodes::request(&metadata, &provider.client(secret.as_deref(), ""))?;
        let codes = DeviceCodes::parse(&provider.post(endpoint, &request).await?)?;
        let handle = secret_text()?;
        let hash = SecretHash::of(handle.as_bytes());
        let now = self.clock.now().instant;
        let login = DeviceLogin::begin(&metadata, &codes, now);
        let entry = DeviceInProgress { provider, login };
        locked(&self.devices).insert(hash, origin, entry, codes.life, now);
        Ok(DeviceStart { handle, codes })
    }

    /// Returns whether the person has confirmed a device login.
    pub(crate) async fn poll_device(&self, handle: &str) -> Result<DeviceState, OidcError> {
        let hash = SecretHash::of(handle.as_bytes());
        let provider = {
            let mut devices = locked(&self.devices);
            let found = devices.get_mut(&hash, self.clock.now().instant).ok_or(Refusal::Handover)?;
            Arc::clone(&found.provider)
        };
        let secret = provider.read_secret().await?;
        let client = provider.client(secret.as_deref(), "");
        let poll = {
            let mut devices = locked(&self.devices);
            let now = self.clock.now().instant;
            devices.get_mut(&hash, now).ok_or(Refusal::Handover)?.login.poll(&client, now)
        };
        let request = match poll {
            DevicePoll::Wait(wait) => return Ok(DeviceState::Pending(wait)),
            DevicePoll::Ask(request) => request,
        };
        let response = provider.post_token(&request).await?;
        let answer = {
            let mut devices = locked(&self.devices);
            let now = self.clock.now().instant;
            let answer = devices.get_mut(&hash, now).ok_or(Refusal::TooLate)?.login.answer(&response, now);
            // A token or a refusal ends it.
            if !matches!(answer, Ok(DeviceAnswer::Pending(_))) {
                devices.take(&hash, now);
            }
            answer?
        };
        match answer {
            DeviceAnswer::Pending(wait) => Ok(DeviceState::Pending(wait)),
            DeviceAnswer::Confirmed(token) => {
                let claims = provider.verify(&token, None).await?;
                Ok(DeviceState::Confirmed(Box::new(person(provider.config(), claims)?)))
            }
        }
    }
}

/// Returns the person of verified claims.
fn person(config: &OidcConfig, claims: Claims) -> Result<Person, OidcError> {
    let identity = OidcIdentity::new(&config.issuer, &claims.subject).map_err(|_| Refusal::Malformed)?;
    let login = access_of(&config.groups, &claims.groups).map(|access| OidcLogin {
        names: user_names(claims.name.as_deref(), &config.issuer, &claims.subject),
        identity: identity.clone(),
        access,
    });
    Ok(Person { identity, login })
}

/// Returns a new secret of 256 bits, as text.
fn secret_text() -> Result<String, TransportError> {
    Ok(BASE64URL_NOPAD.encode(&random_bytes::<32>()?))
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
