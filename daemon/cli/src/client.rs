//! HTTP client: one connection to the server, one request at a time.
//!
//! The first request opens the connection through `linecamp-transport`, which authenticates the server before the API
//! key is sent. A transport error closes the connection, and the next request reconnects. A stream of messages has a
//! connection of its own. Redirects are not followed and responses are not cached. There are two automatic retries. One
//! is for HTTP 429 (rate limit of the API key): it waits for `Retry-After`, at most [`RETRIES_MAX`] times. The other is
//! for a lost connection, if the operation takes an idempotency key: with it, the server performs a request once,
//! however often it is sent.

mod error;
mod request;
mod server_events;

use std::time::Duration;

use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use linecamp_proto::api::Problem;
use linecamp_proto::api::operation::{Body, DecodedBody, EventStream, Method, Operation, PROBLEM_MEDIA};

pub(crate) use error::ClientError;
pub(crate) use request::ApiRequest;
pub(crate) use server_events::ServerEvents;

use crate::credentials::{ApiKey, Config};

/// Maximum response size in bytes. The largest is a package of the daemon, for an installer; a page of a list has less
/// than 16 MiB (`PAGE_BYTES_MAX` of the server, and half as much again as JSON). A larger response is an error.
const RESPONSE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How often a rate-limited request is retried. The server allows a hundred changes per second and key, so only many
/// scripts with one key reach this. After that the error is reported.
const RETRIES_MAX: usize = 5;

/// The longest `Retry-After` to wait for. A longer one is reported as an error.
const RETRY_WAIT_MAX: Duration = Duration::from_secs(10);

const AGENT: HeaderValue = HeaderValue::from_static(concat!("linecamp/", env!("CARGO_PKG_VERSION")));

/// The header with the key of a request that may be sent again.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// When a request with an idempotency key is sent again after the connection was lost: a server needs some seconds to
/// restart.
const REPEAT_SECONDS: [u64; 3] = [1, 2, 4];

/// The header with the id of the last message of a stream.
const LAST_EVENT_ID: &str = "last-event-id";

/// A client for one server.
#[derive(Debug)]
pub(crate) struct Client {
    config: Config,
    timeout: Duration,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Client {
    /// Creates a client that is not connected yet. `timeout` applies to each request.
    pub(crate) const fn new(config: Config, timeout: Duration) -> Self {
        Self { config, timeout, sender: None }
    }

    /// Returns the server URL.
    pub(crate) fn server(&self) -> String {
        self.config.server.to_string()
    }

    /// Returns the API key or the secret of the session; empty before a login.
    pub(crate) fn key(&self) -> String {
        self.config.key.as_ref().map(|key| key.reveal().to_owned()).unwrap_or_default()
    }

    /// Returns a client for the same server with these credentials.
    pub(crate) fn with_key(self, key: ApiKey) -> Self {
        Self { config: Config { key: Some(key), ..self.config }, ..self }
    }

    /// Sends a request and decodes the response. Cancel-safe: an unfinished request closes the connection.
    pub(crate) async fn send<O>(&mut self, request: ApiRequest<O>) -> Result<Answer<O>, ClientError>
    where
        O: Operation<Response: DecodedBody> + Clone,
    {
        let response = self.send_with_retry(request).await?;
        if !response.status.is_success() {
            return Err(self.error_of(&response));
        }
        O::Response::decode(&response.body)
            .map_err(|source| ClientError::InvalidResponse { server: self.server(), source })
    }

    /// Downloads a file.
    pub(crate) async fn fetch<O: Operation + Clone>(&mut self, request: ApiRequest<O>) -> Result<Bytes, ClientError> {
        let response = self.send_with_retry(request).await?;
        if response.status.is_success() { Ok(response.body) } else { Err(self.error_of(&response)) }
    }

    /// Opens a stream of messages on a connection of its own. It continues after the message `last_id`.
    pub(crate) async fn follow<O: Operation<Response = EventStream>>(
        &self,
        request: ApiRequest<O>,
        last_id: Option<&str>,
    ) -> Result<ServerEvents, ClientError> {
        let lost = |source| ClientError::ConnectionLost { server: self.server(), source };
        let mut http_request = self.http_request(request)?;
        if let Some(id) = last_id.and_then(|id| HeaderValue::from_str(id).ok()) {
            http_request.headers_mut().insert(LAST_EVENT_ID, id);
        }
        let open = async {
            let mut sender = dial(&self.config).await?;
            sender.ready().await.map_err(lost)?;
            let response = sender.send_request(http_request).await.map_err(lost)?;
            if response.status().is_success() {
                return Ok(Ok(response.into_body()));
            }
            Ok(Err(self.collect(response).await?))
        };
        let opened = tokio::time::timeout(self.timeout, open).await;
        match opened.map_err(|_| ClientError::Timeout { server: self.server(), limit: self.timeout })?? {
            Ok(body) => Ok(ServerEvents::new(self.server(), body)),
            Err(response) => Err(self.error_of(&response)),
        }
    }

    async fn send_with_retry<O: Operation + Clone>(
        &mut self,
        mut request: ApiRequest<O>,
    ) -> Result<ApiResponse, ClientError> {
        if O::SPEC.is_keyed {
            request.key = linecamp_transport::random_bytes::<16>().ok().map(|bytes| hex(&bytes));
        }
        for _ in 0..RETRIES_MAX {
            let response = self.send_reliably(&request).await?;
            match response.retry_after.filter(|wait| *wait <= RETRY_WAIT_MAX) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return Ok(response),
            }
        }
        self.send_reliably(&request).await
    }

    /// Sends a request again if it has an idempotency key and the connection is lost. If the server is not reachable
    /// again in time, the error is the lost connection: the request may have been applied.
    async fn send_reliably<O: Operation + Clone>(
        &mut self,
        request: &ApiRequest<O>,
    ) -> Result<ApiResponse, ClientError> {
        let mut lost = match self.send_once(request.clone()).await {
            Err(error) if error.is_loss() && request.key.is_some() => error,
            answered => return answered,
        };
        for delay in REPEAT_SECONDS {
            tokio::time::sleep(Duration::from_secs(delay)).await;
            match self.send_once(request.clone()).await {
                Err(error) if error.is_loss() => lost = error,
                Err(ClientError::Dial { source }) if !source.needs_operator() => {}
                answered => return answered,
            }
        }
        Err(lost)
    }

    async fn send_once<O: Operation>(&mut self, request: ApiRequest<O>) -> Result<ApiResponse, ClientError> {
        let limit = self.timeout + request.wait;
        let open = self.sender.take().filter(|sender| !sender.is_closed());
        let exchange = async {
            let sender = match open {
                Some(sender) => sender,
                None => dial(&self.config).await?,
            };
            self.exchange(sender, request).await
        };
        let (response, sender) = match tokio::time::timeout(limit, exchange).await {
            Ok(result) => result?,
            Err(_) => {
                return Err(ClientError::Timeout { server: self.server(), limit });
            }
        };
        self.sender = Some(sender);
        Ok(response)
    }

    async fn exchange<O: Operation>(
        &self,
        mut sender: SendRequest<Full<Bytes>>,
        request: ApiRequest<O>,
    ) -> Result<(ApiResponse, SendRequest<Full<Bytes>>), ClientError> {
        let lost = |source| ClientError::ConnectionLost { server: self.server(), source };
        let request = self.http_request(request)?;
        sender.ready().await.map_err(lost)?;
        let response = sender.send_request(request).await.map_err(lost)?;
        let response = self.collect(response).await?;
        Ok((response, sender))
    }

    fn http_request<O: Operation>(&self, request: ApiRequest<O>) -> Result<Request<Full<Bytes>>, ClientError> {
        let malformed = |source| ClientError::Request { source };
        let accepted = [O::Response::MEDIA, Some(PROBLEM_MEDIA)].into_iter().flatten().collect::<Vec<_>>().join(", ");
        let mut builder = Request::builder()
            .method(method(O::SPEC.method))
            .uri(request.target)
            .header(HOST, self.config.server.authority())
            .header(ACCEPT, accepted)
            .header(USER_AGENT, AGENT);
        if let Some(key) = &self.config.key {
            let bearer = HeaderValue::from_str(&format!("Bearer {}", key.reveal()));
            let mut bearer = bearer.map_err(|error| malformed(error.into()))?;
            bearer.set_sensitive(true);
            builder = builder.header(AUTHORIZATION, bearer);
        }
        if let Some(key) = &request.key {
            builder = builder.header(IDEMPOTENCY_KEY, key);
        }
        if let (Some(_), Some(media)) = (&request.body, O::Request::MEDIA) {
            builder = builder.header(CONTENT_TYPE, media);
        }
        builder.body(Full::new(request.body.unwrap_or_default())).map_err(malformed)
    }

    async fn collect(&self, response: Response<Incoming>) -> Result<ApiResponse, ClientError> {
        let status = response.status();
        let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let retry_after = seconds.map(Duration::from_secs).filter(|_| status == StatusCode::TOO_MANY_REQUESTS);
        let body = Limited::new(response.into_body(), RESPONSE_BYTES_MAX);
        match body.collect().await {
            Ok(body) => Ok(ApiResponse { status, retry_after, body: body.to_bytes() }),
            Err(error) if error.is::<LengthLimitError>() => {
                Err(ClientError::ResponseTooLarge { server: self.server() })
            }
            Err(source) => Err(ClientError::IncompleteResponse { server: self.server(), source }),
        }
    }

    fn error_of(&self, response: &ApiResponse) -> ClientError {
        match serde_json::from_slice(&response.body) {
            Ok(Problem { code, detail, problems, .. }) => ClientError::Rejected { code, message: detail, problems },
            Err(_) => ClientError::UnexpectedResponse { server: self.server(), status: response.status },
        }
    }
}

/// What the operation `O` answers.
pub(crate) type Answer<O> = <<O as Operation>::Response as Body>::Value;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

const fn method(method: Method) -> hyper::Method {
    match method {
        Method::Get => hyper::Method::GET,
        Method::Post => hyper::Method::POST,
        Method::Patch => hyper::Method::PATCH,
        Method::Delete => hyper::Method::DELETE,
    }
}

struct ApiResponse {
    status: StatusCode,
    /// How long to wait before a retry, if the request was rate-limited.
    retry_after: Option<Duration>,
    body: Bytes,
}

/// Opens a connection. Nothing else in this crate does.
async fn dial(config: &Config) -> Result<SendRequest<Full<Bytes>>, ClientError> {
    let server = &config.server;
    let stream = linecamp_transport::connect(&server.host, server.port, &config.trust)
        .await
        .map_err(|source| ClientError::Dial { source })?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|source| ClientError::ConnectionLost { server: server.to_string(), source })?;
    // The pending request reports connection errors.
    tokio::spawn(connection);
    Ok(sender)
}

#[cfg(test)]
mod tests;
