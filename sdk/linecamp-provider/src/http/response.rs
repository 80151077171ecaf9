//! Answers, and what their status means.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{HttpResponse, date};
use crate::context::Context;
use crate::failure::Failure;

/// Bytes of a service's own words that go into a failure. The rest is cut: an operator reads a sentence, not a page.
const WORDS_BYTES_MAX: usize = 300;

/// Bytes of an answer in which its words are looked for. An error that is longer is a page; its beginning will do.
const WORDS_SOURCE_BYTES_MAX: usize = 16 * 1024;

/// An answer, with whatever status.
#[derive(Debug)]
pub struct Response {
    context: Context,
    /// What was asked, for an error's words.
    place: String,
    answer: HttpResponse,
}

impl Response {
    pub(crate) const fn new(context: Context, place: String, answer: HttpResponse) -> Self {
        Self { context, place, answer }
    }

    /// Returns the status.
    pub const fn status(&self) -> u16 {
        self.answer.status
    }

    /// Returns a header, named in any case; the first if there are several.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.answer.headers.iter();
        headers.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Returns the body.
    pub fn body(&self) -> &[u8] {
        &self.answer.body
    }

    /// Returns the body as text; what is no UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.answer.body).into_owned()
    }

    /// Reads the body as JSON.
    ///
    /// # Errors
    /// A [`Failure`] to try again, which says what was asked and where the answer is not as expected: mostly something
    /// stands between us and the service.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.answer.body).map_err(|error| self.malformed(error))
    }

    /// Makes the failure of an answer that is not what was expected; `why` says in what way.
    pub fn malformed(&self, why: impl std::fmt::Display) -> Failure {
        let kind = self.header("content-type").unwrap_or("no type");
        let (place, bytes) = (&self.place, self.answer.body.len());
        Failure::retry(cut(&format!("{place} answered what was not expected ({kind}, {bytes} bytes): {why}")))
    }

    /// Returns the answer if its status is a success, and what the status means for the call if it is not.
    ///
    /// # Errors
    /// - a success with a web page for a body: to be tried again, for something stands between us and the service
    /// - 401, 403: unauthorized
    /// - 429, 503: to be tried again, when `Retry-After` says (seconds or a date) if it does
    /// - 408, 425 and all other 5xx: to be tried again
    /// - all else: refused, with the service's own words, cut
    pub fn ok(self) -> Result<Self, Failure> {
        match self.status() {
            200..=299 if self.is_web_page() => Err(self.malformed("a web page; does something stand in between?")),
            200..=299 => Ok(self),
            _ => Err(self.failure()),
        }
    }

    /// Returns what the status means for the call, as [`ok`](Self::ok) does, of an answer that was looked at already.
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

    /// Returns how long the service asks to be left alone, by its `Retry-After`.
    pub fn retry_after(&self) -> Option<Duration> {
        let text = self.header("retry-after")?.trim();
        if let Ok(seconds) = text.parse::<u32>() {
            return Some(Duration::from_secs(seconds.into()));
        }
        let at = date::parse(text)?;
        Some(Duration::from_secs(at).saturating_sub(Duration::from_millis(self.context.now_millis())))
    }

    /// Whether the body is HTML, whatever its type is said to be: a hotel's network, a proxy's own words.
    fn is_web_page(&self) -> bool {
        let begins = |word: &str| {
            let body = self.answer.body.trim_ascii_start();
            body.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()))
        };
        begins("<!doctype html") || begins("<html")
    }

    /// Returns the service's own words about what is wrong, cut and in one line.
    fn words(&self) -> Option<String> {
        let body = &self.answer.body[..self.answer.body.len().min(WORDS_SOURCE_BYTES_MAX)];
        let said = serde_json::from_slice::<Value>(body).ok().and_then(|value| words_of(&value));
        let said = said.unwrap_or_else(|| without_markup(&String::from_utf8_lossy(body)));
        let line = said.split_whitespace().collect::<Vec<_>>().join(" ");
        (!line.is_empty()).then(|| cut(&line))
    }
}

/// Finds the sentence in an error as services write it: `{"error": "…"}`, `{"errors": [{"message": "…"}]}` and so on.
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

/// Leaves the tags out of what may be HTML or XML.
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

/// Cuts a text at [`WORDS_BYTES_MAX`], between two letters.
fn cut(text: &str) -> String {
    if text.len() <= WORDS_BYTES_MAX {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(WORDS_BYTES_MAX)])
}
