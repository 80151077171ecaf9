//! The one way out of a sandbox. Four things happen to whatever a plugin sends, in this order, and each can say no:
//! what it says is taken strictly, its host is found in the grant, the budget is asked, and the addresses it leads to
//! are checked. Then the secrets are put in, each only if the site's configuration lets it go to this host in this way
//! for this provider, and it goes to one of those addresses and nowhere else. What comes back is bounded while it
//! arrives, and secrets in it are blotted out.
//!
//! All of it works without WebAssembly, and is tested so.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use linecamp_model::{Endpoint, Grant, Name, SecretName};
use tokio::time::{Instant, timeout_at};

use self::budget::Budget;
use self::handles::Handles;
use self::reach::{granted, vetted};
use crate::limits::Limits;
use crate::outbound::{Answering, Outbound, OutboundError, Target};
use crate::redact::Redactor;
use crate::secret::Secrets;

mod address;
mod auth;
mod budget;
mod dns;
mod exchange;
mod handles;
mod header;
mod http;
mod reach;
mod sigv4;
mod tsig;
mod url;

pub(crate) use self::auth::{Auth, SigV4};
pub(crate) use self::dns::{is_answer, is_cut};
pub(crate) use self::exchange::{Exchange, TsigKey};
pub(crate) use self::http::{HttpAnswer, HttpRequest};

/// Why something did not go out, or brought no answer. The texts go to the plugin, and from there to people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GateError {
    /// Not granted, no such secret, or not to be said by a plugin.
    #[error("{0}")]
    Denied(String),
    /// Nobody there.
    #[error("{0}")]
    Unreachable(String),
    /// It took too long.
    #[error("no answer in time")]
    Timeout,
    /// The answer has more bytes than this.
    #[error("the answer has more than {0} bytes")]
    TooLarge(u64),
    /// Used up.
    #[error("{0}")]
    Budget(String),
    /// Not an answer.
    #[error("{0}")]
    Protocol(String),
    /// A signature that somebody does not accept.
    #[error("{0}")]
    Tsig(String),
}

/// What a call may send, and what it has left.
pub(crate) struct Gate {
    grant: Grant,
    handles: Handles,
    redactor: Redactor,
    budget: Budget,
    outbound: Arc<dyn Outbound>,
    /// When answers stop to be waited for.
    until: Instant,
}

/// What a gate is opened for.
pub(crate) struct CallGrant {
    /// The provider that the call is made for.
    pub(crate) provider: Name,
    /// Whether the site's own configuration names it.
    pub(crate) is_local: bool,
    pub(crate) grant: Grant,
    /// What the plugin calls its secrets, and which secret of the site each is.
    pub(crate) handles: BTreeMap<SecretName, SecretName>,
    pub(crate) secrets: Arc<dyn Secrets>,
    pub(crate) outbound: Arc<dyn Outbound>,
    pub(crate) until: Instant,
}

impl Gate {
    /// Opens a gate for one call.
    pub(crate) fn new(pass: CallGrant, limits: &Limits, redactor: Redactor) -> Self {
        let handles = Handles::new(&pass, redactor.clone());
        let CallGrant { grant, outbound, until, .. } = pass;
        Self { grant, handles, redactor, budget: Budget::new(limits), outbound, until }
    }

    /// Whether the call wanted more requests, bytes or time than it has: services answered, and it was not done.
    pub(crate) fn is_used_up(&self) -> bool {
        self.budget.is_used_up() || (self.budget.is_answered() && self.until <= Instant::now())
    }

    /// Finds where `endpoint` leads to, if that is granted.
    async fn target(&self, endpoint: Endpoint, is_tls: bool, until: Instant) -> Result<Target, GateError> {
        let reach = granted(&self.grant, &endpoint)?;
        let found: Vec<IpAddr> = match endpoint.address() {
            Some(address) => vec![address],
            None => in_time(until, self.outbound.resolve(&endpoint)).await??,
        };
        let addresses = vetted(&endpoint, reach, found)?;
        Ok(Target { endpoint, addresses, is_tls })
    }

    /// Returns when to stop waiting for something that may take `limit`.
    fn until(&self, limit: Option<Duration>) -> Instant {
        limit.map_or(self.until, |limit| self.until.min(Instant::now() + limit))
    }

    /// Translates how sending failed; the inner error is for the caller to see.
    fn failed(&mut self, error: OutboundError) -> GateError {
        match error {
            OutboundError::TooLarge => self.budget.exceeded(),
            other => other.into(),
        }
    }
}

/// Waits for an answer, but not for ever.
async fn in_time<T>(until: Instant, answering: Answering<'_, T>) -> Result<Result<T, OutboundError>, GateError> {
    timeout_at(until, answering).await.map_err(|_| GateError::Timeout)
}

impl From<OutboundError> for GateError {
    fn from(error: OutboundError) -> Self {
        match error {
            OutboundError::Unreachable(why) => Self::Unreachable(why),
            OutboundError::Timeout => Self::Timeout,
            OutboundError::TooLarge => Self::Protocol("the answer is too large".into()),
            OutboundError::Protocol(why) => Self::Protocol(why),
        }
    }
}
