//! Requests to the identity provider: one connection each, because there are few. Redirects are not followed, and the
//! size and the time of an answer are bounded.

use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use linecamp_model::ServerAddress;
use linecamp_oidc::{DOCUMENT_BYTES_MAX, Endpoint, TokenRequest};
use linecamp_transport::{
    Cause, OutboundTls, Pace, TransportError, connect_first, dial_order, error_chain, http_connection, resolve,
};
use tokio::net::TcpStream;

/// Time limit of a request, from the name to the last byte. A person waits for it.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);

/// Time limit of the connection to one address.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Maximum length of the head of a response, in bytes.
const HEAD_BYTES_MAX: usize = 32 * 1024;

const AGENT: HeaderValue = HeaderValue::from_static(concat!("linecamp-server/", env!("CARGO_PKG_VERSION")));
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

/// A client of the provider.
pub(super) struct ProviderClient(OutboundTls);

/// What the provider answered.
pub(super) struct ProviderAnswer {
    pub(super) status: u16,
    pub(super) body: Bytes,
}

impl ProviderClient {
    /// Creates a client that trusts the public authorities and those in `ca_file`. Reads the file.
    pub(super) fn new(ca_file: Option<&Path>) -> Result<Self, TransportError> {
        OutboundTls::new(ca_file).map(Self)
    }

    /// Reads a document.
    pub(super) async fn get(&self, endpoint: &Endpoint) -> Result<ProviderAnswer, String> {
        self.send(endpoint, Request::get(endpoint.target()), Bytes::new()).await
    }

    /// Sends a form.
    pub(super) async fn post(&self, endpoint: &Endpoint, form: &TokenRequest) -> Result<ProviderAnswer, String> {
        let mut request = Request::post(endpoint.target()).header(CONTENT_TYPE, FORM);
        if let Some(authorization) = &form.authorization {
            let mut value = HeaderValue::try_from(authorization).map_err(|error| error.to_string())?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        self.send(endpoint, request, form.form.clone().into()).await
    }

    async fn send(
        &self,
        endpoint: &Endpoint,
        request: hyper::http::request::Builder,
        body: Bytes,
    ) -> Result<ProviderAnswer, String> {
        match tokio::time::timeout(REQUEST_LIMIT, self.exchange(endpoint, request, body)).await {
            Ok(answered) => answered.map_err(|error| format!("{}: {}", endpoint.authority(), error_chain(&*error))),
            Err(_) => Err(format!("{}: no answer within {} s", endpoint.authority(), REQUEST_LIMIT.as_secs())),
        }
    }

    async fn exchange(
        &self,
        endpoint: &Endpoint,
        request: hyper::http::request::Builder,
        body: Bytes,
    ) -> Result<ProviderAnswer, Cause> {
        let request = request.header(HOST, endpoint.authority()).header(ACCEPT, JSON).header(USER_AGENT, AGENT);
        let request = request.body(Full::new(body))?;
        let stream = connect(endpoint).await?;
        let (mut sender, connection) = match endpoint.is_tls() {
            true => http_connection(self.0.wrap(endpoint.host(), stream).await?, HEAD_BYTES_MAX).await?,
            false => http_connection(stream, HEAD_BYTES_MAX).await?,
        };
        let exchange = async {
            let (head, body) = sender.send_request(request).await?.into_parts();
            let body = Limited::new(body, DOCUMENT_BYTES_MAX).collect().await?;
            Ok(ProviderAnswer { status: head.status.as_u16(), body: body.to_bytes() })
        };
        connection.complete(exchange).await
    }
}

impl std::fmt::Debug for ProviderClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProviderClient")
    }
}

/// Connects to the first address that answers.
async fn connect(endpoint: &Endpoint) -> Result<TcpStream, Cause> {
    let (host, port) = (endpoint.host(), endpoint.port());
    let address = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let addresses = resolve(&ServerAddress::parse(&address)?).await?;
    let attempt = |address| async move {
        match tokio::time::timeout(CONNECT_LIMIT, TcpStream::connect(address)).await {
            Ok(connected) => connected.map_err(|error| error.to_string()),
            Err(_) => Err("no answer".to_owned()),
        }
    };
    match connect_first(dial_order(&addresses, None), Pace::TCP, attempt).await {
        Ok((_, stream)) => Ok(stream),
        Err(failures) => {
            let failures = failures.into_iter().map(|(address, error)| format!("{address}: {error}"));
            Err(failures.collect::<Vec<_>>().join("; ").into())
        }
    }
}
