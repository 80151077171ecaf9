//! HTTP requests.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::response::Response;
use super::{Auth, HttpError, HttpRequest, Method, Sigv4};
use crate::context::Context;
use crate::error::ProviderError;
use crate::url;

/// A request under construction. Finish it with [`send`](Self::send).
#[must_use = "a request does nothing until it is sent"]
pub struct RequestBuilder {
    context: Context,
    request: HttpRequest,
    /// Why the body could not be serialized as JSON; reported when the request is sent.
    json_error: Option<String>,
}

impl fmt::Debug for RequestBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBuilder").field("request", &self.request).finish_non_exhaustive()
    }
}

impl RequestBuilder {
    pub(crate) fn new(context: Context, method: Method, url: String) -> Self {
        let request =
            HttpRequest { method, url, headers: Vec::new(), body: Vec::new(), auth: None, timeout_millis: None };
        Self { context, request, json_error: None }
    }

    /// Adds a header. Do not put secrets here, see [`secret_header`](Self::secret_header).
    pub fn header(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.request.headers.push((name.to_owned(), value.to_string()));
        self
    }

    /// Adds `name=value` to the URL's query, escaped.
    pub fn query(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.request.url.push(if self.request.url.contains('?') { '&' } else { '?' });
        self.request.url.push_str(&url::escape(name));
        self.request.url.push('=');
        self.request.url.push_str(&url::escape(&value.to_string()));
        self
    }

    /// Sets the body and its content type.
    pub fn body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.request.body = body.into();
        self.header("content-type", content_type)
    }

    /// Sets the body as JSON, and the content type.
    pub fn json(mut self, body: &(impl Serialize + ?Sized)) -> Self {
        match serde_json::to_vec(body) {
            Ok(bytes) => self.body("application/json", bytes),
            Err(error) => {
                self.json_error = Some(error.to_string());
                self
            }
        }
    }

    /// Makes the host add `Authorization: Bearer SECRET`, with the secret of this name.
    pub fn bearer(self, secret: &str) -> Self {
        self.auth(Auth::Bearer { secret: secret.to_owned() })
    }

    /// Makes the host add `Authorization: Basic`, with a user and the secret of this name.
    pub fn basic(self, user: &str, secret: &str) -> Self {
        self.auth(Auth::Basic { user: user.to_owned(), secret: secret.to_owned() })
    }

    /// Makes the host add a header, such as `X-API-Key`, whose value is the secret of this name.
    pub fn secret_header(self, header: &str, secret: &str) -> Self {
        self.secret_header_with_prefix(header, "", secret)
    }

    /// Makes the host add a header whose value is `prefix` followed by the secret of this name: `Authorization: sso-key
    /// SECRET`.
    pub fn secret_header_with_prefix(self, header: &str, prefix: &str, secret: &str) -> Self {
        self.auth(Auth::Header { header: header.to_owned(), prefix: prefix.to_owned(), secret: secret.to_owned() })
    }

    /// Makes the host sign the request with AWS Signature Version 4.
    pub fn sigv4(self, sign: Sigv4) -> Self {
        self.auth(Auth::Sigv4(sign))
    }

    /// Limits the wait for the response. Without a timeout, only the call's own deadline applies.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.request.timeout_millis = Some(u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX));
        self
    }

    fn auth(mut self, auth: Auth) -> Self {
        self.request.auth = Some(auth);
        self
    }

    /// Returns the request as built so far.
    pub const fn as_request(&self) -> &HttpRequest {
        &self.request
    }

    /// Sends the request and waits for the response, whatever its status.
    ///
    /// # Errors
    /// [`ProviderError`] if there is no response: a retry if the service did not respond, invalid if the host denies
    /// the request.
    pub fn send(self) -> Result<Response, ProviderError> {
        let place = self.request.place();
        if let Some(json_error) = &self.json_error {
            return Err(ProviderError::invalid(format!("{place}: cannot serialize the body as JSON: {json_error}")));
        }
        self.try_send().map_err(|error| ProviderError::from(error).context(place))
    }

    /// Sends the request as it is, and returns the reason if there is no response: for a provider that handles one of
    /// the reasons itself.
    ///
    /// # Errors
    /// [`HttpError`] says why there is no response.
    pub fn try_send(self) -> Result<Response, HttpError> {
        let response = self.context.send(&self.request)?;
        Ok(Response::new(self.context, self.request.place(), response))
    }
}

impl HttpRequest {
    /// Returns the method and the URL without its query, for error messages.
    pub(crate) fn place(&self) -> String {
        let end = self.url.find(['?', '#']).unwrap_or(self.url.len());
        format!("{} {}", self.method, &self.url[..end])
    }
}
