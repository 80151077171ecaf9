//! The host as a provider sees it.

use std::fmt;
use std::rc::Rc;

use crate::dns_client::{DnsError, Tsig};
use crate::error::ProviderError;
use crate::http::{HttpError, HttpRequest, HttpResponse, Method, RequestBuilder, Response};

/// The most pages that [`Context::paginate`] requests. Enough for a zone of 100,000 records in pages of 100; the host's
/// own limit on requests is usually lower. Beyond it the call fails, because the pages do not seem to end.
const PAGES_MAX: usize = 1_000;

/// What a provider can use of its host. Implemented by the host and by the testkit.
pub trait Host {
    /// Sends a request and waits for its response. Redirects are not followed.
    ///
    /// # Errors
    /// [`HttpError`] says why there is no response.
    fn send_http(&self, request: &HttpRequest) -> Result<HttpResponse, HttpError>;

    /// Sends a DNS message to `HOST:PORT` and waits for its response; with `sign`, both are signed.
    ///
    /// # Errors
    /// [`DnsError`] says why there is no response.
    fn send_dns(&self, server: &str, message: &[u8], sign: Option<&Tsig>) -> Result<Vec<u8>, DnsError>;

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

/// A call's access to the host: HTTP, DNS messages, the log and the clock.
#[derive(Clone)]
pub struct Context {
    host: Rc<dyn Host>,
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
    pub fn new(host: impl Host + 'static) -> Self {
        Self { host: Rc::new(host) }
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

    /// Requests page after page and returns the items of all of them. Each response has passed
    /// [`error_for_status`](Response::error_for_status) before it is passed to `read`.
    ///
    /// ```no_run
    /// # use linecamp_provider::prelude::*;
    /// # #[derive(serde::Deserialize)] struct Record {}
    /// # #[derive(serde::Deserialize)] struct List { records: Vec<Record>, next: Option<u32> }
    /// # fn list(cx: &Context, url: &str) -> Result<Vec<Record>, ProviderError> {
    /// let first = cx.get(url).bearer("token");
    /// let records = cx.paginate(first, |response| {
    ///     let list: List = response.json()?;
    ///     let next = list.next.map(|page| cx.get(url).query("page", page).bearer("token"));
    ///     Ok(Page { items: list.records, next })
    /// })?;
    /// # Ok(records) }
    /// ```
    ///
    /// # Errors
    /// [`ProviderError`] of the first page that fails; [`ProviderError::Invalid`] if a page links to itself, or there
    /// are too many pages.
    pub fn paginate<T>(
        &self,
        first: RequestBuilder,
        mut read: impl FnMut(&Response) -> Result<Page<T>, ProviderError>,
    ) -> Result<Vec<T>, ProviderError> {
        let (mut items, mut request) = (Vec::new(), first);
        for _ in 0..PAGES_MAX {
            let current = request.as_request().clone();
            let page = read(&request.send()?.error_for_status()?)?;
            items.extend(page.items);
            match page.next {
                None => return Ok(items),
                Some(next) if *next.as_request() == current => {
                    return Err(ProviderError::invalid(format!("{} names itself as the next page", current.place())));
                }
                Some(next) => request = next,
            }
        }
        Err(ProviderError::invalid(format!("the list has more than {PAGES_MAX} pages")))
    }

    /// Sends a DNS message to `HOST:PORT` and returns the response: over UDP, and over TCP if the response is
    /// truncated. With `sign`, the host signs the message and accepts only a signed response.
    ///
    /// # Errors
    /// [`DnsError`] says why there is no response; `?` converts it to a [`ProviderError`].
    pub fn send_dns(&self, server: &str, message: &[u8], sign: Option<&Tsig>) -> Result<Vec<u8>, DnsError> {
        self.host.send_dns(server, message, sign)
    }

    /// Returns the daemon's log: `cx.log().info("…")`.
    pub fn log(&self) -> Log<'_> {
        Log { host: &*self.host }
    }

    /// Returns the host's time in milliseconds since the Unix epoch.
    pub fn now_millis(&self) -> u64 {
        self.host.now_millis()
    }

    pub(crate) fn send(&self, request: &HttpRequest) -> Result<HttpResponse, HttpError> {
        self.host.send_http(request)
    }
}

/// The daemon's log. The host limits the number of lines and redacts secrets in them; log sparingly.
pub struct Log<'a> {
    host: &'a dyn Host,
}

impl fmt::Debug for Log<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").finish_non_exhaustive()
    }
}

impl Log<'_> {
    /// Logs that something stopped working.
    pub fn error(&self, message: impl fmt::Display) {
        self.host.log(Level::Error, &message.to_string());
    }

    /// Logs something worth an operator's attention.
    pub fn warn(&self, message: impl fmt::Display) {
        self.host.log(Level::Warn, &message.to_string());
    }

    /// Logs a change that is relevant to an operator.
    pub fn info(&self, message: impl fmt::Display) {
        self.host.log(Level::Info, &message.to_string());
    }

    /// Logs a detail for developers of the provider.
    pub fn debug(&self, message: impl fmt::Display) {
        self.host.log(Level::Debug, &message.to_string());
    }
}
