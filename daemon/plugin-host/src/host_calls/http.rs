//! HTTP requests of plugins.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HOST};
use http::{HeaderName, HeaderValue, Method, Request};
use linecamp_transport::{SystemClock, WallClock as _};

use super::auth::{Auth, RequestToSign};
use super::secret_handles::Destination;
use super::url::Url;
use super::{HostCallError, HostCalls, header, in_time};

/// A request as the plugin sent it.
#[derive(Clone, Debug)]
pub(crate) struct HttpRequest {
    /// One of the methods in the contract.
    pub(crate) method: Method,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) auth: Option<Auth>,
    pub(crate) time_limit: Option<Duration>,
}

/// A response as the plugin receives it, with header names in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HttpResponse {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl HostCalls {
    /// Sends a request if it is allowed, and returns the response, whatever its status. Redirects are not followed.
    pub(crate) async fn send(&mut self, request: HttpRequest) -> Result<HttpResponse, HostCallError> {
        let url = Url::parse(&request.url)?;
        if !url.is_tls && !self.grant.plain_http {
            let why =
                "is plain HTTP, which the provider is not granted; use `https`, or set `plain_http` for the provider";
            return Err(HostCallError::Denied(format!("the URL of {} {why}", url.endpoint)));
        }
        let mut headers = header::checked(&request.headers)?;
        let header_bytes: usize = request.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.budget.take_request(request.url.len() + header_bytes + request.body.len())?;

        let until = self.until(request.time_limit);
        let target = self.target(url.endpoint.clone(), url.is_tls, until).await?;
        let host = HeaderValue::from_str(&url.host_header()).expect("a checked host is ASCII");
        headers.insert(HOST, host);
        if let Some(auth) = &request.auth {
            let (method, path) = (request.method.as_str(), url.path.as_str());
            let destination = Destination { host: &target.endpoint, is_plain_http: !target.is_tls };
            let mut to_sign = RequestToSign { destination, method, path, headers: &mut headers, body: &request.body };
            auth.apply(&mut to_sign, &mut self.handles, SystemClock.now())?;
        }
        headers.insert(CONNECTION, HeaderValue::from_static("close"));

        let mut message = Request::new(Bytes::from(request.body));
        *message.method_mut() = request.method;
        *message.uri_mut() =
            url.path.parse().map_err(|_| HostCallError::Denied("the URL has an invalid path".into()))?;
        *message.headers_mut() = headers;
        let response = in_time(until, self.outbound.send(&target, message, self.budget.response_bytes_left())).await?;
        match response {
            Ok(response) => Ok(self.received(&response)),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn received(&mut self, response: &http::Response<Bytes>) -> HttpResponse {
        self.budget.take_response(response.body().len());
        let header = |(name, value): (&HeaderName, &HeaderValue)| {
            let value = self.redactor.redact_response(value.as_bytes());
            (name.as_str().to_owned(), String::from_utf8_lossy(&value).into_owned())
        };
        HttpResponse {
            status: response.status().as_u16(),
            headers: response.headers().iter().map(header).collect(),
            body: self.redactor.redact_response(response.body()),
        }
    }
}
