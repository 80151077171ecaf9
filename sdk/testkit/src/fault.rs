//! Injected faults.

use linecamp_provider::http::{HttpError, HttpResponse};
use linecamp_provider::{DnsError, TsigCode};
use serde_json::Value;

use crate::fake_service::reply;

/// The response size limit that the injected "too large" error reports, in bytes.
const TOO_LARGE_BYTES: u64 = 4 * 1024 * 1024;

/// A captive portal's page.
const PAGE: &[u8] = b"<!DOCTYPE html><html><body><h1>Welcome to the hotel</h1></body></html>";

/// A fault in one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The service does nothing and responds with this status. In DNS: `SERVFAIL`, `REFUSED` or a rejected signature.
    Status { status: u16, retry_after: Option<String> },
    /// Something between the host and the service responds with success and a web page; the service does nothing.
    Intermediary,
    /// The service is unreachable.
    Unreachable,
    /// The service does nothing and does not respond in time.
    Timeout,
    /// The request is handled, and the response is lost.
    Lost,
    /// The request is handled, and the response is corrupt.
    Corrupt(Corruption),
    /// The request is handled, and the response is larger than the host accepts.
    TooLarge,
}

/// A kind of corrupt response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Corruption {
    Half,
    LastByte,
    Nothing,
    Html,
    Binary,
    EmptyObject,
    EmptyArray,
    Null,
    OtherTypes,
    Deep,
}

impl Corruption {
    pub(crate) const ALL: [Self; 10] = [
        Self::Half,
        Self::LastByte,
        Self::Nothing,
        Self::Html,
        Self::Binary,
        Self::EmptyObject,
        Self::EmptyArray,
        Self::Null,
        Self::OtherTypes,
        Self::Deep,
    ];

    /// Returns the corrupt body; `None` if this corruption cannot be applied to it, or would change nothing.
    fn body(self, body: &[u8]) -> Option<Vec<u8>> {
        /// Nesting depth of arrays: deeper than any parser's own limit, and deep enough to break a parser without one.
        const DEPTH: usize = 20_000;
        let json = || serde_json::from_slice::<Value>(body).ok();
        let corrupt = match self {
            Self::Half => body[..body.len() / 2].to_vec(),
            Self::LastByte => body[..body.len().saturating_sub(1)].to_vec(),
            Self::Nothing => Vec::new(),
            Self::Html => PAGE.to_vec(),
            Self::Binary => (0_u8..=255).rev().collect(),
            Self::EmptyObject => json().map(|_| b"{}".to_vec())?,
            // An empty array may be a valid response where an array is expected.
            Self::EmptyArray => json().filter(|value| !value.is_array()).map(|_| b"[]".to_vec())?,
            Self::Null => json().map(|_| b"null".to_vec())?,
            Self::OtherTypes => serde_json::to_vec(&other_types(json()?)).ok()?,
            Self::Deep => [vec![b'['; DEPTH], vec![b']'; DEPTH]].concat(),
        };
        (corrupt != body && !body.is_empty()).then_some(corrupt)
    }
}

impl Fault {
    pub(crate) const fn status(status: u16) -> Self {
        Self::Status { status, retry_after: None }
    }

    /// Whether the service has handled the request despite the fault.
    pub(crate) const fn is_handled(&self) -> bool {
        matches!(self, Self::Lost | Self::Corrupt(_) | Self::TooLarge)
    }

    /// Applies the fault to an HTTP response; `None` if it does not apply. `response` is empty if the request was not
    /// handled.
    pub(crate) fn http(&self, response: &HttpResponse) -> Option<Result<HttpResponse, HttpError>> {
        Some(match self {
            Self::Status { status, retry_after } => {
                let mut response = reply::error(*status, "injected fault");
                response.headers.extend(retry_after.clone().map(|value| ("retry-after".to_owned(), value)));
                Ok(response)
            }
            Self::Intermediary => Ok(reply::body(200, "text/html; charset=utf-8", PAGE)),
            Self::Unreachable => Err(HttpError::Unreachable("connection refused".to_owned())),
            Self::Timeout | Self::Lost => Err(HttpError::Timeout),
            Self::TooLarge => Err(HttpError::TooLarge(TOO_LARGE_BYTES)),
            Self::Corrupt(corruption) => {
                Ok(HttpResponse { body: corruption.body(&response.body)?, ..response.clone() })
            }
        })
    }

    /// Applies the fault to the DNS response to `message`; `None` if it does not apply.
    pub(crate) fn dns(&self, message: &[u8], response: &[u8]) -> Option<Result<Vec<u8>, DnsError>> {
        const SERVFAIL: u8 = 2;
        const REFUSED: u8 = 5;
        Some(match self {
            Self::Status { status: 401 | 403, .. } => {
                Err(DnsError::Tsig { code: TsigCode::BadKey, reason: "BADKEY".to_owned() })
            }
            Self::Status { status: 500..=599, .. } => Ok(header(message, SERVFAIL)),
            Self::Status { status: 400..=428, .. } => Ok(header(message, REFUSED)),
            Self::Status { .. } | Self::Intermediary => return None,
            Self::Unreachable => Err(DnsError::Unreachable("connection refused".to_owned())),
            Self::Timeout | Self::Lost => Err(DnsError::Timeout),
            Self::TooLarge => Err(DnsError::LimitExceeded("the response is too large".to_owned())),
            Self::Corrupt(Corruption::Half) => Ok(response[..response.len() / 2].to_vec()),
            Self::Corrupt(Corruption::LastByte) if 12 < response.len() => Ok(response[..response.len() - 1].to_vec()),
            Self::Corrupt(Corruption::Nothing) => Ok(Vec::new()),
            // A valid header, followed by wrong section counts.
            Self::Corrupt(Corruption::OtherTypes) => Ok([&header(message, 0)[..4], &[0xff; 300]].concat()),
            Self::Corrupt(Corruption::Binary) => Ok((0_u8..=255).rev().collect()),
            Self::Corrupt(_) => return None,
        })
    }

    /// Describes the fault.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Status { status, retry_after: None } => format!("status {status}"),
            Self::Status { status, retry_after: Some(after) } => format!("status {status}, Retry-After {after}"),
            Self::Intermediary => "a web page instead of the service".to_owned(),
            Self::Unreachable => "connection refused".to_owned(),
            Self::Timeout => "timeout".to_owned(),
            Self::Lost => "response lost after the request was handled".to_owned(),
            Self::TooLarge => "response too large".to_owned(),
            Self::Corrupt(corruption) => format!("corrupt response ({corruption:?})"),
        }
    }
}

/// Returns the bare header of a response to `message` with this code.
fn header(message: &[u8], code: u8) -> Vec<u8> {
    let mut header = vec![0; 12];
    if let [id_high, id_low, flags, ..] = message {
        (header[0], header[1]) = (*id_high, *id_low);
        header[2] = 0x80 | (flags & 0x79);
    }
    header[3] = code;
    header
}

/// Returns the same structure with each value replaced by one of another type.
fn other_types(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, other_types(value))).collect(),
        Value::Array(items) => match items.is_empty() {
            true => Value::from("not an array"),
            false => items.into_iter().map(other_types).collect(),
        },
        Value::String(_) => Value::from(vec![17]),
        Value::Number(_) | Value::Bool(_) => Value::from("not a number"),
        Value::Null => Value::from(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_corrupt_response_keeps_its_structure_and_changes_its_types() {
        let value = serde_json::json!({"a": [{"b": 1, "c": "x"}], "next": null});
        assert_eq!(other_types(value), serde_json::json!({"a": [{"b": "not a number", "c": [17]}], "next": true}));
    }

    #[test]
    fn corruption_that_changes_nothing_is_omitted() {
        assert_eq!(Corruption::EmptyArray.body(b"[]"), None);
        assert_eq!(Corruption::EmptyObject.body(b"{}"), None);
        assert_eq!(Corruption::Half.body(b""), None);
        assert_eq!(Corruption::Null.body(b"<xml/>"), None);
        assert_eq!(Corruption::Half.body(b"abcd").as_deref(), Some(&b"ab"[..]));
    }

    #[test]
    fn an_injected_dns_failure_answers_its_question() {
        let message = [0xab, 0xcd, 0x28, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        let response = Fault::status(500).dns(&message, &[]).unwrap().unwrap();
        assert_eq!(response[..4], [0xab, 0xcd, 0xa8, 2]);
    }
}
