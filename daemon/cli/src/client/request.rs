//! API requests.

use std::time::Duration;

use hyper::Method;
use hyper::body::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::Value;

/// The characters that are percent-encoded in a query: all but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The body of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// A JSON document.
    Json(Bytes),
    /// Raw bytes.
    Raw(Bytes),
}

/// An API request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiRequest {
    pub(super) method: Method,
    pub(super) target: String,
    pub(super) body: Option<Body>,
    pub(super) wait: Duration,
}

impl ApiRequest {
    /// Creates a GET request.
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    /// Creates a POST request.
    pub(crate) fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path)
    }

    /// Creates a PATCH request.
    pub(crate) fn patch(path: impl Into<String>) -> Self {
        Self::new(Method::PATCH, path)
    }

    /// Creates a DELETE request.
    pub(crate) fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path)
    }

    /// Adds the fields of `query` that are set. Panics if it is not a flat struct.
    pub(crate) fn query(mut self, query: &impl Serialize) -> Self {
        let Ok(Value::Object(fields)) = serde_json::to_value(query) else {
            panic!("a query is a flat struct");
        };
        let mut separator = '?';
        for (key, value) in &fields {
            let text = match value {
                Value::Null => continue,
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            self.target.push(separator);
            self.target += &format!("{key}={}", utf8_percent_encode(&text, RESERVED));
            separator = '&';
        }
        self
    }

    /// Adds a JSON body. Panics if it cannot be serialized.
    pub(crate) fn body(mut self, body: &impl Serialize) -> Self {
        self.body = Some(Body::Json(serde_json::to_vec(body).expect("requests are maps with text keys").into()));
        self
    }

    /// Adds a raw body.
    pub(crate) fn raw(mut self, bytes: Vec<u8>) -> Self {
        self.body = Some(Body::Raw(bytes.into()));
        self
    }

    /// Extends the timeout of this request.
    pub(crate) const fn waiting(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, target: path.into(), body: None, wait: Duration::ZERO }
    }
}

#[cfg(test)]
mod tests {
    use linecamp_proto::api::path::{EventQuery, RemoveQuery, SITES, SiteQuery};

    use super::*;

    #[test]
    fn a_query_has_the_fields_that_are_set_and_is_escaped() {
        let check = |request: ApiRequest, expected: &str| assert_eq!(request.target, expected);
        let query = SiteQuery { selector: Some("region=eu, zone in (a,é)".into()), environment: None, labels: None };
        check(
            ApiRequest::get(SITES).query(&query),
            "/api/v1/sites?selector=region%3Deu%2C%20zone%20in%20%28a%2C%C3%A9%29",
        );
        check(ApiRequest::get(SITES).query(&SiteQuery::default()), "/api/v1/sites");
        let query = EventQuery { after: Some(7), limit: Some(2), ..EventQuery::default() };
        check(ApiRequest::get("/e").query(&query), "/e?after=7&limit=2");
        let query = RemoveQuery { environment: Some("lab".into()), force: true };
        check(ApiRequest::delete("/s").query(&query), "/s?environment=lab&force=true");
    }
}
