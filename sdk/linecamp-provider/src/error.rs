//! Why a call failed.

use std::fmt;
use std::time::Duration;

use crate::dns_client::DnsError;
use crate::http::HttpError;

/// Why a call failed. It tells the host what to do, so a provider neither retries nor sleeps.
///
/// Operators read the message: say what was attempted and what to do.
/// [`Response::error_for_status`](crate::Response::error_for_status) truncates and cleans text that comes from a
/// service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderError {
    /// It may succeed later: the service is unreachable, slow, or limits the rate.
    Retry {
        /// When to retry, according to the service. `None`: the host's own back-off.
        after: Option<Duration>,
        /// Why.
        reason: String,
    },
    /// It will not succeed unchanged: a setting, a name or a permission has to be changed.
    Invalid {
        /// Why.
        reason: String,
        /// The setting at fault, as a path into the config: `api`, `servers[0]`.
        field: Option<String>,
        /// The name at fault: the host excludes it and continues with the others.
        name: Option<String>,
    },
    /// The current records are not what the change expects. The host observes again and plans again.
    Conflict {
        /// The conflicting name.
        name: String,
        /// A description of what exists there, or of its owner.
        found: String,
    },
    /// The service rejects the credentials.
    Unauthorized {
        /// Why.
        reason: String,
    },
}

impl ProviderError {
    /// It may succeed later; the host decides when to retry.
    pub fn retry(reason: impl Into<String>) -> Self {
        Self::Retry { after: None, reason: reason.into() }
    }

    /// It may succeed later, but not before `after` has passed.
    pub fn retry_after(after: Duration, reason: impl Into<String>) -> Self {
        Self::Retry { after: Some(after), reason: reason.into() }
    }

    /// It will not succeed until something is changed.
    pub fn invalid(reason: impl Into<String>) -> Self {
        Self::Invalid { reason: reason.into(), field: None, name: None }
    }

    /// The records at `name` are not what was expected; `found` describes them.
    pub fn conflict(name: impl Into<String>, found: impl Into<String>) -> Self {
        Self::Conflict { name: name.into(), found: found.into() }
    }

    /// The service rejects the credentials.
    pub fn unauthorized(reason: impl Into<String>) -> Self {
        Self::Unauthorized { reason: reason.into() }
    }

    /// The name is in a child zone of the configured zone. Records written for it to the configured zone are never
    /// served, so it is neither observed nor written there; records that were written earlier can be deleted.
    pub fn in_child_zone(name: impl Into<String>, child_zone: &str) -> Self {
        let name = name.into();
        Self::invalid(format!(
            "name {name} is in the child zone {child_zone}, which is served separately: add zone {child_zone} to the \
             provider, or choose another name template"
        ))
        .name(name)
    }

    /// The name is under a DNAME record, which redirects every name under its owner. As in a child zone, records
    /// written there are never served.
    pub fn under_dname(name: impl Into<String>, owner: &str) -> Self {
        let name = name.into();
        Self::invalid(format!(
            "name {name} is under the DNAME record of {owner}, which redirects every name under it: choose another \
             name template, or delete the DNAME record"
        ))
        .name(name)
    }

    /// Names the setting at fault, as a path into the config; applies only to [`Invalid`](Self::Invalid).
    #[must_use]
    pub fn field(mut self, path: impl Into<String>) -> Self {
        if let Self::Invalid { field, .. } = &mut self {
            *field = Some(path.into());
        }
        self
    }

    /// Names the name at fault, so that the host excludes it and continues with the others; applies only to
    /// [`Invalid`](Self::Invalid).
    #[must_use]
    pub fn name(mut self, blamed: impl Into<String>) -> Self {
        if let Self::Invalid { name, .. } = &mut self {
            *name = Some(blamed.into());
        }
        self
    }

    /// Prepends what was attempted to the reason: `listing the zone: …`.
    #[must_use]
    pub fn context(mut self, attempt: impl fmt::Display) -> Self {
        let reason = self.reason_mut();
        *reason = format!("{attempt}: {reason}");
        self
    }

    /// Returns the reason; for a conflict, what exists at the name.
    pub fn reason(&self) -> &str {
        match self {
            Self::Retry { reason, .. } | Self::Invalid { reason, .. } | Self::Unauthorized { reason } => reason,
            Self::Conflict { found, .. } => found,
        }
    }

    pub(crate) const fn reason_mut(&mut self) -> &mut String {
        match self {
            Self::Retry { reason, .. } | Self::Invalid { reason, .. } | Self::Unauthorized { reason } => reason,
            Self::Conflict { found, .. } => found,
        }
    }
}

impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retry { after: None, reason } => write!(f, "retry later: {reason}"),
            Self::Retry { after: Some(after), reason } => {
                write!(f, "retry after {} ms: {reason}", after.as_millis())
            }
            Self::Invalid { reason, field: Some(field), .. } => write!(f, "invalid setting `{field}`: {reason}"),
            Self::Invalid { reason, name: Some(name), .. } => write!(f, "invalid name {name}: {reason}"),
            Self::Invalid { reason, .. } => write!(f, "invalid: {reason}"),
            Self::Conflict { name, found } => write!(f, "conflict at {name}: {found}"),
            Self::Unauthorized { reason } => write!(f, "unauthorized: {reason}"),
        }
    }
}

impl std::error::Error for ProviderError {}

impl From<HttpError> for ProviderError {
    /// Transient errors are retried; a missing grant or an exceeded limit needs a change by the operator.
    fn from(error: HttpError) -> Self {
        match error {
            HttpError::Unreachable(_) | HttpError::Timeout | HttpError::Protocol(_) => Self::retry(error.to_string()),
            HttpError::Denied(_) | HttpError::TooLarge(_) | HttpError::LimitExceeded(_) => {
                Self::invalid(error.to_string())
            }
        }
    }
}

impl From<DnsError> for ProviderError {
    /// As for HTTP; an invalid signature is a credentials failure.
    fn from(error: DnsError) -> Self {
        match error {
            DnsError::Unreachable(_) | DnsError::Timeout | DnsError::Protocol(_) => Self::retry(error.to_string()),
            DnsError::Denied(_) | DnsError::LimitExceeded(_) => Self::invalid(error.to_string()),
            DnsError::Tsig { .. } => Self::unauthorized(error.to_string()),
        }
    }
}
