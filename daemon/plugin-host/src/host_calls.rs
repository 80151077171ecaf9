//! The HTTP requests and DNS messages that a plugin asks the host to send: the only way out of the sandbox.
//!
//! Every request passes four checks, in this order, and each can reject it: it is parsed strictly, its host is looked
//! up in the grant, it is charged against the budget, and the addresses its host resolves to are checked. Then the
//! secrets are inserted, each only if the site's configuration lets this provider send it to this host in this way, and
//! the request goes to one of those addresses and nowhere else. The response is bounded while it arrives, and secrets
//! in it are redacted.
//!
//! None of this needs WebAssembly, and it is tested without it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use linecamp_model::{Endpoint, Grant, Name, SecretName};
use tokio::time::{Instant, timeout_at};

use self::grant_check::{allowed_addresses, granted};
use self::quota::Budget;
use self::secret_handles::Handles;
use crate::limits::Limits;
use crate::outbound::{Outbound, OutboundError, OutboundFuture, Target};
use crate::redact::{AssignedSecrets, Redactor};
use crate::secret::Secrets;

mod auth;
mod dns;
mod dns_client;
mod grant_check;
mod header;
mod http;
mod quota;
mod secret_handles;
mod sigv4;
mod tsig;
mod url;

pub(crate) use self::auth::{Auth, SigV4};
pub(crate) use self::dns::{is_response, is_truncated};
pub(crate) use self::dns_client::{DnsQuery, TsigKey};
pub use self::header::RESERVED_HEADERS;
pub(crate) use self::http::{HttpRequest, HttpResponse};
pub(crate) use self::tsig::TsigCode;

/// Why a request was not sent, or got no response. The texts go to the plugin, and from there to users.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HostCallError {
    /// Not granted, no such secret, or not allowed for plugins.
    #[error("{0}")]
    Denied(String),
    /// The host cannot be reached.
    #[error("{0}")]
    Unreachable(String),
    /// The request took too long.
    #[error("no response in time")]
    Timeout,
    /// The response has more bytes than this.
    #[error("the response is larger than {0} bytes")]
    TooLarge(u64),
    /// The call exceeded a limit.
    #[error("{0}")]
    LimitExceeded(String),
    /// The response is malformed.
    #[error("{0}")]
    Protocol(String),
    /// A TSIG signature was rejected, or a message could not be signed.
    #[error("{1}")]
    Tsig(TsigCode, String),
}

/// The requests of one call: what it may send, and what remains of its budget.
pub(crate) struct HostCalls {
    grant: Grant,
    handles: Handles,
    redactor: Redactor,
    budget: Budget,
    outbound: Arc<dyn Outbound>,
    /// The deadline for responses.
    until: Instant,
}

/// What one call is granted.
pub(crate) struct CallGrant {
    /// The provider that the call is made for.
    pub(crate) provider: Name,
    /// Whether the site's own configuration defines the provider.
    pub(crate) is_local: bool,
    pub(crate) grant: Grant,
    /// The plugin's handles for its secrets, mapped to the names of the site's secrets.
    pub(crate) handles: BTreeMap<SecretName, SecretName>,
    pub(crate) secrets: Arc<dyn Secrets>,
    pub(crate) outbound: Arc<dyn Outbound>,
    pub(crate) until: Instant,
}

impl CallGrant {
    /// Returns where the secrets of the provider are.
    pub(crate) fn assigned_secrets(&self) -> AssignedSecrets {
        AssignedSecrets {
            provider: self.provider.clone(),
            is_local: self.is_local,
            handles: self.handles.clone(),
            secrets: Arc::clone(&self.secrets),
        }
    }
}

impl HostCalls {
    /// Starts with the full budget of one call.
    pub(crate) fn new(call_grant: CallGrant, limits: &Limits, redactor: Redactor) -> Self {
        let handles = Handles::new(&call_grant, redactor.clone());
        let CallGrant { grant, outbound, until, .. } = call_grant;
        Self { grant, handles, redactor, budget: Budget::new(limits), outbound, until }
    }

    /// Whether the call exceeded its limit on requests, bytes or time: services responded, but the call could not
    /// finish.
    pub(crate) fn is_exceeded(&self) -> bool {
        self.budget.is_exceeded() || (self.budget.has_response() && self.until <= Instant::now())
    }

    /// Resolves `endpoint`, if the grant covers it.
    async fn target(&self, endpoint: Endpoint, is_tls: bool, until: Instant) -> Result<Target, HostCallError> {
        let kind = granted(&self.grant, &endpoint)?;
        let found: Vec<IpAddr> = match endpoint.address() {
            Some(address) => vec![address],
            None => in_time(until, self.outbound.resolve(&endpoint)).await??,
        };
        let addresses = allowed_addresses(&endpoint, kind, found)?;
        Ok(Target { endpoint, addresses, is_tls })
    }

    /// Returns the deadline for an operation that may take at most `limit`.
    fn until(&self, limit: Option<Duration>) -> Instant {
        limit.map_or(self.until, |limit| self.until.min(Instant::now() + limit))
    }

    /// Converts a send error, charging the budget for a response that was too large.
    fn failed(&mut self, error: OutboundError) -> HostCallError {
        match error {
            OutboundError::TooLarge => self.budget.charge_oversized(),
            other => other.into(),
        }
    }
}

/// Waits for a response until the deadline.
async fn in_time<T>(until: Instant, future: OutboundFuture<'_, T>) -> Result<Result<T, OutboundError>, HostCallError> {
    timeout_at(until, future).await.map_err(|_| HostCallError::Timeout)
}

impl From<OutboundError> for HostCallError {
    fn from(error: OutboundError) -> Self {
        match error {
            OutboundError::Unreachable(why) => Self::Unreachable(why),
            OutboundError::Timeout => Self::Timeout,
            OutboundError::TooLarge => Self::Protocol("the response is too large".into()),
            OutboundError::Protocol(why) => Self::Protocol(why),
        }
    }
}
