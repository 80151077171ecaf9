//! The fake service: written by the provider's author, small, and truthful about the contents of its zone.

use linecamp_provider::http::{HttpRequest, HttpResponse, Method};
use linecamp_provider::{RecordSet, Tsig};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A fake of the service that a provider calls.
///
/// Write it from the service's documentation, not from the provider: with its form of names, its escapes, its pages and
/// its errors. The kit injects faults in front of it, seeds foreign records in it and reads its zone as the source of
/// truth.
pub trait Service: Send {
    /// Handles a request. It contains the secrets as the host would insert them: check them, and respond 401 without
    /// them.
    fn handle(&mut self, request: &Request) -> HttpResponse {
        let _ = request;
        reply::status(501)
    }

    /// Handles a DNS message. The signature has been verified and removed: `request.sign` says which key made it.
    fn handle_dns(&mut self, request: &DnsRequest) -> Vec<u8> {
        let _ = request;
        Vec::new()
    }

    /// Seeds a foreign record set, overwriting what was there; `false` if the service cannot store it. For TXT values
    /// with bytes outside printable ASCII that is a note in the report, for everything else that providers write a
    /// failure.
    fn seed(&mut self, set: &RecordSet) -> bool;

    /// Returns everything that the zone contains, without the SOA and NS records of its apex. TXT values in the
    /// contract's form.
    fn records(&self) -> Vec<RecordSet>;

    /// Returns the number of writes to the zone: everything that would raise its serial number or cost a notification,
    /// even if the written data equals the old. Seeding does not count.
    fn writes(&self) -> u64;

    /// From now on, responses are as unusual as the service's documentation allows: with record sets that were not
    /// requested, sets without values (PowerDNS lists comments that way), names in mixed case, sets and values in
    /// another order. `false` if the fake cannot: then the kit does not detect a provider that infers from other
    /// records in a response.
    ///
    /// The contents of the zone do not change.
    fn send_unusual_responses(&mut self) -> bool {
        false
    }

    /// Seeds a foreign record set that the zone contains but does not serve, such as disabled records in PowerDNS;
    /// `false` if the service does not support that, or the fake cannot. Overwriting it is still a loss, so providers
    /// must see it.
    fn seed_disabled(&mut self, set: &RecordSet) -> bool {
        let _ = set;
        false
    }

    /// Returns the sets that the zone contains but does not serve; they are not in [`records`](Self::records).
    fn disabled(&self) -> Vec<RecordSet> {
        Vec::new()
    }

    /// Delegates this name to a zone of its own below the zone: from now on the name and everything below it are
    /// answered from that zone, which is empty. Records of the parent zone at these names stay in it but are not
    /// served. `false` if the service does not support that, or the fake cannot.
    fn delegate(&mut self, name: &str) -> bool {
        let _ = name;
        false
    }

    /// Sets a small page size, so that a few dozen records take several pages. Otherwise the kit seeds enough records
    /// for pages of 100.
    fn set_page_size(&mut self, records: usize) {
        let _ = records;
    }
}

/// A request as the service receives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The complete URL, as requested.
    pub url: String,
    /// The segments of the URL's path, unescaped. Exact: `//` has an empty segment, and a slash at the end has an empty
    /// last one.
    pub path: Vec<String>,
    /// The URL's query parameters, unescaped, in order.
    pub query: Vec<(String, String)>,
    /// Names in lower case, including the headers that the host adds.
    pub headers: Vec<(String, String)>,
    /// Empty if there is none.
    pub body: Vec<u8>,
}

/// A DNS message as the service receives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsRequest {
    /// The server that the message is sent to, `HOST:PORT`.
    pub server: String,
    /// The message, without its signature.
    pub message: Vec<u8>,
    /// The key that signed it.
    pub sign: Option<Tsig>,
}

impl Request {
    /// Makes a request from the provider's request and the headers that the host adds.
    pub(crate) fn of(request: &HttpRequest, added: Vec<(String, String)>) -> Self {
        let (method, url) = (request.method, request.url.as_str());
        let headers = request.headers.iter().cloned().chain(added);
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
        Self::new(method, url, headers, request.body.clone())
    }

    /// Makes a request; header names must be in lower case.
    pub fn new(method: Method, url: &str, headers: Vec<(String, String)>, body: Vec<u8>) -> Self {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest.split_once('/').map_or("", |(_, path)| path));
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let segments = path.split('/').filter(|_| !path.is_empty());
        let path = segments.map(unescaped).collect();
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let query = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let query = query.map(|(name, value)| (unescaped(name), unescaped(&value.replace('+', " ")))).collect();
        Self { method, url: url.to_owned(), path, query, headers, body }
    }

    /// Returns why the URL is malformed or ambiguous; `None` if every server reads it alike.
    pub(crate) fn inexact(&self) -> Option<&'static str> {
        let is_url_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte);
        let is_hex = |rest: &str| rest.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
        let (_, rest) = self.url.split_once("://").unwrap_or_default();
        let path = rest.split('?').next().unwrap_or_default();
        match () {
            () if !self.url.bytes().all(is_url_byte) => Some("contains characters that must be percent-encoded"),
            () if !self.url.split('%').skip(1).all(is_hex) => Some("has a `%` that is not followed by two digits"),
            () if path.contains("//") => Some("has an empty path segment"),
            () if path.split('/').skip(1).any(|segment| matches!(segment, "." | "..")) => {
                Some("has a relative path segment")
            }
            () => None,
        }
    }

    /// Returns the path segments, to match on: `match request.segments()[..] { ["zones", zone] => …`.
    pub fn segments(&self) -> Vec<&str> {
        self.path.iter().map(String::as_str).collect()
    }

    /// Returns the first value of a query parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// Returns all values of a query parameter.
    pub fn parameters<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.query.iter().filter(move |(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// Returns a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// Whether the request has this bearer token.
    pub fn bears(&self, token: &str) -> bool {
        self.header("authorization").and_then(|value| value.strip_prefix("Bearer ")) == Some(token)
    }

    /// Parses the body as JSON; `None` if it is not JSON, or not of this type.
    pub fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }
}

/// Constructors of responses.
pub mod reply {
    use super::{HttpResponse, Serialize};

    /// A response without a body.
    pub const fn status(status: u16) -> HttpResponse {
        HttpResponse { status, headers: Vec::new(), body: Vec::new() }
    }

    /// A response with a body of this type.
    pub fn body(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> HttpResponse {
        let headers = vec![("content-type".to_owned(), content_type.to_owned())];
        HttpResponse { status, headers, body: body.into() }
    }

    /// A JSON response.
    ///
    /// # Panics
    /// If the value cannot be serialized as JSON, which is a bug in the fake.
    pub fn json(status: u16, value: &(impl Serialize + ?Sized)) -> HttpResponse {
        body(status, "application/json", serde_json::to_vec(value).expect("a response is serializable"))
    }

    /// A JSON error: `{"error": "…"}`. For a service with errors of another shape, use [`json`].
    pub fn error(status: u16, message: &str) -> HttpResponse {
        json(status, &serde_json::json!({ "error": message }))
    }
}

/// Decodes `%XX`; anything that is not an escape is unchanged.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match (first, hex.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_parsed_into_path_and_query() {
        let url = "https://dns.test:8443/v1/zones/a%2Fb?name=%2A.x&page=2&flag";
        let request = Request::new(Method::Get, url, vec![("authorization".into(), "Bearer t".into())], Vec::new());
        assert_eq!(request.segments(), ["v1", "zones", "a/b"]);
        assert_eq!(request.parameter("name"), Some("*.x"));
        assert_eq!(request.parameter("flag"), Some(""));
        assert!(request.bears("t") && !request.bears("u"));
        assert_eq!(Request::new(Method::Get, "https://dns.test?a=1", Vec::new(), Vec::new()).segments(), [""; 0]);
        let check = |url: &str, expected: &[&str]| {
            assert_eq!(Request::new(Method::Get, url, Vec::new(), Vec::new()).segments(), expected, "{url}");
        };
        check("https://dns.test/", &[]);
        check("https://dns.test//v1", &["", "v1"]);
        check("https://dns.test/v1/", &["v1", ""]);
        check("https://dns.test/v1%3Fa=1", &["v1?a=1"]);
    }

    #[test]
    fn a_url_that_servers_read_differently_is_inexact() {
        let check = |url: &str, expected: bool| {
            let request = Request::new(Method::Get, url, Vec::new(), Vec::new());
            assert_eq!(request.inexact().is_some(), expected, "{url}");
        };
        for url in [
            "https://a.test",
            "https://a.test/b/",
            "https://[::1]:8443/%2A.b?c=https://d//e&f=..",
            "https://a.test/..b",
        ] {
            check(url, false);
        }
        for url in [
            "https://a.test//b",
            "https://a.test/b//",
            "https://a.test/b/../c",
            "https://a.test/b c",
            "https://a.test/ä",
            "https://a.test/b?c=100%",
            "https://a.test/%zz",
        ] {
            check(url, true);
        }
    }
}
