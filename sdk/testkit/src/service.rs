//! What stands for a service: scripted by the provider's author, small, and honest about what its zone holds.

use linecamp_provider::http::{HttpRequest, HttpResponse, Method};
use linecamp_provider::{RecordSet, Tsig};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A model of the service that a provider speaks to.
///
/// Write it after the service's documentation and not after the provider: with its form of names, its escapes, its
/// pages and its errors. The kit puts faults before it, plants foreign records in it and reads its zone as the truth.
pub trait Service: Send {
    /// Answers a request. The secrets are in it, as the host would have put them: check them, and answer 401 without.
    fn handle(&mut self, request: &Request) -> HttpResponse {
        let _ = request;
        reply::status(501)
    }

    /// Answers a DNS message. The signature is verified and left out: `request.sign` says by which key.
    fn handle_dns(&mut self, request: &DnsRequest) -> Vec<u8> {
        let _ = request;
        Vec::new()
    }

    /// Puts a record set there as somebody else would, over what was there; `false` if the service cannot hold it. Of
    /// TXT values with bytes outside of printable ASCII that is worth a note, of all else that providers write a
    /// failure.
    fn plant(&mut self, set: &RecordSet) -> bool;

    /// Returns all that the zone holds, without SOA and NS of its apex. TXT values in the contract's form.
    fn zone(&self) -> Vec<RecordSet>;

    /// Returns how often the zone was written: what would raise its serial number or cost a notification, even if the
    /// same was written that was there. Planting does not count.
    fn writes(&self) -> u64;

    /// From here on answers are as odd as the service's documentation allows: with record sets that were not asked for,
    /// sets without values (PowerDNS lists comments so), names in mixed case, sets and values in another order. `false`
    /// if the model cannot: then a provider that infers from what else an answer holds is not found.
    ///
    /// What the zone holds stays as it is.
    fn answer_oddly(&mut self) -> bool {
        false
    }

    /// Puts a record set there as somebody else would that the zone holds and does not serve, such as records that are
    /// disabled at PowerDNS; `false` if the service has no such thing, or the model cannot. A write over it is a loss
    /// all the same, so providers have to see it.
    fn plant_disabled(&mut self, set: &RecordSet) -> bool {
        let _ = set;
        false
    }

    /// Returns what the zone holds and does not serve; it is not in [`zone`](Self::zone).
    fn disabled(&self) -> Vec<RecordSet> {
        Vec::new()
    }

    /// Makes a zone of its own of this name, which lies below the zone: from here on the name and all below it are
    /// answered by that zone, which is empty. What the zone holds there stays in it, and nobody is served it. `false`
    /// if the service has no such thing, or the model cannot.
    fn delegate(&mut self, name: &str) -> bool {
        let _ = name;
        false
    }

    /// Asks for small pages, so that a few dozen records take several. Without, the kit plants enough for pages of a
    /// hundred.
    fn turn_pages_at(&mut self, records: usize) {
        let _ = records;
    }
}

/// A request as it reaches the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The verb.
    pub method: Method,
    /// The whole URL, as it was asked.
    pub url: String,
    /// The segments of its path, unescaped.
    pub path: Vec<String>,
    /// Its query, unescaped, in order.
    pub query: Vec<(String, String)>,
    /// Names in lower case; with those that the host adds.
    pub headers: Vec<(String, String)>,
    /// Empty if there is none.
    pub body: Vec<u8>,
}

/// A DNS message as it reaches the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsRequest {
    /// The server that was asked, `HOST:PORT`.
    pub server: String,
    /// The message, without its signature.
    pub message: Vec<u8>,
    /// The key that signed it.
    pub sign: Option<Tsig>,
}

impl Request {
    /// Makes a request of what the provider sent and the headers that the host adds.
    pub(crate) fn of(request: &HttpRequest, added: Vec<(String, String)>) -> Self {
        let (method, url) = (request.method, request.url.as_str());
        let headers = request.headers.iter().cloned().chain(added);
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
        Self::new(method, url, headers, request.body.clone())
    }

    /// Makes a request; header names are in lower case.
    pub fn new(method: Method, url: &str, headers: Vec<(String, String)>, body: Vec<u8>) -> Self {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest.split_once('/').map_or("", |(_, path)| path));
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let path = path.split('/').filter(|segment| !segment.is_empty()).map(unescaped).collect();
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let query = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let query = query.map(|(name, value)| (unescaped(name), unescaped(&value.replace('+', " ")))).collect();
        Self { method, url: url.to_owned(), path, query, headers, body }
    }

    /// Returns the segments of the path, to match on: `match request.segments()[..] { ["zones", zone] => …`.
    pub fn segments(&self) -> Vec<&str> {
        self.path.iter().map(String::as_str).collect()
    }

    /// Returns the first value of a query's parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// Returns all values of a query's parameter.
    pub fn parameters<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.query.iter().filter(move |(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// Returns a header, named in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// Whether it bears this token.
    pub fn bears(&self, token: &str) -> bool {
        self.header("authorization").and_then(|value| value.strip_prefix("Bearer ")) == Some(token)
    }

    /// Reads the body as JSON; `None` if it is none, or another.
    pub fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }
}

/// Answers.
pub mod reply {
    use super::{HttpResponse, Serialize};

    /// An answer without a body.
    pub const fn status(status: u16) -> HttpResponse {
        HttpResponse { status, headers: Vec::new(), body: Vec::new() }
    }

    /// An answer with a body of this type.
    pub fn body(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> HttpResponse {
        let headers = vec![("content-type".to_owned(), content_type.to_owned())];
        HttpResponse { status, headers, body: body.into() }
    }

    /// An answer in JSON.
    ///
    /// # Panics
    /// If the value cannot be written as JSON: the model is wrong then.
    pub fn json(status: u16, value: &(impl Serialize + ?Sized)) -> HttpResponse {
        body(status, "application/json", serde_json::to_vec(value).expect("a model's answer is JSON"))
    }

    /// An error in JSON: `{"error": "…"}`. For a service with errors of another shape, use [`json`].
    pub fn error(status: u16, message: &str) -> HttpResponse {
        json(status, &serde_json::json!({ "error": message }))
    }
}

/// Resolves `%XX`; what is no escape stays.
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
    fn a_request_is_taken_apart() {
        let url = "https://dns.test:8443/v1/zones/a%2Fb/?name=%2A.x&page=2&flag";
        let request = Request::new(Method::Get, url, vec![("authorization".into(), "Bearer t".into())], Vec::new());
        assert_eq!(request.segments(), ["v1", "zones", "a/b"]);
        assert_eq!(request.parameter("name"), Some("*.x"));
        assert_eq!(request.parameter("flag"), Some(""));
        assert!(request.bears("t") && !request.bears("u"));
        assert_eq!(Request::new(Method::Get, "https://dns.test?a=1", Vec::new(), Vec::new()).segments(), [""; 0]);
    }
}
