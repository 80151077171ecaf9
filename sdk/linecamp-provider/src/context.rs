//! What a call may ask of the outside.

use std::fmt;
use std::rc::Rc;

use crate::exchange::{ExchangeError, Tsig};
use crate::failure::Failure;
use crate::http::{HttpError, HttpRequest, HttpResponse, Method, RequestBuilder, Response};

/// Pages that [`Context::paginate`] turns. A zone of a hundred thousand records in pages of a hundred fits; the host's
/// own limit on requests is mostly lower. Past it the call is refused, because the pages seem to have no end.
const PAGES_MAX: usize = 1_000;

/// What a provider finds outside of itself. The host is one; the testkit is another.
pub trait Outside {
    /// Sends a request and waits for its answer. Redirects are not followed.
    ///
    /// # Errors
    /// [`HttpError`] says why there is no answer.
    fn send(&self, request: &HttpRequest) -> Result<HttpResponse, HttpError>;

    /// Sends a DNS message to `HOST:PORT` and waits for its answer; with `sign`, both are signed.
    ///
    /// # Errors
    /// [`ExchangeError`] says why there is no answer.
    fn exchange(&self, server: &str, message: &[u8], sign: Option<&Tsig>) -> Result<Vec<u8>, ExchangeError>;

    /// Writes a line into the daemon's log.
    fn log(&self, level: Level, message: &str);

    /// Returns milliseconds since 1970 began.
    fn now_millis(&self) -> u64;
}

/// How loud a line in the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// It stopped doing its job.
    Error,
    /// Worth a look.
    Warn,
    /// A change that an operator would mention.
    Info,
    /// For whoever works on the provider.
    Debug,
}

/// What a call may ask of the outside: HTTP, a DNS exchange, the log and the time.
#[derive(Clone)]
pub struct Context {
    outside: Rc<dyn Outside>,
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").finish_non_exhaustive()
    }
}

/// One page of a list, and how the next one is asked for.
#[derive(Debug)]
pub struct Page<T> {
    /// What this page holds.
    pub items: Vec<T>,
    /// The request for the next one; `None` on the last.
    pub next: Option<RequestBuilder>,
}

impl Context {
    /// Makes a context over this outside.
    pub fn new(outside: impl Outside + 'static) -> Self {
        Self { outside: Rc::new(outside) }
    }

    /// Begins a GET request.
    pub fn get(&self, url: impl Into<String>) -> RequestBuilder {
        self.request(Method::Get, url)
    }

    /// Begins a POST request.
    pub fn post(&self, url: impl Into<String>) -> RequestBuilder {
        self.request(Method::Post, url)
    }

    /// Begins a PUT request.
    pub fn put(&self, url: impl Into<String>) -> RequestBuilder {
        self.request(Method::Put, url)
    }

    /// Begins a PATCH request.
    pub fn patch(&self, url: impl Into<String>) -> RequestBuilder {
        self.request(Method::Patch, url)
    }

    /// Begins a DELETE request.
    pub fn delete(&self, url: impl Into<String>) -> RequestBuilder {
        self.request(Method::Delete, url)
    }

    /// Begins a request.
    pub fn request(&self, method: Method, url: impl Into<String>) -> RequestBuilder {
        RequestBuilder::new(self.clone(), method, url.into())
    }

    /// Asks for page after page and returns what all of them hold. Each answer is [`ok`](Response::ok) when `read` sees
    /// it.
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
    /// [`Failure`] of the first page that fails; a refusal if a page asks for itself again, or there are too many.
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

    /// Sends a DNS message to `HOST:PORT` and returns the answer: over UDP, and over TCP if the answer is cut. With
    /// `sign`, the host signs the message and believes only a signed answer.
    ///
    /// # Errors
    /// [`ExchangeError`] says why there is no answer; `?` makes a [`Failure`] of it.
    pub fn exchange(&self, server: &str, message: &[u8], sign: Option<&Tsig>) -> Result<Vec<u8>, ExchangeError> {
        self.outside.exchange(server, message, sign)
    }

    /// Returns the daemon's log: `cx.log().info("…")`.
    pub fn log(&self) -> Log<'_> {
        Log { outside: &*self.outside }
    }

    /// Returns milliseconds since 1970 began, as the host knows them.
    pub fn now_millis(&self) -> u64 {
        self.outside.now_millis()
    }

    pub(crate) fn send(&self, request: &HttpRequest) -> Result<HttpResponse, HttpError> {
        self.outside.send(request)
    }
}

/// The daemon's log. Lines are limited, and secrets in them are blotted out by the host; write neither much nor often.
pub struct Log<'a> {
    outside: &'a dyn Outside,
}

impl fmt::Debug for Log<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").finish_non_exhaustive()
    }
}

impl Log<'_> {
    /// It stopped doing its job.
    pub fn error(&self, message: impl fmt::Display) {
        self.outside.log(Level::Error, &message.to_string());
    }

    /// Worth a look.
    pub fn warn(&self, message: impl fmt::Display) {
        self.outside.log(Level::Warn, &message.to_string());
    }

    /// A change that an operator would mention.
    pub fn info(&self, message: impl fmt::Display) {
        self.outside.log(Level::Info, &message.to_string());
    }

    /// For whoever works on the provider.
    pub fn debug(&self, message: impl fmt::Display) {
        self.outside.log(Level::Debug, &message.to_string());
    }
}
