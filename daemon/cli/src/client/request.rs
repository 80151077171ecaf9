//! API requests.

use std::fmt::Display;
use std::marker::PhantomData;
use std::time::Duration;

use hyper::body::Bytes;
use linecamp_proto::api::operation::{Binary, Body, EncodedBody, Operation};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

/// The characters that are percent-encoded in a query: all but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A request to the operation `O`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiRequest<O> {
    pub(super) target: String,
    pub(super) body: Option<Bytes>,
    pub(super) wait: Duration,
    /// The idempotency key, with which it can be sent again.
    pub(super) key: Option<String>,
    operation: PhantomData<O>,
}

impl<O: Operation> ApiRequest<O> {
    /// Creates a request to an operation whose path has no parameter.
    pub(crate) fn new() -> Self {
        Self { target: O::SPEC.path.to_owned(), body: None, wait: Duration::ZERO, key: None, operation: PhantomData }
    }

    /// Creates a request with the parameter of the path.
    pub(crate) fn at(parameter: &impl Display) -> Self {
        Self { target: O::SPEC.path_of(parameter), ..Self::new() }
    }

    /// Adds the fields of `query` that are set. Panics if it is not a flat struct.
    pub(crate) fn query(mut self, query: &O::Query) -> Self {
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

    /// Returns the URL at this server, for a browser.
    pub(crate) fn url(&self, server: &str) -> String {
        format!("{server}{}", self.target)
    }

    /// Adds the body.
    pub(crate) fn body(mut self, body: &<O::Request as Body>::Value) -> Self
    where
        O::Request: EncodedBody,
    {
        self.body = Some(O::Request::encode(body).into());
        self
    }

    /// Extends the timeout of this request.
    pub(crate) const fn waiting(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }
}

impl<O: Operation<Request = Binary>> ApiRequest<O> {
    /// Adds a body of bytes.
    pub(crate) fn bytes(mut self, bytes: Vec<u8>) -> Self {
        self.body = Some(bytes.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use linecamp_proto::api::operation::{ListEvents, ListSites, RemoveSite};
    use linecamp_proto::api::query::{EventQuery, RemoveQuery, SiteQuery};

    use super::*;

    #[test]
    fn a_query_has_the_fields_that_are_set_and_is_escaped() {
        let query = SiteQuery { selector: Some("region=eu, zone in (a,é)".into()), ..SiteQuery::default() };
        let request = ApiRequest::<ListSites>::new();
        assert_eq!(
            request.clone().query(&query).target,
            "/api/v1/sites?selector=region%3Deu%2C%20zone%20in%20%28a%2C%C3%A9%29",
        );
        assert_eq!(request.query(&SiteQuery::default()).target, "/api/v1/sites");
        let query = EventQuery { after: Some(7), limit: Some(2), ..EventQuery::default() };
        assert_eq!(ApiRequest::<ListEvents>::new().query(&query).target, "/api/v1/events?after=7&limit=2");
        let query = RemoveQuery { environment: Some("lab".into()), force: true };
        let request = ApiRequest::<RemoveSite>::at(&"s").query(&query);
        assert_eq!(request.target, "/api/v1/sites/s?environment=lab&force=true");
    }
}
