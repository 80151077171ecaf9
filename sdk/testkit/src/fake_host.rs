//! The kit's implementation of [`Host`]: it checks requests as the real host does, passes them to a fake service,
//! injects faults, and records what happened.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use data_encoding::BASE64;
use linecamp_provider::http::{Auth, HttpError, HttpRequest, HttpResponse, Sigv4};
use linecamp_provider::{DnsError, Host, Level, Tsig};
use serde_json::Value;

use crate::endpoint::Endpoint;
use crate::fake_service::{DnsRequest, Request, Service, reply};
use crate::fault::Fault;
use crate::setup::Setup;

/// Maximum number of requests per call, as in the host. Further requests are denied, which ends an endless loop.
const REQUESTS_PER_CALL_MAX: usize = 64;

/// Headers that only the host may set, or that are never allowed, besides those whose name starts with `proxy-`. The
/// host denies a request with one of them. A test compares this list with the host's own, which providers that run
/// without a host do not link.
const RESERVED_HEADERS: [&str; 19] = [
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-amz-security-token",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
];

/// The number of log lines per call above which the kit reports noise.
const LOG_LINES_PER_CALL_MAX: usize = 100;

/// The time of the first call: Friday, 15 January 2027, 08:00:00 UTC.
pub(crate) const START_MILLIS: u64 = 1_800_000_000_000;

/// The environment. Clones share their state.
#[derive(Clone)]
pub(crate) struct FakeHost(Arc<Mutex<State>>);

struct State {
    service: Box<dyn Service>,
    secrets: Vec<(String, String)>,
    endpoints: Vec<Endpoint>,
    plan: FaultPlan,
    now_millis: u64,
    call: CallStats,
    violations: Vec<String>,
    inexact_urls: Vec<String>,
    /// The requests of the current call that the service answered with success.
    answered: Vec<Request>,
}

/// Which fault to inject, and when.
#[derive(Clone, Debug, Default)]
pub(crate) enum FaultPlan {
    /// No fault.
    #[default]
    NoFault,
    /// This fault, at one request of the call.
    At(usize, Fault),
    /// This fault, at every request.
    Always(Fault),
    /// Just before this request of the call reaches the service, these foreign sets are seeded.
    Race(usize, Vec<linecamp_provider::RecordSet>),
}

/// The observations from one call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CallStats {
    pub(crate) http: usize,
    pub(crate) dns: usize,
    pub(crate) log_lines: usize,
    /// Whether the planned fault occurred.
    pub(crate) is_injected: bool,
}

impl CallStats {
    pub(crate) const fn requests(self) -> usize {
        self.http + self.dns
    }
}

impl FakeHost {
    pub(crate) fn new(setup: &Setup, endpoints: Vec<Endpoint>) -> Self {
        let state = State {
            service: (setup.service)(),
            secrets: setup.secrets.clone().into_iter().collect(),
            endpoints,
            plan: FaultPlan::NoFault,
            now_millis: START_MILLIS,
            call: CallStats::default(),
            violations: Vec::new(),
            inexact_urls: Vec::new(),
            answered: Vec::new(),
        };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Runs a function on the service.
    pub(crate) fn with_service<T>(&self, act: impl FnOnce(&mut dyn Service) -> T) -> T {
        act(&mut *self.state().service)
    }

    /// Begins a call with this fault plan.
    pub(crate) fn begin(&self, plan: FaultPlan) {
        let mut state = self.state();
        (state.plan, state.call) = (plan, CallStats::default());
        state.answered.clear();
    }

    /// Ends the call and its fault plan, and returns the observations.
    pub(crate) fn end(&self) -> CallStats {
        let mut state = self.state();
        state.plan = FaultPlan::NoFault;
        if LOG_LINES_PER_CALL_MAX < state.call.log_lines {
            let lines = state.call.log_lines;
            state.violations.push(format!("log: {lines} lines in one call"));
        }
        state.call
    }

    /// Returns the provider's violations.
    pub(crate) fn violations(&self) -> Vec<String> {
        self.state().violations.clone()
    }

    /// Returns the URLs that are malformed or ambiguous, with the reason.
    pub(crate) fn inexact_urls(&self) -> Vec<String> {
        self.state().inexact_urls.clone()
    }

    /// Returns the requests of the current or last call that the service answered with success.
    pub(crate) fn answered_requests(&self) -> Vec<Request> {
        self.state().answered.clone()
    }

    /// Checks text from the provider for secrets.
    pub(crate) fn scan(&self, place: &str, text: &str) {
        self.state().scan(place, text.as_bytes());
    }

    /// Handles a request that a real host allowed, with the secrets in it.
    #[cfg(feature = "host")]
    pub(crate) fn handle_http(&self, request: &Request) -> Result<HttpResponse, HttpError> {
        let mut state = self.state();
        state.scan("a URL", request.url.as_bytes());
        state.scan("a body", &request.body);
        state.serve(request)
    }

    /// Handles a DNS message that a real host allowed, without its signature.
    #[cfg(feature = "host")]
    pub(crate) fn handle_dns(&self, request: &DnsRequest) -> Result<Vec<u8>, DnsError> {
        self.state().serve_dns(request)
    }

    /// Returns the secrets with their names.
    #[cfg(feature = "host")]
    pub(crate) fn secrets(&self) -> Vec<(String, String)> {
        self.state().secrets.clone()
    }

    /// Returns the endpoints that the provider may call.
    #[cfg(feature = "host")]
    pub(crate) fn endpoints(&self) -> Vec<Endpoint> {
        self.state().endpoints.clone()
    }

    /// A panic in a fake is reported by itself; the state it left is still readable.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn scan(&mut self, place: &str, text: &[u8]) {
        for (name, value) in &self.secrets {
            let is_there = !value.is_empty() && text.windows(value.len()).any(|window| window == value.as_bytes());
            if is_there {
                self.violations.push(format!("leak: the secret `{name}` is in {place}"));
            }
        }
    }

    fn check_request(&mut self, place: &str, endpoint: Option<Endpoint>) -> Result<(), String> {
        if REQUESTS_PER_CALL_MAX <= self.call.requests() {
            return Err(format!("more than {REQUESTS_PER_CALL_MAX} requests"));
        }
        match endpoint {
            Some(endpoint) if self.endpoints.contains(&endpoint) => Ok(()),
            Some(endpoint) => {
                self.violations
                    .push(format!("endpoint: {place} goes to {endpoint}, which is not declared in `endpoints`"));
                Err(format!("no grant for {endpoint}"))
            }
            None => {
                self.violations.push(format!("endpoint: {place} is not a URL or HOST:PORT"));
                Err(format!("{place} is not a URL or HOST:PORT"))
            }
        }
    }

    fn secret(&mut self, name: &str) -> Result<String, String> {
        match self.secrets.iter().find(|(known, _)| known == name) {
            Some((_, value)) => Ok(value.clone()),
            None => Err(format!("no secret `{name}`: declare it in `describe`, and add it to the setup")),
        }
    }

    /// Returns the headers that the host adds.
    fn headers(&mut self, auth: Option<&Auth>) -> Result<Vec<(String, String)>, String> {
        let authorization = |value: String| vec![("authorization".to_owned(), value)];
        Ok(match auth {
            None => Vec::new(),
            Some(Auth::Bearer { secret }) => authorization(format!("Bearer {}", self.secret(secret)?)),
            Some(Auth::Basic { user, secret }) => {
                let pair = format!("{user}:{}", self.secret(secret)?);
                authorization(format!("Basic {}", BASE64.encode(pair.as_bytes())))
            }
            Some(Auth::Header { header, prefix, secret }) => {
                vec![(header.clone(), format!("{prefix}{}", self.secret(secret)?))]
            }
            Some(Auth::Sigv4(sign)) => self.sigv4(sign)?,
        })
    }

    /// Makes the headers of a signed request, with a dummy signature: signing is the host's responsibility.
    fn sigv4(&mut self, sign: &Sigv4) -> Result<Vec<(String, String)>, String> {
        let id = self.secret(&sign.access_key_id_secret)?;
        self.secret(&sign.secret_access_key_secret)?;
        let scope = format!("20270115/{}/{}/aws4_request", sign.region, sign.service);
        let signed = format!("AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders=host;x-amz-date, Signature=00");
        let mut headers = vec![("authorization".to_owned(), signed)];
        headers.push(("x-amz-date".to_owned(), "20270115T080000Z".to_owned()));
        if let Some(token) = &sign.session_token_secret {
            headers.push(("x-amz-security-token".to_owned(), self.secret(token)?));
        }
        Ok(headers)
    }

    /// Returns the fault to inject at the call's request number `index`.
    fn fault(&mut self, index: usize) -> Option<Fault> {
        match &self.plan {
            FaultPlan::At(at, fault) if *at == index => Some(fault.clone()),
            FaultPlan::Always(fault) => Some(fault.clone()),
            FaultPlan::Race(at, seeded) if *at == index => {
                for set in seeded.clone() {
                    self.service.seed(&set);
                }
                self.call.is_injected = true;
                None
            }
            _ => None,
        }
    }

    fn scan_request(&mut self, request: &HttpRequest) {
        self.scan("a URL", request.url.as_bytes());
        self.scan("a body", &request.body);
        for (name, value) in &request.headers {
            self.scan(&format!("the header {name}"), value.as_bytes());
        }
    }

    fn http(&mut self, request: &HttpRequest) -> Result<HttpResponse, HttpError> {
        self.scan_request(request);
        let place = format!("{} {}", request.method, request.url);
        self.check_request(&place, Endpoint::parse_url(&request.url)).map_err(HttpError::Denied)?;
        if let Some((name, _)) = request.headers.iter().find(|(name, _)| is_reserved(name)) {
            return Err(HttpError::Denied(format!("the header `{name}` is reserved for the sandbox")));
        }
        let added = self.headers(request.auth.as_ref()).map_err(HttpError::Denied)?;
        self.serve(&Request::of(request, added))
    }

    /// Handles a request in the service, or injects the planned fault.
    fn serve(&mut self, request: &Request) -> Result<HttpResponse, HttpError> {
        let fault = self.fault(self.call.requests());
        self.call.http += 1;
        self.now_millis += 10;
        if let Some(why) = request.inexact() {
            self.inexact_urls.push(format!("{} {} {why}", request.method.as_str(), request.url));
            return Ok(reply::error(400, why));
        }
        let is_handled = fault.as_ref().is_none_or(Fault::is_handled);
        let mut response = match is_handled {
            true => self.service.handle(request),
            false => HttpResponse { status: 0, headers: Vec::new(), body: Vec::new() },
        };
        for (name, _) in &mut response.headers {
            name.make_ascii_lowercase();
        }
        match fault.and_then(|fault| fault.http(&response)) {
            None if is_handled => {
                if response.status < 400 {
                    self.answered.push(request.clone());
                }
                Ok(response)
            }
            // The fault does not apply to HTTP: respond normally.
            None => Ok(self.service.handle(request)),
            Some(outcome) => {
                self.call.is_injected = true;
                outcome
            }
        }
    }

    fn dns(&mut self, request: &DnsRequest) -> Result<Vec<u8>, DnsError> {
        self.check_request(&request.server, Endpoint::parse_pair(&request.server)).map_err(DnsError::Denied)?;
        if let Some(sign) = &request.sign {
            self.secret(&sign.secret).map_err(DnsError::Denied)?;
        }
        self.serve_dns(request)
    }

    /// Handles a message in the service, or injects the planned fault.
    fn serve_dns(&mut self, request: &DnsRequest) -> Result<Vec<u8>, DnsError> {
        let fault = self.fault(self.call.requests());
        self.call.dns += 1;
        self.now_millis += 10;
        let is_handled = fault.as_ref().is_none_or(Fault::is_handled);
        let response = if is_handled { self.service.handle_dns(request) } else { Vec::new() };
        match fault.and_then(|fault| fault.dns(&request.message, &response)) {
            None if is_handled => Ok(response),
            // The fault does not apply to DNS: respond normally.
            None => Ok(self.service.handle_dns(request)),
            Some(outcome) => {
                self.call.is_injected = true;
                outcome
            }
        }
    }
}

impl Host for FakeHost {
    fn send_http(&self, request: &HttpRequest) -> Result<HttpResponse, HttpError> {
        self.state().http(request)
    }

    fn send_dns(&self, server: &str, message: &[u8], sign: Option<&Tsig>) -> Result<Vec<u8>, DnsError> {
        let request = DnsRequest { server: server.to_owned(), message: message.to_vec(), sign: sign.cloned() };
        self.state().dns(&request)
    }

    fn log(&self, _level: Level, message: &str) {
        let mut state = self.state();
        state.call.log_lines += 1;
        state.scan("the log", message.as_bytes());
    }

    fn now_millis(&self) -> u64 {
        self.state().now_millis
    }
}

fn is_reserved(header: &str) -> bool {
    let name = header.to_ascii_lowercase();
    RESERVED_HEADERS.contains(&name.as_str()) || name.starts_with("proxy-")
}

/// Returns the name of a secret whose value occurs in the config, if any.
pub(crate) fn secret_in_config(setup: &Setup) -> Option<String> {
    let value: Value = serde_json::from_str(&setup.config).ok()?;
    let text = value.to_string();
    setup.secrets.iter().find(|(_, secret)| !secret.is_empty() && text.contains(*secret)).map(|(name, _)| name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_of_the_host_is_reserved_in_any_case() {
        for name in ["Host", "X-Forwarded-For", "Proxy-Authorization"] {
            assert!(is_reserved(name), "{name}");
        }
        assert!(!is_reserved("X-API-Key"));
    }

    #[cfg(feature = "host")]
    #[test]
    fn the_fake_host_reserves_the_headers_of_the_real_one() {
        assert_eq!(RESERVED_HEADERS, linecamp_plugin_host::RESERVED_HEADERS);
    }
}
