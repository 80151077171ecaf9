//! How a call ends that was not done.

use std::fmt;
use std::time::Duration;

use crate::exchange::ExchangeError;
use crate::http::HttpError;

/// How a call ends that was not done. It tells the host what to do, so a provider neither retries nor sleeps.
///
/// The words reach an operator: say what was tried and what to do. What a service answered is cut and cleaned by
/// [`Response::ok`](crate::Response::ok).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It may work later: the service is away, slow, or asks for patience.
    Retry {
        /// What the service said of when to come back. `None`: the host's own back-off.
        after: Option<Duration>,
        /// Why.
        reason: String,
    },
    /// It will not work like this: somebody has to change a setting, a name, a permission.
    Refused {
        /// Why.
        reason: String,
        /// The setting that is to blame, as a path into the config: `api`, `servers[0]`.
        field: Option<String>,
        /// The name that is to blame: it is set aside, and the rest goes on.
        name: Option<String>,
    },
    /// What is there is not what the change was made for. The host observes again and decides anew.
    Conflict {
        /// The name that stands in the way.
        name: String,
        /// Whose it is, or what is there, in words.
        owner: String,
    },
    /// The service does not accept the credentials.
    Unauthorized {
        /// Why.
        reason: String,
    },
}

impl Failure {
    /// It may work later, when the host thinks fit.
    pub fn retry(reason: impl Into<String>) -> Self {
        Self::Retry { after: None, reason: reason.into() }
    }

    /// It may work later, no sooner than in `after`.
    pub fn retry_after(after: Duration, reason: impl Into<String>) -> Self {
        Self::Retry { after: Some(after), reason: reason.into() }
    }

    /// It will not work until somebody changes something.
    pub fn refused(reason: impl Into<String>) -> Self {
        Self::Refused { reason: reason.into(), field: None, name: None }
    }

    /// What is there at `name` is not what was expected; `owner` says in words what it is.
    pub fn conflict(name: impl Into<String>, owner: impl Into<String>) -> Self {
        Self::Conflict { name: name.into(), owner: owner.into() }
    }

    /// The service does not accept the credentials.
    pub fn unauthorized(reason: impl Into<String>) -> Self {
        Self::Unauthorized { reason: reason.into() }
    }

    /// The name lies in a zone below the configured one. Whatever is written for it into the configured zone is served
    /// to nobody, so it is neither observed nor written there; what was written there earlier can be deleted.
    pub fn in_zone_below(name: impl Into<String>, below: &str) -> Self {
        let name = name.into();
        Self::refused(format!(
            "name {name} lies in zone {below}, which is served separately: add zone {below} to the provider, or choose \
             another name template"
        ))
        .name(name)
    }

    /// The name lies below a DNAME record, which redirects every name below its owner. As with a zone below, nothing is
    /// served of what is written there.
    pub fn below_dname(name: impl Into<String>, owner: &str) -> Self {
        let name = name.into();
        Self::refused(format!(
            "name {name} lies below the DNAME record of {owner}, which redirects every name below it: choose another \
             name template, or delete the DNAME record"
        ))
        .name(name)
    }

    /// Blames a setting, as a path into the config; only a refusal has one.
    #[must_use]
    pub fn field(mut self, path: impl Into<String>) -> Self {
        if let Self::Refused { field, .. } = &mut self {
            *field = Some(path.into());
        }
        self
    }

    /// Blames a name, so that it is set aside and the rest goes on; only a refusal has one.
    #[must_use]
    pub fn name(mut self, blamed: impl Into<String>) -> Self {
        if let Self::Refused { name, .. } = &mut self {
            *name = Some(blamed.into());
        }
        self
    }

    /// Puts what was tried before the reason: `while listing the zone: …`.
    #[must_use]
    pub fn within(mut self, attempt: impl fmt::Display) -> Self {
        let reason = self.reason_mut();
        *reason = format!("{attempt}: {reason}");
        self
    }

    /// Returns the reason in words; of a conflict, what stands in the way.
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
    /// What may pass is tried again; what was not granted or has used up its budget is for somebody to change.
    fn from(error: HttpError) -> Self {
        match error {
            HttpError::Unreachable(_) | HttpError::Timeout | HttpError::Protocol(_) => Self::retry(error.to_string()),
            HttpError::Denied(_) | HttpError::TooLarge(_) | HttpError::Budget(_) => Self::refused(error.to_string()),
        }
    }
}

impl From<ExchangeError> for Failure {
    /// As for HTTP; a signature that does not hold is a matter of credentials.
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
