//! The host as a provider sees it.

use std::fmt;
use std::rc::Rc;

use crate::dns_client::{DnsError, Tsig};
use crate::http::{HttpError, HttpRequest, HttpResponse};

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

impl Context {
    /// Makes a context with this environment.
    pub fn new(host: impl Host + 'static) -> Self {
        Self { host: Rc::new(host) }
    }

    /// Sends a DNS message to `HOST:PORT` and returns the response: over UDP, and over TCP if the response is
    /// truncated. With `sign`, the host signs the message and accepts only a signed response.
    ///
    /// # Errors
    /// [`DnsError`] says why there is no response; `?` converts it to a [`ProviderError`](crate::ProviderError).
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
