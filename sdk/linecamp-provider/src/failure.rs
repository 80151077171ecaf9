//! Why a call failed.

use std::fmt;
use std::time::Duration;

use crate::exchange::ExchangeError;
use crate::http::HttpError;

/// Why a call failed. It tells the host what to do, so a provider neither retries nor sleeps.
///
/// Operators read the message: say what was attempted and what to do. [`Response::ok`](crate::Response::ok) truncates
/// and cleans text that comes from a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It may succeed later: the service is unreachable, slow, or limits the rate.
    Retry {
        /// When to retry, according to the service. `None`: the host's own back-off.
        after: Option<Duration>,
        /// Why.
        reason: String,
    },
    /// It will not succeed unchanged: a setting, a name or a permission has to be changed.
    Refused {
        /// Why.
        reason: String,
        /// The setting at fault, as a path into the config: `api`, `servers[0]`.
        field: Option<String>,
        /// The name at fault: the host sets it aside and continues with the rest.
        name: Option<String>,
    },
    /// The current records are not what the change expects. The host observes again and plans again.
    Conflict {
        /// The conflicting name.
        name: String,
        /// Its owner, or what exists there, as text.
        owner: String,
    },
    /// The service does not accept the credentials.
    Unauthorized {
        /// Why.
        reason: String,
    },
}

impl Failure {
    /// It may succeed later; the host decides when to retry.
    pub fn retry(reason: impl Into<String>) -> Self {
        Self::Retry { after: None, reason: reason.into() }
    }

    /// It may succeed later, but not before `after` has passed.
    pub fn retry_after(after: Duration, reason: impl Into<String>) -> Self {
        Self::Retry { after: Some(after), reason: reason.into() }
    }

    /// It will not succeed until something is changed.
    pub fn refused(reason: impl Into<String>) -> Self {
        Self::Refused { reason: reason.into(), field: None, name: None }
    }

    /// The records at `name` are not what was expected; `owner` describes them.
    pub fn conflict(name: impl Into<String>, owner: impl Into<String>) -> Self {
        Self::Conflict { name: name.into(), owner: owner.into() }
    }

    /// The service does not accept the credentials.
    pub fn unauthorized(reason: impl Into<String>) -> Self {
        Self::Unauthorized { reason: reason.into() }
    }

    /// The name lies in a zone below the configured one. Records written for it to the configured zone are never
    /// served, so it is neither observed nor written there; records written earlier can be deleted.
    pub fn in_zone_below(name: impl Into<String>, below: &str) -> Self {
        let name = name.into();
        Self::refused(format!(
            "name {name} lies in zone {below}, which is served separately: add zone {below} to the provider, or choose \
             another name template"
        ))
        .name(name)
    }

    /// The name lies below a DNAME record, which redirects every name below its owner. As with a zone below, records
    /// written there are never served.
    pub fn below_dname(name: impl Into<String>, owner: &str) -> Self {
        let name = name.into();
        Self::refused(format!(
            "name {name} lies below the DNAME record of {owner}, which redirects every name below it: choose another \
             name template, or delete the DNAME record"
        ))
        .name(name)
    }

    /// Names the setting at fault, as a path into the config; applies only to a refusal.
    #[must_use]
    pub fn field(mut self, path: impl Into<String>) -> Self {
        if let Self::Refused { field, .. } = &mut self {
            *field = Some(path.into());
        }
        self
    }

    /// Names the name at fault, so that the host sets it aside and continues with the rest; applies only to a refusal.
    #[must_use]
    pub fn name(mut self, blamed: impl Into<String>) -> Self {
        if let Self::Refused { name, .. } = &mut self {
            *name = Some(blamed.into());
        }
        self
    }

    /// Prepends what was attempted to the reason: `while listing the zone: …`.
    #[must_use]
    pub fn within(mut self, attempt: impl fmt::Display) -> Self {
        let reason = self.reason_mut();
        *reason = format!("{attempt}: {reason}");
        self
    }

    /// Returns the reason; for a conflict, what exists at the name.
    pub fn reason(&self) -> &str {
        match self {
            Self::Retry { reason, .. } | Self::Refused { reason, .. } | Self::Unauthorized { reason } => reason,
            Self::Conflict { owner, .. } => owner,
        }
    }

    pub(crate) const fn reason_mut(&mut self) -> &mut String {
        match self {
            Self::Retry { reason, .. } | Self::Refused { reason, .. } | Self::Unauthorized { reason } => reason,
            Self::Conflict { owner, .. } => owner,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retry { after: None, reason } => write!(f, "try again later: {reason}"),
            Self::Retry { after: Some(after), reason } => {
                write!(f, "try again in {} ms: {reason}", after.as_millis())
            }
            Self::Refused { reason, field: Some(field), .. } => write!(f, "refused, see `{field}`: {reason}"),
            Self::Refused { reason, name: Some(name), .. } => write!(f, "refused, because of {name}: {reason}"),
            Self::Refused { reason, .. } => write!(f, "refused: {reason}"),
            Self::Conflict { name, owner } => write!(f, "{name} is not as expected: {owner}"),
            Self::Unauthorized { reason } => write!(f, "the credentials are not accepted: {reason}"),
        }
    }
}

impl std::error::Error for Failure {}

impl From<HttpError> for Failure {
    /// Transient errors are retried; a missing grant or an exceeded limit needs a change by the operator.
    fn from(error: HttpError) -> Self {
        match error {
            HttpError::Unreachable(_) | HttpError::Timeout | HttpError::Protocol(_) => Self::retry(error.to_string()),
            HttpError::Denied(_) | HttpError::TooLarge(_) | HttpError::Budget(_) => Self::refused(error.to_string()),
        }
    }
}

impl From<ExchangeError> for Failure {
    /// As for HTTP; an invalid signature is a credentials failure.
    fn from(error: ExchangeError) -> Self {
        match error {
            ExchangeError::Unreachable(_) | ExchangeError::Timeout | ExchangeError::Protocol(_) => {
                Self::retry(error.to_string())
            }
            ExchangeError::Denied(_) | ExchangeError::Budget(_) => Self::refused(error.to_string()),
            ExchangeError::Tsig(_) => Self::unauthorized(error.to_string()),
        }
    }
}
