//! HTTP responses, and the mapping from their status to a failure.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{HttpResponse, date};
use crate::context::Context;
use crate::failure::Failure;

/// Maximum length in bytes of a service's error message in a failure. Longer messages are truncated: an operator reads
/// a sentence, not a page.
const WORDS_BYTES_MAX: usize = 300;

/// Bytes of a response that are searched for an error message. A longer error is a page, of which the beginning
/// suffices.
const WORDS_SOURCE_BYTES_MAX: usize = 16 * 1024;

/// A response, with any status.
#[derive(Debug)]
pub struct Response {
    context: Context,
    /// The request's method and URL, for error messages.
    place: String,
    answer: HttpResponse,
}

impl Response {
    pub(crate) const fn new(context: Context, place: String, answer: HttpResponse) -> Self {
        Self { context, place, answer }
    }

    /// Returns the status code.
    pub const fn status(&self) -> u16 {
        self.answer.status
    }

    /// Returns a header by its name in any case; the first if there are several.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.answer.headers.iter();
        headers.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Returns the body.
    pub fn body(&self) -> &[u8] {
        &self.answer.body
    }

    /// Returns the body as text; invalid UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.answer.body).into_owned()
    }

    /// Parses the body as JSON.
    ///
    /// # Errors
    /// A [`Failure`] to retry, which names the request and where the response differs from what was expected: the usual
    /// cause is something between the host and the service, such as a proxy.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.answer.body).map_err(|error| self.malformed(error))
    }

    /// Makes the failure for an unexpected response; `why` says what is unexpected.
    pub fn malformed(&self, why: impl std::fmt::Display) -> Failure {
        let kind = self.header("content-type").unwrap_or("no type");
        let (place, bytes) = (&self.place, self.answer.body.len());
        Failure::retry(cut(&format!("{place} answered what was not expected ({kind}, {bytes} bytes): {why}")))
    }

    /// Returns the response if its status is a success; otherwise, what the status means for the call.
    ///
    /// # Errors
    /// - a success with a web page as its body: retry, since something between the host and the service responded
    /// - 401, 403: unauthorized
    /// - 429, 503: retry, after the time in `Retry-After` (seconds or a date) if it is set
    /// - 408, 425 and all other 5xx: retry
    /// - all others: refused, with the service's own message, truncated
    pub fn ok(self) -> Result<Self, Failure> {
        match self.status() {
            200..=299 if self.is_web_page() => Err(self.malformed("a web page; does something stand in between?")),
            200..=299 => Ok(self),
            _ => Err(self.failure()),
        }
    }

    /// Returns what the status means for the call, as [`ok`](Self::ok) does, for a response that has already been
    /// examined.
    pub fn failure(&self) -> Failure {
        let status = self.status();
        let reason = match self.words() {
            Some(words) => format!("{} answered {status}: {words}", self.place),
            None => format!("{} answered {status}", self.place),
        };
        match status {
            401 | 403 => Failure::unauthorized(reason),
            408 | 425 | 429 | 500..=599 => Failure::Retry { after: self.retry_after(), reason },
            300..=399 => {
                let target = self.header("location").unwrap_or("nowhere");
                Failure::refused(cut(&format!("{reason}, a redirect to {target}; redirects are not followed")))
            }
            _ => Failure::refused(reason),
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
        let begins = |word: &str| {
            let body = self.answer.body.trim_ascii_start();
            body.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()))
        };
        begins("<!doctype html") || begins("<html")
    }

    /// Returns the service's error message, truncated and on one line.
    fn words(&self) -> Option<String> {
        let body = &self.answer.body[..self.answer.body.len().min(WORDS_SOURCE_BYTES_MAX)];
        let said = serde_json::from_slice::<Value>(body).ok().and_then(|value| words_of(&value));
        let said = said.unwrap_or_else(|| without_markup(&String::from_utf8_lossy(body)));
        let line = said.split_whitespace().collect::<Vec<_>>().join(" ");
        (!line.is_empty()).then(|| cut(&line))
    }
}

/// Finds the message in common forms of JSON errors: `{"error": "…"}`, `{"errors": [{"message": "…"}]}` and so on.
fn words_of(value: &Value) -> Option<String> {
    const KEYS: [&str; 7] = ["message", "error", "errors", "detail", "error_description", "title", "reason"];
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => {
            let words: Vec<_> = items.iter().take(4).filter_map(words_of).collect();
            (!words.is_empty()).then(|| words.join("; "))
        }
        Value::Object(fields) => KEYS.iter().find_map(|key| words_of(fields.get(*key)?)),
        _ => None,
    }
}

/// Removes the tags from a text that may be HTML or XML.
fn without_markup(text: &str) -> String {
    let mut words = String::with_capacity(text.len());
    let mut in_tag = false;
    for letter in text.chars() {
        match letter {
            '<' => in_tag = true,
            '>' if in_tag => {
                in_tag = false;
                words.push(' ');
            }
            _ if in_tag => {}
            _ if letter.is_control() => words.push(' '),
            _ => words.push(letter),
        }
    }
    words
}

/// Truncates a text to [`WORDS_BYTES_MAX`], at a character boundary.
fn cut(text: &str) -> String {
    if text.len() <= WORDS_BYTES_MAX {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(WORDS_BYTES_MAX)])
}
