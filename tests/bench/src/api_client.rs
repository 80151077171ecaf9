//! One persistent connection to the server's API, with one request at a time.

use std::net::SocketAddr;

use anyhow::{Context as _, bail};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use linecamp_model::Pin;
use linecamp_transport::{ApiTrust, connect};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A client of one server.
#[derive(Debug)]
pub(crate) struct ApiClient {
    address: SocketAddr,
    trust: ApiTrust,
    bearer: String,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl ApiClient {
    pub(crate) fn new(address: SocketAddr, pin: Pin, key: &str) -> Self {
        Self { address, trust: ApiTrust::Pin(pin), bearer: format!("Bearer {key}"), sender: None }
    }

    /// Dials in advance, so that the first request does not have to.
    pub(crate) async fn connect(&mut self) -> anyhow::Result<()> {
        if self.sender.as_ref().is_none_or(SendRequest::is_closed) {
            let (host, port) = (self.address.ip().to_string(), self.address.port());
            let stream = connect(&host, port, &self.trust).await?;
            let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
            // If the connection ends, the pending request reports why.
            tokio::spawn(connection);
            self.sender = Some(sender);
        }
        Ok(())
    }

    /// Sends a GET request.
    pub(crate) async fn get<T: DeserializeOwned>(&mut self, target: &str) -> anyhow::Result<T> {
        read(&self.ask(Method::GET, target, Bytes::new()).await?)
    }

    /// Sends a GET request and returns the raw response body.
    pub(crate) async fn get_raw(&mut self, target: &str) -> anyhow::Result<Bytes> {
        self.ask(Method::GET, target, Bytes::new()).await
    }

    /// Sends a POST request.
    pub(crate) async fn post<T: DeserializeOwned>(&mut self, target: &str, body: &impl Serialize) -> anyhow::Result<T> {
        let body = serde_json::to_vec(body)?;
        read(&self.ask(Method::POST, target, body.into()).await?)
    }

    /// Sends a GET request and returns the response body, which may have no end. The connection is the body's alone.
    pub(crate) async fn open(mut self, target: &str) -> anyhow::Result<Incoming> {
        let (response, _) = self.send(Method::GET, target, Bytes::new()).await?;
        anyhow::ensure!(response.status().is_success(), "{target}: {}", response.status());
        Ok(response.into_body())
    }

    async fn ask(&mut self, method: Method, target: &str, body: Bytes) -> anyhow::Result<Bytes> {
        let (response, sender) = self.send(method, target, body).await?;
        let status = response.status();
        let bytes = response.into_body().collect().await?.to_bytes();
        if !status.is_success() {
            bail!("{target}: {status}: {}", String::from_utf8_lossy(&bytes));
        }
        self.sender = Some(sender);
        Ok(bytes)
    }

    async fn send(
        &mut self,
        method: Method,
        target: &str,
        body: Bytes,
    ) -> anyhow::Result<(Response<Incoming>, SendRequest<Full<Bytes>>)> {
        self.connect().await?;
        // A failed request drops its connection.
        let mut sender = self.sender.take().context("it was dialled a moment ago")?;
        let request = Request::builder()
            .method(method)
            .uri(target)
            .header(HOST, self.address.to_string())
            .header(AUTHORIZATION, &self.bearer)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))?;
        sender.ready().await?;
        let response = sender.send_request(request).await?;
        Ok((response, sender))
    }
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> anyhow::Result<T> {
    serde_json::from_slice(bytes).context("the server's answer does not read")
}
