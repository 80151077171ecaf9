//! The provider of one configuration: its documents, and its keys.

use linecamp_oidc::{
    Claims, Client, Endpoint, Expected, KeySet, ProviderCache, ProviderMetadata, Refusal, TokenRequest, verify,
};
use linecamp_service::Clock;
use linecamp_transport::TransportError;

use super::OidcError;
use super::http::{ProviderAnswer, ProviderClient};
use crate::config::OidcConfig;

/// Maximum size of the file with the client's secret, in bytes. A larger file is not read.
const SECRET_BYTES_MAX: u64 = 4096;

/// A provider. A new configuration makes another one.
#[derive(Debug)]
pub(super) struct Provider {
    config: OidcConfig,
    client: ProviderClient,
    clock: Clock,
    /// Held while a document is read: others that need it wait and then have it.
    cache: tokio::sync::Mutex<ProviderCache>,
}

impl Provider {
    pub(super) fn new(config: OidcConfig, clock: Clock) -> Result<Self, TransportError> {
        let client = ProviderClient::new(config.ca_file.as_deref())?;
        Ok(Self { config, client, clock, cache: tokio::sync::Mutex::default() })
    }

    pub(super) const fn config(&self) -> &OidcConfig {
        &self.config
    }

    /// Returns this server, as the provider knows it.
    pub(super) fn client<'a>(&'a self, secret: Option<&'a str>, redirect_uri: &'a str) -> Client<'a> {
        Client { id: &self.config.client_id, secret, redirect_uri, scopes: &self.config.scopes }
    }

    /// Reads the client's secret at each use, so that it can be replaced at any time.
    pub(super) async fn read_secret(&self) -> Result<Option<String>, OidcError> {
        let Some(path) = self.config.secret_file.clone() else { return Ok(None) };
        let shown = path.display().to_string();
        let read = tokio::task::spawn_blocking(move || linecamp_files::read_text(&path, SECRET_BYTES_MAX)).await;
        let problem = match read {
            Ok(Ok(text)) if !text.trim().is_empty() => return Ok(Some(text.trim().to_owned())),
            Ok(Ok(_)) => "the file is empty".to_owned(),
            Ok(Err(error)) => linecamp_transport::error_chain(&error),
            Err(_) => "it was not read".to_owned(),
        };
        tracing::warn!(path = shown, problem, "cannot read the client secret of the identity provider");
        Err(self.unavailable("this server has no client secret; see its log".to_owned()))
    }

    /// Returns the provider's metadata.
    pub(super) async fn metadata(&self) -> Result<ProviderMetadata, OidcError> {
        let mut cache = self.cache.lock().await;
        if let Some(metadata) = cache.metadata(self.clock.now().instant) {
            return Ok(metadata.clone());
        }
        let location = ProviderMetadata::location(&self.config.issuer)?;
        let body = self.read(&mut cache, &location).await?;
        let parsed = ProviderMetadata::parse(&self.config.issuer, &body);
        let metadata = self.parsed_or_failed(&mut cache, parsed)?;
        cache.set_metadata(metadata.clone(), self.clock.now().instant);
        Ok(metadata)
    }

    /// Verifies an ID token. An unknown key reads the keys again, if they were not read just now.
    pub(super) async fn verify(&self, token: &str, nonce: Option<&str>) -> Result<Claims, OidcError> {
        let expected = Expected {
            issuer: &self.config.issuer,
            client_id: &self.config.client_id,
            nonce,
            groups_claim: &self.config.groups_claim,
            now: self.clock.now().wall,
        };
        match verify(token, &self.keys(false).await?, &expected) {
            Err(Refusal::UnknownKey) => Ok(verify(token, &self.keys(true).await?, &expected)?),
            verified => Ok(verified?),
        }
    }

    async fn keys(&self, again: bool) -> Result<KeySet, OidcError> {
        let metadata = self.metadata().await?;
        let mut cache = self.cache.lock().await;
        let now = self.clock.now().instant;
        let is_enough = !again || !cache.may_read_keys_again(now);
        if let Some(keys) = cache.keys(now).filter(|_| is_enough) {
            return Ok(keys.clone());
        }
        let body = self.read(&mut cache, &metadata.jwks).await?;
        let keys = self.parsed_or_failed(&mut cache, KeySet::parse(&body))?;
        cache.set_keys(keys.clone(), self.clock.now().instant);
        Ok(keys)
    }

    /// Sends a request to the token endpoint.
    pub(super) async fn post_token(&self, request: &TokenRequest) -> Result<Vec<u8>, OidcError> {
        let endpoint = self.metadata().await?.token_endpoint;
        self.post(&endpoint, request).await
    }

    /// Sends a request. An error document of the provider is an answer: its code says more than the status.
    pub(super) async fn post(&self, endpoint: &Endpoint, request: &TokenRequest) -> Result<Vec<u8>, OidcError> {
        let ProviderAnswer { status, body } =
            self.client.post(endpoint, request).await.map_err(|problem| self.unavailable(problem))?;
        match status {
            200 | 400 | 401 | 403 | 429 => Ok(body.to_vec()),
            _ => Err(self.unavailable(format!("{}: status {status}", endpoint.authority()))),
        }
    }

    /// Reads a document, unless the provider failed a moment ago.
    async fn read(&self, cache: &mut ProviderCache, endpoint: &Endpoint) -> Result<Vec<u8>, OidcError> {
        if let Some(problem) = cache.failure(self.clock.now().instant) {
            return Err(self.unavailable(problem.to_owned()));
        }
        let problem = match self.client.get(endpoint).await {
            Ok(ProviderAnswer { status: 200, body }) => return Ok(body.to_vec()),
            Ok(ProviderAnswer { status, .. }) => format!("{endpoint}: status {status}"),
            Err(problem) => problem,
        };
        tracing::warn!(issuer = self.config.issuer, problem, "the identity provider does not answer");
        cache.set_failure(problem.clone(), self.clock.now().instant);
        Err(self.unavailable(problem))
    }

    /// Notes a document that cannot be used as a failure.
    fn parsed_or_failed<T>(&self, cache: &mut ProviderCache, parsed: Result<T, Refusal>) -> Result<T, OidcError> {
        parsed.map_err(|refusal| {
            let problem = refusal.to_string();
            tracing::warn!(issuer = self.config.issuer, problem, "the identity provider cannot be used");
            cache.set_failure(problem.clone(), self.clock.now().instant);
            self.unavailable(problem)
        })
    }

    fn unavailable(&self, problem: String) -> OidcError {
        OidcError::Unavailable { issuer: self.config.issuer.clone(), problem }
    }
}
