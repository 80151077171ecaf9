//! Traces: spans of requests to the API and of handshakes of sites. They are sent to a collector over OTLP, if one is
//! configured.
//!
//! Spans have the target [`linecamp_service::SPAN_TARGET`], so that the log does not show them and the collector gets
//! nothing else. They name the operation, the path, the status, the caller and the request's ID, which the log and the
//! audit log have as well: no query, no header, no body.
//!
//! The exporter has a thread of its own and a bounded queue: if the collector is slow or away, spans are dropped, and
//! nothing else waits. Its HTTP requests run on the server's runtime.

use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use linecamp_transport::{OutboundTls, error_chain, http_connection};
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{Bytes, HttpClient, HttpError};
use opentelemetry_otlp::{ExporterBuildError, Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracer, SdkTracerProvider};
use tokio::net::TcpStream;
use tokio::runtime::Handle;

use crate::server_url::ServerUrl;

/// The path of traces at a collector (OTLP 1.0).
const PATH: &str = "/v1/traces";

/// Maximum number of spans that wait for the collector. Further ones are dropped.
const SPANS_MAX: usize = 2048;

/// Timeout for one request to the collector. After that its spans are dropped.
const EXPORT_LIMIT: Duration = Duration::from_secs(10);

/// How long a stopping server waits until the last spans are sent.
const STOP_LIMIT: Duration = Duration::from_secs(2);

/// Maximum size of a response of the collector and of its head, in bytes.
const RESPONSE_BYTES_MAX: usize = 64 * 1024;

/// Where traces are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collector {
    is_tls: bool,
    host: String,
    port: u16,
}

impl Collector {
    /// Parses `http://HOST:PORT` or `https://HOST[:PORT]`.
    ///
    /// # Errors
    /// The problem, as a phrase that follows the name of the key.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bad = || format!("is `{text}`; use http://HOST:PORT or https://HOST:PORT, without a path");
        let (is_tls, url) = match text.strip_prefix("http://") {
            Some(rest) => (false, ServerUrl::parse(&format!("https://{rest}"))),
            None => (true, ServerUrl::parse(text)),
        };
        let url = url.map_err(|_| bad())?;
        Ok(Self { is_tls, host: url.host().to_owned(), port: url.port() })
    }

    fn url(&self) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        match self.host.contains(':') {
            true => format!("{scheme}://[{}]:{}{PATH}", self.host, self.port),
            false => format!("{scheme}://{}:{}{PATH}", self.host, self.port),
        }
    }
}

/// The export of traces is not possible.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    /// The TLS client cannot be created.
    #[error("cannot create a TLS client for traces")]
    Tls(#[source] linecamp_transport::TransportError),
    /// The exporter cannot be created.
    #[error("cannot create the exporter of traces")]
    Exporter(#[source] ExporterBuildError),
}

/// The export of traces.
#[derive(Debug)]
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// Starts the export to a collector. Its requests run on `runtime`.
    ///
    /// # Errors
    /// [`TracesError`].
    pub fn start(collector: &Collector, runtime: Handle) -> Result<Self, TracesError> {
        let tls = match collector.is_tls {
            true => Some(OutboundTls::new(None).map_err(TracesError::Tls)?),
            false => None,
        };
        let client = CollectorClient { collector: collector.clone(), tls, runtime };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(collector.url())
            .with_timeout(EXPORT_LIMIT)
            .build()
            .map_err(TracesError::Exporter)?;
        let queue = BatchConfigBuilder::default().with_max_queue_size(SPANS_MAX).build();
        let processor = BatchSpanProcessor::builder(exporter).with_batch_config(queue).build();
        let resource = Resource::builder_empty()
            .with_attributes([
                KeyValue::new("service.name", "linecamp-server"),
                KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            ])
            .build();
        Ok(Self(SdkTracerProvider::builder().with_resource(resource).with_span_processor(processor).build()))
    }

    /// Returns the source of spans.
    pub(crate) fn tracer(&self) -> SdkTracer {
        self.0.tracer("linecamp-server")
    }

    /// Sends the last spans, for 2 s at most. Blocks.
    pub fn stop(self) {
        if let Err(error) = self.0.shutdown_with_timeout(STOP_LIMIT) {
            tracing::debug!(error = error_chain(&error), "the last traces were not sent");
        }
    }
}

/// Sends requests to the collector, each on a connection of its own: there is one every few seconds.
#[derive(Clone, Debug)]
struct CollectorClient {
    collector: Collector,
    tls: Option<OutboundTls>,
    runtime: Handle,
}

type Request = opentelemetry_http::Request<Bytes>;
type Response = opentelemetry_http::Response<Bytes>;

impl HttpClient for CollectorClient {
    /// The exporter's thread has no runtime: the request runs on that of the server.
    fn send_bytes<'a, 'b>(
        &'a self,
        request: Request,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Response, HttpError>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        let exchange = self.clone().exchange(request);
        // The timer needs the runtime too.
        let sent = self.runtime.spawn(async { tokio::time::timeout(EXPORT_LIMIT, exchange).await });
        Box::pin(async { sent.await?? })
    }
}

impl CollectorClient {
    async fn exchange(self, mut request: Request) -> Result<Response, HttpError> {
        let Collector { host, port, .. } = &self.collector;
        let stream = TcpStream::connect((&**host, *port)).await?;
        let authority = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        request.headers_mut().insert(hyper::header::HOST, authority.try_into()?);
        *request.uri_mut() = PATH.parse()?;
        let (mut sender, connection) = match &self.tls {
            Some(tls) => http_connection(tls.wrap(host, stream).await?, RESPONSE_BYTES_MAX).await?,
            None => http_connection(stream, RESPONSE_BYTES_MAX).await?,
        };
        let exchange = async {
            let response = sender.send_request(request.map(Full::new)).await?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, RESPONSE_BYTES_MAX).collect().await?;
            Ok(Response::from_parts(head, body.to_bytes()))
        };
        connection.complete(exchange).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_a_url_without_a_path() {
        let check = |text: &str, expected: &str| assert_eq!(Collector::parse(text).unwrap().url(), expected);
        check("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces");
        check("http://[::1]:4318/", "http://[::1]:4318/v1/traces");
        check("https://traces.example", "https://traces.example:443/v1/traces");
        for bad in ["traces.example:4318", "ftp://h:1", "http://h:1/v1/traces", "http://"] {
            assert!(Collector::parse(bad).unwrap_err().contains("without a path"), "{bad}");
        }
    }
}
