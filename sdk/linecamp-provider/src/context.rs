//! A call's access to the outside.

use std::fmt;
use std::rc::Rc;

use crate::exchange::{ExchangeError, Tsig};
use crate::failure::Failure;
use crate::http::{HttpError, HttpRequest, HttpResponse, Method, RequestBuilder, Response};

/// The most pages that [`Context::paginate`] requests. Enough for a zone of 100,000 records in pages of 100; the host's
/// own limit on requests is usually lower. Beyond it the call is refused, because the pages do not seem to end.
const PAGES_MAX: usize = 1_000;

/// The environment of a provider. Implemented by the host and by the testkit.
pub trait Outside {
    /// Sends a request and waits for its response. Redirects are not followed.
    ///
    /// # Errors
    /// [`HttpError`] says why there is no response.
    fn send(&self, request: &HttpRequest) -> Result<HttpResponse, HttpError>;

    /// Sends a DNS message to `HOST:PORT` and waits for its response; with `sign`, both are signed.
    ///
    /// # Errors
    /// [`ExchangeError`] says why there is no response.
    fn exchange(&self, server: &str, message: &[u8], sign: Option<&Tsig>) -> Result<Vec<u8>, ExchangeError>;

    /// Writes a line to the daemon's log.
    fn log(&self, level: Level, message: &str);

    /// Returns the time in milliseconds since the Unix epoch.
    fn now_millis(&self) -> u64;
}

/// The severity of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something stopped working.
    Error,
    /// Worth an operator's attention.
    Warn,
    /// A change that is relevant to an operator.
    Info,
    /// For developers of the provider.
    Debug,
}

/// A call's access to the outside: HTTP, a DNS exchange, the log and the clock.
#[derive(Clone)]
pub struct Context {
    outside: Rc<dyn Outside>,
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").finish_non_exhaustive()
    }
}

/// One page of a list, and the request for the next one.
#[derive(Debug)]
pub struct Page<T> {
    /// The items on this page.
    pub items: Vec<T>,
    /// The request for the next page; `None` on the last.
    pub next: Option<RequestBuilder>,
}

impl Context {
    /// Makes a context with this environment.
    pub fn new(outside: impl Outside + 'static) -> Self {
        Self { outside: Rc::new(outside) }
    }

    /// Starts a GET request.
    pub fn get(&self, url: impl Into<String>) -> RequestBuilder {
        self.request(Method::Get, url)
    }

    /// Starts a POST request.
    pub fn post(&self, url: impl Into<String>) -> RequestBuilder {
        self.request(Method::Post, url)
    }

    /// Starts a PUT request.
    pub fn put(&self, url: impl Into<String>) -> RequestBuilder {
        self.request(Method::Put, url)
    }

    /// Starts a PATCH request.
    pub fn patch(&self, url: impl Into<String>) -> RequestBuilder {
        self.request(Method::Patch, url)
    }

    /// Starts a DELETE request.
    pub fn delete(&self, url: impl Into<String>) -> RequestBuilder {
        self.request(Method::Delete, url)
    }

    /// Starts a request.
    pub fn request(&self, method: Method, url: impl Into<String>) -> RequestBuilder {
        RequestBuilder::new(self.clone(), method, url.into())
    }

    /// Requests page after page and returns the items of all of them. Each response has passed [`ok`](Response::ok)
    /// before it is handed to `read`.
    ///
    /// ```no_run
    /// # use linecamp_provider::prelude::*;
    /// # #[derive(serde::Deserialize)] struct Record {}
    /// # #[derive(serde::Deserialize)] struct List { records: Vec<Record>, next: Option<u32> }
    /// # fn list(cx: &Context, url: &str) -> Result<Vec<Record>, Failure> {
    /// let first = cx.get(url).bearer("token");
    /// let records = cx.paginate(first, |answer| {
    ///     let list: List = answer.json()?;
    ///     let next = list.next.map(|page| cx.get(url).query("page", page).bearer("token"));
    ///     Ok(Page { items: list.records, next })
    /// })?;
    /// # Ok(records) }
    /// ```
    ///
    /// # Errors
    /// [`Failure`] of the first page that fails; a refusal if a page links to itself, or there are too many pages.
    pub fn paginate<T>(
        &self,
        first: RequestBuilder,
        mut read: impl FnMut(&Response) -> Result<Page<T>, Failure>,
    ) -> Result<Vec<T>, Failure> {
        let (mut items, mut request) = (Vec::new(), first);
        for _ in 0..PAGES_MAX {
            let asked = request.as_request().clone();
            let page = read(&request.send()?.ok()?)?;
            items.extend(page.items);
            match page.next {
                None => return Ok(items),
                Some(next) if *next.as_request() == asked => {
                    return Err(Failure::refused(format!("{} asks for itself as the next page", asked.place())));
                }
                Some(next) => request = next,
            }
        }
        Err(Failure::refused(format!("the list has more than {PAGES_MAX} pages")))
    }

    /// Sends a DNS message to `HOST:PORT` and returns the response: over UDP, and over TCP if the response is
    /// truncated. With `sign`, the host signs the message and accepts only a signed response.
    ///
    /// # Errors
    /// [`ExchangeError`] says why there is no response; `?` converts it to a [`Failure`].
    pub fn exchange(&self, server: &str, message: &[u8], sign: Option<&Tsig>) -> Result<Vec<u8>, ExchangeError> {
        self.outside.exchange(server, message, sign)
    }

    /// Returns the daemon's log: `cx.log().info("…")`.
    pub fn log(&self) -> Log<'_> {
        Log { outside: &*self.outside }
    }

    /// Returns the host's time in milliseconds since the Unix epoch.
    pub fn now_millis(&self) -> u64 {
        self.outside.now_millis()
    }

    pub(crate) fn send(&self, request: &HttpRequest) -> Result<HttpResponse, HttpError> {
        self.outside.send(request)
    }
}

/// The daemon's log. The host limits the number of lines and redacts secrets in them; log sparingly.
pub struct Log<'a> {
    outside: &'a dyn Outside,
}

impl fmt::Debug for Log<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").finish_non_exhaustive()
    }
}

impl Log<'_> {
    /// Something stopped working.
    pub fn error(&self, message: impl fmt::Display) {
        self.outside.log(Level::Error, &message.to_string());
    }

    /// Worth an operator's attention.
    pub fn warn(&self, message: impl fmt::Display) {
        self.outside.log(Level::Warn, &message.to_string());
    }

    /// A change that is relevant to an operator.
    pub fn info(&self, message: impl fmt::Display) {
        self.outside.log(Level::Info, &message.to_string());
    }

    /// For developers of the provider.
    pub fn debug(&self, message: impl fmt::Display) {
        self.outside.log(Level::Debug, &message.to_string());
    }
}
