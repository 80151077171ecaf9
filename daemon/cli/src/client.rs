//! One connection to the server, and one request at a time over it.
//!
//! The connection is opened by the first request, through `linecamp-transport`, which judges the server before a
//! byte of the key is sent. A request that fails on the way closes it, and the next one dials again: whoever wants
//! to wait for a server that restarts (`event tail`) only has to ask again. Redirects are not followed, nothing is
//! cached. Nothing is retried but what the server did not do because this key changes too much at a time (429): that
//! waits as long as the server says, a few times.

mod error;
mod request;

use std::time::Duration;

use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use linecamp_proto::api::ErrorBody;
use serde::de::DeserializeOwned;

pub(crate) use error::ClientError;
pub(crate) use request::ApiRequest;

use self::request::Body;
use crate::config::Config;

/// Bytes of an answer: some 3,000 sites, with one host and a dozen labels each (about 5 KiB of JSON). A larger one is
/// an error, which a selector cures.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How often a request is repeated that came too soon. The server takes a hundred changes a second of one key, so only
/// many scripts with one key get here; past it the refusal is shown.
const RETRIES_MAX: usize = 5;

/// The longest wait for the next attempt. A server that asks for more is not waited for.
const RETRY_WAIT_MAX: Duration = Duration::from_secs(10);

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const BYTES: HeaderValue = HeaderValue::from_static("application/octet-stream");
const AGENT: HeaderValue = HeaderValue::from_static(concat!("linecamp/", env!("CARGO_PKG_VERSION")));

/// A client of one server.
#[derive(Debug)]
pub(crate) struct Client {
    config: Config,
    timeout: Duration,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Client {
    /// Makes a client that has not dialed yet; `timeout` bounds each request.
    pub(crate) const fn new(config: Config, timeout: Duration) -> Self {
        Self { config, timeout, sender: None }
    }

    /// Returns where the server is.
    pub(crate) fn server(&self) -> String {
        self.config.server.to_string()
    }

    /// Returns the key that is shown to it.
    pub(crate) fn key(&self) -> String {
        self.config.key.reveal().to_owned()
    }

    /// Asks, and reads the answer. Cancel-safe: an unanswered request closes the connection.
    pub(crate) async fn send<T: DeserializeOwned>(&mut self, request: ApiRequest) -> Result<T, ClientError> {
        let answer = self.answer(request).await?;
        self.read(&answer)
    }

    /// Asks for a file, and returns it as it is.
    pub(crate) async fn fetch(&mut self, request: ApiRequest) -> Result<Bytes, ClientError> {
        let answer = self.answer(request).await?;
        if answer.status.is_success() { Ok(answer.body) } else { Err(self.refusal(&answer)) }
    }

    async fn answer(&mut self, request: ApiRequest) -> Result<Answer, ClientError> {
        for _ in 0..RETRIES_MAX {
            let answer = self.answer_once(request.clone()).await?;
            match answer.retry_after.filter(|wait| *wait <= RETRY_WAIT_MAX) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return Ok(answer),
            }
        }
        self.answer_once(request).await
    }

    async fn answer_once(&mut self, request: ApiRequest) -> Result<Answer, ClientError> {
        let limit = self.timeout + request.wait;
        let open = self.sender.take().filter(|sender| !sender.is_closed());
        let exchange = async {
            let sender = match open {
                Some(sender) => sender,
                None => dial(&self.config).await?,
            };
            self.exchange(sender, request).await
        };
        let (answer, sender) = match tokio::time::timeout(limit, exchange).await {
            Ok(exchanged) => exchanged?,
            Err(_) => {
                return Err(ClientError::Late { server: self.server(), limit });
            }
        };
        self.sender = Some(sender);
        Ok(answer)
    }

    async fn exchange(
        &self,
        mut sender: SendRequest<Full<Bytes>>,
        request: ApiRequest,
    ) -> Result<(Answer, SendRequest<Full<Bytes>>), ClientError> {
        let lost = |source| ClientError::Lost { server: self.server(), source };
        let request = self.http_request(request)?;
        sender.ready().await.map_err(lost)?;
        let response = sender.send_request(request).await.map_err(lost)?;
        let answer = self.collect(response).await?;
        Ok((answer, sender))
    }

    fn http_request(&self, request: ApiRequest) -> Result<Request<Full<Bytes>>, ClientError> {
        let malformed = |source| ClientError::Request { source };
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", self.config.key.reveal()))
            .map_err(|error| malformed(error.into()))?;
        bearer.set_sensitive(true);
        let mut builder = Request::builder()
            .method(request.method)
            .uri(request.target)
            .header(HOST, self.config.server.authority())
            .header(AUTHORIZATION, bearer)
            .header(ACCEPT, JSON)
            .header(USER_AGENT, AGENT);
        let body = match request.body {
            Some(Body::Json(bytes)) => {
                builder = builder.header(CONTENT_TYPE, JSON);
                bytes
            }
            Some(Body::Raw(bytes)) => {
                builder = builder.header(CONTENT_TYPE, BYTES);
                bytes
            }
            None => Bytes::new(),
        };
        builder.body(Full::new(body)).map_err(malformed)
    }

    async fn collect(&self, response: Response<Incoming>) -> Result<Answer, ClientError> {
        let status = response.status();
        let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let retry_after = seconds.map(Duration::from_secs).filter(|_| status == StatusCode::TOO_MANY_REQUESTS);
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX);
        match body.collect().await {
            Ok(body) => Ok(Answer { status, retry_after, body: body.to_bytes() }),
            Err(error) if error.is::<LengthLimitError>() => Err(ClientError::TooLarge { server: self.server() }),
            Err(source) => Err(ClientError::CutShort { server: self.server(), source }),
        }
    }

    fn read<T: DeserializeOwned>(&self, answer: &Answer) -> Result<T, ClientError> {
        if answer.status.is_success() {
            return serde_json::from_slice(&answer.body)
                .map_err(|source| ClientError::Unreadable { server: self.server(), source });
        }
        Err(self.refusal(answer))
    }

    fn refusal(&self, answer: &Answer) -> ClientError {
        match serde_json::from_slice::<ErrorBody>(&answer.body) {
            Ok(body) => {
                ClientError::Refused { server: self.server(), code: body.error.code, message: body.error.message }
            }
            Err(_) => ClientError::Foreign { server: self.server(), status: answer.status },
        }
    }
}

struct Answer {
    status: StatusCode,
    /// When the server takes this request, if it did not because there were too many.
    retry_after: Option<Duration>,
    body: Bytes,
}

/// The one place that opens a connection.
async fn dial(config: &Config) -> Result<SendRequest<Full<Bytes>>, ClientError> {
    let server = &config.server;
    let stream = linecamp_transport::connect(&server.host, server.port, &config.trust)
        .await
        .map_err(|source| ClientError::Dial { source })?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|source| ClientError::Lost { server: server.to_string(), source })?;
    // Whatever ends the connection, the request on it reports.
    tokio::spawn(connection);
    Ok(sender)
}

#[cfg(test)]
mod tests;
