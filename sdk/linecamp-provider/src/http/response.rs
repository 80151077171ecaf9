//! HTTP responses, and the mapping from their status to an error.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{HttpResponse, date};
use crate::context::Context;
use crate::error::ProviderError;

/// Maximum length in bytes of a service's error message in a provider error. Longer messages are truncated: an operator
/// reads a sentence, not a page.
const MESSAGE_BYTES_MAX: usize = 300;

/// Bytes of a response that are searched for an error message. A longer error is a page, of which the beginning
/// suffices.
const MESSAGE_SOURCE_BYTES_MAX: usize = 16 * 1024;

/// A response, with any status.
#[derive(Debug)]
pub struct Response {
    context: Context,
    /// The request's method and URL, for error messages.
    place: String,
    response: HttpResponse,
}

impl Response {
    pub(crate) const fn new(context: Context, place: String, response: HttpResponse) -> Self {
        Self { context, place, response }
    }

    /// Returns the status code.
    pub const fn status(&self) -> u16 {
        self.response.status
    }

    /// Returns a header by its name in any case; the first if there are several.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.response.headers.iter();
        headers.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Returns the body.
    pub fn body(&self) -> &[u8] {
        &self.response.body
    }

    /// Returns the body as text; invalid UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.response.body).into_owned()
    }

    /// Parses the body as JSON.
    ///
    /// # Errors
    /// A [`ProviderError`] to retry, which names the request and where the response differs from what was expected: the
    /// usual cause is something between the host and the service, such as a proxy.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, ProviderError> {
        serde_json::from_slice(&self.response.body).map_err(|error| self.malformed(error))
    }

    /// Makes the failure for an unexpected response; `why` says what is unexpected.
    pub fn malformed(&self, why: impl std::fmt::Display) -> ProviderError {
        let kind = self.header("content-type").unwrap_or("no content type");
        let (place, bytes) = (&self.place, self.response.body.len());
        ProviderError::retry(truncated(&format!("unexpected response from {place} ({kind}, {bytes} bytes): {why}")))
    }

    /// Returns the response if its status is a success; otherwise the error for the status.
    ///
    /// # Errors
    /// - a success with a web page as its body: retry, since something between the host and the service responded
    /// - 401, 403: unauthorized
    /// - 429, 503: retry, after the time in `Retry-After` (seconds or a date) if it is set
    /// - 408, 425 and all other 5xx: retry
    /// - all others: invalid, with the service's own message, truncated
    pub fn error_for_status(self) -> Result<Self, ProviderError> {
        match self.status() {
            200..=299 if self.is_web_page() => {
                Err(self.malformed("a web page; is there a proxy or a captive portal in between?"))
            }
            200..=299 => Ok(self),
            _ => Err(self.error()),
        }
    }

    /// Returns the error for the status, as [`error_for_status`](Self::error_for_status) does, for a response that has
    /// already been examined.
    pub fn error(&self) -> ProviderError {
        let status = self.status();
        let reason = match self.service_message() {
            Some(message) => format!("{} returned {status}: {message}", self.place),
            None => format!("{} returned {status}", self.place),
        };
        match status {
            401 | 403 => ProviderError::unauthorized(reason),
            408 | 425 | 429 | 500..=599 => ProviderError::Retry { after: self.retry_after(), reason },
            300..=399 => {
                let target = self.header("location").unwrap_or("none");
                ProviderError::invalid(truncated(&format!("{reason}; redirects are not followed (location: {target})")))
            }
            _ => ProviderError::invalid(reason),
        }
    }

    /// Returns the delay that the service requests in `Retry-After`.
    pub fn retry_after(&self) -> Option<Duration> {
        let text = self.header("retry-after")?.trim();
        if let Ok(seconds) = text.parse::<u32>() {
            return Some(Duration::from_secs(seconds.into()));
        }
        let at = date::parse(text)?;
        Some(Duration::from_secs(at).saturating_sub(Duration::from_millis(self.context.now_millis())))
    }

    /// Whether the body is HTML, whatever its content type: a captive portal, or a proxy's error page.
    fn is_web_page(&self) -> bool {
        let starts_with = |word: &str| {
            let body = self.response.body.trim_ascii_start();
            body.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()))
        };
        starts_with("<!doctype html") || starts_with("<html")
    }

    /// Returns the service's error message, truncated and on one line.
    fn service_message(&self) -> Option<String> {
        let body = &self.response.body[..self.response.body.len().min(MESSAGE_SOURCE_BYTES_MAX)];
        let message = serde_json::from_slice::<Value>(body).ok().and_then(|value| json_message(&value));
        let message = message.unwrap_or_else(|| without_markup(&String::from_utf8_lossy(body)));
        let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
        (!line.is_empty()).then(|| truncated(&line))
    }
}

/// Finds the message in common forms of JSON errors: `{"error": "…"}`, `{"errors": [{"message": "…"}]}` and so on.
fn json_message(value: &Value) -> Option<String> {
    const KEYS: [&str; 7] = ["message", "error", "errors", "detail", "error_description", "title", "reason"];
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => {
            let messages: Vec<_> = items.iter().take(4).filter_map(json_message).collect();
            (!messages.is_empty()).then(|| messages.join("; "))
        }
        Value::Object(fields) => KEYS.iter().find_map(|key| json_message(fields.get(*key)?)),
        _ => None,
    }
}

/// Removes the tags from a text that may be HTML or XML.
fn without_markup(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut in_tag = false;
    for letter in text.chars() {
        match letter {
            '<' => in_tag = true,
            '>' if in_tag => {
                in_tag = false;
                plain.push(' ');
            }
            _ if in_tag => {}
            _ if letter.is_control() => plain.push(' '),
            _ => plain.push(letter),
        }
    }
    plain
}

/// Truncates a text to [`MESSAGE_BYTES_MAX`], at a character boundary.
fn truncated(text: &str) -> String {
    if text.len() <= MESSAGE_BYTES_MAX {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(MESSAGE_BYTES_MAX)])
}
