//! Calls to a provider's plugin, and how they end.

use std::time::Duration;

use crate::dns::{DnsCapabilities, DnsReply, DnsRequest};
use crate::name::Text;

/// A request to a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderRequest {
    /// Validate the settings and return the capabilities.
    Validate,
    /// A request to a DNS provider.
    Dns(DnsRequest),
}

/// The result of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderReply {
    /// The settings are valid.
    Validated(Capabilities),
    /// The result of a request to a DNS provider.
    Dns(DnsReply),
    /// The call failed.
    Failed(ProviderFailure),
}

/// The capabilities of a provider, by its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capabilities {
    /// Those of a DNS provider.
    Dns(DnsCapabilities),
}

/// Why a call failed. `core` decides what each failure means for the next call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderFailure {
    /// The call may succeed later, no sooner than `after` if the service named a delay.
    Retry {
        /// How long to wait before the next attempt.
        after: Option<Duration>,
        /// The reason.
        reason: Text,
    },
    /// The call will fail until the configuration or the service is changed.
    Refused {
        /// The reason.
        reason: Text,
        /// The part of the request that is affected, if it is only one: for DNS, a name.
        part: Option<Text>,
    },
    /// The service does not hold what the call expects.
    Conflict {
        /// The reason, with the owner.
        reason: Text,
        /// The part of the request that conflicts, if the plugin named one: for DNS, a name of the zone.
        part: Option<Text>,
    },
    /// The credentials were rejected.
    Unauthorized {
        /// The reason.
        reason: Text,
    },
    /// The call exceeded its limit of requests, bytes or time. A smaller call may succeed.
    LimitExceeded {
        /// The reason.
        reason: Text,
    },
    /// The plugin failed: it trapped, exceeded a limit, or violated the contract.
    Broken {
        /// The reason, with the limit.
        reason: Text,
    },
    /// The plugin does not exist or cannot be loaded.
    Missing {
        /// The reason, and what to do.
        reason: Text,
    },
}

impl ProviderFailure {
    /// Returns the reason as text.
    pub const fn reason(&self) -> &Text {
        match self {
            Self::Retry { reason, .. }
            | Self::Refused { reason, .. }
            | Self::Conflict { reason, .. }
            | Self::Unauthorized { reason }
            | Self::LimitExceeded { reason }
            | Self::Broken { reason }
            | Self::Missing { reason } => reason,
        }
    }
}
