//! A small client of the server's API: one persistent connection, redialed when it breaks.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper_util::rt::TokioIo;
use linecamp_model::Pin;
use linecamp_model::limits::PAGE_ITEMS_MAX;
use linecamp_proto::api;
use linecamp_proto::api::operation::{Body, DecodedBody, EncodedBody, ListSites, Operation, ShowServer};
use linecamp_transport::{ApiTrust, connect};

/// Timeout of one request. Then the connection is dropped, and a polling caller retries.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// What the operation `O` answers.
type Answer<O> = <<O as Operation>::Response as Body>::Value;

/// A client of one server. It has no `Debug`, because it holds the API key.
pub(super) struct Api {
    address: SocketAddr,
    trust: ApiTrust,
    bearer: String,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Api {
    pub(super) fn new(address: SocketAddr, pin: Pin, key: &str) -> Self {
        Self { address, trust: ApiTrust::Pin(pin), bearer: format!("Bearer {key}"), sender: None }
    }

    /// Returns how many sites the server reports connected.
    pub(super) async fn connected(&mut self) -> anyhow::Result<usize> {
        let server = self.request::<ShowServer>(ShowServer::SPEC.path, None).await?;
        usize::try_from(server.connected).context("more sites than this machine can count")
    }

    /// Returns all sites.
    pub(super) async fn sites(&mut self) -> anyhow::Result<Vec<api::Site>> {
        let path = ListSites::SPEC.path;
        let (mut sites, mut target) = (Vec::new(), format!("{path}?limit={PAGE_ITEMS_MAX}"));
        loop {
            let page = self.request::<ListSites>(&target, None).await?;
            sites.extend(page.items);
            match page.next {
                Some(next) => target = format!("{path}?limit={PAGE_ITEMS_MAX}&cursor={next}"),
                None => return Ok(sites),
            }
        }
    }

    /// Performs the operation `O`, which has a body and no parameter.
    pub(super) async fn send<O>(&mut self, body: &<O::Request as Body>::Value) -> anyhow::Result<Answer<O>>
    where
        O: Operation<Request: EncodedBody, Response: DecodedBody>,
    {
        self.request::<O>(O::SPEC.path, Some(O::Request::encode(body).into())).await
    }

    async fn request<O>(&mut self, target: &str, body: Option<Bytes>) -> anyhow::Result<Answer<O>>
    where
        O: Operation<Response: DecodedBody>,
    {
        let answered = tokio::time::timeout(ANSWER_LIMIT, self.exchange::<O>(target, body)).await;
        let answer =
            answered.with_context(|| format!("no response to {target} within {} s", ANSWER_LIMIT.as_secs()))??;
        O::Response::decode(&answer).with_context(|| format!("invalid response to {target}"))
    }

    async fn exchange<O: Operation>(&mut self, target: &str, body: Option<Bytes>) -> anyhow::Result<Bytes> {
        // A failed request drops its connection.
        let mut sender = match self.sender.take().filter(|sender| !sender.is_closed()) {
            Some(sender) => sender,
            None => self.dial().await?,
        };
        let request = Request::builder()
            .method(O::SPEC.method.as_str())
            .uri(target)
            .header(HOST, self.address.to_string())
            .header(AUTHORIZATION, &self.bearer)
            .header(CONTENT_TYPE, O::Request::MEDIA.unwrap_or_default())
            .body(Full::new(body.unwrap_or_default()))
            .context("failed to write a request")?;
        let failed = || format!("failed to request {target}");
        sender.ready().await.with_context(failed)?;
        let response = sender.send_request(request).await.with_context(failed)?;
        let status = response.status();
        let bytes = response.into_body().collect().await.with_context(failed)?.to_bytes();
        if !status.is_success() {
            bail!("the server rejected {target} ({status}): {}", String::from_utf8_lossy(&bytes));
        }
        self.sender = Some(sender);
        Ok(bytes)
    }

    async fn dial(&self) -> anyhow::Result<SendRequest<Full<Bytes>>> {
        let stream = connect(&self.address.ip().to_string(), self.address.port(), &self.trust).await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.context("failed to start HTTP")?;
        // If the connection ends, the pending request reports why.
        tokio::spawn(connection);
        Ok(sender)
    }
}
